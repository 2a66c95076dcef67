//! Search: words in one's own messages, found the moment they arrive, and never again once they are destroyed.

use crate::client::{Client, messages, unescape};
use crate::forms::{LEE, Pair, compose, file, pair, read, reply};
use crate::world::{ADMIN, DAY, PASSWORD, between};

/// The page of results.
fn results(who: &mut Client, query: &str) -> String {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    who.visit(&format!("/search?q={query}")).expect(200).text()
}

/// The subjects that are found, as they are read, in order.
fn found(who: &mut Client, query: &str) -> Vec<String> {
    let page = results(who, query);
    let lines = page.split("<a class=\"row-link\"").skip(1);
    lines.map(|line| unescape(&between(line, "\">", "</a>").replace("<mark>", "").replace("</mark>", ""))).collect()
}

/// Sends something; the message's identifier.
fn send(from: &mut Client, to: &str, subject: &str, body: &str) -> String {
    let own = [("to", to), ("subject", subject), ("body", body)];
    let thread = compose(from, "", &own, &[]).expect(303).location().unwrap();
    messages(&read(from, &thread)).pop().unwrap()
}

#[test]
fn words_phrases_beginnings_people_files_and_filters_find_messages() {
    let Pair { world, mut ann, mut lee, message, .. } = pair();
    world.turn(1);
    let own = [("to", LEE), ("subject", "X-ray"), ("body", "The root canal of señora Núñez, on Tuesday.")];
    compose(&mut ann, "", &own, &[file("panorama_2026.png", b"x")]).expect(303);
    reply(&world, &mut lee, &message, "It is fine, no antibiotics.");
    for (query, of_ann, of_lee) in [
        ("canal", &["X-ray"][..], &["X-ray"][..]),
        ("CANAL Núñ", &["X-ray"], &["X-ray"]),
        ("nunez", &["X-ray"], &["X-ray"]),
        ("\"root canal\"", &["X-ray"], &["X-ray"]),
        ("\"canal root\"", &[], &[]),
        ("antibio", &["Re: Tooth 14"], &["Re: Tooth 14"]),
        ("tooth antibio", &["Re: Tooth 14"], &["Re: Tooth 14"]),
        ("anti* fine", &["Re: Tooth 14"], &["Re: Tooth 14"]),
        ("tooth", &["Re: Tooth 14", "Tooth 14"], &["Re: Tooth 14", "Tooth 14"]),
        ("panorama", &["X-ray"], &["X-ray"]),
        ("panorama_2026.png", &["X-ray"], &["X-ray"]),
        ("has:attachment", &["X-ray"], &["X-ray"]),
        ("from:lee", &["Re: Tooth 14"], &["Re: Tooth 14"]),
        ("to:lee@hillside.example tooth", &["Tooth 14"], &["Tooth 14"]),
        ("from:\"Ann Rivers\" canal", &["X-ray"], &["X-ray"]),
        ("in:sent tooth", &["Tooth 14"], &["Re: Tooth 14"]),
        ("in:inbox tooth", &["Re: Tooth 14"], &["Tooth 14"]),
        ("before:2026-11-23", &[], &[]),
        ("after:2026-11-23 canal", &["X-ray"], &["X-ray"]),
        ("after:2026-11-24", &[], &[]),
        ("before:tuesday", &[], &[]),
    ] {
        assert_eq!(found(&mut ann, query), of_ann, "Ann: {query}");
        assert_eq!(found(&mut lee, query), of_lee, "Lee: {query}");
    }
    assert_eq!(found(&mut ann, "is:unread"), ["Re: Tooth 14"]);
    assert_eq!(found(&mut lee, "is:unread"), ["X-ray", "Tooth 14"], "a result is not opened by being found");
}

#[test]
fn folders_stars_and_what_is_unread_follow_the_conversation() {
    let Pair { world, mut ann, mut lee, thread, .. } = pair();
    world.turn(1);
    send(&mut ann, LEE, "X-ray", "It shows tooth 15.");
    let ticked = format!("thread-{}", thread.trim_start_matches("/threads/"));
    let mut press = |action: &str| {
        lee.visit("/inbox").expect(200);
        lee.post("/threads", &[("action", action), (&ticked, "1"), ("back", "/inbox")]).expect(303);
        ["in:inbox tooth", "in:archive tooth", "is:starred tooth", "is:unread tooth"]
            .map(|query| found(&mut lee, query))
    };
    let [inbox, archive, starred, unread] = press("star");
    assert_eq!((inbox.len(), archive.len(), starred, unread.len()), (2, 0, vec!["Tooth 14".to_owned()], 2));
    let [inbox, archive, starred, unread] = press("archive");
    assert_eq!((inbox, archive), (vec!["X-ray".to_owned()], vec!["Tooth 14".to_owned()]));
    assert_eq!((starred.len(), unread.len()), (1, 2));
    let [_, _, _, unread] = press("read");
    assert_eq!(unread, ["X-ray"]);
    assert!(found(&mut ann, "in:archive tooth").is_empty());
}

