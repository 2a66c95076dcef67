//! A whole installation for one test: the true program on a free port, on a clock that the test turns.

#![allow(dead_code, reason = "several test programs use this file, each what it needs")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealpost::config::{Config, Smtp};
use sealpost::domain::time::{Clock, TestClock};
use sealpost::domain::{Loop, Timestamp};
use sealpost::serve::{Running, start};
use tokio::runtime::Runtime;

use crate::client::{Client, Reply, unescape};

/// 2026-11-23T10:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_428_000_000);
/// Seconds of a day.
pub const DAY: u64 = 86_400;
pub const ADMIN: &str = "admin@riverside.example";
pub const PASSWORD: &str = "seven quiet herons wade";

/// The installation. Dropped, its folder is removed.
pub struct World {
    runtime: Runtime,
    running: Option<Running>,
    pub clock: Arc<TestClock>,
    config: Config,
    _folder: tempfile::TempDir,
    /// The data folder.
    pub data: PathBuf,
    /// Where it listens now.
    pub address: SocketAddr,
    /// The link printed at the first start.
    pub setup_link: Option<String>,
}

impl World {
    /// Freshly started, without a mail server.
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Freshly started, handing its letters to this server on loopback.
    pub fn start_with_mail(port: u16) -> Self {
        Self::start_with(|config| {
            config.smtp = Some(Smtp {
                host: "127.0.0.1".into(),
                port,
                tls: sealpost::config::SmtpTls::None,
                user: None,
                password: None,
                from: "post@riverside.example".into(),
                ca_file: None,
            });
        })
    }

