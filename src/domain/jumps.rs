//! The believed clock: destruction waits when the wall clock has jumped.
//!
//! A message is hidden by the wall clock alone. Before anything is destroyed by it, the clock is held against a mark
//! that was persisted with it and against the machine's time since boot, which nobody sets. A jump of more than a day
//! that is explained by neither makes destruction wait, at most a day, and the administrator is told.

use serde::{Deserialize, Serialize};

use super::audit::{self, Event};
use super::portal::{DAY, Error, MINUTE, Portal};
use super::time::Timestamp;
use crate::store::tables::META;
use crate::store::{Record, StoreError, Table, Tx};

/// Key of the mark in the meta table.
const MARK: &[u8] = b"clock";
/// Largest jump that is believed at once, in milliseconds.
pub const JUMP_MAX: i64 = DAY;
/// Longest time for which destruction waits after a jump, in milliseconds since boot.
pub const WAIT_MAX: i64 = DAY;
/// How often the mark is renewed at most, in milliseconds.
const MARK_EVERY: i64 = 10 * MINUTE;

/// Wall clock and time since boot as they last stood together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    wall: Timestamp,
    since_boot: i64,
    /// Set while destruction waits: milliseconds since boot when the jump was seen, and how far it was.
    jumped: Option<(i64, i64)>,
}

impl Record for Mark {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// What follows from a mark and the clocks as they stand.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing to write.
    Believed,
    /// Believed, and the mark is old.
    Renew,
    /// Destruction waits.
    Wait,
    /// Destruction begins to wait.
    Jumped(i64),
}

fn judge(mark: &Mark, wall: Timestamp, since_boot: i64) -> Verdict {
    // After a restart of the machine the time since boot begins anew: only what has passed since then is explained.
    let rebooted = since_boot < mark.since_boot;
    let explained = if rebooted { since_boot } else { since_boot - mark.since_boot };
    let unexplained = wall.since(mark.wall) - explained;
    if let Some((seen, _)) = mark.jumped {
        let waited = if rebooted { since_boot } else { since_boot - seen };
        // The clock was set right again, or it has stood by its time for long enough.
        return if unexplained <= JUMP_MAX || waited >= WAIT_MAX { Verdict::Renew } else { Verdict::Wait };
    }
    match unexplained {
        jump if jump > JUMP_MAX => Verdict::Jumped(jump),
        _ if explained >= MARK_EVERY || rebooted => Verdict::Renew,
        _ => Verdict::Believed,
    }
}

impl Portal {
    /// Whether destruction may go by the wall clock.
    pub(super) fn clock_is_believed(&self, wall: Timestamp) -> Result<bool, Error> {
        let since_boot = i64::try_from(self.clock.since_boot().as_millis()).unwrap_or(i64::MAX);
        let mark = self.store.read(|tx| Ok::<_, Error>(tx.record::<Mark>(MARK)?))?;
        let verdict = mark.as_ref().map_or(Verdict::Renew, |mark| judge(mark, wall, since_boot));
        let audit = self.host.audit_key();
        match verdict {
            Verdict::Believed => Ok(true),
            Verdict::Wait => Ok(false),
            Verdict::Renew => {
                match self.store.write(move |tx| tx.put_record(MARK, &Mark { wall, since_boot, jumped: None })) {
                    // The old mark is as good: a full disk is no reason to let anything live on.
                    Err(StoreError::Full) => Ok(true),
                    done => Ok(done.map(|()| true)?),
                }
            }
            Verdict::Jumped(jump) => {
                tracing::warn!(hours = jump / super::portal::HOUR, "the clock has jumped; destruction waits");
                self.store.write(move |tx| {
                    if let Some(mut mark) = mark {
                        mark.jumped = Some((since_boot, jump));
                        tx.put_record(MARK, &mark)?;
                    }
                    audit::note(tx, &audit, wall, None, Event::ClockJumped, "")
                })?;
                Ok(false)
            }
        }
    }

    /// How far the clock has jumped, in milliseconds, while destruction waits for that.
    pub fn clock_jump(&self) -> Result<Option<i64>, Error> {
        let mark = self.store.read(|tx| Ok::<_, Error>(tx.record::<Mark>(MARK)?))?;
        Ok(mark.and_then(|mark| mark.jumped).map(|(_, jump)| jump))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(jumped: Option<(i64, i64)>) -> Mark {
        Mark { wall: Timestamp(1_000 * DAY), since_boot: 5 * DAY, jumped }
    }

    #[test]
    fn time_that_passes_is_believed() {
        let day = |n: i64| Timestamp((1_000 + n) * DAY);
        assert_eq!(judge(&mark(None), day(0), 5 * DAY), Verdict::Believed);
        assert_eq!(judge(&mark(None), day(20), 25 * DAY), Verdict::Renew, "running for twenty days");
        assert_eq!(judge(&mark(None), day(1), 0), Verdict::Renew, "switched off for a day");
        assert_eq!(
            judge(&mark(None), day(-3), 5 * DAY + MINUTE),
            Verdict::Believed,
            "set back: hidden later, destroyed later"
        );
    }

    #[test]
    fn a_jump_waits_a_day_at_most() {
        let day = |n: i64| Timestamp((1_000 + n) * DAY);
        assert_eq!(judge(&mark(None), day(400), 5 * DAY + MINUTE), Verdict::Jumped(400 * DAY - MINUTE));
        let waiting = mark(Some((5 * DAY + MINUTE, 400 * DAY)));
        assert_eq!(judge(&waiting, day(400), 5 * DAY + 2 * MINUTE), Verdict::Wait);
        assert_eq!(judge(&waiting, day(0), 5 * DAY + 3 * MINUTE), Verdict::Renew, "set right again");
        assert_eq!(judge(&waiting, day(401), 6 * DAY + 2 * MINUTE), Verdict::Renew, "a day later");
    }
}
