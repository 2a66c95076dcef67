//! Expiry: the dates on which things are destroyed, the sweep that keeps them, and destroying early.
//!
//! The order is an ordered set in the database: the first key is the next thing due. To destroy is to overwrite the
//! slots first and forget the rows after, in one operation of the store.

use jiff::Timestamp as Instant;

use super::audit::{self, Event};
use super::drafts;
use super::due::{Due, due, undue};
use super::fields::{self, EXPIRY_DAYS_MAX};
use super::filing;
use super::ids::{AccountId, MailboxId, MessageId};
use super::messages::{self, Destroyed, Holding, Message};
use super::portal::{Error, Loop, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::store::tables::{BODIES, DUE, THREAD_MESSAGES};
use crate::store::{Direction, Tx, WriteTx};

/// Days for which a destroyed message's line without content remains.
pub const TOMBSTONE_DAYS: u8 = 30;
/// Things destroyed in one transaction: few enough that nobody who writes meanwhile waits long.
const SWEEP_BATCH: usize = 64;

/// What one round of the sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Messages and drafts destroyed.
    pub destroyed: usize,
    /// When the next thing is due; none if there is nothing.
    pub next: Option<Timestamp>,
}

/// Destroys a message for everybody who still holds a copy, and leaves its line.
fn destroy(tx: &mut WriteTx<'_>, mut message: Message, now: Timestamp, recalled: bool) -> Result<(), Error> {
    for holder in &message.holders {
        erase_holding(tx, holder.mailbox, message.id)?;
    }
    tx.delete(BODIES, message.id.bytes());
    for blob in std::mem::take(&mut message.blobs) {
        tx.forget_blob(blob);
    }
    undue(tx, Due::Message, message.expires, message.id);
    due(tx, Due::Tombstone, fields::days_after(now, TOMBSTONE_DAYS), message.id, &[]);
    message.destroyed = Some(Destroyed { at: if recalled { now } else { message.expires }, recalled });
    messages::put(tx, &message)?;
    for holder in message.holders.iter().filter(|holder| !holder.deleted) {
        filing::refile(tx, holder.mailbox, message.thread)?;
    }
    Ok(())
}

fn erase_holding(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: MessageId) -> Result<(), Error> {
    let row = messages::holding_key(mailbox, id);
    if let Some(holding) = tx.record::<Holding>(&row)? {
        tx.erase_slot(holding.slot)?;
        tx.delete_record::<Holding>(&row);
    }
    Ok(())
}

/// Removes what remained of a destroyed message.
fn forget_line(tx: &mut WriteTx<'_>, id: MessageId) -> Result<(), Error> {
    let Some(message) = tx.record::<Message>(id.bytes())? else { return Ok(()) };
    for holder in message.holders.iter().filter(|holder| !holder.deleted) {
        tx.delete(THREAD_MESSAGES, &messages::thread_key(holder.mailbox, &message));
        filing::refile(tx, holder.mailbox, message.thread)?;
    }
    tx.delete_record::<Message>(id.bytes());
    Ok(())
}

/// Sees to one thing that is due; which, if it was destroyed.
fn sweep_one(
    tx: &mut WriteTx<'_>,
    row: &[u8],
    of: &[u8],
    now: Timestamp,
    audit: &MacKey,
) -> Result<Option<MessageId>, Error> {
    let bad = || Error::internal("a row of what is due");
    let kind = row.get(8).copied().and_then(Due::of).ok_or_else(bad)?;
    let id = row.last_chunk::<16>().map(|id| MessageId::from_bytes(*id)).ok_or_else(bad)?;
    // Deleted first: whatever is found below, this row has been dealt with.
    tx.delete(DUE, row);
    match kind {
        Due::Message => match tx.record::<Message>(id.bytes())? {
            Some(message) if message.destroyed.is_none() && message.expires <= now => {
                destroy(tx, message, now, false)?;
                audit::note(tx, audit, now, None, Event::MessageExpired, id)?;
                Ok(Some(id))
            }
            _ => Ok(None),
        },
        Due::Draft => {
            drafts::forget(tx, MailboxId::from_key(of).ok_or_else(bad)?, id, false)?;
            Ok(Some(id))
        }
        Due::Tombstone => forget_line(tx, id).map(|()| None),
    }
}

impl Portal {
    /// Destroys what is due, a batch at a time until nothing is; says when the next thing will be.
    pub fn sweep(&self) -> Result<Swept, Error> {
        let now = self.now();
        self.uploads.tidy(now);
        self.tidy_sessions()?;
        let mut destroyed = 0;
        if self.clock_is_believed(now)? {
            while let Some(gone) = self.sweep_batch(now)? {
                self.sessions.forget_glances(&gone);
                destroyed += gone.len();
            }
        }
        let next = self.store.read(|tx| Ok::<_, Error>(tx.range(DUE, &[], &[], Direction::Forward, 1)?))?;
        let next = next.first().and_then(|(key, _)| key.first_chunk::<8>().copied());
        Ok(Swept { destroyed, next: next.map(Timestamp::from_ascending) })
    }

