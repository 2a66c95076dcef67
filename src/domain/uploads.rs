//! Uploads on their way: sealed while they arrive, resumable while the server runs.
//!
//! The state of a seal cannot be written down without its key, so an upload that the server's end interrupts begins
//! anew; one that a broken connection interrupts goes on where it stopped. At no moment does a byte of a file stand on
//! the disk in the clear.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::drafts::{self, FILES_MAX, SEND_BYTES_MAX, too_large};
use super::ids::{DraftId, FileId, MailboxId};
use super::messages::FileInfo;
use super::portal::{Error, HOUR, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::crypto::ContentKey;
use crate::crypto::seal::ContentWriter;
use crate::store::{BlobWriter, StoreError};

/// Longest file name, in bytes of UTF-8.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// How long an upload may rest before it is given up, in milliseconds.
pub const UPLOAD_REST_MAX: i64 = HOUR;
/// Uploads on their way in the whole installation.
pub const UPLOADS_MAX: usize = 400;

/// Every upload on its way.
#[derive(Default)]
pub struct Uploads(Mutex<HashMap<FileId, Upload>>);

struct Upload {
    mailbox: MailboxId,
    draft: DraftId,
    name: String,
    /// Bytes announced; as many as the limit leaves when they were not.
    total: u64,
    offset: u64,
    /// Whether another request may go on where this one breaks off: a file inside a form cannot be resumed.
    resumable: bool,
    touched: Timestamp,
    state: State,
}

/// Where an upload stands.
enum State {
    /// Nobody is writing.
    Resting(Box<Sealing>),
    /// A request is writing, or the last bytes are being made durable.
    Leased,
    /// It is a file of its draft. Remembered for a while, for a client whom that answer did not reach.
    Done,
}

impl Upload {
    fn is_under_way(&self, mailbox: MailboxId, draft: DraftId) -> bool {
        self.mailbox == mailbox && self.draft == draft && !matches!(self.state, State::Done)
    }
}

struct Sealing {
    writer: ContentWriter<BlobWriter>,
    key: ContentKey,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received.
    pub offset: u64,
    /// Bytes announced.
    pub total: u64,
}

impl Uploads {
    fn open(&self) -> MutexGuard<'_, HashMap<FileId, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up everything on its way to a draft.
    pub(super) fn abort_draft(&self, mailbox: MailboxId, draft: DraftId) {
        self.open().retain(|_, upload| !upload.is_under_way(mailbox, draft));
    }

    /// Notes that an upload has become a file; false if it was given up meanwhile.
    fn has_done(&self, id: FileId, bytes: u64, now: Timestamp) -> bool {
        let mut open = self.open();
        let Some(upload) = open.get_mut(&id) else { return false };
        (upload.state, upload.offset, upload.touched) = (State::Done, bytes, now);
        upload.name.clear();
        true
    }

    /// Gives up what has rested too long, and forgets what has long been done.
    pub(super) fn tidy(&self, now: Timestamp) {
        let is_kept =
            |upload: &Upload| matches!(upload.state, State::Leased) || now.since(upload.touched) < UPLOAD_REST_MAX;
        self.open().retain(|_, upload| is_kept(upload));
    }
}

/// A name that is safe to keep and to offer for download: no path, no control or direction characters, not too long.
pub fn clean_file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|c| !c.is_control() && !is_direction_mark(*c)).collect();
    clean = clean.trim().trim_matches('\u{feff}').to_owned();
    while clean.len() > FILE_NAME_BYTES_MAX {
        // The ending says what it is, so the middle is shortened.
        let stem_end = clean.rfind('.').filter(|dot| *dot > 0 && clean.len() - dot <= 16).unwrap_or(clean.len());
        let Some((at, _)) = clean.get(..stem_end).and_then(|stem| stem.char_indices().next_back()) else { break };
        clean.remove(at);
    }
    if clean.is_empty() || clean.chars().all(|c| c == '.') { "file".to_owned() } else { clean }
}

/// Characters that turn the direction of writing and so disguise a name's ending (Unicode UAX #9).
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The right to write to an upload, until it is dropped: nobody else can write meanwhile.
pub struct UploadLease {
    portal: Arc<Portal>,
    id: FileId,
    progress: Progress,
    sealing: Option<Box<Sealing>>,
}

impl std::fmt::Debug for UploadLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UploadLease({}, {:?})", self.id, self.progress)
    }
}

impl UploadLease {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Seals bytes. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `files` when there are more than announced; [`Error::Full`] when the disk has no room:
    /// the upload is lost then, its draft is not.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = bytes.len() as u64;
        if self.progress.offset + length > self.progress.total {
            return Err(too_large());
        }
        let sealing = self.sealing.as_mut().ok_or(Error::NotFound)?;
        if let Err(error) = sealing.writer.write_all(bytes) {
            // A seal that was interrupted in the middle of a chunk cannot go on.
            self.sealing = None;
            return Err(StoreError::io("writing an upload")(error).into());
        }
        self.progress.offset += length;
        Ok(())
    }
}

impl Drop for UploadLease {
    fn drop(&mut self) {
        let now = self.portal.now();
        let mut open = self.portal.uploads.open();
        let Some(upload) = open.get_mut(&self.id).filter(|upload| matches!(upload.state, State::Leased)) else {
            return;
        };
        match self.sealing.take().filter(|_| upload.resumable) {
            Some(sealing) => {
                upload.state = State::Resting(sealing);
                upload.offset = self.progress.offset;
                upload.touched = now;
            }
            None => _ = open.remove(&self.id),
        }
    }
}

