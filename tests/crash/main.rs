//! Killed: whatever moment the server dies at, what was acknowledged is there whole, what was destroyed stays so, and
//! the next start needs no hand. And a full disk, from which nothing is lost either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]
#![allow(clippy::print_stdout, reason = "the test says its seed and what it measured")]

#[path = "../portal/client.rs"]
mod client;
mod count;
mod desk;
mod dice;
mod full;
mod killed;
mod ledger;
mod load;
#[path = "../destruction/place.rs"]
mod place;
mod server;
#[path = "../portal/world.rs"]
mod world;
