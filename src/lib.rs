//! Sealpost: the secure post room of a small practice. The map of the house.
//!
//! Modules in dependency order; a module names only those above it (`tests/tidy.rs` holds this):
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | boot configuration: one TOML file, the environment, systemd credentials; parsed once |
//! | [`metrics`] | counters of what happened, without content |
//! | [`words`] | what pages and letters say, in the reader's language |
//! | [`crypto`] | host and epoch keys, slots, identities, sealing, passwords |
//! | [`store`] | redb tables (all on one screen), grouped commits, blobs |
//! | [`search`] | an index of words, and what a person asks of it |
//! | [`gateway`] | the outside: mail, codes by phone |
//! | [`domain`] | the rules: accounts, sessions, invitations, messages, expiry, audit |
//! | [`web`] | every page and route, who asks, and how it is answered |
//! | [`serve`] | the listener, the loops, shutdown |
//! | [`demo`] | a throw-away installation with a believable practice in it |
//!
//! Invariants, each held by a test:
//! - One domain operation is one write transaction: the change, its audit entry, its outbox rows and its expiry key
//!   commit together or not at all.
//! - Nothing inside an operation talks to the outside; the loops in [`serve`] do.
//! - Capabilities (`Visitor`, `Member`, `Manager`, `Admin`) have private fields and are made only in
//!   `domain/sessions.rs`; a handler without the right extractor does not compile.
//! - Plaintext has its own type; `store` takes only sealed contents.
//! - Erasure is the destruction of a key: overwriting a slot.
//! - A message's bytes are reached through one function, which checks holder and clock.
//! - Every limit has a name and a unit.
//! - Links come from the configured public URL only, never from a request.

pub mod config;
pub mod crypto;
pub mod demo;
pub mod domain;
pub mod gateway;
pub mod metrics;
pub mod search;
pub mod serve;
pub mod store;
pub mod web;
pub mod words;
