//! Folders: what stands where, what the filters show, and what is done with conversations one by one and together.

use crate::client::{Client, Reply, unescape};
use crate::forms::{LEE, Pair, compose, file, pair, read, reply};
use crate::world::{DAY, between};

/// Ticks conversations and presses a button.
fn press(client: &mut Client, action: &str, threads: &[&str]) -> Reply {
    client.visit("/inbox").expect(200);
    let names: Vec<String> = threads.iter().map(|path| path.replace("/threads/", "thread-")).collect();
    let ticked = names.iter().map(|name| (name.as_str(), "1"));
    let fields: Vec<_> = [("action", action), ("back", "/inbox")].into_iter().chain(ticked).collect();
    client.post("/threads", &fields)
}

/// The addresses of the conversations that a list shows, in its order.
fn listed(client: &mut Client, path: &str) -> Vec<String> {
    let page = read(client, path);
    page.split("class=\"row-link\" href=\"").skip(1).map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

/// The number beside a folder; none when it is not shown.
fn count(client: &mut Client, folder: &str) -> Option<u32> {
    let page = read(client, "/profile");
    let link = between(&page, &format!("<a class=\"nav-link\" href=\"/{folder}\""), "</a>");
    let shown =
        link.split("class=\"count").nth(1).filter(|count| !count.split('>').next().unwrap().ends_with(" hidden"));
    shown.map(|rest| between(rest, ">", "<").trim().parse().unwrap())
}

fn write(from: &mut Client, subject: &str) -> String {
    compose(from, "", &[("to", LEE), ("subject", subject)], &[]).expect(303).location().unwrap()
}

#[test]
fn what_is_archived_comes_back_with_an_answer() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    assert_eq!(listed(&mut lee, "/inbox"), [thread.as_str()]);
    assert_eq!(listed(&mut lee, "/archive"), [""; 0]);
    let done = press(&mut lee, "archive", &[&thread]).expect(303);
    let page = unescape(&lee.follow(done).expect(200).text());
    assert!(page.contains("The conversation is archived.") && page.contains(">Undo</button>"), "{page}");
    assert_eq!((listed(&mut lee, "/inbox").len(), listed(&mut lee, "/archive").len()), (0, 1));
    assert_eq!((count(&mut lee, "inbox"), count(&mut lee, "archive")), (None, Some(1)), "it is still unread");

    press(&mut lee, "unarchive", &[&thread]).expect(303);
    assert_eq!((listed(&mut lee, "/inbox").len(), listed(&mut lee, "/archive").len()), (1, 0));
    press(&mut lee, "archive", &[&thread]).expect(303);
    reply(&world, &mut ann, &message, "One more thing.");
    assert_eq!((listed(&mut lee, "/inbox").len(), listed(&mut lee, "/archive").len()), (1, 0), "it is back");
    assert_eq!(listed(&mut ann, "/sent"), [thread.as_str()], "what somebody else archives moves nothing of mine");
}

#[test]
fn marked_as_read_is_not_opened() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    assert_eq!(count(&mut lee, "inbox"), Some(1));
    assert_eq!(listed(&mut lee, "/inbox?filter=unread"), [thread.as_str()]);
    press(&mut lee, "read", &[&thread]).expect(303);
    assert_eq!((count(&mut lee, "inbox"), listed(&mut lee, "/inbox?filter=unread").len()), (None, 0));
    let waits = |ann: &mut Client| read(ann, "/sent").contains("class=\"status is-wait\"");
    assert!(waits(&mut ann), "the sender is told of openings only");
    press(&mut lee, "unread", &[&thread]).expect(303);
    assert_eq!(count(&mut lee, "inbox"), Some(1));
    lee.visit(&thread).expect(200);
    assert_eq!(count(&mut lee, "inbox"), None);
    assert!(!waits(&mut ann));

    press(&mut lee, "unread", &[&thread]).expect(303);
    assert_eq!(count(&mut lee, "inbox"), Some(1), "marked again after it was opened");
    lee.visit(&thread).expect(200);
    assert_eq!(count(&mut lee, "inbox"), None);
    reply(&world, &mut ann, &message, "One more thing.");
    assert_eq!(count(&mut lee, "inbox"), Some(1));
}

