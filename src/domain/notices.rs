//! Notices: the content-free letters that leave the server, in an outbox written with the change that they tell of.
//!
//! A loop takes what is due ([`Portal::letters_due`]), hands it to the mail server outside of any transaction, and
//! reports back ([`Portal::letter_done`]). Without a mail server the letters stay for the administrator's outbox page.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Status};
use super::audit::{self, Event};
use super::expiry::is_of_rows;
use super::ids::{AccountId, MessageId, NoticeId, key};
use super::links;
use super::messages::{self, Message, NoticeState};
use super::portal::{DAY, Error, HOUR, MINUTE, Portal};
use super::practices;
use super::sessions::Admin;
use super::time::Timestamp;
use crate::crypto::{Key32, Sealed};
use crate::store::tables::OUTBOX;
use crate::store::{Direction, ReadRow, Record, Table, Tx, WriteTx, chain};

/// How long a letter is tried, in milliseconds.
pub const GIVE_UP_AFTER: i64 = 3 * DAY;
/// Waits between tries, in milliseconds; the last one repeats.
const BACKOFF: [i64; 5] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR];
/// Letters handed over in one round.
const ROUND: usize = 20;
/// Letters that the outbox page shows.
const OUTBOX_ROWS: usize = 200;

/// A letter on its way. Key: moment when it is due ‖ identifier.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Notice {
    id: NoticeId,
    kind: Kind,
    /// Whom to.
    to: AccountId,
    /// The message that it tells of.
    message: Option<MessageId>,
    created: Timestamp,
    tries: u32,
    /// The registration link's token under the host key, for one who has not registered.
    token: Option<Sealed>,
}

impl Record for Notice {
    const TABLE: Table = OUTBOX;
    const VERSION: u8 = 1;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// There is a message.
    Message,
    /// Somebody invited asks their inviter for a new link.
    Ask(AccountId),
}

/// A letter with everything that its template needs.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Reports back with it.
    pub key: Vec<u8>,
    /// Names the letter in its Message-ID.
    pub id: NoticeId,
    /// Name of the template: `notice` or `ask`.
    pub template: &'static str,
    /// Whom to.
    pub to: String,
    /// Name of who wrote, or asks.
    pub sender: String,
    /// The practice that runs the server: everybody here writes through it.
    pub practice: String,
    /// Where it leads.
    pub link: String,
    /// Name of whom to.
    pub recipient: String,
    /// Whether the recipient has not registered yet.
    pub invited: bool,
    /// Until when the message can be read.
    pub expires: Timestamp,
    /// Time zone of the recipient.
    pub time_zone: String,
    /// When it was written.
    pub created: Timestamp,
}

/// How handing a letter over went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The mail server took it.
    Over,
    /// Not now; it is tried again.
    Later,
    /// The mail server refuses it for good; why, in plain words.
    Refused(String),
}

fn row_key(at: Timestamp, id: NoticeId) -> Vec<u8> {
    key(&[&at.ascending(), id.bytes()])
}

