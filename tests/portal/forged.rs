//! Forged requests: every route that changes something refuses what does not come from one of our own pages, and changes
//! nothing.

use crate::client::{Client, Reply};
use crate::forms::{LEE, Pair, account, begin, contact, draft, filled, group, hidden, offset, pair, read};
use crate::routes::{Route, changing};
use crate::world::ADMIN;

/// How a request is forged.
#[derive(Clone, Copy, Debug)]
enum Forgery<'f> {
    /// Without any token.
    NoToken,
    /// With this one, of somebody else's session.
    Token(&'f str),
    /// With the right token, and this header that says it came from elsewhere.
    Elsewhere(&'f str, (&'f str, &'f str)),
}

fn forge(client: &mut Client, route: &Route, path: &str, how: Forgery<'_>) -> Reply {
    let (token, from) = match how {
        Forgery::NoToken => (None, None),
        Forgery::Token(token) => (Some(token), None),
        Forgery::Elsewhere(token, from) => (Some(token), Some(from)),
    };
    let values =
        [("revision", "0"), ("draft", "0123456789abcdef0123456789abcdef"), ("subject", "Forged"), ("expires", "1")];
    let fields: Vec<_> = token.map(|token| ("csrf", token)).into_iter().chain(values).collect();
    let mut headers: Vec<(&str, &str)> = from.into_iter().collect();
    let encoded: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (kind, body) = match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/compose" | "/contacts/import") => {
            client.page.clear();
            client.multipart(&fields, &[])
        }
        ("POST", "/drafts/:id/files") | ("PATCH" | "DELETE", _) => {
            headers.extend([("Tus-Resumable", "1.0.0"), ("Upload-Offset", "0"), ("Upload-Length", "4")]);
            headers.extend(token.map(|token| ("X-CSRF-Token", token)));
            (
                "application/offset+octet-stream".to_owned(),
                if route.method == "PATCH" { b"evil".to_vec() } else { vec![] },
            )
        }
        _ => ("application/x-www-form-urlencoded".to_owned(), encoded.join("&").into_bytes()),
    };
    headers.push(("Content-Type", &kind));
    client.send(&route.method, path, &headers, &body)
}

#[test]
fn nothing_is_changed_without_proof_of_our_own_page() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    let (lees, written) = (account(&mut ann, LEE), draft(&mut ann));
    let page = hidden(&ann);
    ann.post_files("/compose", &filled(&page, &[("to", LEE), ("action", "save")]), &[]).expect(303);
    let resting = begin(&mut ann, &written, "half.txt", 10);
    let link = crate::forms::compose(&mut ann, "", &[("to", "kim@hillside.example")], &[]).expect(303);
    ann.follow(link).expect(200);
    let invitation = world.link_to(&mut ann, "kim@hillside.example");
    ann.get(&invitation);
    let kim = contact(&mut ann, &[("first_name", "Kim"), ("email", "kim@lake.example")]);
    let recall = group(&mut ann, "Recall", "kim@lake.example");
    let ids = [
        ("/contacts/groups/:group", format!("/contacts/groups/{recall}")),
        ("/contacts/:id", format!("/contacts/{kim}")),
        ("/messages/:id", format!("/messages/{message}")),
        ("/drafts/:id", format!("/drafts/{written}")),
        ("/uploads/:id", resting.clone()),
        ("/people/:id", format!("/people/{lees}")),
        (":account", lees.clone()),
        (":file", "0123456789abcdef0123456789abcdef".to_owned()),
    ];
    let seen = |ann: &mut Client| {
        let paths = [&thread, "/sent", "/drafts", "/people", "/profile", "/settings/practice", "/outbox", "/inbox"];
        let contacts = ["/contacts", "/contacts/groups"];
        [&paths[..], &contacts].concat().into_iter().map(|path| read(ann, path)).collect::<Vec<_>>()
    };
    read(&mut ann, "/inbox");
    let (before, right) = (seen(&mut ann), ann.csrf().unwrap());
    lee.visit("/inbox").expect(200);
    let theirs = lee.csrf().unwrap();
    let origin = format!("{}.evil.example", ann.origin);
    let evil = format!("https://evil.example/{}", ann.origin);
    let referer = [("Origin", ""), ("Referer", evil.as_str())];
    for route in changing() {
        let path = ids.iter().fold(route.path.clone(), |path, (place, id)| path.replace(place, id));
        assert!(!path.contains(':'), "an identifier of {} is not known here: add it", route.path);
        let forgeries = [
            Forgery::NoToken,
            Forgery::Token(""),
            Forgery::Token(&theirs),
            Forgery::Token("0000000000000000000000000000000000000000000000000000000000000000"),
            Forgery::Elsewhere(&right, ("Origin", "https://evil.example")),
            Forgery::Elsewhere(&right, ("Origin", &origin)),
            Forgery::Elsewhere(&right, ("Origin", "null")),
            Forgery::Elsewhere(&right, ("Sec-Fetch-Site", "cross-site")),
            Forgery::Elsewhere(&right, ("Sec-Fetch-Site", "same-site")),
            Forgery::Elsewhere(&right, referer[0]),
        ];
        for how in forgeries {
            let reply = forge(&mut ann, &route, &path, how);
            assert_eq!(reply.status, 403, "{route:?} {how:?}: {}", reply.text());
            assert_eq!(reply.all("set-cookie").count(), 0, "{route:?} {how:?}");
        }
    }
    ann.headers.push(("Referer".into(), evil.clone()));
    ann.get("/inbox").expect(200);
    ann.headers.clear();
    assert_eq!(seen(&mut ann), before);
    assert_eq!(offset(&mut ann, &resting), Some(0));
}