#[test]
fn filters_show_what_they_say() {
    let Pair { world, mut ann, mut lee, thread, .. } = pair();
    world.turn(60);
    let with_file = [("to", LEE), ("subject", "A scan"), ("expires", "2")];
    let scan = compose(&mut ann, "", &with_file, &[file("scan.png", b"x")]).expect(303).location().unwrap();
    lee.visit(&scan).expect(200);
    press(&mut lee, &format!("star:{}", thread.replace("/threads/", "")), &[]).expect(303);
    assert_eq!(listed(&mut lee, "/inbox"), [scan.as_str(), &thread]);
    assert_eq!(listed(&mut lee, "/inbox?filter=starred"), [thread.as_str()]);
    assert_eq!(listed(&mut lee, "/inbox?filter=unread"), [thread.as_str()]);
    assert_eq!(listed(&mut lee, "/inbox?filter=files"), [scan.as_str()]);
    assert_eq!(listed(&mut lee, "/inbox?filter=soon"), [scan.as_str()]);
    assert_eq!(listed(&mut ann, "/sent?filter=not-opened"), [thread.as_str()]);
    lee.get("/inbox?filter=nonsense").expect(404);
    lee.get("/inbox?filter=not-opened").expect(404);
    world.turn(2 * DAY);
    assert_eq!(listed(&mut lee, "/inbox?filter=soon").len(), 0, "what is destroyed no longer goes soon");
    assert_eq!(listed(&mut lee, "/inbox?filter=files").len(), 0);
    press(&mut lee, "unstar", &[&thread]).expect(303);
    assert_eq!(listed(&mut lee, "/inbox?filter=starred").len(), 0);
}

#[test]
fn several_are_deleted_after_a_question() {
    let Pair { mut ann, mut lee, thread, world: _world, .. } = pair();
    let second = write(&mut ann, "Second");
    let kept = write(&mut ann, "Third");
    let question = press(&mut lee, "delete", &[&thread, &second]).expect(200).text();
    assert!(question.contains("in 2 conversations, for good"), "{question}");
    assert_eq!(listed(&mut lee, "/inbox").len(), 3, "nothing happens before the answer");
    let done = press(&mut lee, "destroy", &[&thread, &second]).expect(303);
    assert!(lee.follow(done).text().contains("Your copies in 2 conversations are destroyed."));
    assert_eq!(listed(&mut lee, "/inbox"), [kept.as_str()]);
    assert_eq!(count(&mut lee, "inbox"), Some(1));
    lee.get(&thread).expect(404);
    assert!(read(&mut ann, &thread).contains("Please look at it."), "others keep theirs");
    let none = press(&mut lee, "archive", &[]).expect(303);
    assert!(lee.follow(none).text().contains("Choose a conversation first."));
}

#[test]
fn nobody_files_what_is_not_theirs() {
    let mut all_of_us = pair();
    let mut eve = all_of_us.join("eve@riverside.example", "doctor_mine", "Eve");
    let Pair { world: _world, mut ann, mut lee, thread, .. } = all_of_us;
    let own = listed(&mut eve, "/inbox").remove(0);
    let before = (read(&mut ann, "/sent"), read(&mut lee, "/inbox"));
    for action in ["archive", "unarchive", "read", "unread", "star", "unstar", "destroy"] {
        press(&mut eve, action, &[&own, &thread]).expect(404);
        press(&mut eve, &format!("{action}:{}", thread.replace("/threads/", "")), &[]).expect(404);
    }
    press(&mut eve, "nonsense", &[&own]).expect(404);
    press(&mut eve, "archive", &["/threads/xyz"]).expect(404);
    assert_eq!(listed(&mut eve, "/inbox"), [own.as_str()], "all of them or none");
    assert_eq!(before, (read(&mut ann, "/sent"), read(&mut lee, "/inbox")));
}

#[test]
fn pages_are_steady_while_new_messages_arrive() {
    let Pair { world, mut ann, mut lee, thread, .. } = pair();
    let mut all = vec![thread];
    for number in 0..60 {
        world.turn(1);
        all.insert(0, write(&mut ann, &format!("Number {number}")));
    }
    let first = read(&mut lee, "/inbox");
    let older = between(&first, "class=\"button pager-older\" href=\"", "\"").to_owned();
    assert_eq!(listed(&mut lee, "/inbox"), all[..50]);
    world.turn(1);
    write(&mut ann, "Between two pages");
    assert_eq!(listed(&mut lee, &older), all[50..]);
}

#[test]
fn lists_show_what_was_summarized_and_forget_it_with_the_message() {
    let Pair { mut world, mut ann, mut lee, message, .. } = pair();
    assert!(read(&mut lee, "/inbox").contains("Tooth 14"));
    world.restart();
    lee.moved(world.address);
    ann.moved(world.address);
    world.sign_in(&mut lee, LEE);
    world.sign_in(&mut ann, crate::world::ADMIN);
    assert!(read(&mut lee, "/inbox").contains("Tooth 14") && read(&mut ann, "/sent").contains("Tooth 14"));
    ann.visit("/sent").expect(200);
    ann.post(&format!("/messages/{message}/recall"), &[]).expect(303);
    assert!(!read(&mut lee, "/inbox").contains("Tooth 14") && !read(&mut ann, "/sent").contains("Tooth 14"));
}
