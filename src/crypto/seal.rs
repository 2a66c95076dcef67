//! Sealing content: age files whose stanzas are kept apart and sealed once more.
//!
//! A message's body and each attachment is one age file (<https://age-encryption.org/v1>) made by the age library. Its
//! header names no recipient: it carries one empty `sealpost` stanza, and the file key is a [`ContentKey`] that we wrap
//! for each holder with the library's own X25519 stanza, sealed once more under that holder's slot ([`Wrap`]). So no
//! header that a mailbox identity alone could open ever exists on disk, a holder is added or re-keyed without touching
//! the signed content, and overwriting 32 bytes ends a holder's copy for good.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, OnceLock};

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::identity::{MailboxPublic, MailboxSecret};
use super::secret::{Digest, Hasher};
use super::slots::SlotKey;
use super::{CryptoError, Plain, Sealed};

/// Tag of the only stanza in a stored age file.
const DETACHED_TAG: &str = "sealpost";
/// Bytes of the wrapped file key in an X25519 stanza: the key and its Poly1305 tag.
const STANZA_BODY_BYTES: usize = FILE_KEY_BYTES + 16;

/// The age file key of one content: whoever has it can open that content.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

/// As it stands inside another sealed content: an attachment's key in its message.
impl Serialize for ContentKey {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        super::secret::bytes::serialize(self.0.as_ref(), to)
    }
}

impl<'de> Deserialize<'de> for ContentKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        super::secret::bytes::deserialize(from).map(|bytes| Self(Zeroizing::new(bytes)))
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

impl ContentKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; FILE_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn of(key: &FileKey) -> Self {
        Self(Zeroizing::new(*key.expose_secret()))
    }

    fn to_file_key(&self) -> FileKey {
        FileKey::init_with_mut(|bytes| bytes.copy_from_slice(self.0.as_ref()))
    }
}

/// Takes the file key that the library made, and leaves an empty stanza in the header.
struct Detach(std::cell::RefCell<Option<ContentKey>>);

impl age::Recipient for Detach {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.0.replace(Some(ContentKey::of(key)));
        Ok((vec![Stanza { tag: DETACHED_TAG.into(), args: vec![], body: vec![] }], HashSet::new()))
    }
}

struct Attach<'a>(&'a ContentKey);

impl age::Identity for Attach<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        (stanza.tag == DETACHED_TAG).then(|| Ok(self.0.to_file_key()))
    }
}

/// Seals a stream into an age file with constant memory and hashes the sealed bytes on their way.
pub struct ContentWriter<W: Write>(age::stream::StreamWriter<Hashing<W>>);

impl<W: Write> ContentWriter<W> {
    /// Writes the header to `output`; the key opens what is written through the writer.
    pub fn new(output: W) -> Result<(Self, ContentKey), CryptoError> {
        let detach = Detach(std::cell::RefCell::new(None));
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&detach as &dyn age::Recipient))
            .map_err(|_| CryptoError::Damaged("an age header"))?;
        let key = detach.0.into_inner().ok_or(CryptoError::Damaged("an age header"))?;
        let fault = Arc::default();
        let output = Hashing { inner: output, hasher: Hasher::default(), fault: Arc::clone(&fault) };
        let writer = encryptor.wrap_output(output);
        // The library tells of a fault in the header as text only; that the disk is full must stay known.
        let writer = writer.map_err(|error| fault.get().map_or(error, |kind| io::Error::from(*kind)));
        Ok((Self(writer.map_err(CryptoError::io("sealing"))?), key))
    }

    /// Seals the last chunk; gives back the output and the SHA-256 of every sealed byte.
    pub fn finish(self) -> io::Result<(W, Digest)> {
        let Hashing { inner, hasher, .. } = self.0.finish()?;
        Ok((inner, hasher.finish()))
    }
}

impl<W: Write> Write for ContentWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    /// What the output failed with first.
    fault: Arc<OnceLock<io::ErrorKind>>,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes).inspect_err(|error| _ = self.fault.set(error.kind()))?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens an age file as a stream. A file that was cut short is reported by the read that meets its end: who passes
/// the bytes on must break off then, not end cleanly.
pub struct ContentReader<R>(age::stream::StreamReader<R>);

impl<R: Read> ContentReader<R> {
    /// Reads and checks the header.
    pub fn new(input: R, key: &ContentKey) -> Result<Self, CryptoError> {
        let identity = Attach(key);
        age::Decryptor::new(input)
            .and_then(|decryptor| decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)))
            .map(Self)
            .map_err(|_| CryptoError::WrongKey)
    }
}

impl<R: Read> Read for ContentReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read + Seek> Seek for ContentReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Seals bytes that fit in memory.
pub fn seal_content(plain: &[u8]) -> Result<(Sealed, ContentKey, Digest), CryptoError> {
    let (mut writer, key) = ContentWriter::new(Vec::with_capacity(plain.len() + 256))?;
    writer.write_all(plain).map_err(CryptoError::io("sealing"))?;
    let (sealed, digest) = writer.finish().map_err(CryptoError::io("sealing"))?;
    Ok((Sealed(sealed), key, digest))
}

/// Opens what [`seal_content`] made.
pub fn open_content(sealed: &Sealed, key: &ContentKey) -> Result<Plain, CryptoError> {
    let mut plain = Vec::with_capacity(sealed.as_bytes().len());
    ContentReader::new(sealed.as_bytes(), key)?.read_to_end(&mut plain).map_err(|_| CryptoError::Damaged("content"))?;
    Ok(Plain::new(plain))
}

/// One holder's way to a content: the age X25519 stanza of its file key, sealed under the holder's slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrap(Sealed);

