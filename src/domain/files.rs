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
use crate::crypto::Digest;
use crate::crypto::beside::{Beside, Digester};
use crate::crypto::seal::{ContentReader, ExportWriter, export};
use crate::store::Store;

/// Bytes of one piece on its way out.
const PIECE_BYTES: usize = 256 * 1024;
/// Sealed bytes that are read at once: as many of age's chunks, each with its tag.
const AHEAD_BYTES: usize = PIECE_BYTES + 4 * 16;

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

/// Opens what is on its way to a reader, and sees to it that they may still have it.
struct Watch {
    store: Store,
    digester: Digester,
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

    /// A file's sealed bytes, opened and checked.
    fn file(&self, info: &FileInfo) -> Result<ContentReader<Checked<std::fs::File>>, Error> {
        let sealed = match self.store.blobs().open(info.blob) {
            Ok(sealed) => sealed,
            // Destroyed since its message was read, it is no fault that it is gone.
            Err(fault) => return Err(self.look().err().unwrap_or(fault.into())),
        };
        let checked = Checked::new(sealed, self.digester.begin(), info.digest);
        Ok(ContentReader::new(checked, &info.key)?)
    }
}

/// Sealed bytes that are hashed on their way, on another thread than the one that opens them: at their end they must be
/// what the sender signed.
///
/// The seal alone does not say that. Whoever holds the message knows the file's content key and, if they can also write
/// to this disk, could seal another file with it, which every chunk's own check would let through. A reader that has been
/// moved has not seen all bytes, and leaves it at that check.
struct Checked<R> {
    inner: R,
    /// What was read last, and how much of it has been passed on.
    ahead: Arc<Vec<u8>>,
    passed: usize,
    /// What has been read so far, until the end or a move.
    digest: Option<Beside>,
    expected: Digest,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, digest: Beside, expected: Digest) -> Self {
        Self { inner, ahead: Arc::default(), passed: 0, digest: Some(digest), expected }
    }

    /// Reads on, and has it hashed beside.
    fn read_ahead(&mut self) -> io::Result<()> {
        let Some(digest) = &mut self.digest else { return Ok(()) };
        let mut bytes = Vec::with_capacity(AHEAD_BYTES);
        self.inner.by_ref().take(AHEAD_BYTES as u64).read_to_end(&mut bytes)?;
        (self.ahead, self.passed) = (Arc::new(bytes), 0);
        if !self.ahead.is_empty() {
            return digest.add(Arc::clone(&self.ahead)).map_err(io::Error::other);
        }
        let digest = self.digest.take().map(Beside::finish).transpose().map_err(io::Error::other)?;
        if digest == Some(self.expected) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not what its sender signed"))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.passed == self.ahead.len() && !buffer.is_empty() {
            self.read_ahead()?;
        }
        let mut unread = self.ahead.get(self.passed..).unwrap_or_default();
        if unread.is_empty() && self.digest.is_none() {
            return self.inner.read(buffer);
        }
        let count = unread.read(buffer)?;
        self.passed += count;
        Ok(count)
    }
}

impl<R: Seek> Seek for Checked<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let unread = self.ahead.len() - self.passed;
        (self.digest, self.ahead, self.passed) = (None, Arc::default(), 0);
        // Where we are is where what was passed on ends.
        self.inner.seek_relative(-i64::try_from(unread).map_err(io::Error::other)?)?;
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
            self.current = Some(self.watch.file(&info)?);
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

impl Portal {
    /// Opens a file of a message for one of its holders.
    pub fn open_file(&self, member: &Member, message: MessageId, file: FileId) -> Result<Download, Error> {
        let (_, content) = self.open_message(member, message)?;
        let info = content.files.into_iter().find(|info| info.id == file).ok_or(Error::NotFound)?;
        let (watch, left) = (self.watch(member, message), info.bytes);
        let reader = watch.file(&info)?;
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
        let (store, digester, clock) = (self.store.clone(), self.digester.clone(), Arc::clone(&self.clock));
        Watch { store, digester, clock, reader, message }
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
    let people = |cc: bool| {
        let some = message.recipients().filter(|holder| content.cc.contains(&holder.mailbox) == cc);
        some.map(|holder| person(holder.mailbox)).collect::<Result<Vec<_>, _>>()
    };
    let (to, cc) = (people(false)?, people(true)?);
    let cc = if cc.is_empty() { String::new() } else { format!("Cc: {}\n", cc.join(", ")) };
    let sent = jiff::Timestamp::from_millisecond(message.created.0).map_err(Error::internal)?;
    let mut text = format!(
        "From: {}\nTo: {}\n{cc}Sent: {sent}\nSubject: {}\n\n{}\n",
        person(message.sender)?,
        to.join(", "),
        content.subject,
        content.body
    );
    for one in &content.forwarded {
        let sent = jiff::Timestamp::from_millisecond(one.sent.0).map_err(Error::internal)?;
        text.push_str(&format!("\n---- Forwarded message ----\nFrom: {}\nTo: {}\n", one.from, one.to.join(", ")));
        if !one.cc.is_empty() {
            text.push_str(&format!("Cc: {}\n", one.cc.join(", ")));
        }
        text.push_str(&format!("Sent: {sent}\nSubject: {}\n\n{}\n", one.subject, one.body));
    }
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
    use crate::crypto::secret::sha256;

    #[test]
    fn bytes_that_the_sender_did_not_sign_have_no_end() {
        let (digester, bytes) = (Digester::start().unwrap(), vec![7; AHEAD_BYTES * 2]);
        let read = |expected| {
            let mut passed = vec![];
            let checked = Checked::new(&bytes[..], digester.begin(), expected);
            io::copy(&mut { checked }, &mut passed).map(|_| passed)
        };
        assert_eq!(read(sha256(&[&bytes])).unwrap(), bytes);
        assert_eq!(read(sha256(&[b"another file"])).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn who_moves_goes_on_from_what_was_passed_on() {
        let (digester, bytes) = (Digester::start().unwrap(), (0..=255).collect::<Vec<u8>>());
        let mut checked = Checked::new(io::Cursor::new(&bytes), digester.begin(), [0; 32]);
        checked.read_exact(&mut [0; 10]).unwrap();
        assert_eq!(checked.stream_position().unwrap(), 10);
        let mut rest = vec![];
        checked.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, bytes[10..]);
    }

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
