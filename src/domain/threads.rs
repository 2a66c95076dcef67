//! A conversation as one of its holders sees it.

use std::collections::BTreeSet;

use super::accounts::{self, Corrected};
use super::audit::{self, Event};
use super::filing::{self, Folder};
use super::forwards;
use super::ids::{MessageId, ThreadId};
use super::invites::{self, ReadOut};
use super::messages::{self, Content, Correspondent, Holder, Message, Opened};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::summaries::snippet;
use super::time::Timestamp;
use crate::store::Tx;

/// A conversation.
#[derive(Debug)]
pub struct ThreadView {
    /// Identifier.
    pub id: ThreadId,
    /// Its messages, oldest first.
    pub messages: Vec<MessageView>,
    /// Where it stands.
    pub folder: Folder,
    /// Whether it is starred.
    pub starred: bool,
    /// Whether its reader marked it as unread.
    pub marked_unread: bool,
}

/// A message in its conversation.
#[derive(Debug)]
pub struct MessageView {
    /// What stands outside the seal.
    pub message: Message,
    /// What stands inside.
    pub opened: Opened,
    /// Who sent it.
    pub from: Correspondent,
    /// Whom to.
    pub to: Vec<RecipientView>,
    /// Whether the reader sent it.
    pub mine: bool,
    /// When what it forwards is destroyed: it cannot outlive that.
    pub original_expires: Option<Timestamp>,
    /// Whether this is the first time that the reader sees it.
    pub unread: bool,
}

/// A recipient, as the sender or a fellow recipient sees them.
#[derive(Debug)]
pub struct RecipientView {
    /// Who.
    pub who: Correspondent,
    /// What became of their copy.
    pub holder: Holder,
    /// Whether they were sent a copy, and it was written to others.
    pub cc: bool,
    /// The code to read out to them, for those who may.
    pub code: Option<ReadOut>,
    /// Whether they asked for a new link.
    pub asks: bool,
    /// For the sender: whose word it is, and since when, that the message waits under another address.
    pub address_corrected: Option<(String, Timestamp)>,
    /// The same of a phone number, to which the code is read out.
    pub phone_corrected: Option<(String, Timestamp)>,
}

impl MessageView {
    /// The content, unless it is destroyed or damaged.
    pub fn content(&self) -> Option<&Content> {
        self.opened.content()
    }

    /// The beginning of its text, or of what it forwards; nothing if it is destroyed or damaged.
    pub fn opening(&self) -> Option<String> {
        let content = self.content()?;
        let quoted = content.forwarded.first().filter(|_| content.body.is_empty());
        Some(snippet(quoted.map_or(&content.body, |one| &one.body)))
    }
}

impl Portal {
    /// A conversation, all that its reader may see of it. What is shown for the first time is recorded as opened.
    pub fn thread(&self, member: &Member, id: ThreadId) -> Result<ThreadView, Error> {
        let now = self.now();
        let view = self.store.read(|tx| {
            let mut views = Vec::new();
            for message in messages::of_thread(tx, member.mailbox(), id)? {
                views.push(self.message_view(tx, member, message.id, now)?);
            }
            let filed = filing::filed(tx, member.mailbox(), id)?;
            let (folder, starred, marked_unread) = (filed.folder(), filed.starred, filed.marked_unread);
            Ok::<_, Error>(ThreadView { id, messages: views, folder, starred, marked_unread })
        })?;
        if view.messages.is_empty() {
            return Err(Error::NotFound);
        }
        self.record_opened(member, &view, now)?;
        Ok(view)
    }

    /// The thread of a message that the reader holds or held.
    pub fn thread_of(&self, member: &Member, id: MessageId) -> Result<ThreadId, Error> {
        let message = self.store.read(|tx| messages::message(tx, id))?;
        message.holder(member.mailbox()).map(|_| message.thread).ok_or(Error::NotFound)
    }

    /// A message that is being answered: what it is, who sent it, what it says.
    pub fn quoted(&self, member: &Member, id: MessageId) -> Result<(Message, Correspondent, Content), Error> {
        let (message, content) = self.open_message(member, id)?;
        let from = self.store.read(|tx| messages::correspondent(tx, message.sender))?;
        Ok((message, from, content))
    }

    fn message_view(&self, tx: &impl Tx, member: &Member, id: MessageId, now: Timestamp) -> Result<MessageView, Error> {
        let (message, opened) = messages::open(tx, self.store.slots(), member, id, now)?;
        let mine = message.sender == member.mailbox();
        let copied = opened.content().map(|content| content.cc.as_slice()).unwrap_or_default();
        let mut to = Vec::new();
        for holder in message.recipients() {
            let who = messages::correspondent(tx, holder.mailbox)?;
            let (mut code, mut asks) = (None, false);
            let account = accounts::account(tx, who.account)?;
            if !who.registered {
                code = self.code_to_read_out(tx, member, &account)?;
                asks = account.invited_by == Some(member.account()) && invites::has_asked(tx, account.id)?;
            }
            let corrected = |mark: Option<Corrected>| {
                let later = mark.filter(|mark| mine && mark.at >= message.created);
                later.map(|mark| Ok::<_, Error>((accounts::account(tx, mark.by)?.name(), mark.at))).transpose()
            };
            let address_corrected = corrected(account.address_corrected)?;
            let phone_corrected = corrected(account.phone_corrected)?;
            let (holder, cc) = (holder.clone(), copied.contains(&holder.mailbox));
            to.push(RecipientView { who, holder, cc, code, asks, address_corrected, phone_corrected });
        }
        let original_expires = forwards::limit(tx, &message)?;
        let unread = message.holder(member.mailbox()).is_some_and(|holder| holder.opened.is_none());
        let from = messages::correspondent(tx, message.sender)?;
        Ok(MessageView { message, opened, from, to, mine, original_expires, unread })
    }

    fn record_opened(&self, member: &Member, view: &ThreadView, now: Timestamp) -> Result<(), Error> {
        let new = view.messages.iter().filter(|view| view.unread && view.content().is_some());
        let new: Vec<MessageId> = new.map(|view| view.message.id).collect();
        if new.is_empty() && !view.marked_unread {
            return Ok(());
        }
        let (mailbox, account, thread, audit) = (member.mailbox(), member.account(), view.id, self.host.audit_key());
        self.store.write_urgently(move |tx| {
            let mut senders = BTreeSet::new();
            for id in new {
                let mut message = messages::message(tx, id)?;
                let Some(holder) = message.holder_mut(mailbox).filter(|holder| holder.opened.is_none()) else {
                    continue;
                };
                holder.opened = Some(now);
                messages::put(tx, &message)?;
                audit::note(tx, &audit, now, Some(account), Event::MessageOpened, id)?;
                senders.insert(message.sender);
            }
            // Their lists of what is waited for.
            senders.into_iter().try_for_each(|sender| filing::refile(tx, sender, thread))?;
            filing::refile_opened(tx, mailbox, thread)
        })
    }
}
