//! The people of the test, who write to each other through the front door, and what each message and draft holds.

use std::collections::BTreeSet;

use sealpost::domain::ids::{ContactId, DraftId, FileId, MessageId};

use crate::client::{Client, FilePart, messages, unescape};
use crate::marks::{PREFIX, mark};
use crate::world::{ADMIN, PASSWORD, World, between};

/// Everybody who registers; each may write to each.
pub const PEOPLE: [&str; 4] = [ADMIN, "lee@riverside.example", "kim@riverside.example", "max@riverside.example"];
/// Somebody who is written to and never registers.
pub const WAITING: &str = "ola@patients.example";

/// A message, as the test knows it.
#[derive(Clone)]
pub struct Letter {
    pub number: usize,
    pub draft: DraftId,
    pub id: MessageId,
    pub from: &'static str,
    pub to: Vec<&'static str>,
    /// Where it is read.
    pub thread: String,
    /// Number of the message whose words and file it holds: another's when it forwards that.
    pub source: usize,
    pub files: Vec<FileId>,
}

impl Letter {
    /// What its file holds: a few bytes in most, several of the seal's chunks in some.
    pub fn file_bytes(&self) -> Vec<u8> {
        file_bytes(self.source)
    }

    /// Everybody who has a copy.
    pub fn holders(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.from).chain(self.to.iter().copied())
    }
}

/// A draft, as the test knows it.
pub struct Scrap {
    pub number: usize,
    pub id: DraftId,
    pub of: &'static str,
    pub files: Vec<FileId>,
}

/// A contact, as the test knows it: a name and notes with marks.
pub struct Note {
    pub number: usize,
    pub id: ContactId,
    pub of: &'static str,
    /// Whether the practice shares it.
    pub shared: bool,
}

/// The practice with its people at their browsers.
pub struct Office {
    pub browsers: Vec<Client>,
    pub kit_line: String,
}

fn file_bytes(number: usize) -> Vec<u8> {
    let line = format!("{} in the file's own bytes\n", mark("bytes", number));
    line.repeat(if number % 20 == 7 { 4000 } else { 1 + number % 9 }).into_bytes()
}

fn place(person: &str) -> usize {
    PEOPLE.iter().position(|one| *one == person).unwrap()
}

/// Identifiers of the files that a page lists.
fn files_on(page: &str) -> Vec<FileId> {
    let marks = ["/files/", "remove:"];
    let found = marks.iter().flat_map(|mark| page.split(mark).skip(1)).filter_map(|rest| rest.get(..32)?.parse().ok());
    found.collect::<BTreeSet<FileId>>().into_iter().collect()
}

/// What is told about a new person: a colleague may write to everybody, a patient waits.
fn relationship(to: &str) -> &'static str {
    if to == WAITING { "patient" } else { "doctor_mine" }
}

impl Office {
    /// Sets the practice up and registers everybody.
    pub fn open(world: &World) -> Self {
        let (mut ann, kit_line, _) = world.set_up_with_kit();
        let mut browsers = Vec::new();
        for person in &PEOPLE[1..] {
            fill_in(&mut ann, &[person], "Welcome", "Please register.", "30", "send", &[]);
            let first = person.split('@').next().unwrap();
            browsers.push(world.register(&mut ann, person, first, "River"));
        }
        browsers.insert(0, ann);
        Self { browsers, kit_line }
    }

    /// The browser of a person.
    pub fn of(&mut self, person: &str) -> &mut Client {
        &mut self.browsers[place(person)]
    }

    /// Everybody signs in again: time has passed, or the program was restarted.
    pub fn sign_in(&mut self, world: &World) {
        for (browser, person) in self.browsers.iter_mut().zip(PEOPLE) {
            browser.moved(world.address);
            world.sign_in(browser, person);
        }
    }

    /// A message with a file, all four of its parts marked; to live for so many days.
    pub fn send(&mut self, number: usize, from: &'static str, to: Vec<&'static str>, days: &str) -> Letter {
        let (subject, body, name) = (mark("subject", number), mark("text", number), mark("name", number) + ".png");
        let text = format!("Dear colleague,\n\n{body}.\n\nYours");
        let bytes = file_bytes(number);
        let file = FilePart { field: "files[]", name: &name, kind: "image/png", bytes: &bytes };
        let (draft, path) = fill_in(self.of(from), &to, &format!("On {subject}"), &text, days, "send", &[file]);
        let page = self.of(from).visit(&path).expect(200).text();
        let id = messages(&page).pop().unwrap().parse().unwrap();
        let thread = path.replace("/threads/", "");
        Letter { number, draft, id, from, to, thread, source: number, files: Vec::new() }
    }

