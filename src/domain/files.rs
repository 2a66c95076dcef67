//! Files of messages on their way out: one as a stream, all as a zip, a whole message as an age file.
//!
//! What goes out is asked for piece by piece, so that a slow reader holds neither a thread nor memory. Before each piece
//! it is looked at whether the reader may still have it: a message that is destroyed meanwhile ends its downloads.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::accounts::{self, Status};
use super::audit::{self, Event};
use super::ids::{AccountId, FileId, MailboxId, MessageId};
use super::messages::{self, Content, FileInfo, Message};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::time::Clock;
use crate::crypto::seal::{ContentReader, ExportWriter, export};
use crate::crypto::secret::{Digest, Hasher};
use crate::store::Store;

/// Bytes of one piece on its way out.
const PIECE_BYTES: usize = 256 * 1024;

/// Something on its way out of the server.
pub trait Outgoing: Send {
    /// The next piece; none after the last. An error means that what went out is not whole, and the reader must be told.
    fn piece(&mut self) -> Result<Option<Vec<u8>>, Error>;
}

/// A file on its way out.
pub struct Download {
    /// What it is.
    pub info: FileInfo,
    reader: ContentReader<Checked<std::fs::File>>,
    watch: Watch,
    left: u64,
    whole: bool,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Download({})", self.info.id)
    }
}

impl Download {
    /// Only this part of the file: `length` bytes from `first` on.
    pub fn only(&mut self, first: u64, length: u64) -> Result<(), Error> {
        self.whole = first == 0 && length == self.info.bytes;
        self.left = length;
        if first > 0 {
            self.reader.seek(SeekFrom::Start(first)).map_err(Error::internal)?;
        }
        Ok(())
    }
}

impl Outgoing for Download {
    fn piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.watch.look()?;
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let want = self.left.min(PIECE_BYTES as u64);
        self.reader.by_ref().take(want).read_to_end(&mut piece).map_err(Error::internal)?;
        if (piece.len() as u64) < want {
            return Err(Error::internal("a file is shorter than its message says"));
        }
        self.left -= want;
        // The end of the seal and the digest of it all are checked by the read that meets the end: before the last
        // piece goes out, so that nobody takes for whole what is not.
        if self.left == 0 && self.whole {
            self.whole = false;
            if self.reader.read(&mut [0]).map_err(Error::internal)? != 0 {
                return Err(Error::internal("a file is longer than its message says"));
            }
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// Whether a reader may still have what is on its way to them.
struct Watch {
    store: Store,
    clock: Arc<dyn Clock>,
    reader: (AccountId, MailboxId),
    message: MessageId,
}

impl Watch {
    /// # Errors
    /// [`Error::Expired`] when the message is destroyed, or due to be; [`Error::NotFound`] when the reader has deleted
    /// their copy; [`Error::Denied`] when their account is disabled.
    fn look(&self) -> Result<(), Error> {
        let (account, mailbox) = self.reader;
        self.store.read(|tx| {
            let message = messages::message(tx, self.message)?;
            message.holder(mailbox).ok_or(Error::NotFound)?;
            if message.gone(self.clock.now()).is_some() {
                return Err(Error::Expired);
            }
            let is_active = accounts::account(tx, account)?.status == Status::Active;
            if is_active { Ok(()) } else { Err(Error::Denied) }
        })
    }
}

/// Sealed bytes that are hashed on their way: at their end they must be what the sender signed. A reader that has been
/// moved has not seen them all, and leaves it at the seal's own check of each chunk.
struct Checked<R> {
    inner: R,
    hasher: Option<Hasher>,
    expected: Digest,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(hasher) = &mut self.hasher else { return Ok(count) };
        hasher.update(buffer.get(..count).unwrap_or_default());
        if count == 0 && !buffer.is_empty() {
            let digest = self.hasher.take().map(Hasher::finish);
            if digest != Some(self.expected) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not what its sender signed"));
            }
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Checked<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.hasher = None;
        self.inner.seek(to)
    }
}

/// Bytes that are gathered for the next piece.
#[derive(Clone, Default)]
struct Gathered(Arc<Mutex<Vec<u8>>>);

impl Gathered {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a zip is written: as it is, or into an age file.
enum Wrapping {
    None(Gathered),
    Age(Box<ExportWriter<Gathered>>),
}

impl Wrapping {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::None(_) => Ok(()),
            Self::Age(writer) => writer.finish().map(|_| ()),
        }
    }
}

impl Write for Wrapping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(gathered) => gathered.write(bytes),
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Whoever asks for pieces decides when they are large enough.
        Ok(())
    }
}

/// The files of a message on their way out as a zip, without compression and with flat memory.
pub struct Package {
    watch: Watch,
    /// None once its end has been written.
    zip: Option<zip::ZipWriter<zip::write::StreamWriter<Wrapping>>>,
    gathered: Gathered,
    files: VecDeque<FileInfo>,
    current: Option<ContentReader<Checked<std::fs::File>>>,
    taken: HashSet<String>,
}

impl Package {
    fn new(watch: Watch, content: &Content, wrapping: Wrapping, gathered: Gathered) -> Self {
        let zip = Some(zip::ZipWriter::new_stream(wrapping));
        let files = content.files.iter().cloned().collect();
        Self { watch, zip, gathered, files, current: None, taken: HashSet::new() }
    }

    /// A text as the first file.
    fn begin_with(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let Some(zip) = &mut self.zip else { return Ok(()) };
        zip.start_file(free_name(name, &mut self.taken), stored()).map_err(Error::internal)?;
        zip.write_all(text.as_bytes()).map_err(Error::internal)
    }

