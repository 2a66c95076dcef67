//! Conversations: answers, states, and text that stays text.

use crate::forms::{LEE, Pair, compose, conversation, file, messages, pair, read, reply};
use crate::world::{ADMIN, DAY, between};

#[test]
fn answers_join_the_conversation_and_states_are_shown() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    assert!(conversation(&mut ann, &thread).contains("Not opened yet"));
    assert!(read(&mut ann, "/sent").contains("Not opened yet"));
    let inbox = read(&mut lee, "/inbox");
    assert!(inbox.contains("row is-unread") && inbox.contains("Dr Ann Rivers"), "{inbox}");
    world.turn(5 * 60);
    assert!(conversation(&mut lee, &thread).contains(">New</span>"));
    assert!(!conversation(&mut lee, &thread).contains(">New</span>"), "new once");
    assert!(!read(&mut lee, "/inbox").contains("is-unread"));
    assert!(conversation(&mut ann, &thread).contains("Opened 23 November, 10:05"));
    assert!(read(&mut ann, "/sent").contains("Opened 23 November, 10:05"));
    assert!(!conversation(&mut lee, &thread).contains("Opened "), "only the sender sees it");

    let page = read(&mut lee, &format!("/compose?reply={message}"));
    assert!(page.contains("value=\"Re: Tooth 14\"") && page.contains("Please look at it."), "{page}");
    assert_eq!(reply(&world, &mut lee, &message, "It is fine.").location().unwrap(), thread);
    let page = conversation(&mut ann, &thread);
    assert!(page.contains("It is fine.") && messages(&page).len() == 2, "{page}");
    assert!(read(&mut ann, "/inbox").contains("Re: Tooth 14"));
    let answer = messages(&page).remove(1);
    assert_eq!(reply(&world, &mut ann, &answer, "Good.").location().unwrap(), thread);
    assert_eq!(
        reply(&world, &mut ann, &message, "One more thing.").location().unwrap(),
        thread,
        "one's own goes to its readers"
    );
    assert_eq!(messages(&conversation(&mut lee, &thread)).len(), 4);
    assert!(read(&mut lee, &format!("{thread}/print")).contains("One more thing."));
}

#[test]
fn an_answer_goes_to_the_sender_and_one_to_all_goes_to_all() {
    let mut all = pair();
    let mut kim = all.join("kim@hillside.example", "doctor_other", "Kim");
    all.world.sign_in(&mut all.lee, LEE);
    let own = [("to", "lee@hillside.example, kim@hillside.example"), ("subject", "Both")];
    let thread = compose(&mut all.ann, "", &own, &[]).expect(303).location().unwrap();
    let page = read(&mut all.lee, &thread);
    let first = messages(&page).remove(0);
    assert!(page.contains(&format!("href=\"/compose?reply={first}&all=1\"")), "{page}");
    assert!(!read(&mut all.lee, &all.thread).contains("&all=1\""), "nobody else to answer");
    reply(&all.world, &mut all.lee, &first, "Between us.");
    assert_eq!(messages(&conversation(&mut kim, &thread)).len(), 1);
    let to_all = compose(&mut all.lee, &format!("?reply={first}&all=1"), &[("body", "For all.")], &[]).expect(303);
    assert_eq!(to_all.location().unwrap(), thread);
    let page = conversation(&mut kim, &thread);
    assert!(page.contains("For all.") && !page.contains("Between us."), "{page}");
    let page = conversation(&mut all.ann, &thread);
    assert!(page.contains("For all.") && page.contains("Between us."), "{page}");
}

#[test]
fn what_was_read_is_folded_and_the_newest_is_open() {
    let mut pair = pair();
    read(&mut pair.lee, &pair.thread);
    reply(&pair.world, &mut pair.lee, &pair.message, "Seen, thank you.");
    reply(&pair.world, &mut pair.lee, &pair.message, "And one thing more.");
    let folded = |page: &str| page.matches("<details class=\"fold\">").count();
    let page = conversation(&mut pair.ann, &pair.thread);
    assert_eq!(folded(&page), 1, "her own, and not the new ones: {page}");
    let fold = page.split_once("<details class=\"fold\">").unwrap().1;
    let summary = between(fold, "<summary>", "</summary>");
    assert!(summary.contains("You") && summary.contains("Please look at it."), "{summary}");
    assert!(fold.contains("Opened 23 November"), "who opened it, and when: {fold}");
    let page = conversation(&mut pair.ann, &pair.thread);
    assert_eq!(folded(&page), 2, "the newest stays open: {page}");
    assert!(!read(&mut pair.ann, &format!("{}/print", pair.thread)).contains("class=\"fold\""));
}

