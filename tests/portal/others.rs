//! Other people's things: every route with an identifier answers as if there were nothing, and nothing happens.

use crate::client::{Client, Reply};
use crate::forms::{
    LEE, Pair, account, begin, compose, contact, draft, file, file_urls, filled, group, hidden, messages, offset, pair,
    read, upload,
};
use crate::routes::{Route, all};
use crate::world::between;

/// Sends what a route takes, with everything right about it but whose it is.
fn ask(client: &mut Client, route: &Route, path: &str) -> Reply {
    let csrf = client.csrf().unwrap();
    let form = format!("csrf={csrf}&revision=0&subject=Evil&body=Evil&expires=1&email=evil%40evil.example&force=1");
    let tus = [("Tus-Resumable", "1.0.0"), ("X-CSRF-Token", csrf.as_str())];
    let (headers, body) = match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/drafts/:id/files") => ([&tus[..], &[("Upload-Length", "4")]].concat(), ""),
        ("PATCH", _) => {
            let more = [("Content-Type", "application/offset+octet-stream"), ("Upload-Offset", "5")];
            ([&tus[..], &more].concat(), "evil!")
        }
        ("POST", _) => (vec![("Content-Type", "application/x-www-form-urlencoded")], form.as_str()),
        _ => (tus.to_vec(), ""),
    };
    client.send(&route.method, path, &headers, body.as_bytes())
}

/// An identifier that belongs to nobody.
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn every_identifier_of_somebody_else_is_unknown() {
    let mut all_of_us = pair();
    let mut eve = all_of_us.join("eve@riverside.example", "doctor_mine", "Eve");
    let Pair { world, mut ann, mut lee, .. } = all_of_us;
    world.sign_in(&mut lee, LEE);
    let own = [("to", LEE), ("subject", "Private")];
    let thread = compose(&mut ann, "", &own, &[file("a.txt", b"a")]).expect(303).location().unwrap();
    let page = read(&mut ann, &thread);
    let (message, attached) = (messages(&page).remove(0), file_urls(&page).remove(0));
    let lees = account(&mut ann, LEE);
    let written = draft(&mut ann);
    upload(&mut ann, &written, "kept.txt", b"kept");
    let page = hidden(&ann);
    let saved =
        ann.post_files("/compose", &filled(&page, &[("to", LEE), ("subject", "Unfinished"), ("action", "save")]), &[]);
    saved.expect(303);
    let sheet = read(&mut ann, &format!("/compose?draft={written}"));
    let kept = between(&sheet, "data-id=\"", "\"").to_owned();
    let resting = begin(&mut ann, &written, "half.txt", 10);
    crate::forms::append(&mut ann, &resting, 0, b"12345").expect(204);

    let kims = contact(&mut ann, &[("first_name", "Kim"), ("email", "kim@lake.example")]);
    let recall = group(&mut ann, "Recall", "kim@lake.example");

    let form = format!("/compose?draft={written}");
    let shown = [&thread, &form, "/drafts", "/people", "/sent", "/contacts", "/contacts/groups"];
    let before = shown.map(|path| read(&mut ann, path));
    eve.visit("/inbox").expect(200);
    for query in [
        format!("?draft={written}"),
        format!("?draft={UNKNOWN}"),
        format!("?reply={message}"),
        format!("?reply={UNKNOWN}"),
    ] {
        eve.get(&format!("/compose{query}")).expect(404);
    }
    let mut met = 0;
    for route in all().into_iter().filter(|route| route.path.contains(':')) {
        let ours: &[(&str, &str)] = match route.path.split('/').nth(1).unwrap() {
            // Secrets, not identifiers: proved with set-up and registration.
            "setup" | "register" | "assets" => continue,
            "threads" => &[(":id", thread.strip_prefix("/threads/").unwrap())],
            "messages" => &[
                (":id", message.as_str()),
                (":file", attached.rsplit('/').next().unwrap()),
                (":account", lees.as_str()),
            ],
            "drafts" => &[(":id", written.as_str()), (":file", kept.as_str())],
            "uploads" => &[(":id", resting.rsplit('/').next().unwrap())],
            "people" => &[(":id", lees.as_str())],
            "contacts" => &[(":id", kims.as_str()), (":group", recall.as_str())],
            other => panic!("no identifier is known for {other}: add it here"),
        };
        let (mut theirs, mut unknown) = (route.path.clone(), route.path.clone());
        for (place, id) in ours {
            theirs = theirs.replace(place, id);
            unknown = unknown.replace(place, UNKNOWN);
        }
        assert!(!theirs.contains(':'), "an identifier of {} is not known here: add it", route.path);
        let (theirs, unknown) = (ask(&mut eve, &route, &theirs), ask(&mut eve, &route, &unknown));
        // Whoever writes names a new draft themselves: it is theirs, and another than the one of the same name.
        let makes_a_draft = route.method == "POST" && route.path.starts_with("/drafts/:id");
        assert!(makes_a_draft || theirs.status == 404, "{route:?}: {} {}", theirs.status, theirs.text());
        assert_eq!(theirs.status, unknown.status, "{route:?}");
        if !makes_a_draft {
            assert_eq!(theirs.text(), unknown.text(), "{route:?}");
        }
        for odd in ["x", "0123456789ABCDEF0123456789ABCDEF", "%00", "..%2f..", "0123456789abcdef"] {
            let path = ours.iter().fold(route.path.clone(), |path, (place, _)| path.replace(place, odd));
            assert_eq!(ask(&mut eve, &route, &path).status, 404, "{route:?} {odd}");
        }
        met += 1;
    }
    assert!(met >= 20, "{met} routes with identifiers");
    let page = read(&mut eve, &format!("/compose?draft={written}"));
    assert!(page.contains("Evil") && !page.contains("Unfinished") && !page.contains("kept.txt"), "hers: {page}");
    let token = eve.csrf().unwrap();
    for own in [[("reply", message.as_str()), ("draft", UNKNOWN)], [("reply", UNKNOWN), ("draft", UNKNOWN)]] {
        let fields =
            [("csrf", token.as_str()), ("subject", "Evil"), ("body", "Evil"), ("expires", "1"), ("action", "send")];
        eve.post_files("/compose", &[&fields[..], &own].concat(), &[]).expect(404);
    }
    let after = shown.map(|path| read(&mut ann, path));
    assert_eq!(before, after, "nothing of Ann's was changed");
    assert_eq!(offset(&mut ann, &resting), Some(5));
    crate::forms::append(&mut ann, &resting, 5, b"67890").expect(204);
    let sent = compose(&mut ann, &format!("?draft={written}"), &[("to", LEE)], &[]).expect(303);
    assert_eq!(file_urls(&read(&mut lee, &sent.location().unwrap())).len(), 2, "and Ann's draft is whole");
}

