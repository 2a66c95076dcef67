//! Fields of forms: checks that several operations share.

use super::portal::{DAY, Error};
use super::time::Timestamp;
use crate::words::said::say;

/// Longest first or last name, in characters.
pub const NAME_CHARS_MAX: usize = 80;
/// Longest life of a message, in days.
pub const EXPIRY_DAYS_MAX: u8 = 30;

/// A line of text from a form: trimmed, without control characters, not too long.
pub(super) fn line(field: &'static str, text: &str, chars_max: usize) -> Result<String, Error> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > chars_max {
        return Err(Error::invalid(field, say!("This is too long: {max} characters at most.", max = chars_max)));
    }
    Ok(text)
}

/// A line that may not be empty.
pub(super) fn required(
    field: &'static str,
    text: &str,
    chars_max: usize,
    missing: &'static str,
) -> Result<String, Error> {
    let text = line(field, text, chars_max)?;
    if text.is_empty() { Err(Error::invalid(field, missing)) } else { Ok(text) }
}

/// A number of days that a message may live.
pub(super) fn expiry_days(field: &'static str, days: u8) -> Result<u8, Error> {
    if (1..=EXPIRY_DAYS_MAX).contains(&days) {
        Ok(days)
    } else {
        Err(Error::invalid(
            field,
            say!("Choose between {least} and {most} days.", least = 1_u8, most = EXPIRY_DAYS_MAX),
        ))
    }
}

/// The moment that is `days` after `from`.
pub(super) fn days_after(from: Timestamp, days: u8) -> Timestamp {
    from.plus(i64::from(days) * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_no_control_characters() {
        assert_eq!(line("x", " a\r\nBcc:\tb\u{0} ", 80).unwrap(), "a Bcc: b");
        assert!(line("x", &"a".repeat(81), 80).is_err());
    }
}
