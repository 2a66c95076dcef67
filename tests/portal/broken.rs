//! Uploads and downloads that break off, come twice, are slow or too much: what they leave behind must not be in
//! anybody's way, and none may look whole that is not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use crate::client::{Client, FilePart, messages, unescape};
use crate::world::{World, between, send};

const MIB: usize = 1024 * 1024;

/// The compose page of a new message, and its draft.
fn compose(client: &mut Client) -> String {
    client.visit("/compose").expect(200);
    client.hidden("draft").unwrap()
}

fn form<'f>(draft: &'f str, action: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("draft", draft),
        ("revision", "0"),
        ("to", "lee@hillside.example"),
        ("relationship", "doctor_other"),
        ("subject", "Tooth 14"),
        ("body", "Please look."),
        ("expires", "30"),
        ("action", action),
    ]
}

/// Asks the way a client of tus does.
fn tus(client: &mut Client, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> crate::client::Reply {
    let csrf = client.csrf().unwrap();
    let own = [("Tus-Resumable", "1.0.0"), ("X-CSRF-Token", csrf.as_str())];
    client.send(method, path, &[&own, headers].concat(), body)
}

fn begin(client: &mut Client, draft: &str, bytes: usize) -> String {
    let (path, length) = (format!("/drafts/{draft}/files"), bytes.to_string());
    let headers = [("Upload-Length", length.as_str()), ("Upload-Metadata", "filename eC5wbmc=")];
    tus(client, "POST", &path, &headers, b"").expect(201).location().unwrap()
}

fn append(client: &mut Client, upload: &str, offset: usize, bytes: &[u8]) -> crate::client::Reply {
    let offset = offset.to_string();
    let headers = [("Upload-Offset", offset.as_str()), ("Content-Type", "application/offset+octet-stream")];
    tus(client, "PATCH", upload, &headers, bytes)
}

#[test]
fn a_form_that_breaks_off_in_its_file_can_be_sent_again() {
    let world = World::start();
    let mut ann = world.set_up();
    let draft = compose(&mut ann);
    let file = FilePart { field: "files[]", name: "x.bin", kind: "application/octet-stream", bytes: &[7; 2 * MIB] };
    let (kind, body) = ann.multipart(&form(&draft, "send"), &[file]);
    let length = body.len().to_string();
    let mut open = ann.open("POST", "/compose", &[("Content-Type", &kind), ("Content-Length", &length)]);
    open.write(&body[..MIB]).unwrap();
    open.cut();

    let file = FilePart { field: "files[]", name: "x.bin", kind: "application/octet-stream", bytes: &[7; 2 * MIB] };
    let sent = ann.post_files("/compose", &form(&draft, "send"), &[file]).expect(303);
    assert!(sent.location().unwrap().starts_with("/threads/"), "{sent:?}");
    assert!(ann.follow(sent).expect(200).text().contains("x.bin"));
}

#[test]
fn a_file_that_was_too_much_is_not_waited_for() {
    let world = World::start();
    let mut ann = world.set_up();
    let draft = compose(&mut ann);
    let reserved = begin(&mut ann, &draft, 100 * MIB - 10);
    let file = FilePart { field: "files[]", name: "x.bin", kind: "application/octet-stream", bytes: &[7; 11] };
    let page = ann.post_files("/compose", &form(&draft, "send"), &[file]).expect(413).text();
    assert!(page.contains("100 MB"), "{page}");
    tus(&mut ann, "DELETE", &reserved, &[], b"").expect(204);
    let sent = ann.post_files("/compose", &form(&draft, "send"), &[]).expect(303);
    assert!(sent.location().unwrap().starts_with("/threads/"), "{sent:?}");
}

#[test]
fn bytes_are_taken_once_and_a_lost_answer_can_be_asked_for_again() {
    let world = World::start();
    let mut ann = world.set_up();
    let draft = compose(&mut ann);
    let upload = begin(&mut ann, &draft, 10);
    append(&mut ann, &upload, 0, b"hello").expect(204);
    append(&mut ann, &upload, 0, b"hello").expect(409);
    append(&mut ann, &upload, 5, b"world").expect(204);
    let state = tus(&mut ann, "HEAD", &upload, &[], b"").expect(200);
    assert_eq!((state.header("upload-offset"), state.header("upload-length")), (Some("10"), Some("10")));
    append(&mut ann, &upload, 10, b"").expect(409);

    let other = begin(&mut ann, &draft, 1);
    append(&mut ann, &other, 0, b"x").expect(204);
    tus(&mut ann, "DELETE", &other, &[], b"").expect(204);
    let sent = ann.post_files("/compose", &form(&draft, "send"), &[]).expect(303);
    let page = ann.follow(sent).expect(200).text();
    assert_eq!(page.matches("class=\"file is-").count(), 1, "{page}");
}

#[test]
fn slow_uploads_keep_nobody_waiting() {
    let world = World::start_with_threads(4, |_| {});
    let mut ann = world.set_up();
    let draft = compose(&mut ann);
    let uploads: Vec<String> = (0..12).map(|_| begin(&mut ann, &draft, MIB)).collect();
    let csrf = ann.csrf().unwrap();
    let mut slow: Vec<Client> = uploads.iter().map(|_| world.client()).collect();
    let mut open = Vec::new();
    for (client, upload) in slow.iter_mut().zip(&uploads) {
        client.cookies = ann.cookies.clone();
        let headers = [
            ("Tus-Resumable", "1.0.0"),
            ("X-CSRF-Token", csrf.as_str()),
            ("Upload-Offset", "0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Content-Length", "1048576"),
        ];
        let mut upload = client.open("PATCH", upload, &headers);
        upload.write(b"a little").unwrap();
        open.push(upload);
    }
    ann.get("/inbox").expect(200);
    send(&mut ann, "lee@hillside.example", "Tooth 14", "Please look.");
}

/// Sends a message with this file to somebody new; the addresses of its conversation, its file and the message.
fn send_file(ann: &mut Client, bytes: &[u8]) -> (String, String, String) {
    let draft = compose(ann);
    let file = FilePart { field: "files[]", name: "x.bin", kind: "application/octet-stream", bytes };
    let sent = ann.post_files("/compose", &form(&draft, "send"), &[file]).expect(303);
    let thread = sent.location().unwrap();
    let page = unescape(&ann.follow(sent).expect(200).text());
    let message = format!("/messages/{}", messages(&page).remove(0));
    let file = format!("{message}/files/{}", between(&page, &format!("{message}/files/"), "\""));
    (thread, file, message)
}

fn only_blob(world: &World) -> PathBuf {
    let shelves = std::fs::read_dir(world.data.join("blobs")).unwrap().map(|shelf| shelf.unwrap().path());
    shelves.flat_map(|shelf| std::fs::read_dir(shelf).unwrap()).next().unwrap().unwrap().path()
}

/// Asks for a download and reads no more than its head.
fn slowly(world: &World, client: &Client, path: &str) -> TcpStream {
    let cookies: Vec<String> = client.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut stream = TcpStream::connect(world.address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {}\r\n\r\n", cookies.join("; "));
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    stream
}

#[test]
fn a_download_ends_when_its_message_is_destroyed() {
    const LARGE: usize = 40 * MIB;
    let world = World::start_with_threads(4, |_| {});
    let mut ann = world.set_up();
    let (thread, file, message) = send_file(&mut ann, &vec![7; LARGE]);
    let mut slow: Vec<TcpStream> = [&file, &format!("{message}/export"), &format!("{message}/files.zip")]
        .into_iter()
        .cycle()
        .take(9)
        .map(|path| slowly(&world, &ann, path))
        .collect();
    ann.visit(&thread).expect(200);
    ann.post(&format!("{message}/recall"), &[]).expect(303);
    for stream in &mut slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < LARGE, "all of it came: {} bytes", rest.len());
        assert!(!rest.ends_with(b"0\r\n\r\n"), "it must not end as if it were whole");
    }
    ann.get(&file).expect(410);
}

