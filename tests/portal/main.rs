//! The portal over HTTP: the true program on a free port, a file for each promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

mod broken;
mod client;
mod compose;
mod contacts;
mod crawl;
mod demo;
mod drafts;
mod events;
mod expiry;
mod files;
mod folders;
mod forged;
mod forms;
mod forwards;
mod guesses;
mod interop;
mod interrupted;
mod journey;
mod limits;
mod mail;
mod notices;
mod others;
mod people;
mod profile;
mod recipients;
mod registration;
mod restart;
mod rights;
mod routes;
mod search;
mod settings;
mod setup;
mod shell;
mod shown;
mod sign_in;
mod smtp;
mod threads;
mod uploads;
mod world;