/// The identifier in a row's key, for what is left of a damaged one; empty if the key is damaged as well.
fn id_of(row: &[u8]) -> String {
    let id = row.last_chunk::<16>().map(|id| NoticeId::from_bytes(*id));
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn put(tx: &mut WriteTx<'_>, at: Timestamp, notice: &Notice) -> Result<(), Error> {
    Ok(tx.put_record(&row_key(at, notice.id), notice)?)
}

/// Puts a letter to every recipient of a new message into the outbox.
pub(super) fn tell_recipients(
    tx: &mut WriteTx<'_>,
    wrapping: &Key32,
    message: &Message,
    now: Timestamp,
) -> Result<(), Error> {
    for holder in message.recipients() {
        let to = accounts::account(tx, accounts::mailbox(tx, holder.mailbox)?.owner)?;
        tell(tx, wrapping, &to, message.id, now)?;
    }
    Ok(())
}

/// Puts a letter to one recipient of a message into the outbox, with a link of their own if they have not registered.
pub(super) fn tell(
    tx: &mut WriteTx<'_>,
    wrapping: &Key32,
    to: &Account,
    message: MessageId,
    now: Timestamp,
) -> Result<(), Error> {
    let id = NoticeId::generate();
    let token = match to.status {
        Status::Invited => {
            let token = links::new_link(tx, to.id, Some(message), now)?;
            Some(wrapping.seal(id.bytes(), token.as_bytes())?)
        }
        _ => None,
    };
    put(tx, now, &Notice { id, kind: Kind::Message, to: to.id, message: Some(message), created: now, tries: 0, token })
}

/// Tells an inviter that somebody asks for a new link.
pub(super) fn ask_inviter(
    tx: &mut WriteTx<'_>,
    asks: &Account,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(to) = asks.invited_by else { return Ok(()) };
    let (id, kind) = (NoticeId::generate(), Kind::Ask(asks.id));
    put(tx, now, &Notice { id, kind, to, message, created: now, tries: 0, token: None })
}

/// Takes letters to somebody invited out of the outbox, and what they asked for: their links lead nowhere any more.
pub(super) fn withdraw(tx: &mut WriteTx<'_>, to: AccountId) -> Result<(), Error> {
    let is_theirs = |notice: &Notice| notice.to == to || notice.kind == Kind::Ask(to);
    let letters = tx.records_each::<Notice>(&[], &[], Direction::Forward, usize::MAX)?;
    for (row, _) in letters.into_iter().filter(|(_, read)| read.as_ref().is_ok_and(is_theirs)) {
        tx.delete_record::<Notice>(&row);
    }
    Ok(())
}

impl Portal {
    /// Letters that are due to be handed over now.
    pub fn letters_due(&self) -> Result<Vec<Letter>, Error> {
        let end = self.now().plus(1).ascending();
        let rows =
            self.store.read(|tx| Ok::<_, Error>(tx.records_each::<Notice>(&[], &end, Direction::Forward, ROUND)?))?;
        self.letters(rows)
    }

    /// When the next letter is due; none if the outbox is empty.
    pub fn next_letter(&self) -> Result<Option<Timestamp>, Error> {
        let rows = self.store.read(|tx| Ok::<_, Error>(tx.range(OUTBOX, &[], &[], Direction::Forward, 1)?))?;
        let at = rows.first().and_then(|(key, _)| key.first_chunk::<8>().copied());
        Ok(at.map(Timestamp::from_ascending))
    }

    /// The outbox, newest first, for the administrator of an installation that only listens on loopback.
    pub fn outbox(&self, _admin: &Admin) -> Result<Vec<Letter>, Error> {
        if !self.has_outbox() {
            return Err(Error::NotFound);
        }
        let rows = self
            .store
            .read(|tx| Ok::<_, Error>(tx.records_each::<Notice>(&[], &[], Direction::Backward, OUTBOX_ROWS)?))?;
        self.letters(rows)
    }

    /// Whether letters are kept for the outbox page: no mail server, and nobody but this machine to look.
    pub fn has_outbox(&self) -> bool {
        self.options.loopback && !self.options.sends_mail
    }

    /// Fills letters in. One whose message is gone, or whose recipient cannot receive it, is dropped; and so is one that
    /// cannot be read, which would otherwise stand in the way of all behind it.
    fn letters(&self, rows: Vec<ReadRow<Notice>>) -> Result<Vec<Letter>, Error> {
        let now = self.now();
        let (mut letters, mut pointless, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for (row, read) in rows {
            let filled = match read {
                Ok(notice) => self.store.read(|tx| self.letter(tx, row.clone(), &notice, now)),
                Err(error) => Err(error.into()),
            };
            match filled {
                Ok(Some(letter)) => letters.push(letter),
                Ok(None) => pointless.push(row),
                Err(error) if is_of_rows(&error) => {
                    tracing::error!(cause = chain(&error), "a notice is damaged and was dropped");
                    damaged.push(row);
                }
                Err(error) => return Err(error),
            }
        }
        if !(pointless.is_empty() && damaged.is_empty()) {
            let audit = self.host.audit_key();
            self.store.write(move |tx| {
                pointless.iter().chain(&damaged).for_each(|row| tx.delete_record::<Notice>(row));
                damaged.iter().try_for_each(|row| audit::note(tx, &audit, now, None, Event::NoticeFailed, id_of(row)))
            })?;
        }
        Ok(letters)
    }

    fn letter(&self, tx: &impl Tx, row: Vec<u8>, notice: &Notice, now: Timestamp) -> Result<Option<Letter>, Error> {
        let to = accounts::account(tx, notice.to)?;
        if to.status == Status::Disabled {
            return Ok(None);
        }
        let message = match notice.message {
            Some(id) => tx.record::<Message>(id.bytes())?.filter(|message| message.gone(now).is_none()),
            None => None,
        };
        let url = &self.options.public_url;
        let host = practices::host(tx)?.map(|host| host.name).unwrap_or_default();
        let (template, sender, link) = match notice.kind {
            Kind::Message => {
                let Some(message) = &message else { return Ok(None) };
                let sender = messages::correspondent(tx, message.sender)?.name;
                let link = match (&notice.token, to.status) {
                    (Some(token), Status::Invited) => {
                        let plain = self.host.wrapping_key("notice").open(notice.id.bytes(), token)?;
                        format!("{url}/register/{}", String::from_utf8_lossy(plain.as_bytes()))
                    }
                    _ => format!("{url}/threads/{}", message.thread),
                };
                ("notice", sender, link)
            }
            Kind::Ask(who) => {
                let asks = accounts::account(tx, who)?.name();
                let thread = message.as_ref().map(|message| format!("{url}/threads/{}", message.thread));
                ("ask", asks, thread.unwrap_or_else(|| format!("{url}/sent")))
            }
        };
        Ok(Some(Letter {
            key: row,
            id: notice.id,
            template,
            to: to.email.to_string(),
            sender,
            practice: host,
            link,
            recipient: to.name(),
            invited: to.status == Status::Invited,
            expires: message.map_or(notice.created, |message| message.expires),
            time_zone: to.time_zone,
            created: notice.created,
        }))
    }

    /// Records how handing a letter over went.
    pub fn letter_done(&self, letter: &Letter, handed: Handed) -> Result<(), Error> {
        let (now, audit, row) = (self.now(), self.host.audit_key(), letter.key.clone());
        self.store.write(move |tx| {
            let Some(mut notice) = tx.record::<Notice>(&row)? else { return Ok(()) };
            tx.delete_record::<Notice>(&row);
            let late = now.since(notice.created) >= GIVE_UP_AFTER;
            let state = match handed {
                Handed::Over => NoticeState::Sent(now),
                Handed::Refused(why) => NoticeState::Failed(why),
                Handed::Later if late => {
                    NoticeState::Failed("The mail server could not be reached for three days.".into())
                }
                Handed::Later => {
                    let step = usize::try_from(notice.tries).unwrap_or(usize::MAX).min(BACKOFF.len() - 1);
                    notice.tries += 1;
                    return put(tx, now.plus(BACKOFF.get(step).copied().unwrap_or(HOUR)), &notice);
                }
            };
            let event = if matches!(state, NoticeState::Sent(_)) { Event::NoticeSent } else { Event::NoticeFailed };
            audit::note(tx, &audit, now, None, event, notice.id)?;
            let Some(mut message) = notice.message.map(|id| tx.record::<Message>(id.bytes())).transpose()?.flatten()
            else {
                return Ok(());
            };
            let mailbox = accounts::account(tx, notice.to)?.mailbox;
            if notice.kind == Kind::Message
                && let Some(holder) = message.holder_mut(mailbox)
            {
                holder.notice = state;
                messages::put(tx, &message)?;
            }
            Ok(())
        })
    }
}
