//! Files of messages on their way out: one as a stream, all as a zip, a whole message as an age file.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::audit::{self, Event};
use super::ids::{FileId, MessageId};
use super::messages::{Content, FileInfo, Message};
use super::portal::{Error, Portal};
use super::sessions::Member;
use crate::crypto::seal::{ContentReader, export};
use crate::crypto::secret::{Digest, Hasher};

/// A file that is being read.
pub struct FileStream {
    /// What it is.
    pub info: FileInfo,
    reader: ContentReader<Checked<std::fs::File>>,
}

impl std::fmt::Debug for FileStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileStream({})", self.info.id)
    }
}

impl Read for FileStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl FileStream {
    /// Goes to an offset in bytes: for a range of the file.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(offset)).map(|_| ())
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

impl Portal {
    /// Opens a file of a message for one of its holders.
    pub fn open_file(&self, member: &Member, message: MessageId, file: FileId) -> Result<FileStream, Error> {
        let (_, content) = self.open_message(member, message)?;
        let info = content.files.into_iter().find(|info| info.id == file).ok_or(Error::NotFound)?;
        self.note_export(member, Event::FileDownloaded, message)?;
        self.stream(info)
    }

    fn stream(&self, info: FileInfo) -> Result<FileStream, Error> {
        let inner = self.store.blobs().open(info.blob)?;
        let checked = Checked { inner, hasher: Some(Hasher::default()), expected: info.digest };
        Ok(FileStream { reader: ContentReader::new(checked, &info.key())?, info })
    }

    /// What a zip of a message's files will hold; the check before its first byte is written.
    pub fn openable(&self, member: &Member, message: MessageId) -> Result<(Message, Content), Error> {
        self.open_message(member, message)
    }

    /// Writes all files of a message into `output` as a zip, without compression and with flat memory.
    pub fn write_zip(&self, member: &Member, message: MessageId, output: impl Write) -> Result<(), Error> {
        let (_, content) = self.open_message(member, message)?;
        self.note_export(member, Event::FileDownloaded, message)?;
        let mut zip = zip::ZipWriter::new_stream(output);
        self.add_files(&mut zip, content.files)?;
        zip.finish().map_err(Error::internal)?;
        Ok(())
    }

    /// Writes a message with its files into `output` as a zip inside an ordinary age file, which opens with the
    /// holder's own key and with the practice's recovery kit.
    pub fn write_export(&self, member: &Member, message: MessageId, output: impl Write) -> Result<(), Error> {
        let (row, content) = self.open_message(member, message)?;
        let (recovery, text) = self.store.read(|tx| {
            let host = super::practices::host(tx)?.ok_or(Error::NotFound)?;
            Ok::<_, Error>((host.recovery, export_text(tx, &row, &content)?))
        })?;
        self.note_export(member, Event::MessageExported, message)?;
        let own = member.bundle().public();
        let mut zip = zip::ZipWriter::new_stream(export(&[&own, &recovery], output)?);
        zip.start_file("message.txt", stored()).map_err(Error::internal)?;
        zip.write_all(text.as_bytes()).map_err(Error::internal)?;
        self.add_files(&mut zip, content.files)?;
        zip.finish().map_err(Error::internal)?.into_inner().finish().map_err(Error::internal)?;
        Ok(())
    }

    fn add_files<W: Write>(
        &self,
        zip: &mut zip::ZipWriter<zip::write::StreamWriter<W>>,
        files: Vec<FileInfo>,
    ) -> Result<(), Error> {
        let mut taken = HashSet::from(["message.txt".to_owned()]);
        for info in files {
            let name = free_name(&info.name, &mut taken);
            zip.start_file(name, stored().large_file(info.bytes >= u64::from(u32::MAX))).map_err(Error::internal)?;
            io::copy(&mut self.stream(info)?, zip).map_err(Error::internal)?;
        }
        Ok(())
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
        let who = super::messages::correspondent(tx, mailbox)?;
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
