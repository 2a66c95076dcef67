//! Expiry: hidden at the second, destroyed by the sweep, moved and recalled by the sender alone.

use std::time::Duration;

use sealpost::domain::Timestamp;

use crate::forms::{LEE, Pair, compose, conversation, file, file_urls, filled, hidden, messages, pair, read};
use crate::world::{ADMIN, DAY, NOW};

/// A message with a file, destroyed in a day; its conversation's path and its file's.
fn sent(pair: &mut Pair) -> (String, String, String) {
    let own = [("to", LEE), ("subject", "Short-lived"), ("expires", "1")];
    let thread = compose(&mut pair.ann, "", &own, &[file("x.png", b"grey")]).expect(303).location().unwrap();
    let page = conversation(&mut pair.lee, &thread);
    (thread, messages(&page).remove(0), file_urls(&page).remove(0))
}

#[test]
fn hidden_at_the_second_and_destroyed_for_good() {
    let mut pair = pair();
    let (thread, message, file) = sent(&mut pair);
    let Pair { world, mut ann, mut lee, .. } = pair;
    assert_eq!(world.blobs(), 1);
    world.turn(DAY - 1);
    world.sign_in(&mut ann, ADMIN);
    world.sign_in(&mut lee, LEE);
    assert_eq!(lee.get(&file).expect(200).body, b"grey");
    assert!(
        read(&mut lee, &thread).contains("Please look") && read(&mut lee, "/inbox").contains("Destroyed in a minute")
    );
    let answering = format!("/compose?reply={message}");
    lee.visit(&answering).expect(200);
    let form = hidden(&lee);
    world.clock.turn(Duration::from_secs(1));
    for client in [&mut ann, &mut lee] {
        for path in ["/inbox", "/sent", &thread, &format!("{thread}/print")] {
            let page = client.visit(path).expect(200).text();
            assert!(!page.contains("Short-lived"), "{path}: {page}");
        }
        for path in
            [&file, &format!("/messages/{message}/files.zip"), &format!("/messages/{message}/export"), &answering]
        {
            client.get(path).expect(410);
        }
    }
    let line =
        "A message from Dr Ann Rivers to Lee Hill, sent 23 November, 10:00, was destroyed on 24 November, 10:00.";
    assert!(read(&mut lee, &thread).contains(line) && read(&mut lee, "/inbox").contains(line));
    assert!(read(&mut ann, "/sent").contains(line));
    world.turn(0);
    assert_eq!(world.blobs(), 0, "the sweep has destroyed it");
    let late = lee.post_files("/compose", &filled(&form, &[("subject", "Re: late"), ("body", "Still answered.")]), &[]);
    assert_eq!(late.expect(303).location().unwrap(), thread, "an answer already begun can be sent");
    for action in ["expiry", "recall"] {
        ann.visit("/sent").expect(200);
        ann.post(&format!("/messages/{message}/{action}"), &[("expires", "30")]).expect(303);
        assert!(read(&mut ann, &thread).contains("has been destroyed already"), "{action}");
    }
}

#[test]
fn the_line_that_remains_goes_after_thirty_days_more() {
    let mut pair = pair();
    let (thread, ..) = sent(&mut pair);
    let Pair { world, mut ann, mut lee, .. } = pair;
    world.turn(DAY);
    world.turn(30 * DAY - 1);
    for (client, who) in [(&mut ann, ADMIN), (&mut lee, LEE)] {
        world.sign_in(client, who);
        assert!(read(client, &thread).contains("was destroyed on 24 November"));
    }
    world.turn(1);
    for client in [&mut ann, &mut lee] {
        client.get(&thread).expect(404);
        assert!(!read(client, "/inbox").contains("24 November") && !read(client, "/sent").contains("24 November"));
    }
}

#[test]
fn its_sender_moves_the_date_and_nobody_else() {
    let Pair { world, mut ann, mut lee, thread, message } = pair();
    let path = format!("/messages/{message}/expiry");
    lee.visit(&thread).expect(200);
    for expires in ["1", "30"] {
        lee.post(&path, &[("expires", expires)]).expect(403);
    }
    let mut change = |days: &str| {
        ann.visit(&thread).expect(200);
        let to = ann.post(&path, &[("expires", days)]).expect(303);
        crate::client::unescape(&ann.follow(to).expect(200).text())
    };
    assert!(change("10").contains("Destroyed in 10 days"));
    assert!(change("30").contains("Destroyed in 30 days"));
    for wrong in ["31", "0", "-1", "", "2026-12-23T10:00:01Z", "2026-11-23T10:00:00Z"] {
        let page = change(wrong);
        assert!(page.contains("role=\"alert\"") && page.contains("Destroyed in 30 days"), "{wrong:?}: {page}");
    }
    assert!(change("5").contains("Destroyed in 5 days"));
    world.turn(4 * DAY);
    world.sign_in(&mut ann, ADMIN);
    let page = read(&mut ann, &thread);
    assert!(page.contains("<option value=\"30\">30 days · destroyed on 23 Dec"), "counted from sending: {page}");
    assert!(!page.contains("<option value=\"4\">"), "what is past cannot be chosen");
    ann.post(&path, &[("expires", "4")]).expect(303);
    assert!(read(&mut ann, &thread).contains("This moment is past"));
    ann.post(&path, &[("expires", "2026-11-27T11:00:00Z")]).expect(303);
    world.turn(3599);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, &thread).contains("Please look at it."));
    world.turn(1);
    assert!(!read(&mut ann, &thread).contains("Please look at it."), "earlier than first meant, to the second");
}

