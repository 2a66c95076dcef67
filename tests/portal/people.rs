//! The people page: who sees it, and what a User Manager can do.

use crate::forms::{LEE, Pair, account, compose, has_fault, pair, person, read};
use crate::world::{PASSWORD, World};

fn correction<'f>(own: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let usual = [
        ("first_name", "Kim"),
        ("last_name", "Park"),
        ("email", "kim@hillside.example"),
        ("cell_phone", "+1 555 0101"),
    ];
    let rest = usual.into_iter().filter(|(name, _)| own.iter().all(|(mine, _)| mine != name));
    rest.chain(own.iter().copied()).collect()
}

#[test]
fn a_corrected_address_voids_every_link_and_gets_a_new_one() {
    let world = World::start();
    let mut ann = world.set_up();
    let thread = compose(&mut ann, "", &[("to", "kin@hillside.example")], &[]).expect(303).location().unwrap();
    let wrong = world.link_to(&mut ann, "kin@hillside.example");
    let mut finder = world.client();
    finder.visit(&wrong).expect(200);
    let id = account(&mut ann, "kin@hillside.example");
    let path = format!("/people/{id}");
    ann.visit(&path).expect(200);
    for (field, value) in [("email", "kim"), ("email", "admin@riverside.example"), ("cell_phone", "x!")] {
        let page = ann.post(&path, &correction(&[(field, value)])).expect(422).text();
        assert!(has_fault(&page, field) && page.contains("value=\"Park\""), "{field}: {page}");
    }
    ann.post(&path, &correction(&[("relationship", "patient")])).expect(303);
    let line = person(&mut ann, "kim@hillside.example");
    assert!(line.contains("Kim Park") && line.contains("Patient") && line.contains("+1 555 0101"), "{line}");
    assert!(read(&mut world.client(), &wrong).contains("Perhaps only part of it was copied"));
    finder.visit("/register/details").expect(200);
    let stale = finder.post("/register/details", &[("first_name", "E"), ("last_name", "Vil")]).text();
    assert!(!stale.contains("Step 2 of 3") && !person(&mut ann, "kim@hillside.example").contains("code-digits"));
    let outbox = read(&mut ann, "/outbox");
    assert!(!outbox.contains("kin@hillside.example"), "{outbox}");
    assert_eq!(outbox.matches("To kim@hillside.example").count(), 1, "the promised new invitation: {outbox}");
    assert!(read(&mut ann, &thread).contains("to Kim Park"));
    let mut kim = world.register(&mut ann, "kim@hillside.example", "Kim", "Park");
    assert!(read(&mut kim, &thread).contains("Please look at it."));
    ann.visit(&path).expect(200);
    let page = ann.post(&path, &correction(&[("email", "other@hillside.example")])).expect(422).text();
    assert!(has_fault(&page, "email"), "a registered person's address is their own: {page}");
}

#[test]
fn an_invitation_is_sent_again() {
    let world = World::start();
    let mut ann = world.set_up();
    compose(&mut ann, "", &[("to", LEE)], &[]).expect(303);
    let first = world.link_to(&mut ann, LEE);
    let id = account(&mut ann, LEE);
    world.turn(1);
    ann.post(&format!("/people/{id}/resend"), &[]).expect(303);
    let second = world.link_to(&mut ann, LEE);
    assert_ne!(first, second);
    let mut lee = world.register_by(&mut ann, &second, LEE, "Lee", "Hill");
    assert!(read(&mut lee, "/inbox").contains("Tooth 14"));
    assert!(!person(&mut ann, LEE).contains("/resend"), "nobody to invite any more");
}

