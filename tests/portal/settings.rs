//! The administrator's pages: settings, how the installation stands, the outbox of one without mail.

use crate::client::Client;
use crate::forms::{LEE, compose, has_fault, read};
use crate::world::{ADMIN, World, set_up};

#[test]
fn settings_are_checked_kept_and_obeyed() {
    let world = World::start();
    let mut ann = world.set_up();
    ann.visit("/settings/practice").expect(200);
    for (field, name, expires, idle) in [
        ("practice_name", " ", "30", "15"),
        ("expires", "Riverside", "0", "15"),
        ("expires", "Riverside", "31", "15"),
        ("idle_minutes", "Riverside", "30", "4"),
        ("idle_minutes", "Riverside", "30", "61"),
        ("idle_minutes", "Riverside", "30", "soon"),
    ] {
        let fields = [("practice_name", name), ("expires", expires), ("idle_minutes", idle)];
        let page = ann.post("/settings/practice", &fields).expect(422).text();
        assert!(has_fault(&page, field) && page.contains(&format!("value=\"{idle}\"")), "{field}: {page}");
    }
    let fields = [("practice_name", "Zahnärzte am Fluß"), ("expires", "9"), ("idle_minutes", "5")];
    ann.post("/settings/practice", &fields).expect(303);
    let page = read(&mut ann, "/settings/practice");
    assert!(page.contains("value=\"Zahnärzte am Fluß\"") && page.contains("data-seconds=\"300\""), "{page}");
    assert!(read(&mut world.client(), "/sign-in").contains("Zahnärzte am Fluß"));
    world.turn(300);
    ann.get("/inbox").expect(200);
    world.turn(301);
    ann.get("/inbox").expect(303);
    world.sign_in(&mut ann, ADMIN);
    let about = read(&mut ann, "/settings/about");
    assert!(about.contains(env!("CARGO_PKG_VERSION")) && about.contains("notices stand on the outbox page"), "{about}");
}

#[test]
fn the_outbox_shows_letters_without_content() {
    let world = World::start();
    let mut ann = world.set_up();
    compose(&mut ann, "", &[("to", LEE), ("subject", "Unspoken"), ("body", "Unheard")], &[]).expect(303);
    let page = read(&mut ann, "/outbox");
    assert!(page.contains(&format!("To {LEE}")) && page.contains("Dr Ann Rivers sent you a secure message"), "{page}");
    assert!(page.contains("Wednesday, 23 December 2026, 10:00") && page.contains("/register/"), "{page}");
    assert!(!page.contains("Unspoken") && !page.contains("Unheard"), "{page}");
    let mut lee = world.register(&mut ann, LEE, "Lee", "Hill");
    lee.get("/outbox").expect(404);
    let link = world.link_to(&mut ann, LEE);
    assert!(link.starts_with("/threads/"), "a registered person is led to the conversation: {link}");
}

#[test]
fn there_is_no_outbox_where_mail_goes_out_or_others_can_reach_us() {
    let world = World::start_with_mail(9);
    let mut ann = world.set_up();
    assert!(!ann.visit("/inbox").expect(200).text().contains("outbox\""));
    ann.get("/outbox").expect(404);
    assert!(read(&mut ann, "/settings/about").contains("Notices go to the mail server 127.0.0.1."));
    let world = World::start_with(|config| {
        config.public_url = "https://post.riverside.example".parse().unwrap();
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.accept_weak_erase = true;
    });
    let mut ann = Client::at(world.address, "https://post.riverside.example");
    ann.headers.push(("X-Forwarded-For".into(), "203.0.113.9".into()));
    let link = world.setup_link.clone().unwrap();
    assert!(link.starts_with("https://post.riverside.example/setup/"), "{link}");
    set_up(&mut ann, &link);
    ann.get("/outbox").expect(404);
    let about = read(&mut ann, "/settings/about");
    assert!(about.contains("nobody is told of their messages"), "{about}");
}