#[test]
fn what_fell_due_while_the_server_was_off_is_destroyed_before_it_listens() {
    let mut pair = pair();
    let (thread, ..) = sent(&mut pair);
    let Pair { mut world, mut ann, .. } = pair;
    world.stop();
    world.clock.turn(Duration::from_secs(3 * DAY));
    assert_eq!(world.blobs(), 1);
    world.restart();
    assert_eq!(world.blobs(), 0, "before the first request");
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, &thread).contains("was destroyed on 24 November, 10:00"));
    world.turn(28 * DAY - 1);
    world.sign_in(&mut ann, ADMIN);
    assert!(read(&mut ann, &thread).contains("was destroyed on 24 November, 10:00"));
    world.turn(1);
    ann.get(&thread).expect(404);
}

#[test]
fn recall_destroys_for_everybody_and_delete_for_oneself() {
    let mut pair = pair();
    let (thread, message, picture) = sent(&mut pair);
    let Pair { world, mut ann, mut lee, thread: first, message: older } = pair;
    let recall = format!("/messages/{message}/recall");
    lee.visit(&thread).expect(200);
    lee.post(&recall, &[]).expect(403);
    assert_eq!(lee.get(&picture).expect(200).body, b"grey");
    assert!(
        read(&mut ann, &thread).contains("for you and for Lee Hill (opened 23 November, 10:00), at once and for good.")
    );
    let to = ann.post(&recall, &[]).expect(303);
    assert!(ann.follow(to).expect(200).text().contains("for you and for everybody who received it"));
    assert_eq!(world.blobs(), 0);
    lee.get(&picture).expect(410);
    assert!(read(&mut lee, &thread).contains("was recalled and destroyed on 23 November, 10:00"));

    ann.visit(&first).expect(200);
    lee.visit(&first).expect(200);
    let to = lee.post(&format!("/messages/{older}/delete"), &[]).expect(303);
    assert_eq!(to.location().as_deref(), Some("/inbox"), "nothing is left of the conversation");
    assert!(!lee.follow(to).expect(200).text().contains("Tooth 14"));
    lee.get(&first).expect(404);
    lee.get(&format!("/messages/{older}/export")).expect(404);
    lee.visit("/inbox").expect(200);
    lee.post(&format!("/messages/{older}/delete"), &[]).expect(404);
    assert!(read(&mut ann, &first).contains("Please look at it."), "the sender keeps theirs");
    let (own, files) = ([("to", LEE), ("expires", "3")], [file("y.png", b"y")]);
    let thread = compose(&mut ann, "", &own, &files).expect(303).location().unwrap();
    let message = messages(&conversation(&mut lee, &thread)).remove(0);
    for client in [&mut ann, &mut lee] {
        assert_eq!(world.blobs(), 1, "as long as somebody holds a copy");
        client.visit(&thread).expect(200);
        client.post(&format!("/messages/{message}/delete"), &[]).expect(303);
        client.get(&thread).expect(404);
    }
    assert_eq!(world.blobs(), 0, "the last copy takes the files with it");
    world.turn(40 * DAY);
}

#[test]
fn a_clock_that_jumps_hides_at_once_and_destroys_later() {
    let mut pair = pair();
    let (thread, _, file) = sent(&mut pair);
    let Pair { world, mut ann, mut lee, .. } = pair;
    world.turn(60);
    world.clock.set(Timestamp(NOW.0 + 20 * 86_400_000));
    world.turn(0);
    world.sign_in(&mut ann, ADMIN);
    world.sign_in(&mut lee, LEE);
    assert!(!conversation(&mut lee, &thread).contains("Please look"), "hidden by the clock");
    lee.get(&file).expect(410);
    assert_eq!(world.blobs(), 1, "not destroyed by a clock that may be wrong");
    let about = read(&mut ann, "/settings/about");
    assert!(about.contains("The clock of this server has jumped by 479 hours."), "{about}");

    world.clock.set(Timestamp(NOW.0 + 120_000));
    world.turn(0);
    world.sign_in(&mut lee, LEE);
    assert_eq!(lee.get(&file).expect(200).body, b"grey", "nothing was lost");
    world.clock.set(Timestamp(NOW.0 + 20 * 86_400_000));
    world.turn(0);
    world.turn(DAY - 1);
    assert_eq!(world.blobs(), 1);
    world.turn(1);
    assert_eq!(world.blobs(), 0, "the clock has stood by its time for a day");
    world.sign_in(&mut ann, ADMIN);
    assert!(!read(&mut ann, "/settings/about").contains("has jumped"));
}
