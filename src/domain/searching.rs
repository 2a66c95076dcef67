//! Searching: what a person asks, answered from their shards, and shown from the messages themselves.
//!
//! A shard gives identifiers; every result is opened through the one function that opens messages, so that what is
//! destroyed is never shown, whatever a shard still says.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::expiry;
use super::filing::{self, Filed};
use super::ids::{MailboxId, MessageId, ThreadId};
use super::indexing::READ_AT_ONCE_MAX;
use super::messages::{self, Message, Opened};
use super::open_shards::{OpenShard, OpenShards};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::shards::{self, Shard};
use super::time::Timestamp;
use crate::crypto::CryptoError;
use crate::search::marks::{self, Piece};
use crate::search::query::{Folder, Query};
pub use crate::search::shard::Order;
use crate::search::shard::{self, Found};
use crate::store::{ReadTx, Tx};

/// Results of one page.
pub const RESULT_ROWS: usize = 25;
/// Pages of results; who wants more says more exactly what is looked for.
pub const RESULT_PAGES_MAX: usize = 40;

/// Names of files that one result shows.
const FILE_NAMES_MAX: usize = 3;

/// A result.
#[derive(Debug)]
pub struct Hit {
    /// The message.
    pub id: MessageId,
    /// Its conversation.
    pub thread: ThreadId,
    /// Sender, or recipients of what the reader sent.
    pub people: Vec<String>,
    /// Subject.
    pub subject: Vec<Piece>,
    /// The text around what was looked for.
    pub excerpt: Vec<Piece>,
    /// Names of files in which it stands, the first few.
    pub file_names: Vec<Vec<Piece>>,
    /// Number of files.
    pub files: usize,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether something in its conversation is unread.
    pub unread: bool,
    /// Whether its conversation is starred.
    pub starred: bool,
    /// When it is destroyed.
    pub expires: Timestamp,
}

/// A page of results.
#[derive(Debug, Default)]
pub struct Results {
    /// Its lines.
    pub hits: Vec<Hit>,
    /// Whether there is another page.
    pub more: bool,
    /// Messages that are still to be read: some of them may fit as well.
    pub to_read: usize,
}

/// The shards of a mailbox as a search sees them.
#[derive(Default)]
struct Seen {
    open: Vec<Arc<OpenShard>>,
    /// Those of them that were not open yet.
    new: Vec<Arc<OpenShard>>,
    /// Keys of those that nobody can open any more.
    broken: Vec<Vec<u8>>,
}

impl Portal {
    /// A page of results, counted from 1.
    pub fn search(&self, member: &Member, text: &str, order: Order, page: usize) -> Result<Results, Error> {
        let mut seen = self.see(member)?;
        if !seen.broken.is_empty() {
            tracing::warn!(shards = seen.broken.len(), "parts of a search index can't be opened and are made anew");
            let broken = std::mem::take(&mut seen.broken);
            let dropped = self.store.write(move |tx| broken.iter().try_for_each(|row| shards::drop_shard(tx, row)));
            unless_full(dropped)?;
            seen = self.see(member)?;
        }
        self.sessions.keep_shards(member.session(), std::mem::take(&mut seen.new));
        // What was destroyed since it was opened must not stay.
        self.forget_destroyed();
        let query = Query::parse(text);
        if query.is_empty() {
            return Ok(Results::default());
        }
        let asked = Asked { member, query: &query, sent: self.moments(member, &query)?, order };
        let results = self.page(&asked, &seen, page.clamp(1, RESULT_PAGES_MAX))?;
        let to_read = self.store.read(|tx| shards::listed_count(tx, member.mailbox()))?;
        Ok(Results { to_read, ..results })
    }

