//! Expiry: the dates on which things are destroyed, the sweep that keeps them, and destroying early.
//!
//! The order is an ordered set in the database: the first key is the next thing due. To destroy is to overwrite the
//! slots first and forget the rows after, in one operation of the store.

use jiff::Timestamp as Instant;

use super::audit::{self, Event};
use super::blobs;
use super::drafts;
use super::due::{Due, due, undue};
use super::fields::{self, EXPIRY_DAYS_MAX};
use super::filing;
use super::forwards;
use super::ids::{AccountId, MailboxId, MessageId};
use super::messages::{self, Destroyed, Holding, Message};
use super::portal::{Error, Loop, Portal};
use super::sessions::Member;
use super::shards;
use super::summaries;
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::store::tables::{BODIES, DUE, THREAD_MESSAGES};
use crate::store::{Direction, Row, StoreError, Tx, WriteTx, after, chain};

/// Days for which a destroyed message's line without content remains, from its date on, however late the sweep was.
pub const TOMBSTONE_DAYS: u8 = 30;
/// Things destroyed in one transaction: few enough that nobody who writes meanwhile waits long.
const SWEEP_BATCH: usize = 64;

/// What one round of the sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages and drafts destroyed.
    pub destroyed: usize,
    /// Things that are due and could not be destroyed; each is in the log, and the next round tries again.
    pub failed: usize,
    /// When the next thing will be due that is not due now; none if there is nothing.
    pub next: Option<Timestamp>,
}

/// Destroys a message for everybody who still holds a copy, and leaves its line.
pub(super) fn destroy(tx: &mut WriteTx<'_>, mut message: Message, now: Timestamp, recalled: bool) -> Result<(), Error> {
    // The sender, who stands first, comes last: should this be interrupted, they still have it to recall again.
    for holder in message.holders.iter().rev() {
        erase_holding(tx, holder.mailbox, &message)?;
    }
    tx.delete(BODIES, message.id.bytes());
    for blob in std::mem::take(&mut message.blobs) {
        blobs::release(tx, blob)?;
    }
    forwards::unlink(tx, &message);
    undue(tx, Due::Message(message.id), message.expires);
    let at = if recalled { now } else { message.expires };
    due(tx, Due::Tombstone(message.id), fields::days_after(at, TOMBSTONE_DAYS));
    message.destroyed = Some(Destroyed { at, recalled });
    messages::put(tx, &message)?;
    for holder in message.holders.iter().filter(|holder| !holder.deleted) {
        filing::refile(tx, holder.mailbox, message.thread)?;
    }
    Ok(())
}

fn erase_holding(tx: &mut WriteTx<'_>, mailbox: MailboxId, message: &Message) -> Result<(), Error> {
    shards::forget(tx, mailbox, message.id, message.expires)?;
    let row = messages::holding_key(mailbox, message.id);
    if let Some(holding) = tx.record::<Holding>(&row)? {
        tx.erase_slot(holding.slot)?;
        tx.delete_record::<Holding>(&row);
    }
    summaries::forget(tx, mailbox, message.id);
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
) -> Result<Option<Due>, Error> {
    let what = Due::of(row, of).ok_or_else(|| Error::internal("a row of what is due"))?;
    // Deleted first: whatever is found below, this row has been dealt with.
    tx.delete(DUE, row);
    match what {
        Due::Message(id) => match tx.record::<Message>(id.bytes())? {
            Some(message) if message.destroyed.is_none() && message.expires <= now => {
                destroy(tx, message, now, false)?;
                audit::note(tx, audit, now, None, Event::MessageExpired, id)?;
                Ok(Some(what))
            }
            _ => Ok(None),
        },
        Due::Draft(mailbox, id) => drafts::forget(tx, mailbox, id, false).map(|()| Some(what)),
        Due::Tombstone(id) => forget_line(tx, id).map(|()| None),
    }
}

/// Whether an error comes from what stands in the rows, and not from the disk or the database as a whole.
pub(super) fn is_of_rows(error: &Error) -> bool {
    if matches!(error, Error::Full) {
        return false;
    }
    let Error::Internal { cause } = error else { return true };
    match cause.downcast_ref() {
        Some(StoreError::Decode { .. } | StoreError::Tampered { .. } | StoreError::Panicked) | None => true,
        Some(_) => false,
    }
}

