//! Shards: what is kept of the search indexes, and how it goes.
//!
//! Each mailbox has shards by the day on which their messages expire, each sealed under a slot of its own, and a list of
//! messages that are in none yet. A shard lives no longer than the first of its messages: whoever destroys a copy calls
//! [`forget`], which overwrites the slot of the shard that holds its words, in the same transaction. What else was in it
//! is listed again, to be read at the owner's next search. No key is needed for any of this.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::ids::{ID_BYTES, MailboxId, MessageId, key};
use super::portal::{DAY, Error};
use super::time::Timestamp;
use crate::crypto::Parcel;
use crate::crypto::slots::{SlotKey, SlotRef};
use crate::store::tables::{HOLDINGS, SHARD_INDEXES, SHARD_MESSAGES, SHARDS, SLOTS, TO_INDEX};
use crate::store::{Direction, ReadRow, Record, StoreError, Table, Tx, WriteTx, prefix_end};

/// A shard. Key: mailbox ‖ expiry day ‖ tag of its slot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Shard {
    /// Overwriting it destroys the shard.
    pub slot: SlotRef,
    /// How many messages it has.
    pub messages: u32,
    /// Whether it has as many as a shard may: it is never joined with others.
    pub full: bool,
}

impl Record for Shard {
    const TABLE: Table = SHARDS;
    const VERSION: u8 = 1;
}

/// The messages of a shard. Key: as the shard's.
#[derive(Serialize, Deserialize)]
struct ShardMessages {
    messages: Vec<MessageId>,
}

impl Record for ShardMessages {
    const TABLE: Table = SHARD_MESSAGES;
    const VERSION: u8 = 1;
}

/// The index of a shard. Key: as the shard's.
#[derive(Serialize, Deserialize)]
struct ShardIndex {
    index: Parcel,
}

impl Record for ShardIndex {
    const TABLE: Table = SHARD_INDEXES;
    const VERSION: u8 = 1;
}

/// What a shard's index is bound to, beside its slot.
pub(super) fn context(mailbox: MailboxId) -> Vec<u8> {
    key(&[b"shard", mailbox.bytes()])
}

/// The day of an expiry, counted from 1970.
pub(super) fn day(expires: Timestamp) -> u32 {
    u32::try_from(expires.0.div_euclid(DAY)).unwrap_or_default()
}

fn day_key(mailbox: MailboxId, day: u32) -> Vec<u8> {
    key(&[mailbox.bytes(), &day.to_be_bytes()])
}

/// A mailbox's shards, with their keys.
pub(super) fn of(tx: &impl Tx, mailbox: MailboxId) -> Result<Vec<ReadRow<Shard>>, StoreError> {
    under(tx, mailbox.bytes())
}

/// A mailbox's shards of one day, with their keys.
pub(super) fn of_day(tx: &impl Tx, mailbox: MailboxId, day: u32) -> Result<Vec<ReadRow<Shard>>, StoreError> {
    under(tx, &day_key(mailbox, day))
}

fn under(tx: &impl Tx, prefix: &[u8]) -> Result<Vec<ReadRow<Shard>>, StoreError> {
    tx.records_each(prefix, &prefix_end(prefix), Direction::Forward, usize::MAX)
}

/// The messages of the shard at this key.
pub(super) fn messages(tx: &impl Tx, row: &[u8]) -> Result<Vec<MessageId>, StoreError> {
    Ok(tx.record::<ShardMessages>(row)?.map(|shard| shard.messages).unwrap_or_default())
}

/// The sealed index of the shard at this key.
pub(super) fn index(tx: &impl Tx, row: &[u8]) -> Result<Option<Parcel>, Error> {
    Ok(tx.record::<ShardIndex>(row)?.map(|shard| shard.index))
}

/// A shard that is ready to be written.
pub(super) struct NewShard {
    pub slot: SlotKey,
    pub index: Parcel,
    pub messages: Vec<MessageId>,
    pub full: bool,
}

impl NewShard {
    /// Writes the shard; its messages are on the list no longer.
    pub(super) fn put(self, tx: &mut WriteTx<'_>, mailbox: MailboxId, day: u32) -> Result<(), Error> {
        let Self { slot, index, messages, full } = self;
        let slot = tx.new_slot(&slot)?;
        let row = key(&[&day_key(mailbox, day), &slot.tag]);
        for id in &messages {
            tx.delete(TO_INDEX, &to_index_key(mailbox, *id));
        }
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        tx.put_record(&row, &Shard { slot, messages: count, full })?;
        tx.put_record(&row, &ShardMessages { messages })?;
        Ok(tx.put_record(&row, &ShardIndex { index })?)
    }
}

fn to_index_key(mailbox: MailboxId, id: MessageId) -> Vec<u8> {
    key(&[mailbox.bytes(), id.bytes()])
}

