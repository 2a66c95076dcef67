//! Summaries: what a list shows of a message, so that a page of fifty lines need not open fifty messages.
//!
//! One row for each copy, sealed under a key that takes the copy's slot and the holder's identity: it dies with the
//! slot, and opens for nobody else. The sender's is written with the message, a recipient's when they first see the
//! message in a list. It is a copy of what the message says, and never more than that: what it shows has been opened,
//! and its signature verified, once.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::ids::{MailboxId, MessageId, key};
use super::messages::{Content, Holding, holding_key};
use super::portal::{Error, Portal};
use super::sessions::Member;
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{CryptoError, Key32, Sealed};
use crate::store::tables::SUMMARIES;
use crate::store::{Direction, Tx, WriteTx, prefix_end};

/// Characters of a message's text that a list shows.
const SNIPPET_CHARS: usize = 120;
/// Words of a message's text that a list looks at.
const SNIPPET_WORDS: usize = 40;

/// What a list shows of what stands inside a message's seal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Summary {
    /// Subject.
    pub subject: String,
    /// Beginning of the text.
    pub snippet: String,
    /// Number of files.
    pub files: usize,
}

impl Summary {
    pub(super) fn of(content: &Content) -> Self {
        Self { subject: content.subject.clone(), snippet: snippet(&content.body), files: content.files.len() }
    }
}

/// Seals and opens the summaries of one holder.
pub(super) struct Summaries {
    mailbox: MailboxId,
    key: Key32,
}

/// A summary to be kept: of which message, under which slot, sealed.
pub(super) struct NewSummary {
    pub message: MessageId,
    pub slot: SlotRef,
    pub sealed: Sealed,
}

impl Summaries {
    /// Those of whoever is signed in.
    pub fn of(member: &Member) -> Self {
        Self { mailbox: member.mailbox(), key: member.bundle().secret().key("sealpost summaries v1") }
    }

    /// Seals a summary under the slot of the holder's copy.
    pub fn seal(&self, id: MessageId, slot: &SlotKey, summary: &Summary) -> Result<Sealed, Error> {
        let plain = rmp_serde::to_vec_named(summary).map(zeroize::Zeroizing::new).map_err(Error::internal)?;
        Ok(self.key_of(id, slot).seal(&[], &plain)?)
    }

    /// The summary of a message, if there is one that opens.
    pub fn open(&self, tx: &impl Tx, slots: &SlotFile, id: MessageId) -> Result<Option<Summary>, Error> {
        let Some(sealed) = tx.get(SUMMARIES, &holding_key(self.mailbox, id))? else { return Ok(None) };
        let Some((_, slot)) = self.slot_of(tx, slots, id)? else { return Ok(None) };
        let plain = self.key_of(id, &slot).open(&[], &Sealed::from_stored(sealed)).ok();
        Ok(plain.and_then(|plain| rmp_serde::from_slice(plain.as_bytes()).ok()))
    }

    /// A summary to be kept in place of one that is missing or does not open; none once the copy is destroyed.
    pub fn renew(
        &self,
        tx: &impl Tx,
        slots: &SlotFile,
        id: MessageId,
        summary: &Summary,
    ) -> Result<Option<NewSummary>, Error> {
        let Some((place, slot)) = self.slot_of(tx, slots, id)? else { return Ok(None) };
        Ok(Some(NewSummary { message: id, slot: place, sealed: self.seal(id, &slot, summary)? }))
    }

    fn slot_of(&self, tx: &impl Tx, slots: &SlotFile, id: MessageId) -> Result<Option<(SlotRef, SlotKey)>, Error> {
        let Some(holding) = tx.record::<Holding>(&holding_key(self.mailbox, id))? else { return Ok(None) };
        match slots.read(&holding.slot) {
            Ok(slot) => Ok(Some((holding.slot, slot))),
            Err(CryptoError::Destroyed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn key_of(&self, id: MessageId, slot: &SlotKey) -> Key32 {
        slot.with(&self.key, "sealpost summary v1", &key(&[self.mailbox.bytes(), id.bytes()]))
    }
}

/// Writes the summary of a copy.
pub(super) fn put(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId, sealed: &Sealed) {
    tx.put(SUMMARIES, &holding_key(mailbox, id), sealed.as_bytes().to_vec());
}

/// Removes the summary of a copy. What destroys it is the overwriting of the copy's slot.
pub(super) fn forget(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId) {
    tx.delete(SUMMARIES, &holding_key(mailbox, id));
}

/// Removes all summaries of a mailbox whose identity changes; its lists make them anew.
pub(super) fn forget_all(tx: &mut WriteTx<'_>, mailbox: MailboxId) -> Result<(), Error> {
    let prefix = mailbox.bytes();
    for (row, _) in tx.range(SUMMARIES, prefix, &prefix_end(prefix), Direction::Forward, usize::MAX)? {
        tx.delete(SUMMARIES, &row);
    }
    Ok(())
}

impl Portal {
    /// Keeps what a list had to open messages for. Copies that were destroyed meanwhile are left out.
    pub(super) fn keep_summaries(&self, member: &Member, new: Vec<NewSummary>) -> Result<(), Error> {
        let mailbox = member.mailbox();
        self.store.write(move |tx| {
            for NewSummary { message, slot, sealed } in new {
                let holding = tx.record::<Holding>(&holding_key(mailbox, message))?;
                if holding.is_some_and(|holding| holding.slot == slot) {
                    put(tx, mailbox, message, &sealed);
                }
            }
            Ok(())
        })
    }
}

/// The beginning of a text, in one line.
pub(super) fn snippet(body: &str) -> String {
    let text = body.split_whitespace().take(SNIPPET_WORDS).collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().take(SNIPPET_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
