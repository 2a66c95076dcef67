//! Several recipients: To and Cc, new addresses with a question each, and messages that are sent separately.

use crate::client::unescape;
use crate::forms::{
    LEE, Pair, both, compose, conversation, draft as begin_draft, file, file_urls, filled, has_fault, hidden, messages,
    pair, person, read, reply, tab, upload,
};
use crate::world::{DAY, between};

const KIM: &str = "kim@hillside.example";
const MAX: &str = "max@hillside.example";

/// Paths of the conversations that a folder lists.
fn threads(page: &str) -> Vec<String> {
    page.split("class=\"row-link\" href=\"").skip(1).map(|rest| between(rest, "", "\"").to_owned()).collect()
}

#[test]
fn who_gets_a_copy_is_shown_to_holders_and_kept_in_an_answer_to_all() {
    let mut all = pair();
    let mut kim = all.join(KIM, "doctor_other", "Kim");
    all.world.sign_in(&mut all.lee, LEE);
    let own = [("to", LEE), ("cc", "Kim Third <KIM@hillside.example>, lee@hillside.example"), ("subject", "Both")];
    let thread = compose(&mut all.ann, "", &own, &[]).expect(303).location().unwrap();
    let page = conversation(&mut all.lee, &thread);
    assert!(page.contains(">to Lee Hill<") && page.contains(">cc Kim Third<"), "{page}");
    let paper = read(&mut kim, &format!("{thread}/print"));
    assert!(
        paper.contains("<dt>To</dt><dd>Lee Hill</dd>") && paper.contains("<dt>Cc</dt><dd>Kim Third</dd>"),
        "{paper}"
    );

    let first = messages(&page).remove(0);
    let form = read(&mut all.lee, &format!("/compose?reply={first}&all=1"));
    let (to, cc) = form.split_once("id=\"cc-label\"").expect("those who get a copy");
    assert!(to.contains(">Dr Ann Rivers</li>") && cc.contains(">Kim Third</li>"), "{form}");
    reply(&all.world, &mut all.lee, &first, "Between us.");
    assert_eq!(messages(&conversation(&mut kim, &thread)).len(), 1);
    compose(&mut all.lee, &format!("?reply={first}&all=1"), &[("body", "For all.")], &[]).expect(303);
    let page = conversation(&mut kim, &thread);
    assert!(page.contains("For all.") && page.matches(">cc Kim Third<").count() == 2, "{page}");
    // Of one's own message the answer goes to whom it was written to, and with the copies only to all.
    reply(&all.world, &mut all.ann, &first, "One thing more.");
    assert!(!conversation(&mut kim, &thread).contains("One thing more."));
    assert!(conversation(&mut all.lee, &thread).contains("One thing more."));
}

#[test]
fn every_new_address_is_asked_about_by_itself() {
    let Pair { world: _world, mut ann, .. } = pair();
    let own = [("to", "kim@hillside.example, Max Hill <MAX@hillside.example>"), ("cc", "lee@hillside.example")];
    let page = unescape(&compose(&mut ann, "", &own, &[]).expect(422).text());
    assert_eq!(page.matches("class=\"invitee\"").count(), 3, "two rows, and the one that scripts copy: {page}");
    assert!(page.contains("Who is kim@hillside.example?") && page.contains("Who is max@hillside.example?"));
    assert!(page.contains("Choose how you know kim@hillside.example.") && has_fault(&page, "relationship"));
    let draft = between(&page, "name=\"draft\" value=\"", "\"").to_owned();

    let page = hidden(&ann);
    let rows = [
        ("newcomer", KIM),
        ("relationship", "patient"),
        ("first_name", "Kim"),
        ("cell_phone", "+1 555 0101"),
        ("newcomer-2", MAX),
        ("relationship-2", ""),
        ("last_name-2", "Hill"),
    ];
    let answer =
        unescape(&ann.post_files("/compose", &filled(&page, &[&own[..], &rows].concat()), &[]).expect(422).text());
    assert!(has_fault(&answer, "relationship-2") && !has_fault(&answer, "relationship"), "{answer}");
    assert!(answer.contains("href=\"#relationship-2\""), "the list of faults leads to the row");
    assert!(answer.contains("id=\"first_name\" name=\"first_name\" type=\"text\" value=\"Kim\""), "{answer}");
    assert!(!read(&mut ann, "/people").contains(KIM), "nobody was invited yet");
    let again = read(&mut ann, &format!("/compose?draft={draft}"));
    assert!(again.contains("value=\"Kim\"") && again.contains("value=\"Hill\""), "the draft keeps the rows: {again}");

    let page = hidden(&ann);
    let rows = rows.map(|(name, value)| if name == "relationship-2" { (name, "staff_other") } else { (name, value) });
    let sent = ann.post_files("/compose", &filled(&page, &[&own[..], &rows].concat()), &[]).expect(303);
    let page = conversation(&mut ann, &sent.location().unwrap());
    assert_eq!(page.matches("Not opened yet").count(), 3, "{page}");
    let (kim, max) = (person(&mut ann, KIM), person(&mut ann, MAX));
    assert!(kim.contains("Patient") && kim.contains("Kim"), "{kim}");
    assert!(max.contains("Staff in another practice"), "{max}");
}

