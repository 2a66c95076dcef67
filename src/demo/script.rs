//! The script of the demonstration: `src/demo/practice/practice.toml` and the files beside it, in the program.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use rust_embed::RustEmbed;
use serde::Deserialize;
use std::borrow::Cow;

use crate::domain::Timestamp;
use crate::domain::portal::MINUTE;

#[derive(RustEmbed)]
#[folder = "src/demo/practice/"]
struct Embedded;

/// Who is there, and what they wrote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Name of the practice.
    pub practice: String,
    /// Everybody's password.
    pub password: String,
    /// The administrator first.
    pub people: Vec<Person>,
    /// Conversations.
    pub threads: Vec<Thread>,
    /// What somebody has begun to write.
    pub drafts: Vec<Draft>,
}

/// Somebody, under the key by which the script names them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub key: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    #[serde(default)]
    pub office_phone: String,
    #[serde(default)]
    pub cell_phone: String,
    /// Value of the relationship field; the administrator has none.
    #[serde(default)]
    pub relationship: String,
    /// Who they are, in words for the console.
    pub about: String,
    #[serde(default)]
    pub signature: String,
    #[serde(default)]
    pub manager: bool,
    /// How far they have come.
    #[serde(default)]
    pub stands: Stands,
}

/// How far somebody has come.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// Can sign in.
    #[default]
    Registered,
    /// Has followed the link and waits for the code.
    WaitsForCode,
    /// Has not followed the link yet.
    Invited,
}

/// A conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    pub subject: String,
    /// Keys of those who starred it.
    #[serde(default)]
    pub starred: Vec<String>,
    /// Keys of those who put it away.
    #[serde(default)]
    pub archived: Vec<String>,
    pub messages: Vec<Message>,
}

/// A message; all but the first of a thread answer the one before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub from: String,
    /// Keys of the recipients, on the first message.
    #[serde(default)]
    pub to: Vec<String>,
    /// When: see [`moment`].
    pub at: String,
    /// Life in days.
    pub days: u8,
    /// Keys of those who opened it. Whoever answers has.
    #[serde(default)]
    pub opened: Vec<String>,
    /// Names of files beside the script.
    #[serde(default)]
    pub files: Vec<String>,
    pub text: String,
}

/// Something unfinished.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub from: String,
    pub to: String,
    pub at: String,
    pub subject: String,
    #[serde(default)]
    pub files: Vec<String>,
    pub text: String,
}

/// What is wrong with the script, for whoever edits it.
#[derive(Debug, thiserror::Error)]
#[error("demo/practice.toml: {0}")]
pub struct Misprint(pub String);

impl Script {
    /// Reads the script in the program.
    pub fn read() -> Result<Self, Misprint> {
        let text = file("practice.toml")?;
        toml::from_str(&String::from_utf8_lossy(&text)).map_err(|fault| Misprint(fault.to_string()))
    }
}

/// The bytes of an attachment.
pub fn attachment(name: &str) -> Result<Cow<'static, [u8]>, Misprint> {
    file(&format!("files/{name}"))
}

fn file(path: &str) -> Result<Cow<'static, [u8]>, Misprint> {
    Embedded::get(path).map(|file| file.data).ok_or_else(|| Misprint(format!("there is no {path}")))
}

/// A moment as the script names it: `3d 14:05`, three days before today at that time of this machine's clock, or `25m`,
/// so many minutes before `now`.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Misprint> {
    let parsed = match text.split_once("d ") {
        Some((days, time)) => days.parse().ok().and_then(|days| days_before(days, time, now)),
        None => text.strip_suffix('m').and_then(|minutes| minutes.parse().ok()).map(|m: i64| now.plus(-m * MINUTE)),
    };
    parsed.filter(|at| *at <= now).ok_or_else(|| Misprint(format!("`{text}` is no moment of the past")))
}

fn days_before(days: i64, time: &str, now: Timestamp) -> Option<Timestamp> {
    let today = Instant::from_millisecond(now.0).ok()?.to_zoned(TimeZone::system()).date();
    let day = today.checked_sub(Span::new().try_days(days).ok()?).ok()?;
    let time: Time = time.parse().ok()?;
    let at = day.to_datetime(time).to_zoned(TimeZone::system()).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::portal::DAY;

    #[test]
    fn moments_lie_in_the_past() {
        let now = Timestamp(1_795_428_000_000);
        assert_eq!(moment("25m", now).unwrap(), now.plus(-25 * MINUTE));
        let before = moment("3d 14:05", now).unwrap();
        assert!(before > now.plus(-5 * DAY) && before < now.plus(-DAY), "{before:?}");
        for wrong in ["", "3d", "-5m", "3d 25:00", "-1d 10:00", "soon"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn everybody_and_every_file_in_the_script_exists() {
        let script = Script::read().unwrap();
        let is_known = |key: &String| script.people.iter().any(|person| person.key == *key);
        for thread in &script.threads {
            for message in &thread.messages {
                let named = [&message.to, &message.opened].into_iter().flatten().chain([&message.from]);
                for key in named.chain(&thread.starred).chain(&thread.archived) {
                    assert!(is_known(key), "{key} in {}", thread.subject);
                }
                for name in &message.files {
                    assert!(attachment(name).is_ok(), "{name}");
                }
            }
        }
        assert!(script.people.iter().all(|person| person.email.ends_with(".example")));
    }
}
