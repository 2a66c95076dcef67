//! One's own profile: password, sessions, key.

use crate::forms::{LEE, Pair, has_fault, pair, read};
use crate::world::{ADMIN, PASSWORD, World};

const NEW: &str = "nine loud otters paddle";

#[test]
fn a_new_password_ends_other_sessions_and_kills_the_old_one() {
    let Pair { world, mut lee, thread, .. } = pair();
    let mut elsewhere = world.client();
    world.sign_in(&mut elsewhere, LEE);
    lee.visit("/profile").expect(200);
    for (current, new, field) in [
        ("wrong", NEW, "current_password"),
        (PASSWORD, "short", "password"),
        (PASSWORD, "lee@hillside.example", "password"),
    ] {
        let page =
            lee.post("/profile/password", &[("current_password", current), ("password", new)]).expect(422).text();
        assert!(has_fault(&page, field) && !page.contains(PASSWORD) && page.contains("value=\"Hill\""), "{page}");
    }
    elsewhere.get("/inbox").expect(200);
    lee.post("/profile/password", &[("current_password", PASSWORD), ("password", NEW)]).expect(303);
    lee.get("/inbox").expect(200);
    elsewhere.get("/inbox").expect(303);
    world.turn(60);
    elsewhere.visit("/sign-in").expect(200);
    elsewhere.post("/sign-in", &[("email", LEE), ("password", PASSWORD)]).expect(422);
    elsewhere.post("/sign-in", &[("email", LEE), ("password", NEW)]).expect(303);
    assert!(read(&mut elsewhere, &thread).contains("Please look at it."), "nothing is lost");
}

#[test]
fn other_sessions_are_listed_and_ended() {
    let world = World::start();
    let mut ann = world.set_up();
    let mut phone = world.client();
    phone
        .headers
        .push(("User-Agent".into(), "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19 Safari/604.1".into()));
    world.sign_in(&mut phone, ADMIN);
    let page = read(&mut ann, "/profile");
    assert!(page.contains("Safari on iPhone") && page.matches("This one").count() == 1, "{page}");
    ann.post("/profile/sessions/end-others", &[]).expect(303);
    phone.get("/inbox").expect(303);
    assert!(!read(&mut ann, "/profile").contains("Safari on iPhone"));
}

#[test]
fn the_key_is_handed_over_against_the_password() {
    let world = World::start();
    let mut ann = world.set_up();
    ann.visit("/profile").expect(200);
    let page = ann.post("/profile/key", &[("current_password", "wrong")]).expect(422).text();
    assert!(has_fault(&page, "key_password") && !page.contains("AGE-SECRET-KEY-1"), "{page}");
    let reply = ann.post("/profile/key", &[("current_password", PASSWORD)]).expect(200);
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"sealpost-key.txt\""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let key = reply.text();
    assert!(key.contains("# public key: age1") && key.contains("\nAGE-SECRET-KEY-1"), "{}", key.len());
}

#[test]
fn a_profile_is_kept_and_a_wrong_one_comes_back() {
    let world = World::start();
    let mut ann = world.set_up();
    ann.visit("/profile").expect(200);
    let fields = |own: (&'static str, &'static str)| {
        let usual = [
            ("first_name", "Anna"),
            ("last_name", "Flüsse"),
            ("office_phone", "+49 30 555 0100"),
            ("cell_phone", ""),
            ("time_zone", "Europe/Berlin"),
            ("signature", "Dr. Flüsse"),
            ("expires", "7"),
        ];
        usual.map(|(name, value)| if name == own.0 { own } else { (name, value) })
    };
    let long: &'static str = Box::leak("s".repeat(2001).into_boxed_str());
    for wrong in [
        ("first_name", ""),
        ("last_name", " "),
        ("office_phone", "at work"),
        ("time_zone", "Europe/Riverside"),
        ("signature", long),
        ("expires", "31"),
    ] {
        let page = ann.post("/profile", &fields(wrong)).expect(422).text();
        assert!(has_fault(&page, wrong.0), "{}: {page}", wrong.0);
        assert_eq!(page.contains("<option value=\"7\" selected>"), wrong.0 != "expires", "{}: {page}", wrong.0);
        let kept = if wrong.0 == "last_name" { "Anna" } else { "Flüsse" };
        assert!(page.contains(&format!("value=\"{kept}\"")), "{}", wrong.0);
    }
    assert!(read(&mut ann, "/profile").contains("value=\"Dr Ann\""), "nothing was kept of what was refused");
    ann.post("/profile", &fields(("", ""))).expect(303);
    let page = read(&mut ann, "/profile");
    assert!(page.contains("value=\"Flüsse\"") && page.contains("<option selected>Europe/Berlin</option>"), "{page}");
    assert!(page.contains("11:00"), "times are in the reader's zone: {page}");
    let mut practice = fields(("expires", ""));
    practice[0].1 = "";
    let page = ann.post("/profile", &practice).expect(422).text();
    assert!(page.contains("value=\"7\"") && !page.contains("value=\"7\" selected"), "back to the practice's: {page}");
}
