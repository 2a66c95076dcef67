//! Keys and sealing: the host key, epoch keys and slots, identities, age files, passwords.
//!
//! Every use of a cipher, a hash or a random number in Sealpost is in this room. What leaves it is either sealed
//! ([`Sealed`], [`Wrap`]) or a type whose `Debug` prints nothing.
//!
//! The order of the keys, from the disk upwards, is drawn in `ARCHITECTURE.md`, section "Keys".

pub mod beside;
pub mod host;
pub mod identity;
pub mod kit;
pub mod media;
pub mod password;
pub mod seal;
pub mod secret;
pub mod slots;
mod stretch;

pub use seal::{ContentKey, Parcel, Wrap};
pub use secret::{Digest, Key32, MacKey, Plain, Sealed, random, same};

/// What can go wrong with keys and sealed things. None of the texts contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// A file of ours could not be read or written.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Bytes that should be a sealed thing are not, or were changed since they were sealed.
    #[error("{0} is damaged or was changed")]
    Damaged(&'static str),
    /// The key does not open this.
    #[error("the key does not open this")]
    WrongKey,
    /// The slot that this was sealed under has been overwritten: nobody can open it again.
    #[error("destroyed")]
    Destroyed,
    /// More work is waiting for the password hasher than it will queue.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The host key does not belong to this data folder.
    #[error("the host key does not open this data folder: put back the key file that belongs to it")]
    ForeignHostKey,
}

impl CryptoError {
    /// Wraps a system error with what was being done.
    pub fn io(context: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { context, source }
    }
}

/// A mailbox secret as an `AGE-SECRET-KEY-1…` line, zeroized when dropped.
pub fn secret_text(secret: &identity::MailboxSecret) -> zeroize::Zeroizing<String> {
    use age_core::secrecy::ExposeSecret;
    zeroize::Zeroizing::new(secret.to_age().expose_secret().to_owned())
}
