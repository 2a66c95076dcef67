//! Rights: what a User Manager may not do, and what a disabled person does not get.

use crate::client::{Client, Reply, unescape};
use crate::world::{ADMIN, PASSWORD, World, between, send};

const LEE: &str = "lee@hillside.example";

/// The people page's line of somebody.
fn line(manager: &mut Client, address: &str) -> String {
    let page = unescape(&manager.visit("/people").expect(200).text());
    page.split("<li class=\"person\">").skip(1).find(|person| person.contains(address)).unwrap().to_owned()
}

fn id_of(manager: &mut Client, address: &str) -> String {
    between(&line(manager, address), "/people/", "\"").split('/').next().unwrap().to_owned()
}

fn correct(manager: &mut Client, id: &str, email: &str, extra: &[(&str, &str)]) -> Reply {
    let fields = [("first_name", "Lee"), ("last_name", "Hill"), ("email", email), ("relationship", "doctor_other")];
    manager.visit("/people").expect(200);
    manager.post(&format!("/people/{id}"), &[&fields, extra].concat())
}

/// An administrator, and a User Manager who is none.
fn with_manager(world: &World) -> (Client, Client) {
    let mut ann = world.set_up();
    send(&mut ann, LEE, "Tooth 14", "Please look.");
    let lee = world.register(&mut ann, LEE, "Lee", "Hill");
    let id = id_of(&mut ann, LEE);
    correct(&mut ann, &id, LEE, &[("manager", "1")]).expect(303);
    (ann, lee)
}

#[test]
fn a_manager_makes_no_managers_and_does_not_touch_administrators() {
    let world = World::start();
    let (mut ann, mut lee) = with_manager(&world);
    send(&mut ann, "kim@lake.example", "Tooth 15", "Please look.");
    world.register(&mut ann, "kim@lake.example", "Kim", "Lake");
    let (kim, admin) = (id_of(&mut ann, "kim@lake.example"), id_of(&mut ann, ADMIN));

    correct(&mut lee, &kim, "kim@lake.example", &[("manager", "1")]).expect(303);
    let page = ann.visit(&format!("/people/{kim}")).expect(200).text();
    assert!(!between(&page, "name=\"manager\"", ">").contains("checked"), "{page}");

    send(&mut ann, "pat@lake.example", "Tooth 16", "Please look.");
    let invited = id_of(&mut ann, "pat@lake.example");
    let refused = correct(&mut ann, &invited, "pat@lake.example", &[("manager", "1")]).expect(422).text();
    assert!(unescape(&refused).contains("once they have registered"), "there is no key yet to seal a share to");
    assert!(!ann.visit(&format!("/people/{invited}")).expect(200).text().contains("name=\"manager\""));

    correct(&mut lee, &admin, ADMIN, &[]).expect(403);
    assert!(!line(&mut lee, ADMIN).contains(&format!("/people/{admin}\"")), "no link to what is refused");
    lee.post(&format!("/people/{admin}/disable"), &[]).expect(303);
    assert!(line(&mut ann, ADMIN).contains("Active"));
    for path in ["/settings/practice", "/settings/about", "/outbox", "/setup/kit"] {
        lee.get(path).expect(404);
    }
}

#[test]
fn a_new_address_is_invited_and_the_old_link_is_void() {
    let world = World::start();
    let mut ann = world.set_up();
    send(&mut ann, "lee@hilside.example", "Tooth 14", "Please look.");
    let old = world.link_to(&mut ann, "lee@hilside.example");
    let id = id_of(&mut ann, "lee@hilside.example");
    correct(&mut ann, &id, LEE, &[]).expect(303);
    assert!(!world.client().visit(&old).expect(200).text().contains("first_name"));
    let mut lee = world.register(&mut ann, LEE, "Lee", "Hill");
    assert!(lee.get("/inbox").expect(200).text().contains("Tooth 14"));
}

#[test]
fn a_disabled_person_gets_nothing_more() {
    let world = World::start();
    let (mut ann, mut lee) = with_manager(&world);
    let inbox = unescape(&lee.get("/inbox").expect(200).text());
    let thread = between(&inbox, "href=\"/threads/", "\"").to_owned();
    let id = id_of(&mut ann, LEE);
    ann.post(&format!("/people/{id}/disable"), &[]).expect(303);
    lee.get("/inbox").expect(303);
    let mut again = world.client();
    again.visit("/sign-in").expect(200);
    again.post("/sign-in", &[("email", LEE), ("password", PASSWORD)]).expect(422);

    let page = unescape(&ann.visit(&format!("/threads/{thread}")).expect(200).text());
    let message = between(&page, "/messages/", "/").to_owned();
    ann.post(&format!("/messages/{message}/notices/{id}"), &[]).expect(303);
    assert!(ann.visit(&format!("/threads/{thread}")).expect(200).text().contains("is disabled"));
    ann.visit(&format!("/compose?reply={message}")).expect(200);
    let (draft, reply) = (ann.hidden("draft").unwrap(), ann.hidden("reply").unwrap());
    let fields = [
        ("draft", &*draft),
        ("reply", &reply),
        ("to", ""),
        ("subject", "Re: a"),
        ("body", "b"),
        ("expires", "3"),
        ("action", "send"),
    ];
    assert!(ann.post_files("/compose", &fields, &[]).expect(422).text().contains("is disabled"));
    let outbox = ann.get("/outbox").expect(200).text();
    assert!(!outbox.contains(LEE), "{outbox}");
}
