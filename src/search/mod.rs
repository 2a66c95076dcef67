//! Search: an index of some messages' words, and what a person asks of it. No rules, no storage, no pages.
//!
//! An index is made in memory and leaves it only as [`Plain`], to be sealed; no part of it is ever a file. It knows a
//! message by its identifier and when it was sent, and keeps no text to be shown: that is always the message's own,
//! opened again.

pub mod marks;
pub mod query;
pub mod shard;
mod words;

#[cfg(doc)]
use crate::crypto::Plain;

/// An index could not be made, read or asked. Without the library's own words, which may quote what was looked for.
#[derive(Debug, thiserror::Error)]
#[error("a search index: {0}")]
pub struct SearchError(&'static str);

impl SearchError {
    fn while_doing<E>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |_| Self(what)
    }
}
