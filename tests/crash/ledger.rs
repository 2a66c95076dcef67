//! The ledger: what was asked for and what was acknowledged, and from that what must be there after a kill.

use std::sync::{Mutex, MutexGuard};

use sealpost::domain::{Clock, SystemClock};

use crate::dice::Dice;

/// The two who write to each other: sender and recipient of every letter, one way or the other.
pub const PEOPLE: usize = 2;

/// How far a letter's sending is known to have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Asked for, not acknowledged: it may be there or not.
    Asked,
    /// It is there, in this thread.
    There(String),
    /// It was not there after a kill: it must never appear.
    Lost,
}

/// How far a letter's file is known to have come ahead of the letter itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upload {
    /// Nothing of it was acknowledged.
    Asked,
    /// An upload was begun at this address; a kill ends it.
    Begun(String),
    /// All of it was acknowledged: it must be in its draft.
    Complete,
}

/// What must be found of one person's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It must be there.
    Lives,
    /// Its destruction was asked for, not acknowledged.
    MayBeGone,
    /// Its expiry was asked to be this moment (ms), not acknowledged: it may be gone from then on.
    MayBeGoneFrom(i64),
    /// Its expiry was moved to this moment: it is there until then and never after.
    GoneFrom(i64),
    /// Its destruction was acknowledged.
    Gone,
}

/// What may be seen of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    There,
    Gone,
    Either,
}

impl Fate {
    /// What may be seen by somebody who looked between these two moments (ms).
    pub fn allows(self, from: i64, until: i64) -> May {
        match self {
            Self::Lives => May::There,
            Self::Gone => May::Gone,
            Self::MayBeGoneFrom(moment) if until < moment => May::There,
            Self::MayBeGone | Self::MayBeGoneFrom(_) => May::Either,
            Self::GoneFrom(moment) if from >= moment => May::Gone,
            Self::GoneFrom(moment) if until < moment => May::There,
            Self::GoneFrom(_) => May::Either,
        }
    }

    /// What is known after looking, between these moments, and finding the copy there or not.
    pub fn learn(self, from: i64, there: bool) -> Self {
        match self {
            Self::MayBeGone => {
                if there {
                    Self::Lives
                } else {
                    Self::Gone
                }
            }
            Self::MayBeGoneFrom(moment) if from >= moment => {
                if there {
                    Self::Lives
                } else {
                    Self::Gone
                }
            }
            other => other,
        }
    }
}

/// A letter, as the test knows it.
#[derive(Clone, Debug)]
pub struct Letter {
    pub number: usize,
    /// Identifier of the draft.
    pub id: String,
    pub from: usize,
    pub body: String,
    pub file: Option<Vec<u8>>,
    pub upload: Upload,
    pub sending: Sending,
    pub fate: [Fate; PEOPLE],
}

impl Letter {
    pub fn subject(&self) -> String {
        subject(self.number)
    }

    pub fn file_name(&self) -> String {
        format!("file-{:06}.bin", self.number)
    }
}

/// What stands in the subject of a letter, and nowhere else.
pub fn subject(number: usize) -> String {
    format!("Load-{number:06}")
}

/// Every letter, in the order of its asking.
#[derive(Default)]
pub struct Ledger(Mutex<Vec<Letter>>);

impl Ledger {
    pub fn open(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.0.lock().unwrap()
    }

    /// Notes that a letter is about to be asked for.
    pub fn ask(&self, from: usize, file: Option<Vec<u8>>, dice: &mut Dice) -> Letter {
        let mut letters = self.open();
        let number = letters.len();
        let body = format!("The text of {}, {}.", subject(number), dice.identifier());
        let (id, fate) = (dice.identifier(), [Fate::Lives; PEOPLE]);
        let letter = Letter { number, id, from, body, file, upload: Upload::Asked, sending: Sending::Asked, fate };
        letters.push(letter.clone());
        letter
    }

    /// Notes what is known now of a letter.
    pub fn note(&self, number: usize, change: impl FnOnce(&mut Letter)) {
        change(&mut self.open()[number]);
    }

    /// One of those that are there and of which nothing is doubtful, if there are more than `spare` of them.
    pub fn some_living(&self, spare: usize, dice: &mut Dice) -> Option<Letter> {
        let letters = self.open();
        let lives = |it: &&Letter| matches!(it.sending, Sending::There(_)) && it.fate == [Fate::Lives; PEOPLE];
        let living: Vec<&Letter> = letters.iter().filter(lives).collect();
        (living.len() > spare).then(|| living[dice.below(living.len())].clone())
    }
}

/// Now, in milliseconds.
pub fn now() -> i64 {
    SystemClock.now().0
}