#[test]
fn a_hundred_new_people_at_once() {
    let Pair { world: _world, mut ann, .. } = pair();
    let to = (0..60).map(|n| format!("p{n}@hillside.example")).collect::<Vec<_>>().join("; ");
    let cc = (60..100).map(|n| format!("p{n}@hillside.example")).collect::<Vec<_>>().join("\n");
    let rows: Vec<(String, String)> = (0..100)
        .flat_map(|n| {
            let suffix = if n == 0 { String::new() } else { format!("-{}", n + 1) };
            let field = |name: &str, value: &str| (format!("{name}{suffix}"), value.to_owned());
            let details = ["first_name", "last_name", "office_phone", "cell_phone"].map(|name| field(name, ""));
            let row = [field("newcomer", &format!("p{n}@hillside.example")), field("relationship", "patient")];
            [&row[..], &details].concat()
        })
        .collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let own = [&[("to", to.as_str()), ("cc", cc.as_str())][..], &rows].concat();
    let sent = compose(&mut ann, "", &own, &[]).expect(303).location().unwrap();
    let page = conversation(&mut ann, &sent);
    assert_eq!((page.matches(">to p").count(), page.matches(">cc p").count()), (60, 40));
    assert_eq!(read(&mut ann, "/outbox").matches("To p").count(), 100);
}

#[test]
fn sent_separately_each_gets_their_own_and_sees_nobody() {
    let mut all = pair();
    let mut kim = all.join(KIM, "doctor_other", "Kim");
    all.world.sign_in(&mut all.lee, LEE);
    all.world.turn(1);
    let before = all.world.blobs();
    let own =
        [("to", "lee@hillside.example, kim@hillside.example"), ("cc", MAX), ("separately", "1"), ("subject", "Closed")];
    let draft = begin_draft(&mut all.ann);
    upload(&mut all.ann, &draft, "notice.pdf", b"closed on Monday");
    let mut twin = tab(&all.world, &all.ann);
    let page = hidden(&all.ann);
    let fields = filled(&page, &own);
    let (first, second) =
        both(|| all.ann.post_files("/compose", &fields, &[]), || twin.post_files("/compose", &fields, &[]));
    let went = [first.expect(303).location().unwrap(), second.expect(303).location().unwrap()];
    assert_eq!(went, ["/sent", "/sent"]);
    all.ann.post_files("/compose", &fields, &[]).expect(303);
    let sent = read(&mut all.ann, "/sent");
    assert_eq!(sent.matches(">Closed</a>").count(), 3, "one for each, however often it is sent: {sent}");
    assert_eq!(all.world.blobs(), before + 1, "the file is there once");

    let mine: Vec<String> = threads(&read(&mut all.lee, "/inbox"));
    let theirs: Vec<String> = threads(&read(&mut kim, "/inbox"));
    assert!(mine.iter().all(|thread| !theirs.contains(thread)));
    let page = conversation(&mut kim, &theirs[0]);
    assert!(page.contains(">to Kim Third<") && !page.contains("Lee Hill") && !page.contains(MAX), "{page}");
    kim.get(&mine[0]).expect(404);
    let one = messages(&conversation(&mut all.lee, &mine[0])).remove(0);
    kim.get(&format!("/compose?reply={one}")).expect(404);
    assert!(!read(&mut all.lee, &format!("/compose?reply={one}&all=1")).contains("Kim Third"));
}

#[test]
fn files_of_separate_messages_go_with_the_last() {
    let mut all = pair();
    let mut kim = all.join(KIM, "doctor_other", "Kim");
    all.world.sign_in(&mut all.lee, LEE);
    all.world.turn(1);
    let before = all.world.blobs();
    let own = [
        ("to", "lee@hillside.example, kim@hillside.example"),
        ("separately", "1"),
        ("subject", "Closed"),
        ("expires", "2"),
    ];
    compose(&mut all.ann, "", &own, &[file("notice.pdf", b"closed on Monday")]).expect(303);
    assert_eq!(all.world.blobs(), before + 1);
    let inbox = threads(&read(&mut all.lee, "/inbox")).remove(0);
    let to_lee = messages(&conversation(&mut all.lee, &inbox)).remove(0);
    all.ann.post(&format!("/messages/{to_lee}/recall"), &[]).expect(303);
    all.lee.get(&inbox).expect(200);
    assert!(!conversation(&mut all.lee, &inbox).contains("notice.pdf"), "recalled for one");
    let thread = threads(&read(&mut kim, "/inbox")).remove(0);
    let url = file_urls(&read(&mut kim, &thread)).remove(0);
    assert_eq!(kim.get(&url).expect(200).body, b"closed on Monday", "and there for the other");
    assert_eq!(all.world.blobs(), before + 1);
    all.world.turn(2 * DAY + 1);
    assert_eq!(all.world.blobs(), before);
}

#[test]
fn separate_messages_are_sent_all_or_none() {
    let Pair { world: _world, mut ann, .. } = pair();
    let before = threads(&read(&mut ann, "/sent"));
    for (name, value) in [("to", "lee@hillside.example, nobody"), ("to", "lee@hillside.example, new@hillside.example")]
    {
        let own = [(name, value), ("separately", "1"), ("relationship", "")];
        let page = compose(&mut ann, "", &own, &[]).expect(422).text();
        assert!(page.contains("name=\"separately\" type=\"checkbox\" value=\"1\" checked"), "{page}");
    }
    assert_eq!(threads(&read(&mut ann, "/sent")), before);
}
