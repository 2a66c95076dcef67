//! Files on their way out: byte for byte, in ranges, together as a zip.

use std::process::Command;

use crate::forms::{LEE, Pair, compose, draft, file, file_urls, noise, pair, read, upload};

/// The distribution's interpreter: its zip reader is none of ours.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn a_download_has_every_byte_and_every_range() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let bytes = noise(700_001);
    let id = draft(&mut ann);
    upload(&mut ann, &id, "scan.dcm", &bytes);
    upload(&mut ann, &id, "empty.txt", b"");
    let sent = compose(&mut ann, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let files = file_urls(&read(&mut lee, &sent.location().unwrap()));
    let whole = lee.get(&files[0]).expect(200);
    assert!(whole.whole && whole.body == bytes);
    assert_eq!(whole.header("content-length"), Some("700001"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("cache-control"), Some("no-store"));
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-65600", 65_530, 65_601),
        ("bytes=131071-", 131_071, 700_001),
        ("bytes=-1", 700_000, 700_001),
        ("bytes=699999-9999999", 699_999, 700_001),
    ] {
        let part = lee.send("GET", &files[0], &[("Range", range)], b"").expect(206);
        assert!(part.whole && part.body == bytes[from..to], "{range}");
        let says = format!("bytes {from}-{}/700001", to - 1);
        assert_eq!(part.header("content-range"), Some(says.as_str()));
    }
    let beyond = lee.send("GET", &files[0], &[("Range", "bytes=700001-")], b"").expect(416);
    assert_eq!(beyond.header("content-range"), Some("bytes */700001"));
    assert_eq!(lee.send("GET", &files[0], &[("Range", "bytes=0-1,4-5")], b"").expect(200).body.len(), 700_001);
    let empty = lee.get(&files[1]).expect(200);
    assert_eq!((empty.body.len(), empty.header("content-length")), (0, Some("0")));
    assert!(ann.get(&files[0]).expect(200).body == bytes, "the sender's copy too");
    let head = lee.send("HEAD", &files[0], &[], b"").expect(200);
    assert_eq!(head.header("content-length"), Some("700001"));
}

#[test]
fn what_a_browser_would_run_is_handed_over_as_bytes() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let files = ["page.html", "picture.svg", "code.js", "feed.xml", "page.xhtml", "report.pdf", "photo.jpg"];
    let parts: Vec<_> = files.iter().map(|name| file(name, b"<script>alert(1)</script>")).collect();
    let sent = compose(&mut ann, "", &[("to", LEE)], &parts).expect(303);
    for (url, name) in file_urls(&read(&mut lee, &sent.location().unwrap())).iter().zip(files) {
        let reply = lee.get(url).expect(200);
        let expected = match name {
            "report.pdf" => "application/pdf",
            "photo.jpg" => "image/jpeg",
            _ => "application/octet-stream",
        };
        assert_eq!(reply.header("content-type"), Some(expected), "{name}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert!(reply.header("content-disposition").unwrap().starts_with("attachment;"));
        assert_eq!(reply.all("content-security-policy").collect::<Vec<_>>(), ["default-src 'none'; sandbox"]);
    }
}

#[test]
fn all_files_together_are_a_zip_that_others_read() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let bytes = noise(300_000);
    let parts = [
        file("röntgen.png", &bytes),
        file("a.txt", b"one"),
        file("A.txt", b"two"),
        file("../../a.txt", b"three"),
        file("empty", b""),
    ];
    let sent = compose(&mut ann, "", &[("to", LEE)], &parts).expect(303).location().unwrap();
    let page = read(&mut lee, &sent);
    let message = crate::forms::messages(&page).remove(0);
    let url = format!("/messages/{message}/files.zip");
    assert!(page.contains(&format!("href=\"{url}\"")));
    let zip = lee.get(&url).expect(200);
    assert!(zip.whole && zip.header("content-type") == Some("application/zip"));
    let path = world.data.with_file_name("all.zip");
    std::fs::write(&path, &zip.body).unwrap();
    let script = "import sys, zipfile, hashlib\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  for i in z.infolist(): print(i.filename, i.file_size, hashlib.sha256(z.read(i)).hexdigest())";
    let read = Command::new(PYTHON).args(["-X", "utf8", "-c", script]).arg(&path).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let listed = String::from_utf8(read.stdout).unwrap();
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.rsplitn(3, ' ').collect()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line[2]).collect();
    assert_eq!(names, ["röntgen.png", "a.txt", "A (2).txt", "a (3).txt", "empty"]);
    for (line, part) in lines.iter().zip(parts) {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(part.bytes);
        assert_eq!(
            (line[1], line[0]),
            (part.bytes.len().to_string().as_str(), data_encoding::HEXLOWER.encode(&digest).as_str())
        );
    }
}
