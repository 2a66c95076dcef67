//! Attachment bytes: one file a blob, sealed before it comes here.
//!
//! A blob is written under a temporary name, made durable, and only then gets its own name; it is known once a row of
//! [`BLOBS`](super::tables::BLOBS) names it, and unlinked only after the commit that forgets it. What a crash leaves
//! between these steps is removed at the next start.

use super::error::StoreError;
use crate::crypto::random;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The folder of blobs, inside the data folder.
const FOLDER: &str = "blobs";

/// What the name of an unfinished blob ends with.
const UNFINISHED: &str = "part";

/// Length of an id, in bytes.
const ID_BYTES: usize = 16;

/// Bytes after which the disk is asked to begin writing what it was given: the end of a blob then waits for the last of
/// them only, and not for all.
const AHEAD_BYTES: u64 = 8 * 1024 * 1024;

/// The name of a blob: random, and telling nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct BlobId([u8; ID_BYTES]);

impl BlobId {
    /// The id in a row.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The id as a row's key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The id in a file's name.
    fn from_name(name: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(name.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// The folder of blobs.
pub struct Blobs {
    folder: PathBuf,
    /// Blobs created while [`Blobs::collect`] has not gone through yet: their rows may still be on their way.
    young: Mutex<Option<HashSet<BlobId>>>,
}

impl Blobs {
    /// Opens the folder of blobs in the data folder, creating it if need be.
    pub(super) fn at(dir: &Path) -> Result<Self, StoreError> {
        let folder = dir.join(FOLDER);
        create_folder(&folder)?;
        Ok(Self { folder, young: Mutex::new(Some(HashSet::new())) })
    }

    /// Begins a new blob.
    pub fn create(&self) -> Result<BlobWriter, StoreError> {
        let id = BlobId(random());
        if let Some(young) = self.young.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            young.insert(id);
        }
        let path = self.path(id);
        if let Some(shelf) = path.parent() {
            create_folder(shelf)?;
        }
        let unfinished = path.with_extension(UNFINISHED);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(StoreError::io("creating a blob"))?;
        Ok(BlobWriter { id, bytes: 0, begun: 0, file, path, unfinished: Some(unfinished) })
    }

    /// Opens a finished blob for reading.
    pub fn open(&self, id: BlobId) -> Result<File, StoreError> {
        File::open(self.path(id)).map_err(StoreError::io("opening a blob"))
    }

    /// The length of a finished blob, in bytes.
    pub fn len(&self, id: BlobId) -> Result<u64, StoreError> {
        let about = fs::metadata(self.path(id)).map_err(StoreError::io("looking at a blob"))?;
        Ok(about.len())
    }

    /// Unlinks a finished blob that no row names: after the commit that forgot it, or when its upload was given up. A
    /// blob that is not there any more is none the worse.
    pub fn remove(&self, id: BlobId) -> Result<(), StoreError> {
        remove_file(&self.path(id))
    }

    /// Removes, of everything that was there when the store was opened, what is unfinished or not known. Returns how
    /// many files went.
    pub(super) fn collect(&self, known: impl Fn(BlobId) -> bool) -> Result<u64, StoreError> {
        let mut removed = 0;
        for shelf in list(&self.folder)? {
            if !shelf.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            for entry in list(&shelf.path())? {
                let path = entry.path();
                let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(BlobId::from_name);
                // Only what bears a blob's name is ours to remove.
                let Some(id) = id else { continue };
                let is_unfinished = path.extension().is_some_and(|extension| extension == UNFINISHED);
                let is_kept = self.is_young(id) || (!is_unfinished && known(id));
                if !is_kept {
                    remove_file(&path)?;
                    removed += 1;
                }
            }
        }
        *self.young.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(removed)
    }

    fn is_young(&self, id: BlobId) -> bool {
        let young = self.young.lock().unwrap_or_else(PoisonError::into_inner);
        young.as_ref().is_some_and(|young| young.contains(&id))
    }

    /// Blobs stand on 256 shelves, by the first byte of their names, so that no folder grows large.
    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        let shelf = name.get(..2).unwrap_or_default();
        self.folder.join(shelf).join(&name)
    }
}

/// A blob being written. Dropped unfinished, it is unlinked.
///
/// It keeps nothing back: who writes, writes in large pieces, as a seal does.
pub struct BlobWriter {
    id: BlobId,
    bytes: u64,
    /// How much of it the disk has been asked to write.
    begun: u64,
    file: File,
    path: PathBuf,
    /// The temporary name; `None` once the blob has its own.
    unfinished: Option<PathBuf>,
}

impl BlobWriter {
    /// The id that the blob will have.
    #[must_use]
    pub fn id(&self) -> BlobId {
        self.id
    }

