//! 100 MB up to durable and down again, against the age library doing the same without a network.

use std::cell::{Cell, RefCell};
use std::thread;
use std::time::Instant;

use age::x25519::Identity;
use sealpost::domain::ids::DraftId;

use crate::http::{Browser, Letter};
use crate::limits;
use crate::practice::{ADMIN, Practice};
use crate::server::Server;
use crate::table::{Budget, Table};
use crate::timing::{median, paired};

const MIB: f64 = 1024.0 * 1024.0;
/// One message's worth of files.
const BYTES: usize = 100 * 1024 * 1024;
/// Uploads at once when memory is measured.
const AT_ONCE: usize = 4;
/// Whom they go to.
const TO: &str = "person0@bench.example";
const TUS: &str = "Tus-Resumable: 1.0.0\r\n";

/// Bytes that do not compress, the same every time.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let word = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    word.take(BYTES / 8).flat_map(u64::to_ne_bytes).collect()
}

fn rate(seconds: f64) -> f64 {
    BYTES as f64 / MIB / seconds
}

fn speed(rate: f64) -> String {
    format!("{rate:.0} MiB/s")
}

/// Begins an upload to a fresh draft and sends its bytes: returns the draft when they are durable.
fn put(browser: &mut Browser, bytes: &[u8]) -> String {
    let draft = DraftId::generate().to_string();
    let token = format!("X-CSRF-Token: {}\r\n", browser.csrf);
    let head = format!("{TUS}{token}Upload-Length: {}\r\nUpload-Metadata: filename eC5iaW4=\r\n", bytes.len());
    let begun = browser.ask("POST", &format!("/drafts/{draft}/files"), &head, b"").expect(201);
    let at = begun.header("location").unwrap().to_owned();
    let head = format!("{TUS}{token}Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n");
    browser.ask("PATCH", &at, &head, bytes).expect(204);
    draft
}

/// The form around a file.
fn letter<'a>(draft: &'a str, action: &'a str) -> Letter<'a> {
    Letter { draft, to: TO, body: "Two pictures.", action }
}

/// The same in one multipart request, saved as a draft.
fn post(browser: &mut Browser, bytes: &[u8]) -> String {
    let draft = DraftId::generate().to_string();
    browser.compose(&letter(&draft, "save"), Some(bytes));
    draft
}

fn discard(browser: &mut Browser, draft: &str) {
    browser.compose(&letter(draft, "discard"), None);
}

/// Up, by both ways; what an upload costs in memory.
pub fn upload(practice: &Practice, rounds: usize, table: &mut Table) {
    let practice = practice.copy();
    let (bytes, identity, sealed) = (noise(), Identity::generate(), practice.file("limit.age"));
    let server = practice.serve();
    memory(&server, &bytes, table);
    let browser = RefCell::new(Browser::signed_in(server.address, "192.0.2.1", ADMIN));
    type Way = fn(&mut Browser, &[u8]) -> String;
    for (name, way) in
        [("upload 100 MiB, tus, to durable", put as Way), ("upload 100 MiB, multipart, to durable", post)]
    {
        let processor = RefCell::new(vec![]);
        let up = || {
            let (mut browser, before, start) = (browser.borrow_mut(), server.processor_seconds(), Instant::now());
            let draft = way(&mut browser, &bytes);
            let seconds = start.elapsed().as_secs_f64();
            processor.borrow_mut().push(server.processor_seconds() - before);
            discard(&mut browser, &draft);
            rate(seconds)
        };
        let paired = paired(rounds, || rate(limits::age_seal(&sealed, &bytes, &identity)), up);
        let limit = format!("age to file {}", speed(paired.limit));
        table.ratio(name, speed(paired.measured), limit, paired.ratio, &Budget::AtLeast(0.7));
        table.figure("  processor time of it", median(&processor.borrow()) * 1000.0, " ms", &Budget::None);
    }
}

/// How much memory uploads need: the first one alone, then some at once.
fn memory(server: &Server, bytes: &[u8], table: &mut Table) {
    let mut browser = Browser::signed_in(server.address, "192.0.2.1", ADMIN);
    server.forget_peak();
    let before = server.memory_peak();
    let draft = put(&mut browser, bytes);
    let grown = (server.memory_peak() - before) as f64 / MIB;
    table.figure("memory grown by the first upload of 100 MiB", grown, " MiB", &Budget::AtMost(8.0));
    discard(&mut browser, &draft);
    server.forget_peak();
    let before = server.memory_peak();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let mut twin = browser.twin();
            scope.spawn(move || {
                let draft = put(&mut twin, bytes);
                discard(&mut twin, &draft);
            });
        }
    });
    let grown = (server.memory_peak() - before) as f64 / MIB / AT_ONCE as f64;
    table.figure(&format!("memory grown an upload, {AT_ONCE} at once"), grown, " MiB", &Budget::AtMost(8.0));
}

/// Down, and how long the first byte takes.
pub fn download(practice: &Practice, rounds: usize, table: &mut Table) {
    let practice = practice.copy();
    let (bytes, identity, sealed) = (noise(), Identity::generate(), practice.file("limit.age"));
    let server = practice.serve();
    let mut browser = Browser::signed_in(server.address, "192.0.2.1", ADMIN);
    let draft = put(&mut browser, &bytes);
    let sent = browser.compose(&letter(&draft, "send"), None);
    let thread = sent.header("location").unwrap().to_owned();
    let page = browser.get(&thread).replace("&#x2f;", "/");
    let file = page.split('"').find(|part| part.starts_with("/messages/") && part.contains("/files/")).unwrap();

    let mut at = 0;
    browser.download(file, |piece| {
        assert!(bytes[at..].starts_with(piece), "what comes down is what went up");
        at += piece.len();
    });
    assert_eq!(at, BYTES);

    limits::age_seal(&sealed, &bytes, &identity);
    let (firsts, processor) = (RefCell::new(vec![]), RefCell::new(vec![]));
    let down = || {
        let (before, start, first) = (server.processor_seconds(), Instant::now(), Cell::new(None));
        browser.download(file, |piece| {
            if first.get().is_none() && !piece.is_empty() {
                first.set(Some(start.elapsed()));
            }
        });
        processor.borrow_mut().push(server.processor_seconds() - before);
        firsts.borrow_mut().push(first.get().unwrap().as_secs_f64() * 1000.0);
        rate(start.elapsed().as_secs_f64())
    };
    let paired = paired(rounds, || rate(limits::age_open(&sealed, &identity)), down);
    let limit = format!("age to nowhere {}", speed(paired.limit));
    table.ratio("download 100 MiB", speed(paired.measured), limit, paired.ratio, &Budget::AtLeast(0.7));
    table.figure("  processor time of it", median(&processor.borrow()) * 1000.0, " ms", &Budget::None);
    table.figure("first byte of a download of 100 MiB", median(&firsts.borrow()), " ms", &Budget::AtMost(20.0));
    let commit = 1000.0 / limits::redb_commits(&practice.file("limit.redb"), 1.0);
    table.figure("  a durable commit of redb: it waits for one", commit, " ms", &Budget::None);
}
