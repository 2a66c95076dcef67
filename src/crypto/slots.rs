//! Slots: 32-byte keys in one fixed-size file, overwritten in place. To overwrite a slot is to destroy what was sealed
//! under it.
//!
//! Two files in the data folder: `epoch.N`, the epoch key sealed by the host key, and `slots.N`, whole 4 KiB blocks of
//! 64-byte records, each a slot key sealed under the epoch key. Every night [`SlotFile::rotate`] writes both anew with
//! a fresh epoch key and overwrites the old ones, so that a copy of the slot file in an old snapshot opens nothing.
//!
//! Record: 12-byte nonce ‖ 32-byte sealed key ‖ 16-byte tag ‖ marker (4 bytes; zero = empty). ChaCha20-Poly1305
//! (RFC 8439) with epoch and index as associated data; nonces are random, and an epoch key seals far fewer than the
//! 2^32 values that would make a collision worth a thought.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use serde::{Deserialize, Serialize};

use super::host::HostKey;
use super::{CryptoError, Key32, Sealed, random};

/// Bytes of a record.
const RECORD_BYTES: usize = 64;
/// Bytes of the nonce in front of a record.
const NONCE_BYTES: usize = 12;
/// Bytes of the sealed key with its tag.
const SEALED_BYTES: usize = 48;
/// Ends every written record.
const MARKER: [u8; 4] = *b"slot";
/// Bytes by which the file grows: 16,384 slots, zeroed and synced before the first is used.
const GROWTH_BYTES: usize = 1 << 20;
/// Bytes of the epoch file: one whole block, so that overwriting it overwrites all of it.
const EPOCH_FILE_BYTES: usize = 4096;

/// The secret in a slot.
#[derive(Clone, Debug)]
pub struct SlotKey(Key32);

impl SlotKey {
    /// A fresh slot secret.
    pub fn generate() -> Self {
        Self(Key32::generate())
    }

    /// Sixteen bytes that name this very secret without revealing it: rows carry them beside the slot's index.
    pub fn tag(&self) -> [u8; 16] {
        let name = self.0.derive("sealpost slot tag v1", b"");
        let mut tag = [0; 16];
        tag.copy_from_slice(name.expose().split_at(16).0);
        tag
    }

    /// Seals stanzas.
    pub(super) fn stanza_key(&self) -> Key32 {
        self.0.derive("sealpost stanza v1", b"")
    }

    /// The key that needs this slot and `other`: an account's bundle is sealed under it.
    pub fn with(&self, other: &Key32, label: &str, context: &[u8]) -> Key32 {
        other.and(&self.0, label, context)
    }
}

/// Where a row's slot is, and which secret it must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRef {
    /// Index of the record in the slot file.
    pub index: u64,
    /// [`SlotKey::tag`] of the secret.
    #[serde(with = "super::secret::bytes")]
    pub tag: [u8; 16],
}

/// What [`SlotFile::retain`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many slots held something that nobody named; they are overwritten.
    pub orphans: u64,
    /// Slots that were named and hold nothing, ascending: their destruction was begun and not finished.
    pub blank: Vec<u64>,
}

/// The slot file. Reads may come from any thread; writes come from the store's one writer.
#[derive(Debug)]
pub struct SlotFile {
    folder: PathBuf,
    wrapping: Key32,
    epoch: RwLock<Epoch>,
    /// Indexes of empty records, smallest first, so that the file stays dense.
    free: Mutex<BTreeSet<u64>>,
}

#[derive(Debug)]
struct Epoch {
    number: u64,
    key: Key32,
    file: File,
    slots: u64,
}

impl SlotFile {
    /// Opens the newest epoch in `folder`, or makes the first; removes what an interrupted change of epoch left.
    ///
    /// # Errors
    /// [`CryptoError::ForeignHostKey`] when the host key does not open the epoch key; [`CryptoError::Io`].
    pub fn open(folder: &Path, host: &HostKey) -> Result<Self, CryptoError> {
        let wrapping = host.wrapping_key("epoch");
        let epoch = match list(folder)?.0.last() {
            Some(&number) => Epoch::open(folder, number, &wrapping)?,
            None => {
                destroy_others(folder, 0)?;
                Epoch::create(folder, 1, &wrapping)?.settle(folder)?
            }
        };
        destroy_others(folder, epoch.number)?;
        Ok(Self { folder: folder.to_owned(), wrapping, epoch: RwLock::new(epoch), free: Mutex::new(BTreeSet::new()) })
    }

