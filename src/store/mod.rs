//! What is kept: an ordered key-value database for everything but attachment bytes, files for those.
//!
//! This is all that the rooms above know of storage: [`Store::read`] gives a snapshot, [`Store::write`] runs one
//! operation that is durable as a whole when it returns, or did not happen. Both read through [`Tx`]; a [`WriteTx`] also
//! puts, deletes, and takes and erases slots. What comes in here as content is sealed already.
//!
//! | file | what it holds |
//! |---|---|
//! | [`tables`] | every table on one screen |
//! | `record` | the shape of a value: version, body, MAC |
//! | `tx` | reading, the same in a snapshot and in a write |
//! | `overlay` | one operation's writes, apart until it succeeds |
//! | `commit` | the writer: many operations, one durable commit, and the slots around it |
//! | `engine` | redb as we want it, and how it comes back after a full disk |
//! | `reserve` | room on the disk for what must not wait |
//! | [`blobs`] | attachment bytes |
//! | `migrate` | numbered steps from schema to schema |

pub mod blobs;
mod commit;
mod engine;
mod error;
mod migrate;
mod overlay;
mod record;
mod reserve;
pub mod tables;
mod tx;

pub use blobs::{BlobId, BlobWriter, Blobs};
pub use error::{DecodeError, StoreError, chain};
pub use overlay::WriteTx;
pub use record::Record;
pub use tables::Table;
pub use tx::{Direction, ReadRow, ReadTx, Row, See, SeeEach, Tx, after, prefix_end};

use crate::crypto::MacKey;
use crate::crypto::host::HostKey;
use crate::crypto::slots::{Retained, SlotFile};
use commit::{Job, Operation, QUEUE_MAX, Writer, pending};
use engine::Engine;
use reserve::Reserve;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use tokio::sync::watch;

/// The store of one data folder. Clones are handles of the same store; the last one closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What the writer and the readers both use.
struct Shared {
    engine: Engine,
    slots: SlotFile,
    blobs: Blobs,
    row_key: MacKey,
    /// The number of the last commit. Dropped last, when everything above is closed: [`Store::closed`] waits for that.
    commits: watch::Sender<u64>,
}

struct Inner {
    shared: Arc<Shared>,
    /// `None` once the store is being closed.
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    blank: HashSet<u64>,
}

impl Store {
    /// Opens the store in `dir`, a folder that exists, or creates it there. `cache_bytes` bounds redb's page cache.
    ///
    /// Migrations run, and slots that no row names are erased, before this returns. Blobs that no row names are removed
    /// in the background: looking at all of them is not worth a late start.
    pub fn open(dir: &Path, host: &HostKey, cache_bytes: usize) -> Result<Self, StoreError> {
        // The database comes first: its lock keeps a second process away from the slots, too.
        let shared = Arc::new(Shared {
            engine: Engine::open(dir, cache_bytes)?,
            slots: SlotFile::open(dir, host)?,
            blobs: Blobs::at(dir)?,
            row_key: host.row_key().clone(),
            commits: watch::Sender::default(),
        });
        let mut writer = Writer::new(Arc::clone(&shared), Reserve::open(dir)?)?;
        let snapshot = ReadTx::new(shared.engine.begin_read()?, &shared.row_key);
        let found = migrate::schema(&snapshot)?;
        drop(snapshot);
        migrate::run(&mut writer, found)?;

        let snapshot = ReadTx::new(shared.engine.begin_read()?, &shared.row_key);
        let Retained { orphans, blank } = shared.slots.retain(slots_in_use(&snapshot)?.into_iter())?;
        if orphans > 0 {
            tracing::info!(orphans, "slots that nothing was kept under were erased");
        }
        drop(snapshot);

        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let writing = spawn("store-writer", move || writer.work(&queue))?;
        let collecting = {
            let shared = Arc::clone(&shared);
            spawn("store-collector", move || collect_blobs(&shared))?
        };
        let (jobs, threads) = (Some(jobs), vec![writing, collecting]);
        Ok(Self { inner: Arc::new(Inner { shared, jobs, threads, blank: blank.into_iter().collect() }) })
    }

    /// Reads from a snapshot: what is committed while `operation` runs is not seen by it.
    pub fn read<T, E>(&self, operation: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let shared = &self.inner.shared;
        operation(&ReadTx::new(shared.engine.begin_read()?, &shared.row_key))
    }

