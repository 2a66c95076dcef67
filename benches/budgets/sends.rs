//! Durable sends: 2 KB of text to one recipient (two holders), 32 clients at once, against single durable commits of
//! 2 KB that do nothing else.

use std::cell::RefCell;
use std::sync::Arc;

use sealpost::domain::SystemClock;
use sealpost::domain::ids::DraftId;

use crate::http::{Browser, Letter};
use crate::limits;
use crate::practice::{Practice, body, person, sign_in, text};
use crate::table::{Budget, Table};
use crate::timing::{load, median, paired};

/// Clients at once.
const CLIENTS: usize = 32;
/// People among whom the clients are shared out.
const SENDERS: usize = 8;

/// Through HTTP, and without it: where the time goes.
pub fn measure(practice: &Practice, rounds: usize, seconds: f64, table: &mut Table) {
    through_http(&practice.copy(), rounds, seconds, table);
    without_http(&practice.copy(), rounds, seconds, table);
}

fn through_http(practice: &Practice, rounds: usize, seconds: f64, table: &mut Table) {
    let server = practice.serve();
    let senders: Vec<Browser> = (0..SENDERS)
        .map(|number| Browser::signed_in(server.address, &format!("192.0.2.{number}"), &person(number)))
        .collect();
    let (file, body) = (practice.file("limit.redb"), body());
    let processor = RefCell::new(vec![]);
    let sends = || {
        let clients = (0..CLIENTS).map(|client| {
            let mut browser = senders[client % SENDERS].twin();
            let (to, body) = (person(SENDERS + client % SENDERS), body.clone());
            move || {
                let draft = DraftId::generate().to_string();
                let letter = Letter { draft: &draft, to: &to, body: &body, action: "send" };
                browser.compose(&letter, None);
            }
        });
        let before = server.processor_seconds();
        let load = load(clients.collect(), seconds);
        processor.borrow_mut().push((server.processor_seconds() - before) / load.count() * 1000.0);
        load.rate
    };
    let paired = paired(rounds, || limits::redb_commits(&file, seconds / 2.0), sends);
    let limit = format!("redb {:.0} commits/s", paired.limit);
    let measured = format!("{:.0} sends/s", paired.measured);
    table.ratio("durable sends, 32 clients, HTTP", measured, limit, paired.ratio, &Budget::AtLeast(1.5));
    table.figure("processor time of a send", median(&processor.borrow()), " ms", &Budget::None);
}

fn without_http(practice: &Practice, rounds: usize, seconds: f64, table: &mut Table) {
    let portal = practice.open(Arc::new(SystemClock));
    let senders: Vec<_> = (0..SENDERS).map(|number| sign_in(&portal, &person(number))).collect();
    let file = practice.file("limit.redb");
    for (name, clients) in [("durable sends, 32 threads, no HTTP", CLIENTS), ("durable sends, 1 thread, no HTTP", 1)] {
        let sends = || {
            let clients = (0..clients).map(|client| {
                let (portal, sender) = (Arc::clone(&portal), senders[client % SENDERS].clone());
                let text = text(&person(SENDERS + client % SENDERS), client);
                move || {
                    portal.send(&sender, DraftId::generate(), &text).unwrap();
                }
            });
            load(clients.collect(), seconds).rate
        };
        let paired = paired(rounds, || limits::redb_commits(&file, seconds / 2.0), sends);
        let limit = format!("redb {:.0} commits/s", paired.limit);
        let measured = format!("{:.0} sends/s", paired.measured);
        table.ratio(name, measured, limit, paired.ratio, &Budget::None);
    }
    drop(portal);
    assert!(practice.open(Arc::new(SystemClock)).verify_audit().unwrap() > 0, "the audit chain holds");
}
