//! The process: how soon it is ready, also after it was killed while it wrote, what it weighs at rest and on the disk.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sealpost::domain::SystemClock;
use sealpost::domain::ids::DraftId;

use crate::http::{Browser, Letter};
use crate::practice::{ADMIN, Practice, body, fill, person, sign_in};
use crate::server::Server;
use crate::table::{Budget, Table};
use crate::timing::median;

const MIB: f64 = 1024.0 * 1024.0;
/// How long the program writes before it is killed.
const WRITING: Duration = Duration::from_millis(300);
/// Clients that write until then.
const WRITERS: usize = 4;

/// Measures it on a folder of this many messages.
pub fn measure(practice: &Practice, messages: usize, rounds: usize, table: &mut Table) {
    let practice = practice.copy();
    eprintln!("sending {messages} messages …");
    let portal = practice.open(Arc::new(SystemClock));
    let admin = sign_in(&portal, ADMIN);
    fill(&portal, &admin, &person(0), messages, "30");
    drop((admin, portal));

    let (mut calm, mut killed, mut resting) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let server = practice.serve();
        calm.push(server.ready_after.as_secs_f64() * 1000.0);
        thread::sleep(Duration::from_secs(1));
        resting.push(server.memory() as f64 / MIB);
        killed_while_writing(server);
        killed.push(practice.serve().ready_after.as_secs_f64() * 1000.0);
    }
    table.figure(&format!("ready on a folder of {messages}"), median(&calm), " ms", &Budget::AtMost(100.0));
    table.figure("ready after kill -9 while it wrote", median(&killed), " ms", &Budget::AtMost(100.0));
    table.figure("memory at rest", median(&resting), " MiB", &Budget::AtMost(32.0));
    let size = fs::metadata(practice.program()).unwrap().len() as f64 / MIB;
    table.figure("program on the disk, stripped", size, " MiB", &Budget::AtMost(32.0));
}

/// Writes to it from a few clients and kills it in the middle.
fn killed_while_writing(server: Server) {
    let browser = Browser::signed_in(server.address, "192.0.2.1", ADMIN);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            let mut twin = browser.twin();
            scope.spawn(move || {
                let (to, body) = (person(1), body());
                loop {
                    let draft = DraftId::generate().to_string();
                    let letter = Letter { draft: &draft, to: &to, body: &body, action: "send" };
                    if twin.try_compose(&letter, None).is_err() {
                        break;
                    }
                }
            });
        }
        thread::sleep(WRITING);
        server.kill();
    });
}
