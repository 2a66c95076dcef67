//! The true program on a free port: what happens around every request, and to clients that are slow.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealpost::config::{Config, HostKeyPlace};
use sealpost::domain::Timestamp;
use sealpost::domain::portal::Loop;
use sealpost::domain::time::TestClock;
use sealpost::serve::{Patience, Running, ServeError, start_with};
use tokio::net::TcpSocket;

/// Longer than any of these tests should take; only a failing one waits for it.
const BOUND: Duration = Duration::from_secs(20);

/// 2026-11-23T02:00:00Z.
const NOW: Timestamp = Timestamp(1_795_399_200_000);

struct Program {
    running: Running,
    clock: Arc<TestClock>,
    _folder: tempfile::TempDir,
}

async fn started(patience: Patience) -> Program {
    started_with(patience, |_| {}).await
}

async fn started_with(patience: Patience, change: impl FnOnce(&mut Config)) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::loopback(&folder.path().join("data")).unwrap();
    config.shutdown = Duration::from_millis(200);
    change(&mut config);
    let clock = Arc::new(TestClock::at(NOW));
    let running = start_with(config, clock.clone(), patience).await.unwrap();
    Program { running, clock, _folder: folder }
}

/// One connection: sends, reads until the other side closes. Fails rather than wait for ever.
fn said(addr: SocketAddr, request: &str) -> String {
    said_on(TcpStream::connect(addr).unwrap(), request)
}

