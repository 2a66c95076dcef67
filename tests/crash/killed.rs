//! kill -9 at random moments under load, round after round on the same data folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sealpost::domain::{Clock, SystemClock};

use crate::client::Client;
use crate::count::Kept;
use crate::desk::{ADDRESSES, Desk, Seen};
use crate::dice::Dice;
use crate::ledger::{Fate, Ledger, Letter, May, PEOPLE, Sending, Upload, now, subject};
use crate::load::{Job, note_sent, work};
use crate::server::{Server, read_log};
use crate::world::{link_to, register, set_up};

const ROUNDS: usize = 50;
/// The kill comes after so many steps of the load, at least and at most, whatever the speed of the machine, and then at
/// any moment of the next steps: within so many microseconds.
const STEPS: (usize, usize) = (3, 32);
const MICROS_MAX: usize = 20_000;
/// Old letters that are looked at after each kill; at the end all of them are.
const SAMPLE: usize = 8;
/// The longest start after a kill, on a machine that has other things to do as well.
const START_MAX: Duration = Duration::from_secs(5);

/// Sets the practice up with two people who may write to each other.
fn begin(folder: &Path) {
    let server = Server::start(folder);
    let mut ann = Client::new(server.address);
    set_up(&mut ann, server.setup_link.as_ref().unwrap());
    ann.visit("/compose").expect(200);
    let draft = ann.hidden("draft").unwrap();
    let fields = [
        ("draft", draft.as_str()),
        ("to", ADDRESSES[1]),
        ("relationship", "doctor_mine"),
        ("subject", "Welcome"),
        ("body", "Please register."),
        ("expires", "30"),
        ("action", "send"),
    ];
    ann.post_files("/compose", &fields, &[]).expect(303);
    let link = link_to(&mut ann, ADDRESSES[1]);
    register(&mut Client::new(server.address), &mut ann, &link, ADDRESSES[1], ("Lee", "River"));
    server.stop();
}

/// Everybody works; after a while the server is killed. Gives back how many changes were acknowledged.
fn load_and_kill(server: Server, desks: &[Desk], ledger: &Arc<Ledger>, dice: &mut Dice) -> usize {
    let (told, steps) = mpsc::channel();
    let jobs = [(Job::Send, 0), (Job::Upload, 1), (Job::Destroy, dice.below(2)), (Job::Read, dice.below(2))];
    let windows: Vec<_> = jobs
        .into_iter()
        .map(|(job, person)| {
            let (desk, ledger, dice) = (desks[person].window(&server), Arc::clone(ledger), Dice::new(dice.next()));
            let told = told.clone();
            thread::spawn(move || work(job, desk, &ledger, dice, &told))
        })
        .collect();
    drop(told);
    let (least, most) = STEPS;
    let count = least + dice.below(most - least);
    assert_eq!(steps.iter().take(count).count(), count, "nobody stops before the kill");
    let moment = Instant::now() + Duration::from_micros(dice.below(MICROS_MAX).try_into().unwrap());
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    server.kill();
    windows.into_iter().map(|window| window.join().unwrap()).sum()
}

/// After a restart: what was asked for and not acknowledged has come about or not, for everybody alike. Gives back how
/// many files were found in their drafts.
fn settle(desks: &mut [Desk], ledger: &Ledger) -> usize {
    let sent: Vec<Vec<_>> = desks.iter_mut().map(|desk| desk.listed("/sent").0).collect();
    let listed: Vec<BTreeMap<usize, String>> = sent.iter().map(|rows| rows.iter().cloned().collect()).collect();
    let mut unsent = Vec::new();
    for letter in ledger.open().iter_mut().filter(|letter| letter.sending == Sending::Asked) {
        letter.sending = match listed[letter.from].get(&letter.number) {
            Some(thread) => Sending::There(thread.clone()),
            None => Sending::Lost,
        };
        if letter.sending == Sending::Lost {
            unsent.push(letter.clone());
        }
    }
    for (desk, sent) in desks.iter_mut().zip(sent) {
        check_listed(ledger, &sent, "/sent");
        check_listed(ledger, &desk.listed("/inbox").0, "/inbox");
        desk.page("/drafts");
    }
    unsent.iter().filter(|letter| settle_upload(&mut desks[letter.from], ledger, letter)).count()
}

/// The file of a letter that was not sent: in its draft if it was acknowledged as complete, and nowhere by half. One that
/// is there is sent now, and looked at like all others. Says whether it is.
fn settle_upload(desk: &mut Desk, ledger: &Ledger, letter: &Letter) -> bool {
    if let Upload::Begun(place) = &letter.upload {
        assert!(!desk.knows_upload(place), "an upload of an earlier run of the server goes on");
    }
    let is_there = letter.file.is_some() && desk.has_in_draft(letter);
    assert!(is_there || letter.upload != Upload::Complete, "{} has lost its file", subject(letter.number));
    if is_there {
        let reply = desk.compose(letter, "send", false).unwrap();
        note_sent(ledger, letter, &reply);
    }
    is_there
}