    /// Overwrites every written slot that is not `living` (index, ascending) and learns which are free. At start.
    pub fn retain(&self, living: impl Iterator<Item = u64>) -> Result<Retained, CryptoError> {
        let epoch = self.epoch();
        let mut living = living.peekable();
        let (mut free, mut found) = (BTreeSet::new(), Retained::default());
        let mut block = vec![0; GROWTH_BYTES];
        for start in (0..epoch.slots).step_by(GROWTH_BYTES / RECORD_BYTES) {
            let offset = start * RECORD_BYTES as u64;
            epoch.file.read_exact_at(&mut block, offset).map_err(CryptoError::io("reading the slot file"))?;
            for (index, record) in (start..).zip(block.chunks_exact(RECORD_BYTES)) {
                while living.next_if(|next| *next < index).is_some() {}
                let is_blank = record.iter().all(|byte| *byte == 0);
                if living.next_if_eq(&index).is_some() {
                    found.blank.extend(is_blank.then_some(index));
                    continue;
                }
                if !is_blank {
                    epoch.put(index, &[0; RECORD_BYTES])?;
                    found.orphans += 1;
                }
                free.insert(index);
            }
        }
        if found.orphans > 0 {
            epoch.sync();
        }
        *self.free() = free;
        Ok(found)
    }

    /// An index for a new slot; the file grows when none is free.
    ///
    /// # Errors
    /// [`CryptoError::Io`] when the disk is full; nothing has changed then.
    pub fn allocate(&self) -> Result<u64, CryptoError> {
        if let Some(index) = self.free().pop_first() {
            return Ok(index);
        }
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        let first = epoch.slots;
        grow(&epoch.file, first)?;
        epoch.slots += (GROWTH_BYTES / RECORD_BYTES) as u64;
        self.free().extend(first + 1..epoch.slots);
        Ok(first)
    }

    /// Writes a secret into its slot, not yet durably.
    pub fn write(&self, index: u64, key: &SlotKey) -> Result<(), CryptoError> {
        let epoch = self.epoch();
        epoch.put(index, &epoch.seal(index, key)?)
    }

