//! Moments and sizes as a person reads them, in their own time zone.

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::fields::EXPIRY_DAYS_MAX;
use crate::domain::portal::{DAY, HOUR, MINUTE, SECOND};
use crate::words::said::{Said, say};

/// A moment as the templates take it.
#[derive(Clone, Debug, Serialize)]
pub struct When {
    /// RFC 3339, for machines.
    pub iso: String,
    /// As short as it can be understood today.
    pub short: Said,
    /// In full.
    pub long: Said,
}

/// An expiry as the templates take it.
#[derive(Clone, Debug, Serialize)]
pub struct Expiry {
    /// RFC 3339, for machines.
    pub iso: String,
    /// "Destroyed in 12 days".
    pub short: Said,
    /// "Destroyed on …" in full.
    pub long: Said,
    /// Three days or less.
    pub soon: bool,
}

/// One line of a choice.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Value in the form.
    pub value: String,
    /// Words.
    pub text: Said,
    /// Whether it is chosen.
    pub selected: bool,
}

/// Somebody's calendar: their time zone and what the clock says now.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    now: Timestamp,
}

impl Calendar {
    /// In an IANA time zone; in UTC when there is none of that name.
    pub fn new(zone: &str, now: Timestamp) -> Self {
        Self { zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC), now }
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// A moment.
    pub fn when(&self, at: Timestamp) -> When {
        let (zoned, now) = (self.zoned(at), self.zoned(self.now));
        let (day, month) = (zoned.day(), month(&zoned, &MONTHS_SHORT));
        let short = if zoned.date() == now.date() {
            say!("{time}", time = time(&zoned))
        } else if zoned.year() == now.year() {
            say!("{day} {month}", day = day, month = month)
        } else {
            say!("{day} {month} {year}", day = day, month = month, year = zoned.year())
        };
        When { iso: zoned.timestamp().to_string(), short, long: self.long(at) }
    }

    /// A moment in full: "Tuesday, 15 December 2026, 14:03".
    pub fn long(&self, at: Timestamp) -> Said {
        let zoned = self.zoned(at);
        say!(
            "{weekday}, {day} {month} {year}, {time}",
            weekday = nth(&WEEKDAYS, zoned.weekday().to_monday_one_offset()),
            day = zoned.day(),
            month = month(&zoned, &MONTHS),
            year = zoned.year(),
            time = time(&zoned),
        )
    }

    /// A moment within a sentence: "15 December, 14:03".
    pub fn in_words(&self, at: Timestamp) -> Said {
        let zoned = self.zoned(at);
        say!("{day} {month}, {time}", day = zoned.day(), month = month(&zoned, &MONTHS), time = time(&zoned))
    }

    /// A moment of which the day counts: short is the date as well.
    pub fn date(&self, at: Timestamp) -> When {
        let zoned = self.zoned(at);
        let short =
            say!("{day} {month} {year}", day = zoned.day(), month = month(&zoned, &MONTHS), year = zoned.year());
        When { short, ..self.when(at) }
    }

    /// The time of day: "14:03".
    pub fn time(&self, at: Timestamp) -> String {
        time(&self.zoned(at))
    }

    /// How long something has still to live.
    pub fn expiry(&self, at: Timestamp) -> Expiry {
        let left = at.since(self.now).max(0);
        // Rounded, so that what is sent for 30 days says 30 until half a day has passed.
        let short = match left {
            left if left >= 36 * HOUR => say!("Destroyed in {count} days", count = (left + DAY / 2) / DAY),
            left if left >= 90 * MINUTE => say!("Destroyed in {count} hours", count = (left + HOUR / 2) / HOUR),
            left if left >= 90 * SECOND => say!("Destroyed in {count} minutes", count = (left + MINUTE / 2) / MINUTE),
            _ => say!("Destroyed in a minute"),
        };
        Expiry {
            iso: self.zoned(at).timestamp().to_string(),
            short,
            long: say!("Destroyed on {date}", date = self.long(at)),
            soon: left <= 3 * DAY,
        }
    }

