//! A person at a browser, in front of a server that may be killed at any moment.

use std::io;

use data_encoding::BASE64;

use crate::client::{Client, FilePart, Reply, encode, messages, unescape};
use crate::ledger::{Letter, Sending};
use crate::server::Server;
use crate::world::{ADMIN, PASSWORD};

/// Who sits there, by number.
pub const ADDRESSES: [&str; 2] = [ADMIN, "lee@riverside.example"];

/// A signed-in browser.
pub struct Desk {
    pub person: usize,
    pub browser: Client,
    csrf: String,
}

/// What the pages show of one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Text and file, byte for byte.
    Whole,
    /// Nothing but perhaps the line that remains.
    Gone,
    /// The text, and a file that broke off: it was destroyed between the two.
    BrokenOff,
    /// Something else: in words.
    Broken(String),
}

impl Desk {
    /// Signs a person in.
    pub fn of(server: &Server, person: usize) -> Self {
        let mut browser = Client::new(server.address);
        browser.visit("/sign-in").expect(200);
        browser.post("/sign-in", &[("email", ADDRESSES[person]), ("password", PASSWORD)]).expect(303);
        browser.visit("/profile").expect(200);
        let csrf = browser.csrf().unwrap();
        Self { person, browser, csrf }
    }

    /// Another window of the same browser.
    pub fn window(&self, server: &Server) -> Self {
        let mut browser = Client::new(server.address);
        browser.cookies = self.browser.cookies.clone();
        Self { person: self.person, browser, csrf: self.csrf.clone() }
    }

    fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
        let fields = [&[("csrf", self.csrf.as_str())], fields].concat();
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        self.browser.try_send("POST", path, &[kind], fields.join("&").as_bytes())
    }

    /// The form of a letter in one request, with a button pressed.
    pub fn compose(&mut self, letter: &Letter, action: &str, carries_file: bool) -> io::Result<Reply> {
        let (subject, name) = (letter.subject(), letter.file_name());
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("draft", letter.id.as_str()),
            ("revision", "0"),
            ("to", ADDRESSES[1 - letter.from]),
            ("subject", &subject),
            ("body", &letter.body),
            ("expires", "30"),
            ("action", action),
        ];
        let bytes = letter.file.as_deref().filter(|_| carries_file);
        let file = bytes.map(|bytes| FilePart { field: "files[]", name: &name, kind: "text/plain", bytes });
        let (kind, body) = self.browser.multipart(&fields, file.as_slice());
        self.browser.try_send("POST", "/compose", &[("Content-Type", &kind)], &body)
    }

    /// Begins an upload of a letter's file by tus.
    pub fn begin_upload(&mut self, letter: &Letter) -> io::Result<Reply> {
        let length = letter.file.as_ref().map_or(0, Vec::len).to_string();
        let name = format!("filename {}", BASE64.encode(letter.file_name().as_bytes()));
        let begin = [("Upload-Length", length.as_str()), ("Upload-Metadata", &name)];
        self.tus("POST", &format!("/drafts/{}/files", letter.id), &begin, b"")
    }

    /// Sends all of it, in two pieces.
    pub fn upload(&mut self, letter: &Letter, place: &str) -> io::Result<Reply> {
        let bytes = letter.file.as_deref().unwrap_or_default();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let kind = ("Content-Type", "application/offset+octet-stream");
        self.tus("PATCH", place, &[kind, ("Upload-Offset", "0")], first)?;
        self.tus("PATCH", place, &[kind, ("Upload-Offset", &first.len().to_string())], second)
    }

    /// Whether the server still knows of an upload.
    pub fn knows_upload(&mut self, place: &str) -> bool {
        let reply = self.tus("HEAD", place, &[], b"").unwrap();
        assert!([200, 404].contains(&reply.status), "an upload's state: {}", reply.status);
        reply.status == 200
    }

    fn tus(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
        let own = [("Tus-Resumable", "1.0.0"), ("X-CSRF-Token", self.csrf.as_str())];
        self.browser.try_send(method, path, &[&own, headers].concat(), body)
    }

    /// Whether a letter that was not sent is a draft with its file.
    pub fn has_in_draft(&mut self, letter: &Letter) -> bool {
        let reply = self.browser.get(&format!("/compose?draft={}", letter.id));
        assert!([200, 404].contains(&reply.status), "a draft: {}", reply.status);
        reply.status == 200 && unescape(&reply.text()).contains(&letter.file_name())
    }

    /// A button of a message.
    pub fn press(&mut self, letter: &Letter, what: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
        let message = self.message(letter)?;
        self.form(&format!("{message}/{what}"), fields)
    }

    /// The address of a letter's message, to which nobody else has answered; of none if it is gone.
    pub fn message(&mut self, letter: &Letter) -> io::Result<String> {
        let Sending::There(thread) = &letter.sending else { return Ok("/messages/none".to_owned()) };
        let page = self.look(&format!("/threads/{thread}/print"))?.text();
        Ok(format!("/messages/{}", messages(&page).pop().unwrap_or_default()))
    }

    /// A page, if the server still answers.
    pub fn look(&mut self, path: &str) -> io::Result<Reply> {
        self.browser.try_send("GET", path, &[], b"")
    }

    /// A page as its reader sees it.
    pub fn page(&mut self, path: &str) -> String {
        unescape(&self.browser.get(path).expect(200).text())
    }

    /// Letters that a page of a folder lists, with their threads, and the address of the page with older ones. No
    /// listed message may be damaged.
    pub fn listed(&mut self, path: &str) -> (Vec<(usize, String)>, Option<String>) {
        let page = self.page(path);
        assert!(!page.contains("was changed on the disk"), "a listed message is damaged:\n{page}");
        let rows = page.split("class=\"row-link\" href=\"").skip(1).filter_map(|row| {
            let thread = row.split('"').next()?.strip_prefix("/threads/")?.to_owned();
            let number = row.split("Load-").nth(1)?.get(..6)?.parse().ok()?;
            Some((number, thread))
        });
        let older = page.split(&format!("href=\"{}?before=", path.split('?').next().unwrap())).nth(1);
        let older = older.map(|rest| format!("{}?before={}", path.split('?').next().unwrap(), &rest[..48]));
        (rows.collect(), older)
    }

    /// What the pages show of this person's copy: of every eighth as a person reads it, of the others the shorter way,
    /// as it is printed, with its files in a zip.
    pub fn see(&mut self, letter: &Letter, thread: &str) -> Seen {
        let as_read = letter.number.is_multiple_of(8);
        let reply = self.browser.get(&format!("/threads/{thread}{}", if as_read { "" } else { "/print" }));
        let page = unescape(&reply.text());
        let message = format!("/messages/{}", messages(&page).pop().unwrap_or_default());
        // The conversation itself: beside it may stand the folder, with words of every message.
        let Some((_, page)) = page.split_once("<article class=\"") else {
            return if reply.status == 404 { Seen::Gone } else { Seen::Broken(format!("{}: {page}", reply.status)) };
        };
        if page.contains("was destroyed on") || page.contains("was recalled and destroyed on") {
            return Seen::Gone;
        }
        let listed = page.matches(&letter.file_name()).count();
        match &letter.file {
            _ if !page.contains(&letter.body) => Seen::Broken(page.to_owned()),
            None if listed == 0 => Seen::Whole,
            Some(bytes) if listed > 0 && as_read => {
                let place = format!("{message}/files/");
                let file: String = page.split(&place).nth(1).unwrap_or_default().chars().take(32).collect();
                self.download(&format!("{place}{file}"), |body| body == bytes)
            }
            Some(bytes) if listed > 0 => {
                let name = letter.file_name();
                self.download(&format!("{message}/files.zip"), |body| unzip(body, &name) == *bytes)
            }
            _ => Seen::Broken(format!("{listed} files are listed")),
        }
    }

    fn download(&mut self, path: &str, is_right: impl FnOnce(&[u8]) -> bool) -> Seen {
        let reply = self.browser.get(path);
        match reply.status {
            200 if reply.whole && is_right(&reply.body) => Seen::Whole,
            200 if !reply.whole => Seen::BrokenOff,
            // It has expired between the page and the file.
            404 | 410 => Seen::Gone,
            status => Seen::Broken(format!("a file: {status}, {} bytes", reply.body.len())),
        }
    }
}

/// A file in a zip; empty if it is not there.
fn unzip(bytes: &[u8], name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    if let Ok(mut zip) = zip::ZipArchive::new(io::Cursor::new(bytes))
        && let Ok(mut file) = zip.by_name(name)
    {
        let _ = io::Read::read_to_end(&mut file, &mut found);
    }
    found
}
