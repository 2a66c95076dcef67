//! Grouped commits: one thread writes, and everything that waits for it shares one durable commit.
//!
//! A commit costs syncs, and they cost the same for one operation as for sixty-four. So the writer takes whatever is
//! waiting, runs each operation in its overlay ([`overlay`](super::overlay)), and commits what succeeded:
//!
//! 1. every operation runs; those that fail are left out, the others go into one redb transaction;
//! 2. slots to be erased are overwritten, and one sync makes all slots durable, the new and the erased;
//! 3. redb commits, durably;
//! 4. retired slots are overwritten, with one more sync; erased and retired slots are free for reuse, forgotten blobs
//!    are unlinked;
//! 5. everybody gets an answer.
//!
//! If the commit fails, new slots are erased and nobody is told of a success; slots that were to be erased are erased
//! all the same, because a full disk must not keep anything alive beyond its date. Whether a commit that reported an error
//! came about all the same is not left open: each group writes its number, and the database that is opened again has it
//! or not.

use super::Shared;
use super::blobs::Blobs;
use super::error::{StoreError, chain};
use super::overlay::{Staged, WriteTx, give_back};
use super::record::Record;
use super::reserve::Reserve;
use super::tables::{META, Table};
use super::tx::{ReadTx, Tx as _};
use crate::crypto::slots::{SlotFile, SlotRef};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// At most so many operations share a commit: beyond, the first would wait for the last without any gain.
const GROUP_MAX: usize = 64;

/// At most so many operations wait for the writer; the next caller waits to be let in.
pub(super) const QUEUE_MAX: usize = 1024;

/// Key of the last group's number in [`META`].
const GROUP: &[u8] = b"group";

/// The number of the last group that was committed, from 1 on.
#[derive(Serialize, Deserialize, Default)]
struct Group {
    number: u64,
}

impl Record for Group {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// What the writer is asked for.
pub(super) enum Job {
    /// An operation, to be grouped.
    Write(Box<dyn Operation>),
    /// An operation that may use the reserve, to be grouped as well.
    Urgent(Box<dyn Operation>),
    /// Something that wants to be alone: no write is in progress while it runs.
    Upkeep(Box<dyn FnOnce(&Shared) + Send>),
}

/// An operation and whoever waits for it.
pub(super) trait Operation: Send {
    /// Runs the operation, once. False if it failed.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;

    /// Answers whoever waits: with the operation's own result, or with the group's failure.
    fn answer(self: Box<Self>, failure: Option<&Arc<StoreError>>);
}

struct Pending<F, T, E> {
    operation: Option<F>,
    result: Option<Result<T, E>>,
    answer: SyncSender<Result<T, E>>,
}

impl<F, T, E> Operation for Pending<F, T, E>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        let Some(operation) = self.operation.take() else { return false };
        // Unwind safe: of what a panic leaves half done, the overlay is dropped and nothing else is touched.
        let result = catch_unwind(AssertUnwindSafe(|| operation(tx)));
        let result = result.unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let succeeded = result.is_ok();
        self.result = Some(result);
        succeeded
    }

    fn answer(self: Box<Self>, failure: Option<&Arc<StoreError>>) {
        let result = match (self.result, failure) {
            // An operation that failed by itself has its own reason.
            (Some(Err(error)), _) => Err(error),
            (_, Some(cause)) => Err(StoreError::of_group(cause).into()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Closed.into()),
        };
        // Nobody waits any more if the caller's thread is gone; what was committed stays committed.
        let _ = self.answer.send(result);
    }
}

/// An operation as the writer takes it, and where its answer comes.
pub(super) fn pending<T, E>(
    operation: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
) -> (Box<dyn Operation>, Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (answer, reply) = sync_channel(1);
    (Box::new(Pending { operation: Some(operation), result: None, answer }), reply)
}

/// The one that writes.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The number of the last group that was committed.
    last: u64,
    reserve: Reserve,
}

impl Writer {
    /// A writer that goes on where the last one ended.
    pub fn new(shared: Arc<Shared>, reserve: Reserve) -> Result<Self, StoreError> {
        let last = last_group(&shared)?;
        Ok(Self { shared, last, reserve })
    }

