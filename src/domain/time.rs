//! Time: moments, and the clock that is taken as a parameter everywhere, so that tests can turn it.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and `millis` more.
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This much later.
    pub fn after(self, wait: Duration) -> Self {
        self.plus(millis(wait))
    }

    /// Milliseconds from `earlier` to this moment; negative if it is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long from here until `later`; zero when that is past.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.since(self)).unwrap_or_default())
    }

    /// As eight bytes that sort as moments do.
    pub(super) fn ascending(self) -> [u8; 8] {
        u64::try_from(self.0).unwrap_or_default().to_be_bytes()
    }

    /// As eight bytes that sort newest first.
    pub(super) fn descending(self) -> [u8; 8] {
        (!u64::try_from(self.0).unwrap_or_default()).to_be_bytes()
    }

    /// The moment in the eight bytes of [`Timestamp::ascending`].
    pub(super) fn from_ascending(bytes: [u8; 8]) -> Self {
        Self(i64::try_from(u64::from_be_bytes(bytes)).unwrap_or(i64::MAX))
    }
}

/// Tells the time. Tests turn their own.
pub trait Clock: Send + Sync + 'static {
    /// The date and time.
    fn now(&self) -> Timestamp;

    /// Time since the machine booted, sleep included: nobody sets this one. For rate limits, and to notice that the
    /// date has jumped.
    fn since_boot(&self) -> Duration;

    /// `wake` is called after every turn of this clock, so that whoever waits for a date looks again. The machine's
    /// clock never turns where we could see it: waiting is cut into pieces instead.
    fn on_turn(&self, _wake: Box<dyn Fn() + Send + Sync>) {}
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn since_boot(&self) -> Duration {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(boot.tv_nsec).unwrap_or_default())
    }
}

/// A clock that stands still until somebody turns it. For tests: the program itself never makes one.
#[derive(Default)]
pub struct TestClock {
    wall: AtomicI64,
    since_boot: AtomicI64,
    wakes: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl TestClock {
    /// Standing at this moment, on a machine that has just booted.
    pub fn at(now: Timestamp) -> Self {
        Self { wall: now.0.into(), ..Self::default() }
    }

    /// Time passes, and everybody who waits for a date is told.
    pub fn turn(&self, by: Duration) {
        self.since_boot.fetch_add(millis(by), SeqCst);
        self.set(self.now().after(by));
    }

    /// Somebody sets the date; no time has passed.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.0, SeqCst);
        for wake in self.wakes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(SeqCst))
    }

    fn since_boot(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.since_boot.load(SeqCst)).unwrap_or_default())
    }

    fn on_turn(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner).push(wake);
    }
}
