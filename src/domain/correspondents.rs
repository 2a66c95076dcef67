//! Correspondents: who wrote to whom and how often, and who is a contact by itself.
//!
//! The other side of a conversation becomes a contact when it has registered, on both sides, without anybody's keys:
//! what such a contact shows is what the account says. Once its owner edits or removes it, it is one no more.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account};
use super::ids::{MailboxId, key};
use super::messages::Message;
use super::portal::Error;
use crate::store::tables::CORRESPONDENTS;
use crate::store::{Direction, Record, Table, Tx, WriteTx};

/// Whether the other side is a contact by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// Not yet: they have not registered.
    Waiting,
    /// It is one.
    There,
    /// No more: removed, or replaced by a contact of one's own.
    Away,
}

/// What is between two mailboxes, as one of them has it. Key: mailbox ‖ other mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Correspondence {
    /// Messages sent to the other side.
    uses: u32,
    standing: Standing,
}

impl Record for Correspondence {
    const TABLE: Table = CORRESPONDENTS;
    const VERSION: u8 = 1;
}

/// Somebody whom a mailbox wrote to, or who wrote to it.
pub(super) struct Correspondent {
    /// Who it is.
    pub account: Account,
    /// Messages sent to them.
    pub uses: u32,
    /// Whether they are a contact by itself.
    pub is_contact: bool,
}

fn row(of: MailboxId, other: MailboxId) -> Vec<u8> {
    key(&[of.bytes(), other.bytes()])
}

/// Counts a sending, and makes sender and recipients known to each other.
pub(super) fn note(tx: &mut WriteTx<'_>, message: &Message) -> Result<(), Error> {
    for to in message.recipients().map(|holder| holder.mailbox) {
        let is_registered = accounts::mailbox(tx, to)?.pending.is_none();
        let standing = if is_registered { Standing::There } else { Standing::Waiting };
        for (of, other, uses) in [(message.sender, to, 1), (to, message.sender, 0)] {
            let known = tx.record::<Correspondence>(&row(of, other))?;
            if uses == 0 && known.is_some() {
                continue;
            }
            let mut between = known.unwrap_or(Correspondence { uses: 0, standing });
            between.uses = between.uses.saturating_add(uses);
            tx.put_record(&row(of, other), &between)?;
        }
    }
    Ok(())
}

/// Somebody registers: they and whoever wrote to them become each other's contacts.
pub(super) fn registered(tx: &mut WriteTx<'_>, mailbox: MailboxId) -> Result<(), Error> {
    for other in others(tx, mailbox)? {
        for row in [row(mailbox, other), row(other, mailbox)] {
            let Some(mut between) = tx.record::<Correspondence>(&row)? else { continue };
            if between.standing == Standing::Waiting {
                between.standing = Standing::There;
                tx.put_record(&row, &between)?;
            }
        }
    }
    Ok(())
}

/// The other side is no contact by itself any more.
pub(super) fn take_away(tx: &mut WriteTx<'_>, of: MailboxId, other: MailboxId) -> Result<(), Error> {
    if let Some(between) = tx.record::<Correspondence>(&row(of, other))? {
        tx.put_record(&row(of, other), &Correspondence { standing: Standing::Away, ..between })?;
    }
    Ok(())
}

/// Forgets a mailbox that never registered, on both sides.
pub(super) fn forget(tx: &mut WriteTx<'_>, mailbox: MailboxId) -> Result<(), Error> {
    for other in others(tx, mailbox)? {
        tx.delete_record::<Correspondence>(&row(mailbox, other));
        tx.delete_record::<Correspondence>(&row(other, mailbox));
    }
    Ok(())
}

/// Everybody on the other side of a mailbox.
pub(super) fn of(tx: &impl Tx, mailbox: MailboxId) -> Result<Vec<Correspondent>, Error> {
    let mut found = Vec::new();
    for other in others(tx, mailbox)? {
        let Some(between) = tx.record::<Correspondence>(&row(mailbox, other))? else { continue };
        let account = accounts::account(tx, accounts::mailbox(tx, other)?.owner)?;
        let is_contact = between.standing == Standing::There;
        found.push(Correspondent { account, uses: between.uses, is_contact });
    }
    Ok(found)
}

fn others(tx: &impl Tx, mailbox: MailboxId) -> Result<Vec<MailboxId>, Error> {
    let rows = tx.records_under::<Correspondence>(mailbox.bytes(), Direction::Forward, usize::MAX)?;
    let other = |row: &[u8]| row.last_chunk::<16>().map(|id| MailboxId::from_bytes(*id)).ok_or(Error::NotFound);
    rows.iter().map(|(row, _)| other(row)).collect()
}