    /// Works until nobody can ask for anything any more.
    pub fn work(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let (mut urgent, mut others) = (Vec::new(), Vec::new());
            let mut next = Some(job);
            let mut alone = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Write(operation) => others.push(operation),
                    Job::Urgent(operation) => urgent.push(operation),
                    Job::Upkeep(task) => alone = Some(task),
                }
                if urgent.len() + others.len() < GROUP_MAX && alone.is_none() {
                    next = jobs.try_recv().ok();
                }
            }
            self.run_all(urgent, others);
            if let Some(task) = alone {
                task(&self.shared);
            }
        }
    }

    /// Runs what came together as one group; on a full disk what is urgent first, with the room of the reserve, and the
    /// others only if that is whole again.
    fn run_all(&mut self, mut urgent: Vec<Box<dyn Operation>>, others: Vec<Box<dyn Operation>>) {
        if self.reserve.is_idle() {
            urgent.extend(others);
            return self.run(urgent);
        }
        if !urgent.is_empty() {
            self.reserve.release();
            self.run(urgent);
        }
        if self.reserve.keep() {
            self.run(others);
        } else {
            let full = Arc::new(StoreError::Full);
            others.into_iter().for_each(|operation| operation.answer(Some(&full)));
        }
    }

    /// Runs an operation as a group of its own, on this thread.
    pub fn run_alone<T, E>(
        &mut self,
        operation: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (operation, reply) = pending(operation);
        self.run(vec![operation]);
        reply.recv().unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Runs operations as one group and answers each.
    pub fn run(&mut self, mut group: Vec<Box<dyn Operation>>) {
        if group.is_empty() {
            return;
        }
        let failure = self.commit(&mut group).err().map(Arc::new);
        if let Some(error) = &failure {
            tracing::error!(operations = group.len(), error = %chain(&**error), "a group of writes failed");
        }
        for operation in group {
            operation.answer(failure.as_ref());
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Operation>]) -> Result<(), StoreError> {
        if !self.shared.engine.is_open() {
            self.shared.engine.reopen()?;
            self.last = last_group(&self.shared)?;
        }
        let number = self.last.saturating_add(1);
        let mut staged = Staged::default();
        match self.attempt(group, number, &mut staged) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                if !(error.is_of_database() && came_about(&self.shared, number)) {
                    erase(&self.shared.slots, &staged.erased);
                    give_back(&self.shared.slots, &staged.made);
                    return Err(error);
                }
            }
        }
        self.last = number;
        self.shared.commits.send_replace(number);
        settle(&self.shared.slots, &self.shared.blobs, &staged);
        Ok(())
    }

    /// Runs the operations and commits them. False if there was nothing to commit.
    fn attempt(&self, group: &mut [Box<dyn Operation>], number: u64, staged: &mut Staged) -> Result<bool, StoreError> {
        let Shared { engine, slots, row_key, .. } = &*self.shared;
        // After an error while reading, redb wants to be opened again as well.
        let transaction = engine.begin_write().or_else(|_| engine.reopen().and_then(|()| engine.begin_write()))?;
        let mut tx = WriteTx::new(&transaction, row_key, slots, staged);
        for operation in group {
            if operation.run(&mut tx) {
                tx.accept()?;
            } else {
                tx.reject();
            }
        }
        if !tx.is_dirty() {
            return Ok(false);
        }
        tx.put_record(GROUP, &Group { number })?;
        tx.accept()?;
        // Closes the tables, which redb wants before it commits.
        drop(tx);

        for slot in &staged.erased {
            // Whatever stands in it, also if it is damaged: its row, which was the slot's by its tag, is going.
            slots.clear(slot.index)?;
        }
        if !(staged.made.is_empty() && staged.erased.is_empty()) {
            slots.sync();
        }
        transaction.commit().map_err(StoreError::database("committing"))?;
        Ok(true)
    }
}

/// Overwrites slots that were to be erased, although the rows that name them stay for now.
fn erase(slots: &SlotFile, erased: &[SlotRef]) {
    for slot in erased {
        if let Err(error) = slots.clear(slot.index) {
            tracing::error!(%error, "a slot could not be overwritten; whoever erases tries again");
        }
    }
    if !erased.is_empty() {
        slots.sync();
    }
}

/// After the commit: retired slots are overwritten, they and the erased ones may be used again, forgotten blobs go.
fn settle(slots: &SlotFile, blobs: &Blobs, staged: &Staged) {
    for slot in &staged.retired {
        if let Err(error) = slots.clear(slot.index) {
            // What replaced it is committed: there is no way back, and nobody may be told that the old key is gone.
            tracing::error!(%error, "a slot could not be overwritten; the process ends, the next start does it");
            std::process::abort();
        }
    }
    if !staged.retired.is_empty() {
        slots.sync();
    }
    for slot in staged.erased.iter().chain(&staged.retired) {
        slots.release(slot.index);
    }
    for blob in &staged.forgotten {
        if let Err(error) = blobs.remove(*blob) {
            tracing::warn!(%error, "a forgotten blob could not be unlinked; the next start does it");
        }
    }
}

/// Opens the database again after it failed, and says whether it has the group that it failed at.
fn came_about(shared: &Shared, number: u64) -> bool {
    match shared.engine.reopen().and_then(|()| last_group(shared)) {
        Ok(last) => last == number,
        Err(error) => {
            tracing::error!(error = %chain(&error), "the database cannot be opened again yet; the next write tries");
            false
        }
    }
}

/// The number of the last group that the database has.
pub(super) fn last_group(shared: &Shared) -> Result<u64, StoreError> {
    let tx = ReadTx::new(shared.engine.begin_read()?, &shared.row_key);
    Ok(tx.record::<Group>(GROUP)?.unwrap_or_default().number)
}
