//! Folders as their owner sees them, a page at a time, and what is done with the conversations in them.

use std::collections::HashMap;

use super::counts::{self, Counts};
use super::drafts::{self, DraftText};
use super::expiry;
use super::filing::{self, Filter, Folder, Mark, list_byte};
use super::ids::{DraftId, MailboxId, MessageId, ThreadId, key};
use super::messages::{self, Message, NoticeState, Opened};
use super::portal::{DAY, Error, Portal};
use super::sessions::Member;
use super::summaries::{NewSummary, Summaries, Summary, snippet};
use super::time::Timestamp;
use crate::store::tables::FOLDERS;
use crate::store::{Direction, Tx, after, prefix_end};
use crate::words::said::say;

/// Rows of one page.
pub const PAGE_ROWS: usize = 50;
/// Conversations that are dealt with at once.
pub const MARKED_MAX: usize = 100;
/// The list of what goes soon ends so many milliseconds from now.
pub const SOON: i64 = 3 * DAY;

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
    /// Whether it is starred.
    pub starred: bool,
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
    summaries: Summaries,
    now: Timestamp,
    /// Names that were looked up: the lines of a page are of few people.
    names: HashMap<MailboxId, String>,
    /// What had to be opened.
    new: Vec<NewSummary>,
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
    Content(Summary),
    Destroyed(messages::Destroyed),
    Damaged,
}

impl Portal {
    /// A page of a folder; `before` is the cursor of an earlier page.
    pub fn folder(&self, member: &Member, folder: Folder, filter: Filter, before: Option<&str>) -> Result<Page, Error> {
        let now = self.now();
        let prefix = key(&[member.mailbox().bytes(), &[list_byte(folder, filter)]]);
        let from = match before {
            Some(cursor) => after(&[prefix.as_slice(), &parse_cursor(cursor)?].concat()),
            None => prefix.clone(),
        };
        let end = match filter {
            Filter::Soon => key(&[&prefix, &now.plus(SOON).ascending()]),
            _ => prefix_end(&prefix),
        };
        let summaries = Summaries::of(member);
        let (page, new) = self.store.read(|tx| {
            let found = tx.range(FOLDERS, &from, &end, Direction::Forward, PAGE_ROWS + 1)?;
            let (more, mut rows) = (found.len() > PAGE_ROWS, Vec::new());
            let mut reading = Reading { tx, member, summaries, now, names: HashMap::new(), new: Vec::new() };
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
            match self.keep_summaries(member, new) {
                // What was opened is shown all the same, and opened again next time.
                Err(Error::Full) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    /// The counts beside the folders.
    pub fn counts(&self, member: &Member) -> Result<Counts, Error> {
        self.store.read(|tx| counts::of(tx, member.mailbox()))
    }

    /// Does the same with several conversations: all of them, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one of them is none of this person's; [`Error::Invalid`] when there are too many.
    pub fn mark(&self, member: &Member, threads: Vec<ThreadId>, mark: Mark) -> Result<(), Error> {
        few_enough(&threads)?;
        let (mailbox, now) = (member.mailbox(), self.now());
        self.store.write(move |tx| threads.iter().try_for_each(|id| filing::mark(tx, mailbox, *id, mark, now)))
    }

    /// Destroys one's own copies of everything in several conversations.
    ///
    /// # Errors
    /// As for [`Portal::mark`].
    pub fn delete_threads(&self, member: &Member, threads: Vec<ThreadId>) -> Result<(), Error> {
        few_enough(&threads)?;
        let (now, audit, me, mailbox) = (self.now(), self.host.audit_key(), member.account(), member.mailbox());
        self.store.write_urgently(move |tx| {
            for thread in threads {
                let copies = messages::of_thread(tx, mailbox, thread)?;
                if copies.is_empty() {
                    return Err(Error::NotFound);
                }
                for message in copies {
                    expiry::delete_copy(tx, mailbox, Some(me), message.id, now, &audit)?;
                }
            }
            Ok(())
        })?;
        self.forget_destroyed();
        Ok(())
    }

    fn message_row<T: Tx>(&self, reading: &mut Reading<'_, T>, id: MessageId) -> Result<Row, Error> {
        let Reading { tx, member, .. } = *reading;
        let message = messages::held(tx, member, id)?;
        let mine = message.sender == member.mailbox();
        let filed = filing::filed(tx, member.mailbox(), message.thread)?;
        let mut row = Row {
            to: RowTarget::Thread(message.thread),
            people: if mine { reading.recipients(&message)? } else { vec![reading.name(message.sender)?] },
            subject: String::new(),
            snippet: String::new(),
            at: message.created,
            files: 0,
            unread: !mine && filed.unread,
            starred: filed.starred,
            expires: Some(message.expires),
            status: mine.then(|| SentStatus::of(&message)),
            gone: None,
            damaged: false,
        };
        match self.glance(reading, &message)? {
            Glanced::Content(mut summary) => {
                row.subject = std::mem::take(&mut summary.subject);
                row.snippet = std::mem::take(&mut summary.snippet);
                row.files = summary.files;
            }
            Glanced::Destroyed(at) => {
                let (from, to) = (reading.name(message.sender)?, reading.recipients(&message)?);
                row.gone = Some(Gone::of(&message, &from, to, at));
            }
            Glanced::Damaged => row.damaged = true,
        }
        Ok(row)
    }

    /// What a list shows of a message that its reader holds: its summary, or else what opening it gives.
    fn glance<T: Tx>(&self, reading: &mut Reading<'_, T>, message: &Message) -> Result<Glanced, Error> {
        let Reading { tx, member, now, .. } = *reading;
        if let Some(destroyed) = message.gone(now) {
            return Ok(Glanced::Destroyed(destroyed));
        }
        if let Some(summary) = reading.summaries.open(tx, self.store.slots(), message.id)? {
            return Ok(Glanced::Content(summary));
        }
        Ok(match messages::open_held(tx, self.store.slots(), member, message, now)? {
            Opened::Content(content) => {
                let summary = Summary::of(&content);
                reading.new.extend(reading.summaries.renew(tx, self.store.slots(), message.id, &summary)?);
                Glanced::Content(summary)
            }
            Opened::Destroyed(at) => Glanced::Destroyed(at),
            Opened::Damaged => Glanced::Damaged,
        })
    }

    fn draft_row(&self, tx: &impl Tx, member: &Member, id: DraftId) -> Result<Row, Error> {
        let (draft, text): (_, DraftText) = drafts::open(tx, self.store.slots(), member, id)?;
        let people = match text.reply_to {
            Some(to) => match self.reply_people(tx, member, to, text.reply_all) {
                Ok(people) => people.into_iter().map(|one| one.who.name).collect(),
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
            starred: false,
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

fn few_enough(threads: &[ThreadId]) -> Result<(), Error> {
    if threads.is_empty() {
        return Err(Error::invalid("form", "Choose a conversation first."));
    }
    if threads.len() > MARKED_MAX {
        return Err(Error::invalid("form", say!("At most {most} conversations at once.", most = MARKED_MAX)));
    }
    Ok(())
}
