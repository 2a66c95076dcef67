//! Filing: the ordered lists behind Inbox, Sent and Drafts, and the count of what is unread.
//!
//! A folder is an index of threads, newest first; a thread stands in it at the time of its newest message there. The
//! index is derived: [`refile`] looks at a thread as it is and writes what follows from it.

use serde::{Deserialize, Serialize};

use super::ids::{DraftId, MailboxId, MessageId, ThreadId, key};
use super::messages::{self, Message};
use super::portal::Error;
use super::time::Timestamp;
use crate::store::tables::{FILED, FOLDERS, UNREAD};
use crate::store::{Record, Table, Tx, WriteTx};

/// A list that a mailbox has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Received.
    Inbox,
    /// Sent.
    Sent,
    /// Not sent yet.
    Drafts,
}

impl Folder {
    /// Its place in keys.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Inbox => 1,
            Self::Sent => 2,
            Self::Drafts => 3,
        }
    }
}

/// Where a thread is filed now, so that it can be taken out again. Key: mailbox ‖ thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Filed {
    inbox: Option<(Timestamp, MessageId)>,
    sent: Option<(Timestamp, MessageId)>,
    unread: bool,
}

impl Record for Filed {
    const TABLE: Table = FILED;
    const VERSION: u8 = 1;
}

/// Threads with something unread. Key: mailbox.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Unread {
    threads: u32,
}

impl Record for Unread {
    const TABLE: Table = UNREAD;
    const VERSION: u8 = 1;
}

fn folder_key(mailbox: MailboxId, folder: Folder, at: Timestamp, last: &[u8; 16]) -> Vec<u8> {
    key(&[mailbox.bytes(), &[folder.byte()], &at.descending(), last])
}

/// Files a draft, taking it out where it was.
pub(super) fn file_draft(
    tx: &mut WriteTx<'_>,
    mailbox: MailboxId,
    draft: DraftId,
    was: Option<Timestamp>,
    now: Option<Timestamp>,
) {
    if let Some(was) = was {
        tx.delete(FOLDERS, &folder_key(mailbox, Folder::Drafts, was, draft.bytes()));
    }
    if let Some(now) = now {
        tx.put(FOLDERS, &folder_key(mailbox, Folder::Drafts, now, draft.bytes()), draft.bytes().to_vec());
    }
}

/// Files a thread of a mailbox anew, after anything in it changed.
pub(super) fn refile(tx: &mut WriteTx<'_>, mailbox: MailboxId, thread: ThreadId) -> Result<(), Error> {
    let row = key(&[mailbox.bytes(), thread.bytes()]);
    let was = tx.record::<Filed>(&row)?.unwrap_or_default();
    let all = messages::of_thread(tx, mailbox, thread)?;
    let is = Filed {
        inbox: newest(all.iter().filter(|message| message.sender != mailbox)),
        sent: newest(all.iter().filter(|message| message.sender == mailbox)),
        unread: all.iter().any(|m| m.destroyed.is_none() && m.holder(mailbox).is_some_and(|h| h.opened.is_none())),
    };
    if was == is {
        return Ok(());
    }
    for (folder, old, new) in [(Folder::Inbox, was.inbox, is.inbox), (Folder::Sent, was.sent, is.sent)] {
        if old == new {
            continue;
        }
        if let Some((at, _)) = old {
            tx.delete(FOLDERS, &folder_key(mailbox, folder, at, thread.bytes()));
        }
        if let Some((at, message)) = new {
            tx.put(FOLDERS, &folder_key(mailbox, folder, at, thread.bytes()), message.bytes().to_vec());
        }
    }
    if was.unread != is.unread {
        let mut unread = tx.record::<Unread>(mailbox.bytes())?.unwrap_or_default();
        unread.threads = if is.unread { unread.threads + 1 } else { unread.threads.saturating_sub(1) };
        tx.put_record(mailbox.bytes(), &unread)?;
    }
    if is == Filed::default() {
        tx.delete_record::<Filed>(&row)
    } else {
        tx.put_record(&row, &is)?
    }
    Ok(())
}

/// The newest that still has content; where all is destroyed, the newest of what is left.
fn newest<'a>(messages: impl DoubleEndedIterator<Item = &'a Message> + Clone) -> Option<(Timestamp, MessageId)> {
    let living = messages.clone().rev().find(|message| message.destroyed.is_none());
    living.or_else(|| messages.into_iter().next_back()).map(|message| (message.created, message.id))
}

/// Whether something in a thread is unread.
pub(super) fn is_unread(tx: &impl Tx, mailbox: MailboxId, thread: ThreadId) -> Result<bool, Error> {
    Ok(tx.record::<Filed>(&key(&[mailbox.bytes(), thread.bytes()]))?.is_some_and(|filed| filed.unread))
}

/// Number of a mailbox's threads with something unread.
pub(super) fn unread_threads(tx: &impl Tx, mailbox: MailboxId) -> Result<u32, Error> {
    Ok(tx.record::<Unread>(mailbox.bytes())?.unwrap_or_default().threads)
}
