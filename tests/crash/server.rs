//! The true program as a process of its own, which can be stopped in good order or killed.

#![allow(dead_code, reason = "two test programs use this file, each what it needs")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running server. Dropped, it is killed.
pub struct Server {
    child: Child,
    /// Held open: the program must never find its console gone.
    _console: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it said on its console.
    pub said: String,
    /// The link of the set-up page, at the first start.
    pub setup_link: Option<String>,
    /// From the start of the process until it listened.
    pub took: Duration,
}

impl Server {
    /// Starts it in `folder`, with its data in `folder/data`, its log appended to `folder/log`.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &folder.join("data"), &[])
    }

    /// The same with its data elsewhere and variables of the environment.
    pub fn start_with(folder: &Path, data: &Path, environment: &[(&str, &str)]) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log_of(folder)).unwrap();
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealpost"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut console = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        console.read_line(&mut said).unwrap();
        let took = began.elapsed();
        let setup_link = said.trim().strip_prefix("Set up your practice: ").map(str::to_owned);
        let address = match &setup_link {
            Some(link) => link.strip_prefix("http://").and_then(|rest| rest.split('/').next()),
            None => said.trim().strip_prefix("Sealpost is ready on ").map(|rest| rest.trim_end_matches('.')),
        };
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            let _ = child.kill();
            panic!("it does not start. It says {said:?}, and in its log:\n{}", read_log(folder));
        };
        Self { child, _console: console, address, said, setup_link, took }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, wherever it is: kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in good order, as the service manager does.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "it ends in good order");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing happens to a process that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Everything that it has logged.
pub fn read_log(folder: &Path) -> String {
    let mut log = String::new();
    std::io::Read::read_to_string(&mut File::open(log_of(folder)).unwrap(), &mut log).unwrap();
    log
}