    /// Overwrites a slot, not yet durably. `false` if it holds another secret than `slot` names, or none: then nothing
    /// was done, so that a sweep that is replayed cannot destroy a newer message's key.
    pub fn erase(&self, slot: &SlotRef) -> Result<bool, CryptoError> {
        match self.read(slot) {
            Ok(_) => self.clear(slot.index).map(|()| true),
            Err(CryptoError::Destroyed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Overwrites a slot whatever it holds: one just written for an operation that did not come about.
    pub fn clear(&self, index: u64) -> Result<(), CryptoError> {
        self.epoch().put(index, &[0; RECORD_BYTES])
    }

    /// Makes everything written durable. A failed fdatasync must not be repeated (the kernel may have dropped the
    /// pages), so the process ends and start-up sorts things out.
    pub fn sync(&self) {
        self.epoch().sync();
    }

    /// Gives an overwritten slot back for use: only after the database has forgotten it.
    pub fn release(&self, index: u64) {
        self.free().insert(index);
    }

    /// The secret in a slot.
    ///
    /// # Errors
    /// [`CryptoError::Destroyed`] when it has been overwritten.
    pub fn read(&self, slot: &SlotRef) -> Result<SlotKey, CryptoError> {
        let epoch = self.epoch();
        let key = epoch.get(slot.index)?.ok_or(CryptoError::Destroyed)?;
        if super::same(&key.tag(), &slot.tag) { Ok(key) } else { Err(CryptoError::Destroyed) }
    }

    /// Writes the living slots into a new file under a new epoch key, and overwrites the old file and key.
    pub fn rotate(&self) -> Result<(), CryptoError> {
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        destroy_others(&self.folder, epoch.number)?;
        let next = Epoch::create(&self.folder, epoch.number + 1, &self.wrapping)?;
        let next = self.carry_over(&epoch, next)?;
        let next = next.settle(&self.folder)?;
        let old = std::mem::replace(&mut *epoch, next).number;
        // The key first: without it the old slots are already beyond opening.
        destroy_file(&epoch_path(&self.folder, old))?;
        destroy_file(&slots_path(&self.folder, old))
    }

    fn carry_over(&self, from: &Epoch, mut to: Epoch) -> Result<Epoch, CryptoError> {
        let free = self.free();
        let records = GROWTH_BYTES / RECORD_BYTES;
        for start in (0..from.slots).step_by(records) {
            grow(&to.file, start)?;
            let mut block = Vec::with_capacity(GROWTH_BYTES);
            for index in (start..).take(records) {
                let key = if free.contains(&index) { None } else { from.get(index)? };
                block.extend(key.map(|key| to.seal(index, &key)).transpose()?.unwrap_or([0; RECORD_BYTES]));
            }
            let offset = start * RECORD_BYTES as u64;
            to.file.write_all_at(&block, offset).map_err(CryptoError::io("writing the slot file"))?;
            to.slots = start + records as u64;
        }
        Ok(to)
    }

    /// Number of the current epoch.
    pub fn epoch_number(&self) -> u64 {
        self.epoch().number
    }

    fn epoch(&self) -> RwLockReadGuard<'_, Epoch> {
        self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Epoch {
    fn open(folder: &Path, number: u64, wrapping: &Key32) -> Result<Self, CryptoError> {
        let mut sealed = Vec::new();
        File::open(epoch_path(folder, number))
            .and_then(|mut file| file.read_to_end(&mut sealed))
            .map_err(CryptoError::io("reading the epoch key"))?;
        // The length of the sealed key is fixed: nonce, 32 bytes, tag; the rest of the block is padding.
        sealed.truncate(24 + 32 + 16);
        let plain = wrapping
            .open(&number.to_be_bytes(), &Sealed::from_stored(sealed))
            .map_err(|_| CryptoError::ForeignHostKey)?;
        let key = Key32::from_slice(plain.as_bytes())?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(slots_path(folder, number))
            .map_err(CryptoError::io("opening the slot file"))?;
        let bytes = file.metadata().map_err(CryptoError::io("opening the slot file"))?.len();
        // A growth that was cut short by a full disk or a crash leaves an incomplete last step.
        let slots = bytes / GROWTH_BYTES as u64 * (GROWTH_BYTES / RECORD_BYTES) as u64;
        Ok(Self { number, key, file, slots })
    }

    /// Makes the files of a new epoch under temporary names; [`Epoch::settle`] gives them their own.
    fn create(folder: &Path, number: u64, wrapping: &Key32) -> Result<Self, CryptoError> {
        let context = CryptoError::io("making an epoch key");
        let key = Key32::generate();
        let mut block = wrapping.seal(&number.to_be_bytes(), key.expose())?.as_bytes().to_vec();
        block.resize(EPOCH_FILE_BYTES, 0);
        let part = part(&epoch_path(folder, number));
        let mut file = new_file(&part)?;
        file.write_all(&block).and_then(|()| file.sync_all()).map_err(context)?;
        Ok(Self { number, key, file: new_file(&self::part(&slots_path(folder, number)))?, slots: 0 })
    }

    /// Makes the new epoch the current one. The renaming of the key file is the step that counts: before it, the old
    /// epoch is whole; after it, the new one is.
    fn settle(self, folder: &Path) -> Result<Self, CryptoError> {
        let settle = || {
            self.file.sync_all()?;
            for path in [slots_path(folder, self.number), epoch_path(folder, self.number)] {
                std::fs::rename(part(&path), &path)?;
                File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        settle().map_err(CryptoError::io("settling a new epoch"))?;
        Ok(self)
    }

    fn context(&self, index: u64) -> [u8; 16] {
        ((u128::from(self.number) << 64) | u128::from(index)).to_be_bytes()
    }

    fn seal(&self, index: u64, key: &SlotKey) -> Result<[u8; RECORD_BYTES], CryptoError> {
        let nonce = random::<NONCE_BYTES>();
        let sealed = ChaCha20Poly1305::new(self.key.expose().into())
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: key.0.expose(), aad: &self.context(index) })
            .map_err(|_| CryptoError::Damaged("a slot"))?;
        [nonce.as_slice(), &sealed, &MARKER].concat().try_into().map_err(|_| CryptoError::Damaged("a slot"))
    }

    fn get(&self, index: u64) -> Result<Option<SlotKey>, CryptoError> {
        let mut record = [0; RECORD_BYTES];
        if index >= self.slots {
            return Ok(None);
        }
        let offset = index * RECORD_BYTES as u64;
        self.file.read_exact_at(&mut record, offset).map_err(CryptoError::io("reading a slot"))?;
        let (nonce, rest) = record.split_at(NONCE_BYTES);
        let (sealed, marker) = rest.split_at(SEALED_BYTES);
        if marker != MARKER {
            return Ok(None);
        }
        let opened = ChaCha20Poly1305::new(self.key.expose().into())
            .decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: &self.context(index) })
            .map(super::Plain::new);
        Ok(opened.ok().and_then(|plain| Key32::from_slice(plain.as_bytes()).ok()).map(SlotKey))
    }

    fn put(&self, index: u64, record: &[u8; RECORD_BYTES]) -> Result<(), CryptoError> {
        self.file.write_all_at(record, index * RECORD_BYTES as u64).map_err(CryptoError::io("writing a slot"))
    }

    fn sync(&self) {
        if let Err(error) = self.file.sync_data() {
            tracing::error!(%error, "the slot file could not be synced; stopping, because a failed sync must not be repeated");
            std::process::abort();
        }
    }
}

/// Appends zeroed, durable space for more slots behind slot `first`.
fn grow(file: &File, first: u64) -> Result<(), CryptoError> {
    // Written rather than preallocated: the first use of a preallocated extent would journal its conversion.
    file.write_all_at(&vec![0; GROWTH_BYTES], first * RECORD_BYTES as u64)
        .and_then(|()| file.sync_all())
        .map_err(CryptoError::io("growing the slot file"))
}

fn epoch_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("epoch.{number}"))
}

