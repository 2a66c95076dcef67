//! From a letter of the outbox to one that the mail gateway can fill in: its dates in the recipient's own words.

use super::when::Calendar;
use crate::domain::notices;
use crate::gateway::mail::{Date, Letter};

/// A letter ready for its template. `host` is the name of the host practice.
pub fn fill(letter: notices::Letter, host: &str) -> Letter {
    let expires = Calendar::new(&letter.time_zone, letter.created).when(letter.expires);
    Letter {
        id: letter.id.to_string(),
        template: letter.template,
        to: letter.to,
        recipient: letter.recipient,
        sender: letter.sender,
        practice: letter.practice,
        host: host.to_owned(),
        link: letter.link,
        invited: letter.invited,
        expires: Date { iso: expires.iso, short: expires.short, long: expires.long },
        created: letter.created.0 / 1000,
    }
}
