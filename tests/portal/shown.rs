//! A running `sealpost demo`: the true program as a process of its own, and what it says on its console.

#![allow(dead_code, reason = "several test programs use this file, each what it needs")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::world::between;

/// A running demonstration. Dropped, it is killed.
pub struct Demo {
    child: Child,
    _console: BufReader<ChildStdout>,
    /// Address and port.
    pub address: String,
    /// Everybody's.
    pub password: String,
    /// Who can sign in, and who they are.
    pub people: Vec<(String, String)>,
}

/// The program with its temporary files in `temporary`, in a folder with a configuration that is none of its business.
pub fn command(temporary: &TempDir, listen: &str) -> (Command, TempDir) {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("sealpost.toml"), "this is no configuration").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
    command.args(["demo", "--listen", listen]).current_dir(&elsewhere);
    command.env("TMPDIR", temporary.path()).env("SEALPOST_DATA", elsewhere.path().join("data"));
    (command, elsewhere)
}

/// What lies in a folder.
pub fn inside(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

impl Demo {
    /// Starts one and waits until it is open.
    pub fn start(temporary: &TempDir) -> Self {
        let (mut command, elsewhere) = command(temporary, "127.0.0.1:0");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut console = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            assert!(console.read_line(&mut said).unwrap() > 0, "it ended before it was open: {said}");
        }
        assert_eq!(inside(elsewhere.path()).len(), 1, "nothing but the configuration is there");
        let people = said.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
        Self {
            child,
            _console: console,
            address: between(&said, " is open on http://", "\n").to_owned(),
            password: between(&said, "Everybody's password: ", "\n").to_owned(),
            people: people.map(|(email, about)| (email.to_owned(), about.trim().to_owned())).collect(),
        }
    }

    /// Ends it as a keyboard or a service manager does.
    pub fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        assert!(self.child.wait().unwrap().success(), "it ends in good order");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