#[test]
fn a_stranger_needs_the_token_of_their_own_visit() {
    let Pair { world, mut ann, .. } = pair();
    ann.visit("/inbox").expect(200);
    let (mut one, mut other) = (world.client(), world.client());
    one.visit("/sign-in").expect(200);
    other.visit("/sign-in").expect(200);
    let theirs = other.csrf().unwrap();
    let right = one.csrf().unwrap();
    assert!(right != theirs && right != ann.csrf().unwrap());
    let open = ["/setup", "/sign-in", "/password-strength"];
    for route in
        changing().iter().filter(|route| open.contains(&route.path.as_str()) || route.path.starts_with("/register/"))
    {
        for how in
            [Forgery::NoToken, Forgery::Token(&theirs), Forgery::Elsewhere(&right, ("Origin", "https://evil.example"))]
        {
            assert_eq!(forge(&mut one, route, &route.path, how).status, 403, "{route:?} {how:?}");
        }
    }
    let mut bare = world.client();
    let fields = format!("csrf={right}&email={ADMIN}&password=x");
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    bare.send("POST", "/sign-in", &kind, fields.as_bytes()).expect(403);
    one.send("POST", "/sign-in", &[("Content-Type", "text/plain")], fields.as_bytes()).expect(403);
    one.send("POST", "/sign-in", &kind, fields.as_bytes()).expect(422);
}

#[test]
fn whoever_is_not_signed_in_changes_nothing() {
    let world = crate::world::World::start();
    world.set_up();
    let mut stranger = world.client();
    stranger.visit("/sign-in").expect(200);
    let token = stranger.csrf().unwrap();
    for route in changing() {
        let first = route.path.split('/').nth(1).unwrap();
        if matches!(first, "setup" | "sign-in" | "password-strength" | "register") && route.path != "/setup/kit" {
            continue;
        }
        let path = [":id", ":file", ":account", ":group"]
            .iter()
            .fold(route.path.clone(), |path, place| path.replace(place, "0123456789abcdef0123456789abcdef"));
        let reply = forge(&mut stranger, &route, &path, Forgery::Token(&token));
        let leads = reply.location();
        let asks = reply.status == 401
            || (reply.status == 303 && leads.as_deref().is_some_and(|to| to.starts_with("/sign-in")));
        assert!(asks, "{route:?}: {} {leads:?}", reply.status);
    }
}