impl Wrap {
    /// Wraps `key` for the mailbox `to` under `slot`. `context` says what the wrap is for (message, holder, sender,
    /// created, latest possible expiry); the same bytes must be given to open it.
    pub fn seal(key: &ContentKey, to: &MailboxPublic, slot: &SlotKey, context: &[u8]) -> Result<Self, CryptoError> {
        let (stanzas, _) = age::Recipient::wrap_file_key(to.recipient(), &key.to_file_key())
            .map_err(|_| CryptoError::Damaged("a mailbox key"))?;
        let stanza = stanzas.into_iter().next().ok_or(CryptoError::Damaged("a mailbox key"))?;
        let share = stanza.args.into_iter().next().ok_or(CryptoError::Damaged("a mailbox key"))?;
        let inner = [stanza.body.as_slice(), share.as_bytes()].concat();
        slot.stanza_key().seal(context, &inner).map(Self)
    }

    /// Opens the wrap with the holder's secret, slot and context.
    pub fn open(&self, secret: &MailboxSecret, slot: &SlotKey, context: &[u8]) -> Result<ContentKey, CryptoError> {
        let inner = slot.stanza_key().open(context, &self.0)?;
        let (body, share) =
            inner.as_bytes().split_at_checked(STANZA_BODY_BYTES).ok_or(CryptoError::Damaged("a stanza"))?;
        let share = String::from_utf8(share.to_vec()).map_err(|_| CryptoError::Damaged("a stanza"))?;
        let stanza = Stanza { tag: "X25519".into(), args: vec![share], body: body.to_vec() };
        match age::Identity::unwrap_stanza(secret.identity(), &stanza) {
            Some(Ok(key)) => Ok(ContentKey::of(&key)),
            _ => Err(CryptoError::WrongKey),
        }
    }
}

/// A content and its one wrap together: something sealed to a single mailbox under a single slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    content: Sealed,
    wrap: Wrap,
}

impl Parcel {
    /// Seals `plain` to `to` under `slot`.
    pub fn seal(plain: &[u8], to: &MailboxPublic, slot: &SlotKey, context: &[u8]) -> Result<Self, CryptoError> {
        let (content, key, _) = seal_content(plain)?;
        Ok(Self { content, wrap: Wrap::seal(&key, to, slot, context)? })
    }

    /// The same content for another identity, under the same slot: only the wrap is made anew.
    pub fn rekey(
        &self,
        old: &MailboxSecret,
        new: &MailboxPublic,
        slot: &SlotKey,
        context: &[u8],
    ) -> Result<Self, CryptoError> {
        let key = self.wrap.open(old, slot, context)?;
        Ok(Self { content: self.content.clone(), wrap: Wrap::seal(&key, new, slot, context)? })
    }

    /// Opens it again.
    pub fn open(&self, secret: &MailboxSecret, slot: &SlotKey, context: &[u8]) -> Result<Plain, CryptoError> {
        open_content(&self.content, &self.wrap.open(secret, slot, context)?)
    }
}

/// Seals what leaves the server; its `finish` seals the last chunk.
pub type ExportWriter<W> = age::stream::StreamWriter<W>;

/// Starts an ordinary age file for `recipients` that the `age` command opens: for what leaves the server.
pub fn export<W: Write>(recipients: &[&MailboxPublic], output: W) -> Result<ExportWriter<W>, CryptoError> {
    age::Encryptor::with_recipients(recipients.iter().map(|to| to.recipient() as &dyn age::Recipient))
        .map_err(|_| CryptoError::Damaged("a mailbox key"))?
        .wrap_output(output)
        .map_err(CryptoError::io("writing an export"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::Bundle;

    #[test]
    fn content_opens_for_its_holder_only_with_identity_slot_and_context() {
        let (holder, other) = (Bundle::generate(), Bundle::generate());
        let slot = SlotKey::generate();
        let (sealed, key, _) = seal_content(b"a tooth").unwrap();
        let wrap = Wrap::seal(&key, &holder.public(), &slot, b"m1").unwrap();
        let opened = wrap.open(holder.secret(), &slot, b"m1").unwrap();
        assert_eq!(open_content(&sealed, &opened).unwrap().as_bytes(), b"a tooth");
        assert!(wrap.open(other.secret(), &slot, b"m1").is_err());
        assert!(wrap.open(holder.secret(), &SlotKey::generate(), b"m1").is_err());
        assert!(wrap.open(holder.secret(), &slot, b"m2").is_err());
    }

    #[test]
    fn no_bit_of_a_sealed_content_can_be_changed() {
        let (sealed, key, _) = seal_content(b"x").unwrap();
        for bit in 0..sealed.0.len() * 8 {
            let mut changed = sealed.clone();
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(open_content(&changed, &key).is_err(), "bit {bit}");
        }
        for length in 0..sealed.0.len() {
            assert!(open_content(&Sealed(sealed.0[..length].to_vec()), &key).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_full_disk_is_known_from_the_first_byte_on() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let Err(CryptoError::Io { source, .. }) = ContentWriter::new(Full) else { panic!("it was written") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn streams_seek_and_hash() {
        let plain: Vec<u8> = (0..300_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let (mut writer, key) = ContentWriter::new(Vec::new()).unwrap();
        writer.write_all(&plain).unwrap();
        let (sealed, digest) = writer.finish().unwrap();
        assert_eq!(digest, crate::crypto::secret::sha256(&[&sealed]));
        let mut reader = ContentReader::new(io::Cursor::new(&sealed), &key).unwrap();
        reader.seek(SeekFrom::Start(200_000)).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, plain[200_000..]);
    }
}
