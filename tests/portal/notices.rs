//! Notices through a real mail server: one content-free letter, whatever becomes of the server.

use sealpost::crypto::host::HostKey;
use sealpost::domain::Loop;
use sealpost::store::tables::OUTBOX;
use sealpost::store::{Store, StoreError};

use crate::client::Client;
use crate::forms::{LEE, account, compose, conversation, read};
use crate::smtp::{BadServer, MailServer, Manner, wait_until};
use crate::world::{ADMIN, DAY, World};

fn write(ann: &mut Client, to: &str) -> String {
    let own = [("to", to), ("subject", "Unspoken"), ("body", "Unheard"), ("first_name", "Lee"), ("last_name", "Hill")];
    compose(ann, "", &own, &[]).expect(303).location().unwrap()
}

#[test]
fn one_letter_without_content_leads_to_registration() {
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(folder.path());
    let world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    let thread = write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    let mail = server.wait_for(1).remove(0);
    for unsaid in ["Unspoken", "Unheard", "Tooth"] {
        assert!(!mail.raw.contains(unsaid), "{}", mail.raw);
    }
    assert_eq!(mail.header("subject"), Some("Dr Ann Rivers sent you a secure message"));
    assert!(mail.header("to").unwrap().contains(LEE) && mail.header("date").is_some());
    assert!(mail.header("message-id").is_some() && mail.header("auto-submitted") == Some("auto-generated"));
    let (text, html) = (mail.part("text/plain").unwrap(), mail.part("text/html").unwrap());
    assert!(text.contains("Riverside Dental") && html.contains("Riverside Dental"));
    let links = mail.links();
    assert!(!links.is_empty() && crate::client::unescape(&html).contains(&links[0]), "{text}");
    let mut lee = world.register_by(&mut ann, &links[0], LEE, "Lee", "Hill");
    assert!(read(&mut lee, &thread).contains("Unheard"));

    world.turn(1);
    let second = write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    let mails = server.wait_for(2);
    assert_eq!(mails[1].links()[0], format!("http://{}{second}", world.address));
    world.turn(DAY);
    assert_eq!(server.mails().len(), 2, "one letter a message");
}

#[test]
fn a_server_that_is_down_delays_nothing_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = MailServer::start(folder.path());
    let world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    server.stop();
    let thread = write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    assert!(conversation(&mut ann, &thread).contains("Not opened yet · notice is being sent"));
    let about = read(&mut ann, "/settings/about");
    assert!(about.contains("<dt>Waiting to go out</dt><dd>1</dd>"), "{about}");
    server.resume();
    world.turn(59);
    assert_eq!(server.mails().len(), 0, "not before its time");
    world.turn(1);
    assert_eq!(server.wait_for(1).len(), 1);
    let page = conversation(&mut ann, &thread);
    assert!(page.contains("Not opened yet") && !page.contains("is being sent"), "{page}");
}

#[test]
fn a_silent_server_keeps_nobody_waiting() {
    let server = BadServer::start(Manner::Silent);
    let world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    let thread = write(&mut ann, LEE);
    server.wait_for_callers(1);
    assert!(conversation(&mut ann, &thread).contains("notice is being sent"), "while the server says nothing");
    let second = write(&mut ann, "kim@hillside.example");
    assert!(conversation(&mut ann, &second).contains("notice is being sent"));
}

#[test]
fn a_refused_letter_shows_on_the_message() {
    let server = BadServer::start(Manner::Refuses);
    let world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    let thread = write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    assert!(wait_until(|| conversation(&mut ann, &thread).contains("Notice not delivered: ")));
    let page = conversation(&mut ann, &thread);
    let said = crate::world::between(&page, "Notice not delivered: ", "<");
    assert!(!said.contains("550") && !said.contains("5.1.1"), "in plain words: {said}");
    assert!(read(&mut ann, "/sent").contains("Notice could not be delivered"));
    let callers = server.callers();
    world.turn(DAY);
    assert_eq!(server.callers(), callers, "what is refused for good is not tried again");
}

#[test]
fn after_three_days_the_sender_is_told() {
    let server = BadServer::start(Manner::Defers);
    let world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    let thread = write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    for _ in 0..19 {
        world.turn(4 * 3600);
    }
    world.sign_in(&mut ann, ADMIN);
    let page = conversation(&mut ann, &thread);
    assert!(page.contains("could not be reached for three days"), "{page}");
}

/// More damaged rows than one round looks at, all of them due before any letter: two kinds of values that are not a
/// notice.
fn damage(world: &World) {
    let host = HostKey::load_or_create(world.host_key(), false).unwrap();
    let store = Store::open(&world.data, &host, 1 << 20).unwrap();
    store
        .write(|tx| {
            for number in 0..30u8 {
                let value = if number < 29 { vec![number, 0xc1] } else { vec![] };
                tx.put(OUTBOX, &[[0; 8].as_slice(), &[number; 16]].concat(), value);
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn a_damaged_letter_keeps_no_other_from_going_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = MailServer::start(folder.path());
    let mut world = World::start_with_mail(server.address.port());
    let mut ann = world.set_up();
    server.stop();
    write(&mut ann, LEE);
    world.settle(Loop::Outbox);
    world.stop();
    damage(&world);
    server.resume();
    world.restart();
    world.turn(60);
    assert_eq!(server.wait_for(1).len(), 1);
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    let about = read(&mut ann, "/settings/about");
    assert!(about.contains("<dt>Waiting to go out</dt><dd>0</dd>"), "{about}");
}

#[test]
fn a_damaged_letter_keeps_nobody_from_the_outbox_page_or_from_correcting_an_address() {
    let mut world = World::start();
    let mut ann = world.set_up();
    write(&mut ann, LEE);
    world.stop();
    damage(&world);
    world.restart();
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    let lee = account(&mut ann, LEE);
    read(&mut ann, &format!("/people/{lee}"));
    let fields = [("email", "lee@lakeside.example"), ("first_name", "Lee"), ("last_name", "Hill"), ("action", "save")];
    ann.post(&format!("/people/{lee}"), &fields).expect(303);
    let page = read(&mut ann, "/outbox");
    assert!(page.contains("To lee@lakeside.example") && !page.contains(LEE), "{page}");
}
