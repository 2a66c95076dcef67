//! The program's side of a journey: it turns the clock, and plays the people whom nobody looks at.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Client, FilePart, unescape};
use crate::world::{ADMIN, PASSWORD, World, between};

/// The installation that a journey sees, and the browsers of the people in it.
pub struct Stage {
    world: World,
    admin: String,
    members: BTreeMap<String, Client>,
}

/// A text of a request.
fn text<'a>(asked: &'a Value, name: &str) -> &'a str {
    asked[name].as_str().unwrap_or_else(|| panic!("no {name:?} in {asked}"))
}

impl Stage {
    /// An empty installation.
    pub fn new() -> Self {
        Self { world: World::start(), admin: ADMIN.to_owned(), members: BTreeMap::new() }
    }

    /// Where it listens.
    pub fn origin(&self) -> String {
        format!("http://{}", self.world.address)
    }

    /// The link that sets it up.
    pub fn setup_link(&self) -> &str {
        self.world.setup_link.as_deref().unwrap_or_default()
    }

    /// Does what a journey asks for.
    pub fn answer(&mut self, asked: &Value) -> Value {
        let admin = self.admin.clone();
        match text(asked, "do") {
            "set up" => {
                self.members.insert(admin.clone(), self.world.set_up());
                json!({ "email": admin, "password": PASSWORD })
            }
            // The journey has set the installation up itself.
            "adopt" => {
                self.admin = text(asked, "email").to_owned();
                self.members.insert(self.admin.clone(), self.world.client());
                json!({})
            }
            "turn" => {
                self.world.turn(asked["seconds"].as_u64().expect("seconds"));
                json!({})
            }
            "register" => {
                let (email, first, last) = (text(asked, "email"), text(asked, "first"), text(asked, "last"));
                let member = self.with(&admin, |world, admin| world.register(admin, email, first, last));
                self.members.insert(email.to_owned(), member);
                json!({ "email": email, "password": PASSWORD })
            }
            "send" => {
                self.with(asked["from"].as_str().unwrap_or(&admin), |_, from| send(from, asked));
                json!({})
            }
            "read" => {
                self.with(text(asked, "who"), |_, reader| find(reader, text(asked, "subject")));
                json!({})
            }
            "link" => {
                let email = text(asked, "email");
                json!({ "link": self.with(&admin, |world, admin| world.link_to(admin, email)) })
            }
            other => panic!("the journey asks for something unknown: {other}"),
        }
    }

    /// Does something in somebody's browser, signed in again if too much time has passed.
    fn with<T>(&mut self, email: &str, act: impl FnOnce(&World, &mut Client) -> T) -> T {
        let client = self.members.get_mut(email).unwrap_or_else(|| panic!("{email} is not registered"));
        if client.get("/inbox").status != 200 {
            self.world.sign_in(client, email);
        }
        act(&self.world, client)
    }
}

/// Sends a message: `to`, `subject`, `body`; for a new address `relationship`; `files` are names; `reply` is the subject
/// of what is answered.
fn send(from: &mut Client, asked: &Value) {
    match asked["reply"].as_str() {
        Some(subject) => {
            let page = find(from, subject);
            let reply = between(&page, "href=\"/compose?reply=", "\"").to_owned();
            from.visit(&format!("/compose?reply={reply}")).expect(200);
        }
        None => _ = from.visit("/compose").expect(200),
    }
    let (draft, reply) = (from.hidden("draft").unwrap(), from.hidden("reply").unwrap());
    let days = asked["days"].as_u64().unwrap_or(30).to_string();
    let fields = [
        ("draft", draft.as_str()),
        ("revision", "0"),
        ("reply", reply.as_str()),
        ("to", asked["to"].as_str().unwrap_or_default()),
        ("relationship", asked["relationship"].as_str().unwrap_or("doctor_other")),
        ("subject", text(asked, "subject")),
        ("body", text(asked, "body")),
        ("expires", &days),
        ("action", "send"),
    ];
    let names: Vec<&str> = asked["files"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Each file of a size of its own, as files are.
    let contents: Vec<Vec<u8>> = names.iter().map(|name| vec![b'x'; name.len().pow(4)]).collect();
    let files: Vec<FilePart<'_>> = names
        .iter()
        .zip(&contents)
        .map(|(name, bytes)| FilePart { field: "files[]", name, kind: "application/octet-stream", bytes })
        .collect();
    let sent = from.post_files("/compose", &fields, &files).expect(303);
    from.follow(sent).expect(200);
}

/// Opens the conversation of this subject in somebody's inbox; its page.
fn find(reader: &mut Client, subject: &str) -> String {
    let inbox = unescape(&reader.visit("/inbox").expect(200).text());
    let row = inbox.split("<li class=\"row").find(|row| row.contains(&format!(">{subject}</a>")));
    let row = row.unwrap_or_else(|| panic!("no {subject:?} in the inbox:\n{inbox}"));
    let path = between(row, "class=\"row-link\" href=\"", "\"").to_owned();
    unescape(&reader.visit(&path).expect(200).text())
}
