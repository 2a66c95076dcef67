//! Filing: the ordered lists behind the folders and their filters, and the counts beside them.
//!
//! A list is an index of conversations (of drafts: of themselves); a conversation stands in it once, at the time of its
//! newest message there. What follows from the messages is derived: [`refile`] looks at a conversation as it is and
//! writes its places anew. What its owner decided (archived, starred, read) is kept beside them in [`Filed`].
//!
//! Every filter is a list of its own, so that a page costs what it shows, whatever the mailbox holds.

use serde::{Deserialize, Serialize};

use super::counts::{self, Counts};
use super::ids::{DraftId, MailboxId, MessageId, ThreadId, key};
use super::messages::{self, Message};
use super::portal::Error;
use super::time::Timestamp;
use crate::store::tables::{FILED, FOLDERS};
use crate::store::{Record, Table, Tx, WriteTx};

/// A folder of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Received.
    Inbox,
    /// Sent.
    Sent,
    /// Not sent yet.
    Drafts,
    /// Received and put away, until something new comes.
    Archive,
}

/// What of a folder is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    #[default]
    All,
    /// With something unread.
    Unread,
    /// Starred.
    Starred,
    /// With files.
    Files,
    /// Sent, and one of the recipients has not opened it.
    NotOpened,
    /// By the date of destruction, the next first.
    Soon,
}

impl Folder {
    /// The filters that make sense in it.
    pub fn filters(self) -> &'static [Filter] {
        match self {
            Self::Inbox | Self::Archive => &[Filter::All, Filter::Unread, Filter::Starred, Filter::Files, Filter::Soon],
            Self::Sent => &[Filter::All, Filter::NotOpened, Filter::Starred, Filter::Files, Filter::Soon],
            Self::Drafts => &[Filter::All],
        }
    }
}

/// The place of a list in keys.
pub(super) fn list_byte(folder: Folder, filter: Filter) -> u8 {
    let folder = match folder {
        Folder::Inbox => 1,
        Folder::Sent => 2,
        Folder::Drafts => 3,
        Folder::Archive => 4,
    };
    let filter = match filter {
        Filter::All => 0,
        Filter::Unread => 1,
        Filter::Starred => 2,
        Filter::Files => 3,
        Filter::NotOpened => 4,
        Filter::Soon => 5,
    };
    folder << 4 | filter
}

/// One place of a conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    list: u8,
    /// When its newest message there was sent; in the list of those that go soon, when the first of them goes.
    at: Timestamp,
    /// The message that stands for it there.
    message: MessageId,
}

/// Where a conversation stands, and what its owner decided. Key: mailbox ‖ thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filed {
    places: Vec<Place>,
    /// Whether something in it is unread.
    pub unread: bool,
    /// Whether its owner starred it.
    pub starred: bool,
    /// What had come when it was archived is; anything newer brings it back to the inbox.
    archived: Option<Timestamp>,
    /// What had come when it was marked as read is no longer unread, although it has not been opened.
    read_until: Option<Timestamp>,
    /// Marked as unread by its owner, until it is opened or marked as read.
    pub marked_unread: bool,
}

impl Record for Filed {
    const TABLE: Table = FILED;
    const VERSION: u8 = 1;
}

/// What its owner does with a conversation as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Puts it away.
    Archive,
    /// Back to the inbox.
    Unarchive,
    /// Marks it as read. Its senders see nothing of this: it has not been opened.
    Read,
    /// Marks it as unread.
    Unread,
    /// Stars it.
    Star,
    /// Takes the star off.
    Unstar,
}

/// Counts a place that is taken or left, if the list is one whose length is shown.
fn count(counts: &mut Counts, list: u8, step: i32) {
    let number = if list == list_byte(Folder::Inbox, Filter::Unread) {
        &mut counts.inbox_unread
    } else if list == list_byte(Folder::Archive, Filter::Unread) {
        &mut counts.archive_unread
    } else if list == list_byte(Folder::Drafts, Filter::All) {
        &mut counts.drafts
    } else {
        return;
    };
    *number = number.saturating_add_signed(step);
}

/// The key of a row of a list; a draft stands in for a thread.
fn row_key(mailbox: MailboxId, list: u8, at: Timestamp, id: &[u8; 16]) -> Vec<u8> {
    let soon = list & 0x0f == list_byte(Folder::Inbox, Filter::Soon) & 0x0f;
    let order = if soon { at.ascending() } else { at.descending() };
    key(&[mailbox.bytes(), &[list], &order, id])
}

/// Files a draft, taking it out where it was.
pub(super) fn file_draft(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    draft: DraftId,
    was: Option<Timestamp>,
    now: Option<Timestamp>,
) -> Result<(), Error> {
    let list = list_byte(Folder::Drafts, Filter::All);
    if let Some(was) = was {
        tx.delete(FOLDERS, &row_key(mailbox, list, was, draft.bytes()));
    }
    if let Some(now) = now {
        tx.put(FOLDERS, &row_key(mailbox, list, now, draft.bytes()), draft.bytes().to_vec());
    }
    counts::change(tx, mailbox, |counts| count(counts, list, i32::from(now.is_some()) - i32::from(was.is_some())))
}

fn filed_key(mailbox: MailboxId, thread: ThreadId) -> Vec<u8> {
    key(&[mailbox.bytes(), thread.bytes()])
}

