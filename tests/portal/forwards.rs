//! Forwarding: what is quoted and which files go with it, the date that a copy never outlives, and who may not.

use sealpost::domain::Loop;

use crate::client::{Client, FilePart, unescape};
use crate::forms::{
    LEE, Pair, both, compose, conversation, file, file_urls, filled, has_fault, hidden, messages, pair, read, tab,
};
use crate::world::{ADMIN, DAY, between};

const KIM: &str = "kim@riverside.example";
const MAX: &str = "max@riverside.example";
const FORWARD: [(&str, &str); 2] = [("to", LEE), ("body", "For your chart.")];

/// Kim, a colleague, has written to Ann, with two files, for five days.
struct Desk {
    pair: Pair,
    kim: Client,
    /// Path of the conversation, and its message.
    thread: String,
    message: String,
}

fn desk(own: &[(&str, &str)]) -> Desk {
    let mut pair = pair();
    let mut kim = pair.join(KIM, "doctor_mine", "Kim");
    pair.world.sign_in(&mut pair.lee, LEE);
    pair.world.turn(1);
    let usual = [("to", ADMIN), ("subject", "Films"), ("body", "Two films of the apex."), ("expires", "5")];
    let files = [file("left.png", b"left film"), file("right.png", b"right film")];
    let thread = compose(&mut kim, "", &[&usual[..], own].concat(), &files).expect(303).location().unwrap();
    let message = messages(&conversation(&mut kim, &thread)).remove(0);
    Desk { pair, kim, thread, message }
}

impl Desk {
    /// Ann forwards Kim's message as the page offers it, with its first file alone; path of the conversation.
    fn forward(&mut self, own: &[(&str, &str)]) -> String {
        forward(&mut self.pair.ann, &self.message, own).expect(303).location().unwrap()
    }
}

