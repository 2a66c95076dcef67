//! The portal over HTTP: the true program on a free port, a file for each promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

mod broken;
mod client;
mod guesses;
mod interop;
mod compose;
mod drafts;
mod expiry;
mod files;
mod forms;
mod journey;
mod limits;
mod mail;
mod rights;
mod shell;
mod notices;
mod people;
mod profile;
mod registration;
mod settings;
mod setup;
mod sign_in;
mod smtp;
mod threads;
mod uploads;
mod world;
