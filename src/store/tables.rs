//! Every table, on one screen: how its keys are laid out, what its values are, what seals them.
//!
//! Keys are bytes that we encode: fixed width, big-endian, ordered as they are read. Values are records
//! ([`Record`](super::Record)) unless the line says otherwise. A *guarded* table carries a MAC under the host key on
//! every row: somebody who can write to the database cannot make a row that is believed. A *plain* table holds what is
//! worthless to forge or is sealed by itself; a row that names a slot or a blob to be destroyed is neither.

/// One table of the store. The constants below are the only ones there are.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The table's name in the database file.
    pub name: &'static str,
    /// Whether every row carries a MAC under the host key.
    pub guarded: bool,
    /// The table's place in [`ALL`].
    pub(super) place: usize,
}

/// Declares the tables and, from the same lines, [`ALL`]: a table cannot be declared and then not be opened.
macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $guard:ident;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "the constants' names, counted")]
        enum Place { $($constant),* }

        $($(#[$doc])* pub const $constant: Table =
            Table { name: $name, guarded: guarded!($guard), place: Place::$constant as usize };)*

        /// Every table, in the order declared; all of them are created when the store is opened.
        pub const ALL: &[Table] = &[$($constant),*];
    };
}

/// The two words that [`tables!`] takes for a table's guard.
macro_rules! guarded {
    (guarded) => {
        true
    };
    (plain) => {
        false
    };
}

