//! The true program says nothing of what passes through it: not in its log, however talkative it is made, not on its
//! console, not in temporary files, not in the names of files that it holds open.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use crate::client::{Client, FilePart, messages, unescape};
use crate::marks::{found_in, mark};
use crate::place::files_under;
use crate::server::{Server, read_log};
use crate::world::{ADMIN, PASSWORD, between, link_to, register, set_up};

const LEE: &str = "lee.marked@riverside.example";

/// What must stand in no log: besides marks, everything secret or personal that came up.
#[derive(Default)]
struct Unspeakable(Vec<String>);

impl Unspeakable {
    fn add(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    fn check(&self, log: &str) {
        for text in &self.0 {
            assert!(!log.contains(text.as_str()), "the log says {text:?}:\n{log}");
        }
    }
}

/// A letter with marks in all its parts; its identifier and the address of its conversation.
fn write(from: &mut Client, to: &str, number: usize) -> (String, String) {
    from.visit("/compose").expect(200);
    let draft = from.hidden("draft").unwrap();
    let (subject, body, name) = (mark("subject", number), mark("text", number), mark("name", number) + ".pdf");
    let fields = [
        ("draft", draft.as_str()),
        ("to", to),
        ("relationship", "doctor_mine"),
        ("subject", &subject),
        ("body", &body),
        ("expires", "30"),
        ("action", "send"),
    ];
    let bytes = mark("bytes", number).repeat(30_000);
    let file = FilePart { field: "files[]", name: &name, kind: "application/pdf", bytes: bytes.as_bytes() };
    let thread = from.post_files("/compose", &fields, &[file]).expect(303).location().unwrap();
    let letter = messages(&from.visit(&thread).expect(200).text()).remove(0);
    (letter, thread)
}

/// Everything that a reader can do with a letter.
fn use_up(reader: &mut Client, letter: &str, thread: &str, number: usize) {
    let page = unescape(&reader.visit(thread).expect(200).text());
    assert!(page.contains(&mark("text", number)));
    for kind in ["subject", "text", "name"] {
        let found = reader.get(&format!("/search?q={}", mark(kind, number))).expect(200).text();
        assert!(found.contains(letter), "{found}");
    }
    let place = format!("/messages/{letter}/files/");
    let file = format!("{place}{}", between(&page, &place, "\""));
    assert!(reader.get(&file).expect(200).text().contains(&mark("bytes", number)));
    assert!(reader.send("GET", &file, &[("Range", "bytes=5-60")], b"").expect(206).text().contains("bytes"));
    for path in
        [format!("{thread}/print"), format!("/messages/{letter}/files.zip"), format!("/messages/{letter}/export")]
    {
        reader.get(&path).expect(200);
    }
}

/// Contacts with marks in all their parts, written down, imported, looked for, and a file that is none.
fn keep_contacts(owner: &mut Client) {
    owner.visit("/contacts/new").expect(200);
    let (name, notes) = (mark("name", 700), mark("text", 700));
    let fields = [("first_name", name.as_str()), ("email", "kim@marked.example"), ("notes", &notes)];
    owner.post("/contacts", &fields).expect(303);
    owner.post("/contacts", &fields).expect(422);
    owner.get(&format!("/recipients?q={name}")).expect(200);
    owner.get(&format!("/contacts?q={name}")).expect(200);
    let file =
        format!("name,email\n{},{}@x.example\n{},bad\n", mark("name", 701), mark("name", 702), mark("name", 703));
    for bytes in [mark("bytes", 700).into_bytes(), file.into_bytes()] {
        let part = FilePart { field: "file", name: &mark("name", 704), kind: "text/csv", bytes: &bytes };
        owner.post_files("/contacts/import", &[], &[part]);
    }
    let import = owner.hidden("import").unwrap();
    owner.post("/contacts/import/confirm", &[("import", &import)]).expect(303);
    owner.get("/contacts/export.csv").expect(200);
}

/// Half of an upload, left open: what the program holds open meanwhile is in the data folder, and nothing is elsewhere.
fn upload_half(from: &mut Client, server: &Server, folder: &Path) {
    from.visit("/compose").expect(200);
    let (draft, csrf) = (from.hidden("draft").unwrap(), from.csrf().unwrap());
    let name = format!("filename {}", BASE64.encode(mark("name", 900).as_bytes()));
    let tus = [("Tus-Resumable", "1.0.0"), ("X-CSRF-Token", csrf.as_str())];
    let begin = [tus.as_slice(), &[("Upload-Length", "1000000"), ("Upload-Metadata", &name)]].concat();
    let place = from.send("POST", &format!("/drafts/{draft}/files"), &begin, b"").expect(201).location().unwrap();
    let kind = ("Content-Type", "application/offset+octet-stream");
    let head = [tus.as_slice(), &[kind, ("Upload-Offset", "0"), ("Content-Length", "1000000")]].concat();
    let mut open = from.open("PATCH", &place, &head);
    open.write(mark("bytes", 900).repeat(20_000).as_bytes()).unwrap();
    let held: Vec<PathBuf> = fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.is_absolute() && !path.starts_with("/dev") && !path.starts_with(folder.join("data")))
        .filter(|path| *path != folder.join("log"))
        .collect();
    assert!(held.is_empty(), "files outside the data folder are open: {held:?}");
    open.cut();
    let fields =
        [("subject", &*mark("subject", 901)), ("body", &mark("text", 901)), ("expires", "9"), ("revision", "0")];
    from.post(&format!("/drafts/{}", "ab".repeat(16)), &fields).expect(200);
}

