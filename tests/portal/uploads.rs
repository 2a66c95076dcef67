//! Resumable uploads: pieces, breaks, other people's, hostile names.

use crate::client::unescape;
use crate::forms::{
    LEE, Pair, append, begin, compose, draft, file_urls, filled, has_fault, hidden, noise, offer, offset, pair, read,
    tus, upload,
};
use crate::smtp::wait_until;
use crate::world::between;

#[test]
fn a_file_arrives_in_pieces_and_joins_the_draft() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let abilities = ann.send("OPTIONS", "/uploads", &[], b"").expect(204);
    assert_eq!(abilities.header("tus-version"), Some("1.0.0"));
    assert_eq!(abilities.header("tus-max-size"), Some("104857600"));
    let id = draft(&mut ann);
    let bytes = noise(300_000);
    let path = begin(&mut ann, &id, "x-ray.dcm", bytes.len() as u64);
    let (mut at, mut size) = (0, 1);
    while at < bytes.len() {
        assert_eq!(offset(&mut ann, &path), Some(at as u64));
        let end = (at + size).min(bytes.len());
        let reply = append(&mut ann, &path, at as u64, &bytes[at..end]).expect(204);
        assert_eq!(reply.header("upload-offset"), Some(end.to_string().as_str()));
        (at, size) = (end, size * 7);
    }
    assert!(read(&mut ann, &format!("/compose?draft={id}")).contains("x-ray.dcm"));
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let files = file_urls(&read(&mut lee, &sent.location().unwrap()));
    assert!(lee.get(&files[0]).expect(200).body == bytes, "byte for byte");
}

#[test]
fn an_upload_goes_on_where_its_connection_broke() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    let bytes = noise(400_000);
    let path = begin(&mut ann, &id, "x-ray.dcm", bytes.len() as u64);
    let (csrf, length) = (ann.csrf().unwrap(), bytes.len().to_string());
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("X-CSRF-Token", csrf.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", "0"),
        ("Content-Length", length.as_str()),
    ];
    let mut open = ann.open("PATCH", &path, &headers);
    open.write(&bytes[..150_000]).unwrap();
    open.cut();
    assert!(wait_until(|| offset(&mut ann, &path) == Some(150_000)), "what arrived is kept");
    append(&mut ann, &path, 0, &bytes).expect(409);
    append(&mut ann, &path, 150_001, &bytes[150_001..]).expect(409);
    append(&mut ann, &path, 150_000, &bytes[150_000..]).expect(204);
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let files = file_urls(&read(&mut lee, &sent.location().unwrap()));
    assert!(lee.get(&files[0]).expect(200).body == bytes, "byte for byte");
}