fn forward(from: &mut Client, message: &str, own: &[(&str, &str)]) -> crate::client::Reply {
    let page = read(from, &format!("/compose?forward={message}"));
    let form = hidden(from);
    let kept = page.split("name=\"keep-").nth(1).map(|rest| format!("keep-{}", between(rest, "", "\"")));
    let latest = latest(&page);
    let subject = between(&page, "name=\"subject\" type=\"text\" value=\"", "\"").to_owned();
    let usual = [("subject", subject.as_str()), ("expires", latest.as_str())];
    let usual = usual.into_iter().filter(|(name, _)| own.iter().all(|(mine, _)| mine != name));
    let fields: Vec<_> = FORWARD.into_iter().chain(usual).chain(kept.iter().map(|name| (name.as_str(), "1"))).collect();
    let fields: Vec<_> = fields.into_iter().filter(|(name, _)| own.iter().all(|(mine, _)| mine != name)).collect();
    from.post_files("/compose", &filled(&form, &[&fields[..], own].concat()), &[] as &[FilePart<'_>])
}

/// The latest expiry that a page offers.
fn latest(page: &str) -> String {
    let choices = between(page, "<select id=\"expires", "</select>");
    between(choices, "<option value=\"", "\"").to_owned()
}

#[test]
fn what_is_forwarded_is_quoted_with_the_files_that_are_wanted() {
    let mut desk = desk(&[("cc", "")]);
    let thread = read(&mut desk.pair.ann, &desk.thread);
    assert!(thread.contains(&format!("href=\"/compose?forward={}\"", desk.message)), "{thread}");
    let blobs = desk.pair.world.blobs();
    let page = read(&mut desk.pair.ann, &format!("/compose?forward={}", desk.message));
    assert!(page.contains("value=\"Fwd: Films\"") && page.contains("Kim Third <kim@riverside.example>"), "{page}");
    assert!(page.contains("<dd>Dr Ann Rivers <admin@riverside.example></dd>"), "whom to: {page}");
    assert!(page.contains("Two films of the apex.") && page.contains("Monday, 23 November 2026"), "{page}");
    assert_eq!(page.matches("name=\"keep-").count(), 2);
    assert_eq!(page.matches("\" value=\"1\" checked>").count(), 2, "on by default: {page}");
    assert!(!between(&page, "<textarea", "</textarea>").contains("apex"), "what is quoted never stands in a draft");

    let copy = desk.forward(&[]);
    let page = conversation(&mut desk.pair.lee, &copy);
    for says in ["For your chart.", "Two films of the apex.", "Kim Third <kim@riverside.example>", "left.png"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let files = file_urls(&page);
    assert_eq!(files.len(), 1, "the other was not wanted");
    assert_eq!(desk.pair.lee.get(&files[0]).expect(200).body, b"left film");
    assert_eq!(desk.pair.world.blobs(), blobs, "the file is there once");
    desk.pair.lee.get(&desk.thread).expect(404);
    let original = file_urls(&conversation(&mut desk.kim, &desk.thread));
    for url in original {
        desk.pair.lee.get(&url).expect(404);
    }
    let paper = read(&mut desk.pair.lee, &format!("{copy}/print"));
    assert!(paper.contains("Two films of the apex.") && paper.contains("Forwarded message"), "{paper}");

    let bare = desk.forward(&[("body", ""), ("to", MAX), ("relationship", "staff_mine")]);
    let page = conversation(&mut desk.pair.ann, &bare);
    assert!(page.contains("Two films of the apex."), "nothing has to be added to it: {page}");
}

#[test]
fn a_copy_lives_no_longer_than_the_original() {
    let mut desk = desk(&[]);
    let form = read(&mut desk.pair.ann, &format!("/compose?forward={}", desk.message));
    assert_eq!(latest(&form), "2026-11-28T10:00:01Z");
    assert!(form.contains("<option value=\"4\">") && !form.contains("<option value=\"5\">"), "{form}");
    for late in ["5", "30", "2026-11-28T10:00:02Z"] {
        desk.pair.world.turn(1);
        let page = forward(&mut desk.pair.ann, &desk.message, &[("expires", late)]).expect(422).text();
        assert!(has_fault(&page, "expires") && unescape(&page).contains("What is forwarded is destroyed before then"));
    }
    let copy = desk.forward(&[]);
    let in_copy = messages(&conversation(&mut desk.pair.ann, &copy)).remove(0);
    let path = format!("/messages/{in_copy}/expiry");
    desk.pair.ann.post(&path, &[("expires", "5")]).expect(303);
    assert!(read(&mut desk.pair.ann, &copy).contains("What is forwarded is destroyed before then"));
    desk.pair.ann.post(&path, &[("expires", "2")]).expect(303);
    desk.pair.ann.post(&path, &[("expires", "2026-11-28T10:00:01Z")]).expect(303);
    assert!(read(&mut desk.pair.lee, &copy).contains("Destroyed in 5 days"), "and back again");

    // The original's sender moves its date, and the copy follows; the other way the copy stays where it is.
    let original = format!("/messages/{}/expiry", desk.message);
    desk.kim.visit(&desk.thread).expect(200);
    desk.kim.post(&original, &[("expires", "3")]).expect(303);
    assert!(read(&mut desk.pair.lee, &copy).contains("Destroyed in 3 days"));
    assert!(read(&mut desk.pair.lee, "/inbox?filter=soon").contains("Fwd: Films"), "filed anew");
    assert!(!read(&mut desk.pair.ann, &copy).contains("<option value=\"4\">"));
    desk.kim.post(&original, &[("expires", "30")]).expect(303);
    assert!(read(&mut desk.pair.lee, &copy).contains("Destroyed in 3 days"));
    desk.pair.ann.post(&path, &[("expires", "10")]).expect(303);
    assert!(read(&mut desk.pair.ann, &copy).contains("What is forwarded is destroyed before then"));
}

#[test]
fn a_recall_takes_forwarded_copies_with_it() {
    let mut desk = desk(&[]);
    let blobs = desk.pair.world.blobs() - 2;
    let mut max = desk.pair.join(MAX, "staff_mine", "Max");
    let first = desk.forward(&[("to", MAX)]);
    let in_first = messages(&conversation(&mut max, &first)).remove(0);
    let second = forward(&mut max, &in_first, &[("to", KIM)]).expect(303).location().unwrap();
    let page = conversation(&mut desk.kim, &second);
    assert_eq!(page.matches("Forwarded message</p>").count(), 2, "with all that stood before: {page}");
    let url = file_urls(&page).remove(0);
    assert_eq!(desk.kim.get(&url).expect(200).body, b"left film");

    desk.kim.visit(&desk.thread).expect(200);
    assert!(read(&mut desk.kim, &desk.thread).contains("Copies that somebody forwarded are destroyed as well."));
    desk.kim.post(&format!("/messages/{}/recall", desk.message), &[]).expect(303);
    desk.kim.get(&url).expect(410);
    for (reader, path) in [(&mut max, &first), (&mut desk.pair.ann, &first), (&mut desk.kim, &second)] {
        let page = conversation(reader, path);
        assert!(!page.contains("apex") && !page.contains("left.png"), "{page}");
    }
    desk.pair.world.settle(Loop::Sweep);
    assert_eq!(desk.pair.world.blobs(), blobs, "the files went with the last that had them");
}

#[test]
fn a_copy_and_its_original_are_deleted_each_for_itself() {
    let mut desk = desk(&[]);
    let copy = desk.forward(&[]);
    let url = file_urls(&conversation(&mut desk.pair.lee, &copy)).remove(0);
    let path = format!("/messages/{}/delete", desk.message);
    desk.kim.visit(&desk.thread).expect(200);
    desk.kim.post(&path, &[]).expect(303);
    desk.pair.ann.visit("/inbox").expect(200);
    desk.pair.ann.post(&path, &[]).expect(303);
    assert_eq!(desk.pair.lee.get(&url).expect(200).body, b"left film", "nobody recalled anything");
    let in_copy = messages(&conversation(&mut desk.pair.ann, &copy)).remove(0);
    desk.pair.ann.post(&format!("/messages/{in_copy}/expiry"), &[("expires", "10")]).expect(303);
    assert!(read(&mut desk.pair.ann, &copy).contains("What is forwarded is destroyed before then"));
    desk.pair.world.turn(5 * DAY);
    assert_eq!(desk.pair.world.blobs(), 0);
    let mut other = self::desk(&[]);
    let copy = other.forward(&[]);
    let in_copy = messages(&conversation(&mut other.pair.ann, &copy)).remove(0);
    other.pair.ann.post(&format!("/messages/{in_copy}/recall"), &[]).expect(303);
    let urls = file_urls(&conversation(&mut other.kim, &other.thread));
    assert_eq!(other.kim.get(&urls[0]).expect(200).body, b"left film", "a copy that goes takes nothing with it");
}

#[test]
fn its_sender_can_forbid_to_forward_it() {
    let mut desk = desk(&[("no_forwarding", "1")]);
    let ann = &mut desk.pair.ann;
    let page = conversation(ann, &desk.thread);
    assert!(page.contains("May not be forwarded") && !page.contains("/compose?forward="), "{page}");
    ann.get(&format!("/compose?forward={}", desk.message)).expect(403);
    ann.visit("/compose").expect(200);
    let form = hidden(ann);
    let own = [("to", LEE), ("forward", desk.message.as_str())];
    ann.post_files("/compose", &filled(&form, &own), &[]).expect(403);
    assert!(!conversation(&mut desk.kim, &desk.thread).contains("/compose?forward="), "nor does its sender");
}

#[test]
fn nobody_forwards_what_is_not_theirs_or_without_the_full_plan() {
    let mut desk = desk(&[]);
    let mut max = desk.pair.join(MAX, "staff_mine", "Max");
    max.get(&format!("/compose?forward={}", desk.message)).expect(404);
    max.visit("/compose").expect(200);
    let form = hidden(&max);
    let own = [("to", LEE), ("forward", desk.message.as_str())];
    max.post_files("/compose", &filled(&form, &own), &[]).expect(404);
    let page = conversation(&mut desk.pair.lee, &desk.pair.thread);
    assert!(!page.contains("/compose?forward="), "{page}");
    desk.pair.lee.get(&format!("/compose?forward={}", desk.pair.message)).expect(403);
}

#[test]
fn what_goes_while_it_is_being_forwarded_is_not_sent() {
    let mut desk = desk(&[]);
    let ann = &mut desk.pair.ann;
    ann.visit(&format!("/compose?forward={}", desk.message)).expect(200);
    let form = hidden(ann);
    let fields = filled(&form, &FORWARD);
    let saved: Vec<_> =
        fields.iter().map(|(name, value)| (*name, if *name == "action" { "save" } else { *value })).collect();
    let draft = ann.post_files("/compose", &saved, &[]).expect(303).location().unwrap();
    assert!(read(ann, &draft).contains("Two films of the apex."), "taken from the original");
    desk.kim.visit(&desk.thread).expect(200);
    desk.kim.post(&format!("/messages/{}/recall", desk.message), &[]).expect(303);
    let ann = &mut desk.pair.ann;
    let page = read(ann, &draft);
    assert!(page.contains("has been destroyed meanwhile") && !page.contains("apex"), "{page}");
    let page = unescape(&ann.post_files("/compose", &fields, &[]).expect(422).text());
    assert!(page.contains("has been destroyed meanwhile"), "{page}");
}

#[test]
fn forwarding_twice_at_once_sends_once_and_separately_to_each() {
    let mut desk = desk(&[]);
    let blobs = desk.pair.world.blobs();
    desk.pair.ann.visit(&format!("/compose?forward={}", desk.message)).expect(200);
    let mut twin = tab(&desk.pair.world, &desk.pair.ann);
    let page = read(&mut twin, &format!("/compose?forward={}", desk.message));
    let kept: Vec<String> = page
        .split("name=\"")
        .filter(|rest| rest.starts_with("keep-"))
        .map(|rest| between(rest, "", "\"").to_owned())
        .collect();
    let form = hidden(&desk.pair.ann);
    let to = format!("{LEE}, {KIM}");
    let mut own =
        vec![("to", to.as_str()), ("body", "Both."), ("separately", "1"), ("expires", "3"), ("subject", "Twice")];
    own.extend(kept.iter().map(|name| (name.as_str(), "1")));
    let fields = filled(&form, &own);
    let ann = &mut desk.pair.ann;
    let (one, two) = both(|| ann.post_files("/compose", &fields, &[]), || twin.post_files("/compose", &fields, &[]));
    one.expect(303);
    two.expect(303);
    assert_eq!(read(&mut desk.pair.ann, "/sent").matches(">Twice</a>").count(), 2);
    assert_eq!(desk.pair.world.blobs(), blobs);
    desk.pair.world.turn(3 * DAY);
    assert_eq!(desk.pair.world.blobs(), blobs, "the original still has them");
    desk.pair.world.turn(2 * DAY);
    assert_eq!(desk.pair.world.blobs(), 0);
}