#[test]
fn disabling_ends_sessions_at_once_and_enabling_lets_in_again() {
    let Pair { world, mut ann, mut lee, thread, .. } = pair();
    let id = account(&mut ann, LEE);
    lee.get("/inbox").expect(200);
    ann.post(&format!("/people/{id}/disable"), &[]).expect(303);
    lee.get("/inbox").expect(303);
    lee.get(&thread).expect(303);
    lee.visit("/sign-in").expect(200);
    let page = lee.post("/sign-in", &[("email", LEE), ("password", PASSWORD)]).expect(422).text();
    assert!(page.contains("is not right") && !page.contains("disabled"), "{page}");
    ann.post(&format!("/people/{id}/enable"), &[]).expect(303);
    world.sign_in(&mut lee, LEE);
    assert!(read(&mut lee, &thread).contains("Please look at it."));
    let own = account(&mut ann, crate::world::ADMIN);
    assert!(!person(&mut ann, crate::world::ADMIN).contains("/disable"));
    let to = ann.post(&format!("/people/{own}/disable"), &[]).expect(303);
    assert!(ann.follow(to).expect(200).text().contains("cannot be disabled here"));
    ann.get("/inbox").expect(200);
}

#[test]
fn a_disabled_invitation_leads_nowhere() {
    let world = World::start();
    let mut ann = world.set_up();
    compose(&mut ann, "", &[("to", LEE)], &[]).expect(303);
    let link = world.link_to(&mut ann, LEE);
    let id = account(&mut ann, LEE);
    ann.post(&format!("/people/{id}/disable"), &[]).expect(303);
    let mut lee = world.client();
    assert!(read(&mut lee, &link).contains("This link no longer works"));
    ann.post(&format!("/people/{id}/enable"), &[]).expect(303);
    assert!(read(&mut lee, &link).contains("Step 1 of 3"));
}

#[test]
fn the_page_is_there_for_user_managers_only() {
    let mut all = pair();
    let mut kim = all.join("kim@riverside.example", "staff_mine", "Kim");
    let (lee, id) = (account(&mut all.ann, LEE), account(&mut all.ann, "kim@riverside.example"));
    all.world.sign_in(&mut all.lee, LEE);
    for client in [&mut all.lee, &mut kim] {
        client.visit("/profile").expect(200);
        assert!(!client.page.contains("people\""), "no link to it");
        client.get("/people").expect(404);
        client.get(&format!("/people/{lee}")).expect(404);
        for action in ["", "/resend", "/unlock", "/disable", "/enable"] {
            client.post(&format!("/people/{lee}{action}"), &correction(&[])).expect(404);
        }
        for path in ["/outbox", "/settings/practice", "/settings/about", "/setup/kit", "/setup/kit/confirm"] {
            client.get(path).expect(404);
        }
        client
            .post("/settings/practice", &[("practice_name", "Mine"), ("expires", "1"), ("idle_minutes", "5")])
            .expect(404);
    }
    assert!(person(&mut all.ann, LEE).contains("Lee Hill"), "nothing was changed");

    let own =
        [("email", "kim@riverside.example"), ("manager", "1"), ("full_plan", "1"), ("relationship", "staff_mine")];
    all.ann.visit(&format!("/people/{id}")).expect(200);
    all.ann.post(&format!("/people/{id}"), &correction(&own)).expect(303);
    assert!(read(&mut kim, "/people").contains("Lee Hill"));
    kim.get("/settings/practice").expect(404);
    kim.get("/outbox").expect(404);
    let page = kim.visit(&format!("/people/{lee}")).expect(200).text();
    assert!(page.contains("Hill"));
    let own = [("first_name", "Lee"), ("last_name", "Hill"), ("email", LEE), ("manager", "1")];
    kim.post(&format!("/people/{lee}"), &correction(&own)).expect(303);
    all.lee.get("/people").expect(404);
}

#[test]
fn in_practice_people_may_write_to_anyone() {
    let mut all = pair();
    let mut kim = all.join("kim@riverside.example", "doctor_mine", "Kim");
    assert!(read(&mut kim, "/inbox").contains("href=\"/compose\""));
    let thread = compose(&mut kim, "", &[("to", "new@elsewhere.example"), ("relationship", "patient")], &[]);
    let thread = thread.expect(303).location().unwrap();
    let mut patient = all.world.client();
    patient.visit(&all.world.link_to(&mut all.ann, "new@elsewhere.example")).expect(200);
    patient.post("/register/details", &[("first_name", "Pat"), ("last_name", "Ient")]).expect(303);
    let page = read(&mut kim, &thread);
    assert!(page.contains("Read it out by phone:") && page.contains("code-digits"), "for the inviter: {page}");
    assert!(!read(&mut all.ann, "/inbox").contains("code-digits"));
    assert!(person(&mut all.ann, "new@elsewhere.example").contains("code-digits"), "and for User Managers");
}