#[test]
fn hits_are_marked_lead_to_their_message_and_are_text() {
    let Pair { world: _world, mut ann, .. } = pair();
    let evil = "<script>alert(1)</script> & \"tooth\"";
    let message = send(&mut ann, LEE, evil, "See <b>tooth</b> here.");
    let page = results(&mut ann, "alert tooth");
    assert!(page.contains("&lt;script&gt;<mark>alert</mark>(1)&lt;&#x2f;script&gt;"), "{page}");
    assert!(page.contains("See &lt;b&gt;<mark>tooth</mark>&lt;&#x2f;b&gt; here."), "{page}");
    assert!(page.contains(&format!("#m-{message}\"")), "{page}");
    let page = results(&mut ann, "\"><script>x</script>");
    assert!(!page.contains("<script>x") && page.contains("value=\"&quot;&gt;&lt;script&gt;x"), "{page}");
    assert!(!page.contains("<title>\""), "what is looked for stays out of the title");
}

#[test]
fn nobody_finds_what_is_not_theirs_and_drafts_are_not_searched() {
    let mut all = pair();
    let mut eve = all.join("eve@riverside.example", "doctor_mine", "Eve");
    all.world.sign_in(&mut all.lee, LEE);
    send(&mut all.ann, LEE, "Private", "A zirconia crown.");
    assert_eq!(found(&mut all.lee, "zirconia"), ["Private"]);
    assert!(found(&mut eve, "zirconia").is_empty());
    assert!(found(&mut eve, "from:ann in:inbox private").is_empty());
    let unfinished = [("to", LEE), ("subject", "Unfinished"), ("body", "molybdenum"), ("action", "save")];
    compose(&mut all.ann, "", &unfinished, &[]).expect(303);
    assert!(found(&mut all.ann, "molybdenum").is_empty());
}

#[test]
fn what_is_destroyed_recalled_deleted_or_over_is_never_found() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let ids = ["Recalled", "Deleted", "Moved", "Kept"].map(|what| send(&mut ann, LEE, what, "zirconia"));
    let own = [("to", LEE), ("subject", "Short"), ("body", "zirconia"), ("expires", "1")];
    compose(&mut ann, "", &own, &[]).expect(303);
    let subjects = |mut found: Vec<String>| {
        found.sort();
        found
    };
    let all = ["Deleted", "Kept", "Moved", "Recalled", "Short"];
    assert_eq!(subjects(found(&mut ann, "zirconia")), all);
    assert_eq!(subjects(found(&mut lee, "zirconia")), all);

    let [recalled, deleted, moved, _] = &ids;
    ann.post(&format!("/messages/{recalled}/recall"), &[]).expect(303);
    lee.post(&format!("/messages/{deleted}/delete"), &[]).expect(303);
    ann.post(&format!("/messages/{moved}/expiry"), &[("expires", "2")]).expect(303);
    assert_eq!(subjects(found(&mut ann, "zirconia")), ["Deleted", "Kept", "Moved", "Short"]);
    assert_eq!(subjects(found(&mut lee, "zirconia")), ["Kept", "Moved", "Short"]);
    world.turn(DAY);
    world.sign_in(&mut ann, ADMIN);
    world.sign_in(&mut lee, LEE);
    assert_eq!(subjects(found(&mut ann, "zirconia")), ["Deleted", "Kept", "Moved"]);
    assert_eq!(subjects(found(&mut lee, "zirconia")), ["Kept", "Moved"]);
    world.turn(DAY);
    world.sign_in(&mut ann, ADMIN);
    world.sign_in(&mut lee, LEE);
    assert_eq!(subjects(found(&mut ann, "zirconia")), ["Deleted", "Kept"]);
    assert_eq!(found(&mut lee, "zirconia"), ["Kept"]);
}