#[test]
fn nobody_takes_the_message_that_somebody_else_is_writing() {
    let mut all_of_us = pair();
    let mut eve = all_of_us.join("eve@riverside.example", "doctor_mine", "Eve");
    let Pair { world, mut ann, mut lee, .. } = all_of_us;
    world.sign_in(&mut lee, LEE);
    let written = draft(&mut ann);
    upload(&mut ann, &written, "kept.txt", b"kept");
    eve.visit("/compose").expect(200);
    let own = [("draft", written.as_str()), ("to", LEE), ("subject", "Evil"), ("action", "send")];
    eve.post_files("/compose", &filled(&hidden(&eve), &own), &[]).expect(303);
    let sent = compose(&mut ann, &format!("?draft={written}"), &[("to", LEE), ("subject", "Mine")], &[]).expect(303);
    let page = read(&mut lee, &sent.location().unwrap());
    assert!(page.contains("<h1>Mine</h1>") && page.contains("kept.txt"), "{page}");
}

#[test]
fn a_recipient_may_not_do_what_the_sender_may() {
    let Pair { world: _world, mut ann, mut lee, thread, message } = pair();
    let lees = account(&mut ann, LEE);
    lee.visit(&thread).expect(200);
    for action in ["expiry", "recall"] {
        lee.post(&format!("/messages/{message}/{action}"), &[("expires", "1")]).expect(403);
    }
    lee.post(&format!("/messages/{message}/notices/{lees}"), &[]).expect(404);
    assert!(read(&mut lee, &thread).contains("Please look at it."));
}
