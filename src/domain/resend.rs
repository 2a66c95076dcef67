//! Sending a notice again: by the message's sender, or an invitation by a User Manager.

use super::accounts::{self, Account, Status};
use super::audit::{self, Event};
use super::ids::{AccountId, MailboxId, MessageId};
use super::invites;
use super::messages::{self, Holding, Message, NoticeState};
use super::notices;
use super::portal::{Error, Loop, Portal};
use super::sessions::{Manager, Member};
use super::time::Timestamp;
use crate::crypto::Key32;
use crate::store::{Direction, Tx, WriteTx};

/// Copies that are looked at to find the newest message.
const HOLDINGS_MAX: usize = 1000;

impl Portal {
    /// Sends the notice of a message again, with a new link for one who has not registered: by its sender.
    pub fn resend_notice(&self, member: &Member, message: MessageId, to: AccountId) -> Result<(), Error> {
        let mailbox = member.mailbox();
        let now = self.now();
        let may = self.store.read(|tx| {
            let message = messages::message(tx, message)?;
            let recipient = accounts::account(tx, to)?.mailbox;
            let mine = message.sender == mailbox && message.holder(mailbox).is_some();
            let living = mine && message.gone(now).is_none();
            Ok::<_, Error>(living && message.recipients().any(|holder| holder.mailbox == recipient && !holder.deleted))
        })?;
        if may { self.renew_and_tell(member.account(), message, to) } else { Err(Error::NotFound) }
    }

    /// Invites somebody again to the newest message that waits for them: by a User Manager.
    pub fn resend_invitation(&self, manager: &Manager, to: AccountId) -> Result<(), Error> {
        let now = self.now();
        let waiting = self.store.read(|tx| {
            let mailbox = accounts::account(tx, to)?.mailbox;
            newest_for(tx, mailbox, now)
        })?;
        let nothing = "No message is waiting for this person any more. Write to them and they are invited again.";
        let message = waiting.ok_or_else(|| Error::invalid("form", nothing))?;
        self.renew_and_tell(manager.member().account(), message, to)
    }

    fn renew_and_tell(&self, by: AccountId, message: MessageId, to: AccountId) -> Result<(), Error> {
        let (now, audit, wrapping) = (self.now(), self.host.audit_key(), self.host.wrapping_key("notice"));
        self.store.write(move |tx| {
            let account = accounts::account(tx, to)?;
            match account.status {
                Status::Active => {}
                Status::Invited => invites::renew(tx, to)?,
                Status::Disabled => {
                    return Err(Error::invalid("form", "This account is disabled: nothing is sent to it."));
                }
            }
            tell_again(tx, &wrapping, &account, message, now)?;
            audit::note(tx, &audit, now, Some(by), Event::InvitationResent, to)
        })?;
        self.wake(Loop::Outbox);
        Ok(())
    }
}

/// Puts the notice of a message to one of its recipients into the outbox once more.
fn tell_again(
    tx: &mut WriteTx<'_>,
    wrapping: &Key32,
    to: &Account,
    message: MessageId,
    now: Timestamp,
) -> Result<(), Error> {
    let mut row = messages::message(tx, message)?;
    if let Some(holder) = row.holder_mut(to.mailbox) {
        holder.notice = NoticeState::Waiting;
        messages::put(tx, &row)?;
    }
    notices::tell(tx, wrapping, to, message, now)
}

/// Invites somebody whose address was corrected, if a message waits for them.
pub(super) fn invite_anew(
    tx: &mut WriteTx<'_>,
    wrapping: &Key32,
    account: &Account,
    now: Timestamp,
) -> Result<(), Error> {
    match newest_for(tx, account.mailbox, now)? {
        Some(message) => tell_again(tx, wrapping, account, message, now),
        None => Ok(()),
    }
}

/// The newest living message that a mailbox holds.
fn newest_for(tx: &impl Tx, mailbox: MailboxId, now: Timestamp) -> Result<Option<MessageId>, Error> {
    let mut newest: Option<Message> = None;
    for (row, _) in tx.records_under::<Holding>(mailbox.bytes(), Direction::Forward, HOLDINGS_MAX)? {
        let Some(id) = row.last_chunk::<16>() else { continue };
        let message = messages::message(tx, MessageId::from_bytes(*id))?;
        if message.gone(now).is_none() && newest.as_ref().is_none_or(|newest| newest.created < message.created) {
            newest = Some(message);
        }
    }
    Ok(newest.map(|message| message.id))
}
