//! Signing in and out: locks, limits, idleness, cookies.

use crate::client::{Client, unescape};
use crate::forms::{LEE, pair, person};
use crate::world::{ADMIN, NOW, PASSWORD, World};

fn attempt(client: &mut Client, email: &str, password: &str) -> crate::client::Reply {
    client.visit("/sign-in").expect(200);
    client.post("/sign-in", &[("email", email), ("password", password)])
}

#[test]
fn five_wrong_passwords_lock_and_a_user_manager_unlocks() {
    let mut pair = pair();
    let mut client = pair.world.client();
    for _ in 0..5 {
        let page = attempt(&mut client, LEE, "not the right one").expect(422).text();
        assert!(page.contains("is not right") && page.contains(&format!("value=\"{LEE}\"")), "{page}");
    }
    assert!(attempt(&mut client, LEE, PASSWORD).expect(422).text().contains("is not right"), "nor does a lock tell");
    pair.lee.get("/inbox").expect(200);
    pair.world.turn(600);
    attempt(&mut client, LEE, PASSWORD).expect(422);
    let line = person(&mut pair.ann, LEE);
    assert!(line.contains("Locked") && line.contains("/unlock"), "{line}");
    let id = pair.account(LEE);
    pair.ann.post(&format!("/people/{id}/unlock"), &[]).expect(303);
    attempt(&mut client, LEE, PASSWORD).expect(303);
    client.get("/inbox").expect(200);
    assert!(person(&mut pair.ann, LEE).contains("Active"));
}

#[test]
fn a_stranger_cannot_tell_who_has_an_account() {
    let world = World::start();
    world.set_up();
    let mut client = world.client();
    let mut answer = |email: &str| {
        let page = attempt(&mut client, email, "not the right one").expect(422).text();
        page.replace(email, "-").replace(&client.csrf().unwrap(), "-")
    };
    assert_eq!(answer(ADMIN), answer("nobody@riverside.example"));
    assert_eq!(answer(ADMIN), answer("no address"));
}

#[test]
fn idle_for_fifteen_minutes_is_signed_out() {
    let world = World::start();
    let mut ann = world.set_up();
    world.turn(15 * 60);
    ann.get("/still-here").expect(204);
    world.turn(15 * 60);
    ann.get("/inbox").expect(200);
    world.turn(15 * 60 + 1);
    let to = ann.get("/inbox").expect(303).location().unwrap();
    assert_eq!(to, "/sign-in?next=%2Finbox&idle=1");
    assert!(ann.visit(&to).expect(200).text().contains("nothing happened for a while"));
    let script = ann.send("GET", "/still-here", &[("Accept", "application/json")], b"").expect(401);
    assert!(script.text().contains("signed_out"));
    world.sign_in(&mut ann, ADMIN);
}

#[test]
fn ten_hours_are_the_longest() {
    let world = World::start();
    let mut ann = world.set_up();
    let start = world.now();
    while world.now().since(start) + 14 * 60_000 <= 10 * 3_600_000 {
        world.turn(14 * 60);
        ann.get("/still-here").expect(204);
    }
    world.turn(14 * 60);
    assert!(world.now().since(start) > 10 * 3_600_000 && NOW == start);
    ann.get("/inbox").expect(303);
}

#[test]
fn signing_out_ends_the_session_here_and_on_the_server() {
    let world = World::start();
    let mut ann = world.set_up();
    let kept = ann.cookies.clone();
    let reply = ann.post("/sign-out", &[]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/sign-in"));
    assert_eq!(reply.header("clear-site-data"), Some("\"cache\", \"storage\""));
    assert!(!ann.cookies.contains_key("sealpost"));
    let mut thief = world.client();
    thief.cookies = kept;
    thief.get("/inbox").expect(303);
}

#[test]
fn next_leads_to_our_own_pages_only() {
    let world = World::start();
    let mut ann = world.set_up();
    ann.post("/sign-out", &[]).expect(303);
    let bad =
        ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "evil", "/\t/evil", ""];
    for (given, leads) in bad.map(|given| (given, "/inbox")).into_iter().chain([("/threads/1?a=b", "/threads/1?a=b")]) {
        world.turn(30);
        ann.visit("/sign-in").expect(200);
        let reply = ann.post("/sign-in", &[("email", ADMIN), ("password", PASSWORD), ("next", given)]).expect(303);
        assert_eq!(reply.header("location"), Some(leads), "{given:?}");
        let query = crate::client::encode(given);
        let there = ann.get(&format!("/sign-in?next={query}")).expect(303);
        let there = there.header("location").unwrap().to_owned();
        assert!(there == "/" || there == leads, "{given:?} led to {there}");
        ann.visit("/profile").expect(200);
        ann.post("/sign-out", &[]).expect(303);
    }
    let page = ann.get("/sign-in?next=%22%3E%3Cscript%3E").expect(200).text();
    assert!(!page.contains("\"><script>") && unescape(&page).contains("\"><script>"));
}

#[test]
fn cookies_are_for_us_alone() {
    let world = World::start();
    world.set_up();
    let mut client = world.client();
    let visit = client.get("/sign-in").expect(200);
    assert!(visit.header("set-cookie").unwrap().ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    let reply = client.post("/sign-in", &[("email", ADMIN), ("password", PASSWORD)]).expect(303);
    let cookie = reply.header("set-cookie").unwrap().to_owned();
    let token = cookie.strip_prefix("sealpost=").unwrap().split(';').next().unwrap();
    assert_eq!(token.len(), 43, "256 bits");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");

    let world = World::start_with(|config| config.public_url = "https://post.riverside.example".parse().unwrap());
    let mut client = Client::at(world.address, "https://post.riverside.example");
    let link = world.setup_link.clone().unwrap();
    let cookie = client.get(&link).expect(200).header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-sealpost-visit="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
}

#[test]
fn too_many_tries_wait() {
    let world = World::start();
    world.set_up();
    let mut client = world.client();
    for _ in 0..10 {
        attempt(&mut client, "somebody@riverside.example", "wrong").expect(422);
    }
    let reply = attempt(&mut client, "Somebody@riverside.example ", "wrong").expect(429);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait) && reply.text().contains("Please wait"), "{wait}");
    world.turn(wait);
    attempt(&mut client, "somebody@riverside.example", "wrong").expect(422);

    let mut scanner = world.client();
    let answers: Vec<u16> = (0..25).map(|_| scanner.get("/setup/guess").status).collect();
    assert!(answers.ends_with(&[429]) && !answers[..19].contains(&429), "{answers:?}");
}