impl Portal {
    /// Destroys what is due, a batch at a time until nothing is; says when the next thing will be. What cannot be
    /// destroyed, because its rows are damaged, keeps nothing else alive.
    ///
    /// # Errors
    /// [`Error::Full`] when the keys of everything due are overwritten, but the disk has no room to forget the rows.
    pub fn sweep(&self) -> Result<Swept, Error> {
        let now = self.now();
        self.uploads.tidy(now);
        self.tidy_sessions()?;
        let end = now.plus(1).ascending();
        let (mut swept, mut is_full) = (Swept::default(), false);
        if self.clock_is_believed(now)? {
            let mut from = Vec::new();
            loop {
                let start = std::mem::take(&mut from);
                let rows = self.store.read(|tx| tx.range(DUE, &start, &end, Direction::Forward, SWEEP_BATCH))?;
                let Some((last, _)) = rows.last() else { break };
                from = after(last);
                match self.sweep_batch(rows, now, &mut swept) {
                    Err(Error::Full) => is_full = true,
                    done => done?,
                }
            }
        }
        self.forget_destroyed();
        if is_full {
            return Err(Error::Full);
        }
        let next = self.store.read(|tx| tx.range(DUE, &end, &[], Direction::Forward, 1))?;
        let next = next.first().and_then(|(key, _)| key.first_chunk::<8>().copied());
        swept.next = next.map(Timestamp::from_ascending);
        Ok(swept)
    }

    /// Destroys a batch in one commit; if that fails, each by itself, so that one that is damaged spares no other.
    fn sweep_batch(&self, rows: Vec<Row>, now: Timestamp, swept: &mut Swept) -> Result<(), Error> {
        match self.sweep_rows(rows.clone(), now) {
            Ok(gone) => {
                swept.destroyed += gone.len();
                return Ok(());
            }
            Err(error) if !is_of_rows(&error) => return Err(error),
            Err(error) if rows.len() == 1 => {
                tracing::error!(cause = chain(&error), "something that is due could not be destroyed");
                swept.failed += 1;
                return Ok(());
            }
            Err(_) => {}
        }
        rows.into_iter().try_for_each(|row| self.sweep_batch(vec![row], now, swept))
    }

    /// Says what was destroyed.
    fn sweep_rows(&self, rows: Vec<Row>, now: Timestamp) -> Result<Vec<Due>, Error> {
        let audit = self.host.audit_key();
        self.store.write_urgently(move |tx| {
            let mut destroyed = Vec::new();
            for (row, of) in rows {
                // Since it was read its date may have been moved.
                if tx.has(DUE, &row)? {
                    destroyed.extend(sweep_one(tx, &row, &of, now, &audit)?);
                }
            }
            Ok(destroyed)
        })
    }

    /// The expiry that a form asks for, for something sent at `sent`: a number of days from sending, or a moment
    /// (RFC 3339). Never later than 30 days from sending nor than what is forwarded lives, and in the future.
    pub(super) fn parse_expiry(
        &self,
        text: &str,
        sent: Timestamp,
        now: Timestamp,
        original: Option<Timestamp>,
    ) -> Result<Timestamp, Error> {
        let wrong = |message: &'static str| Error::invalid("expires", message);
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
        if original.is_some_and(|original| at > original) {
            return Err(wrong("What is forwarded is destroyed before then. Choose an earlier date."));
        }
        Ok(at)
    }

    /// Moves the expiry of a message that `member` sent.
    pub fn change_expiry(&self, member: &Member, id: MessageId, text: &str) -> Result<(), Error> {
        let (now, audit, me) = (self.now(), self.host.audit_key(), member.account());
        let (sent, original) = self.store.read(|tx| {
            let sent = own_living(tx, member.mailbox(), id, now)?;
            let original = forwards::limit(tx, &sent)?;
            Ok::<_, Error>((sent.created, original))
        })?;
        let expires = self.parse_expiry(text, sent, now, original)?;
        let mailbox = member.mailbox();
        self.store.write(move |tx| {
            let message = own_living(tx, mailbox, id, now)?;
            if forwards::limit(tx, &message)? != original {
                return Err(Error::Conflict);
            }
            forwards::reschedule(tx, message, expires)?;
            for id in std::iter::once(id).chain(forwards::hasten(tx, id, expires)?) {
                audit::note(tx, &audit, now, Some(me), Event::ExpiryChanged, id)?;
            }
            Ok(())
        })?;
        self.wake(Loop::Sweep);
        Ok(())
    }

