//! The limits of one message: 100 MB and 200 files, to the byte and to the file.

use std::io::{Read, repeat};

use crate::client::{Client, Reply, unescape};
use crate::forms::{
    LEE, Pair, append, begin, compose, draft, file, file_urls, filled, has_fault, hidden, offer, offset, pair, read,
    tus, upload,
};
use crate::world::between;

/// Bytes of all files of one message.
const SEND_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Stands in a form where the bytes of a large file go.
const HERE: &[u8] = b"--the file's bytes--";

/// Sends the form on the last page with one file of so many bytes, never holding them.
fn post_large(client: &mut Client, own: &[(&str, &str)], bytes: u64) -> Reply {
    let page = hidden(client);
    let (kind, form) = client.multipart(&filled(&page, own), &[file("large.bin", HERE)]);
    let at = form.windows(HERE.len()).position(|window| window == HERE).unwrap();
    let (head, tail) = (&form[..at], &form[at + HERE.len()..]);
    let length = head.len() as u64 + bytes + tail.len() as u64;
    client.stream("POST", "/compose", &[("Content-Type", &kind)], length, head.chain(repeat(7).take(bytes)).chain(tail))
}

#[test]
fn a_form_carries_exactly_100_mb() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    upload(&mut ann, &id, "small.txt", b"1");
    let own = [("to", LEE), ("subject", "All that fits")];
    let page = unescape(&post_large(&mut ann, &own, SEND_BYTES_MAX).expect(413).text());
    assert!(
        has_fault(&page, "files") && page.contains("small.txt") && page.contains("value=\"All that fits\""),
        "{page}"
    );
    assert!(page.contains("at most 100 MB and 200 files"), "{page}");
    let sent = post_large(&mut ann, &own, SEND_BYTES_MAX - 1).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    assert!(page.contains("2 files") && page.contains(">100 MB<"), "{page}");
    let files = file_urls(&page);
    let large =
        files.iter().find(|url| page.contains(url.as_str()) && between(&page, url, "</li>").contains("large")).unwrap();
    let end = lee.send("GET", large, &[("Range", "bytes=-3")], b"").expect(206);
    assert_eq!(
        (end.body.as_slice(), end.header("content-range")),
        (&[7; 3][..], Some("bytes 104857596-104857598/104857599"))
    );
}

#[test]
fn a_form_far_beyond_the_limit_is_told_so_and_its_text_is_kept() {
    let Pair { world: _world, mut ann, .. } = pair();
    ann.visit("/compose").expect(200);
    let own = [("to", LEE), ("subject", "Too much"), ("body", "Kept all the same")];
    let page = post_large(&mut ann, &own, SEND_BYTES_MAX + 8 * 1024 * 1024).expect(413).text();
    assert!(page.contains("100 MB"), "{page}");
    assert!(read(&mut ann, "/drafts").contains("Too much"), "the draft is intact");
}

#[test]
fn uploads_carry_exactly_100_mb() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    for bytes in [SEND_BYTES_MAX + 1, u64::MAX] {
        offer(&mut ann, &id, "large.bin", bytes).expect(413);
    }
    let path = begin(&mut ann, &id, "large.bin", SEND_BYTES_MAX);
    offer(&mut ann, &id, "small.txt", 1).expect(413);
    append(&mut ann, &path, 0, &vec![7; 1024 * 1024]).expect(204);
    let csrf = ann.csrf().unwrap();
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("X-CSRF-Token", csrf.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", "1048576"),
    ];
    let rest = SEND_BYTES_MAX - 1024 * 1024;
    ann.stream("PATCH", &path, &headers, rest, repeat(7)).expect(204);
    assert_eq!(offset(&mut ann, &path), Some(SEND_BYTES_MAX), "all of it has arrived");
    offer(&mut ann, &id, "small.txt", 1).expect(413);
    offer(&mut ann, &id, "empty.txt", 0).expect(201);
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    assert!(page.contains("100 MB") && page.contains("0 bytes"), "{page}");
}

#[test]
fn an_upload_takes_no_byte_more_than_it_announced() {
    let Pair { world: _world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    let path = begin(&mut ann, &id, "small.txt", 5);
    append(&mut ann, &path, 0, b"123456").expect(413);
    let at = offset(&mut ann, &path).unwrap();
    append(&mut ann, &path, at, &b"12345"[usize::try_from(at).unwrap()..]).expect(204);
    let page = read(&mut ann, &format!("/compose?draft={id}"));
    assert!(page.contains("small.txt") && page.contains("5 bytes"), "{page}");
    let without = tus(&mut ann, "POST", &format!("/drafts/{id}/files"), &[("Upload-Defer-Length", "1")], b"");
    without.expect(400);
}

#[test]
fn two_hundred_files_and_not_one_more() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    ann.visit("/compose").expect(200);
    let names: Vec<String> = (1..=201).map(|n| format!("{n}.txt")).collect();
    let files: Vec<_> = names.iter().map(|name| file(name, name.as_bytes())).collect();
    let page = hidden(&ann);
    let (id, own) = (ann.hidden("draft").unwrap(), [("to", LEE)]);
    let answer = ann.post_files("/compose", &filled(&page, &own), &files).expect(413).text();
    assert!(has_fault(&answer, "files"), "{answer}");
    assert_eq!(answer.matches("class=\"upload is-done\"").count(), 200);
    offer(&mut ann, &id, "more.txt", 0).expect(413);
    let sent = compose(&mut ann, &format!("?draft={id}"), &own, &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    assert_eq!(file_urls(&page).len(), 200);
}
