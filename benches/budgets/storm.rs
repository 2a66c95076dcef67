//! Two hundred sign-ins at once, and what somebody who is signed in already notices of it.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::Browser;
use crate::practice::{ADMIN, PEOPLE, Practice, person};
use crate::table::{Budget, Table};
use crate::timing::{quantile, seconds};

const SIGN_INS: usize = 200;
/// How long the quiet is watched.
const QUIET: Duration = Duration::from_secs(3);
/// When the program has given back what it needed for the storm.
const REST: Duration = Duration::from_secs(15);
const MIB: f64 = 1024.0 * 1024.0;

/// Page latencies in milliseconds until told to stop.
fn read(browser: &mut Browser, stop: impl Fn() -> bool) -> Vec<f64> {
    let mut latencies = vec![];
    while !stop() {
        latencies.push(seconds(|| browser.visit("/inbox")) * 1000.0);
    }
    latencies
}

/// Measures it.
pub fn measure(practice: &Practice, table: &mut Table) {
    let practice = practice.copy();
    let server = practice.serve();
    let mut reader = Browser::signed_in(server.address, "198.51.100.1", ADMIN);
    // Each account ten times and each address ten times: as many as the rate limits allow in a minute.
    let mut people: Vec<(Browser, String)> = (0..SIGN_INS)
        .map(|number| {
            let mut browser = Browser::new(server.address, &format!("192.0.2.{}", number / 10));
            browser.read_page("/sign-in");
            (browser, person(number % PEOPLE))
        })
        .collect();
    let start = Instant::now();
    let quiet = read(&mut reader, || start.elapsed() > QUIET);
    server.forget_peak();
    let before = server.memory_peak();
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let storm = thread::scope(|scope| {
        let signing = people.iter_mut().map(|(browser, email)| scope.spawn(|| browser.sign_in(email).expect(303)));
        let signing: Vec<_> = signing.collect();
        let reading = scope.spawn(|| read(&mut reader, || over.load(SeqCst)));
        signing.into_iter().for_each(|thread| drop(thread.join().unwrap()));
        over.store(true, SeqCst);
        reading.join().unwrap()
    });
    let took = start.elapsed().as_secs_f64();
    // One core stays free of derivations.
    let permits = (thread::available_parallelism().unwrap().get() - 1).max(1) as f64;
    let grown = (server.memory_peak() - before) as f64 / MIB;
    for (at, name, budget) in [(0.99, "p99", Budget::AtMost(3.0)), (0.5, "p50", Budget::None)] {
        let (limit, measured) = (quantile(&quiet, at), quantile(&storm, at));
        let what = format!("page during {SIGN_INS} sign-ins, {name}");
        table.ratio(&what, format!("{measured:.2} ms"), format!("quiet {limit:.2} ms"), measured / limit, &budget);
    }
    table.figure("memory grown by the storm, a permit", grown / permits, " MiB", &Budget::AtMost(64.0));
    table.figure("sign-ins a second", SIGN_INS as f64 / took, "", &Budget::None);
    thread::sleep(REST);
    table.figure("memory at rest, after the storm", server.memory() as f64 / MIB, " MiB", &Budget::AtMost(32.0));
}