    /// Runs an operation and waits until it is durable. If it fails, or the commit does, nothing of it happened, but
    /// for slots that it erased: those stay erased.
    ///
    /// Operations of several callers share a commit, so `operation` must not wait for anything: everybody else would.
    pub fn write<T, E>(&self, operation: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.ask(Job::Write, operation)
    }

    /// The same for what must be possible on a full disk: destroying, and what somebody does on the way to it. A reserve
    /// of room is kept for that.
    pub fn write_urgently<T, E>(
        &self,
        operation: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.ask(Job::Urgent, operation)
    }

    fn ask<T, E>(
        &self,
        job: fn(Box<dyn Operation>) -> Job,
        operation: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (operation, reply) = pending(operation);
        self.send(job(operation))?;
        reply.recv().map_err(|_| StoreError::Closed)?
    }

    /// The slots, for reading the keys in them.
    #[must_use]
    pub fn slots(&self) -> &SlotFile {
        &self.inner.shared.slots
    }

    /// Slots that were overwritten already when the store was opened, although rows still name them: something went
    /// wrong between the two halves of a destruction, and whoever knows the rows has to finish it.
    #[must_use]
    pub fn blank_slots(&self) -> &HashSet<u64> {
        &self.inner.blank
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.inner.shared.blobs
    }

    /// Returns when the last handle is gone and the files are closed: from then on the store can be opened again.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut commits = self.commits();
        async move { while commits.changed().await.is_ok() {} }
    }

    /// Changes with every commit, and is closed with the store. It keeps nothing open.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.shared.commits.subscribe()
    }

    /// Nightly: carries the living slots over to a new file under a new epoch key. Writes wait meanwhile.
    pub fn upkeep_rotate_epoch(&self) -> Result<(), StoreError> {
        self.upkeep(|shared| Ok(shared.slots.rotate()?))
    }

    /// Nightly: gives unused space of the database back to the file system. Everything waits meanwhile. False if nothing
    /// was gained, or somebody was reading.
    pub fn upkeep_compact(&self) -> Result<bool, StoreError> {
        self.upkeep(|shared| shared.engine.compact())
    }

    fn upkeep<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, reply) = sync_channel(1);
        self.send(Job::Upkeep(Box::new(move |shared| {
            // Nobody waits any more if the caller's thread is gone.
            let _ = answer.send(task(shared));
        })))?;
        reply.recv().map_err(|_| StoreError::Closed)?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        if self.inner.threads.iter().any(|thread| thread.thread().id() == thread::current().id()) {
            return Err(StoreError::Nested);
        }
        let jobs = self.inner.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends once nobody can ask for anything. It is waited for, so that a store can be opened again as
        // soon as it was dropped.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // The last handle may have been inside an operation, in which case this is the writer itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StoreError::io("starting a thread"))
}

/// Every slot that a row names, ascending. All of them are read before any other is erased: a row that cannot be read
/// must not cost somebody's message its key.
fn slots_in_use(tx: &ReadTx<'_>) -> Result<Vec<u64>, StoreError> {
    let mut slots = Vec::new();
    tx.scan(tables::SLOTS, &[], &[], Direction::Forward, &mut |key, _| {
        let index = key.try_into().map_err(|_| length_error(tables::SLOTS))?;
        slots.push(u64::from_be_bytes(index));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(slots)
}

fn length_error(table: Table) -> StoreError {
    StoreError::Decode { table: table.name, source: DecodeError::Length }
}

/// Removes the blobs that no row names, out of those that were there when the store was opened.
fn collect_blobs(shared: &Shared) {
    let known = || -> Result<HashSet<BlobId>, StoreError> {
        let tx = ReadTx::new(shared.engine.begin_read()?, &shared.row_key);
        let mut known = HashSet::new();
        tx.scan(tables::BLOBS, &[], &[], Direction::Forward, &mut |key, _| {
            known.insert(BlobId::from_bytes(key.try_into().map_err(|_| length_error(tables::BLOBS))?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(known)
    };
    match known().and_then(|known| shared.blobs.collect(|id| known.contains(&id))) {
        Ok(0) => {}
        Ok(orphans) => tracing::info!(orphans, "blobs that nothing referred to were removed"),
        Err(error) => tracing::warn!(%error, "blobs that nothing refers to could not be removed; the next start tries"),
    }
}

#[cfg(test)]
mod tests;
