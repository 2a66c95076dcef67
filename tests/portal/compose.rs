//! Writing and sending: what is refused comes back, what is sent is sent once.

use crate::client::{Client, unescape};
use crate::forms::{
    LEE, Pair, account, both, compose, conversation, draft, file, file_urls, filled, has_fault, hidden, messages, pair,
    person, read, tab,
};
use crate::world::{ADMIN, World, between};

#[test]
fn what_is_refused_comes_back_with_the_fault_beside_its_field() {
    let Pair { world: _world, mut ann, .. } = pair();
    compose(&mut ann, "", &[("to", "kim@hillside.example")], &[]).expect(303);
    let kim = account(&mut ann, "kim@hillside.example");
    ann.post(&format!("/people/{kim}/disable"), &[]).expect(303);
    let (long, longer) = ("s".repeat(201), "b".repeat(200_001));
    assert!(person(&mut ann, "kim@hillside.example").contains("Disabled"));
    let sent = |ann: &mut Client| between(&read(ann, "/sent"), "<ul class=\"rows", "</ul>").to_owned();
    let before = sent(&mut ann);
    for (field, value) in [
        ("subject", ""),
        ("subject", " \t "),
        ("subject", &long),
        ("body", ""),
        ("body", "\r\n \r\n"),
        ("body", &longer),
        ("to", ""),
        ("to", "lee at hillside"),
        ("to", "lee@hillside.example, nobody"),
        ("to", ADMIN),
        ("to", "Admin@Riverside.example"),
        ("to", "kim@hillside.example"),
        ("cc", "lee at hillside"),
        ("cc", "Lee <lee@hillside.example>; nobody"),
        ("cc", ADMIN),
        ("cc", "kim@hillside.example"),
        ("relationship", ""),
        ("relationship", "friend"),
        ("cell_phone", "call me"),
        ("expires", "0"),
        ("expires", "31"),
        ("expires", "256"),
        ("expires", "soon"),
        ("expires", "2026-11-23T09:59:59Z"),
        ("expires", "2026-12-23T10:00:01Z"),
    ] {
        let own = [("to", "new@hillside.example"), ("subject", "Kept subject"), ("body", "Kept body"), (field, value)];
        let own: Vec<_> =
            own.iter().enumerate().filter(|(at, (name, _))| *at == 3 || *name != field).map(|(_, f)| *f).collect();
        let page = compose(&mut ann, "", &own, &[]).expect(422).text();
        assert!(has_fault(&page, field), "{field} {value:.20}: {page:.9000}");
        assert_eq!(page.contains("value=\"Kept subject\""), field != "subject", "{field}");
        assert_eq!(page.contains(">\nKept body</textarea>"), field != "body", "{field}");
        if field != "to" && field != "subject" && field != "body" {
            assert!(page.contains("value=\"new@hillside.example\""), "{field}");
        }
    }
    assert_eq!(sent(&mut ann), before, "nothing was sent");
    assert!(!read(&mut ann, "/people").contains("new@hillside.example"), "nobody was invited");
}

#[test]
fn the_longest_subject_and_text_arrive_whole() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    let (subject, body) = ("ŝ".repeat(200), "𝄞".repeat(200_000));
    let own = [("to", LEE), ("subject", subject.as_str()), ("body", body.as_str())];
    let thread = compose(&mut ann, "", &own, &[]).expect(303).location().unwrap();
    let page = read(&mut lee, &thread);
    assert!(page.contains(&subject) && page.contains(&format!("<p>{body}</p>")));
    let long = format!("{body}!");
    let page = compose(&mut ann, "", &[("to", LEE), ("body", &long)], &[]).expect(422).text();
    assert!(has_fault(&page, "body") && page.contains(&long), "too long by one comes back whole");
}

