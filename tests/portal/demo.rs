//! `sealpost demo`: what it promises on its console is there, and nothing is left of it when it ends.

use std::fs::{self, DirBuilder};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, unescape};
use crate::forms::file_urls;
use crate::shown::{Demo, command, inside};
use crate::world::{World, between};

const LINE: &str = "This is a demonstration. Everything in it is invented and forgotten when it ends.";

/// The browser of whoever is said to be this, signed in.
fn sign_in(demo: &Demo, about: &str) -> Client {
    let (email, _) = demo.people.iter().find(|(_, said)| said.contains(about)).unwrap();
    let mut client = Client::new(demo.address.parse().unwrap());
    assert!(seen(&mut client, "/sign-in", 200).contains(LINE));
    client.post("/sign-in", &[("email", email), ("password", &demo.password)]).expect(303);
    assert!(seen(&mut client, "/inbox", 200).contains(LINE));
    client
}

fn seen(client: &mut Client, path: &str, status: u16) -> String {
    unescape(&client.visit(path).expect(status).text())
}

/// The page of the conversation whose row in `list` shows this.
fn thread(client: &mut Client, list: &str, shows: &str) -> String {
    let page = seen(client, list, 200);
    let row =
        page.split("<li class=\"row").find(|row| row.contains(shows)).unwrap_or_else(|| panic!("{shows}\n{page}"));
    let path = between(row, "class=\"row-link\" href=\"", "\"").to_owned();
    seen(client, &path, 200)
}

fn rows(page: &str) -> usize {
    page.matches("<li class=\"row").count()
}

#[test]
fn what_the_console_says_is_there() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Demo::start(&temporary);
    let [folder] = inside(temporary.path()).try_into().unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let mut admin = sign_in(&demo, "administrator");
    let inbox = seen(&mut admin, "/inbox", 200);
    assert!(rows(&inbox) > 10 && inbox.contains("is-unread") && inbox.contains("Destroyed in 3 days"), "{inbox}");
    assert!(seen(&mut admin, "/inbox?filter=starred", 200).contains("treatment plan"));
    let sent = seen(&mut admin, "/sent", 200);
    assert!(sent.contains("was destroyed on") && sent.contains("Not opened yet") && sent.contains("Opened "), "{sent}");
    assert_eq!(rows(&seen(&mut admin, "/drafts", 200)), 1);
    assert!(rows(&seen(&mut admin, "/archive", 200)) > 0);
    let outbox = seen(&mut admin, "/outbox", 200);
    assert!(outbox.contains(&format!("http://{}/register/", demo.address)), "{outbox}");
    assert!(thread(&mut admin, "/sent", "Space maintainer").contains("code-digits"), "a code waits to be read out");
    let plan = thread(&mut admin, "/inbox", "treatment plan");
    let files: Vec<_> = file_urls(&plan).iter().map(|url| admin.get(url).expect(200).body).collect();
    for kind in [b"%PDF".as_slice(), b"\x89PNG", b"Medication"] {
        assert!(files.iter().any(|file| file.starts_with(kind)), "{kind:?}");
    }
    seen(&mut admin, "/settings/practice", 200);
    assert!(seen(&mut admin, "/nowhere", 404).contains(LINE));

    let mut receptionist = sign_in(&demo, "User Manager");
    seen(&mut receptionist, "/people", 200);
    seen(&mut receptionist, "/settings/practice", 404);
    let mut dentist = sign_in(&demo, "dentist in the practice");
    seen(&mut dentist, "/compose", 200);
    seen(&mut dentist, "/people", 404);
    let free: Vec<_> = demo.people.iter().filter(|(_, about)| about.contains("free plan")).collect();
    assert_eq!(free.len() + 3, demo.people.len(), "{:?}", demo.people);
    for (_, about) in free {
        let mut person = sign_in(&demo, about);
        seen(&mut person, "/compose", 403);
        assert!(rows(&seen(&mut person, "/inbox", 200)) > 0, "{about}");
    }
    demo.end(Signal::TERM);
    assert_eq!(inside(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_one_left_is_removed_by_the_next_and_nothing_else() {
    let temporary = tempfile::tempdir().unwrap();
    let running = Demo::start(&temporary);
    let kept = inside(temporary.path());
    let killed = Demo::start(&temporary);
    drop(killed);
    assert_eq!(inside(temporary.path()).len(), 2, "it could not clear up");
    let near = ["sealpost-demo-notes", "sealpost-demo-0123456789abcdef", "sealpost-demo-00112233445566", "photos"];
    for name in near {
        DirBuilder::new()
            .mode(if name.ends_with("cdef") { 0o755 } else { 0o700 })
            .create(temporary.path().join(name))
            .unwrap();
        fs::write(temporary.path().join(name).join("data"), "mine").unwrap();
    }
    let next = Demo::start(&temporary);
    assert_eq!(inside(temporary.path()).len(), near.len() + 2, "the killed one's folder is gone");
    assert!(kept.iter().all(|folder| folder.exists()));
    assert!(near.iter().all(|name| temporary.path().join(name).join("data").exists()));
    sign_in(&running, "administrator");
    running.end(Signal::INT);
    next.end(Signal::TERM);
    assert_eq!(inside(temporary.path()).len(), near.len());
}

#[test]
fn one_that_is_stopped_while_it_begins_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let (mut command, _elsewhere) = command(&temporary, "127.0.0.1:0");
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    while inside(temporary.path()).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(inside(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn it_is_for_this_machine_alone() {
    let temporary = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:0"] {
        let (mut command, _elsewhere) = command(&temporary, listen);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success() && said.contains("others could reach"), "{listen}: {said}");
    }
    assert_eq!(inside(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_product_is_no_demonstration() {
    let world = World::start();
    let mut ann = world.set_up();
    assert!(!seen(&mut ann, "/inbox", 200).contains("demonstration"));
}
