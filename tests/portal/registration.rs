//! Registration: the link of a notice, the code by phone, the terms, the password.

use crate::client::Client;
use crate::forms::{LEE, account, compose, has_fault, person, read};
use crate::world::{ADMIN, DAY, PASSWORD, World, code_for};

const DETAILS: [(&str, &str); 4] =
    [("first_name", "Lee"), ("last_name", "Hill"), ("office_phone", ""), ("cell_phone", "+1 555 0100")];

/// Ann has written to Lee; the path of the thread.
fn invited(world: &World) -> (Client, String) {
    let mut ann = world.set_up();
    let thread = compose(&mut ann, "", &[("to", LEE)], &[]).expect(303).location().unwrap();
    (ann, thread)
}

/// A browser at the page that asks for the code, by this link.
fn at_code(world: &World, link: &str) -> Client {
    let mut lee = world.client();
    lee.visit(link).expect(200);
    lee.post("/register/details", &DETAILS).expect(303);
    lee.visit("/register/code").expect(200);
    lee
}

fn other_than(code: &str) -> &'static str {
    if code == "123456" { "654321" } else { "123456" }
}

#[test]
fn opening_the_link_consumes_nothing() {
    let world = World::start();
    let (mut ann, thread) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    let before = read(&mut ann, &thread);
    for _ in 0..10 {
        let mut scanner = world.client();
        scanner.send("HEAD", &link, &[], b"");
        let page = read(&mut scanner, &link);
        assert!(page.contains("Dr Ann Rivers") && page.contains(LEE), "{page}");
        assert!(!page.contains("Tooth 14") && !page.contains("Please look"), "{page}");
        assert!(
            !scanner.path.contains("register/") || scanner.path == "/register/details",
            "no token in {}",
            scanner.path
        );
    }
    assert_eq!(read(&mut ann, &thread), before);
    let mut lee = world.register_by(&mut ann, &link, LEE, "Lee", "Hill");
    assert!(read(&mut lee, &thread).contains("Please look at it."));
}

