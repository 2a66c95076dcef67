//! A full disk: a clear page, nothing lost that was acknowledged, nothing half there; destruction, signing in, reading and
//! deleting all the same; and everything goes on by itself once there is room.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::client::{Client, FilePart, Reply, messages, unescape};
use crate::count::Kept;
use crate::place::{Place, files_under};
use crate::world::{ADMIN, DAY, World, between, sign_in};

const LEE: &str = "lee@riverside.example";
const DISK_BYTES: u64 = 40 * 1024 * 1024;
const FILE_BYTES: usize = 300_000;

/// What stands in the way of everything else on the disk.
struct Ballast(PathBuf);

impl Ballast {
    /// Fills the disk to the last block.
    fn fill(place: &Place) -> Self {
        let path = place.mount_point().join("ballast");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        // What the file system had set aside for its own lists is free once they are written.
        for size in [1 << 20, 1 << 12, 1 << 12] {
            while file.write_all(&vec![1; size]).is_ok() {}
            file.sync_all().unwrap();
        }
        Self(path)
    }

    /// Makes room again.
    fn empty(&self) {
        File::create(&self.0).unwrap().sync_all().unwrap();
    }
}

/// A letter of Ann's, as it was acknowledged.
struct Letter {
    id: String,
    thread: String,
    body: String,
    file: Option<Vec<u8>>,
}

/// Ann writes to Lee; what the server answered, and the letter if it is sent.
fn write(ann: &mut Client, body: &str, days: &str, action: &str, file: Option<&[u8]>) -> (Reply, Letter) {
    ann.visit("/compose").expect(200);
    let id = ann.hidden("draft").unwrap();
    let fields = [
        ("draft", id.as_str()),
        ("to", LEE),
        ("relationship", "doctor_mine"),
        ("subject", body.split('.').next().unwrap()),
        ("body", body),
        ("expires", days),
        ("action", action),
    ];
    let part = file.map(|bytes| FilePart { field: "files[]", name: "scan.bin", kind: "text/plain", bytes });
    let reply = ann.post_files("/compose", &fields, part.as_slice());
    let thread = reply.location().unwrap_or_default();
    (reply, Letter { id, thread, body: body.to_owned(), file: file.map(<[u8]>::to_vec) })
}

fn send(ann: &mut Client, body: &str, days: &str, file: Option<&[u8]>) -> Letter {
    let (reply, letter) = write(ann, body, days, "send", file);
    reply.expect(303);
    letter
}

/// A page as its reader sees it.
fn seen(client: &mut Client, path: &str) -> String {
    unescape(&client.visit(path).expect(200).text())
}

/// A letter is there whole, for whoever looks.
fn check(client: &mut Client, letter: &Letter) {
    let page = seen(client, &letter.thread);
    assert!(page.contains(&letter.body), "{page}");
    if let Some(bytes) = &letter.file {
        let place = format!("/messages/{}/files/", messages(&page).pop().unwrap());
        let file = format!("{place}{}", between(&page, &place, "\""));
        assert!(client.get(&file).expect(200).body == *bytes);
    }
}

/// The page that says it.
#[track_caller]
fn says_full(reply: Reply) {
    let text = unescape(&reply.expect(507).text());
    assert!(text.contains("The server's disk is full") && text.contains("Nothing that was saved is lost"), "{text}");
}

/// Sends until there is no room for one more. What was acknowledged counts.
fn send_until_full(ann: &mut Client, letters: &mut Vec<Letter>) {
    for number in 0..2000 {
        let (reply, letter) =
            write(ann, &format!("Squeezed in {number}. {}", "Words. ".repeat(300).trim_end()), "30", "send", None);
        if reply.status != 303 {
            return says_full(reply);
        }
        letters.push(letter);
    }
    panic!("the disk does not get full");
}

/// Slots that hold something.
fn slots_in_use(place: &Place) -> usize {
    let files = files_under(&place.data()).into_iter();
    let slots = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("slots."));
    let bytes = slots.flat_map(|path| std::fs::read(path).unwrap()).collect::<Vec<u8>>();
    bytes.chunks(64).filter(|record| record.iter().any(|byte| *byte != 0)).count()
}

fn epoch(place: &Place) -> String {
    let names = files_under(&place.data()).into_iter().map(|path| path.file_name().unwrap().to_owned());
    let epochs: Vec<_> =
        names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("epoch.")).collect();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
    epochs[0].clone()
}