/// Nothing is listed that was lost.
fn check_listed(ledger: &Ledger, rows: &[(usize, String)], path: &str) {
    for (number, thread) in rows {
        let letter = ledger.open()[*number].clone();
        assert_eq!(letter.sending, Sending::There(thread.clone()), "{path} lists {letter:?}");
    }
}

/// Looks at a letter with both people's eyes.
fn check(desks: &mut [Desk], ledger: &Ledger, letter: &Letter) {
    let Sending::There(thread) = &letter.sending else { return };
    for (person, desk) in desks.iter_mut().enumerate() {
        let fate = letter.fate[person];
        let from = now();
        let seen = desk.see(letter, thread);
        let told = || format!("{}: person {person}, {fate:?}, looked at {from}: {seen:?}", subject(letter.number));
        match (fate.allows(from, now()), &seen) {
            (May::There | May::Either, Seen::Whole) | (May::Gone | May::Either, Seen::Gone) => {}
            (May::Either, Seen::BrokenOff) => {}
            _ => panic!("{}", told()),
        }
        ledger.note(letter.number, |letter| letter.fate[person] = fate.learn(from, seen == Seen::Whole));
    }
}

/// Looks at everything that the last round touched, and at some of what is older.
fn check_some(desks: &mut [Desk], ledger: &Ledger, since: usize, dice: &mut Dice) {
    let letters = ledger.open().clone();
    let doubtful = |letter: &&Letter| letter.fate.iter().any(|fate| !matches!(fate, Fate::Lives | Fate::Gone));
    for letter in letters.iter().filter(|letter| letter.number >= since || doubtful(letter)) {
        check(desks, ledger, letter);
    }
    for _ in 0..SAMPLE.min(since) {
        check(desks, ledger, &letters[dice.below(since)]);
    }
}

/// Every page of every folder, and every letter ever asked for.
fn check_all(desks: &mut [Desk], ledger: &Ledger) -> [usize; 2] {
    for desk in desks.iter_mut() {
        for folder in ["/inbox", "/sent"] {
            let mut next = Some(folder.to_owned());
            while let Some(path) = next {
                let (rows, older) = desk.listed(&path);
                check_listed(ledger, &rows, &path);
                next = older;
            }
        }
    }
    let letters = ledger.open().clone();
    letters.iter().for_each(|letter| check(desks, ledger, letter));
    let there = letters.iter().filter(|letter| matches!(letter.sending, Sending::There(_)));
    let living = there.clone().filter(|letter| letter.fate.contains(&Fate::Lives));
    [there.count(), living.count()]
}

#[test]
fn fifty_kills_lose_nothing_and_revive_nothing() {
    let seed = u64::try_from(SystemClock.now().0).unwrap();
    println!("The seed is {seed}.");
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    begin(folder.path());
    let ledger = Arc::new(Ledger::default());
    let (mut starts, mut acknowledged, mut since, mut in_drafts) = (Vec::new(), 0, 0, 0);
    let began = Instant::now();
    for round in 0..ROUNDS {
        let server = Server::start(folder.path());
        assert!(server.took < START_MAX, "round {round}: the start took {:?}", server.took);
        starts.push(server.took);
        let mut desks: Vec<Desk> = (0..PEOPLE).map(|person| Desk::of(&server, person)).collect();
        in_drafts += settle(&mut desks, &ledger);
        check_some(&mut desks, &ledger, since, &mut dice);
        since = ledger.open().len();
        acknowledged += load_and_kill(server, &desks, &ledger, &mut dice);
    }
    let server = Server::start(folder.path());
    let mut desks: Vec<Desk> = (0..PEOPLE).map(|person| Desk::of(&server, person)).collect();
    in_drafts += settle(&mut desks, &ledger);
    let [there, living] = check_all(&mut desks, &ledger);
    server.stop();
    let kept = Kept::count(&folder.path().join("data"), &folder.path().join("data.host-key"));
    kept.check();
    let (slots, blobs) = kept.sizes();
    starts.sort();
    println!(
        "{ROUNDS} kills in {:?}; {acknowledged} changes acknowledged; {there} letters came about, {living} live; \
         {in_drafts} files were found in their drafts; {slots} slots and {blobs} blobs are kept; \
              the start took {:?} in the middle, {:?} at most.",
        began.elapsed(),
        starts[ROUNDS / 2],
        starts[ROUNDS - 1]
    );
    let log = read_log(folder.path());
    assert!(!log.contains("\"ERROR\""), "{log}");
}