#[test]
fn a_sender_sees_who_led_a_waiting_message_elsewhere() {
    let mut all = pair();
    let mut kim = all.join("kim@riverside.example", "doctor_mine", "Kim");
    let to = [("to", "pat@lake.example"), ("relationship", "patient")];
    let thread = compose(&mut kim, "", &to, &[]).expect(303).location().unwrap();
    let id = all.account("pat@lake.example");
    let path = format!("/people/{id}");
    assert!(read(&mut all.ann, &path).contains("Everybody who wrote it sees that you changed the address"));
    let same = [("first_name", "Pat"), ("email", "pat@lake.example"), ("cell_phone", "")];
    all.ann.post(&path, &correction(&same)).expect(303);
    assert!(!read(&mut kim, &thread).contains("corrected by"), "a name leads nobody elsewhere");
    all.ann
        .post(&path, &correction(&[("first_name", "Pat"), ("email", "pat@sea.example"), ("cell_phone", "")]))
        .expect(303);
    let line = "Address corrected by Dr Ann Rivers on 23 November, 10:00";
    let page = read(&mut kim, &thread);
    assert!(page.contains(line) && !page.contains("Phone number corrected"), "{page}");
    all.world.turn(60);
    all.ann.visit("/people").expect(200);
    all.ann.post(&path, &correction(&[("first_name", "Pat"), ("email", "pat@sea.example")])).expect(303);
    let page = read(&mut kim, &thread);
    assert!(
        page.contains(line) && page.contains("Phone number corrected by Dr Ann Rivers on 23 November, 10:01"),
        "{page}"
    );
    all.world.turn(1);
    let to = [("to", "pat@sea.example"), ("subject", "Later")];
    let later = compose(&mut kim, "", &to, &[]).expect(303).location().unwrap();
    assert!(!read(&mut kim, &later).contains("corrected by"), "this one was meant for the new address");
    let mut pat = all.world.register(&mut all.ann, "pat@sea.example", "Pat", "Park");
    assert!(read(&mut kim, &thread).contains(line), "also when it is too late");
    assert!(!read(&mut pat, &thread).contains("corrected by"), "for the sender alone");
}

#[test]
fn a_number_typed_behind_the_link_is_told_from_the_one_that_is_known() {
    let world = World::start();
    let mut ann = world.set_up();
    let to = [("to", LEE), ("cell_phone", "+1 555 0100")];
    let thread = compose(&mut ann, "", &to, &[]).expect(303).location().unwrap();
    let id = account(&mut ann, LEE);
    let link = world.link_to(&mut ann, LEE);
    let mut finder = world.client();
    let mut type_phone = |phone: &str| {
        finder.visit(&link).expect(200);
        let details = [("first_name", "Lee"), ("last_name", "Hill"), ("cell_phone", phone)];
        finder.post("/register/details", &details).expect(303);
    };
    type_phone("+1 555 0100");
    assert!(!person(&mut ann, LEE).contains("Phone as typed"));
    let warning = |phone: &str| {
        format!("Phone as typed by the invited person: {phone}. It was +1 555 0100. Call the number that you know.")
    };
    for phone in ["+1 555 0666", "+1 555 0667"] {
        type_phone(phone);
        assert!(person(&mut ann, LEE).contains(&warning(phone)), "{phone}");
        assert!(read(&mut ann, &thread).contains(&warning(phone)), "{phone}");
    }
    ann.visit("/people").expect(200);
    let known = [("first_name", "Lee"), ("last_name", "Hill"), ("email", LEE), ("cell_phone", "+1 555 0102")];
    ann.post(&format!("/people/{id}"), &known).expect(303);
    let line = person(&mut ann, LEE);
    assert!(line.contains("code-digits") && !line.contains("Phone as typed"), "the practice's word again: {line}");
}
