//! The outside: the only room that speaks with other servers. Called by the loops, never inside an operation.
//!
//! What leaves through here is free of content: a gateway is handed names, a link and dates, never a message.

pub mod mail;
mod smtp;