#[test]
fn the_protocol_is_kept() {
    let Pair { world: _world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    let path = begin(&mut ann, &id, "a.txt", 3);
    for version in ["", "0.2.2"] {
        let refused = tus(&mut ann, "HEAD", &path, &[("Tus-Resumable", version)], b"").expect(412);
        assert_eq!(refused.header("tus-version"), Some("1.0.0"));
    }
    tus(&mut ann, "PATCH", &path, &[("Content-Type", "text/plain"), ("Upload-Offset", "0")], b"abc").expect(415);
    let kind = ("Content-Type", "application/offset+octet-stream");
    tus(&mut ann, "PATCH", &path, &[kind], b"abc").expect(400);
    tus(&mut ann, "PATCH", &path, &[kind, ("Upload-Offset", "-1")], b"abc").expect(400);
    tus(&mut ann, "POST", &format!("/drafts/{id}/files"), &[("Upload-Length", "x")], b"").expect(400);
    let head = tus(&mut ann, "HEAD", &path, &[], b"").expect(200);
    assert_eq!((head.header("upload-length"), head.header("cache-control")), (Some("3"), Some("no-store")));
    assert!(head.header("upload-expires").is_some_and(|date| date.ends_with(" GMT")));
}

#[test]
fn an_upload_that_is_given_up_leaves_nothing() {
    let Pair { world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    let path = begin(&mut ann, &id, "a.txt", 10);
    append(&mut ann, &path, 0, b"12345").expect(204);
    assert_eq!(world.blobs(), 1);
    let page = hidden(&ann);
    let answer = ann.post_files("/compose", &filled(&page, &[("to", LEE)]), &[]).expect(422).text();
    assert!(has_fault(&answer, "files") && answer.contains("still on its way"), "{answer}");
    tus(&mut ann, "DELETE", &path, &[], b"").expect(204);
    assert_eq!(offset(&mut ann, &path), None);
    tus(&mut ann, "DELETE", &path, &[], b"").expect(404);
    append(&mut ann, &path, 5, b"67890").expect(404);
    assert_eq!(world.blobs(), 0);
    let resting = begin(&mut ann, &id, "b.txt", 10);
    for _ in 0..6 {
        world.turn(10 * 60);
        ann.get("/still-here").expect(204);
    }
    assert_eq!((offset(&mut ann, &resting), world.blobs()), (None, 0), "rested for an hour");
}

#[test]
fn somebody_elses_upload_is_not_there() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    let path = begin(&mut ann, &id, "a.txt", 10);
    append(&mut ann, &path, 0, b"12345").expect(204);
    assert_eq!(offset(&mut lee, &path), None);
    append(&mut lee, &path, 5, b"evil!").expect(404);
    tus(&mut lee, "DELETE", &path, &[], b"").expect(404);
    offer(&mut lee, &id, "evil.exe", 4);
    append(&mut ann, &path, 5, b"67890").expect(204);
    let page = read(&mut ann, &format!("/compose?draft={id}"));
    assert!(page.contains("a.txt") && !page.contains("evil"), "{page}");
}

#[test]
fn names_are_kept_and_their_tricks_are_not() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    let long = format!("{}.jpeg", "歯".repeat(100));
    let cases = [
        ("虫歯 – Röntgen №12.dcm", "虫歯 – Röntgen №12.dcm"),
        ("../../../etc/passwd", "passwd"),
        ("C:\\scans\\a.png", "a.png"),
        ("invoice\u{202e}gpj.exe", "invoicegpj.exe"),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie: x=1.txt"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("\"quoted\"; filename=evil.exe", "\"quoted\"; filename=evil.exe"),
        ("{{7*7}}.txt", "{{7*7}}.txt"),
        ("..", "file"),
        ("", "file"),
        ("nul\0byte.txt", "nulbyte.txt"),
        (&long, "歯歯.jpeg"),
    ];
    for (given, _) in cases {
        upload(&mut ann, &id, given, given.as_bytes());
    }
    upload(&mut ann, &id, "empty.txt", b"");
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let raw = lee.visit(&sent.location().unwrap()).expect(200).text();
    assert!(!raw.contains("<img src=x"), "{raw}");
    let page = unescape(&raw);
    let files = file_urls(&page);
    assert_eq!(files.len(), 13);
    for url in files {
        let shown = between(between(&page, &url, "</a>"), "<span class=\"file-name\">", "</span>").to_owned();
        let reply = lee.get(&url).expect(200);
        let given = cases.iter().find(|(given, _)| given.as_bytes() == reply.body);
        let Some((_, kept)) = given.filter(|(given, _)| !given.is_empty()) else { continue };
        assert!(shown == *kept || (kept.starts_with("歯歯") && shown.ends_with("歯.jpeg")), "{shown:?}, not {kept:?}");
        assert!(shown.len() <= 255);
        let disposition = reply.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.is_ascii(), "{disposition}");
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
        assert!(disposition.contains("; filename*=UTF-8''"), "{disposition}");
        assert_eq!(reply.all("set-cookie").count(), 0);
    }
}

#[test]
fn a_removed_file_is_gone_from_draft_and_disk() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    upload(&mut ann, &id, "keep.txt", b"keep");
    upload(&mut ann, &id, "remove.txt", b"remove");
    let page = read(&mut ann, &format!("/compose?draft={id}"));
    let line = page.split("<li class=\"upload is-done\"").find(|line| line.contains("remove.txt")).unwrap();
    let file = between(line, "data-id=\"", "\"").to_owned();
    let path = format!("/drafts/{id}/files/{file}");
    tus(&mut lee, "DELETE", &path, &[], b"").expect(404);
    assert_eq!(world.blobs(), 2);
    tus(&mut ann, "DELETE", &path, &[], b"").expect(204);
    tus(&mut ann, "DELETE", &path, &[], b"").expect(404);
    assert_eq!(world.blobs(), 1);
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    assert!(page.contains("keep.txt") && !page.contains("remove.txt"), "{page}");
}
