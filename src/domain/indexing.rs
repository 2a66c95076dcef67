//! Reading messages for search: from the list of what is in no shard yet into shards, while their owner is signed in.
//!
//! Everything slow (opening, indexing, sealing) is done before the transaction, which checks that each message is still
//! what was read. What was destroyed or moved meanwhile keeps its shard from being written, and is read again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::accounts;
use super::expiry;
use super::ids::{MailboxId, MessageId};
use super::messages::{self, Content, Message, Opened};
use super::portal::{DAY, Error, Portal};
use super::sessions::Member;
use super::shards::{self, NewShard, Shard};
use super::time::Timestamp;
use crate::crypto::Parcel;
use crate::crypto::slots::SlotKey;
use crate::search::shard::{Entry, build};
use crate::store::{Tx, WriteTx};

/// Messages that one search reads before it answers.
pub(super) const READ_AT_ONCE_MAX: usize = 2000;
/// Messages read in one step. They are of all days: with fewer, a large mailbox would be joined from small shards again
/// and again.
const STEP_MESSAGES: usize = 2000;
/// Bytes of text read in one step; the message that passes it is the last.
const STEP_TEXT_BYTES: usize = 8 << 20;
/// Messages of a shard.
const SHARD_MESSAGES_MAX: usize = 1000;
/// Messages of a shard of which the first expires within a day: each that does takes its shard with it.
const SOON_SHARD_MESSAGES_MAX: usize = 100;
/// Bytes of text from which on a shard takes no more messages.
const SHARD_TEXT_BYTES: usize = 8 << 20;
/// Shards of a mailbox and day that may have room left; one more, and they are joined.
const SMALL_SHARDS_MAX: usize = 4;

/// Whose messages are being read just now: one reader each is enough.
#[derive(Default)]
pub(super) struct Readers(Mutex<HashSet<MailboxId>>);

/// A reader; it ends when dropped.
struct Reader<'r>(&'r Readers, MailboxId);

impl Readers {
    fn busy(&self) -> MutexGuard<'_, HashSet<MailboxId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if somebody reads this mailbox already.
    fn begin(&self, mailbox: MailboxId) -> Option<Reader<'_>> {
        self.busy().insert(mailbox).then(|| Reader(self, mailbox))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.busy().remove(&self.1);
    }
}

/// A message that was read.
struct Read {
    id: MessageId,
    expires: Timestamp,
    entry: Entry,
}

/// The messages of one day, and the shards that they replace.
#[derive(Default)]
pub(super) struct Pile {
    read: Vec<Read>,
    joined: Vec<Vec<u8>>,
}

/// What one step has read.
#[derive(Default)]
pub(super) struct Step {
    pub(super) piles: BTreeMap<u32, Pile>,
    /// What can't be opened, and is looked for no longer.
    lost: Vec<MessageId>,
    text_bytes: usize,
}

