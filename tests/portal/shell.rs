//! What the shell can do for people who are locked out: the true program, while the server is stopped.

use std::io::Write;
use std::process::{Command, Stdio};

use sealpost::crypto::identity::MailboxSecret;
use sealpost::crypto::kit::Kit;

use crate::client::{Client, FilePart, Reply, unescape};
use crate::forms::{account, file_urls};
use crate::world::{ADMIN, PASSWORD, World, between, send};

const LEE: &str = "lee@hillside.example";
const NEW_PASSWORD: &str = "nine loud geese paddle";

/// Runs a command of the program on this installation's folder: whether it succeeded, and everything that it said.
pub fn sealpost(world: &World, arguments: &[&str], typed: &[&str]) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
        .args(arguments)
        .arg("--data")
        .arg(&world.data)
        .current_dir(world.data.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = typed.iter().map(|line| format!("{line}\n")).collect();
    // A command that refuses before it asks has closed its end already.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn sign_in(client: &mut Client, password: &str) -> Reply {
    client.visit("/sign-in").expect(200);
    client.post("/sign-in", &[("email", LEE), ("password", password)])
}

/// A page as its reader sees it.
fn seen(client: &mut Client, path: &str) -> String {
    unescape(&client.visit(path).expect(200).text())
}

/// Ann writes to Lee, who registers, answers with a file, and begins a draft.
fn correspondence(world: &World, ann: &mut Client) -> (Client, String) {
    send(ann, LEE, "Tooth 14", "Please look at tooth 14.");
    let mut lee = world.register(ann, LEE, "Lee", "Hill");
    let inbox = seen(&mut lee, "/inbox");
    let thread = between(&inbox, "href=\"/threads/", "\"").to_owned();
    let page = seen(&mut lee, &format!("/threads/{thread}"));
    let reply = between(&page, "href=\"/compose?reply=", "\"").to_owned();
    for (action, body) in [("send", "It is fine."), ("save", "And another thing.")] {
        lee.visit(&format!("/compose?reply={reply}")).expect(200);
        let draft = lee.hidden("draft").unwrap();
        let fields = [
            ("draft", draft.as_str()),
            ("reply", &reply),
            ("subject", "Re: Tooth 14"),
            ("body", body),
            ("expires", "9"),
        ];
        let file = FilePart { field: "files[]", name: "x-ray.png", kind: "image/png", bytes: body.as_bytes() };
        lee.post_files("/compose", &[fields.as_slice(), &[("action", action)]].concat(), &[file]).expect(303);
    }
    (lee, thread)
}

/// Everything that Lee had is there: what came, what went with its file, and the draft with its.
fn check_nothing_lost(lee: &mut Client, thread: &str) {
    let page = seen(lee, &format!("/threads/{thread}"));
    assert!(page.contains("Please look at tooth 14.") && page.contains("It is fine."), "{page}");
    let file = between(&page, "class=\"file is-image\" href=\"", "\"").to_owned();
    assert_eq!(lee.get(&file).expect(200).body, b"It is fine.");
    let drafts = seen(lee, "/drafts");
    let draft = between(&drafts, "href=\"/compose?draft=", "\"").to_owned();
    let page = seen(lee, &format!("/compose?draft={draft}"));
    assert!(page.contains("And another thing.") && page.contains("x-ray.png"), "{page}");
    // The draft's file has survived as well: sent now, it downloads.
    let fields: Vec<(String, String)> =
        ["draft", "reply", "subject"].iter().map(|name| (name.to_string(), lee.hidden(name).unwrap())).collect();
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend([("body", "And another thing."), ("expires", "9"), ("action", "send")]);
    lee.post_files("/compose", &fields, &[]).expect(303);
    let page = seen(lee, &format!("/threads/{thread}"));
    let files: Vec<_> = file_urls(&page).iter().map(|url| lee.get(url).expect(200).body).collect();
    assert!(files.contains(&b"And another thing.".to_vec()), "{page}");
}

#[test]
fn the_kit_gives_a_new_password_and_nothing_is_lost() {
    let mut world = World::start();
    let (mut ann, line, words) = world.set_up_with_kit();
    let (mut lee, thread) = correspondence(&world, &mut ann);
    let words = words.join(" ");
    let recover = ["recovery", LEE];

    let (done, said) = sealpost(&world, &recover, &[&words, NEW_PASSWORD]);
    assert!(!done && said.contains("The data cannot be opened"), "the server is running: {said}");
    world.stop();
    let other = Kit::of(MailboxSecret::generate()).unwrap().words().join(" ");
    for (kit, password, reason) in [
        (other.as_str(), NEW_PASSWORD, "belongs to another practice"),
        ("zebra zebra", NEW_PASSWORD, "a word is missing or mistyped"),
        (&words, "password1234", "assword"),
    ] {
        let (done, said) = sealpost(&world, &recover, &[kit, password]);
        assert!(!done && said.contains(reason), "{said}");
    }
    let (done, said) = sealpost(&world, &["recovery", "nobody@hillside.example"], &[&words, NEW_PASSWORD]);
    assert!(!done && said.contains("There is no such account"), "{said}");
    let (done, said) = sealpost(&world, &recover, &[&words, NEW_PASSWORD]);
    assert!(done && said.contains("The password is changed"), "{said}");
    assert!(!said.contains(NEW_PASSWORD) && !said.contains(&line), "{said}");

    world.restart();
    lee.moved(world.address);
    assert_eq!(lee.get("/inbox").status, 303, "no session outlives a recovery");
    sign_in(&mut lee, PASSWORD).expect(422);
    sign_in(&mut lee, NEW_PASSWORD).expect(303);
    check_nothing_lost(&mut lee, &thread);

    // Others reach the new identity, and the kit works once more, typed as its line.
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    send(&mut ann, LEE, "Tooth 15", "And tooth 15?");
    world.stop();
    let (done, said) = sealpost(&world, &recover, &[&line, PASSWORD]);
    assert!(done, "{said}");
    world.restart();
    lee.moved(world.address);
    sign_in(&mut lee, NEW_PASSWORD).expect(422);
    sign_in(&mut lee, PASSWORD).expect(303);
    let inbox = seen(&mut lee, "/inbox");
    let newest = between(&inbox, "href=\"/threads/", "\"").to_owned();
    assert!(seen(&mut lee, &format!("/threads/{newest}")).contains("And tooth 15?"));
}

