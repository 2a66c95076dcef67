//! The pages in a real browser: a test for each journey and screen. The journeys themselves are in `journeys/`, driven
//! by `run.mjs`; what only the program's own side can do, such as turning its clock, they ask for on their standard
//! output and get on their standard input, one line of JSON each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

#[path = "../portal/client.rs"]
mod client;
#[path = "../portal/world.rs"]
mod world;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use client::Client;
use world::{ADMIN, PASSWORD, World, send};

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
    /// Another date, recall, a deleted copy, the date that comes.
    destruction,
    /// Saved by itself, found again, two tabs.
    drafts,
    /// Uploads over a connection that breaks.
    connection,
    /// Signing in and out, the lock, idleness.
    sessions,
    /// Without scripts.
    plain,
    /// With keys alone, and at twice the size.
    keyboard,
}

/// The installation that a journey sees, and what it has asked for so far.
struct Stage {
    world: World,
    admin: Option<Client>,
}

impl Stage {
    fn admin(&mut self) -> &mut Client {
        self.admin.as_mut().expect("the journey asks for \"set_up\" first")
    }

    fn answer(&mut self, asked: &Value) -> Value {
        let text = |name: &str| asked[name].as_str().unwrap_or_else(|| panic!("no {name:?} in {asked}")).to_owned();
        match text("do").as_str() {
            "set_up" => {
                self.admin = Some(self.world.set_up());
                json!({ "email": ADMIN, "password": PASSWORD })
            }
            "turn" => {
                self.world.turn(asked["seconds"].as_u64().expect("seconds"));
                json!({})
            }
            "register" => {
                let (email, first, last) = (text("email"), text("first"), text("last"));
                let admin = self.admin.as_mut().expect("the journey asks for \"set_up\" first");
                send(admin, &email, "Welcome", "We can write to each other here.");
                self.world.register(admin, &email, &first, &last);
                json!({ "email": email, "password": PASSWORD })
            }
            "send" => {
                let (to, subject, body) = (text("to"), text("subject"), text("body"));
                send(self.admin(), &to, &subject, &body);
                json!({})
            }
            "link" => {
                let (world, email) = (&self.world, text("email"));
                let admin = self.admin.as_mut().expect("the journey asks for \"set_up\" first");
                json!({ "link": world.link_to(admin, &email) })
            }
            "sign_admin_in" => {
                let mut admin = self.world.client();
                self.world.sign_in(&mut admin, ADMIN);
                *self.admin() = admin;
                json!({})
            }
            other => panic!("the journey asks for something unknown: {other}"),
        }
    }
}

/// Runs one journey; what it has to say of a failure goes to the standard error.
fn play(journey: &str, screen: &str) {
    let world = World::start();
    let mut script = Command::new("node")
        .args(["run.mjs", journey, screen])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
        .env("SEALPOST_ORIGIN", format!("http://{}", world.address))
        .env("SEALPOST_SETUP_LINK", world.setup_link.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node must be installed; tests/run says what else");
    let mut stage = Stage { world, admin: None };
    let mut answers = script.stdin.take().unwrap();
    for line in BufReader::new(script.stdout.take().unwrap()).lines() {
        let answer = stage.answer(&serde_json::from_str(&line.unwrap()).unwrap());
        writeln!(answers, "{answer}").unwrap();
    }
    let status = script.wait().unwrap();
    assert!(status.success(), "the journey {journey} on the screen {screen} ended with {status}");
}