    /// Freshly started with a changed configuration.
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_with_threads(512, change)
    }

    /// The same, with so many threads for what blocks: few of them show who keeps one waiting.
    pub fn start_with_threads(blocking: usize, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut config = Config::loopback(&data).unwrap();
        config.shutdown = Duration::from_secs(2);
        change(&mut config);
        let data = config.data.clone();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).max_blocking_threads(blocking).enable_all().build().unwrap();
        let clock = Arc::new(TestClock::at(NOW));
        let running = runtime.block_on(start(config.clone(), clock.clone())).unwrap();
        let (address, setup_link) = (running.addr, running.setup_link.clone());
        Self { runtime, running: Some(running), clock, config, _folder: folder, data, address, setup_link }
    }

    /// The host key file.
    pub fn host_key(&self) -> &Path {
        self.config.host_key.path()
    }

    /// A browser that has never been here.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Stops the program in good order.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }

    /// Starts it again, on another port; clients follow with `moved`.
    pub fn restart(&mut self) {
        self.stop();
        let running = self.runtime.block_on(start(self.config.clone(), self.clock.clone())).unwrap();
        (self.address, self.setup_link) = (running.addr, running.setup_link.clone());
        self.running = Some(running);
    }

    /// Time passes, and everything that is due because of that is done.
    pub fn turn(&self, seconds: u64) {
        self.clock.turn(Duration::from_secs(seconds));
        for which in [Loop::Sweep, Loop::Outbox, Loop::Upkeep] {
            self.settle(which);
        }
    }

    /// Sealed files on the disk, whole or on their way.
    pub fn blobs(&self) -> usize {
        let shelves = std::fs::read_dir(self.data.join("blobs")).unwrap();
        shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum()
    }

    /// A loop has made a round that began after this call.
    pub fn settle(&self, which: Loop) {
        let running = self.running.as_ref().unwrap();
        self.runtime.block_on(running.settled(which));
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets the practice up; its administrator, signed in, the recovery kit confirmed.
    pub fn set_up(&self) -> Client {
        self.set_up_with_kit().0
    }

    /// The same, with the AGE-SECRET-KEY line and the words of the recovery kit.
    pub fn set_up_with_kit(&self) -> (Client, String, Vec<String>) {
        let mut admin = self.client();
        let (identity, words) = set_up(&mut admin, self.setup_link.as_ref().unwrap());
        (admin, identity, words)
    }

    /// Signs somebody in who has registered.
    pub fn sign_in(&self, client: &mut Client, address: &str) {
        sign_in(client, address);
    }

    /// The link in the newest letter to this address on the outbox page.
    pub fn link_to(&self, admin: &mut Client, address: &str) -> String {
        link_to(admin, address)
    }

    /// Registers somebody by the link in their letter and the code that `inviter` reads out; they are signed in.
    pub fn register(&self, inviter: &mut Client, address: &str, first: &str, last: &str) -> Client {
        let link = self.link_to(inviter, address);
        self.register_by(inviter, &link, address, first, last)
    }

    /// The same by a link from elsewhere.
    pub fn register_by(&self, inviter: &mut Client, link: &str, address: &str, first: &str, last: &str) -> Client {
        let mut client = self.client();
        register(&mut client, inviter, link, address, (first, last));
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sets a practice up by its link; the AGE-SECRET-KEY line and the words of its recovery kit, which is confirmed.
pub fn set_up(admin: &mut Client, link: &str) -> (String, Vec<String>) {
    admin.visit(link).expect(200);
    let token = admin.hidden("token").unwrap();
    let fields = [
        ("token", token.as_str()),
        ("practice_name", "Riverside Dental"),
        ("name", "Dr Ann Rivers"),
        ("email", ADMIN),
        ("password", PASSWORD),
        ("expires", "30"),
    ];
    let reply = admin.post("/setup", &fields).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/setup/kit"));
    confirm_kit(admin)
}

/// Types back the words of the recovery kit that are asked for; the kit's AGE-SECRET-KEY line and words.
pub fn confirm_kit(admin: &mut Client) -> (String, Vec<String>) {
    let kit = admin.get("/setup/kit").expect(200).text();
    let list = between(&kit, "<ol class=\"kit-words\">", "</ol>");
    let words: Vec<String> = list.split("<li>").skip(1).map(|item| between(item, "", "</li>").to_owned()).collect();
    let at = kit.find("AGE-SECRET-KEY-1").unwrap();
    let identity = kit[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let asked = admin.get("/setup/kit/confirm").expect(200).text();
    let fields: Vec<(String, String)> = (1..=words.len())
        .filter(|n| asked.contains(&format!("name=\"word_{n}\"")))
        .map(|n| (format!("word_{n}"), words[n - 1].clone()))
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, word)| (name.as_str(), word.as_str())).collect();
    assert_eq!(admin.post("/setup/kit", &fields).expect(303).location().as_deref(), Some("/inbox"));
    admin.visit("/inbox").expect(200);
    (identity, words)
}

/// Signs somebody in who has registered.
pub fn sign_in(client: &mut Client, address: &str) {
    client.visit("/sign-in").expect(200);
    client.post("/sign-in", &[("email", address), ("password", PASSWORD)]).expect(303);
    client.visit("/inbox").expect(200);
}

/// The link in the newest letter to this address on the outbox page.
pub fn link_to(admin: &mut Client, address: &str) -> String {
    let page = unescape(&admin.get("/outbox").expect(200).text());
    let letter = page.split("<li class=\"panel\">").find(|letter| letter.contains(&format!("To {address}")));
    let letter = letter.unwrap_or_else(|| panic!("no letter to {address}"));
    let link = between(letter, "<a href=\"", "\"").to_owned();
    link.strip_prefix(&admin.origin).unwrap_or(&link).to_owned()
}

/// Registers somebody by a link and the code that `inviter` reads out; they are signed in.
pub fn register(client: &mut Client, inviter: &mut Client, link: &str, address: &str, (first, last): (&str, &str)) {
    client.visit(link).expect(200);
    let fields = [("first_name", first), ("last_name", last), ("office_phone", ""), ("cell_phone", "+1 555 0100")];
    client.post("/register/details", &fields).expect(303);
    let code = code_for(inviter, address);
    client.visit("/register/code").expect(200);
    let reply = client.post("/register/code", &[("code", &code)]).expect(303);
    assert_eq!(reply.location().as_deref(), Some("/register/account"));
    client.visit("/register/account").expect(200);
    client.post("/register/account", &[("terms", "1"), ("password", PASSWORD)]).expect(303);
    client.visit("/inbox").expect(200);
}

/// The code to be read out to this address, from the people page.
pub fn code_for(manager: &mut Client, address: &str) -> String {
    let page = manager.get("/people").expect(200).text();
    let person = page.split("<li class=\"person\">").find(|person| person.contains(address)).unwrap();
    between(person, "<p class=\"code-digits\">", "</p>").replace(' ', "")
}

/// A message to a new or known address; the page of its conversation.
pub fn send(from: &mut Client, to: &str, subject: &str, body: &str) -> Reply {
    from.visit("/compose").expect(200);
    let draft = from.hidden("draft").unwrap();
    let fields = [
        ("draft", draft.as_str()),
        ("revision", "0"),
        ("to", to),
        ("relationship", "doctor_other"),
        ("subject", subject),
        ("body", body),
        ("expires", "30"),
        ("action", "send"),
    ];
    let reply = from.post_files("/compose", &fields, &[]).expect(303);
    from.follow(reply).expect(200)
}

/// What stands between two marks.
pub fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start:?} in:\n{text}")) + start.len();
    let length = text[from..].find(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}"));
    &text[from..from + length]
}
