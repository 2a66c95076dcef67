//! One message from end to end: set-up, invitation, notice, registration, reading, answer, destruction.

use crate::client::{FilePart, unescape};
use crate::world::{ADMIN, DAY, World, between, send};

#[test]
fn a_message_is_written_read_answered_and_destroyed() {
    let world = World::start();
    let mut ann = world.set_up();
    let page = send(&mut ann, "lee@hillside.example", "Tooth 14", "Please look at tooth 14.\n\nThank you").text();
    assert!(page.contains("Not opened yet"), "{page}");
    assert!(ann.get("/sent").expect(200).text().contains("Tooth 14"));

    let mut lee = world.register(&mut ann, "lee@hillside.example", "Lee", "Hill");
    let inbox = unescape(&lee.get("/inbox").expect(200).text());
    assert!(inbox.contains("Tooth 14") && inbox.contains("Destroyed in 30 days"), "{inbox}");
    let thread = between(&inbox, "href=\"/threads/", "\"").to_owned();
    let page = unescape(&lee.visit(&format!("/threads/{thread}")).expect(200).text());
    assert!(page.contains("<p>Please look at tooth 14.</p><p>Thank you</p>"), "{page}");
    assert!(ann.get(&format!("/threads/{thread}")).expect(200).text().contains("Opened 23 November"));

    let reply_url = between(&page, "href=\"/compose?reply=", "\"").to_owned();
    lee.visit(&format!("/compose?reply={reply_url}")).expect(200);
    let (draft, reply) = (lee.hidden("draft").unwrap(), lee.hidden("reply").unwrap());
    let fields = [
        ("draft", draft.as_str()),
        ("reply", reply.as_str()),
        ("subject", "Re: Tooth 14"),
        ("body", "It is fine."),
        ("expires", "2"),
        ("action", "send"),
    ];
    let files =
        [FilePart { field: "files[]", name: "röntgen.png", kind: "image/png", bytes: b"not really a picture" }];
    let sent = lee.post_files("/compose", &fields, &files).expect(303);
    assert_eq!(sent.location().unwrap(), format!("/threads/{thread}"));

    let page = unescape(&ann.visit(&format!("/threads/{thread}")).expect(200).text());
    assert!(page.contains("It is fine.") && page.contains("röntgen.png"), "{page}");
    let file = between(&page, "class=\"file is-image\" href=\"", "\"").to_owned();
    let download = ann.get(&file).expect(200);
    assert_eq!(download.body, b"not really a picture");
    assert!(download.header("content-disposition").unwrap().starts_with("attachment;"));

    world.turn(2 * DAY);
    let page = ann.get(&format!("/threads/{thread}"));
    assert_eq!(page.status, 303, "signed out for idleness");
    world.sign_in(&mut ann, ADMIN);
    let page = ann.get(&format!("/threads/{thread}")).expect(200).text();
    assert!(!page.contains("It is fine.") && page.contains("was destroyed on 25 November"), "{page}");
    assert!(page.contains("Please look at tooth 14."));
    ann.get(&file).expect(410);
}
