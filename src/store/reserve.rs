//! The reserve: room on the disk that is kept back for what must not wait for somebody to make room.
//!
//! To destroy something is to write as well: that it is gone. So is signing in, without which nobody can delete. For
//! such writes a file is kept that holds nothing but its length; on a full disk it is let go before they are committed
//! and taken back after. Until it is whole again nothing else is written.

use super::error::{StoreError, is_full};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The file, inside the data folder.
const FILE_NAME: &str = "reserve";

/// Its length, in bytes: thousands of small commits. With less than that free on the disk, it is let go.
const RESERVE_BYTES: u64 = 8 * 1024 * 1024;

/// The reserve of one data folder.
pub(super) struct Reserve {
    file: File,
    is_whole: bool,
}

impl Reserve {
    /// Keeps the reserve in `dir`, as far as there is room.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(FILE_NAME))
            .map_err(StoreError::io("opening the reserve"))?;
        let mut reserve = Self { file, is_whole: false };
        reserve.keep();
        Ok(reserve)
    }

    /// Whether it is whole and the disk has room beside it.
    pub fn is_idle(&mut self) -> bool {
        // A disk that does not say is taken to have room: a commit that fails says it then.
        self.keep() && fstatvfs(&self.file).map_or(true, |disk| disk.f_bavail * disk.f_frsize >= RESERVE_BYTES)
    }

    /// Takes back what is missing, or as much of it as there is room for. Whether it is whole.
    pub fn keep(&mut self) -> bool {
        if !self.is_whole {
            let take = || -> io::Result<()> {
                self.file.set_len(RESERVE_BYTES)?;
                Ok(fallocate(&self.file, FallocateFlags::empty(), 0, RESERVE_BYTES)?)
            };
            // A file system that cannot keep room for a file does without.
            self.is_whole = !take().is_err_and(|error| is_full(&error));
        }
        self.is_whole
    }

    /// Lets its room go.
    pub fn release(&mut self) {
        self.is_whole = false;
        if let Err(error) = self.file.set_len(0).and_then(|()| self.file.sync_all()) {
            tracing::warn!(%error, "the reserve on the disk could not be let go");
        }
    }
}
