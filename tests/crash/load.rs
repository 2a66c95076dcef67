//! The load: several windows that send, upload, read, destroy and discard as fast as they are answered, until the
//! server is gone.

use std::io;
use std::sync::mpsc::Sender;

use crate::desk::Desk;
use crate::dice::Dice;
use crate::ledger::{Fate, Ledger, Letter, PEOPLE, Sending, Upload, now};

/// Letters that one window sends in a round: enough for a kill to fall among them, few enough to look at all of them.
const SENDS_MAX: usize = 8;
/// Letters that are left alone, so that there are always old ones to look at.
const SPARE: usize = 20;
/// Largest file, in bytes, and how far ahead an expiry is set, in milliseconds.
const FILE_BYTES_MAX: usize = 60_000;
const LARGE_FILE_BYTES: usize = 1_500_000;
const EXPIRY_MILLIS: i64 = 2000;

/// What a window does.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Sends whole forms, with and without a file.
    Send,
    /// Uploads files by tus or saves them with a draft, then sends most of them.
    Upload,
    /// Moves expiries, recalls, deletes.
    Destroy,
    /// Reads, downloads, saves drafts and discards them.
    Read,
}

/// Works until the server is gone, and tells of every step. Gives back how many changes were acknowledged.
pub fn work(job: Job, mut desk: Desk, ledger: &Ledger, mut dice: Dice, told: &Sender<()>) -> usize {
    let mut done = 0;
    loop {
        let step = match job {
            Job::Send | Job::Upload if done >= SENDS_MAX => draft(&mut desk, &mut dice),
            Job::Send => send(&mut desk, ledger, &mut dice),
            Job::Upload => upload(&mut desk, ledger, &mut dice),
            Job::Destroy => destroy(&mut desk, ledger, &mut dice),
            Job::Read => read(&mut desk, ledger, &mut dice),
        };
        match step {
            Ok(acknowledged) => {
                done += usize::from(acknowledged);
                // Nobody listens any more once the server is being killed.
                let _ = told.send(());
            }
            Err(_) => return done,
        }
    }
}

fn a_file(dice: &mut Dice) -> Vec<u8> {
    let length = if dice.below(12) == 0 { LARGE_FILE_BYTES } else { dice.below(FILE_BYTES_MAX) };
    dice.bytes(length)
}

/// A letter was sent: the server said so.
pub fn note_sent(ledger: &Ledger, letter: &Letter, reply: &crate::client::Reply) -> bool {
    let thread = reply.location().and_then(|to| to.strip_prefix("/threads/").map(str::to_owned));
    match (reply.status, thread) {
        (303, Some(thread)) => {
            ledger.note(letter.number, |letter| letter.sending = Sending::There(thread));
            true
        }
        (status, _) => panic!("a letter was refused with {status}: {}", reply.text()),
    }
}

fn send(desk: &mut Desk, ledger: &Ledger, dice: &mut Dice) -> io::Result<bool> {
    let file = (dice.below(3) > 0).then(|| a_file(dice));
    let letter = ledger.ask(desk.person, file, dice);
    let reply = desk.compose(&letter, "send", true)?;
    Ok(note_sent(ledger, &letter, &reply))
}

/// A file that is in its draft before the letter goes; one in three is left there.
fn upload(desk: &mut Desk, ledger: &Ledger, dice: &mut Dice) -> io::Result<bool> {
    let file = Some(a_file(dice)).filter(|bytes| bytes.len() > 1).unwrap_or(vec![7, 7]);
    let letter = ledger.ask(desk.person, Some(file), dice);
    let reply = if dice.below(4) == 0 {
        desk.compose(&letter, "save", true)?
    } else {
        let begun = desk.begin_upload(&letter)?;
        let place = begun.location().unwrap_or_else(|| panic!("an upload was refused: {}", begun.text()));
        ledger.note(letter.number, |letter| letter.upload = Upload::Begun(place.clone()));
        desk.upload(&letter, &place)?
    };
    assert!([204, 303].contains(&reply.status), "a file was refused with {}: {}", reply.status, reply.text());
    ledger.note(letter.number, |letter| letter.upload = Upload::Complete);
    if dice.below(3) == 0 {
        return Ok(true);
    }
    let reply = desk.compose(&letter, "send", false)?;
    Ok(note_sent(ledger, &letter, &reply))
}

/// A draft that is begun and, mostly, discarded.
fn draft(desk: &mut Desk, dice: &mut Dice) -> io::Result<bool> {
    let letter = Letter {
        number: 0,
        id: dice.identifier(),
        from: desk.person,
        body: "A draft.".to_owned(),
        file: Some(a_file(dice)),
        upload: Upload::Asked,
        sending: Sending::Asked,
        fate: [Fate::Lives; PEOPLE],
    };
    desk.compose(&letter, "save", true)?;
    if dice.below(10) > 0 {
        desk.compose(&letter, "discard", false)?;
    }
    Ok(false)
}

fn read(desk: &mut Desk, ledger: &Ledger, dice: &mut Dice) -> io::Result<bool> {
    desk.look(["/inbox", "/sent", "/drafts", "/search?q=text"][dice.below(4)])?;
    if let Some(letter) = ledger.some_living(0, dice) {
        let message = desk.message(&letter)?;
        desk.look(&format!("{message}/files.zip"))?;
        desk.look(&format!("{message}/export"))?;
    }
    draft(desk, dice)
}

/// Destroys some letter, one way or another.
fn destroy(desk: &mut Desk, ledger: &Ledger, dice: &mut Dice) -> io::Result<bool> {
    let Some(letter) = ledger.some_living(SPARE, dice) else { return draft(desk, dice) };
    // What is destroyed is in an index.
    desk.look("/search?q=text")?;
    let mine = letter.from == desk.person;
    let change = |to: &dyn Fn(usize) -> Option<Fate>| {
        ledger.note(letter.number, |letter| {
            for person in 0..PEOPLE {
                letter.fate[person] = to(person).unwrap_or(letter.fate[person]);
            }
        });
    };
    let me = desk.person;
    // What is recorded before the request, and what once it is acknowledged.
    let (reply, acknowledged): (_, Box<dyn Fn(usize) -> Option<Fate>>) = match dice.below(3) {
        0 if mine => {
            let moment = now() + EXPIRY_MILLIS;
            change(&|_| Some(Fate::MayBeGoneFrom(moment)));
            let text = jiff::Timestamp::from_millisecond(moment).unwrap().to_string();
            (desk.press(&letter, "expiry", &[("expires", &text)])?, Box::new(move |_| Some(Fate::GoneFrom(moment))))
        }
        1 if mine => {
            change(&|_| Some(Fate::MayBeGone));
            (desk.press(&letter, "recall", &[])?, Box::new(|_| Some(Fate::Gone)))
        }
        _ => {
            change(&|person| (person == me).then_some(Fate::MayBeGone));
            (desk.press(&letter, "delete", &[])?, Box::new(move |person| (person == me).then_some(Fate::Gone)))
        }
    };
    assert_eq!(reply.status, 303, "a living letter could not be destroyed: {}", reply.text());
    change(&acknowledged);
    Ok(true)
}
