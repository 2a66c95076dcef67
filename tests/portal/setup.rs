//! Set-up: one link, once; the recovery kit before anything else.

use crate::client::Client;
use crate::forms::{has_fault, read};
use crate::world::{ADMIN, PASSWORD, World, confirm_kit};

fn form<'f>(token: &'f str, own: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let usual = [
        ("token", token),
        ("practice_name", "Riverside Dental"),
        ("name", "Dr Ann Rivers"),
        ("email", ADMIN),
        ("password", PASSWORD),
        ("expires", "30"),
    ];
    let rest = usual.into_iter().filter(|(name, _)| own.iter().all(|(mine, _)| mine != name));
    rest.chain(own.iter().copied()).collect()
}

/// Set up, with the recovery kit not yet confirmed.
fn founded(world: &World) -> Client {
    let mut admin = world.client();
    admin.visit(world.setup_link.as_ref().unwrap()).expect(200);
    let token = admin.hidden("token").unwrap();
    admin.post("/setup", &form(&token, &[])).expect(303);
    admin
}

#[test]
fn a_form_that_is_refused_comes_back_filled_in_and_sets_nothing_up() {
    let world = World::start();
    let mut admin = world.client();
    let link = world.setup_link.clone().unwrap();
    admin.visit(&link).expect(200);
    let token = admin.hidden("token").unwrap();
    for (field, value) in [
        ("practice_name", " "),
        ("name", ""),
        ("email", "ann at riverside"),
        ("password", "short"),
        ("password", "Riverside Dental 1"),
        ("expires", "31"),
    ] {
        let page = admin.post("/setup", &form(&token, &[(field, value)])).expect(422).text();
        assert!(has_fault(&page, field), "{field}: {page}");
        let kept = if field == "name" { "Riverside Dental" } else { "Dr Ann Rivers" };
        assert!(page.contains(&format!("value=\"{kept}\"")) && !page.contains(PASSWORD), "{page}");
    }
    admin.visit(&link).expect(200);
    assert!(admin.hidden("token").is_some(), "it can still be set up");
}

#[test]
fn the_link_works_once_and_a_wrong_one_never() {
    let world = World::start();
    let mut stranger = world.client();
    for wrong in ["/setup/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "/setup/%20", "/setup/x"] {
        stranger.get(wrong).expect(404);
    }
    stranger.visit("/sign-in").expect(200);
    stranger.post("/setup", &form("AAAA", &[])).expect(404);
    let link = world.setup_link.clone().unwrap();
    world.set_up();
    assert!(read(&mut stranger, &link).contains("Set-up is done"));
    stranger.visit("/sign-in").expect(200);
    let token = link.rsplit('/').next().unwrap();
    let reply = stranger.post("/setup", &form(token, &[("email", "eve@evil.example")]));
    assert!(reply.expect(200).text().contains("Set-up is done"));
    stranger.visit("/sign-in").expect(200);
    stranger.post("/sign-in", &[("email", "eve@evil.example"), ("password", PASSWORD)]).expect(422);
}

#[test]
fn a_restart_before_set_up_makes_a_new_link() {
    let mut world = World::start();
    let first = world.setup_link.clone().unwrap();
    world.restart();
    let second = world.setup_link.clone().unwrap();
    let mut client = world.client();
    client.get(&format!("/setup/{}", first.rsplit('/').next().unwrap())).expect(404);
    client.visit(&second).expect(200);
    world.set_up();
    world.restart();
    assert_eq!(world.setup_link, None, "nothing to set up any more");
}

#[test]
fn the_kit_comes_before_anything_else() {
    let world = World::start();
    let mut admin = founded(&world);
    for path in ["/inbox", "/sent", "/drafts", "/compose", "/people", "/settings/practice", "/outbox", "/profile"] {
        assert_eq!(admin.get(path).expect(303).location().as_deref(), Some("/setup/kit"), "{path}");
    }
    let kit = admin.visit("/setup/kit").expect(200).text();
    assert!(kit.contains("AGE-SECRET-KEY-1") && kit.contains("<svg"));
    admin.visit("/setup/kit/confirm").expect(200);
    let posted = admin.post("/profile", &[("first_name", "A"), ("last_name", "B"), ("time_zone", "UTC")]);
    assert_eq!(posted.expect(303).location().as_deref(), Some("/setup/kit"));

    let fields: Vec<String> = (1..=24).map(|n| format!("word_{n}")).collect();
    let wrong: Vec<(&str, &str)> = fields.iter().map(|name| (name.as_str(), "walnut")).collect();
    let page = admin.post("/setup/kit", &wrong).expect(422).text();
    assert!(page.contains("is not right. Look at the kit that you printed."), "{page}");
    admin.get("/inbox").expect(303);
    assert!(admin.post("/setup/kit", &[]).expect(422).text().contains("is not right"), "nothing typed");
    confirm_kit(&mut admin);
    admin.get("/inbox").expect(200);
}
