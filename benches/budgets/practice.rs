//! An installation with people in it: set up once by the rules alone, copied for each measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use sealpost::config::Config;
use sealpost::domain::drafts::{DraftText, Invitee};
use sealpost::domain::ids::DraftId;
use sealpost::domain::send::Sent;
use sealpost::domain::sessions::Member;
use sealpost::domain::setup::SetUp;
use sealpost::domain::{Clock, Portal, SystemClock};
use sealpost::serve::open_portal;
use tempfile::TempDir;

use crate::server::Server;

pub const ADMIN: &str = "admin@bench.example";
pub const PASSWORD: &str = "seven quiet herons wade";
/// People beside the administrator: enough that two hundred sign-ins are ten for each.
pub const PEOPLE: usize = 24;
/// Threads that fill mailboxes.
const FILLERS: usize = 32;

/// The address of one of the people.
pub fn person(number: usize) -> String {
    format!("person{number}@bench.example")
}

/// A data folder and its host key.
pub struct Practice {
    folder: TempDir,
    program: PathBuf,
}

/// A message of the ordinary size: 2 KB of text.
pub fn text(to: &str, number: usize) -> DraftText {
    DraftText {
        to: to.to_owned(),
        invitees: vec![Invitee { relationship: "doctor_mine".to_owned(), ..Invitee::default() }],
        subject: format!("Tooth {}, findings and plan, number {number}", number % 32 + 11),
        body: body(),
        expires: "30".to_owned(),
        ..DraftText::default()
    }
}

/// 2 KB of text.
pub fn body() -> String {
    let line = "The lower left molar is tender to percussion and cold, the radiograph shows a widened ligament. ";
    line.repeat(2048 / line.len() + 1).chars().take(2048).collect()
}

impl Practice {
    /// A practice with its administrator and everybody registered.
    pub fn found(program: &Path) -> Self {
        eprintln!("setting up a practice of {} people …", PEOPLE + 1);
        let practice = Self { folder: folder(), program: program.to_owned() };
        let portal = practice.open(Arc::new(SystemClock));
        let form = SetUp {
            practice_name: "Riverside Dental".to_owned(),
            name: "Dr Ann Rivers".to_owned(),
            email: ADMIN.to_owned(),
            password: PASSWORD.into(),
            expiry_days: 30,
            time_zone: "Europe/Zurich".to_owned(),
        };
        portal.set_up(&portal.setup_token(), form).unwrap();
        let admin = sign_in(&portal, ADMIN);
        confirm_kit(&portal, &admin);
        for number in 0..PEOPLE {
            portal.send(&admin, DraftId::generate(), &text(&person(number), 0)).unwrap();
        }
        for letter in portal.outbox(&admin.admin().unwrap()).unwrap() {
            let token = letter.link.rsplit('/').next().unwrap();
            register(&portal, &admin, &letter.to, token);
        }
        practice
    }

    /// Another of the same.
    pub fn copy(&self) -> Self {
        let copy = folder();
        copy_all(self.folder.path(), copy.path());
        Self { folder: copy, program: self.program.clone() }
    }

    /// Opens it in this process.
    pub fn open(&self, clock: Arc<dyn Clock>) -> Arc<Portal> {
        open_portal(&Config::loopback(&self.data()).unwrap(), clock).unwrap()
    }

    /// Starts the program on it.
    pub fn serve(&self) -> Server {
        Server::start(&self.program, self.folder.path())
    }

    /// The program that serves it.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file for a limit, on the same file system.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Below the build's own folder: on a disk, where a folder for temporary files may be memory.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The proof that somebody is signed in.
pub fn sign_in(portal: &Portal, email: &str) -> Member {
    let token = portal.sign_in(email, &PASSWORD.into(), "bench").unwrap();
    portal.member(&token).unwrap()
}

fn confirm_kit(portal: &Portal, admin: &Member) {
    let kit = portal.recovery_kit(&admin.admin().unwrap()).unwrap();
    let asked = Portal::words_asked(&kit);
    let typed: Vec<(usize, String)> = asked.iter().map(|place| (*place, kit.words()[place - 1].clone())).collect();
    portal.confirm_kit(&admin.admin().unwrap(), &typed).unwrap();
}

fn register(portal: &Portal, admin: &Member, email: &str, token: &str) {
    let visit = portal.visit(token).unwrap().unwrap();
    let details = sealpost::domain::accounts::Details {
        first_name: "Lee".to_owned(),
        last_name: visit.account.email.to_string().split('@').next().unwrap().to_owned(),
        office_phone: String::new(),
        cell_phone: "+1 555 0100".to_owned(),
    };
    portal.send_code(token, Some(details)).unwrap();
    let people = portal.people(&admin.manager().unwrap()).unwrap();
    let person = people.into_iter().find(|person| person.account.email.to_string() == email).unwrap();
    let ticket = portal.enter_code(token, &person.code.unwrap().digits).unwrap();
    portal.register(token, &ticket, &PASSWORD.into(), "Europe/Zurich", "bench").unwrap();
}

/// Sends `count` messages from `from` to `to`, many at once; `expires` as the form has it.
pub fn fill(portal: &Arc<Portal>, from: &Member, to: &str, count: usize, expires: &str) -> Vec<Sent> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..FILLERS)
            .map(|filler| {
                scope.spawn(move || {
                    let numbers = (filler..count).step_by(FILLERS);
                    let send = |number| {
                        let text = DraftText { expires: expires.to_owned(), ..text(to, number) };
                        portal.send(from, DraftId::generate(), &text).unwrap()
                    };
                    numbers.map(send).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
