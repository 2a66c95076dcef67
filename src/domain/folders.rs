//! Folders: Inbox, Sent and Drafts as ordered lists, and the count of what is unread.
//!
//! A folder is an index of threads, newest first; a thread stands in it at the time of its newest message there. The
//! index is derived: [`refile`] looks at a thread as it is and writes what follows from it.

use serde::{Deserialize, Serialize};

use super::drafts::{self, DraftText};
use super::ids::{MailboxId, MessageId, ThreadId, key};
use super::messages::{self, Correspondent, Message, NoticeState, Opened};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::store::tables::{FILED, FOLDERS, UNREAD};
use crate::store::{Direction, Record, Table, Tx, WriteTx, after, prefix_end};

/// Rows of one page.
pub const PAGE_ROWS: usize = 50;
/// Characters of a message's text that a list shows.
const SNIPPET_CHARS: usize = 120;

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
    fn byte(self) -> u8 {
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
    draft: MessageId,
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

/// A line of a folder.
#[derive(Debug)]
pub struct Row {
    /// Where it leads.
    pub to: RowTarget,
    /// Sender, or recipients.
    pub people: Vec<String>,
    /// Subject; empty when destroyed.
    pub subject: String,
    /// Beginning of the text.
    pub snippet: String,
    /// When it was sent, or the draft changed.
    pub at: Timestamp,
    /// Number of files.
    pub files: usize,
    /// Whether something in it is unread.
    pub unread: bool,
    /// When it is destroyed; none for a draft.
    pub expires: Option<Timestamp>,
    /// For what the reader sent: how it stands with the recipients.
    pub status: Option<SentStatus>,
    /// Set when there is nothing left but this line.
    pub gone: Option<Gone>,
}

/// Where a line leads.
#[derive(Clone, Copy, Debug)]
pub enum RowTarget {
    /// To a conversation.
    Thread(ThreadId),
    /// To a draft.
    Draft(MessageId),
}

/// How it stands with what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentStatus {
    /// Nobody has opened it.
    NotOpened,
    /// The first of its recipients opened it then.
    Opened(Timestamp),
    /// The notice to one of them could not be delivered.
    Undelivered,
}

/// What remains of a destroyed message.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Who sent it.
    pub from: String,
    /// Whom to.
    pub to: Vec<String>,
    /// When it was sent.
    pub sent: Timestamp,
    /// When it was destroyed.
    pub at: Timestamp,
    /// Whether its sender recalled it.
    pub recalled: bool,
}

/// A page of a folder.
#[derive(Debug)]
pub struct Page {
    /// Its lines.
    pub rows: Vec<Row>,
    /// Where the next page begins.
    pub older: Option<String>,
}

impl SentStatus {
    fn of(message: &Message) -> Self {
        let failed = message.recipients().any(|holder| matches!(holder.notice, NoticeState::Failed(_)));
        match message.recipients().filter_map(|holder| holder.opened).min() {
            Some(at) => Self::Opened(at),
            None if failed => Self::Undelivered,
            None => Self::NotOpened,
        }
    }
}

impl Gone {
    /// The line that remains of `message`.
    pub fn of(message: &Message, from: &str, to: Vec<String>, at: messages::Destroyed) -> Self {
        Self { from: from.to_owned(), to, sent: message.created, at: at.at, recalled: at.recalled }
    }
}