    /// The same for two people, each on their own; the second message has the number after next.
    pub fn send_separately(&mut self, number: usize, from: &'static str, to: [&'static str; 2]) -> [Letter; 2] {
        let (subject, name) = (mark("subject", number), mark("name", number) + ".png");
        let text = format!("Dear colleague,\n\n{}.\n\nYours", mark("text", number));
        let bytes = file_bytes(number);
        let browser = self.of(from);
        browser.visit("/compose").expect(200);
        let draft = browser.hidden("draft").unwrap();
        let to_line = to.join(", ");
        let fields = [
            ("draft", draft.as_str()),
            ("to", &to_line),
            ("separately", "1"),
            ("subject", &subject),
            ("body", &text),
            ("expires", "30"),
            ("action", "send"),
        ];
        let file = FilePart { field: "files[]", name: &name, kind: "image/png", bytes: &bytes };
        browser.post_files("/compose", &fields, &[file]).expect(303);
        [(number, to[0]), (number + 2, to[1])].map(|(place, to)| {
            let (id, thread) = self.newest_of(to, &subject);
            let draft = draft.parse().unwrap();
            Letter { number: place, draft, id, from, to: vec![to], thread, source: number, files: Vec::new() }
        })
    }

    /// Forwards a letter with its file; the new one has this number.
    pub fn forward(&mut self, letter: &Letter, number: usize, from: &'static str, to: &'static str) -> Letter {
        let browser = self.of(from);
        let page = unescape(&browser.visit(&format!("/compose?forward={}", letter.id)).expect(200).text());
        let (draft, forward) = (browser.hidden("draft").unwrap(), browser.hidden("forward").unwrap());
        let subject = format!("Fwd: {}", mark("subject", letter.source));
        let keep = format!("keep-{}", between(&page, "name=\"keep-", "\""));
        let fields = [
            ("draft", draft.as_str()),
            ("forward", &forward),
            ("to", to),
            ("subject", &subject),
            ("body", ""),
            ("expires", "20"),
            (&keep, "1"),
            ("action", "send"),
        ];
        let path = browser.post_files("/compose", &fields, &[]).expect(303).location().unwrap();
        let id = messages(&browser.visit(&path).expect(200).text()).pop().unwrap().parse().unwrap();
        let (thread, source) = (path.replace("/threads/", ""), letter.source);
        Letter { number, draft: draft.parse().unwrap(), id, from, to: vec![to], thread, source, files: Vec::new() }
    }

    /// The message with this subject in somebody's inbox, and its conversation.
    fn newest_of(&mut self, person: &str, subject: &str) -> (MessageId, String) {
        let inbox = unescape(&self.of(person).visit("/inbox").expect(200).text());
        let row = inbox.split("<li class=\"row").find(|row| row.contains(&format!(">{subject}</a>"))).unwrap();
        let thread = between(row, "href=\"/threads/", "\"").to_owned();
        let page = self.of(person).visit(&format!("/threads/{thread}")).expect(200).text();
        (messages(&page).pop().unwrap().parse().unwrap(), thread)
    }

    /// Everybody who has a copy looks at it and takes its file, and all of it is there.
    pub fn read(&mut self, letter: &mut Letter) {
        let readers: Vec<&str> = letter.holders().filter(|holder| *holder != WAITING).collect();
        for reader in readers {
            let page = self.see(reader, letter);
            let anchor = format!("/messages/{}/files/", letter.id);
            let file = format!("{anchor}{}", between(&page, &anchor, "\""));
            for kind in ["subject", "text", "name"] {
                assert!(page.contains(&mark(kind, letter.source)), "{reader} has no {kind} of {}", letter.number);
            }
            letter.files = vec![file.rsplit('/').next().unwrap().parse().unwrap()];
            assert_eq!(self.of(reader).get(&file).expect(200).body, letter.file_bytes());
        }
    }

    /// The page of a message's conversation.
    pub fn see(&mut self, reader: &str, letter: &Letter) -> String {
        unescape(&self.of(reader).visit(&format!("/threads/{}", letter.thread)).expect(200).text())
    }

    /// A button of a message on the page of its conversation.
    pub fn press(&mut self, person: &str, letter: &Letter, what: &str) {
        self.see(person, letter);
        self.of(person).post(&format!("/messages/{}/{what}", letter.id), &[]).expect(303);
    }

    /// Everybody searches, so that there are indexes of all that they hold.
    pub fn search(&mut self) {
        for browser in &mut self.browsers {
            let page = browser.visit(&format!("/search?q={PREFIX}*")).expect(200).text();
            assert!(page.contains("<mark>") && !page.contains("still being read"), "{page}");
        }
    }

    /// A draft with a file, marked like a message.
    pub fn draft(&mut self, number: usize, of: &'static str) -> Scrap {
        let (subject, body, name) = (mark("subject", number), mark("text", number), mark("name", number) + ".pdf");
        let bytes = file_bytes(number);
        let file = FilePart { field: "files[]", name: &name, kind: "application/pdf", bytes: &bytes };
        let (id, path) = fill_in(self.of(of), &["lee@riverside.example"], &subject, &body, "9", "save", &[file]);
        let page = unescape(&self.of(of).visit(&path).expect(200).text());
        assert!(page.contains(&body) && page.contains(&name), "{page}");
        Scrap { number, id, of, files: files_on(&page) }
    }

    /// Discards a draft.
    pub fn discard(&mut self, scrap: &Scrap) {
        let draft = scrap.id.to_string();
        let browser = self.of(scrap.of);
        browser.visit(&format!("/compose?draft={draft}")).expect(200);
        browser.post_files("/compose", &[("draft", &draft), ("action", "discard")], &[]).expect(303);
        browser.get(&format!("/compose?draft={draft}")).expect(404);
    }

    /// A contact, marked in its name and its notes.
    pub fn contact(&mut self, number: usize, of: &'static str, shared: bool) -> Note {
        let (name, email) = (mark("name", number), format!("contact{number}@elsewhere.example"));
        let browser = self.of(of);
        browser.visit("/contacts/new").expect(200);
        browser.post("/contacts", &note_fields(&name, &email, &mark("text", number), shared)).expect(303);
        let page = unescape(&browser.visit("/contacts").expect(200).text());
        let line = page.split("<li class=\"contact\">").find(|line| line.contains(&name)).unwrap();
        let id = between(line, "href=\"/contacts/", "\"").parse().unwrap();
        Note { number, id, of, shared }
    }

    /// Writes something else into a contact's notes.
    pub fn rewrite(&mut self, note: &Note, number: usize) {
        let (name, email) = (mark("name", note.number), format!("contact{}@elsewhere.example", note.number));
        let path = format!("/contacts/{}", note.id);
        let browser = self.of(note.of);
        browser.visit(&path).expect(200);
        browser.post(&path, &note_fields(&name, &email, &mark("text", number), note.shared)).expect(303);
    }

    /// Deletes a contact.
    pub fn delete_contact(&mut self, note: &Note) {
        let path = format!("/contacts/{}", note.id);
        let browser = self.of(note.of);
        browser.visit(&path).expect(200);
        browser.post(&format!("{path}/delete"), &[]).expect(303);
        browser.get(&path).expect(404);
    }

    /// Changes a password.
    pub fn change_password(&mut self, person: &str, new: &str) {
        let browser = self.of(person);
        browser.visit("/profile").expect(200);
        browser.post("/profile/password", &[("current_password", PASSWORD), ("password", new)]).expect(303);
    }
}

fn note_fields<'f>(name: &'f str, email: &'f str, notes: &'f str, shared: bool) -> Vec<(&'f str, &'f str)> {
    let fields = [("first_name", name), ("email", email), ("notes", notes)];
    fields.into_iter().chain(shared.then_some(("shared", "1"))).collect()
}

/// Fills the form in and presses a button: the identifier of the draft, and where that led.
fn fill_in(
    browser: &mut Client,
    to: &[&str],
    subject: &str,
    body: &str,
    days: &str,
    action: &str,
    files: &[FilePart<'_>],
) -> (DraftId, String) {
    browser.visit("/compose").expect(200);
    let draft = browser.hidden("draft").unwrap();
    let to_line = to.join(", ");
    let fields = [
        ("draft", draft.as_str()),
        ("revision", "0"),
        ("to", &to_line),
        ("relationship", relationship(to[0])),
        ("subject", subject),
        ("body", body),
        ("expires", days),
        ("action", action),
    ];
    let path = browser.post_files("/compose", &fields, files).expect(303).location().unwrap();
    (draft.parse().unwrap(), path)
}