#[test]
fn an_expiry_stands_between_now_and_thirty_days() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    for (expires, says) in [
        ("1", "Destroyed in 24 hours"),
        ("30", "Destroyed in 30 days"),
        ("2026-11-23T10:00:01Z", "Destroyed in a minute"),
        ("2026-12-23T10:00:00Z", "Destroyed in 30 days"),
        ("2026-11-23T13:00:00+01:00", "Destroyed in 2 hours"),
    ] {
        let sent = compose(&mut ann, "", &[("to", LEE), ("expires", expires)], &[]).expect(303);
        let page = read(&mut lee, &sent.location().unwrap());
        assert!(page.contains(says), "{expires}: {page}");
    }
}

#[test]
fn several_people_get_one_message_each_their_own_letter() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let own = [
        ("to", "Lee Hill <LEE@hillside.example>; kim@hillside.example,\nkim@hillside.example"),
        ("subject", "All of you"),
    ];
    let thread = compose(&mut ann, "", &own, &[]).expect(303).location().unwrap();
    let page = conversation(&mut ann, &thread);
    assert_eq!(page.matches("Not opened yet").count(), 2, "{page}");
    assert!(read(&mut lee, &thread).contains("to kim@hillside.example"));
    let outbox = read(&mut ann, "/outbox");
    assert_eq!(outbox.matches("To kim@hillside.example").count(), 1, "{outbox}");
    assert_eq!(outbox.matches(&format!("To {LEE}")).count(), 2, "{outbox}");
    let mut kim = world.register(&mut ann, "kim@hillside.example", "Kim", "Hill");
    assert!(read(&mut kim, &thread).contains("to Lee Hill"));
    assert_eq!(conversation(&mut ann, &thread).matches("Opened 23 November").count(), 2);
    let many: Vec<String> = (0..101).map(|n| format!("p{n}@hillside.example")).collect();
    for (field, own) in
        [("to", vec![("to", many.join(","))]), ("cc", vec![("to", LEE.into()), ("cc", many[1..].join(";"))])]
    {
        let own: Vec<_> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = compose(&mut ann, "", &own, &[]).expect(422).text();
        assert!(has_fault(&page, field) && page.contains("At most 100 people at once"), "{page}");
    }
}

#[test]
fn a_double_click_sends_once() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    for round in ["one", "two", "three"] {
        ann.visit("/compose").expect(200);
        let mut twin = tab(&world, &ann);
        let page = hidden(&ann);
        let fields = filled(&page, &[("to", LEE), ("subject", round)]);
        let (first, second) =
            both(|| ann.post_files("/compose", &fields, &[]), || twin.post_files("/compose", &fields, &[]));
        let (first, second) = (first.expect(303).location().unwrap(), second.expect(303).location().unwrap());
        assert_eq!(first, second);
        assert_eq!(messages(&read(&mut lee, &first)).len(), 1);
        let again = twin.post_files("/compose", &fields, &[]).expect(303);
        assert_eq!(again.location().unwrap(), first, "a third time, long after");
    }
    let inbox = read(&mut lee, "/inbox");
    assert_eq!(inbox.matches("class=\"row-link\"").count(), 4, "{inbox}");
    assert_eq!(read(&mut ann, "/outbox").matches(&format!("To {LEE}")).count(), 4);
    assert!(!read(&mut ann, "/drafts").contains("row-link"));
}

#[test]
fn what_is_changed_after_going_back_is_not_taken_for_sent() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    ann.visit("/compose").expect(200);
    let page = hidden(&ann);
    ann.post_files("/compose", &filled(&page, &[("to", LEE), ("subject", "Tooth 14")]), &[]).expect(303);
    // The browser goes back to the page as it was, and the text is changed there.
    let changed = filled(&page, &[("to", LEE), ("subject", "Tooth 14"), ("body", "No, tooth 15.")]);
    let answer = unescape(&ann.post_files("/compose", &changed, &[]).expect(422).text());
    assert!(answer.contains("This message was sent before you changed it.") && answer.contains("No, tooth 15."));
    let fresh = hidden(&ann);
    let sent = ann.post_files("/compose", &filled(&fresh, &[("to", LEE), ("body", "No, tooth 15.")]), &[]).expect(303);
    assert!(read(&mut lee, &sent.location().unwrap()).contains("No, tooth 15."));
}