    /// Reads what has come, and opens the shards that are not open yet.
    fn see(&self, member: &Member) -> Result<Seen, Error> {
        // What a full disk keeps from being found is found later; the rest is found now.
        unless_full(self.read_for_search(member, READ_AT_ONCE_MAX))?;
        let known = self.sessions.open_shards(member.session());
        let mut seen = Seen::default();
        self.store.read(|tx| {
            for (row, shard) in shards::of(tx, member.mailbox())? {
                match shard.map_err(Error::from).and_then(|shard| self.open_shard(tx, member, &row, &shard, &known)) {
                    Ok((open, is_new)) => {
                        seen.new.extend(is_new.then(|| Arc::clone(&open)));
                        seen.open.push(open);
                    }
                    // Its slot was overwritten, or its bytes were changed: it is only a cache.
                    Err(Error::Expired | Error::Internal { .. }) => seen.broken.push(row),
                    Err(error) => return Err(error),
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(seen)
    }

    /// A shard, and whether it had to be opened.
    fn open_shard(
        &self,
        tx: &ReadTx<'_>,
        member: &Member,
        row: &[u8],
        shard: &Shard,
        known: &OpenShards,
    ) -> Result<(Arc<OpenShard>, bool), Error> {
        if let Some(open) = known.get(&shard.slot) {
            return Ok((Arc::clone(open), false));
        }
        let slot = self.store.slots().read(&shard.slot)?;
        let index = shards::index(tx, row)?.ok_or(CryptoError::Damaged("a search shard"))?;
        let plain = index.open(member.bundle().secret(), &slot, &shards::context(member.mailbox()))?;
        let open = shard::Shard::open(&plain).map_err(Error::internal)?;
        Ok((Arc::new(OpenShard { slot: shard.slot, shard: open }), true))
    }

    /// The moments between the days that a query names, in the reader's time zone.
    fn moments(&self, member: &Member, query: &Query) -> Result<Range<i64>, Error> {
        if query.before.is_none() && query.after.is_none() {
            return Ok(shard::ALWAYS);
        }
        let zone = TimeZone::get(&self.own_account(member)?.time_zone).unwrap_or(TimeZone::UTC);
        let start = |day: Date| zone.to_zoned(day.into()).ok().map(|at| at.timestamp().as_millisecond());
        let from = query.after.and_then(start).unwrap_or(shard::ALWAYS.start);
        Ok(from..query.before.and_then(start).unwrap_or(shard::ALWAYS.end).max(from))
    }

    fn page(&self, asked: &Asked<'_>, seen: &Seen, page: usize) -> Result<Results, Error> {
        let (from, now) = ((page - 1) * RESULT_ROWS, self.now());
        let mut limit = from + RESULT_ROWS + 1;
        loop {
            let found = asked.find(seen, limit)?;
            let is_all = found.len() < limit;
            let results = self.store.read(|tx| {
                let fitting = asked.fitting(tx, found, now)?;
                let is_enough = fitting.len() > from + RESULT_ROWS || is_all;
                is_enough.then(|| self.show(tx, asked, &fitting, from, now)).transpose()
            })?;
            if let Some(results) = results {
                return Ok(results);
            }
            limit = limit.saturating_mul(4);
        }
    }

    fn show(
        &self,
        tx: &ReadTx<'_>,
        asked: &Asked<'_>,
        fitting: &[Message],
        from: usize,
        now: Timestamp,
    ) -> Result<Results, Error> {
        let mut names = HashMap::new();
        let mut results = Results { more: fitting.len() > from + RESULT_ROWS, ..Results::default() };
        for message in fitting.iter().skip(from).take(RESULT_ROWS) {
            if let Opened::Content(content) = messages::open_held(tx, self.store.slots(), asked.member, message, now)? {
                results.hits.push(asked.hit(tx, message, &content, &mut names)?);
            }
        }
        Ok(results)
    }
}

/// What is asked for, and by whom.
struct Asked<'a> {
    member: &'a Member,
    query: &'a Query,
    /// Between which moments it was sent.
    sent: Range<i64>,
    order: Order,
}

impl Asked<'_> {
    /// The first `limit` that any shard finds.
    fn find(&self, seen: &Seen, limit: usize) -> Result<Vec<MessageId>, Error> {
        let mut found: Vec<Found> = Vec::new();
        for open in &seen.open {
            found.extend(open.shard.find(self.query, &self.sent, self.order, limit).map_err(Error::internal)?);
        }
        found.sort_by(|a, b| (b.score.total_cmp(&a.score)).then(b.sent.cmp(&a.sent)).then(a.id.cmp(&b.id)));
        found.truncate(limit);
        Ok(found.into_iter().map(|found| MessageId::from_bytes(found.id)).collect())
    }

    /// Those of them that are still there and fit what no index knows.
    fn fitting(&self, tx: &ReadTx<'_>, found: Vec<MessageId>, now: Timestamp) -> Result<Vec<Message>, Error> {
        let mut fitting = Vec::new();
        for id in found {
            let message = match messages::held(tx, self.member, id) {
                Err(error) if expiry::is_of_rows(&error) => continue,
                message => message?,
            };
            if message.gone(now).is_none() && self.is_filed_so(tx, &message)? {
                fitting.push(message);
            }
        }
        Ok(fitting)
    }

    /// Whether its conversation stands where the query says.
    fn is_filed_so(&self, tx: &ReadTx<'_>, message: &Message) -> Result<bool, Error> {
        let query = self.query;
        let is_asked = query.unread || query.starred || matches!(query.folder, Some(Folder::Inbox | Folder::Archive));
        if !is_asked {
            return Ok(true);
        }
        let (filed, mine) = self.filed(tx, message)?;
        let in_folder = match query.folder {
            Some(Folder::Inbox) => filed.folder() != filing::Folder::Archive,
            Some(Folder::Archive) => filed.folder() == filing::Folder::Archive,
            Some(Folder::Sent) | None => true,
        };
        Ok(in_folder && (!query.unread || filed.unread && !mine) && (!query.starred || filed.starred))
    }

    fn filed(&self, tx: &impl Tx, message: &Message) -> Result<(Filed, bool), Error> {
        let mailbox = self.member.mailbox();
        Ok((filing::filed(tx, mailbox, message.thread)?, message.sender == mailbox))
    }

    fn hit(
        &self,
        tx: &impl Tx,
        message: &Message,
        content: &messages::Content,
        names: &mut HashMap<MailboxId, String>,
    ) -> Result<Hit, Error> {
        let mut name = |mailbox| {
            if let Some(known) = names.get(&mailbox) {
                return Ok(String::clone(known));
            }
            let name = messages::correspondent(tx, mailbox)?.name;
            names.insert(mailbox, name.clone());
            Ok::<_, Error>(name)
        };
        let (filed, mine) = self.filed(tx, message)?;
        let people = if mine {
            message.recipients().map(|holder| name(holder.mailbox)).collect::<Result<_, _>>()?
        } else {
            vec![name(message.sender)?]
        };
        let marked = |text: &str| marks::whole(text, &self.query.marks(text));
        let in_names = content.files.iter().map(|file| marked(&file.name));
        Ok(Hit {
            id: message.id,
            thread: message.thread,
            people,
            subject: marked(&content.subject),
            excerpt: marks::excerpt(&content.body, &self.query.marks(&content.body)),
            file_names: in_names.filter(|pieces| pieces.iter().any(|piece| piece.hit)).take(FILE_NAMES_MAX).collect(),
            files: content.files.len(),
            at: message.created,
            unread: filed.unread && !mine,
            starred: filed.starred,
            expires: message.expires,
        })
    }
}

/// What cannot be written on a full disk can wait.
fn unless_full(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(Error::Full) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::drafts::{DraftText, Invitee};
    use crate::domain::ids::DraftId;
    use crate::domain::portal::{DAY, MINUTE, test_portal};
    use crate::domain::setup::SetUp;
    use crate::store::tables::{BODIES, MESSAGES, SHARD_INDEXES, SHARD_MESSAGES, SHARDS, SLOTS, TO_INDEX};
    use crate::store::{Table, WriteTx};

    /// A portal with somebody who writes.
    struct Bench {
        portal: Arc<Portal>,
        member: Member,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let portal = test_portal(folder.path(), Timestamp(20_780 * DAY + 10 * MINUTE));
            let (email, password) = ("ann@riverside.example".to_owned(), "seven quiet herons wade".into());
            let form = SetUp {
                practice_name: "Riverside Dental".into(),
                name: "Ann Rivers".into(),
                email: email.clone(),
                password,
                expiry_days: 30,
                time_zone: String::new(),
            };
            portal.set_up(&portal.setup_token(), form).unwrap();
            let token = portal.sign_in(&email, &"seven quiet herons wade".into(), "").unwrap();
            let member = portal.member(&token).unwrap();
            Self { portal, member, _folder: folder }
        }

        fn send(&self, body: &str, days: &str) -> MessageId {
            let text = DraftText {
                to: "lee@hillside.example".into(),
                invitees: vec![Invitee { relationship: "patient".into(), ..Invitee::default() }],
                subject: "Tooth".into(),
                body: body.into(),
                expires: days.into(),
                ..DraftText::default()
            };
            self.portal.send(&self.member, DraftId::generate(), &text).unwrap().message
        }

        fn found(&self) -> usize {
            self.portal.search(&self.member, "zirconia", Order::Newest, 1).unwrap().hits.len()
        }

        /// Rows of the tables of shards, which stand and fall together, and the member's part of the list.
        fn rows(&self) -> (usize, usize) {
            let count = |table| self.portal.store.read(|tx| Ok::<_, Error>(tx.rows(table)?)).unwrap();
            let (shards, lists, indexes) = (count(SHARDS), count(SHARD_MESSAGES), count(SHARD_INDEXES));
            assert!(shards == lists && lists == indexes, "{shards} {lists} {indexes}");
            let listed = self.portal.store.read(|tx| shards::listed_count(tx, self.member.mailbox())).unwrap();
            (usize::try_from(shards).unwrap(), listed)
        }

        fn shards(&self) -> Vec<(Vec<u8>, Shard)> {
            let shards = self.portal.store.read(|tx| shards::of(tx, self.member.mailbox())).unwrap();
            shards.into_iter().map(|(row, shard)| (row, shard.unwrap())).collect()
        }

        /// Changes the first shard's row of a table on the disk.
        fn damage(&self, table: Table) {
            let row = self.shards().remove(0).0;
            let changed = move |tx: &mut WriteTx<'_>| {
                tx.put(table, &row, vec![1, 2, 3]);
                Ok::<_, Error>(())
            };
            self.portal.store.write(changed).unwrap();
        }

        fn slots(&self) -> u64 {
            self.portal.store.read(|tx| Ok::<_, Error>(tx.rows(SLOTS)?)).unwrap()
        }
    }

