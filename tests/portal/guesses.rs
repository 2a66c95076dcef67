//! Guessing: what a wrong password, address or code tells, and how often it can be tried, also by many at once.

use crate::client::{Client, unescape};
use crate::forms::{LEE, Pair, account, pair, person};
use crate::world::{ADMIN, PASSWORD, World, between, code_for, send};

/// What the sign-in page says of these.
fn refusal(client: &mut Client, email: &str, password: &str) -> (u16, String) {
    let reply = client.post("/sign-in", &[("email", email), ("password", password)]);
    let page = unescape(&reply.text());
    let fault = if reply.status == 422 { between(&page, "role=\"alert\"", "</").to_owned() } else { String::new() };
    (reply.status, fault)
}

fn stranger(world: &World) -> Client {
    let mut client = world.client();
    client.visit("/sign-in").expect(200);
    client
}

/// Somebody invited who has come to the code, and that code.
fn invited(world: &World) -> (Client, String) {
    let mut ann = world.set_up();
    send(&mut ann, "lee@hillside.example", "Tooth 14", "Please look.");
    let link = world.link_to(&mut ann, "lee@hillside.example");
    let mut lee = world.client();
    lee.visit(&link).expect(200);
    let fields = [("first_name", "Lee"), ("last_name", "Hill"), ("office_phone", ""), ("cell_phone", "")];
    lee.post("/register/details", &fields).expect(303);
    let code = code_for(&mut ann, "lee@hillside.example");
    lee.visit("/register/code").expect(200);
    (lee, code)
}

#[test]
fn a_locked_account_says_nothing_about_a_password() {
    let world = World::start();
    let mut ann = world.set_up();
    send(&mut ann, "lee@hillside.example", "Tooth 14", "Please look.");
    world.register(&mut ann, "lee@hillside.example", "Lee", "Hill");
    let mut client = stranger(&world);
    let unknown = refusal(&mut client, "nobody@hillside.example", PASSWORD);
    for _ in 0..5 {
        assert_eq!(refusal(&mut client, "lee@hillside.example", "wrong horse battery"), unknown);
    }
    assert_eq!(refusal(&mut client, "lee@hillside.example", PASSWORD), unknown, "the right one, and locked");
    assert!(ann.get("/people").expect(200).text().contains("Locked"));
}

#[test]
fn whoever_finds_a_session_open_guesses_no_more_than_five_times() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    let mut elsewhere = world.client();
    world.sign_in(&mut elsewhere, LEE);
    let mut guess = |path: &str, password: &str| {
        lee.visit("/profile").expect(200);
        lee.post(path, &[("current_password", password), ("password", "nine loud otters paddle")])
    };
    for path in ["/profile/password", "/profile/key", "/profile/password", "/profile/key"] {
        guess(path, "wrong horse battery").expect(422);
    }
    assert!(!person(&mut ann, LEE).contains("Locked"));
    let to = guess("/profile/password", "wrong horse battery").expect(303);
    assert_eq!(to.location().as_deref(), Some("/sign-in?locked=1"));
    assert!(
        unescape(&lee.follow(to).expect(200).text()).contains("signed out everywhere. The practice can unlock it.")
    );
    for client in [&mut lee, &mut elsewhere] {
        client.get("/inbox").expect(303);
    }
    assert!(person(&mut ann, LEE).contains("Locked"));
    let id = account(&mut ann, LEE);
    ann.post(&format!("/people/{id}/unlock"), &[]).expect(303);
    world.sign_in(&mut lee, LEE);

    for password in ["wrong horse battery", PASSWORD, "wrong horse battery"] {
        world.turn(10);
        lee.visit("/profile").expect(200);
        let status = lee.post("/profile/key", &[("current_password", password)]).status;
        assert_eq!(status, if password == PASSWORD { 200 } else { 422 });
    }
    for _ in 0..4 {
        refusal(&mut stranger(&world), LEE, "wrong horse battery");
    }
    lee.visit("/profile").expect(200);
    let to = lee.post("/profile/key", &[("current_password", PASSWORD)]).expect(303);
    assert_eq!(to.location().as_deref(), Some("/sign-in?locked=1"), "locked at the door: the right one opens nothing");
}

#[test]
fn many_at_once_guess_no_more_than_five_times() {
    let world = World::start();
    let (mut lee, code) = invited(&world);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    std::thread::scope(|scope| {
        for _ in 0..9 {
            let mut client = world.client();
            (client.cookies, client.page) = (lee.cookies.clone(), lee.page.clone());
            scope.spawn(move || client.post("/register/code", &[("code", wrong)]).expect(422));
        }
    });
    lee.post("/register/code", &[("code", &code)]).expect(422);
}

#[test]
fn two_who_register_by_one_link_at_once_become_one() {
    let world = World::start();
    let (mut lee, code) = invited(&world);
    lee.post("/register/code", &[("code", &code)]).expect(303);
    lee.visit("/register/account").expect(200);
    let ways = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|n| {
                let mut client = world.client();
                (client.cookies, client.page) = (lee.cookies.clone(), lee.page.clone());
                let password = format!("{PASSWORD} {n}");
                scope.spawn(move || {
                    let fields = [("terms", "1"), ("password", password.as_str())];
                    let reply = client.post("/register/account", &fields);
                    let entered = reply.location().is_some_and(|to| to.starts_with("/threads/"));
                    (entered, password)
                })
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(ways.iter().filter(|(entered, _)| *entered).count(), 1, "{ways:?}");
    for (entered, password) in ways {
        let (status, _) = refusal(&mut stranger(&world), "lee@hillside.example", &password);
        assert_eq!(status == 303, entered);
    }
}

#[test]
fn nobody_registers_without_a_name() {
    let world = World::start();
    let mut ann = world.set_up();
    send(&mut ann, "lee@hillside.example", "Tooth 14", "Please look.");
    let link = world.link_to(&mut ann, "lee@hillside.example");
    let mut lee = world.client();
    lee.visit(&link).expect(200);
    let reply = lee.post("/register/resend", &[]).expect(303);
    let page = unescape(&lee.follow(reply).expect(200).text());
    assert!(page.contains("name=\"first_name\""), "{page}");
    assert!(!ann.get("/people").expect(200).text().contains("code-digits"), "no code without a name");
}

#[test]
fn signing_in_again_ends_the_session_before() {
    let world = World::start();
    let ann = world.set_up();
    let mut again = stranger(&world);
    again.cookies.insert("sealpost".to_owned(), ann.cookies["sealpost"].clone());
    // The sign-in page sends somebody who is signed in on; the form of another tab may still be there.
    again.post("/sign-in", &[("email", ADMIN), ("password", PASSWORD)]).expect(303);
    let mut before = world.client();
    before.cookies = ann.cookies.clone();
    before.get("/inbox").expect(303);
    again.get("/inbox").expect(200);
}
