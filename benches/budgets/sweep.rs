//! Ten thousand expiries in the same second: how long until all are destroyed, and what a reader notices of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealpost::domain::time::TestClock;
use sealpost::domain::{Clock, SystemClock, Timestamp};

use crate::http::Browser;
use crate::practice::{ADMIN, Practice, fill, person, sign_in};
use crate::server::Server;
use crate::table::{Budget, Table};
use crate::timing::quantile;

/// How long the quiet before the expiry is watched.
const QUIET: Duration = Duration::from_secs(3);
/// Messages in the mailbox of the reader, who loses none.
const KEPT: usize = 100;
/// Whose inboxes they are.
const READER: usize = 0;
const LOSER: usize = 1;
/// What the rules are given to start, sign in and settle before everything expires.
const RUN_UP: Duration = Duration::from_secs(4);

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap().to_string()
}

/// By the rules alone, then by the program while somebody reads.
pub fn measure(practice: &Practice, expiries: usize, table: &mut Table) {
    by_the_rules(&practice.copy(), expiries, table);
    by_the_program(&practice.copy(), expiries, table);
}

fn by_the_rules(practice: &Practice, expiries: usize, table: &mut Table) {
    let clock = Arc::new(TestClock::at(SystemClock.now()));
    let portal = practice.open(clock.clone());
    let admin = sign_in(&portal, ADMIN);
    eprintln!("sending {expiries} messages …");
    fill(&portal, &admin, &person(LOSER), expiries, "1");
    clock.turn(Duration::from_secs(86_400));
    let start = Instant::now();
    let swept = portal.sweep().unwrap();
    let took = start.elapsed().as_secs_f64() / expiries as f64 * 10_000.0;
    assert!(swept.destroyed >= expiries);
    table.figure(&format!("sweep of {expiries}, rules alone, a 10,000"), took, " s", &Budget::AtMost(2.0));
}

fn by_the_program(practice: &Practice, expiries: usize, table: &mut Table) {
    let portal = practice.open(Arc::new(SystemClock));
    let admin = sign_in(&portal, ADMIN);
    eprintln!("sending {expiries} messages …");
    fill(&portal, &admin, &person(READER), KEPT, "30");
    let start = Instant::now();
    fill(&portal, &admin, &person(LOSER), expiries / 10, "1");
    // By what a tenth took: when the last of the others will have been sent, also if the disk becomes slower.
    let sending = start.elapsed() * 30;
    let expiry = SystemClock.now().after(sending + RUN_UP + QUIET);
    fill(&portal, &admin, &person(LOSER), expiries, &moment(expiry));
    drop(portal);
    let server = practice.serve();
    let mut reader = Browser::signed_in(server.address, "192.0.2.1", &person(READER));
    let late = SystemClock.now().since(expiry.plus(-(QUIET.as_millis() as i64)));
    assert!(late < 0, "sending took too long: {late} ms");
    std::thread::sleep(SystemClock.now().until(expiry.plus(-(QUIET.as_millis() as i64))));
    watch(&server, &mut reader, expiries, expiry, table);
}

/// Reads page after page until everything is destroyed.
fn watch(server: &Server, reader: &mut Browser, expiries: usize, expiry: Timestamp, table: &mut Table) {
    let (mut quiet, mut meanwhile) = (vec![], vec![]);
    let mut other = reader.twin();
    let finished = loop {
        let start = Instant::now();
        reader.visit("/inbox");
        let latency = start.elapsed().as_secs_f64() * 1000.0;
        let now = SystemClock.now();
        if now < expiry {
            quiet.push(latency);
            continue;
        }
        meanwhile.push(latency);
        if meanwhile.len() % 8 == 0 && server.counter(&mut other, "sealpost_destroyed_total") as usize >= expiries {
            break now;
        }
    };
    let seconds = finished.since(expiry) as f64 / 1000.0 / expiries as f64 * 10_000.0;
    table.figure(&format!("sweep of {expiries} while somebody reads"), seconds, " s", &Budget::AtMost(2.0));
    for (at, name, budget) in [(0.5, "p50", Budget::AtMost(2.0)), (0.99, "p99", Budget::None)] {
        let (limit, measured) = (quantile(&quiet, at), quantile(&meanwhile, at));
        let what = format!("page latency during the sweep, {name}");
        table.ratio(&what, format!("{measured:.2} ms"), format!("quiet {limit:.2} ms"), measured / limit, &budget);
    }
}
