//! The folder of one demonstration: made for it alone, locked while it runs, gone when it ends.
//!
//! A demonstration that was killed cannot clear up. The next one does it: what carries our name, belongs to the same
//! user and is locked by nobody is left over. Only what we put there is removed; anything else stays, and its folder.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::crypto::random;

/// What every such folder's name begins with; 16 hexadecimal digits follow.
const NAME: &str = "sealpost-demo-";
const DIGITS: usize = 16;
/// What is in it: the data folder, and the host key where `Config` puts it by default, whole or on its way.
const DATA: &str = "data";
const HOST_KEY: [&str; 2] = ["data.host-key", "data.host-key.part"];

/// A folder that is removed when it is dropped. Its lock says that somebody still needs it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Where there is room for one: among the temporary files, under a name that nobody has.
pub fn fresh() -> PathBuf {
    std::env::temp_dir().join(format!("{NAME}{}", data_encoding::HEXLOWER.encode(&random::<{ DIGITS / 2 }>())))
}

/// The data folder in it.
pub fn data_in(folder: &Path) -> PathBuf {
    folder.join(DATA)
}

impl Folder {
    /// Makes it, closed to others.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::open(&path)?;
        // Whoever looks for left-overs may hold it for a moment; nothing empty is ever removed.
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(fault) = remove(&self.path) {
            tracing::error!(cause = %fault, path = %self.path.display(), "the demonstration's folder could not be removed");
        }
    }
}

/// Removes what demonstrations left that were killed. Whatever cannot be removed stays for the next one.
pub fn remove_left_overs() -> io::Result<()> {
    for entry in fs::read_dir(std::env::temp_dir())?.flatten() {
        let path = entry.path();
        let is_named = entry.file_name().to_str().is_some_and(is_our_name);
        if is_named && entry.metadata().is_ok_and(|found| is_ours(&found)) && is_left_over(&path) {
            // Not the business of whoever starts a new one.
            _ = remove(&path);
        }
    }
    Ok(())
}

fn is_our_name(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A folder, no link to one, of this user, and closed to others as we make them.
fn is_ours(found: &Metadata) -> bool {
    let mine = found.uid() == rustix::process::geteuid().as_raw();
    found.is_dir() && mine && found.permissions().mode() & 0o777 == 0o700
}

/// An empty one may belong to a demonstration that begins just now and has not locked it yet.
fn is_left_over(path: &Path) -> bool {
    let is_free = File::open(path).is_ok_and(|lock| lock.try_lock().is_ok());
    is_free && fs::read_dir(path).is_ok_and(|mut inside| inside.next().is_some())
}

#[expect(clippy::disallowed_methods, reason = "nothing of the store is open any more: the whole folder goes")]
fn remove(folder: &Path) -> io::Result<()> {
    let there = |done: io::Result<()>| match done {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    HOST_KEY.iter().try_for_each(|name| there(fs::remove_file(folder.join(name))))?;
    there(fs::remove_dir_all(data_in(folder)))?;
    fs::remove_dir(folder)
}