#[test]
fn a_download_that_cannot_begin_is_told_as_a_fault() {
    let world = World::start();
    let mut ann = world.set_up();
    let (_, file, message) = send_file(&mut ann, b"small");
    let blob = only_blob(&world);
    let sealed = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, &sealed[..sealed.len() - 1]).unwrap();
    for path in [&file, &format!("{message}/files.zip"), &format!("{message}/export")] {
        assert!(ann.get(path).expect(500).text().contains("Reference"), "{path}");
    }
}

#[test]
fn a_damaged_file_never_ends_as_if_it_were_whole() {
    let world = World::start();
    let mut ann = world.set_up();
    // A whole number of pieces and of the seal's own chunks: nothing is held back by chance.
    let (_, file, message) = send_file(&mut ann, &vec![7; MIB]);
    let blob = only_blob(&world);
    let sealed = std::fs::read(&blob).unwrap();
    assert_eq!(ann.get(&file).expect(200).body, vec![7; MIB]);

    let mut flipped = sealed.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [flipped, sealed[..sealed.len() - 1].to_vec(), [&sealed[..], b"more"].concat()] {
        std::fs::write(&blob, damaged).unwrap();
        for path in [&file, &format!("{message}/files.zip"), &format!("{message}/export")] {
            let reply = ann.get(path);
            assert!(!reply.whole || reply.status >= 500, "{path}: {} bytes", reply.body.len());
        }
        let range = ann.send("GET", &file, &[("Range", "bytes=0-")], b"");
        assert!(!range.whole, "the whole file as a range");
    }
    std::fs::write(&blob, sealed).unwrap();
    let range = ann.send("GET", &file, &[("Range", "bytes=1000-1999")], b"").expect(206);
    assert_eq!(range.body, vec![7; 1000]);
}
