//! The host key: one secret in a file outside the data folder, or handed over as a systemd credential.
//!
//! It is never part of a backup. A thief of the data folder alone has nothing to try passwords against (the pepper is
//! missing) and no epoch key; somebody who writes into the database cannot make the MACs of its guarded rows.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::{CryptoError, Key32, MacKey};

/// First line of a host key file, so that a person who finds it knows what it is.
const BANNER: &str = "# Sealpost host key. Without it the data folder opens for nobody. Never put it into a backup.";

/// The root of everything that the server itself can open.
#[derive(Debug)]
pub struct HostKey {
    root: Key32,
    row: MacKey,
}

impl HostKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self::from_root(Key32::generate())
    }

    /// Reads the key file, or makes one (mode 0600) if there is none and `may_create`.
    ///
    /// # Errors
    /// [`CryptoError::Io`] when the file can't be read or made, or is missing and must not be made;
    /// [`CryptoError::Damaged`] when it is not a key file.
    pub fn load_or_create(path: &Path, may_create: bool) -> Result<Self, CryptoError> {
        match std::fs::File::open(path) {
            Ok(mut file) => {
                let mut text = Zeroizing::new(String::new());
                file.read_to_string(&mut text).map_err(CryptoError::io("reading the host key"))?;
                Self::parse(&text)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_create => Self::create(path),
            Err(error) => Err(CryptoError::io("opening the host key")(error)),
        }
    }

    /// The key in the text of a key file or credential: the line that is not a comment.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let bytes = line.and_then(|line| BASE64URL_NOPAD.decode(line.as_bytes()).ok()).map(Zeroizing::new);
        let bytes = bytes.ok_or(CryptoError::Damaged("the host key file"))?;
        Key32::from_slice(&bytes).map(Self::from_root).map_err(|_| CryptoError::Damaged("the host key file"))
    }

    fn create(path: &Path) -> Result<Self, CryptoError> {
        let key = Self::generate();
        let text = Zeroizing::new(format!("{BANNER}\n{}\n", BASE64URL_NOPAD.encode(key.root.expose())));
        let write = || {
            // Under another name at first: a crash leaves a whole key file or none.
            let mut part = path.as_os_str().to_owned();
            part.push(".part");
            let part = Path::new(&part);
            let mut file =
                std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::hard_link(part, path)?;
            remove_part(part)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::File::open(folder)?.sync_all()
        };
        write().map_err(CryptoError::io("making the host key"))?;
        Ok(key)
    }

    fn from_root(root: Key32) -> Self {
        let row = MacKey::new(root.derive("sealpost row mac v1", b""));
        Self { root, row }
    }

    /// Authenticates the guarded rows of the database.
    pub fn row_key(&self) -> &MacKey {
        &self.row
    }

    /// Authenticates the audit chain.
    pub fn audit_key(&self) -> MacKey {
        MacKey::new(self.root.derive("sealpost audit mac v1", b""))
    }

    /// Authenticates short things that the server hands out or stores: codes, tokens, messages of the system.
    pub fn token_key(&self) -> MacKey {
        MacKey::new(self.root.derive("sealpost token mac v1", b""))
    }

    /// Peppers passwords before they are stretched.
    pub fn pepper(&self) -> MacKey {
        MacKey::new(self.root.derive("sealpost pepper v1", b""))
    }

    /// A key that seals one kind of thing for the server itself (epoch keys, pending identities, waiting notices).
    pub fn wrapping_key(&self, purpose: &str) -> Key32 {
        self.root.derive("sealpost wrap v1", purpose.as_bytes())
    }
}

#[expect(clippy::disallowed_methods, reason = "the key file's temporary name")]
fn remove_part(part: &Path) -> std::io::Result<()> {
    std::fs::remove_file(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-key");
        assert!(HostKey::load_or_create(&path, false).is_err());
        let made = HostKey::load_or_create(&path, true).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        let read = HostKey::load_or_create(&path, true).unwrap();
        assert_eq!(made.root.expose(), read.root.expose());
    }

    #[test]
    fn a_damaged_key_file_is_refused() {
        for text in ["", "# only a comment", "not base64 !", "c2hvcnQ"] {
            assert!(matches!(HostKey::parse(text), Err(CryptoError::Damaged(_))), "{text:?}");
        }
    }
}
