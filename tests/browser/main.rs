//! The pages in a real browser: a test for each journey and screen. The journeys themselves are in `journeys/`, driven
//! by `run.mjs`; what only the program's own side can do, such as turning its clock, they ask for on their standard
//! output and get on their standard input, one line of JSON each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

#[path = "../portal/client.rs"]
mod client;
#[path = "../portal/shown.rs"]
mod shown;
mod stage;
#[path = "../portal/world.rs"]
mod world;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use shown::Demo;
use stage::Stage;

/// A journey on both screens, as two tests.
macro_rules! journeys {
    ($($(#[$about:meta])* $name:ident),* $(,)?) => {
        $($(#[$about])* mod $name {
            #[test]
            fn at_a_desk() {
                super::play(stringify!($name), "desk");
            }

            #[test]
            fn on_a_phone() {
                super::play(stringify!($name), "phone");
            }
        })*
    };
}

journeys! {
    /// The set-up link, the recovery kit and three of its words, the empty rooms.
    first_start,
    /// Inviting by writing, the notice, registration, reading, downloading, replying.
    message,
    /// Cc, new addresses in rows, sending separately, forwarding, folded messages.
    recipients,
    /// Another date, recall, a deleted copy, the date that comes.
    destruction,
    /// Filters, several conversations at once, archive, stars, undo.
    folders,
    /// Saved by itself, found again, two tabs.
    drafts,
    /// Uploads over a connection that breaks.
    connection,
    /// Signing in and out, the lock, idleness.
    sessions,
    /// Contacts written down, imported, grouped, and found while typing.
    contacts,
    /// Without scripts.
    plain,
    /// Finding messages by their words.
    search,
    /// With keys alone, and at twice the size.
    keyboard,
}

/// `sealpost demo` as somebody sees it who wants to look before they install.
mod demo {
    #[test]
    fn at_a_desk() {
        super::look_around("desk");
    }

    #[test]
    fn on_a_phone() {
        super::look_around("phone");
    }
}

/// Pictures of every page, to be looked at: `cargo test --test browser shots -- --ignored`.
mod shots {
    #[test]
    #[ignore = "takes pictures for people and proves nothing"]
    fn at_a_desk() {
        super::play("shots", "desk");
    }

    #[test]
    #[ignore = "takes pictures for people and proves nothing"]
    fn on_a_phone() {
        super::play("shots", "phone");
    }
}

/// A journey through an installation of its own.
fn play(journey: &str, screen: &str) {
    let mut stage = Stage::new();
    let (origin, link) = (stage.origin(), stage.setup_link().to_owned());
    run(journey, screen, &origin, &link, |asked| stage.answer(asked));
}

/// A journey through a demonstration, which is told what the console says.
fn look_around(screen: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Demo::start(&temporary);
    let emails: Vec<&str> = demo.people.iter().map(|(email, _)| email.as_str()).collect();
    run(
        "demo",
        screen,
        &format!("http://{}", demo.address),
        "",
        |_| json!({ "emails": emails, "password": demo.password }),
    );
}

/// Runs one journey; what it has to say of a failure goes to the standard error.
fn run(journey: &str, screen: &str, origin: &str, link: &str, mut answer: impl FnMut(&Value) -> Value) {
    let mut script = Command::new("node")
        .args(["run.mjs", journey, screen])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
        .env("SEALPOST_ORIGIN", origin)
        .env("SEALPOST_SETUP_LINK", link)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node must be installed; tests/run says what else");
    let mut answers = script.stdin.take().unwrap();
    for line in BufReader::new(script.stdout.take().unwrap()).lines() {
        let answer = answer(&serde_json::from_str(&line.unwrap()).unwrap());
        writeln!(answers, "{answer}").unwrap();
    }
    let status = script.wait().unwrap();
    assert!(status.success(), "the journey {journey} on the screen {screen} ended with {status}");
}