#[test]
fn a_link_without_the_code_is_useless() {
    let world = World::start();
    let (mut ann, thread) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    let mut finder = at_code(&world, &link);
    assert_eq!(finder.get("/register/account").expect(303).location().as_deref(), Some("/register/details"));
    let reply = finder.post("/register/account", &[("terms", "1"), ("password", PASSWORD)]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/register/details"));
    let code = code_for(&mut ann, LEE);
    for path in ["/register/details", "/register/code", &link] {
        let page = finder.visit(path).expect(200).text();
        assert!(!page.contains(&code) && !page.contains("Tooth 14"), "{page}");
    }
    let asked = finder.get(&thread).expect(303).location().unwrap();
    assert!(asked.starts_with("/sign-in"));
    finder.visit("/register/code").expect(200);
    for left in ["You have 4 more tries", "You have 3 more tries", "You have 2 more tries", "You have one more try"] {
        let page = finder.post("/register/code", &[("code", other_than(&code))]).expect(422).text();
        assert!(page.contains(left) && has_fault(&page, "code"), "{left}: {page}");
    }
    let page = finder.post("/register/code", &[("code", other_than(&code))]).expect(422).text();
    assert!(page.contains("no longer good"), "{page}");
    assert!(!person(&mut ann, LEE).contains("code-digits"), "a used-up code is not read out");
    world.turn(60);
    assert!(finder.post("/register/code", &[("code", &code)]).expect(422).text().contains("no longer good"));
    finder.get("/register/account").expect(303);
}

#[test]
fn a_code_lives_ten_minutes_and_a_new_one_voids_it() {
    let world = World::start();
    let (mut ann, _) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    let mut lee = at_code(&world, &link);
    let first = code_for(&mut ann, LEE);
    world.turn(599);
    ann.get("/still-here").expect(204);
    assert!(lee.visit("/register/code").expect(200).text().contains("You have 5 tries left"));
    world.turn(1);
    assert!(lee.post("/register/code", &[("code", &first)]).expect(422).text().contains("no longer good"));
    lee.visit("/register/details").expect(200);
    let to = lee.post("/register/resend", &[]).expect(303);
    assert!(lee.follow(to).expect(200).text().contains("There is a new code"));
    let mut second = code_for(&mut ann, LEE);
    lee.post("/register/resend", &[]).expect(303);
    let third = code_for(&mut ann, LEE);
    if second == third {
        second = other_than(&third).to_owned();
    }
    lee.post("/register/code", &[("code", &second)]).expect(422);
    let typed = format!(" {} {}", &third[..3], &third[3..]);
    lee.post("/register/code", &[("code", &typed)]).expect(303);
    lee.visit("/register/account").expect(200);
    world.turn(1800);
    assert_eq!(lee.get("/register/account").expect(303).location().as_deref(), Some("/register/details"));
}

#[test]
fn a_right_code_opens_one_persons_registration_in_one_browser() {
    let world = World::start();
    let (mut ann, _) = invited(&world);
    compose(&mut ann, "", &[("to", "kim@hillside.example")], &[]).expect(303);
    let (lee_link, kim_link) = (world.link_to(&mut ann, LEE), world.link_to(&mut ann, "kim@hillside.example"));
    let mut kim = at_code(&world, &kim_link);
    let code = code_for(&mut ann, "kim@hillside.example");
    kim.post("/register/code", &[("code", &code)]).expect(303);
    let held = kim.cookies["sealpost-invite"].clone();
    let ticket = held.split_once('.').unwrap().1;
    let mut swapped = world.client();
    swapped.visit("/sign-in").expect(200);
    let lee_token = lee_link.rsplit('/').next().unwrap();
    for cookie in [format!("{lee_token}.{ticket}"), lee_token.to_owned(), format!("{lee_token}."), ticket.to_owned()] {
        swapped.cookies.insert("sealpost-invite".to_owned(), cookie);
        swapped.get("/register/account").expect(303);
        swapped.post("/register/account", &[("terms", "1"), ("password", PASSWORD)]).expect(303);
    }
    kim.visit("/register/account").expect(200);
}

#[test]
fn a_whole_office_registers_at_once_and_one_link_is_not_hammered() {
    let world = World::start();
    let mut ann = world.set_up();
    let people: Vec<String> = (0..10).map(|n| format!("p{n}@hillside.example")).collect();
    for address in &people {
        compose(&mut ann, "", &[("to", address)], &[]).expect(303);
    }
    let links: Vec<String> = people.iter().map(|address| world.link_to(&mut ann, address)).collect();
    let mut office: Vec<Client> = links.iter().map(|link| at_code(&world, link)).collect();
    for (client, address) in office.iter_mut().zip(&people) {
        client.post("/register/resend", &[]).expect(303);
        let code = code_for(&mut ann, address);
        client.post("/register/code", &[("code", other_than(&code))]).expect(422);
        client.post("/register/code", &[("code", &code)]).expect(303);
        client.visit("/register/account").expect(200);
        client.post("/register/account", &[("terms", "1"), ("password", PASSWORD)]).expect(303);
    }
    compose(&mut ann, "", &[("to", LEE)], &[]).expect(303);
    let mut lee = at_code(&world, &world.link_to(&mut ann, LEE));
    let asked: Vec<u16> = (0..5).map(|_| lee.post("/register/resend", &[]).status).collect();
    assert_eq!(asked, [303, 303, 303, 303, 429]);
    lee.visit("/register/code").expect(200);
    let typed: Vec<u16> = (0..11).map(|_| lee.post("/register/code", &[("code", "1")]).status).collect();
    assert_eq!(typed.iter().filter(|status| **status == 429).count(), 1, "{typed:?}");
}

#[test]
fn terms_and_a_good_password_are_needed() {
    let world = World::start();
    let (mut ann, _) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    let mut lee = world.client();
    lee.visit(&link).expect(200);
    let page = lee.post("/register/details", &[("first_name", " "), ("last_name", "Hill")]).expect(422).text();
    assert!(has_fault(&page, "first_name") && page.contains("value=\"Hill\""), "{page}");
    let mut lee = at_code(&world, &link);
    let code = code_for(&mut ann, LEE);
    lee.post("/register/code", &[("code", &code)]).expect(303);
    let page = read(&mut lee, "/register/account");
    assert!(page.contains("href=\"/terms\""));
    let page = lee.post("/register/account", &[("password", PASSWORD)]).expect(422).text();
    assert!(has_fault(&page, "terms"), "{page}");
    for weak in ["", "short", "lee@hillside.example", "passwordpassword", "Riverside Dental"] {
        world.turn(10);
        let page = lee.post("/register/account", &[("terms", "1"), ("password", weak)]).expect(422).text();
        assert!(has_fault(&page, "password") && page.contains(" checked"), "{weak}: {page}");
    }
    world.turn(60);
    let terms = read(&mut lee, "/terms");
    assert!(terms.contains("2026-11"));
    lee.visit("/register/account").expect(200);
    let reply = lee.post("/register/account", &[("terms", "1"), ("password", PASSWORD)]).expect(303);
    let thread = reply.location().unwrap();
    assert!(thread.starts_with("/threads/"), "on the message: {thread}");
    assert!(read(&mut lee, &thread).contains("Please look at it."));
    assert!(!lee.cookies.contains_key("sealpost-invite"));
}

#[test]
fn an_expired_link_asks_the_sender_for_a_new_one() {
    let world = World::start();
    let (mut ann, thread) = invited(&world);
    let old = world.link_to(&mut ann, LEE);
    world.turn(7 * DAY - 1);
    let mut lee = world.client();
    assert!(read(&mut lee, &old).contains("Step 1 of 3"));
    world.turn(1);
    let page = read(&mut lee, &old);
    assert!(page.contains("This link no longer works") && page.contains("Dr Ann Rivers of Riverside Dental"), "{page}");
    lee.get("/register/account").expect(303);
    lee.post("/register/details", &DETAILS);
    assert!(!lee.get("/register/code").text().contains("Type the secret code"), "no code by an expired link");
    lee.visit(&old).expect(200);
    let page = lee.post("/register/ask", &[]).expect(200).text();
    assert!(page.contains("We have asked for a new link"), "{page}");
    lee.visit("/sign-in").expect(200);
    lee.post("/register/ask", &[]).expect(200);
    assert!(read(&mut lee, &old).contains("We have asked for a new link"));

    world.sign_in(&mut ann, ADMIN);
    let outbox = read(&mut ann, "/outbox");
    assert_eq!(
        outbox.matches("Lee Hill asks for a new link").count()
            + outbox.matches("lee@hillside.example asks for a new link").count(),
        1,
        "{outbox}"
    );
    assert!(person(&mut ann, LEE).contains("Asks for a new link"));
    let page = read(&mut ann, &thread);
    assert!(page.contains("Asks for a new link"), "{page}");
    let resend =
        page.split("action=\"").map(|rest| rest.split('"').next().unwrap()).find(|url| url.contains("/notices/"));
    let resend = resend.expect("a button that sends the notice again").to_owned();
    ann.post(&resend, &[]).expect(303);
    assert!(!read(&mut ann, &thread).contains("Asks for a new link"));
    let new = world.link_to(&mut ann, LEE);
    assert_ne!(new, old);
    let mut lee = world.register_by(&mut ann, &new, LEE, "Lee", "Hill");
    assert!(read(&mut lee, &thread).contains("Please look at it."));
}

#[test]
fn whoever_never_registers_is_forgotten_with_the_last_line() {
    let world = World::start();
    let mut ann = world.set_up();
    let kim = "kim@hillside.example";
    let thread = compose(&mut ann, "", &[("to", LEE), ("expires", "1")], &[]).expect(303).location().unwrap();
    compose(&mut ann, "", &[("to", kim)], &[]).expect(303);
    let (link, living) = (world.link_to(&mut ann, LEE), world.link_to(&mut ann, kim));
    world.turn(7 * DAY);
    let mut lee = world.client();
    lee.visit(&link).expect(200);
    lee.post("/register/ask", &[]).expect(200);
    world.turn(24 * DAY - 1);
    world.sign_in(&mut ann, ADMIN);
    assert!(person(&mut ann, LEE).contains("Invited") && read(&mut ann, &thread).contains("was destroyed on"));
    world.turn(1);
    world.turn(DAY);
    world.sign_in(&mut ann, ADMIN);
    assert!(!read(&mut ann, "/people").contains(LEE), "no line names them any more");
    assert!(!read(&mut ann, "/outbox").contains(LEE), "nor a letter that asked for them");
    assert!(read(&mut world.client(), &link).contains("Perhaps only part of it was copied"));
    assert!(person(&mut ann, kim).contains("Invited") && !read(&mut world.client(), &living).contains("part of it"));

    compose(&mut ann, "", &[("to", LEE)], &[]).expect(303);
    let mut lee = world.register(&mut ann, LEE, "Lee", "Hill");
    assert!(read(&mut lee, "/inbox").contains("Tooth 14"), "and can be invited as if for the first time");
}

#[test]
fn a_used_link_and_a_wrong_one_explain_themselves() {
    let world = World::start();
    let (mut ann, _) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    world.register_by(&mut ann, &link, LEE, "Lee", "Hill");
    let mut client = world.client();
    assert!(read(&mut client, &link).contains("You have an account already"));
    client.visit("/sign-in").expect(200);
    client.post("/register/ask", &[]).expect(200);
    assert!(!read(&mut ann, "/outbox").contains("asks for a new link"), "nothing to ask for");
    for wrong in ["/register/AAAA", "/register/%00", "/register/..%2f"] {
        let page = read(&mut client, wrong);
        assert!(page.contains("Perhaps only part of it was copied"), "{wrong}: {page}");
    }
}

#[test]
fn a_message_destroyed_meanwhile_leaves_an_account_without_it() {
    let world = World::start();
    let (mut ann, thread) = invited(&world);
    let link = world.link_to(&mut ann, LEE);
    let message = crate::forms::messages(&read(&mut ann, &thread)).remove(0);
    ann.post(&format!("/messages/{message}/recall"), &[]).expect(303);
    let mut lee = world.register_by(&mut ann, &link, LEE, "Lee", "Hill");
    let page = read(&mut lee, "/inbox");
    assert!(!page.contains("Tooth 14") && page.contains("recalled and destroyed"), "{page}");
    assert!(account(&mut ann, LEE).len() == 32);
}