    #[test]
    fn small_shards_are_joined_and_each_has_a_slot() {
        let bench = Bench::new();
        for round in 1..=12 {
            let before = (bench.slots(), bench.shards().len());
            bench.send("zirconia", "30");
            let sent = bench.slots();
            assert_eq!(bench.found(), round);
            let (shards, listed) = bench.rows();
            assert!(shards <= 4 && listed == 0, "{shards} {listed}");
            assert_eq!(bench.slots() + before.1 as u64, sent + shards as u64, "no slot is left over: {before:?}");
        }
    }

    #[test]
    fn destroying_one_message_destroys_its_shard_and_no_other() {
        let bench = Bench::new();
        let (first, _) = (bench.send("zirconia", "30"), bench.send("zirconia", "30"));
        bench.send("zirconia", "20");
        assert_eq!(bench.found(), 3);
        assert_eq!(bench.rows(), (2, 0));
        let slots: Vec<_> = bench.shards().into_iter().map(|(_, shard)| shard).collect();
        bench.portal.recall(&bench.member, first).unwrap();
        assert_eq!(bench.rows(), (1, 1), "what shared the shard is read again");
        let is_living = |shard: &Shard| bench.portal.store.slots().read(&shard.slot).is_ok();
        assert_eq!(slots.iter().filter(|shard| is_living(shard)).count(), 1);
        let open = bench.portal.sessions.open_shards(bench.member.session());
        assert_eq!(slots.iter().filter(|shard| open.get(&shard.slot).is_some()).count(), 1, "nor in memory");
        assert_eq!(bench.found(), 2);
    }