#[test]
fn a_form_with_files_that_is_sent_again_leads_to_the_message() {
    let Pair { world: _world, mut ann, mut lee, .. } = pair();
    ann.visit("/compose").expect(200);
    let page = hidden(&ann);
    let fields = filled(&page, &[("to", LEE)]);
    let files = [file("x-ray.png", b"grey")];
    let first = ann.post_files("/compose", &fields, &files).expect(303).location();
    let second = ann.post_files("/compose", &fields, &files).expect(303).location();
    assert_eq!(first, second);
    assert_eq!(file_urls(&read(&mut lee, &first.unwrap())).len(), 1);
}

#[test]
fn a_refusal_leaves_the_draft_and_its_files() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let own = [("to", LEE), ("subject", ""), ("body", "Not lost")];
    let page =
        unescape(&compose(&mut ann, "", &own, &[file("one.txt", b"1"), file("two.txt", b"22")]).expect(422).text());
    assert!(page.contains("one.txt") && page.contains("two.txt") && page.contains("Not lost"), "{page}");
    let id = ann.hidden("draft").unwrap();
    let mut other_tab = tab(&world, &ann);
    let page = read(&mut other_tab, &format!("/compose?draft={id}"));
    assert!(page.contains("one.txt") && page.contains("Not lost"), "{page}");
    let remove = between(&page, "name=\"action\" value=\"remove:", "\"").to_owned();
    let page = hidden(&ann);
    let action = format!("remove:{remove}");
    let to = ann.post_files("/compose", &filled(&page, &[("to", LEE), ("action", &action)]), &[]).expect(303);
    let rest = ann.follow(to).expect(200).text();
    assert!(!rest.contains("one.txt") && rest.contains("two.txt"), "{rest}");
    let page = hidden(&ann);
    let sent = ann.post_files("/compose", &filled(&page, &[("to", LEE)]), &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    let files = file_urls(&page);
    assert_eq!(files.len(), 1);
    assert_eq!(lee.get(&files[0]).expect(200).body, b"22");
}

#[test]
fn nobody_harvests_addresses() {
    let world = World::start();
    let (mut ann, mut second) = (world.set_up(), world.client());
    world.sign_in(&mut second, ADMIN);
    let many = |round: usize| (0..50).map(|n| format!("p{round}x{n}@hillside.example")).collect::<Vec<_>>().join(",");
    let looks: Vec<u16> = (0..6)
        .flat_map(|round| {
            let by_script = ann.get(&format!("/recipients?address={}", many(2 * round))).status;
            [by_script, second.get(&format!("/compose?to={}", many(2 * round + 1))).status]
        })
        .collect();
    assert_eq!(looks.iter().position(|status| *status == 429), Some(8), "{looks:?}");
    second.visit("/compose").expect(200);
    let page = hidden(&second);
    let own = [("to", many(20)), ("cc", many(21)), ("subject", String::new())];
    let own: Vec<_> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    second.post_files("/compose", &filled(&page, &own), &[]).expect(429);
    ann.get("/compose").expect(200);
}

#[test]
fn free_people_answer_with_files_and_begin_nothing() {
    let Pair { world: _world, mut ann, mut lee, thread, message } = pair();
    for path in ["/inbox", &thread, "/sent", "/drafts", "/profile"] {
        assert!(!read(&mut lee, path).contains("href=\"/compose\""), "{path} has a Compose button");
    }
    lee.get("/compose").expect(403);
    lee.get("/compose?to=admin@riverside.example").expect(403);
    lee.get("/recipients?address=admin@riverside.example").expect(403);
    lee.visit(&format!("/compose?reply={message}")).expect(200);
    let page = hidden(&lee);
    for own in
        [[("to", ADMIN), ("reply", "")], [("to", "new@evil.example"), ("reply", "")], [("subject", ""), ("reply", "")]]
    {
        for action in ["send", "save"] {
            let own = [own.as_slice(), &[("action", action)]].concat();
            lee.post_files("/compose", &filled(&page, &own), &[]).expect(403);
        }
    }
    assert!(!read(&mut ann, "/people").contains("new@evil.example"));
    let many: Vec<String> = (0..12).map(|n| format!("file {n}.bin")).collect();
    let files: Vec<_> = many.iter().map(|name| file(name, name.as_bytes())).collect();
    for round in 1..=3 {
        let own = [("subject", "Re: Tooth 14"), ("body", "Here they are.")];
        compose(&mut lee, &format!("?reply={message}"), &own, &files).expect(303);
        assert_eq!(file_urls(&read(&mut ann, &thread)).len(), 12 * round);
    }
}

