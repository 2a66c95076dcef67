//! The program itself, as a process of its own: what it says, and what the system says of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Browser, ORIGIN};

/// A running program; killed when it is dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
    /// From its beginning to the line that says that it listens.
    pub ready_after: Duration,
}

impl Server {
    /// Serves a folder in which a practice is set up.
    pub fn start(program: &Path, folder: &Path) -> Self {
        let (config, log) = (folder.join("bench.toml"), folder.join("bench.log"));
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata = {:?}\npublic_url = \"{ORIGIN}\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
             accept_weak_erase = true\nlog_filter = \"warn\"\nmetrics_token = \"{METRICS_TOKEN}\"\n",
            folder.join("data")
        );
        fs::write(&config, text).unwrap();
        let start = Instant::now();
        let mut child = Command::new(program)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready_after = start.elapsed();
        let address = line.trim().trim_end_matches('.').rsplit(' ').next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line}\n{}", fs::read_to_string(&log).unwrap()));
        Self { child, log, address, ready_after }
    }

    /// Bytes of memory that it holds now.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it held since [`Server::forget_peak`].
    pub fn memory_peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Begins to measure the peak anew.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// Seconds of processor time that it has used, of all its threads: what a busy machine disturbs least.
    pub fn processor_seconds(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which stands in brackets and may hold blanks: user and system time are fields 14 and 15.
        let fields = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_A_SECOND
    }

    fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The value of one of its counters.
    pub fn counter(&self, browser: &mut Browser, name: &str) -> u64 {
        let bearer = format!("Authorization: Bearer {METRICS_TOKEN}\r\n");
        let text = browser.get_with("/metrics", &bearer);
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }

    /// Ends it without a chance to do anything about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Linux tells processor time in these, on every architecture that we know.
const TICKS_A_SECOND: f64 = 100.0;

const METRICS_TOKEN: &str = "bench-metrics-token";

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        if !said.is_empty() {
            eprintln!("the program said:\n{}", said.lines().take(20).collect::<Vec<_>>().join("\n"));
        }
    }
}