/// Requests that go wrong, with marks wherever a stranger can put one.
fn go_wrong(client: &mut Client, address: &str, secrets: &mut Unspeakable) {
    let wrong = mark("password", 1);
    client.visit("/sign-in").expect(200);
    client.post("/sign-in", &[("email", address), ("password", &wrong)]).expect(422);
    client.post("/password-strength", &[("password", &wrong)]);
    for path in
        ["/", "/threads/", "/register/", "/setup/", "/assets/1/", "/compose?draft=", "/inbox?before=", "/search?q="]
    {
        let reply = client.get(&format!("{path}{}", mark("path", 1)));
        assert!(reply.status < 500, "{path}: {}", reply.status);
    }
    client.send("POST", &format!("/{}", mark("path", 2)), &[("Origin", &format!("http://{}", mark("host", 1)))], b"x");
    client.raw(format!("GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", mark("host", 2), mark("header", 1)).as_bytes());
    secrets.add(&wrong);
}

/// A file whose sealed bytes were cut on the disk breaks its download off, one that is gone is a fault: both are logged.
fn damage(folder: &Path, reader: &mut Client, letter: &str, thread: &str) {
    let page = unescape(&reader.visit(thread).expect(200).text());
    let place = format!("/messages/{letter}/files/");
    let file = format!("{place}{}", between(&page, &place, "\""));
    for blob in files_under(&folder.join("data/blobs")) {
        let length = fs::metadata(&blob).unwrap().len();
        fs::OpenOptions::new().write(true).open(&blob).unwrap().set_len(length / 2).unwrap();
    }
    let reply = reader.get(&file);
    assert!(reply.status != 200 || !reply.whole, "what is cut short never ends well");
    let (blobs, away) = (folder.join("data/blobs"), folder.join("data/away"));
    fs::rename(&blobs, &away).unwrap();
    reader.get(&file).expect(500);
    fs::rename(&away, &blobs).unwrap();
}

#[test]
fn nothing_that_passes_through_is_said_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let environment = [("SEALPOST_LOG_FILTER", "trace"), ("TMPDIR", temporary.to_str().unwrap())];
    let server = Server::start_with(folder.path(), &folder.path().join("data"), &environment);
    let mut secrets = Unspeakable::default();
    for text in
        [LEE, ADMIN, PASSWORD, "Marked", "Ann Rivers", "Riverside", "marked.example", "AGE-SECRET-KEY", "555 0100"]
    {
        secrets.add(text);
    }

    let mut ann = Client::new(server.address);
    let link = server.setup_link.clone().unwrap();
    secrets.add(link.rsplit('/').next().unwrap());
    let (_, words) = set_up(&mut ann, &link);
    secrets.add(&words[..3].join(" "));
    let (first, thread) = write(&mut ann, LEE, 1);
    let invitation = link_to(&mut ann, LEE);
    secrets.add(invitation.rsplit('/').next().unwrap());
    let mut lee = Client::new(server.address);
    register(&mut lee, &mut ann, &invitation, LEE, ("Lee", "Marked"));
    use_up(&mut lee, &first, &thread, 1);
    let (second, thread) = write(&mut lee, ADMIN, 2);
    use_up(&mut ann, &second, &thread, 2);
    keep_contacts(&mut ann);
    upload_half(&mut ann, &server, folder.path());
    go_wrong(&mut Client::new(server.address), LEE, &mut secrets);
    ann.visit("/profile").expect(200);
    ann.post("/profile/key", &[("current_password", PASSWORD)]).expect(200);
    ann.visit(&thread).expect(200);
    ann.post(&format!("/messages/{second}/delete"), &[]).expect(303);
    damage(folder.path(), &mut lee, &second, &thread);
    for client in [&ann, &lee] {
        client.cookies.values().for_each(|cookie| secrets.add(cookie));
    }
    assert!(found_in(server.said.as_bytes()).is_empty());
    server.stop();

    let log = read_log(folder.path());
    assert!(log.contains("broken off") && log.contains("a request failed"), "what goes wrong is logged:\n{log}");
    assert_eq!(found_in(log.as_bytes()), Vec::<String>::new());
    secrets.check(&log);
    assert_eq!(files_under(&temporary), Vec::<PathBuf>::new());
    for path in files_under(folder.path()) {
        assert_eq!(found_in(path.to_str().unwrap().as_bytes()), Vec::<String>::new());
        assert_eq!(found_in(&fs::read(&path).unwrap()), Vec::<String>::new(), "{}", path.display());
    }
}
