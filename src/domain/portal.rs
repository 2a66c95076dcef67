//! The portal: the open parts that every operation needs, and the one seam between asynchronous and blocking code.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use super::imports::Imports;
use super::indexing::Readers;
use super::sessions::{Member, Sessions};
use super::time::{Clock, Timestamp};
use super::uploads::Uploads;
use crate::crypto::beside::Digester;
use crate::crypto::host::HostKey;
use crate::crypto::password::PasswordHasher;
use crate::crypto::{CryptoError, Key32};
use crate::store::{Store, StoreError};
use crate::words::said::Said;

/// How long to wait when too many passwords are being checked.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Milliseconds of one second, minute, hour, day.
pub const SECOND: i64 = 1000;
/// See [`SECOND`].
pub const MINUTE: i64 = 60 * SECOND;
/// See [`SECOND`].
pub const HOUR: i64 = 60 * MINUTE;
/// See [`SECOND`].
pub const DAY: i64 = 24 * HOUR;

/// What an operation answers when it does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing here, or it is somebody else's: the same answer for both.
    #[error("not found")]
    NotFound,
    /// The person may not do this.
    #[error("not allowed")]
    Denied,
    /// A field is not right.
    #[error("{field}: {message}")]
    Invalid {
        /// Name of the form field.
        field: &'static str,
        /// A sentence for the person.
        message: Said,
    },
    /// Something changed in the meantime.
    #[error("changed in the meantime")]
    Conflict,
    /// The session, link or code is over.
    #[error("over")]
    Expired,
    /// Too often or too much at once.
    #[error("too many requests")]
    Limited {
        /// How long to wait before it is worth trying again.
        retry_after: Duration,
    },
    /// The server's disk is full: nothing of what was asked for was written.
    #[error("the disk is full")]
    Full,
    /// Something broke here. Logged once, where it is turned into an answer; the person sees a reference number.
    #[error("something broke")]
    Internal {
        /// What broke, for the log. Never content, addresses or secrets.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// A field that is not right.
    pub fn invalid(field: &'static str, message: impl Into<Said>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// Something broke.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { cause: cause.into() }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            StoreError::Crypto(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Destroyed => Self::Expired,
            CryptoError::Busy => Self::Limited { retry_after: BUSY_WAIT },
            // The store knows a full disk when it sees one.
            other => match StoreError::from(other) {
                StoreError::Full => Self::Full,
                other => Self::internal(other),
            },
        }
    }
}

/// What the boot configuration decides about the rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where people reach this installation, without a slash at the end. Every link begins with it.
    pub public_url: String,
    /// Whether a mail server is configured; without one, notices stay on the outbox page.
    pub sends_mail: bool,
    /// Whether the server listens on loopback only, so that the outbox page may be shown.
    pub loopback: bool,
    /// Memory of a password's derivation in KiB.
    pub password_memory_kib: u32,
    /// Passes of a password's derivation.
    pub password_passes: u32,
}

/// The open portal. Its operations are methods, each in the file of its noun.
pub struct Portal {
    pub(super) store: Store,
    pub(super) host: Arc<HostKey>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hasher: PasswordHasher,
    pub(super) digester: Digester,
    pub(super) sessions: Sessions,
    pub(super) uploads: Uploads,
    pub(super) readers: Readers,
    pub(super) imports: Imports,
    pub(super) options: Options,
    pub(super) setup_token: Key32,
    wake: OnceLock<Box<dyn Fn(Loop) + Send + Sync>>,
}

/// The loops of `serve` that an operation may wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Destruction of what is due.
    Sweep,
    /// Handing letters to the outside.
    Outbox,
    /// Nightly work.
    Upkeep,
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Portal")
    }
}

impl Portal {
    /// Opens the portal on an open store.
    pub fn open(store: Store, host: Arc<HostKey>, clock: Arc<dyn Clock>, options: Options) -> Result<Arc<Self>, Error> {
        let hasher = PasswordHasher::new(&host, options.password_memory_kib, options.password_passes)?;
        let portal = Self {
            store,
            host,
            clock,
            hasher,
            digester: Digester::start()?,
            sessions: Sessions::default(),
            uploads: Uploads::default(),
            readers: Readers::default(),
            imports: Imports::default(),
            options,
            setup_token: Key32::generate(),
            wake: OnceLock::new(),
        };
        portal.finish_interrupted()?;
        Ok(Arc::new(portal))
    }

    /// Runs a blocking operation for an asynchronous caller.
    ///
    /// # Errors
    /// Those of the operation; [`Error::Internal`] if it panicked.
    pub async fn run<T, F>(self: &Arc<Self>, operation: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    {
        let portal = Arc::clone(self);
        match tokio::task::spawn_blocking(move || operation(&portal)).await {
            Ok(result) => result,
            Err(_) => Err(Error::internal("an operation panicked")),
        }
    }

    /// Reads what no search of this person finds yet, behind their back: until everything is read, they sign out, or
    /// the portal closes.
    pub fn read_on_behind(self: &Arc<Self>, member: Member) {
        let portal = Arc::downgrade(self);
        tokio::task::spawn_blocking(move || {
            while let Some(portal) = portal.upgrade() {
                match portal.read_on(&member) {
                    Ok(true) => {}
                    // What a full disk keeps from being read waits for the next search.
                    Ok(false) | Err(Error::Full) => break,
                    Err(error) => {
                        tracing::error!(cause = crate::store::chain(&error), "messages could not be read for search");
                        break;
                    }
                }
            }
        });
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the boot configuration decided.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Who is told when a loop has something to do. Set once, by `serve`.
    pub fn on_wake(&self, wake: Box<dyn Fn(Loop) + Send + Sync>) {
        _ = self.wake.set(wake);
    }

    /// Tells a loop that there is something to do: an earlier expiry, a new letter.
    pub(super) fn wake(&self, which: Loop) {
        if let Some(wake) = self.wake.get() {
            wake(which);
        }
    }

    /// Returns when the last of everything that uses the portal has gone, and its data is closed.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.store.closed()
    }

    /// Changes whenever anything was written: for whoever waits for news, and then looks whether it is theirs.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    /// Whether the store answers.
    pub fn healthy(&self) -> Result<(), Error> {
        self.practice().map(|_| ())
    }
}

/// A portal for tests, at this moment.
#[cfg(test)]
pub(super) fn test_portal(folder: &std::path::Path, now: Timestamp) -> Arc<Portal> {
    test_portal_with(folder, Arc::new(super::time::TestClock::at(now)))
}

/// A portal for tests with a clock that they turn.
#[cfg(test)]
pub(super) fn test_portal_with(folder: &std::path::Path, clock: Arc<dyn Clock>) -> Arc<Portal> {
    let host = Arc::new(HostKey::generate());
    let store = Store::open(folder, &host, 1 << 20).unwrap();
    let options = Options {
        public_url: "http://127.0.0.1".into(),
        sends_mail: false,
        loopback: true,
        password_memory_kib: 256,
        password_passes: 1,
    };
    Portal::open(store, host, clock, options).unwrap()
}