#[test]
fn markup_in_every_field_is_shown_as_text() {
    const EVIL: &str = "<script>alert(1)</script>{{7*7}}{sender}{name}\"'><b>&amp;";
    let mut all = pair();
    let Pair { world, ann, lee, .. } = &mut all;
    let name: String = EVIL.chars().take(80).collect();
    ann.visit("/settings/practice").expect(200);
    ann.post("/settings/practice", &[("practice_name", EVIL), ("expires", "30"), ("idle_minutes", "15")]).expect(303);
    ann.visit("/profile").expect(200);
    let profile = [
        ("first_name", name.as_str()),
        ("last_name", name.as_str()),
        ("time_zone", "UTC"),
        ("signature", EVIL),
        ("expires", ""),
    ];
    ann.post("/profile", &profile).expect(303);
    let own = [
        ("to", "kim@hillside.example"),
        ("first_name", name.as_str()),
        ("last_name", name.as_str()),
        ("subject", EVIL),
        ("body", EVIL),
    ];
    let thread = compose(ann, "", &own, &[file(EVIL, b"x")]).expect(303).location().unwrap();
    let own = [("to", EVIL), ("subject", EVIL), ("body", EVIL), ("action", "save"), ("relationship", EVIL)];
    compose(ann, "", &own, &[file(EVIL, b"x")]).expect(303);
    let lees = compose(ann, "", &[("to", LEE), ("subject", EVIL), ("body", EVIL)], &[]).expect(303).location().unwrap();
    let message = messages(&read(ann, &thread)).remove(0);
    let kim = crate::forms::account(ann, "kim@hillside.example");
    let pages = [
        "/inbox",
        "/sent",
        "/drafts",
        "/compose",
        "/people",
        "/profile",
        "/settings/practice",
        "/settings/about",
        "/outbox",
        &thread,
        &format!("{thread}/print"),
        &format!("/compose?reply={message}"),
        &format!("/people/{kim}"),
    ]
    .map(|path| (path.to_owned(), ann.visit(path).expect(200).text()));
    let theirs = ["/inbox", &lees, "/profile"].map(|path| (path.to_owned(), lee.visit(path).expect(200).text()));
    let link = world.link_to(ann, "kim@hillside.example");
    let mut stranger = world.client();
    let strange =
        [link.as_str(), "/sign-in", "/terms"].map(|path| (path.to_owned(), stranger.visit(path).expect(200).text()));
    let refused = compose(ann, "", &[("to", EVIL), ("subject", EVIL), ("body", EVIL)], &[]).expect(422).text();
    let mut shown = 0;
    for (path, page) in pages.into_iter().chain(theirs).chain(strange).chain([("refused".to_owned(), refused)]) {
        assert!(!page.contains("<script>alert") && !page.contains("'><b>"), "{path}: {page}");
        assert!(!page.contains("alert(1)</script>49"), "{path}: {page}");
        let text = crate::client::unescape(&page);
        shown += usize::from(text.contains(EVIL));
    }
    assert!(shown >= 14, "shown as it was typed on {shown} pages");
}

#[test]
fn a_conversation_outlives_one_of_its_messages() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    let own = [("subject", "Re: Tooth 14"), ("body", "Short-lived."), ("expires", "2")];
    world.turn(1);
    compose(&mut lee, &format!("?reply={message}"), &own, &[]).expect(303);
    world.turn(2 * DAY);
    world.sign_in(&mut ann, ADMIN);
    let page = read(&mut ann, &thread);
    assert!(page.contains("Please look at it.") && !page.contains("Short-lived."), "{page}");
    assert!(
        page.contains(
            "A message from Lee Hill to Dr Ann Rivers, sent 23 November, 10:00, was destroyed on 25 November, 10:00."
        ),
        "{page}"
    );
    let gone = messages(&page).remove(1);
    ann.get(&format!("/compose?reply={gone}")).expect(410);
    assert!(page.contains(&format!("/compose?reply={message}")), "the living one can be answered");
}
