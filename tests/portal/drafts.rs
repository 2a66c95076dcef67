//! Drafts: saved while writing, safe between two tabs, destroyed when sent, discarded or old.

use crate::client::{Client, Reply};
use crate::forms::{LEE, Pair, compose, draft, filled, hidden, pair, read, tab, upload};
use crate::world::{ADMIN, DAY};

/// Saves as the page's script does.
fn save(client: &mut Client, id: &str, revision: &str, own: &[(&str, &str)]) -> Reply {
    let csrf = client.csrf().unwrap();
    let fields: Vec<_> = [("csrf", csrf.as_str()), ("revision", revision)].iter().chain(own).copied().collect();
    client.post(&format!("/drafts/{id}"), &fields)
}

#[test]
fn a_draft_is_saved_while_it_is_written() {
    let Pair { world: _world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    assert!(!read(&mut ann, "/drafts").contains(&id), "nothing is stored until something is written");
    let first = save(&mut ann, &id, "0", &[("to", LEE), ("subject", "One"), ("body", "So far")]).expect(200).text();
    assert!(first.contains("\"revision\":1") && first.contains("Saved 10:00"), "{first}");
    let second = [("to", LEE), ("subject", "Two"), ("body", "So far\r\nand further"), ("expires", "7")];
    assert!(save(&mut ann, &id, "1", &second).expect(200).text().contains("\"revision\":2"));
    let drafts = read(&mut ann, "/drafts");
    assert!(drafts.contains("Two") && drafts.contains("So far and further") && drafts.contains(LEE), "{drafts}");
    assert!(!drafts.contains("One"));
    let page = read(&mut ann, &format!("/compose?draft={id}"));
    assert!(page.contains("So far\nand further</textarea>") && page.contains("value=\"2\""), "{page}");
    assert!(page.contains("<option value=\"7\" selected>"), "{page}");
    let long = "b".repeat(200_001);
    save(&mut ann, &id, "2", &[("subject", "Two"), ("body", &long)]).expect(422);
    assert!(read(&mut ann, &format!("/compose?draft={id}")).contains("and further"));
}

#[test]
fn two_tabs_do_not_overwrite_each_other() {
    let Pair { world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    let mut other = tab(&world, &ann);
    save(&mut ann, &id, "0", &[("subject", "Mine")]).expect(200);
    let refused = save(&mut other, &id, "0", &[("subject", "Theirs")]).expect(409);
    assert!(refused.text().contains("This draft was changed in another tab."));
    assert!(read(&mut ann, "/drafts").contains("Mine"));
    let forced = save(&mut other, &id, "0", &[("subject", "Theirs"), ("force", "1")]).expect(200).text();
    assert!(forced.contains("\"revision\":2"), "{forced}");
    assert!(read(&mut ann, "/drafts").contains("Theirs"));
    save(&mut ann, &id, "1", &[("subject", "Mine again")]).expect(409);
}

#[test]
fn a_closed_tab_finds_the_draft_with_its_files() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let id = draft(&mut ann);
    let names = ["third.txt", "first.txt", "second.txt", "tenth.txt", "ninth.txt"];
    for name in names {
        upload(&mut ann, &id, name, name.as_bytes());
    }
    save(&mut ann, &id, "0", &[("to", LEE), ("subject", "With files"), ("body", "Look")]).expect(200);
    let mut later = world.client();
    world.sign_in(&mut later, ADMIN);
    let drafts = read(&mut later, "/drafts");
    assert!(drafts.contains("With files") && drafts.contains("5 files"), "{drafts}");
    let page = read(&mut later, &format!("/compose?draft={id}"));
    let shown: Vec<usize> = names.iter().map(|name| page.find(name).unwrap()).collect();
    assert!(shown.is_sorted(), "in the order in which they came");
    let sent = compose(&mut later, &format!("?draft={id}"), &[("to", LEE)], &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    let shown: Vec<usize> = names.iter().map(|name| page.find(name).unwrap()).collect();
    assert!(shown.is_sorted(), "and so they are sent");
    assert!(!read(&mut later, "/drafts").contains("With files"), "what is sent is no draft");
    later.get(&format!("/compose?draft={id}")).expect(404);
    save(&mut later, &id, "2", &[("subject", "Too late")]).expect(410);
}

#[test]
fn a_discarded_draft_is_destroyed_with_its_files() {
    let Pair { world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    upload(&mut ann, &id, "a.txt", b"a");
    ann.visit(&format!("/compose?draft={id}")).expect(200);
    let page = hidden(&ann);
    let saved = ann.post_files("/compose", &filled(&page, &[("action", "save"), ("subject", "Kept")]), &[]).expect(303);
    assert!(ann.follow(saved).expect(200).text().contains("The draft is saved."));
    assert!(read(&mut ann, "/drafts").contains("Kept"));
    ann.visit(&format!("/compose?draft={id}")).expect(200);
    let page = hidden(&ann);
    let gone = ann.post_files("/compose", &filled(&page, &[("action", "discard")]), &[]).expect(303);
    assert!(ann.follow(gone).expect(200).text().contains("The draft is discarded."));
    assert!(!read(&mut ann, "/drafts").contains("Kept"));
    ann.get(&format!("/compose?draft={id}")).expect(404);
    assert_eq!(world.blobs(), 0);
}

#[test]
fn a_draft_lives_thirty_days_from_its_last_change() {
    let Pair { world, mut ann, .. } = pair();
    let id = draft(&mut ann);
    upload(&mut ann, &id, "a.txt", b"a");
    world.turn(20 * DAY);
    world.sign_in(&mut ann, ADMIN);
    save(&mut ann, &id, "0", &[("subject", "Still here")]).expect(200);
    world.turn(30 * DAY - 1);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, "/drafts").contains("Still here"));
    assert_eq!(world.blobs(), 1);
    world.turn(1);
    assert!(!read(&mut ann, "/drafts").contains("Still here"));
    ann.get(&format!("/compose?draft={id}")).expect(404);
    assert_eq!(world.blobs(), 0);
}