#[test]
fn what_was_being_written_when_time_ran_out_is_a_draft() {
    let Pair { world, mut ann, mut lee, message, .. } = pair();
    let id = draft(&mut ann);
    let page = hidden(&ann);
    world.turn(16 * 60);
    let own = [("to", LEE), ("subject", "Nearly lost"), ("body", "But not quite.")];
    let reply = ann.post_files("/compose", &filled(&page, &own), &[file("late.txt", b"late")]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/sign-in?saved=1"));
    assert!(ann.follow(reply).expect(200).text().contains("is saved in Drafts"));
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, "/drafts").contains("Nearly lost"));
    let page = read(&mut ann, &format!("/compose?draft={id}"));
    assert!(page.contains("But not quite.") && page.contains("Nearly lost"), "{page}");

    world.sign_in(&mut lee, LEE);
    lee.visit(&format!("/compose?reply={message}")).expect(200);
    let page = hidden(&lee);
    world.turn(16 * 60);
    let mut forged = tab(&world, &lee);
    let fields = [&[("csrf", "0000")][..], &filled(&page, &[("subject", "Forged")])].concat();
    forged.post_files("/compose", &fields, &[]).expect(403);
    lee.post_files("/compose", &filled(&page, &[("subject", "Re: late")]), &[]).expect(303);
    world.sign_in(&mut lee, LEE);
    let drafts = read(&mut lee, "/drafts");
    assert!(drafts.contains("Re: late") && !drafts.contains("Forged"), "{drafts}");
}

#[test]
fn nobody_writes_to_a_disabled_account_by_answering() {
    let Pair { world, mut ann, mut lee, thread, message, .. } = pair();
    crate::forms::reply(&world, &mut lee, &message, "Thank you.");
    let id = account(&mut ann, LEE);
    ann.post(&format!("/people/{id}/disable"), &[]).expect(303);
    assert!(person(&mut ann, LEE).contains("Disabled"));
    let answer = messages(&read(&mut ann, &thread)).remove(1);
    let page = compose(&mut ann, &format!("?reply={answer}"), &[], &[]).expect(422).text();
    assert!(has_fault(&page, "to") && page.contains("disabled"), "{page}");
}

#[test]
fn a_new_message_begins_with_signature_and_default_expiry() {
    let world = World::start();
    let mut ann = world.set_up();
    let settings = [("practice_name", "Riverside Dental"), ("expires", "12"), ("idle_minutes", "15")];
    ann.post("/settings/practice", &settings).expect(303);
    let page = read(&mut ann, "/compose");
    assert!(page.contains("<option value=\"12\" selected>12 days · destroyed on 5 Dec"), "{page}");
    ann.visit("/profile").expect(200);
    let profile = [
        ("first_name", "Ann"),
        ("last_name", "Rivers"),
        ("time_zone", "Europe/Berlin"),
        ("signature", "Dr Ann Rivers\nRiverside"),
        ("expires", "3"),
    ];
    ann.post("/profile", &profile).expect(303);
    let page = read(&mut ann, "/compose");
    assert!(
        page.contains("Dr Ann Rivers\nRiverside</textarea>") && page.contains("<option value=\"3\" selected>"),
        "{page}"
    );
    let own = [("to", LEE), ("body", "\n\nDr Ann Rivers\nRiverside")];
    let sent = compose(&mut ann, "", &own, &[]).expect(303);
    assert!(
        read(&mut ann, &sent.location().unwrap()).contains("<p>Dr Ann Rivers<br>Riverside</p>"),
        "a signature is a text"
    );
}