#[test]
fn new_mail_is_found_at_once_however_often_and_after_a_restart() {
    let Pair { mut world, mut ann, mut lee, .. } = pair();
    for round in 0..12 {
        world.turn(1);
        send(&mut ann, LEE, &format!("Round {round}"), "zirconia");
        assert_eq!(found(&mut lee, "zirconia").len(), round + 1);
        assert_eq!(found(&mut ann, "zirconia")[0], format!("Round {round}"), "newest first");
    }
    world.restart();
    for (client, address) in [(&mut ann, ADMIN), (&mut lee, LEE)] {
        client.moved(world.address);
        world.sign_in(client, address);
        assert_eq!(found(client, "zirconia").len(), 12);
    }
    send(&mut ann, LEE, "After", "zirconia");
    assert_eq!(found(&mut lee, "zirconia").len(), 13);
}

#[test]
fn results_come_in_pages_and_in_the_order_that_is_asked_for() {
    let Pair { world, mut ann, .. } = pair();
    send(&mut ann, LEE, "Best", "zirconia zirconia zirconia zirconia");
    for number in 1..=30 {
        world.turn(1);
        send(&mut ann, LEE, &format!("Number {number}"), "One zirconia among many other words that say nothing.");
    }
    let first = found(&mut ann, "zirconia");
    assert_eq!((first.len(), first[0].as_str()), (25, "Number 30"));
    let page = read(&mut ann, "/search?q=zirconia&page=2");
    assert_eq!(page.matches("row-link").count(), 6);
    assert!(page.contains("href=\"/search?q=zirconia\"") && !page.contains("More results"), "{page}");
    let page = read(&mut ann, "/search?q=zirconia&sort=best");
    assert!(page.split("row-link").nth(1).unwrap().contains("Best"), "{page}");
    assert!(page.contains("/search?q=zirconia&sort=best&page=2"), "{page}");
    for odd in ["page=0", "page=-1", "page=99999999999999999999", "page=x", "sort=x", "page=40&sort=best"] {
        ann.visit(&format!("/search?q=zirconia&{odd}")).expect(200);
    }
}

#[test]
fn whatever_is_typed_is_taken_literally() {
    let Pair { world: _world, mut ann, .. } = pair();
    let long =
        ["tooth ".repeat(1_700), "\"".repeat(3_000), "a*".repeat(5_000), "é".repeat(1_600), "from:\"".repeat(1_600)];
    let odd =
        ["\"tooth", "tooth\"", "(tooth OR canal", "/.*/", "t.*h", "*", "\\", "from:", "has:teeth", "in:", "\0", "%"];
    for query in odd.iter().map(|odd| (*odd).to_owned()).chain(long) {
        results(&mut ann, &query);
    }
    assert_eq!(found(&mut ann, "\"tooth"), ["Tooth 14"]);
    assert_eq!(found(&mut ann, "tooth, 14!"), ["Tooth 14"]);
    assert!(found(&mut ann, "t.*h").is_empty());
    ann.visit("/search?q=%ff%fe").expect(200);
    assert!(results(&mut ann, "").contains("Find a message"));
    assert!(results(&mut ann, "zirconia").contains("Nothing found"));
    ann.visit("/inbox").expect(200);
}

#[test]
fn what_waited_is_found_after_registration_and_keys_that_change_lose_nothing() {
    let Pair { world, mut ann, .. } = pair();
    let own = [("to", "kim@hillside.example"), ("subject", "Waiting"), ("body", "zirconia")];
    compose(&mut ann, "", &own, &[]).expect(303);
    assert_eq!(found(&mut ann, "zirconia"), ["Waiting"]);
    world.turn(240);
    let mut kim = world.register(&mut ann, "kim@hillside.example", "Kim", "Hill");
    assert_eq!(found(&mut kim, "zirconia"), ["Waiting"]);
    kim.visit("/profile").expect(200);
    let new = "nine loud geese paddle";
    kim.post("/profile/password", &[("current_password", PASSWORD), ("password", new)]).expect(303);
    assert_eq!(found(&mut kim, "zirconia"), ["Waiting"]);
}

#[test]
fn a_search_box_is_on_every_page() {
    let Pair { world: _world, mut ann, thread, .. } = pair();
    for path in
        ["/inbox", "/sent", "/drafts", "/compose", &thread, "/profile", "/people", "/settings/practice", "/search"]
    {
        let page = read(&mut ann, path);
        assert!(page.contains("action=\"/search\"") && page.contains("name=\"q\""), "{path}");
    }
}