    #[test]
    fn an_expiry_that_moves_takes_the_words_along() {
        let bench = Bench::new();
        let message = bench.send("zirconia", "30");
        assert_eq!(bench.found(), 1);
        let before = bench.shards();
        bench.portal.change_expiry(&bench.member, message, "3").unwrap();
        assert_eq!(bench.rows(), (0, 1));
        assert_eq!(bench.found(), 1);
        assert_ne!(bench.shards()[0].0[16..20], before[0].0[16..20], "another day");
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_written() {
        let bench = Bench::new();
        let (gone, moved, kept) =
            (bench.send("zirconia", "30"), bench.send("zirconia", "20"), bench.send("zirconia", "10"));
        let step = bench.portal.store.read(|tx| bench.portal.read_listed(tx, &bench.member, 10, bench.portal.now()));
        bench.portal.recall(&bench.member, gone).unwrap();
        bench.portal.change_expiry(&bench.member, moved, "19").unwrap();
        let now = bench.portal.now();
        let done: usize = step
            .unwrap()
            .piles
            .into_iter()
            .map(|(day, pile)| bench.portal.write_pile(&bench.member, day, pile, now).unwrap())
            .sum();
        assert_eq!((done, bench.rows()), (1, (1, 1)));
        let in_it = bench.portal.store.read(|tx| shards::messages(tx, &bench.shards()[0].0)).unwrap();
        assert_eq!(in_it, [kept]);
        assert_eq!(bench.found(), 2);
    }

    #[test]
    fn a_shard_that_does_not_open_is_made_anew() {
        let bench = Bench::new();
        bench.send("zirconia", "30");
        assert_eq!(bench.found(), 1);
        let (row, shard) = bench.shards().remove(0);
        bench.portal.store.slots().clear(shard.slot.index).unwrap();
        bench.portal.sessions.forget_shards(|_| false);
        assert_eq!(bench.found(), 1, "its slot was overwritten");
        assert_ne!(bench.shards()[0].0, row);
        for table in [SHARD_INDEXES, SHARD_MESSAGES, SHARDS] {
            bench.damage(table);
            bench.portal.sessions.forget_shards(|_| false);
            assert_eq!(bench.found(), 1, "its row was changed: {}", table.name);
        }
    }

    #[test]
    fn no_damage_to_a_shard_keeps_a_message_alive() {
        for table in [SHARD_INDEXES, SHARD_MESSAGES, SHARDS] {
            let bench = Bench::new();
            let (message, _) = (bench.send("zirconia", "30"), bench.send("zirconia", "30"));
            assert_eq!(bench.found(), 2);
            let (_, shard) = bench.shards().remove(0);
            bench.damage(table);
            bench.portal.recall(&bench.member, message).unwrap();
            assert!(bench.portal.store.slots().read(&shard.slot).is_err(), "{}", table.name);
            assert_eq!(bench.rows(), (0, 1));
            assert_eq!(bench.found(), 1);
        }
    }

    #[test]
    fn a_damaged_message_keeps_no_other_from_being_found() {
        let bench = Bench::new();
        let (damaged, changed, _) =
            (bench.send("zirconia", "30"), bench.send("zirconia", "30"), bench.send("zirconia", "30"));
        let write = |table: Table, id: MessageId| {
            let put = move |tx: &mut WriteTx<'_>| {
                tx.put(table, id.bytes(), vec![1, 2, 3]);
                Ok::<_, Error>(())
            };
            bench.portal.store.write(put).unwrap();
        };
        write(MESSAGES, damaged);
        assert_eq!(bench.found(), 2);
        write(BODIES, changed);
        assert_eq!(bench.found(), 1);
        write(MESSAGES, changed);
        assert_eq!(bench.found(), 1);
    }

    #[test]
    fn who_signs_out_is_read_for_no_longer() {
        let bench = Bench::new();
        bench.send("zirconia", "30");
        bench.portal.sessions.end_all(bench.member.account());
        assert!(!bench.portal.read_on(&bench.member).unwrap());
        assert_eq!(bench.rows(), (0, 1));
    }

    #[test]
    fn everything_is_listed_for_all_its_holders_and_leaves_with_them() {
        let bench = Bench::new();
        let message = bench.send("zirconia", "30");
        let listed = || bench.portal.store.read(|tx| Ok::<_, Error>(tx.rows(TO_INDEX)?)).unwrap();
        assert_eq!(listed(), 2);
        bench.portal.delete_copy(&bench.member, message).unwrap();
        assert_eq!(listed(), 1);
    }
}