/// How a conversation is filed.
pub(super) fn filed(tx: &impl Tx, mailbox: MailboxId, thread: ThreadId) -> Result<Filed, Error> {
    Ok(tx.record::<Filed>(&filed_key(mailbox, thread))?.unwrap_or_default())
}

/// Files a conversation anew, after anything in it changed.
pub(super) fn refile(tx: &mut WriteTx<'_>, mailbox: MailboxId, thread: ThreadId) -> Result<(), Error> {
    let was = filed(tx, mailbox, thread)?;
    write(tx, mailbox, thread, &was, was.clone())
}

/// Files a conversation anew once its owner has opened all of it.
pub(super) fn refile_opened(tx: &mut WriteTx<'_>, mailbox: MailboxId, thread: ThreadId) -> Result<(), Error> {
    let was = filed(tx, mailbox, thread)?;
    write(tx, mailbox, thread, &was, Filed { marked_unread: false, ..was.clone() })
}

/// Does what the owner of a conversation wants.
///
/// # Errors
/// [`Error::NotFound`] when there is no such conversation in this mailbox.
pub(super) fn mark(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    thread: ThreadId,
    mark: Mark,
    now: Timestamp,
) -> Result<(), Error> {
    let was = filed(tx, mailbox, thread)?;
    if was.places.is_empty() {
        return Err(Error::NotFound);
    }
    let mut is = was.clone();
    match mark {
        Mark::Archive => is.archived = Some(now),
        Mark::Unarchive => is.archived = None,
        Mark::Read => (is.read_until, is.marked_unread) = (Some(now), false),
        Mark::Unread => is.marked_unread = true,
        Mark::Star => is.starred = true,
        Mark::Unstar => is.starred = false,
    }
    write(tx, mailbox, thread, &was, is)
}

/// Writes the places that follow from the messages and from what the owner decided.
fn write(tx: &mut WriteTx<'_>, mailbox: MailboxId, thread: ThreadId, was: &Filed, mut is: Filed) -> Result<(), Error> {
    is.settle(&messages::of_thread(tx, mailbox, thread)?, mailbox);
    if *was == is {
        return Ok(());
    }
    for place in was.places.iter().filter(|place| !is.places.contains(place)) {
        tx.delete(FOLDERS, &row_key(mailbox, place.list, place.at, thread.bytes()));
    }
    for place in is.places.iter().filter(|place| !was.places.contains(place)) {
        tx.put(FOLDERS, &row_key(mailbox, place.list, place.at, thread.bytes()), place.message.bytes().to_vec());
    }
    counts::change(tx, mailbox, |counts| {
        was.places.iter().for_each(|place| count(counts, place.list, -1));
        is.places.iter().for_each(|place| count(counts, place.list, 1));
    })?;
    if is.places.is_empty() {
        tx.delete_record::<Filed>(&filed_key(mailbox, thread));
        return Ok(());
    }
    Ok(tx.put_record(&filed_key(mailbox, thread), &is)?)
}

impl Filed {
    /// The folder that it is looked for in.
    pub fn folder(&self) -> Folder {
        let stands = |folder| self.places.iter().any(|place| place.list == list_byte(folder, Filter::All));
        if stands(Folder::Archive) {
            Folder::Archive
        } else if stands(Folder::Inbox) {
            Folder::Inbox
        } else {
            Folder::Sent
        }
    }

    /// The places of a conversation of these messages, oldest first.
    fn settle(&mut self, all: &[Message], mailbox: MailboxId) {
        let (sent, received): (Vec<&Message>, Vec<&Message>) = all.iter().partition(|m| m.sender == mailbox);
        let is_new = |message: &&Message| {
            message.destroyed.is_none()
                && message.holder(mailbox).is_some_and(|holder| holder.opened.is_none())
                && self.read_until.is_none_or(|until| message.created > until)
        };
        self.unread = !received.is_empty() && (self.marked_unread || received.iter().any(is_new));
        let newest_came = received.iter().map(|message| message.created).max();
        let is_archived = self.archived.is_some_and(|archived| newest_came.is_some_and(|came| came <= archived));
        let folder = if is_archived { Folder::Archive } else { Folder::Inbox };
        let is_waited_for = |message: &&Message| {
            message.destroyed.is_none() && message.recipients().any(|holder| holder.opened.is_none())
        };
        self.places.clear();
        self.place(folder, &received, &[(Filter::Unread, self.unread)]);
        self.place(Folder::Sent, &sent, &[(Filter::NotOpened, sent.iter().any(is_waited_for))]);
    }

    fn place(&mut self, folder: Folder, messages: &[&Message], own: &[(Filter, bool)]) {
        let Some((at, message)) = newest(messages) else { return };
        let living = || messages.iter().filter(|message| message.destroyed.is_none());
        let has_files = living().any(|message| !message.blobs.is_empty());
        let common = [(Filter::All, true), (Filter::Starred, self.starred), (Filter::Files, has_files)];
        for (filter, _) in common.iter().chain(own).filter(|(_, stands)| *stands) {
            self.places.push(Place { list: list_byte(folder, *filter), at, message });
        }
        if let Some(first) = living().min_by_key(|message| message.expires) {
            let list = list_byte(folder, Filter::Soon);
            self.places.push(Place { list, at: first.expires, message: first.id });
        }
    }
}

/// The newest that still has content; where all is destroyed, the newest of what is left.
fn newest(messages: &[&Message]) -> Option<(Timestamp, MessageId)> {
    let living = messages.iter().rev().find(|message| message.destroyed.is_none());
    living.or(messages.last()).map(|message| (message.created, message.id))
}
