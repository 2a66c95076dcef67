//! What can go wrong in the store, as data.

use crate::crypto::CryptoError;
use std::error::Error;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// A failure of the store. None of the sentences names a person, an address or a content.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// redb refused or failed.
    #[error("The database failed while {context}.")]
    Database {
        /// What was being done, as in "committing".
        context: &'static str,
        /// redb's own word.
        source: Box<redb::Error>,
    },
    /// The file system refused or failed.
    #[error("The file system failed while {context}.")]
    Io {
        /// What was being done, as in "writing a blob".
        context: &'static str,
        /// The system's own word.
        source: io::Error,
    },
    /// A row does not have the shape that its table promises.
    #[error("A row of the table \"{table}\" cannot be read.")]
    Decode {
        /// The table's name.
        table: &'static str,
        /// What is wrong with the row.
        source: DecodeError,
    },
    /// A record cannot be written as MessagePack.
    #[error("A row of the table \"{table}\" cannot be written.")]
    Encode {
        /// The table's name.
        table: &'static str,
        /// What is wrong with the record.
        source: rmp_serde::encode::Error,
    },
    /// A guarded row whose MAC is not right.
    #[error("A row of the table \"{table}\" was altered, or was written under another host key.")]
    Tampered {
        /// The table's name.
        table: &'static str,
    },
    /// Keys or slots failed.
    #[error(transparent)]
    Crypto(CryptoError),
    /// There is no room left on the disk, or in the quota. Nothing was written.
    #[error("The disk is full.")]
    Full,
    /// The store was closed, or could not be opened again after a failure of the disk.
    #[error("The store is closed.")]
    Closed,
    /// The operation panicked. Nothing of it was written, and the other operations were not disturbed.
    #[error("The operation broke off and was left out.")]
    Panicked,
    /// `write` was called inside a write, which would wait for itself for ever.
    #[error("A write was asked for inside another write.")]
    Nested,
    /// The data folder belongs to a newer release.
    #[error("The database has schema {found}; this release knows schemas up to {known}. Install the newer release.")]
    Newer {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this release knows.
        known: u32,
    },
    /// The commit of a group failed; every operation of the group gets the same cause.
    #[error(transparent)]
    Group(Arc<StoreError>),
}

/// What is wrong with a row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Shorter or longer than the table's values are.
    #[error("The row has a wrong length.")]
    Length,
    /// Written by a newer release.
    #[error("The row has version {found}; this release knows versions up to {known}.")]
    Version {
        /// The version found.
        found: u8,
        /// The newest version that this release knows.
        known: u8,
    },
    /// Not the MessagePack map that the record is. What the decoder says about it is left out: it may quote a value.
    #[error("The row's body cannot be decoded.")]
    Body,
}

impl From<rmp_serde::decode::Error> for DecodeError {
    fn from(_: rmp_serde::decode::Error) -> Self {
        Self::Body
    }
}

impl StoreError {
    /// Names an error of redb by what was being done. A full disk is recognised.
    pub(super) fn database<E: Into<redb::Error>>(context: &'static str) -> impl FnOnce(E) -> Self {
        move |error| match error.into() {
            redb::Error::Io(source) if is_full(&source) => Self::Full,
            source => Self::Database { context, source: Box::new(source) },
        }
    }

    /// Names an error of the file system by what was being done: also for one that a [`BlobWriter`](super::BlobWriter)
    /// gave as an [`io::Error`]. A full disk is recognised.
    pub fn io(context: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| if is_full(&source) { Self::Full } else { Self::Io { context, source } }
    }

    /// The error that one operation of a failed group gets.
    pub(super) fn of_group(cause: &Arc<Self>) -> Self {
        match **cause {
            Self::Full => Self::Full,
            Self::Closed => Self::Closed,
            _ => Self::Group(Arc::clone(cause)),
        }
    }

    /// Whether the error came from redb, which may then refuse everything until the file is opened again.
    pub(super) fn is_of_database(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::Full)
    }
}

impl From<CryptoError> for StoreError {
    fn from(error: CryptoError) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(reason) = cause {
            if reason.downcast_ref::<io::Error>().is_some_and(is_full) {
                return Self::Full;
            }
            cause = reason.source();
        }
        Self::Crypto(error)
    }
}

/// An error and everything behind it in one line, for the log.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        let more = cause.to_string();
        if !line.ends_with(&more) {
            line = format!("{line}: {more}");
        }
        behind = cause.source();
    }
    line
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_to_the_last_and_values_never() {
        #[derive(Debug, Error)]
        #[error("the write failed")]
        struct Outer(#[source] io::Error);
        assert_eq!(chain(&Outer(io::Error::other("disk full"))), "the write failed: disk full");

        let value = rmp_serde::to_vec(&"ann@example.org").unwrap();
        let source = DecodeError::from(rmp_serde::from_slice::<u64>(&value).unwrap_err());
        let error = StoreError::Decode { table: "accounts", source };
        assert!(!chain(&error).contains("@") && !format!("{error:?}").contains("@"), "{error:?}");
    }
}
