//! Destroyed means destroyed: whoever takes everything (the raw disk, old copies, every key and password) opens nothing
//! of what was destroyed, and opens everything else, with the product's own code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::print_stdout, reason = "the test says what kind of disk it looked at, and what it found")]

#[path = "../portal/client.rs"]
mod client;
mod everything;
mod marks;
mod office;
mod opener;
mod place;
#[path = "../crash/server.rs"]
mod server;
mod silence;
#[path = "../portal/world.rs"]
mod world;
