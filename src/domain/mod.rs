//! The rules of Sealpost: every operation that somebody can ask for, without pages and without the outside.
//!
//! An operation is a method of [`Portal`], in the file of its noun. It checks its input, does everything slow or random,
//! and then runs one transaction of the store: the change, its audit entry, its outbox rows and its expiry key commit
//! together or not at all. Who may ask is shown by a capability ([`sessions::Member`], [`sessions::Manager`],
//! [`sessions::Admin`]).

pub mod accounts;
pub mod addressing;
pub mod audit;
mod blobs;
mod books;
pub mod cards;
pub mod completion;
pub mod contacts;
mod correspondents;
pub mod counts;
pub mod drafts;
mod due;
pub mod expiry;
pub mod fields;
pub mod files;
pub mod filing;
pub mod folders;
pub mod forwards;
pub mod groups;
pub mod ids;
pub mod imports;
mod indexing;
mod interrupted;
pub mod invites;
mod jumps;
mod lapsed;
mod ledger;
pub mod links;
pub mod messages;
pub mod notices;
mod open_shards;
pub mod overview;
pub mod people;
pub mod portal;
pub mod practices;
pub mod recovery;
mod resend;
pub mod searching;
pub mod send;
pub mod sessions;
pub mod setup;
mod shards;
pub mod shares;
mod sheets;
mod summaries;
pub mod threads;

pub mod time;
mod upkeep;
pub mod uploads;
mod vcards;

pub use portal::{Error, Loop, Options, Portal};
pub use time::{Clock, SystemClock, Timestamp};