fn slots_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("slots.{number}"))
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn new_file(path: &Path) -> Result<File, CryptoError> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(CryptoError::io("making a slot file"))?;
    super::media::avoid_copy_on_write(&file);
    Ok(file)
}

/// Settled epochs in ascending order, and every file of ours with the epoch it may belong to (`None`: unfinished).
type Listing = (Vec<u64>, Vec<(Option<u64>, PathBuf)>);

fn list(folder: &Path) -> Result<Listing, CryptoError> {
    let (mut epochs, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(CryptoError::io("opening the data folder"))? {
        let path = entry.map_err(CryptoError::io("opening the data folder"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((kind @ ("epoch" | "slots"), rest)) = name.split_once('.') else { continue };
        let number = rest.parse().ok();
        epochs.extend(number.filter(|_| kind == "epoch"));
        files.push((number, path.clone()));
    }
    epochs.sort_unstable();
    Ok((epochs, files))
}

/// Destroys what an interrupted change of epoch left: everything that does not belong to the epoch `current`.
fn destroy_others(folder: &Path, current: u64) -> Result<(), CryptoError> {
    let (_, files) = list(folder)?;
    files.iter().filter(|(number, _)| *number != Some(current)).try_for_each(|(_, path)| destroy_file(path))
}

/// Overwrites a file, makes that durable, and removes it.
#[expect(clippy::disallowed_methods, reason = "this is one of the two places that remove files")]
fn destroy_file(path: &Path) -> Result<(), CryptoError> {
    let destroy = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut left = file.metadata()?.len();
        let zeros = vec![0; GROWTH_BYTES];
        while left > 0 {
            let step = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
            file.write_all(zeros.split_at(step).0)?;
            left -= step as u64;
        }
        file.sync_data()?;
        std::fs::remove_file(path)
    };
    match destroy() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(CryptoError::io("destroying an old epoch")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(slots: &SlotFile) -> (SlotRef, SlotKey) {
        let key = SlotKey::generate();
        let slot = SlotRef { index: slots.allocate().unwrap(), tag: key.tag() };
        slots.write(slot.index, &key).unwrap();
        slots.sync();
        (slot, key)
    }

    fn opens(slots: &SlotFile, slot: &SlotRef) -> bool {
        match slots.read(slot) {
            Ok(key) => key.tag() == slot.tag,
            Err(CryptoError::Destroyed) => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_slot_lives_until_it_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotFile::open(folder.path(), &HostKey::generate()).unwrap();
        slots.retain(std::iter::empty()).unwrap();
        let (a, _) = put(&slots);
        let (b, _) = put(&slots);
        assert!(opens(&slots, &a) && opens(&slots, &b));
        assert!(slots.erase(&a).unwrap());
        assert!(!opens(&slots, &a) && opens(&slots, &b));
        assert!(!slots.erase(&a).unwrap(), "a second time finds nothing");
        slots.release(a.index);
        let (c, _) = put(&slots);
        assert_eq!(c.index, a.index, "the place is used again");
        assert!(!slots.erase(&a).unwrap(), "a replayed destruction does not touch the newer key");
        assert!(opens(&slots, &c));
    }

    #[test]
    fn a_new_epoch_carries_the_living_and_forgets_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostKey::generate();
        let slots = SlotFile::open(folder.path(), &host).unwrap();
        slots.retain(std::iter::empty()).unwrap();
        let (a, _) = put(&slots);
        let (b, _) = put(&slots);
        let old_slots = std::fs::read(folder.path().join("slots.1")).unwrap();
        slots.erase(&a).unwrap();
        slots.sync();
        slots.release(a.index);
        slots.rotate().unwrap();
        assert!(!opens(&slots, &a) && opens(&slots, &b));
        assert!(!folder.path().join("slots.1").exists() && !folder.path().join("epoch.1").exists());
        drop(slots);
        // A thief puts the old slot file back: its epoch key is gone.
        std::fs::write(folder.path().join("slots.2"), old_slots).unwrap();
        let slots = SlotFile::open(folder.path(), &host).unwrap();
        assert!(!opens(&slots, &a) && !opens(&slots, &b));
    }

    #[test]
    fn start_up_collects_orphans_and_unfinished_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostKey::generate();
        let slots = SlotFile::open(folder.path(), &host).unwrap();
        slots.retain(std::iter::empty()).unwrap();
        let (a, _) = put(&slots);
        let (b, _) = put(&slots);
        drop(slots);
        for name in ["epoch.2.part", "slots.2.part", "slots.2", "epoch.0", "slots.0"] {
            std::fs::write(folder.path().join(name), b"left over").unwrap();
        }
        let slots = SlotFile::open(folder.path(), &host).unwrap();
        let found = slots.retain([b.index, b.index + 1].into_iter()).unwrap();
        assert_eq!(found, Retained { orphans: 1, blank: vec![b.index + 1] });
        assert!(!opens(&slots, &a) && opens(&slots, &b));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_change_of_epoch_that_failed_does_not_keep_the_next_from_coming() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotFile::open(folder.path(), &HostKey::generate()).unwrap();
        slots.retain(std::iter::empty()).unwrap();
        let (a, _) = put(&slots);
        for name in ["epoch.2.part", "slots.2.part", "slots.2"] {
            std::fs::write(folder.path().join(name), b"the disk was full").unwrap();
        }
        slots.rotate().unwrap();
        assert_eq!(slots.epoch_number(), 2);
        assert!(opens(&slots, &a));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn another_host_key_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(SlotFile::open(folder.path(), &HostKey::generate()).unwrap());
        let error = SlotFile::open(folder.path(), &HostKey::generate()).unwrap_err();
        assert!(matches!(error, CryptoError::ForeignHostKey));
    }

    #[test]
    fn the_file_grows() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotFile::open(folder.path(), &HostKey::generate()).unwrap();
        slots.retain(std::iter::empty()).unwrap();
        let indexes: Vec<u64> = (0..20_000).map(|_| slots.allocate().unwrap()).collect();
        assert_eq!(indexes, (0..20_000).collect::<Vec<_>>());
        let key = SlotKey::generate();
        slots.write(19_999, &key).unwrap();
        assert!(opens(&slots, &SlotRef { index: 19_999, tag: key.tag() }));
    }
}
