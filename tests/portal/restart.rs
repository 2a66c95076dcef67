//! The program as a service manager runs it: stopped and started again at once.

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
