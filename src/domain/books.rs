//! Contact books: a mailbox's own, sealed to it, and the one that a practice shares.
//!
//! Each row has a slot of its own, renewed whenever the row is written: what is deleted, and what stood there before it
//! was changed, opens with no key. A row of one's own also needs the identity; a shared one the host key, because it
//! cannot be sealed to one mailbox.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cards::{CONTACTS_MAX, Card, GROUPS_MAX};
use super::ids::{ContactId, ID_BYTES, MailboxId, PracticeId, key};
use super::portal::Error;
use super::sessions::Member;
use crate::crypto::host::HostKey;
use crate::crypto::identity::MailboxSecret;
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{CryptoError, Key32, Plain, Sealed};
use crate::store::tables::CONTACT_BOOKS;
use crate::store::{Direction, Record, Table, Tx, WriteTx};
use crate::words::said::say;

/// A contact or a group as it is kept. Key: owner ‖ contact or group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Overwriting it destroys the row.
    pub slot: SlotRef,
    card: Sealed,
}

impl Record for Entry {
    const TABLE: Table = CONTACT_BOOKS;
    const VERSION: u8 = 1;
}

/// What opens one book.
pub(super) struct Book {
    owner: [u8; ID_BYTES],
    key: Key32,
}

/// A row of a book, opened.
pub(super) struct Kept {
    pub id: ContactId,
    pub slot: SlotRef,
    pub card: Card,
}

impl Book {
    /// One's own.
    pub fn of(member: &Member) -> Self {
        Self::of_mailbox(member.mailbox(), member.bundle().secret())
    }

    fn of_mailbox(mailbox: MailboxId, secret: &MailboxSecret) -> Self {
        Self { owner: *mailbox.bytes(), key: secret.key("sealpost contacts v1") }
    }

    /// The practice's.
    pub fn shared(host: &HostKey, practice: PracticeId) -> Self {
        Self { owner: *practice.bytes(), key: host.wrapping_key("shared contacts") }
    }

    /// Every row.
    pub fn read(&self, tx: &impl Tx, slots: &SlotFile) -> Result<Vec<Kept>, Error> {
        let mut rows = Vec::new();
        for (row, entry) in tx.records_under::<Entry>(&self.owner, Direction::Forward, usize::MAX)? {
            let id = row.last_chunk::<16>().map(|id| ContactId::from_bytes(*id)).ok_or(Error::NotFound)?;
            let slot = match slots.read(&entry.slot) {
                // Its destruction was interrupted; the next start finishes it.
                Err(CryptoError::Destroyed) => continue,
                slot => slot?,
            };
            let plain = self.key_of(id, &slot).open(&[], &entry.card)?;
            let card = rmp_serde::from_slice(plain.as_bytes()).map_err(|_| Error::internal("a contact"))?;
            rows.push(Kept { id, slot: entry.slot, card });
        }
        Ok(rows)
    }

    fn row(&self, id: ContactId) -> Vec<u8> {
        key(&[&self.owner, id.bytes()])
    }

    fn key_of(&self, id: ContactId, slot: &SlotKey) -> Key32 {
        slot.with(&self.key, "sealpost contact v1", &self.row(id))
    }
}

/// Changes of books that are made together or not at all; prepared outside the transaction.
#[derive(Default)]
pub(super) struct Edit {
    written: Vec<Written>,
    deleted: Vec<(Vec<u8>, SlotRef)>,
}

struct Written {
    row: Vec<u8>,
    /// The slot of the row that it replaces; none where there must be no such row.
    over: Option<SlotRef>,
    slot: SlotKey,
    card: Sealed,
}

impl Edit {
    /// Writes a row, new or in place of the one under `over`.
    pub fn put(&mut self, book: &Book, id: ContactId, over: Option<SlotRef>, card: &Card) -> Result<(), Error> {
        let plain = rmp_serde::to_vec_named(card).map(Plain::new).map_err(Error::internal)?;
        let slot = SlotKey::generate();
        let card = book.key_of(id, &slot).seal(&[], plain.as_bytes())?;
        self.written.push(Written { row: book.row(id), over, slot, card });
        Ok(())
    }

    /// Destroys a row.
    pub fn delete(&mut self, book: &Book, id: ContactId, slot: SlotRef) {
        self.deleted.push((book.row(id), slot));
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else has changed one of the rows since.
    pub fn write(self, tx: &mut WriteTx<'_>) -> Result<(), Error> {
        let owners: BTreeSet<Vec<u8>> =
            self.written.iter().filter_map(|it| it.row.get(..ID_BYTES)).map(<[u8]>::to_vec).collect();
        for (row, slot) in self.deleted {
            if slot_of(tx, &row)? != Some(slot) {
                return Err(Error::Conflict);
            }
            forget(tx, &row)?;
        }
        for Written { row, over, slot, card } in self.written {
            if slot_of(tx, &row)? != over {
                return Err(Error::Conflict);
            }
            let slot = tx.new_slot(&slot)?;
            if let Some(over) = over {
                tx.retire_slot(over)?;
            }
            tx.put_record(&row, &Entry { slot, card })?;
        }
        for owner in owners {
            if tx.count_under(CONTACT_BOOKS, &owner)? > CONTACTS_MAX + GROUPS_MAX {
                return Err(too_many());
            }
        }
        Ok(())
    }
}

/// More contacts than a book holds.
pub(super) fn too_many() -> Error {
    Error::invalid("form", say!("There can be {most} contacts at most.", most = CONTACTS_MAX))
}

fn slot_of(tx: &impl Tx, row: &[u8]) -> Result<Option<SlotRef>, Error> {
    Ok(tx.record::<Entry>(row)?.map(|entry| entry.slot))
}

/// Destroys a row by its key.
pub(super) fn forget(tx: &mut WriteTx<'_>, row: &[u8]) -> Result<(), Error> {
    if let Some(slot) = slot_of(tx, row)? {
        tx.erase_slot(slot)?;
        tx.delete_record::<Entry>(row);
    }
    Ok(())
}

/// Re-keys a mailbox's book from one identity to another, under the same slots.
pub(super) fn rekey(
    tx: &mut WriteTx<'_>,
    slots: &SlotFile,
    mailbox: MailboxId,
    old: &MailboxSecret,
    new: &MailboxSecret,
) -> Result<(), Error> {
    let (old, new) = (Book::of_mailbox(mailbox, old), Book::of_mailbox(mailbox, new));
    for Kept { id, slot, card } in old.read(tx, slots)? {
        let plain = rmp_serde::to_vec_named(&card).map(Plain::new).map_err(Error::internal)?;
        let card = new.key_of(id, &slots.read(&slot)?).seal(&[], plain.as_bytes())?;
        tx.put_record(&new.row(id), &Entry { slot, card })?;
    }
    Ok(())
}
