//! What the program promises to be able to do, measured: `cargo bench`, or `cargo bench -- upload sweep` for some of it.
//!
//! Figures of two machines cannot be compared, nor those of a quiet and a busy hour. So each figure stands beside a
//! limit that was measured in the same run, turn and turn about with it: what the age library, the disk or the bare
//! framework could do at that time. The budgets are ratios to those limits.
//!
//! | file | what it is |
//! |---|---|
//! | `files` | 100 MB up and down |
//! | `sends` | durable sends, through HTTP and without it |
//! | `pages` | a page of the inbox |
//! | `sweep` | ten thousand expiries at once |
//! | `storm` | two hundred sign-ins at once |
//! | `process` | starting, resting, size |
//! | `limits` | what the parts can do by themselves |
//! | `practice`, `server`, `http` | an installation with people in it, the program that serves it, browsers |
//! | `timing`, `table` | measuring and telling |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a measurement may stop, and its output is what it is for"
)]

use std::path::PathBuf;

use clap::Parser;

mod files;
mod http;
mod limits;
mod pages;
mod practice;
mod process;
mod sends;
mod server;
mod storm;
mod sweep;
mod table;
mod timing;

/// Measures the budgets.
#[derive(Parser)]
struct Asked {
    /// What to measure: upload, download, sends, inbox, sweep, storm, process; everything if none is named.
    names: Vec<String>,
    /// Messages in the large mailbox of `inbox` and in the folder of `process`.
    #[arg(long, default_value_t = 5000)]
    messages: usize,
    /// Messages that `sweep` destroys.
    #[arg(long, default_value_t = 10_000)]
    expiries: usize,
    /// Rounds of what is compared turn and turn about.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement under load.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Another build of the program, to be held against this one.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_sealpost"))]
    program: PathBuf,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let asked = Asked::parse();
    let wants = |name: &str| asked.names.is_empty() || asked.names.iter().any(|wanted| wanted == name);
    let practice = practice::Practice::found(&asked.program);
    let mut table = table::Table::default();
    if wants("upload") {
        files::upload(&practice, asked.rounds, &mut table);
    }
    if wants("download") {
        files::download(&practice, asked.rounds, &mut table);
    }
    if wants("sends") {
        sends::measure(&practice, asked.rounds, asked.seconds, &mut table);
    }
    if wants("inbox") {
        pages::measure(&practice, asked.messages, asked.rounds, asked.seconds, &mut table);
    }
    if wants("sweep") {
        sweep::measure(&practice, asked.expiries, &mut table);
    }
    if wants("storm") {
        storm::measure(&practice, &mut table);
    }
    if wants("process") {
        process::measure(&practice, asked.messages, asked.rounds, &mut table);
    }
    println!("\n{table}");
}