    /// Writes a little more of the zip.
    fn go_on(&mut self) -> Result<(), Error> {
        let Some(zip) = &mut self.zip else { return Ok(()) };
        if let Some(reader) = &mut self.current {
            let count = io::copy(&mut reader.take(PIECE_BYTES as u64), zip).map_err(Error::internal)?;
            if count == 0 {
                self.current = None;
            }
        } else if let Some(info) = self.files.pop_front() {
            zip.start_file(free_name(&info.name, &mut self.taken), stored()).map_err(Error::internal)?;
            self.current = Some(reader(&self.watch.store, &info)?);
        } else if let Some(zip) = self.zip.take() {
            zip.finish().map_err(Error::internal)?.into_inner().finish().map_err(Error::internal)?;
        }
        Ok(())
    }
}

impl Outgoing for Package {
    fn piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.watch.look()?;
        while self.zip.is_some() && self.gathered.bytes().len() < PIECE_BYTES {
            self.go_on()?;
        }
        let piece = std::mem::take(&mut *self.gathered.bytes());
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// A file's sealed bytes, opened and checked.
fn reader(store: &Store, info: &FileInfo) -> Result<ContentReader<Checked<std::fs::File>>, Error> {
    let inner = store.blobs().open(info.blob)?;
    let checked = Checked { inner, hasher: Some(Hasher::default()), expected: info.digest };
    Ok(ContentReader::new(checked, &info.key)?)
}

impl Portal {
    /// Opens a file of a message for one of its holders.
    pub fn open_file(&self, member: &Member, message: MessageId, file: FileId) -> Result<Download, Error> {
        let (_, content) = self.open_message(member, message)?;
        let info = content.files.into_iter().find(|info| info.id == file).ok_or(Error::NotFound)?;
        let (reader, watch, left) = (reader(&self.store, &info)?, self.watch(member, message), info.bytes);
        self.note_export(member, Event::FileDownloaded, message)?;
        Ok(Download { info, reader, watch, left, whole: true })
    }

    /// All files of a message as a zip.
    pub fn open_zip(&self, member: &Member, message: MessageId) -> Result<Package, Error> {
        let (_, content) = self.open_message(member, message)?;
        self.note_export(member, Event::FileDownloaded, message)?;
        let gathered = Gathered::default();
        Ok(Package::new(self.watch(member, message), &content, Wrapping::None(gathered.clone()), gathered))
    }

    /// A message with its files as a zip inside an ordinary age file, which opens with the holder's own key and with
    /// the practice's recovery kit.
    pub fn open_export(&self, member: &Member, message: MessageId) -> Result<Package, Error> {
        let (row, content) = self.open_message(member, message)?;
        let (recovery, text) = self.store.read(|tx| {
            let host = super::practices::host(tx)?.ok_or(Error::NotFound)?;
            Ok::<_, Error>((host.recovery, export_text(tx, &row, &content)?))
        })?;
        self.note_export(member, Event::MessageExported, message)?;
        let gathered = Gathered::default();
        let sealed = export(&[&member.bundle().public(), &recovery], gathered.clone())?;
        let watch = self.watch(member, message);
        let mut package = Package::new(watch, &content, Wrapping::Age(Box::new(sealed)), gathered);
        package.begin_with("message.txt", &text)?;
        Ok(package)
    }

    fn watch(&self, member: &Member, message: MessageId) -> Watch {
        let reader = (member.account(), member.mailbox());
        Watch { store: self.store.clone(), clock: Arc::clone(&self.clock), reader, message }
    }

    fn note_export(&self, member: &Member, event: Event, message: MessageId) -> Result<(), Error> {
        let (me, now, audit) = (member.account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| audit::note(tx, &audit, now, Some(me), event, message))
    }
}

fn stored() -> zip::write::SimpleFileOptions {
    zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)
}

/// The text of an exported message, with its people and times in UTC.
fn export_text(tx: &impl crate::store::Tx, message: &Message, content: &Content) -> Result<String, Error> {
    let person = |mailbox| {
        let who = messages::correspondent(tx, mailbox)?;
        Ok::<_, Error>(if who.name == who.email { who.email } else { format!("{} <{}>", who.name, who.email) })
    };
    let to = message.recipients().map(|holder| person(holder.mailbox)).collect::<Result<Vec<_>, _>>()?;
    let sent = jiff::Timestamp::from_millisecond(message.created.0).map_err(Error::internal)?;
    let mut text = format!(
        "From: {}\nTo: {}\nSent: {sent}\nSubject: {}\n\n{}\n",
        person(message.sender)?,
        to.join(", "),
        content.subject,
        content.body
    );
    for file in &content.files {
        text.push_str(&format!("\nAttached: {} ({} bytes)", file.name, file.bytes));
    }
    text.push('\n');
    Ok(text)
}

/// A name that no earlier file of the zip has: `x.png`, then `x (2).png`.
fn free_name(name: &str, taken: &mut HashSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while !taken.insert(candidate.to_lowercase()) {
        candidate = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => format!("{stem} ({number}).{ending}"),
            _ => format!("{name} ({number})"),
        };
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_same_name_keep_apart() {
        let mut taken = HashSet::new();
        let names: Vec<String> = ["x.png", "X.png", "x (2).png", "README", "readme"]
            .iter()
            .map(|name| free_name(name, &mut taken))
            .collect();
        assert_eq!(names, ["x.png", "X (2).png", "x (2) (2).png", "README", "readme (2)"]);
    }
}