impl Portal {
    /// Begins an upload to a draft, which comes about if there is none. `total` is its size in bytes; where that is not
    /// known, nobody can come back to go on with it.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `files` when it would be too much; [`Error::Limited`] when too many are on their way.
    pub fn begin_upload(
        &self,
        member: &Member,
        draft: DraftId,
        name: &str,
        total: Option<u64>,
    ) -> Result<FileId, Error> {
        self.touch_draft(member, draft)?;
        let now = self.now();
        self.uploads.tidy(now);
        let (sum, count) = self.store.read(|tx| drafts::files_sum(tx, member.mailbox(), draft))?;
        let id = FileId::generate();
        let mailbox = member.mailbox();
        let blob = self.store.blobs().create()?;
        let (writer, key) = ContentWriter::new(blob)?;
        let mut open = self.uploads.open();
        let siblings = open.values().filter(|upload| upload.is_under_way(mailbox, draft));
        let (others, on_their_way) = siblings.fold((0, 0), |(sum, n), upload| (sum + upload.total, n + 1));
        let left = SEND_BYTES_MAX.saturating_sub(sum).saturating_sub(others);
        if total.is_some_and(|total| total > left) || count + on_their_way >= FILES_MAX {
            return Err(too_large());
        }
        if open.values().filter(|upload| !matches!(upload.state, State::Done)).count() >= UPLOADS_MAX {
            return Err(Error::Limited { retry_after: std::time::Duration::from_secs(30) });
        }
        let upload = Upload {
            mailbox,
            draft,
            name: clean_file_name(name),
            total: total.unwrap_or(left),
            offset: 0,
            resumable: total.is_some(),
            touched: now,
            state: State::Resting(Box::new(Sealing { writer, key })),
        };
        open.insert(id, upload);
        Ok(id)
    }

    /// How far an upload has come.
    pub fn upload_progress(&self, member: &Member, id: FileId) -> Result<Progress, Error> {
        let open = self.uploads.open();
        let upload = open.get(&id).filter(|upload| upload.mailbox == member.mailbox()).ok_or(Error::NotFound)?;
        Ok(Progress { offset: upload.offset, total: upload.total })
    }

    /// Takes an upload to write to it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another request is writing.
    pub fn lease_upload(self: &Arc<Self>, member: &Member, id: FileId) -> Result<UploadLease, Error> {
        let mut open = self.uploads.open();
        let upload = open.get_mut(&id).filter(|upload| upload.mailbox == member.mailbox()).ok_or(Error::NotFound)?;
        let sealing = match std::mem::replace(&mut upload.state, State::Leased) {
            State::Resting(sealing) => sealing,
            other => {
                upload.state = other;
                return Err(Error::Conflict);
            }
        };
        let progress = Progress { offset: upload.offset, total: upload.total };
        Ok(UploadLease { portal: Arc::clone(self), id, progress, sealing: Some(sealing) })
    }

    /// Ends an upload: its bytes become durable and it joins the draft's files. Until then it counts as under way.
    pub fn finish_upload(&self, member: &Member, mut lease: UploadLease) -> Result<FileInfo, Error> {
        let known = self.uploads.open().get(&lease.id).map(|upload| (upload.draft, upload.name.clone()));
        let (draft, name) = known.ok_or(Error::NotFound)?;
        let Sealing { writer, key } = *lease.sealing.take().ok_or(Error::NotFound)?;
        let (blob, digest) = writer.finish().map_err(StoreError::io("ending an upload"))?;
        let (blob, _) = blob.finish()?;
        let info = FileInfo {
            id: lease.id,
            mime: mime_guess::from_path(&name).first_or_octet_stream().essence_str().to_owned(),
            name,
            bytes: lease.progress.offset,
            blob,
            digest,
            key,
        };
        if let Err(error) = self.add_file(member, draft, &info) {
            self.store.blobs().remove(blob)?;
            return Err(error);
        }
        if !self.uploads.has_done(lease.id, info.bytes, self.now()) {
            // It was given up while its last bytes were made durable.
            self.remove_file(member, draft, info.id)?;
            return Err(Error::NotFound);
        }
        Ok(info)
    }

    /// Gives up an upload, or removes the file that it has become.
    pub fn abort_upload(&self, member: &Member, id: FileId) -> Result<(), Error> {
        let upload = {
            let mut open = self.uploads.open();
            open.get(&id).filter(|upload| upload.mailbox == member.mailbox()).ok_or(Error::NotFound)?;
            open.remove(&id).ok_or(Error::NotFound)?
        };
        if matches!(upload.state, State::Done) { self.remove_file(member, upload.draft, id) } else { Ok(()) }
    }

    /// Whether something is still on its way to a draft.
    pub fn uploads_under_way(&self, member: &Member, draft: DraftId) -> usize {
        let open = self.uploads.open();
        open.values().filter(|upload| upload.is_under_way(member.mailbox(), draft)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_keep_their_script_and_lose_their_tricks() {
        for (name, clean) in [
            ("x-ray.png", "x-ray.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\a\\röntgen 12.jpg", "röntgen 12.jpg"),
            ("annex\u{202e}gpj.exe", "annexgpj.exe"),
            ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
            ("", "file"),
            ("..", "file"),
            ("   ", "file"),
            ("虫歯.dcm", "虫歯.dcm"),
        ] {
            assert_eq!(clean_file_name(name), clean, "{name:?}");
        }
        let long = clean_file_name(&format!("{}.jpeg", "歯".repeat(200)));
        assert!(long.len() <= FILE_NAME_BYTES_MAX && long.ends_with("歯.jpeg"));
        assert!(clean_file_name(&"a".repeat(1000)).len() <= FILE_NAME_BYTES_MAX);
    }
}
