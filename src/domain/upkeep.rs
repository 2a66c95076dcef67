//! Upkeep: what has to be done once a night.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use serde::{Deserialize, Serialize};

use super::audit::{self, Event};
use super::links;
use super::portal::{Error, HOUR, Portal};
use super::time::Timestamp;
use crate::store::tables::META;
use crate::store::{Record, Table, Tx};

/// Key of the last night in the meta table.
const LAST: &[u8] = b"upkeep";
/// The hour of the night, by the server's own time zone, when the fewest people write.
const NIGHT: Time = Time::constant(3, 0, 0, 0);
/// Upkeep that was missed, because the server was off at night, is done at once after this many milliseconds.
const MISSED_AFTER: i64 = 25 * HOUR;

#[derive(Serialize, Deserialize)]
struct Last {
    at: Timestamp,
}

impl Record for Last {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

impl Portal {
    /// Does what is due of the night's work; says when it will be due next.
    pub fn upkeep_due(&self) -> Result<Timestamp, Error> {
        let now = self.now();
        let last = self.store.read(|tx| Ok::<_, Error>(tx.record::<Last>(LAST)?))?.map(|last| last.at);
        if let Some(last) = last {
            let due = next_night(last).min(last.plus(MISSED_AFTER));
            if due > now {
                return Ok(due);
            }
            self.upkeep()?;
        }
        self.store.write(move |tx| Ok::<_, Error>(tx.put_record(LAST, &Last { at: now })?))?;
        Ok(next_night(now))
    }

    /// Changes the epoch of the slots, so that every older copy of the slot file opens nothing; forgets old links and
    /// people who never registered; gives space back to the disk where nobody is reading just now.
    fn upkeep(&self) -> Result<(), Error> {
        let (now, audit) = (self.now(), self.host.audit_key());
        self.store.upkeep_rotate_epoch()?;
        self.forget_lapsed()?;
        self.store.write(move |tx| {
            links::tidy(tx, now)?;
            audit::note(tx, &audit, now, None, Event::EpochChanged, "")
        })?;
        self.store.upkeep_compact()?;
        Ok(())
    }
}

/// The first three o'clock at night after `last`.
fn next_night(last: Timestamp) -> Timestamp {
    let night = Instant::from_millisecond(last.0).ok().and_then(|last| {
        let zoned = last.to_zoned(TimeZone::system());
        let tonight = zoned.datetime().with().time(NIGHT).build().ok()?;
        let night = if tonight > zoned.datetime() { tonight } else { tonight.checked_add(Span::new().days(1)).ok()? };
        Some(night.to_zoned(TimeZone::system()).ok()?.timestamp().as_millisecond())
    });
    Timestamp(night.unwrap_or(last.0.saturating_add(MISSED_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::portal::DAY;

    #[test]
    fn a_night_is_never_more_than_a_day_away() {
        for hour in 0..48 {
            let last = Timestamp(1_795_399_200_000 + hour * HOUR);
            let wait = next_night(last).since(last);
            assert!(wait > 0 && wait <= DAY + HOUR, "{wait}");
        }
    }
}
