//! How often one client may ask for what is costly or guessable.
//!
//! A client is counted in one of [`SLOTS`] slots, chosen by a keyed hash: memory is bounded whatever strangers send,
//! nobody can aim at another's slot, and no address is kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::{Clock, Error};

/// Slots of one limit.
const SLOTS: u64 = 1 << 17;

/// All limits. Each is a rate and how much of it may come at once.
pub struct Limits {
    /// Sign-ins from one client: a practice of twenty behind one address in the morning.
    pub sign_in: Limit,
    /// Sign-ins to one account, from wherever. The lock after wrong passwords is the domain's.
    pub sign_in_account: Limit,
    /// Codes typed by one client: an office of twenty registers behind one address.
    pub code: Limit,
    /// Codes typed for one invitation. The tries of a code are the domain's.
    pub code_invitation: Limit,
    /// Codes and new links asked for by one client.
    pub code_send: Limit,
    /// Codes and new links asked for by one invitation.
    pub code_send_invitation: Limit,
    /// Uses of the set-up page by one client.
    pub setup: Limit,
    /// Uploads begun by one client: a send of 200 files at once, and again.
    pub upload: Limit,
    /// Addresses looked up by one person: a message to a hundred, corrected three times; no harvest.
    pub recipients: Limit,
    /// Beginnings of names completed for one person, among their own contacts: as fast as somebody types.
    pub completion: Limit,
    /// Passwords measured for one client.
    pub strength: Limit,
}

impl Limits {
    /// All at rest.
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        let limit = |quota| Limit::new(quota, clock);
        Self {
            sign_in: limit(Quota::per_minute(times(20))),
            sign_in_account: limit(Quota::per_minute(times(10))),
            code: limit(Quota::per_minute(times(100))),
            code_invitation: limit(Quota::per_minute(times(10))),
            code_send: limit(Quota::per_hour(times(200)).allow_burst(times(50))),
            code_send_invitation: limit(Quota::per_hour(times(20)).allow_burst(times(5))),
            setup: limit(Quota::per_minute(times(20))),
            upload: limit(Quota::per_minute(times(200)).allow_burst(times(400))),
            recipients: limit(Quota::per_minute(times(60)).allow_burst(times(400))),
            completion: limit(Quota::per_minute(times(300))),
            strength: limit(Quota::per_minute(times(120))),
        }
    }

    /// Gives back the memory of clients long gone; the nightly upkeep calls it.
    pub fn forget_old(&self) {
        let Self { sign_in, sign_in_account, code, code_invitation, code_send, code_send_invitation, .. } = self;
        let Self { setup, upload, recipients, completion, strength, .. } = self;
        let guesses = [sign_in, sign_in_account, code, code_invitation, code_send, code_send_invitation];
        for limit in guesses.into_iter().chain([setup, upload, recipients, completion, strength]) {
            limit.limiter.retain_recent();
            limit.limiter.shrink_to_fit();
        }
    }
}

const fn times(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

/// One limit.
pub struct Limit {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, Steady, NoOpMiddleware<Duration>>,
    clock: Steady,
    hasher: RandomState,
}

impl Limit {
    fn new(quota: Quota, clock: &Arc<dyn Clock>) -> Self {
        let clock = Steady(Arc::clone(clock));
        let limiter = RateLimiter::dashmap_with_clock(quota, clock.clone());
        Self { limiter, clock, hasher: RandomState::new() }
    }

    /// Counts one more for `who`; `Limited` with the time to wait when that is one too many.
    pub fn check(&self, who: impl Hash) -> Result<(), Error> {
        self.check_times(who, 1)
    }

    /// Counts so many more for `who` at once.
    pub fn check_times(&self, who: impl Hash, count: u32) -> Result<(), Error> {
        let slot = self.hasher.hash_one(who) % SLOTS;
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        let limited = |retry_after| Error::Limited { retry_after };
        self.limiter
            .check_key_n(&slot, count)
            .map_err(|_| limited(Duration::from_secs(60)))?
            .map_err(|until| limited(until.wait_time_from(governor::clock::Clock::now(&self.clock))))
    }
}

/// Our clock as the limiter reads it: time that never runs backwards.
#[derive(Clone)]
struct Steady(Arc<dyn Clock>);

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.since_boot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::time::TestClock;

    #[test]
    fn one_too_many_waits_and_time_heals() {
        let turning = Arc::new(TestClock::at(Timestamp(1_000_000)));
        let clock: Arc<dyn Clock> = turning.clone();
        let limits = Limits::new(&clock);
        for _ in 0..10 {
            limits.code_invitation.check("a").unwrap();
        }
        let Err(Error::Limited { retry_after }) = limits.code_invitation.check("a") else {
            panic!("the eleventh passed")
        };
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(6), "{retry_after:?}");
        limits.code_invitation.check("b").unwrap();
        turning.turn(retry_after + Duration::from_millis(1));
        limits.code_invitation.check("a").unwrap();
        assert!(limits.code_invitation.check("a").is_err());
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let turning = Arc::new(TestClock::at(Timestamp(1_000_000)));
        let clock: Arc<dyn Clock> = turning.clone();
        let limits = Limits::new(&clock);
        for client in 0..300_000_u32 {
            _ = limits.code_invitation.check(client);
        }
        let kept = u64::try_from(limits.code_invitation.limiter.len()).unwrap();
        assert!(kept <= SLOTS, "{kept}");
        turning.turn(Duration::from_secs(3600));
        limits.forget_old();
        assert!(limits.code_invitation.limiter.is_empty());
    }
}