impl Portal {
    /// A page of a folder; `before` is the cursor of an earlier page.
    pub fn folder(&self, member: &Member, folder: Folder, before: Option<&str>) -> Result<Page, Error> {
        let now = self.now();
        let prefix = key(&[member.mailbox().bytes(), &[folder.byte()]]);
        let from = match before {
            Some(cursor) => after(&[prefix.as_slice(), &parse_cursor(cursor)?].concat()),
            None => prefix.clone(),
        };
        self.store.read(|tx| {
            let found = tx.range(FOLDERS, &from, &prefix_end(&prefix), Direction::Forward, PAGE_ROWS + 1)?;
            let (more, mut rows) = (found.len() > PAGE_ROWS, Vec::new());
            let mut last = None;
            for (row, message) in found.into_iter().take(PAGE_ROWS) {
                let id = MessageId::from_key(&message).ok_or_else(|| Error::internal("a folder's row"))?;
                rows.push(match folder {
                    Folder::Drafts => self.draft_row(tx, member, id)?,
                    _ => self.message_row(tx, member, id, now)?,
                });
                last = Some(row);
            }
            let cursor = last.and_then(|row| row.get(prefix.len()..).map(|c| data_encoding::HEXLOWER.encode(c)));
            Ok(Page { rows, older: cursor.filter(|_| more) })
        })
    }

    /// Threads with something unread.
    pub fn unread(&self, member: &Member) -> Result<u32, Error> {
        let row = self.store.read(|tx| Ok::<_, Error>(tx.record::<Unread>(member.mailbox().bytes())?))?;
        Ok(row.unwrap_or_default().threads)
    }

    fn message_row(&self, tx: &impl Tx, member: &Member, id: MessageId, now: Timestamp) -> Result<Row, Error> {
        let (message, opened) = messages::open(tx, self.store.slots(), member, id, now)?;
        let mine = message.sender == member.mailbox();
        let from = messages::correspondent(tx, message.sender)?;
        let to = message.recipients().map(|holder| messages::correspondent(tx, holder.mailbox));
        let to: Vec<String> = to.map(|who| who.map(|who: Correspondent| who.name)).collect::<Result<_, Error>>()?;
        let filed = tx.record::<Filed>(&key(&[member.mailbox().bytes(), message.thread.bytes()]))?;
        let mut row = Row {
            to: RowTarget::Thread(message.thread),
            people: if mine { to.clone() } else { vec![from.name.clone()] },
            subject: String::new(),
            snippet: String::new(),
            at: message.created,
            files: 0,
            unread: !mine && filed.is_some_and(|filed| filed.unread),
            expires: Some(message.expires),
            status: mine.then(|| SentStatus::of(&message)),
            gone: None,
        };
        match opened {
            Opened::Content(content) => {
                row.subject = content.subject;
                row.snippet = snippet(&content.body);
                row.files = content.files.len();
            }
            Opened::Destroyed(at) => row.gone = Some(Gone::of(&message, &from.name, to, at)),
            Opened::Damaged => row.subject = "This message was changed on the disk and can't be shown.".into(),
        }
        Ok(row)
    }

    fn draft_row(&self, tx: &impl Tx, member: &Member, id: MessageId) -> Result<Row, Error> {
        let (draft, text): (_, DraftText) = drafts::open(tx, self.store.slots(), member, id)?;
        let people = match text.reply_to {
            Some(to) => match self.reply_people(tx, member, to, text.reply_all) {
                Ok(people) => people.into_iter().map(|who| who.name).collect(),
                Err(_) => vec![],
            },
            None => text.to.split([',', ';']).map(str::trim).filter(|to| !to.is_empty()).map(str::to_owned).collect(),
        };
        Ok(Row {
            to: RowTarget::Draft(id),
            people,
            snippet: snippet(&text.body),
            subject: text.subject,
            at: draft.changed,
            files: drafts::files_count(tx, id)?,
            unread: false,
            expires: None,
            status: None,
            gone: None,
        })
    }
}

fn parse_cursor(cursor: &str) -> Result<Vec<u8>, Error> {
    let bytes = data_encoding::HEXLOWER.decode(cursor.as_bytes()).map_err(|_| Error::NotFound)?;
    if bytes.len() == 24 { Ok(bytes) } else { Err(Error::NotFound) }
}

fn snippet(body: &str) -> String {
    let text = body.split_whitespace().take(40).collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().take(SNIPPET_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