#[test]
fn a_full_disk_loses_nothing_and_destroys_all_the_same() {
    let place = Place::of_bytes(DISK_BYTES);
    if !place.is_image() {
        println!("Left out: only root can mount a small disk here.");
        return;
    }
    let mut world = World::start_with(|config| config.data = place.data());
    let mut ann = world.set_up();
    let scan: Vec<u8> = (0..FILE_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let doomed = send(&mut ann, "This lives two days.", "2", Some(&scan));
    let mut lee = world.register(&mut ann, LEE, "Lee", "River");
    let mut letters = vec![send(&mut ann, "This was there before.", "30", Some(&scan))];
    let (reply, draft) = write(&mut ann, "This is a draft.", "30", "save", Some(&scan));
    reply.expect(303);
    let (reply, scrap) = write(&mut ann, "This draft is not wanted.", "30", "save", Some(&scan));
    reply.expect(303);

    let ballast = Ballast::fill(&place);
    says_full(write(&mut ann, "With a file.", "30", "send", Some(&scan)).0);
    send_until_full(&mut ann, &mut letters);
    says_full(write(&mut ann, "And a draft.", "30", "save", Some(&scan)).0);
    let (before, epoch_before) = (slots_in_use(&place), epoch(&place));
    seen(&mut ann, "/drafts");
    let sent = seen(&mut ann, "/sent");
    assert!(sent.contains(letters.last().unwrap().body.split('.').next().unwrap()), "{sent}");
    assert!(seen(&mut ann, &format!("/compose?draft={}", draft.id)).contains("scan.bin"));

    world.turn(2 * DAY);
    assert_eq!(slots_in_use(&place), before - 2, "both copies' keys are overwritten on a full disk as well");
    for (client, address) in [(&mut ann, ADMIN), (&mut lee, LEE)] {
        sign_in(client, address);
        assert!(seen(client, &doomed.thread).contains("was destroyed on 25 November"), "not its key alone");
        letters.iter().for_each(|letter| check(client, letter));
    }
    // Whoever then makes room by deleting finds none that others took meanwhile.
    for round in 1..=5 {
        send_until_full(&mut ann, &mut letters);
        let unwanted = letters.pop().unwrap();
        let message = messages(&seen(&mut ann, &unwanted.thread)).pop().unwrap();
        ann.post(&format!("/messages/{message}/recall"), &[]).expect(303);
        assert!(seen(&mut ann, &unwanted.thread).contains("was recalled and destroyed"), "round {round}");
    }
    seen(&mut ann, &format!("/compose?draft={}", scrap.id));
    let discard =
        [("draft", scrap.id.as_str()), ("subject", ""), ("body", ""), ("expires", "30"), ("action", "discard")];
    ann.post_files("/compose", &discard, &[]).expect(303);
    assert!(!seen(&mut ann, "/drafts").contains("This draft is not wanted"));

    let before = slots_in_use(&place);
    world.restart();
    assert_eq!(slots_in_use(&place), before);
    for client in [&mut ann, &mut lee] {
        client.moved(world.address);
        client.visit("/sign-in").expect(200);
    }

    ballast.empty();
    world.turn(DAY);
    assert_ne!(epoch(&place), epoch_before, "the nightly change of epoch came about");
    for (client, address) in [(&mut ann, ADMIN), (&mut lee, LEE)] {
        sign_in(client, address);
        letters.iter().for_each(|letter| check(client, letter));
        assert!(seen(client, &doomed.thread).contains("was destroyed on 25 November"));
    }
    let after = send(&mut ann, "There is room again.", "30", Some(&scan));
    check(&mut lee, &after);
    seen(&mut ann, &format!("/compose?draft={}", draft.id));
    let fields = [
        ("draft", draft.id.as_str()),
        ("to", LEE),
        ("subject", "x"),
        ("body", "x"),
        ("expires", "9"),
        ("action", "send"),
    ];
    let thread = ann.post_files("/compose", &fields, &[]).expect(303).location().unwrap();
    check(&mut lee, &Letter { thread, body: "x".to_owned(), file: Some(scan), ..draft });
    world.stop();
    Kept::count(&place.data(), world.host_key()).check();
}
