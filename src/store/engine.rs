//! redb, opened as we want it: quick repair and two-phase commits, a bounded cache, one process, and able to come back
//! after the disk was full.
//!
//! redb refuses everything after one error of the disk until the file is opened again. [`Engine::reopen`] does that, so
//! that a full disk is a passing fault. An error while syncing is different: what the kernel did with the pages that it
//! could not write is unknown, and a second attempt would report a success that never was. There the process ends; the
//! next start repairs.

use super::error::StoreError;
use super::tables::ALL;
use super::tx::definition;
use redb::backends::FileBackend;
use redb::{
    BackendError, CompactionError, Database, ReadTransaction, ReadableDatabase as _, StorageBackend, TableHandle as _,
    WriteTransaction,
};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The database file, inside the data folder.
const FILE_NAME: &str = "sealpost.redb";

/// The database. `None` only between a failure of the disk and the next successful opening.
pub(super) struct Engine {
    path: PathBuf,
    cache_bytes: usize,
    database: RwLock<Option<Database>>,
    #[cfg(test)]
    pub(super) fault: Fault,
}

impl Engine {
    /// Opens or creates the database in `dir`, with every table of [`ALL`].
    pub fn open(dir: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let engine = Self {
            path: dir.join(FILE_NAME),
            cache_bytes,
            database: RwLock::new(None),
            #[cfg(test)]
            fault: Fault::default(),
        };
        engine.reopen()?;
        engine.create_tables()?;
        Ok(engine)
    }

    /// A snapshot.
    pub fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.share();
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        database.begin_read().map_err(StoreError::database("beginning to read"))
    }

    /// A transaction that is durable once committed. Only one thread writes.
    pub fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.share();
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        let mut transaction = database.begin_write().map_err(StoreError::database("beginning to write"))?;
        // Costs a second sync and buys an opening in a millisecond, whatever the size, also after a kill.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    /// Whether the database is there to be written to.
    pub fn is_open(&self) -> bool {
        self.share().is_some()
    }

    /// Closes the database, if it is open, and opens it again. Snapshots end; no write may be in progress.
    pub fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.take();
        // Closed first: the file is locked while it is open.
        *database = None;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(StoreError::io("opening the database file"))?;
        let disk = Disk {
            file: FileBackend::new(file).map_err(StoreError::database("opening the database file"))?,
            #[cfg(test)]
            fault: self.fault.clone(),
        };
        let opened = Database::builder()
            .set_cache_size(self.cache_bytes)
            .create_with_backend(disk)
            .map_err(StoreError::database("opening the database"))?;
        *database = Some(opened);
        Ok(())
    }

    /// Gives unused space back to the file system and overwrites what deleted rows left in the file. Everything waits
    /// meanwhile. False if nothing could be gained, or somebody was reading.
    pub fn compact(&self) -> Result<bool, StoreError> {
        let mut database = self.take();
        let database = database.as_mut().ok_or(StoreError::Closed)?;
        match database.compact() {
            Ok(gained) => Ok(gained),
            Err(CompactionError::TransactionInProgress) => Ok(false),
            Err(error) => Err(StoreError::database("compacting the database")(error)),
        }
    }

    /// Creates the tables that an earlier release did not have.
    fn create_tables(&self) -> Result<(), StoreError> {
        let snapshot = self.begin_read()?;
        let present: BTreeSet<String> = snapshot
            .list_tables()
            .map_err(StoreError::database("listing the tables"))?
            .map(|table| table.name().to_owned())
            .collect();
        drop(snapshot);
        if ALL.iter().all(|table| present.contains(table.name)) {
            return Ok(());
        }
        let transaction = self.begin_write()?;
        for table in ALL {
            transaction.open_table(definition(*table)).map_err(StoreError::database("creating a table"))?;
        }
        transaction.commit().map_err(StoreError::database("creating the tables"))
    }

    fn share(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The database file as redb sees it: redb's own backend, but a failed sync is the end of the process.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    #[cfg(test)]
    fault: Fault,
}

/// A switch by which a test makes the disk full.
#[cfg(test)]
#[derive(Clone, Default, Debug)]
pub(super) struct Fault(std::sync::Arc<std::sync::atomic::AtomicBool>);

#[cfg(test)]
impl Fault {
    pub fn set(&self, full: bool) {
        self.0.store(full, std::sync::atomic::Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.fault.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Err(error) = self.file.sync_data() {
            tracing::error!(%error, "the database could not be made durable; the process ends, the next start repairs");
            std::process::abort();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.fault.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