    /// The days that something sent at `sent` can live, with their dates; those that are past are left out. What
    /// forwards something that is destroyed at `original` lives until then at most, and if nothing else is chosen.
    pub fn expiry_choices(&self, sent: Timestamp, selected: Option<u8>, original: Option<Timestamp>) -> Vec<Choice> {
        let days = (1..=EXPIRY_DAYS_MAX).rev().map(|days| (days, sent.plus(i64::from(days) * DAY)));
        let days = days.filter(|(_, at)| *at > self.now && original.is_none_or(|original| *at < original));
        let mut choices: Vec<Choice> = days
            .map(|(days, at)| {
                let zoned = self.zoned(at);
                let date = say!("{day} {month}", day = zoned.day(), month = month(&zoned, &MONTHS_SHORT));
                let text = say!("{days} · destroyed on {date}", days = day_count(days), date = date);
                Choice { value: days.to_string(), text, selected: selected == Some(days) }
            })
            .collect();
        if let Some(original) = original {
            let selected = !choices.iter().any(|choice| choice.selected);
            let text = say!("With the original · destroyed on {date}", date = self.in_words(original));
            choices.insert(0, Choice { value: self.when(original).iso, text, selected });
        }
        choices
    }
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_SHORT: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month(zoned: &Zoned, names: &[&'static str]) -> Said {
    nth(names, zoned.month())
}

/// One of these names, counted from one.
fn nth(names: &[&'static str], number: i8) -> Said {
    let name = usize::try_from(number - 1).ok().and_then(|place| names.get(place));
    Said::from(name.copied().unwrap_or_default())
}

fn time(zoned: &Zoned) -> String {
    zoned.strftime("%H:%M").to_string()
}

/// The days that a message can live, without dates: for settings.
pub fn day_choices(selected: u8) -> Vec<Choice> {
    let choice = |days: u8| Choice { value: days.to_string(), text: day_count(days), selected: days == selected };
    (1..=EXPIRY_DAYS_MAX).rev().map(choice).collect()
}

/// "1 day", "3 days".
pub fn day_count(days: u8) -> Said {
    if days == 1 { say!("1 day") } else { say!("{count} days", count = days) }
}

/// "1 file", "3 files".
pub fn file_count(files: usize) -> Said {
    if files == 1 { say!("1 file") } else { say!("{count} files", count = files) }
}

/// A size in bytes as people read it: "90.5 MB" of 1024 × 1024 bytes, as the limit is counted.
pub fn size(bytes: u64) -> Said {
    const KB: u64 = 1 << 10;
    const MB: u64 = 1 << 20;
    const GB: u64 = 1 << 30;
    // The largest unit in which the number, rounded, is at least one.
    let fits = |unit: u64| bytes >= unit - unit / 100;
    match bytes {
        1 => say!("1 byte"),
        0..KB => say!("{count} bytes", count = bytes),
        _ if fits(GB) => say!("{count} GB", count = rounded(bytes, GB)),
        _ if fits(MB) => say!("{count} MB", count = rounded(bytes, MB)),
        _ => say!("{count} KB", count = rounded(bytes, KB)),
    }
}

/// With one decimal below a hundred, unless it is a zero.
fn rounded(bytes: u64, unit: u64) -> String {
    let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    if tenths < 1000 && !tenths.is_multiple_of(10) {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        ((tenths + 5) / 10).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 02:00 UTC: still the 22nd in New York.
    const NOW: Timestamp = Timestamp(1_795_399_200_000);

    #[test]
    fn dates_are_the_readers_own() {
        let berlin = Calendar::new("Europe/Berlin", NOW);
        assert_eq!(berlin.when(NOW).short.to_string(), "03:00");
        assert_eq!(berlin.when(NOW).long.to_string(), "Monday, 23 November 2026, 03:00");
        assert_eq!(berlin.when(NOW).iso, "2026-11-23T02:00:00Z");
        let new_york = Calendar::new("America/New_York", NOW);
        assert_eq!(new_york.when(NOW.plus(-DAY)).short.to_string(), "21 Nov");
        assert_eq!(Calendar::new("nowhere", NOW).when(NOW.plus(-400 * DAY)).short.to_string(), "19 Oct 2025");
        assert_eq!(berlin.in_words(NOW).to_string(), "23 November, 03:00");
        assert_eq!(berlin.date(NOW).short.to_string(), "23 November 2026");
    }

    #[test]
    fn an_expiry_counts_down() {
        let calendar = Calendar::new("UTC", NOW);
        let short = |left| calendar.expiry(NOW.plus(left)).short.to_string();
        assert_eq!(short(30 * DAY), "Destroyed in 30 days");
        assert_eq!(short(30 * DAY - HOUR), "Destroyed in 30 days");
        assert_eq!(short(2 * DAY), "Destroyed in 2 days");
        assert_eq!(short(35 * HOUR), "Destroyed in 35 hours");
        assert_eq!(short(89 * MINUTE), "Destroyed in 89 minutes");
        assert_eq!(short(1000), "Destroyed in a minute");
        assert!(calendar.expiry(NOW.plus(3 * DAY)).soon && !calendar.expiry(NOW.plus(4 * DAY)).soon);
    }

    #[test]
    fn choices_end_with_the_past() {
        let calendar = Calendar::new("UTC", NOW);
        let choices = calendar.expiry_choices(NOW.plus(-10 * DAY), Some(20), None);
        assert_eq!(choices.len(), 20);
        assert_eq!(choices.first().unwrap().text.to_string(), "30 days · destroyed on 13 Dec");
        assert!(choices.iter().find(|choice| choice.value == "20").unwrap().selected);
        let choices = calendar.expiry_choices(NOW, Some(20), Some(NOW.plus(3 * DAY)));
        let values: Vec<_> = choices.iter().map(|choice| (choice.value.as_str(), choice.selected)).collect();
        assert_eq!(values, [("2026-11-26T02:00:00Z", true), ("2", false), ("1", false)]);
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1 KB"),
            (1536, "1.5 KB"),
            (3_000_000, "2.9 MB"),
            (94_371_840, "90 MB"),
            (104_857_599, "100 MB"),
            (100 * 1024 * 1024, "100 MB"),
            (1 << 30, "1 GB"),
        ] {
            assert_eq!(size(bytes).to_string(), text, "{bytes}");
        }
    }
}