#[test]
fn the_administrator_comes_back_with_the_kit_which_is_not_shown_again() {
    let mut world = World::start();
    let (mut ann, _, words) = world.set_up_with_kit();
    world.stop();
    let (done, said) = sealpost(&world, &["recovery", ADMIN], &[&words.join(" "), NEW_PASSWORD]);
    assert!(done, "{said}");
    world.restart();
    ann.moved(world.address);
    ann.visit("/sign-in").expect(200);
    ann.post("/sign-in", &[("email", ADMIN), ("password", NEW_PASSWORD)]).expect(303);
    ann.visit("/settings/practice").expect(200);
    ann.visit("/setup/kit").expect(410);
}

#[test]
fn five_wrong_passwords_lock_and_the_shell_unlocks() {
    let mut world = World::start();
    let mut ann = world.set_up();
    let (mut lee, _) = correspondence(&world, &mut ann);
    for _ in 0..5 {
        sign_in(&mut lee, NEW_PASSWORD).expect(422);
    }
    sign_in(&mut lee, PASSWORD).expect(422);
    world.stop();
    let (done, said) = sealpost(&world, &["admin", "unlock", "nobody@hillside.example"], &[]);
    assert!(!done && said.contains("There is no such account"), "{said}");
    let (done, said) = sealpost(&world, &["admin", "unlock", LEE], &[]);
    assert!(done && said.contains("lee@hillside.example is unlocked."), "{said}");
    world.restart();
    lee.moved(world.address);
    sign_in(&mut lee, PASSWORD).expect(303);
}

#[test]
fn the_log_lists_who_changed_what_without_saying_what_it_is_now() {
    let mut world = World::start();
    let mut ann = world.set_up();
    send(&mut ann, "lee@hilside.example", "Tooth 14", "Please look.");
    let id = account(&mut ann, "lee@hilside.example");
    let person = |own: &'static [(&'static str, &'static str)]| {
        let usual = [("first_name", "Lee"), ("last_name", "Hill"), ("email", LEE), ("cell_phone", "+1 555 0100")];
        [&usual, own].concat()
    };
    ann.post(&format!("/people/{id}"), &person(&[("relationship", "staff_other")])).expect(303);
    world.register(&mut ann, LEE, "Lee", "Hill");
    for own in [[("manager", "1"), ("full_plan", "1")].as_slice(), &[("full_plan", "1")], &[("full_plan", "1")]] {
        ann.visit("/people").expect(200);
        ann.post(&format!("/people/{id}"), &[&person(&[]), own].concat()).expect(303);
    }
    for action in ["disable", "enable", "unlock"] {
        ann.post(&format!("/people/{id}/{action}"), &[]).expect(303);
    }
    let settings = [("practice_name", "Lakeside Dental"), ("expires", "30"), ("idle_minutes", "20")];
    ann.post("/settings/practice", &settings).expect(303);
    let profile = [("first_name", "Ann"), ("last_name", "Rivers"), ("time_zone", "UTC"), ("signature", "Dr Rivers")];
    for _ in 0..2 {
        ann.post("/profile", &profile).expect(303);
    }
    world.stop();
    let (done, said) = sealpost(&world, &["admin", "audit", "--list"], &[]);
    assert!(done && said.contains("The audit log is whole: "), "{said}");
    let told: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("2026-11-23T10:00:00Z ")).collect();
    let changes = [
        "PersonInvited lee@hillside.example",
        "AccountCorrected lee@hillside.example first_name last_name relationship",
        "AddressCorrected lee@hillside.example email",
        "PhoneCorrected lee@hillside.example cell_phone",
        "PermissionGiven lee@hillside.example full_plan manager",
        "PermissionTaken lee@hillside.example manager",
        "AccountDisabled lee@hillside.example",
        "AccountEnabled lee@hillside.example",
        "AccountUnlocked lee@hillside.example",
        "SettingsChanged practice_name idle_minutes",
        "ProfileChanged admin@riverside.example first_name signature",
    ];
    for change in changes {
        let line = format!("{ADMIN} {change}");
        assert_eq!(told.iter().filter(|told| **told == line).count(), 1, "{line}\n{said}");
    }
    for value in ["hilside", "555", "Lakeside", "Rivers"] {
        assert!(!said.contains(value), "{value} in:\n{said}");
    }
}