/// Lists a message that is in no shard.
pub(super) fn list(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId) {
    tx.put(TO_INDEX, &to_index_key(mailbox, id), Vec::new());
}

/// Takes a message off the list.
pub(super) fn unlist(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId) {
    tx.delete(TO_INDEX, &to_index_key(mailbox, id));
}

/// Whether a message is on the list.
pub(super) fn is_listed(tx: &impl Tx, mailbox: MailboxId, id: MessageId) -> Result<bool, Error> {
    Ok(tx.has(TO_INDEX, &to_index_key(mailbox, id))?)
}

/// At most `limit` messages that are in no shard.
pub(super) fn listed(tx: &impl Tx, mailbox: MailboxId, limit: usize) -> Result<Vec<MessageId>, Error> {
    let end = prefix_end(mailbox.bytes());
    let rows = tx.range(TO_INDEX, mailbox.bytes(), &end, Direction::Forward, limit)?;
    Ok(rows.iter().filter_map(|(row, _)| MessageId::from_key(row.get(ID_BYTES..)?)).collect())
}

/// Number of a mailbox's messages that are in no shard.
pub(super) fn listed_count(tx: &impl Tx, mailbox: MailboxId) -> Result<usize, Error> {
    Ok(tx.count_under(TO_INDEX, mailbox.bytes())?)
}

/// Destroys the shard at this key and lists its messages again, if it is still there. It is only a cache: where its rows
/// are damaged, every shard of the mailbox goes with it.
pub(super) fn drop_shard(tx: &mut WriteTx<'_>, row: &[u8]) -> Result<(), Error> {
    let mailbox = row.get(..ID_BYTES).and_then(MailboxId::from_key).ok_or_else(|| Error::internal("a shard's key"))?;
    match (tx.record::<Shard>(row), messages(tx, row)) {
        (Ok(None), _) => Ok(()),
        (Ok(Some(shard)), Ok(messages)) => {
            messages.iter().for_each(|id| list(tx, mailbox, *id));
            tx.erase_slot(shard.slot)?;
            delete(tx, row);
            Ok(())
        }
        _ => drop_all(tx, mailbox),
    }
}

fn delete(tx: &mut WriteTx<'_>, row: &[u8]) {
    tx.delete_record::<Shard>(row);
    tx.delete_record::<ShardMessages>(row);
    tx.delete_record::<ShardIndex>(row);
}

/// Destroys every shard of a mailbox and lists all that it holds: its keys are other ones now, or a row is damaged.
pub(super) fn drop_all(tx: &mut WriteTx<'_>, mailbox: MailboxId) -> Result<(), Error> {
    for (row, shard) in of(tx, mailbox)? {
        let slot = match shard {
            Ok(shard) => Some(shard.slot),
            // The key has the slot's tag as well.
            Err(_) => slot_with(tx, row.last_chunk())?,
        };
        slot.map_or(Ok(()), |slot| tx.erase_slot(slot))?;
        delete(tx, &row);
    }
    let mut held = Vec::new();
    tx.scan_each(HOLDINGS, mailbox.bytes(), &prefix_end(mailbox.bytes()), Direction::Forward, &mut |row, _| {
        held.extend(row.get(ID_BYTES..).and_then(MessageId::from_key));
        Ok(ControlFlow::Continue(()))
    })?;
    held.into_iter().for_each(|id| list(tx, mailbox, id));
    Ok(())
}

/// The slot in use with this tag.
fn slot_with(tx: &impl Tx, tag: Option<&[u8; 16]>) -> Result<Option<SlotRef>, StoreError> {
    let mut found = None;
    tx.scan(SLOTS, &[], &[], Direction::Forward, &mut |index, its| {
        if let (Some(tag), Some(index)) = (tag.filter(|tag| tag.as_slice() == its), index.first_chunk()) {
            found = Some(SlotRef { index: u64::from_be_bytes(*index), tag: *tag });
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Destroys whatever holds the words of a mailbox's copy of a message, which expires then, and lists the message to be
/// read anew: its expiry is moved.
pub(super) fn read_anew(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    id: MessageId,
    expires: Timestamp,
) -> Result<(), Error> {
    for (row, shard) in of_day(tx, mailbox, day(expires))? {
        let holds_others = shard.and_then(|_| messages(tx, &row)).is_ok_and(|messages| !messages.contains(&id));
        if !holds_others {
            drop_shard(tx, &row)?;
        }
    }
    Ok(())
}

/// Destroys whatever holds the words of a mailbox's copy of a message, which expires then: the copy is destroyed.
pub(super) fn forget(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId, expires: Timestamp) -> Result<(), Error> {
    read_anew(tx, mailbox, id, expires)?;
    unlist(tx, mailbox, id);
    Ok(())
}
