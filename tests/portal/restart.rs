//! The program as a service manager runs it: stopped and started again at once, with the open files that it needs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::world::World;

const ROUNDS: usize = 8;
const WINDOWS: usize = 4;

#[test]
fn a_stop_under_load_leaves_the_data_closed() {
    let mut world = World::start_with(|config| config.shutdown = Duration::ZERO);
    for _ in 0..ROUNDS {
        let (told, begun) = mpsc::channel();
        let windows: Vec<_> = (0..WINDOWS)
            .map(|_| {
                let (mut client, told) = (Client::new(world.address), told.clone());
                thread::spawn(move || {
                    client.visit("/sign-in").expect(200);
                    let fields = format!("csrf={}&email=nobody%40x.example&password=wrong", client.csrf().unwrap());
                    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
                    told.send(()).unwrap();
                    // A password is being checked when the server goes.
                    let _ = client.try_send("POST", "/sign-in", &kind, fields.as_bytes());
                })
            })
            .collect();
        assert_eq!(begun.iter().take(WINDOWS).count(), WINDOWS);
        world.client().get("/healthz").expect(200);
        // Panics if the data is still in use.
        world.restart();
        windows.into_iter().for_each(|window| window.join().unwrap());
    }
}

#[test]
fn every_open_file_that_the_system_grants_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new("sh")
        .args(["-c", "ulimit -S -n 64 && exec \"$0\" --listen 127.0.0.1:0 --data data", env!("CARGO_BIN_EXE_sealpost")])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: Vec<_> = files.split_whitespace().collect();
    assert!(files[0] == files[1] && files[0] != "64", "soft and hard: {files:?}; it said {said}");
}