    /// Destroys some of what is due and says what it was; none if nothing is due.
    fn sweep_batch(&self, now: Timestamp) -> Result<Option<Vec<MessageId>>, Error> {
        let audit = self.host.audit_key();
        self.store.write(move |tx| {
            let end = now.plus(1).ascending();
            let rows = tx.range(DUE, &[], &end, Direction::Forward, SWEEP_BATCH)?;
            let (found, mut destroyed) = (!rows.is_empty(), Vec::new());
            for (row, of) in rows {
                destroyed.extend(sweep_one(tx, &row, &of, now, &audit)?);
            }
            Ok(found.then_some(destroyed))
        })
    }

    /// The expiry that a form asks for, for something sent at `sent`: a number of days from sending, or a moment
    /// (RFC 3339). Never later than 30 days from sending, and in the future.
    pub(super) fn parse_expiry(&self, text: &str, sent: Timestamp, now: Timestamp) -> Result<Timestamp, Error> {
        let wrong = |message: &str| Error::invalid("expires", message);
        let at = match text.trim().parse::<u8>() {
            Ok(days) => fields::days_after(sent, fields::expiry_days("expires", days)?),
            Err(_) => {
                let instant: Instant =
                    text.trim().parse().map_err(|_| wrong("Choose when this is to be destroyed."))?;
                Timestamp(instant.as_millisecond())
            }
        };
        if at <= now {
            return Err(wrong("This moment is past. Choose a later one, or recall the message to destroy it now."));
        }
        if at > fields::days_after(sent, EXPIRY_DAYS_MAX) {
            return Err(wrong("At most 30 days from sending."));
        }
        Ok(at)
    }

    /// Moves the expiry of a message that `member` sent.
    pub fn change_expiry(&self, member: &Member, id: MessageId, text: &str) -> Result<(), Error> {
        let (now, audit, me) = (self.now(), self.host.audit_key(), member.account());
        let sent = self.store.read(|tx| own_living(tx, member.mailbox(), id, now))?;
        let expires = self.parse_expiry(text, sent.created, now)?;
        let mailbox = member.mailbox();
        self.store.write(move |tx| {
            let mut message = own_living(tx, mailbox, id, now)?;
            undue(tx, Due::Message, message.expires, id);
            message.expires = expires;
            due(tx, Due::Message, expires, id, &[]);
            messages::put(tx, &message)?;
            audit::note(tx, &audit, now, Some(me), Event::ExpiryChanged, id)
        })?;
        self.wake(Loop::Sweep);
        Ok(())
    }

    /// Destroys a message that `member` sent, for everybody, at once.
    pub fn recall(&self, member: &Member, id: MessageId) -> Result<(), Error> {
        let (now, audit, me, mailbox) = (self.now(), self.host.audit_key(), member.account(), member.mailbox());
        self.store.write(move |tx| {
            let message = own_living(tx, mailbox, id, now)?;
            destroy(tx, message, now, true)?;
            audit::note(tx, &audit, now, Some(me), Event::MessageRecalled, id)
        })?;
        self.sessions.forget_glances(&[id]);
        Ok(())
    }

    /// Destroys one holder's copy. The last copy takes the message with it.
    pub fn delete_copy(&self, member: &Member, id: MessageId) -> Result<(), Error> {
        let (now, audit, me, mailbox) = (self.now(), self.host.audit_key(), member.account(), member.mailbox());
        self.store.write(move |tx| delete_copy(tx, mailbox, me, id, now, &audit))?;
        self.sessions.forget_glances(&[id]);
        Ok(())
    }
}

fn delete_copy(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    me: AccountId,
    id: MessageId,
    now: Timestamp,
    audit: &MacKey,
) -> Result<(), Error> {
    let mut message = messages::message(tx, id)?;
    message.holder_mut(mailbox).ok_or(Error::NotFound)?.deleted = true;
    erase_holding(tx, mailbox, id)?;
    tx.delete(THREAD_MESSAGES, &messages::thread_key(mailbox, &message));
    let (thread, last) = (message.thread, message.holders.iter().all(|holder| holder.deleted));
    messages::put(tx, &message)?;
    if last && message.destroyed.is_none() {
        destroy(tx, message, now, true)?;
    }
    filing::refile(tx, mailbox, thread)?;
    audit::note(tx, audit, now, Some(me), Event::CopyDeleted, id)
}

fn own_living(tx: &impl Tx, mailbox: MailboxId, id: MessageId, now: Timestamp) -> Result<Message, Error> {
    let message = messages::message(tx, id)?;
    message.holder(mailbox).ok_or(Error::NotFound)?;
    if message.sender != mailbox {
        return Err(Error::Denied);
    }
    if message.gone(now).is_some() { Err(Error::Expired) } else { Ok(message) }
}
