//! Forwarding: a message of one's own that quotes another, with its files if wanted.
//!
//! What is quoted stands inside the new message's seal, taken from the original at the moment of sending; no draft ever
//! holds it. A forwarded copy never outlives the original's date: it is bound to that date when it is made, and follows
//! when the original is recalled or its date is moved forward. Who deletes their own copy of the original takes nothing
//! from anybody.

use super::due::{self, Due};
use super::filing;
use super::ids::{FileId, MailboxId, MessageId, key};
use super::messages::{self, Correspondent, FileInfo, Forwarded, Forwards, Message};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::shards;
use super::time::Timestamp;
use crate::store::tables::FORWARDS;
use crate::store::{Direction, Tx, WriteTx, prefix_end};

/// Messages that stand in one: beyond, somebody forwards what they should write anew.
const FORWARDED_MAX: usize = 20;

/// What is forwarded.
#[derive(Clone, Debug)]
pub struct Original {
    /// What stands outside its seal.
    pub message: Message,
    /// What is quoted: itself, and before it whatever it forwards.
    pub forwarded: Vec<Forwarded>,
    /// Its files.
    pub files: Vec<FileInfo>,
}

impl Original {
    /// Its files of which these are wanted.
    pub(super) fn kept(&self, wanted: &[FileId]) -> Vec<FileInfo> {
        self.files.iter().filter(|file| wanted.contains(&file.id)).cloned().collect()
    }

    /// What binds a forwarded copy to it.
    pub(super) fn bond(&self) -> Forwards {
        Forwards { of: self.message.id, until: self.message.expires }
    }
}

impl Forwards {
    /// Checks that the original still is what it was a moment ago.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not.
    pub(super) fn check(self, tx: &impl Tx, by: MailboxId, now: Timestamp) -> Result<(), Error> {
        let message = messages::message(tx, self.of)?;
        let holds = message.holder(by).is_some() && message.gone(now).is_none() && message.expires == self.until;
        if holds { Ok(()) } else { Err(Error::Conflict) }
    }
}

fn link_key(of: MessageId, copy: MessageId) -> Vec<u8> {
    key(&[of.bytes(), copy.bytes()])
}

/// Notes that a message forwards another, if it does.
pub(super) fn link(tx: &mut WriteTx<'_>, message: &Message) {
    if let Some(bond) = message.forwards {
        tx.put(FORWARDS, &link_key(bond.of, message.id), Vec::new());
    }
}

/// Forgets that a message forwarded another.
pub(super) fn unlink(tx: &mut WriteTx<'_>, message: &Message) {
    if let Some(bond) = message.forwards {
        tx.delete(FORWARDS, &link_key(bond.of, message.id));
    }
}

/// Moves the date of one living message.
pub(super) fn reschedule(tx: &mut WriteTx<'_>, mut message: Message, to: Timestamp) -> Result<(), Error> {
    due::undue(tx, Due::Message(message.id), message.expires);
    let was = std::mem::replace(&mut message.expires, to);
    due::due(tx, Due::Message(message.id), to);
    messages::put(tx, &message)?;
    for holder in message.holders.iter().filter(|holder| !holder.deleted) {
        shards::read_anew(tx, holder.mailbox, message.id, was)?;
        filing::refile(tx, holder.mailbox, message.thread)?;
    }
    Ok(())
}

/// Moves every forwarded copy of a message, and the copies of those, to an earlier date; which were moved.
pub(super) fn hasten(tx: &mut WriteTx<'_>, of: MessageId, to: Timestamp) -> Result<Vec<MessageId>, Error> {
    let (mut originals, mut moved) = (vec![of], Vec::new());
    while let Some(of) = originals.pop() {
        for (row, _) in tx.range(FORWARDS, of.bytes(), &prefix_end(of.bytes()), Direction::Forward, usize::MAX)? {
            let copy = row.last_chunk::<16>().ok_or_else(|| Error::internal("a forwarded copy's key"))?;
            let copy = messages::message(tx, MessageId::from_bytes(*copy))?;
            if copy.destroyed.is_none() && copy.expires > to {
                originals.push(copy.id);
                moved.push(copy.id);
                reschedule(tx, copy, to)?;
            }
        }
    }
    Ok(moved)
}

/// The date beyond which a message cannot be moved because of what it forwards: the original's as it is now.
pub(super) fn limit(tx: &impl Tx, message: &Message) -> Result<Option<Timestamp>, Error> {
    let Some(bond) = message.forwards else { return Ok(None) };
    let original = tx.record::<Message>(bond.of.bytes())?;
    Ok(Some(original.map_or(bond.until, |original| original.expires.min(bond.until))))
}

fn as_written(who: &Correspondent) -> String {
    if who.name == who.email { who.email.clone() } else { format!("{} <{}>", who.name, who.email) }
}

impl Portal {
    /// What `member` would forward.
    ///
    /// # Errors
    /// [`Error::Denied`] when its sender forbids it, or for one who may not begin conversations; [`Error::NotFound`];
    /// [`Error::Expired`] when it is destroyed; [`Error::Conflict`] when it is damaged; [`Error::Invalid`] on `form`
    /// when it has been forwarded too often.
    pub fn forwardable(&self, member: &Member, id: MessageId) -> Result<Original, Error> {
        let (message, content) = self.open_message(member, id)?;
        if content.no_forwarding || !member.can_compose() {
            return Err(Error::Denied);
        }
        if content.forwarded.len() >= FORWARDED_MAX {
            let message = "This was forwarded from one to the other too often. Write a new message instead.";
            return Err(Error::invalid("form", message));
        }
        let (from, to, cc) = self.store.read(|tx| {
            let person = |mailbox| messages::correspondent(tx, mailbox).map(|who| as_written(&who));
            let people = |cc: bool| {
                let some = message.recipients().filter(|holder| content.cc.contains(&holder.mailbox) == cc);
                some.map(|holder| person(holder.mailbox)).collect::<Result<Vec<_>, Error>>()
            };
            Ok::<_, Error>((person(message.sender)?, people(false)?, people(true)?))
        })?;
        let own = Forwarded { from, to, cc, sent: message.created, subject: content.subject, body: content.body };
        let forwarded = std::iter::once(own).chain(content.forwarded).collect();
        Ok(Original { message, forwarded, files: content.files })
    }
}
