//! News: what an open page is told, without being somebody who is there.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::client::Client;
use crate::forms::{LEE, Pair, compose, pair};
use crate::world::World;

const MINUTE: u64 = 60;

/// A page that listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn of(world: &World, client: &Client) -> Self {
        let cookies: Vec<String> = client.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut stream = TcpStream::connect(world.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head =
            format!("GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {}\r\n\r\n", cookies.join("; "));
        stream.write_all(head.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The next line that begins with this; none when the stream ends before.
    fn next(&mut self, start: &str) -> Option<String> {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            if line.starts_with(start) {
                return Some(line);
            }
            line.clear();
        }
        None
    }

    fn unread(&mut self) -> u64 {
        let said = self.next("data: ").unwrap();
        serde_json::from_str::<serde_json::Value>(&said[6..]).unwrap()["inbox_unread"].as_u64().unwrap()
    }
}

#[test]
fn an_open_page_hears_of_what_arrives() {
    let Pair { world, mut ann, lee, thread, .. } = pair();
    let mut page = Listener::of(&world, &lee);
    assert!(page.next("content-type: text/event-stream").is_some());
    assert_eq!(page.unread(), 1);
    compose(&mut ann, "", &[("to", LEE), ("subject", "Another")], &[]).expect(303);
    assert_eq!(page.unread(), 2);
    let mut tab = crate::forms::tab(&world, &lee);
    tab.visit(&thread).expect(200);
    assert_eq!(page.unread(), 1);
    world.client().get("/events").expect(303);
}

#[test]
fn listening_is_no_sign_of_life() {
    let Pair { world, mut ann, mut lee, .. } = pair();
    lee.visit("/inbox").expect(200);
    let mut page = Listener::of(&world, &lee);
    assert_eq!(page.unread(), 1);
    world.turn(8 * MINUTE);
    ann.visit("/inbox").expect(200);
    assert_eq!(lee.send("GET", "/inbox", &[("X-Unseen", "1")], b"").status, 200);
    world.turn(8 * MINUTE);
    compose(&mut ann, "", &[("to", LEE), ("subject", "Another")], &[]).expect(303);
    assert!(page.next("event: over").is_some());
    assert_eq!(page.next("data: "), None, "it ends with the session");
    assert_eq!(lee.send("GET", "/inbox", &[("X-Unseen", "1")], b"").status, 303);
}

#[test]
fn streams_end_with_the_server() {
    let Pair { mut world, lee, .. } = pair();
    let mut page = Listener::of(&world, &lee);
    assert_eq!(page.unread(), 1);
    world.stop();
    assert_eq!(page.next("data: "), None);
}