impl Portal {
    /// Reads at most `limit` messages of somebody's mailbox that no search would find yet.
    pub(super) fn read_for_search(&self, member: &Member, limit: usize) -> Result<(), Error> {
        let Some(_reader) = self.readers.begin(member.mailbox()) else { return Ok(()) };
        let mut left = limit;
        while left > 0 {
            let read = self.read_step(member, left.min(STEP_MESSAGES))?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read);
        }
        Ok(())
    }

    /// One step of the same behind their back, as long as they are signed in; whether there is more to do.
    pub(super) fn read_on(&self, member: &Member) -> Result<bool, Error> {
        if !self.sessions.is_open(member.session()) {
            return Ok(false);
        }
        let Some(_reader) = self.readers.begin(member.mailbox()) else { return Ok(false) };
        Ok(self.read_step(member, STEP_MESSAGES)? > 0)
    }

    /// How many messages left the list.
    fn read_step(&self, member: &Member, limit: usize) -> Result<usize, Error> {
        let (now, mailbox) = (self.now(), member.mailbox());
        let step = self.store.read(|tx| self.read_listed(tx, member, limit, now))?;
        let mut done = step.lost.len();
        if done > 0 {
            let lost = step.lost;
            self.store.write(move |tx| {
                lost.iter().for_each(|id| shards::unlist(tx, mailbox, *id));
                Ok::<_, Error>(())
            })?;
        }
        for (day, pile) in step.piles {
            done += self.write_pile(member, day, pile, now)?;
        }
        Ok(done)
    }

    /// Opens what is on the list, and the small shards that it is time to join with it.
    pub(super) fn read_listed(
        &self,
        tx: &impl Tx,
        member: &Member,
        limit: usize,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let (mut step, mut people) = (Step::default(), HashMap::new());
        let mut read = |step: &mut Step, id| self.read_one(tx, member, id, now, &mut people, step);
        for id in shards::listed(tx, member.mailbox(), limit)? {
            read(&mut step, id)?;
            if step.text_bytes > STEP_TEXT_BYTES {
                break;
            }
        }
        let days: Vec<u32> = step.piles.keys().copied().collect();
        for day in days {
            let own = shards::of_day(tx, member.mailbox(), day)?;
            let is_small = |shard: &Result<Shard, _>| shard.as_ref().is_ok_and(|shard| !shard.full);
            let small = own.into_iter().filter(|(_, shard)| is_small(shard));
            // One that is damaged is none to be joined: opening it finds out.
            let small: Vec<_> = small.filter_map(|(row, _)| Some((shards::messages(tx, &row).ok()?, row))).collect();
            if small.len() < SMALL_SHARDS_MAX {
                continue;
            }
            for (messages, row) in small {
                messages.into_iter().try_for_each(|id| read(&mut step, id))?;
                step.piles.entry(day).or_default().joined.push(row);
            }
        }
        Ok(step)
    }

    fn read_one(
        &self,
        tx: &impl Tx,
        member: &Member,
        id: MessageId,
        now: Timestamp,
        people: &mut HashMap<MailboxId, String>,
        step: &mut Step,
    ) -> Result<(), Error> {
        let opened = messages::open(tx, self.store.slots(), member, id, now).and_then(|(message, opened)| {
            let Opened::Content(content) = opened else { return Err(Error::NotFound) };
            Ok((entry(tx, member, &message, content, people)?, message))
        });
        match opened {
            Ok((entry, message)) => {
                step.text_bytes += entry.text_bytes();
                let pile = step.piles.entry(shards::day(message.expires)).or_default();
                pile.read.push(Read { id, expires: message.expires, entry });
            }
            // One that is damaged keeps no other from being found.
            Err(error) if expiry::is_of_rows(&error) => step.lost.push(id),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes shards of a day's messages; how many messages are in them that were in none.
    pub(super) fn write_pile(&self, member: &Member, day: u32, mut pile: Pile, now: Timestamp) -> Result<usize, Error> {
        pile.read.sort_by_key(|read| (read.expires, read.id));
        let soon = pile.read.first().is_some_and(|first| first.expires.since(now) < DAY);
        let most = if soon { SOON_SHARD_MESSAGES_MAX } else { SHARD_MESSAGES_MAX };
        let mut done = 0;
        let mut read = pile.read.into_iter().peekable();
        let mut joined = pile.joined;
        while read.peek().is_some() {
            let (mut ids, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
            while entries.len() < most && bytes < SHARD_TEXT_BYTES {
                let Some(next) = read.next() else { break };
                bytes += next.entry.text_bytes();
                ids.push((next.id, next.expires));
                entries.push(next.entry);
            }
            let full = entries.len() == most || bytes >= SHARD_TEXT_BYTES;
            let index = build(&entries).map_err(Error::internal)?;
            let slot = SlotKey::generate();
            let context = shards::context(member.mailbox());
            let index = Parcel::seal(index.as_bytes(), &member.bundle().public(), &slot, &context)?;
            let mut messages: Vec<MessageId> = ids.iter().map(|(id, _)| *id).collect();
            messages.sort();
            let shard = NewShard { slot, index, messages, full };
            // Whatever is joined goes with the first; the rest of its messages is on the list until the next is there.
            done += self.write_shard(member, day, shard, ids, std::mem::take(&mut joined))?;
        }
        Ok(done)
    }

    fn write_shard(
        &self,
        member: &Member,
        day: u32,
        shard: NewShard,
        ids: Vec<(MessageId, Timestamp)>,
        joined: Vec<Vec<u8>>,
    ) -> Result<usize, Error> {
        let (mailbox, public) = (member.mailbox(), member.bundle().public());
        self.store.write(move |tx| {
            if accounts::mailbox(tx, mailbox)?.public != public {
                return Ok(0);
            }
            let mut new = 0;
            for (id, _) in &ids {
                new += usize::from(shards::is_listed(tx, mailbox, *id)?);
            }
            for row in &joined {
                shards::drop_shard(tx, row)?;
            }
            if ids.iter().all(|(id, expires)| is_as_read(tx, mailbox, *id, *expires).unwrap_or(false)) {
                shard.put(tx, mailbox, day)?;
                return Ok(new);
            }
            Ok::<_, Error>(0)
        })
    }
}

/// Whether a message is still on the list and expires when it did.
fn is_as_read(tx: &WriteTx<'_>, mailbox: MailboxId, id: MessageId, expires: Timestamp) -> Result<bool, Error> {
    Ok(shards::is_listed(tx, mailbox, id)? && messages::message(tx, id)?.expires == expires)
}

/// What a message is found by.
fn entry(
    tx: &impl Tx,
    member: &Member,
    message: &Message,
    content: Content,
    people: &mut HashMap<MailboxId, String>,
) -> Result<Entry, Error> {
    let mut person = |mailbox| {
        if let Some(known) = people.get(&mailbox) {
            return Ok(known.clone());
        }
        let who = messages::correspondent(tx, mailbox)?;
        let text = if who.name == who.email { who.email } else { format!("{} {}", who.name, who.email) };
        people.insert(mailbox, text.clone());
        Ok::<_, Error>(text)
    };
    let quoted = content.forwarded.iter().flat_map(|quoted| [quoted.subject.as_str(), &quoted.body]);
    let body = std::iter::once(content.body.as_str()).chain(quoted).collect::<Vec<_>>().join("\n");
    Ok(Entry {
        id: *message.id.bytes(),
        sent: message.created.0,
        mine: message.sender == member.mailbox(),
        from: person(message.sender)?,
        to: message.recipients().map(|holder| person(holder.mailbox)).collect::<Result<_, _>>()?,
        subject: content.subject,
        body,
        files: content.files.into_iter().map(|file| file.name).collect(),
    })
}
