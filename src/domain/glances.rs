//! Glances: what a list shows of a message, kept in memory while its reader is signed in, so that a page of fifty lines
//! does not open fifty seals each time.
//!
//! They belong to a session and end with its keys; they are wiped when they go. A glance is no way past a check: who
//! shows one has just read the message's row, with its holders and its date. When a message is destroyed, its glances
//! go with it, also one that a list was about to keep: every destruction raises a count, and what was read before it is
//! not kept.

use std::collections::HashMap;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::ids::MessageId;
use super::messages::Content;

/// Characters of a message's text that a list shows.
const SNIPPET_CHARS: usize = 120;
/// Words of a message's text that a list looks at.
const SNIPPET_WORDS: usize = 40;
/// Glances of one session; beyond, it forgets them all rather than grow: the next page opens its messages again.
const GLANCES_MAX: usize = 500;

/// What a list shows of what stands inside a message's seal.
#[derive(Clone, Debug, Default, Zeroize, ZeroizeOnDrop)]
pub struct Glance {
    /// Subject.
    pub subject: String,
    /// Beginning of the text.
    pub snippet: String,
    /// Number of files.
    pub files: usize,
}

impl Glance {
    pub(super) fn of(content: &Content) -> Self {
        Self { subject: content.subject.clone(), snippet: snippet(&content.body), files: content.files.len() }
    }
}

/// Those of one session.
#[derive(Default)]
pub(super) struct Glances(HashMap<MessageId, Glance>);

impl Glances {
    pub fn get(&self, id: MessageId) -> Option<&Glance> {
        self.0.get(&id)
    }

    pub fn keep(&mut self, new: impl ExactSizeIterator<Item = (MessageId, Glance)>) {
        if self.0.len() + new.len() > GLANCES_MAX {
            self.0.clear();
        }
        self.0.extend(new);
    }

    pub fn forget(&mut self, id: MessageId) {
        self.0.remove(&id);
    }

    pub fn clear(&mut self) {
        self.0 = HashMap::new();
    }
}

/// The beginning of a text, in one line.
pub(super) fn snippet(body: &str) -> String {
    let text = body.split_whitespace().take(SNIPPET_WORDS).collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().take(SNIPPET_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