fn said_on(mut socket: TcpStream, request: &str) -> String {
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        // A reset is an end too: what we sent too much was never read.
        Ok(_) => {}
        Err(fault) if fault.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(fault) => panic!("the server must close within the bound: {fault}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn a_folder_that_cannot_erase_is_refused_before_any_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("host-key");
    let mut config = Config::loopback("/proc".as_ref()).unwrap();
    config.host_key = HostKeyPlace::File(key.clone());
    config.listen = "0.0.0.0:0".parse().unwrap();
    let refused = start_with(config, Arc::new(TestClock::at(NOW)), Patience::default()).await;
    assert!(matches!(refused.err(), Some(ServeError::WeakErase { .. })));
    assert!(!key.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_headers() {
    let program = started(Patience::default()).await;
    let addr = program.running.addr;
    blocking(move || {
        let own = format!("Origin: http://{addr}\r\n");
        for (line, headers, expected) in [
            ("GET /", "", 303),
            ("GET /healthz", "", 200),
            ("HEAD /healthz", "", 200),
            ("GET /metrics", "", 200),
            ("GET /metrics", "X-Forwarded-For: 203.0.113.1\r\n", 404),
            ("GET /nowhere", "", 404),
            ("GET /assets/x/../../Cargo.toml", "", 404),
            ("POST /healthz", own.as_str(), 405),
            ("DELETE /terms", own.as_str(), 405),
            ("BREW /terms", own.as_str(), 405),
            ("POST /terms", "Origin: https://evil.example\r\n", 403),
            ("POST /terms", "Sec-Fetch-Site: cross-site\r\n", 403),
        ] {
            let answer = said(addr, &request(line, headers, ""));
            assert_eq!(status(&answer), expected, "{line} {headers}: {answer}");
            assert!(header(&answer, "content-security-policy").unwrap().starts_with("default-src 'none'"), "{line}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(header(&answer, name), Some(value), "{line}: {name}");
            }
            assert!(header(&answer, "permissions-policy").is_some(), "{line}");
            assert_eq!(header(&answer, "server"), None);
            assert_eq!(header(&answer, "strict-transport-security"), None, "plain HTTP promises no TLS");
            if expected == 405 {
                assert_eq!(header(&answer, "allow"), Some("GET, HEAD"), "{line}");
            }
            if line.starts_with("HEAD") {
                assert!(answer.ends_with("\r\n\r\n") && header(&answer, "content-length") == Some("3"), "{answer}");
            }
        }
    })
    .await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_pages_for_people_and_json_for_scripts() {
    let program = started(Patience::default()).await;
    let addr = program.running.addr;
    blocking(move || {
        let page = said(addr, &request("GET /nowhere", "Accept: text/html\r\n", ""));
        assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
        let json = said(addr, &request("GET /nowhere", "Accept: application/json\r\n", ""));
        assert_eq!(header(&json, "content-type"), Some("application/json"));
        assert!(json.contains("\"error\":\"not_found\""), "{json}");
    })
    .await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut() {
    let short = Duration::from_millis(50);
    let program = started(Patience { head: short, idle: short, stall: short }).await;
    let addr = program.running.addr;
    blocking(move || {
        assert_eq!(said(addr, ""), "", "a client that says nothing");
        assert_eq!(said(addr, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow"), "", "one that does not finish its head");
        let idle = said(addr, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(status(&idle) == 200 && idle.ends_with("ok\n"), "one that rests after its answer: {idle}");
        let second = said(addr, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea");
        assert_eq!(second.matches("HTTP/1.1").count(), 1, "one that does not finish its second head");
    })
    .await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_sent_in_drops_does_not_put_off_its_end() {
    let patience = Patience { head: Duration::from_millis(300), ..Patience::default() };
    let program = started(patience).await;
    let addr = program.running.addr;
    let drops = blocking(move || {
        let mut socket = TcpStream::connect(addr).unwrap();
        socket.set_nodelay(true).unwrap();
        // A read with a short bound is the metronome: it ends in time-outs until the server closes.
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        socket.write_all(b"GET /healthz HTTP/1.1\r\nX-Drops: ").unwrap();
        for drops in 0..2000 {
            if socket.write_all(b"a").is_err() || matches!(socket.read(&mut [0; 1]), Ok(0)) {
                return drops;
            }
        }
        panic!("the server waits for ever");
    })
    .await;
    assert!(drops > 0);
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heads_are_refused() {
    let program = started(Patience::default()).await;
    let addr = program.running.addr;
    blocking(move || {
        let answer = said(addr, &request("GET /healthz", &format!("X-Large: {}\r\n", "a".repeat(400_000)), ""));
        assert!(matches!(status(&answer), 431 | 0), "refused, or cut before we could read it: {answer}");
        let many: String = (0..100).map(|n| format!("X-{n}: a\r\n")).collect();
        assert_eq!(status(&said(addr, &request("GET /healthz", &many, ""))), 431);
    })
    .await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_sends_too_much_first() {
    let program = started(Patience::default()).await;
    let addr = program.running.addr;
    blocking(move || {
        let answer = said(addr, &request("POST /terms", "", &"x".repeat(8 * 1024 * 1024)));
        assert_eq!(status(&answer), 405, "{answer}");
    })
    .await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_the_clock_wakes_the_loops_and_a_test_can_wait_for_them() {
    let program = started(Patience::default()).await;
    program.clock.turn(Duration::from_secs(3600));
    for which in [Loop::Sweep, Loop::Outbox, Loop::Upkeep] {
        tokio::time::timeout(BOUND, program.running.settled(which)).await.expect("the loop must come round");
    }
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_closes_the_door_and_cuts_what_hangs() {
    let program = started(Patience::default()).await;
    let addr = program.running.addr;
    let mut hanging = TcpStream::connect(addr).unwrap();
    hanging.set_read_timeout(Some(BOUND)).unwrap();
    hanging.write_all(b"POST /terms HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n").unwrap();
    let first = blocking(move || said(addr, &request("GET /healthz", "", ""))).await;
    assert_eq!(status(&first), 200);
    tokio::time::timeout(BOUND, program.running.shutdown()).await.expect("shutdown must end");
    assert!(TcpStream::connect(addr).is_err());
    assert!(matches!(hanging.read(&mut [0; 1]), Ok(0) | Err(_)));
}

/// A connection from one of this machine's own addresses: 127.0.0.`last`.
async fn from(last: u8, addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    let socket = socket.connect(addr).await.unwrap().into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket
}

/// Asks again until the answer has this status: somebody has to come in, or to go, first.
async fn until(expected: u16, addr: SocketAddr, request: String) -> String {
    blocking(move || {
        let end = Instant::now() + BOUND;
        let mut answers = std::iter::repeat_with(|| said(addr, &request)).take_while(|_| Instant::now() < end);
        answers.find(|answer| status(answer) == expected).unwrap()
    })
    .await
}

fn is_sorry(answer: &str) -> bool {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    status(head) == 503 && header(head, "retry-after") == Some("60") && body.starts_with("Too many connections")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_has_a_quarter_of_all_connections_and_one_too_many_is_told() {
    let program = started_with(Patience::default(), |config| config.max_connections = 8).await;
    let (addr, healthy) = (program.running.addr, request("GET /healthz", "", ""));
    let greedy = [from(1, addr).await, from(1, addr).await];
    let (third, other, asked) = (from(1, addr).await, from(2, addr).await, healthy.clone());
    blocking(move || {
        assert!(is_sorry(&said_on(third, &asked)), "a third connection of one client");
        assert_eq!(status(&said_on(other, &asked)), 200, "somebody else");
    })
    .await;
    drop(greedy);
    until(200, addr, healthy.clone()).await;

    let mut all = Vec::new();
    for client in 2..14 {
        all.push(from(client / 2 * 2, addr).await);
    }
    let (last, asked) = (from(20, addr).await, healthy.clone());
    blocking(move || assert!(is_sorry(&said_on(last, &asked)), "there is no room for anybody")).await;
    drop(all);
    until(200, addr, healthy).await;
    program.running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_a_client_is_who_the_proxy_says() {
    let program = started_with(Patience::default(), |config| {
        config.max_connections = 8;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let addr = program.running.addr;
    let asks = |client: &str| request("GET /healthz", &format!("X-Forwarded-For: {client}\r\n"), "");
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nExpect: 100-continue";
    let head = format!("POST /sign-in HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n{form}\r\n\r\n");
    let mut hanging = Vec::new();
    for _ in 0..2 {
        let mut socket = from(1, addr).await;
        socket.set_read_timeout(Some(BOUND)).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        // It is inside, and its body is waited for.
        let mut go_on = [0; 12];
        socket.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100");
        hanging.push(socket);
    }
    let third = asks("203.0.113.7");
    blocking(move || assert!(is_sorry(&said(addr, &third)))).await;
    for client in ["203.0.113.8", "203.0.113.9", "203.0.113.10"] {
        until(200, addr, asks(client)).await;
    }
    drop(hanging);
    until(200, addr, asks("203.0.113.7")).await;
    program.running.shutdown().await;
}
