//! Time: moments, and the clock that is taken as a parameter everywhere, so that tests can turn it.

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
        self.plus(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
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