tables! {
    /// What the store and the portal know of themselves. Key: a short text. Value: a record, a type for each key.
    /// Sealed by: nothing, it holds no content.
    META = "meta", guarded;

    /// The slots in use. Key: slot index, u64. Value: the slot's tag, 16 bytes, no record. Written by the store alone;
    /// at start every slot without a row here is erased. Sealed by: nothing, a tag tells nothing about its slot.
    SLOTS = "slots", plain;

    /// The blobs in use. Key: blob id, 16 bytes. Value: a record of who has it. At start every blob without a row here
    /// is removed. Sealed by: nothing; the blob's bytes are an age file.
    BLOBS = "blobs", plain;

    /// Practices. Key: practice id. Value: [`Practice`](crate::domain::practices::Practice). Sealed by: nothing.
    PRACTICES = "practices", guarded;

    /// People. Key: account id. Value: [`Account`](crate::domain::accounts::Account). Sealed by: nothing; the key
    /// bundles in it under the password's key and the account's slot, and under the recovery identity and that slot;
    /// a share of the recovery secret under its holder's identity and a slot of its own.
    ACCOUNTS = "accounts", guarded;

    /// User names. Key: address in lower case. Value: account id, no record. Sealed by: nothing.
    EMAILS = "emails", guarded;

    /// Mailboxes. Key: mailbox id. Value: [`Mailbox`](crate::domain::accounts::Mailbox). Sealed by: nothing; the
    /// identity of one who has not registered under the host key and a slot.
    MAILBOXES = "mailboxes", guarded;

    /// How far people who were invited have come. Key: account id. Value: a record of codes and tickets, as MACs and
    /// hashes; a code to be read out under the host key.
    INVITES = "invites", guarded;

    /// Links of invitations. Key: SHA-256 of the token. Value: a record of whose it is. Sealed by: nothing.
    INVITE_LINKS = "invite links", guarded;

    /// Messages without their content. Key: message id. Value: [`Message`](crate::domain::messages::Message), signed by
    /// its sender. Sealed by: nothing.
    MESSAGES = "messages", guarded;

    /// Contents. Key: message id. Value: an age file, no record: subject, text, list of files. Sealed by: its content
    /// key, which only holdings have.
    BODIES = "bodies", plain;

    /// Copies. Key: mailbox id ‖ message id. Value: a record of the copy's slot and the content key's X25519 stanza.
    /// Sealed by: the holder's identity and the copy's slot.
    HOLDINGS = "holdings", guarded;

    /// What lists show of copies. Key: mailbox id ‖ message id. Value: subject, beginning of the text, number of files,
    /// no record. Sealed by: the holder's identity and the copy's slot.
    SUMMARIES = "summaries", plain;

    /// Forwarded copies. Key: message id ‖ id of the message that forwards it. Value: empty. Sealed by: nothing.
    FORWARDS = "forwards", guarded;

    /// Conversations. Key: mailbox id ‖ thread id ‖ sent (u64, ms) ‖ message id. Value: empty. Sealed by: nothing.
    THREAD_MESSAGES = "thread messages", plain;

    /// The lists of folders and filters. Key: mailbox id ‖ list (u8) ‖ NOT sent (u64, ms), or when the first of it is
    /// destroyed ‖ thread or draft id. Value: message or draft id, no record. Sealed by: nothing.
    FOLDERS = "folders", plain;

    /// Where a thread stands in the folders. Key: mailbox id ‖ thread id. Value: a record. Sealed by: nothing.
    FILED = "filed", plain;

    /// Unread threads and drafts. Key: mailbox id. Value: a record of their numbers. Sealed by: nothing.
    COUNTS = "counts", plain;

    /// Drafts. Key: mailbox id ‖ draft id. Value: [`Draft`](crate::domain::drafts::Draft). Sealed by: the writer's
    /// identity and the draft's slot.
    DRAFTS = "drafts", guarded;

    /// Files of drafts. Key: mailbox id ‖ draft id ‖ file id. Value: a record with name, type, size and key of the file.
    /// Sealed by: the writer's identity and the draft's slot.
    DRAFT_FILES = "draft files", guarded;

    /// Parts of a mailbox's search index. Key: mailbox id ‖ expiry day (u32, days since 1970) ‖ tag of its slot. Value: a
    /// record of its slot. Sealed by: nothing.
    SHARDS = "shards", guarded;

    /// The messages whose words are in a shard. Key: as the shard's. Value: a record of message ids. Sealed by: nothing.
    SHARD_MESSAGES = "shard messages", guarded;

    /// The words themselves: an index of a few megabytes at most, so that it is a row and no blob, and goes with the rest
    /// in one commit. Key: as the shard's. Value: a record. Sealed by: the mailbox's identity and the shard's slot.
    SHARD_INDEXES = "shard indexes", plain;

    /// Messages that no search finds yet, to be read while their holder is signed in. Key: mailbox id ‖ message id.
    /// Value: empty. Sealed by: nothing.
    TO_INDEX = "to index", plain;

    /// Contact books. Key: mailbox id, or practice id for the contacts that a practice shares ‖ contact or group id.
    /// Value: a record of a contact or a group. Sealed by: the owner's identity and the row's slot; what is shared by
    /// the host key and that slot, because it cannot be sealed to one mailbox: the server can read it, as it can
    /// accounts.
    CONTACT_BOOKS = "contact books", guarded;

    /// Who wrote to whom. Key: mailbox id ‖ mailbox id of the other side, in both directions. Value: a record of how
    /// often, and whether the other side is a contact by itself. Sealed by: nothing; messages tell as much.
    CORRESPONDENTS = "correspondents", guarded;

    /// The people of a practice. Key: practice id ‖ account id. Value: empty. Sealed by: nothing; the account says so
    /// too, and is asked.
    COLLEAGUES = "colleagues", plain;

    /// What is to be destroyed when. Key: moment (u64, ms) ‖ kind (u8) ‖ id. Value: a draft's mailbox id, else empty.
    /// Sealed by: nothing.
    DUE = "due", plain;

    /// Letters to be handed to the outside. Key: moment (u64, ms) ‖ notice id. Value: a record; a registration link's
    /// token in it under the host key.
    OUTBOX = "outbox", guarded;

    /// The audit chain. Key: number, u64. Value: [`Entry`](crate::domain::audit::Entry), with a MAC over it and the MAC
    /// before it. Sealed by: nothing; it holds identifiers and names of events only.
    AUDIT = "audit", plain;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_has_a_name_of_its_own_and_knows_its_place() {
        let names: BTreeSet<_> = ALL.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), ALL.len());
        for (place, table) in ALL.iter().enumerate() {
            assert_eq!(table.place, place, "{}", table.name);
        }
    }
}
