//! What leaves the server opens without it: with the ordinary `age` command and the recovery kit, or a person's own key.

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Command;

use crate::client::{Client, FilePart, messages};
use crate::world::{PASSWORD, World, send};

const LEE: &str = "lee@hillside.example";
const FILES: [(&str, &[u8]); 3] =
    [("röntgen 14.png", b"\x89PNG not really"), ("plan.pdf", b"%PDF nor this"), ("empty.txt", b"")];

/// Ann writes to Lee with files; both browsers, the message's identifier, and the kit's `AGE-SECRET-KEY` line.
fn correspondence(world: &World) -> (Client, Client, String, String) {
    let (mut ann, kit, _) = world.set_up_with_kit();
    send(&mut ann, LEE, "Hello", "Please register.");
    let lee = world.register(&mut ann, LEE, "Lee", "Hill");
    ann.visit("/compose").expect(200);
    let draft = ann.hidden("draft").unwrap();
    let fields = [
        ("draft", draft.as_str()),
        ("to", LEE),
        ("subject", "Tooth 14, größer"),
        ("body", "First line.\n\nZähne, 歯."),
        ("expires", "30"),
        ("action", "send"),
    ];
    let files = FILES.map(|(name, bytes)| FilePart { field: "files[]", name, kind: "text/plain", bytes });
    let sent = ann.post_files("/compose", &fields, &files).expect(303);
    let message = messages(&ann.follow(sent).expect(200).text()).remove(0);
    (ann, lee, message, kit)
}

/// Opens a file with the `age` command and the identities in another file; what it said instead if it refuses.
fn age(identities: &Path, sealed: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new("age").arg("-d").arg("-i").arg(identities).arg(sealed).output();
    let output = output.expect("the age command is installed (Debian package age)");
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The files of a zip by name, in their order.
fn unzip(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let entry = |at| {
        let mut file = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (file.name().unwrap().into_owned(), bytes)
    };
    (0..FILES.len() + 1).map(entry).collect()
}

fn check_export(bytes: Vec<u8>) {
    let files = unzip(bytes);
    let (name, text) = &files[0];
    let text = String::from_utf8(text.clone()).unwrap();
    assert_eq!(name, "message.txt");
    assert!(text.starts_with("From: Dr Ann Rivers <admin@riverside.example>\nTo: Lee Hill <lee@hillside.example>\n"));
    assert!(
        text.contains("Sent: 2026-11-23T10:00:00Z\nSubject: Tooth 14, größer\n\nFirst line.\n\nZähne, 歯.\n"),
        "{text}"
    );
    assert!(text.contains("Attached: röntgen 14.png (15 bytes)"), "{text}");
    let attached: Vec<(&str, &[u8])> =
        files[1..].iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    assert_eq!(attached, FILES);
}

#[test]
fn an_exported_message_opens_with_the_age_command() {
    let world = World::start();
    let (mut ann, mut lee, message, kit) = correspondence(&world);
    let folder = tempfile::tempdir().unwrap();
    let (by_kit, by_ann, by_lee) = (folder.path().join("kit"), folder.path().join("ann"), folder.path().join("lee"));
    std::fs::write(&by_kit, kit).unwrap();
    for (who, file) in [(&mut ann, &by_ann), (&mut lee, &by_lee)] {
        who.visit("/profile").expect(200);
        let key = who.post("/profile/key", &[("current_password", PASSWORD)]).expect(200);
        assert!(key.header("content-disposition").unwrap().contains("sealpost-key.txt"));
        std::fs::write(file, key.body).unwrap();
    }
    let export = |who: &mut Client, name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, who.get(&format!("/messages/{message}/export")).expect(200).body).unwrap();
        path
    };
    let (of_ann, of_lee) = (export(&mut ann, "ann.age"), export(&mut lee, "lee.age"));
    for (identity, sealed) in [(&by_kit, &of_ann), (&by_kit, &of_lee), (&by_ann, &of_ann), (&by_lee, &of_lee)] {
        check_export(age(identity, sealed).unwrap());
    }
    // Lee's export is sealed to Lee and the kit: Ann's key is no key to it.
    assert!(age(&by_ann, &of_lee).unwrap_err().contains("no identity matched"));
}

#[test]
fn a_key_is_exported_against_the_password_only() {
    let world = World::start();
    let mut ann = world.set_up();
    ann.visit("/profile").expect(200);
    let refused = ann.post("/profile/key", &[("current_password", "not my password at all")]).expect(422);
    assert!(!refused.text().contains("AGE-SECRET-KEY"), "{}", refused.text());
}
