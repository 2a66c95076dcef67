//! Folders: Inbox, Sent and Drafts as their owner sees them, a page at a time.

use std::collections::HashMap;

use super::drafts::{self, DraftText};
use super::filing::{self, Folder};
use super::glances::{Glance, snippet};
use super::ids::{DraftId, MailboxId, MessageId, ThreadId, key};
use super::messages::{self, Message, NoticeState, Opened};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::store::tables::FOLDERS;
use crate::store::{Direction, Tx, after, prefix_end};

/// Rows of one page.
pub const PAGE_ROWS: usize = 50;

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
    /// Whether it was changed on the disk and cannot be shown.
    pub damaged: bool,
}

/// Where a line leads.
#[derive(Clone, Copy, Debug)]
pub enum RowTarget {
    /// To a conversation.
    Thread(ThreadId),
    /// To a draft.
    Draft(DraftId),
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

/// A page of messages being read.
struct Reading<'r, T> {
    tx: &'r T,
    member: &'r Member,
    now: Timestamp,
    /// Names that were looked up: the lines of a page are of few people.
    names: HashMap<MailboxId, String>,
    /// What had to be opened.
    new: Vec<(MessageId, Glance)>,
}

impl<T: Tx> Reading<'_, T> {
    fn name(&mut self, mailbox: MailboxId) -> Result<String, Error> {
        if let Some(name) = self.names.get(&mailbox) {
            return Ok(name.clone());
        }
        let name = messages::correspondent(self.tx, mailbox)?.name;
        self.names.insert(mailbox, name.clone());
        Ok(name)
    }

    fn recipients(&mut self, message: &Message) -> Result<Vec<String>, Error> {
        message.recipients().map(|holder| self.name(holder.mailbox)).collect()
    }
}

/// What is found inside a message's seal, as far as a list shows it.
enum Glanced {
    Content(Glance),
    Destroyed(messages::Destroyed),
    Damaged,
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
        let forgotten = self.sessions.forgotten();
        let (page, new) = self.store.read(|tx| {
            let found = tx.range(FOLDERS, &from, &prefix_end(&prefix), Direction::Forward, PAGE_ROWS + 1)?;
            let (more, mut rows) = (found.len() > PAGE_ROWS, Vec::new());
            let mut reading = Reading { tx, member, now, names: HashMap::new(), new: Vec::new() };
            let mut last = None;
            for (row, id) in found.into_iter().take(PAGE_ROWS) {
                let unknown = || Error::internal("a folder's row");
                rows.extend(match folder {
                    // A draft whose destruction a full disk interrupted is no longer to be opened, and not to be shown.
                    Folder::Drafts => match self.draft_row(tx, member, DraftId::from_key(&id).ok_or_else(unknown)?) {
                        Err(Error::Expired) => None,
                        row => Some(row?),
                    },
                    _ => Some(self.message_row(&mut reading, MessageId::from_key(&id).ok_or_else(unknown)?)?),
                });
                last = Some(row);
            }
            let cursor = last.and_then(|row| row.get(prefix.len()..).map(|c| data_encoding::HEXLOWER.encode(c)));
            Ok::<_, Error>((Page { rows, older: cursor.filter(|_| more) }, reading.new))
        })?;
        if !new.is_empty() {
            self.sessions.keep_glances(member.session(), forgotten, new);
        }
        Ok(page)
    }

    /// Threads with something unread.
    pub fn unread(&self, member: &Member) -> Result<u32, Error> {
        self.store.read(|tx| filing::unread_threads(tx, member.mailbox()))
    }

    fn message_row<T: Tx>(&self, reading: &mut Reading<'_, T>, id: MessageId) -> Result<Row, Error> {
        let Reading { tx, member, .. } = *reading;
        let message = messages::held(tx, member, id)?;
        let mine = message.sender == member.mailbox();
        let unread = !mine && filing::is_unread(tx, member.mailbox(), message.thread)?;
        let mut row = Row {
            to: RowTarget::Thread(message.thread),
            people: if mine { reading.recipients(&message)? } else { vec![reading.name(message.sender)?] },
            subject: String::new(),
            snippet: String::new(),
            at: message.created,
            files: 0,
            unread,
            expires: Some(message.expires),
            status: mine.then(|| SentStatus::of(&message)),
            gone: None,
            damaged: false,
        };
        match self.glance(reading, &message)? {
            Glanced::Content(mut glance) => {
                row.subject = std::mem::take(&mut glance.subject);
                row.snippet = std::mem::take(&mut glance.snippet);
                row.files = glance.files;
            }
            Glanced::Destroyed(at) => {
                let (from, to) = (reading.name(message.sender)?, reading.recipients(&message)?);
                row.gone = Some(Gone::of(&message, &from, to, at));
            }
            Glanced::Damaged => row.damaged = true,
        }
        Ok(row)
    }

    /// What a list shows of a message that its reader holds: remembered, or else opened.
    fn glance<T: Tx>(&self, reading: &mut Reading<'_, T>, message: &Message) -> Result<Glanced, Error> {
        let Reading { tx, member, now, .. } = *reading;
        if let Some(destroyed) = message.gone(now) {
            return Ok(Glanced::Destroyed(destroyed));
        }
        if let Some(glance) = self.sessions.glance(member.session(), message.id) {
            return Ok(Glanced::Content(glance));
        }
        Ok(match messages::open_held(tx, self.store.slots(), member, message, now)? {
            Opened::Content(content) => {
                let glance = Glance::of(&content);
                reading.new.push((message.id, glance.clone()));
                Glanced::Content(glance)
            }
            Opened::Destroyed(at) => Glanced::Destroyed(at),
            Opened::Damaged => Glanced::Damaged,
        })
    }

    fn draft_row(&self, tx: &impl Tx, member: &Member, id: DraftId) -> Result<Row, Error> {
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
            files: drafts::files_count(tx, member.mailbox(), id)?,
            unread: false,
            expires: None,
            status: None,
            gone: None,
            damaged: false,
        })
    }
}

fn parse_cursor(cursor: &str) -> Result<Vec<u8>, Error> {
    let bytes = data_encoding::HEXLOWER.decode(cursor.as_bytes()).map_err(|_| Error::NotFound)?;
    if bytes.len() == 24 { Ok(bytes) } else { Err(Error::NotFound) }
}
