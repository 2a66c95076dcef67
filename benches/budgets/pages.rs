//! A page of the inbox: against the framework rendering the same rows from memory, and out of many messages against
//! out of a hundred.

use std::net::SocketAddr;
use std::sync::Arc;

use minijinja::{Value, context};
use sealpost::domain::filing::{Filter, Folder};
use sealpost::domain::folders::{Row, RowTarget};
use sealpost::domain::sessions::initials;
use sealpost::domain::{Clock, SystemClock};
use sealpost::web::page::value;
use sealpost::web::when::Calendar;

use crate::http::Browser;
use crate::limits::bare_page;
use crate::practice::{ADMIN, Practice, fill, person, sign_in};
use crate::table::{Budget, Table};
use crate::timing::{Load, load, median, paired};

/// Messages in the small mailbox.
const FEW: usize = 100;
/// Connections that ask for pages at once when their rate is measured.
const CONNECTIONS: usize = 8;
/// Whose inboxes they are.
const WITH_FEW: usize = 0;
const WITH_MANY: usize = 1;

/// Measures it with this many messages in the large mailbox.
pub fn measure(practice: &Practice, many: usize, rounds: usize, seconds: f64, table: &mut Table) {
    let practice = practice.copy();
    eprintln!("filling mailboxes with {FEW} and {many} messages …");
    let portal = practice.open(Arc::new(SystemClock));
    let admin = sign_in(&portal, ADMIN);
    fill(&portal, &admin, &person(WITH_FEW), FEW, "30");
    fill(&portal, &admin, &person(WITH_MANY), many, "30");
    let reader = sign_in(&portal, &person(WITH_MANY));
    let rows = portal.folder(&reader, Folder::Inbox, Filter::All, None).unwrap().rows;
    let me = portal.me(&reader).unwrap();
    drop(portal);
    let calendar = Calendar::new(&me.time_zone, SystemClock.now());
    let rows: Value = rows.iter().map(|row| line(row, &calendar)).collect();
    let nothing = Value::from_pairs(std::iter::empty::<(&str, &str)>());
    let filters = [
        ("", "All"),
        ("unread", "Unread"),
        ("starred", "Starred"),
        ("files", "With files"),
        ("soon", "Destroyed soon"),
    ];
    let filters =
        filters.map(|(id, text)| context! { id, text, current => id.is_empty(), url => format!("/inbox?filter={id}") });
    let bare = bare_page(context! {
        lang => "en", page => "inbox", folder => "inbox", title => "Inbox", filters, filter => "", here => "/inbox", rows, older => "/inbox?before=0123456789abcdef",
        csrf => "0".repeat(64), practice => "Riverside Dental", me => value(me), errors => nothing.clone(), form => nothing,
    });

    let server = practice.serve();
    let browser = |number| Browser::signed_in(server.address, "192.0.2.1", &person(number));
    let (mut small, mut large) = (browser(WITH_FEW), browser(WITH_MANY));
    same_size(&mut Browser::new(bare, "192.0.2.1"), &mut large);
    let paired = paired(rounds, || pages(bare, None, seconds), || pages(server.address, Some(&large), seconds));
    let (measured, limit) =
        (format!("{:.0} pages/s", paired.measured), format!("bare poem {:.0} pages/s", paired.limit));
    table.ratio(&format!("inbox page, 50 rows of {many}"), measured, limit, paired.ratio, &Budget::AtLeast(0.25));
    let before = server.processor_seconds();
    let alone = load(vec![|| large.visit("/inbox")], seconds);
    let each = (server.processor_seconds() - before) / alone.count() * 1000.0;
    table.figure("processor time of an inbox page", each, " ms", &Budget::None);
    tail(&mut small, &mut large, many, (rounds, seconds), table);
}

/// The row as `web::mailbox` makes it.
fn line(row: &Row, calendar: &Calendar) -> Value {
    let RowTarget::Thread(thread) = row.to else { panic!("a draft in the inbox") };
    context! {
        url => format!("/threads/{thread}"), thread => thread.to_string(), starred => row.starred, damaged => row.damaged,
        initials => row.people.first().map(|name| initials(name)), people => row.people.join(", "), subject => row.subject.as_str(),
        snippet => row.snippet.as_str(), date => value(calendar.when(row.at)), files => row.files, unread => row.unread,
        expiry => value(row.expires.map(|at| calendar.expiry(at))), status => (), status_kind => (), destroyed => (),
    }
}

/// What is compared is the same page, but for tokens.
fn same_size(bare: &mut Browser, browser: &mut Browser) {
    let (limit, page) = (bare.get("/inbox").len() as f64, browser.get("/inbox").len() as f64);
    assert!((limit / page - 1.0).abs() < 0.01, "{limit} bytes are not the page's {page}");
}

/// Pages a second over some connections.
fn pages(address: SocketAddr, of: Option<&Browser>, seconds: f64) -> f64 {
    let browsers = (0..CONNECTIONS).map(|_| of.map_or_else(|| Browser::new(address, "192.0.2.1"), Browser::twin));
    let workers = browsers.map(|mut browser| move || browser.visit("/inbox"));
    load(workers.collect(), seconds / 2.0).rate
}

/// One reader alone: out of many against out of few.
fn tail(small: &mut Browser, large: &mut Browser, many: usize, (rounds, seconds): (usize, f64), table: &mut Table) {
    let (mut of_few, mut of_many, mut ratios) = (Tail::default(), Tail::default(), vec![]);
    for _ in 0..rounds {
        let few = of_few.add(&load(vec![|| small.visit("/inbox")], seconds / 2.0));
        let all = of_many.add(&load(vec![|| large.visit("/inbox")], seconds / 2.0));
        ratios.push(all / few);
    }
    let what = format!("inbox page of {many} against of {FEW}, p99");
    let limit = format!("of {FEW}: {}", of_few.words());
    table.ratio(&what, of_many.words(), limit, median(&ratios), &Budget::AtMost(2.0));
}

/// Milliseconds of rounds.
#[derive(Default)]
struct Tail {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Tail {
    /// One more round; its 99th percentile.
    fn add(&mut self, load: &Load) -> f64 {
        self.p50.push(load.millis(0.5));
        self.p99.push(load.millis(0.99));
        load.millis(0.99)
    }

    fn words(&self) -> String {
        format!("p50 {:.2} p99 {:.2} ms", median(&self.p50), median(&self.p99))
    }
}
