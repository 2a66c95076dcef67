//! The door: how many connections may be open at once, in all and from one client, and what one too many is told.
//!
//! A client is an address, or the /64 of an IPv6 subscriber. A connection of a trusted proxy is everybody's: there, what
//! counts is requests being answered, by the address that the proxy tells.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use poem::http::{HeaderMap, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::web::client::Client;

/// One client has at most this part of all connections: enough for a whole practice behind one address.
const CLIENT_SHARE: usize = 4;
/// How long one who is turned away is listened to: what they send must be read for them to see the answer.
const FAREWELL: Duration = Duration::from_secs(2);
/// After so many seconds it is worth trying again.
const RETRY_SECONDS: &str = "60";
/// What they are told.
const SORRY: &str = "Too many connections to this server are open just now. Please wait a minute and try again.\n";

/// Counts who is inside.
pub(super) struct Door {
    connections_max: usize,
    client_max: usize,
    proxies: Vec<IpNet>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    connections: usize,
    clients: HashMap<IpAddr, usize>,
}

/// A connection or a request that was let in, until it is dropped.
pub(super) struct Place {
    door: Arc<Door>,
    connections: usize,
    client: Option<IpAddr>,
}

impl Door {
    /// With nobody inside.
    pub fn new(config: &Config) -> Self {
        Self {
            connections_max: config.max_connections,
            client_max: config.max_connections.div_ceil(CLIENT_SHARE),
            proxies: config.trusted_proxies.clone(),
            inside: Mutex::default(),
        }
    }

    /// Lets a connection in; none if there are too many.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let ip = peer.to_canonical();
        self.take(1, (!self.is_proxy(ip)).then(|| Client { ip, is_local: false }.group()))
    }

    /// Lets a request in; none if a proxy passes it on for a client who has too many.
    pub fn ask(self: &Arc<Self>, peer: IpAddr, headers: &HeaderMap) -> Option<Place> {
        let is_passed_on = self.is_proxy(peer.to_canonical());
        self.take(0, is_passed_on.then(|| Client::of(peer, headers, &self.proxies).group()))
    }

    fn is_proxy(&self, ip: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&ip))
    }

    fn take(self: &Arc<Self>, connections: usize, client: Option<IpAddr>) -> Option<Place> {
        let mut inside = self.inside();
        let theirs = client.and_then(|ip| inside.clients.get(&ip).copied()).unwrap_or_default();
        if inside.connections + connections > self.connections_max || theirs >= self.client_max {
            return None;
        }
        inside.connections += connections;
        if let Some(ip) = client {
            inside.clients.insert(ip, theirs + 1);
        }
        Some(Place { door: Arc::clone(self), connections, client })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.connections -= self.connections;
        let Some(ip) = self.client else { return };
        // Forgotten with the last, so that strangers' addresses do not pile up.
        match inside.clients.get_mut(&ip) {
            Some(theirs) if *theirs > 1 => *theirs -= 1,
            _ => _ = inside.clients.remove(&ip),
        }
    }
}

/// The answer to a request that is not let in.
pub(super) fn sorry() -> poem::Response {
    poem::Response::builder()
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .header(header::RETRY_AFTER, RETRY_SECONDS)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONNECTION, "close")
        .content_type("text/plain; charset=utf-8")
        .body(SORRY)
}

/// Says sorry to a connection that is not let in, whatever it asks.
pub(super) async fn turn_away(mut socket: TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {RETRY_SECONDS}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{SORRY}",
        SORRY.len()
    );
    let farewell = async {
        let mut asked = [0; 4096];
        if socket.read(&mut asked).await? > 0 {
            socket.write_all(answer.as_bytes()).await?;
            socket.shutdown().await?;
            while socket.read(&mut asked).await? > 0 {}
        }
        std::io::Result::Ok(())
    };
    // Whoever has gone, or takes too long, does without.
    _ = tokio::time::timeout(FAREWELL, farewell).await;
}