    /// How much was written so far, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the blob durable under its own name. Returns its id and its length in bytes.
    pub fn finish(mut self) -> Result<(BlobId, u64), StoreError> {
        self.file.sync_data().map_err(StoreError::io("making a blob durable"))?;
        if let Some(unfinished) = &self.unfinished {
            fs::rename(unfinished, &self.path).map_err(StoreError::io("naming a blob"))?;
        }
        self.unfinished = None;
        if let Some(shelf) = self.path.parent() {
            sync_folder(shelf)?;
        }
        Ok((self.id, self.bytes))
    }
}

impl BlobWriter {
    /// Has the disk begin with what it was given since the last time. Linux writes dirty pages out when it is told that
    /// they will not be needed; nothing is lost if it does not.
    fn begin_writing_out(&mut self) {
        let length = NonZeroU64::new(self.bytes - self.begun);
        _ = rustix::fs::fadvise(&self.file, self.begun, length, rustix::fs::Advice::DontNeed);
        self.begun = self.bytes;
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        if self.bytes - self.begun >= AHEAD_BYTES {
            self.begin_writing_out();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take()
            && let Err(error) = remove_file(&unfinished)
        {
            tracing::warn!(%error, "an unfinished blob could not be removed; the next start does it");
        }
    }
}

/// Creates a folder for our eyes only, if there is none, and makes its name durable.
pub(super) fn create_folder(path: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io("creating a folder")(error)),
    }
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(StoreError::io("making a folder durable"))
}

fn list(folder: &Path) -> Result<impl Iterator<Item = fs::DirEntry>, StoreError> {
    // An entry that vanishes while we look is one that need not be collected.
    Ok(fs::read_dir(folder).map_err(StoreError::io("listing the blobs"))?.filter_map(Result::ok))
}

#[expect(clippy::disallowed_methods, reason = "blobs are removed here, and only here")]
fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("removing a blob")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn files(dir: &Path) -> usize {
        list(&dir.join(FOLDER)).unwrap().map(|shelf| list(&shelf.path()).unwrap().count()).sum()
    }

    fn blob(blobs: &Blobs, bytes: &[u8]) -> BlobId {
        let mut writer = blobs.create().unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap().0
    }

    #[test]
    fn a_blob_is_read_as_it_was_written_and_only_once_finished() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(dir.path()).unwrap();
        let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_be_bytes).collect();

        let mut writer = blobs.create().unwrap();
        writer.write_all(&content).unwrap();
        let id = writer.id();
        assert!(blobs.open(id).is_err(), "nothing stands under its name before it is whole");
        assert_eq!(writer.bytes(), 2_800_000);
        assert_eq!(writer.finish().unwrap(), (id, 2_800_000));

        let mut read = Vec::new();
        blobs.open(id).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content);
        assert_eq!(blobs.len(id).unwrap(), 2_800_000);
        assert_eq!(fs::metadata(blobs.path(id)).unwrap().permissions().mode() & 0o777, 0o600);

        blobs.remove(id).unwrap();
        blobs.remove(id).unwrap();
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn a_writer_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::at(dir.path()).unwrap();
        let mut writer = blobs.create().unwrap();
        writer.write_all(&[7; 2 * 1024 * 1024]).unwrap();
        assert_eq!(files(dir.path()), 1);
        drop(writer);
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn collecting_spares_the_known_the_young_and_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let earlier = Blobs::at(dir.path()).unwrap();
        let (known, orphan) = (blob(&earlier, b"known"), blob(&earlier, b"orphan"));
        let cut_off = earlier.create().unwrap();
        let foreign = dir.path().join(FOLDER).join("00");
        create_folder(&foreign).unwrap();
        fs::write(foreign.join("readme"), "not a blob").unwrap();

        let blobs = Blobs::at(dir.path()).unwrap();
        let young = blob(&blobs, b"young");
        let unfinished = blobs.create().unwrap();
        assert_eq!(blobs.collect(|id| id == known).unwrap(), 2);

        assert!(blobs.open(known).is_ok() && blobs.open(young).is_ok() && blobs.open(orphan).is_err());
        assert!(cut_off.finish().is_err(), "it was removed");
        assert!(unfinished.finish().is_ok());
        assert!(foreign.join("readme").exists());
    }
}