    /// Destroys a message that `member` sent, for everybody, at once. Forwarded copies are due in the same moment: nobody
    /// can read them any more, and the sweep destroys them.
    pub fn recall(&self, member: &Member, id: MessageId) -> Result<(), Error> {
        let (now, audit, me, mailbox) = (self.now(), self.host.audit_key(), member.account(), member.mailbox());
        self.store.write_urgently(move |tx| {
            let message = own_living(tx, mailbox, id, now)?;
            destroy(tx, message, now, true)?;
            forwards::hasten(tx, id, now)?;
            audit::note(tx, &audit, now, Some(me), Event::MessageRecalled, id)
        })?;
        self.wake(Loop::Sweep);
        self.forget_destroyed();
        Ok(())
    }

    /// Destroys one holder's copy. The last copy takes the message with it.
    pub fn delete_copy(&self, member: &Member, id: MessageId) -> Result<(), Error> {
        let (now, audit, me, mailbox) = (self.now(), self.host.audit_key(), member.account(), member.mailbox());
        self.store.write_urgently(move |tx| delete_copy(tx, mailbox, Some(me), id, now, &audit))?;
        self.forget_destroyed();
        Ok(())
    }

    /// Takes what was just destroyed out of what searches keep in memory.
    pub(super) fn forget_destroyed(&self) {
        self.sessions.forget_shards(|slot| self.store.slots().read(slot).is_ok());
    }
}

/// Destroys one holder's copy, and the message with the last.
pub(super) fn delete_copy(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    actor: Option<AccountId>,
    id: MessageId,
    now: Timestamp,
    audit: &MacKey,
) -> Result<(), Error> {
    let mut message = messages::message(tx, id)?;
    message.holder_mut(mailbox).ok_or(Error::NotFound)?.deleted = true;
    erase_holding(tx, mailbox, &message)?;
    tx.delete(THREAD_MESSAGES, &messages::thread_key(mailbox, &message));
    let (thread, last) = (message.thread, message.holders.iter().all(|holder| holder.deleted));
    messages::put(tx, &message)?;
    if last && message.destroyed.is_none() {
        destroy(tx, message, now, true)?;
    }
    filing::refile(tx, mailbox, thread)?;
    audit::note(tx, audit, now, actor, Event::CopyDeleted, id)
}

fn own_living(tx: &impl Tx, mailbox: MailboxId, id: MessageId, now: Timestamp) -> Result<Message, Error> {
    let message = messages::message(tx, id)?;
    message.holder(mailbox).ok_or(Error::NotFound)?;
    if message.sender != mailbox {
        return Err(Error::Denied);
    }
    if message.gone(now).is_some() { Err(Error::Expired) } else { Ok(message) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::ids::DraftId;
    use crate::domain::portal::{DAY, test_portal_with};
    use crate::domain::time::{Clock, TestClock};

    fn due_rows(portal: &Portal) -> usize {
        portal.store.read(|tx| tx.range(DUE, &[], &[], Direction::Forward, 1000)).unwrap().len()
    }

    #[test]
    fn what_is_damaged_spares_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(Timestamp(1_000 * DAY)));
        let portal = test_portal_with(folder.path(), clock.clone());
        let soon = clock.now().plus(DAY);
        portal
            .store
            .write(move |tx| {
                // No such kind; it is the first that is due.
                tx.put(DUE, &[&Timestamp(1).ascending()[..], &[9], &[0; 16]].concat(), vec![]);
                for _ in 0..SWEEP_BATCH * 2 {
                    due(tx, Due::Draft(MailboxId::generate(), DraftId::generate()), Timestamp(2));
                }
                due(tx, Due::Tombstone(MessageId::generate()), soon);
                Ok::<_, Error>(())
            })
            .unwrap();
        let swept = portal.sweep().unwrap();
        assert_eq!(swept, Swept { destroyed: SWEEP_BATCH * 2, failed: 1, next: Some(soon) });
        assert_eq!(due_rows(&portal), 2);
    }

    #[test]
    fn while_the_clock_is_not_believed_nothing_is_due_now() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(Timestamp(1_000 * DAY)));
        let portal = test_portal_with(folder.path(), clock.clone());
        portal.sweep().unwrap();
        portal
            .store
            .write(|tx| {
                due(tx, Due::Draft(MailboxId::generate(), DraftId::generate()), Timestamp(1_001 * DAY));
                Ok::<_, Error>(())
            })
            .unwrap();
        clock.set(Timestamp(1_400 * DAY));
        assert_eq!(portal.sweep().unwrap(), Swept::default());
        assert_eq!(due_rows(&portal), 1, "it waits");
        clock.turn(Duration::from_secs(86_400));
        assert_eq!(portal.sweep().unwrap().destroyed, 1, "a day later the clock is believed");
    }
}
