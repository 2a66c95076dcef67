//! Mail servers for tests: a real one, aiosmtpd of the distribution, which keeps what it is given in a Maildir and can
//! be stopped and started again; and two that misbehave, one that refuses and one that falls silent.

#![allow(dead_code, reason = "several test programs use this file, each what it needs")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The distribution's interpreter: a version manager's would not have the distribution's packages.
const PYTHON: &str = "/usr/bin/python3";
/// How long a mail server may take to start, or a mail to arrive, before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that another process does.
const GLANCE: Duration = Duration::from_millis(5);

/// A real mail server on loopback; stopped when dropped.
pub struct MailServer {
    pub address: SocketAddr,
    maildir: PathBuf,
    /// More of the command line.
    options: Vec<String>,
    process: Option<Child>,
}

/// One mail as it arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Names and values in order, continued lines joined, encodings as they were sent.
    pub headers: Vec<(String, String)>,
    /// Everything behind the headers, as it was sent.
    pub body: String,
    /// The whole mail.
    pub raw: String,
}

impl MailServer {
    /// Starts a server that keeps its mail in `folder` (made if missing) and returns when it accepts.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, Vec::new())
    }

    /// Starts a server that takes mail only after STARTTLS, with this certificate and key.
    pub fn start_tls(folder: &Path, certificate: &str, key: &str) -> Self {
        Self::start_with(folder, ["--tlscert", certificate, "--tlskey", key].map(str::to_owned).to_vec())
    }

    fn start_with(folder: &Path, options: Vec<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let mut server = Self { address, maildir: folder.join("maildir"), options, process: None };
        fs::create_dir_all(folder).expect("a folder for the mail");
        server.resume();
        server
    }

    /// Starts the server again on the same port, after [`MailServer::stop`]; what it had received stays.
    pub fn resume(&mut self) {
        assert!(self.process.is_none(), "the mail server is running already");
        let child = Command::new(PYTHON)
            .args(["-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Mailbox"])
            .arg(&self.maildir)
            .args(["-l", &self.address.to_string()])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3-aiosmtpd starts");
        let child = self.process.insert(child);
        let ready = wait_until(|| {
            if let Some(status) = child.try_wait().expect("its state") {
                panic!("the mail server ended by itself ({status}); is python3-aiosmtpd installed?");
            }
            greets(self.address)
        });
        assert!(ready, "the mail server did not accept within {PATIENCE:?}");
    }

    /// Ends the server; from here on connections are refused.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().expect("the mail server can be ended");
            child.wait().expect("the mail server ended");
        }
    }

    /// Everything received so far, in the order of arrival.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = fs::read_dir(self.maildir.join("new")) else { return Vec::new() };
        let mut found: Vec<_> = entries.flatten().map(|entry| (order(&entry.path()), entry.path())).collect();
        found.sort();
        found.iter().map(|(_, path)| Mail::parse(&fs::read_to_string(path).expect("a mail in UTF-8"))).collect()
    }

    /// The mails once there are at least `count`.
    pub fn wait_for(&self, count: usize) -> Vec<Mail> {
        assert!(wait_until(|| self.mails().len() >= count), "{} of {count} mails came", self.mails().len());
        self.mails()
    }

    /// The mails sent to this address, in the order of arrival.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.header("To").is_some_and(|to| to.contains(address))).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Mail {
    fn parse(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            match headers.last_mut() {
                Some((_, value)) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
        Self { headers, body: body.to_owned(), raw: raw.clone() }
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The decoded body of the first part of this type, such as `text/plain`; of the mail itself if it has one part.
    pub fn part(&self, kind: &str) -> Option<String> {
        let content = self.header("Content-Type").unwrap_or("text/plain").to_owned();
        if content.to_ascii_lowercase().starts_with(kind) {
            let encoding = self.header("Content-Transfer-Encoding").unwrap_or("7bit").to_ascii_lowercase();
            return Some(decode(&self.body, &encoding));
        }
        let boundary = content.split("boundary=").nth(1)?.trim_start_matches('"').split(['"', ';']).next()?.to_owned();
        let inside = self.body.split(&format!("--{boundary}--")).next().unwrap_or_default();
        let opening = format!("--{boundary}\n");
        let mut parts = inside.split(&opening).skip(1);
        parts.find_map(|part| Self::parse(part.strip_suffix('\n').unwrap_or(part)).part(kind))
    }

    /// Every web address in the text part, in order.
    pub fn links(&self) -> Vec<String> {
        let text = self.part("text/plain").unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"');
        text.match_indices("http")
            .map(|(at, _)| &text[at..])
            .filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"))
            .map(|rest| rest.split(ends).next().unwrap_or_default().trim_end_matches(['.', ',', ')']).to_owned())
            .collect()
    }
}

/// Undoes quoted-printable and base64; anything else stands as it was sent.
fn decode(body: &str, encoding: &str) -> String {
    let bytes = match encoding {
        "quoted-printable" => quoted_printable(body),
        "base64" => base64(body),
        _ => return body.to_owned(),
    };
    String::from_utf8(bytes).expect("text in UTF-8")
}

fn quoted_printable(body: &str) -> Vec<u8> {
    let joined = body.replace("=\n", "");
    let bytes = joined.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = joined.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.filter(|_| bytes[at] == b'=') {
            Some(byte) => (out.push(byte), at += 3).1,
            None => (out.push(bytes[at]), at += 1).1,
        }
    }
    out
}

fn base64(body: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for value in body.bytes().filter_map(|b| LETTERS.iter().position(|l| *l == b)) {
        bits = (bits << 6) | u32::try_from(value).expect("below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).expect("one byte"));
        }
    }
    out
}

/// Seconds, microseconds and count from the name of a Maildir file: `1700000000.M12345P67Q8.host`.
fn order(path: &Path) -> (u64, u64, u64) {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let number = |text: &str| text.bytes().take_while(u8::is_ascii_digit).fold(0, |n, d| n * 10 + u64::from(d - b'0'));
    let behind = |mark: char| name.split('.').nth(1).and_then(|part| part.split(mark).nth(1)).map_or(0, number);
    (number(name), behind('M'), behind('Q'))
}

/// Looks again and again until it is so; false when the patience is over.
pub fn wait_until(mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        thread::park_timeout(GLANCE);
    }
    true
}

/// Whether a mail server says its greeting at this address.
fn greets(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return false };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).is_ok() && line.starts_with("220")
}

/// How a server misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes the envelope's sender and answers 550 to every recipient.
    Refuses,
    /// Answers 451 to every recipient: later, perhaps.
    Defers,
    /// Accepts the connection and then says nothing.
    Silent,
}

/// A mail server that misbehaves; stopped when dropped.
pub struct BadServer {
    pub address: SocketAddr,
    met: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BadServer {
    /// Starts one on a free port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (met, stopping) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&met), Arc::clone(&stopping));
        let thread = thread::spawn(move || {
            // Held so that a silent server keeps its callers waiting instead of hanging up.
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                if manner == Manner::Silent {
                    held.push(stream);
                } else {
                    // One at a time is enough; a caller that goes away ends its conversation.
                    let _ = refuse(&stream, manner);
                }
            }
        });
        Self { address, met, stopping, thread: Some(thread) }
    }

    /// How many callers it has met.
    pub fn callers(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    /// Returns once it has met at least this many callers.
    pub fn wait_for_callers(&self, count: usize) {
        assert!(wait_until(|| self.callers() >= count), "{} of {count} callers came", self.callers());
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread out of its wait for the next caller.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn refuse(mut stream: &TcpStream, manner: Manner) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"220 refusing.example ESMTP\r\n")?;
    for line in BufReader::new(stream.take(64 * 1024)).lines() {
        let verb = line?.to_ascii_uppercase();
        let answer: &[u8] = match (verb.get(..4), manner) {
            (Some("RCPT"), Manner::Defers) => b"451 4.3.0 Try again later\r\n",
            (Some("RCPT"), _) => b"550 5.1.1 No such person here\r\n",
            (Some("DATA"), _) => b"503 5.5.1 No valid recipients\r\n",
            (Some("QUIT"), _) => return stream.write_all(b"221 2.0.0 Bye\r\n"),
            _ => b"250 2.0.0 Ok\r\n",
        };
        stream.write_all(answer)?;
    }
    Ok(())
}

mod tests {
    use super::*;

    /// Hands one mail to a server by hand; gives back the last line that the server said.
    fn deliver(address: SocketAddr, lines: &[&str]) -> String {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(&stream);
        let mut said = String::new();
        reader.read_line(&mut said).unwrap();
        for line in lines {
            (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
            said.clear();
            reader.read_line(&mut said).unwrap();
        }
        said
    }

    const MAIL: &[&str] = &[
        "HELO test.example",
        "MAIL FROM:<a@test.example>",
        "RCPT TO:<b@test.example>",
        "DATA",
        "To: B <b@test.example>\r\nSubject: one\r\n two\r\nContent-Type: multipart/alternative; boundary=\"x\"\r\n\r\n--x\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nfor =C3=A9 see http://t.example/r/=\r\nab.\r\n\
         --x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+w6k8L3A+\r\n--x--\r\n.",
    ];

    #[test]
    fn the_real_server_keeps_mail_over_a_stop() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = MailServer::start(folder.path());
        assert!(deliver(server.address, MAIL).starts_with("250"));
        server.stop();
        assert!(TcpStream::connect(server.address).is_err(), "a stopped server refuses");
        server.resume();
        assert!(deliver(server.address, MAIL).starts_with("250"));
        let mails = server.wait_for(2);
        assert_eq!(mails[0].header("subject"), Some("one two"));
        assert_eq!(mails[0].part("text/html").as_deref(), Some("<p>é</p>"));
        assert_eq!(mails[0].links(), ["http://t.example/r/ab"]);
        assert_eq!((server.mails_to("b@test.example").len(), server.mails_to("c@").len()), (2, 0));
    }

    #[test]
    fn bad_servers_misbehave_as_they_are_told() {
        let refusing = BadServer::start(Manner::Refuses);
        assert!(deliver(refusing.address, &MAIL[..3]).starts_with("550"));
        let deferring = BadServer::start(Manner::Defers);
        assert!(deliver(deferring.address, &MAIL[..3]).starts_with("451"));
        let silent = BadServer::start(Manner::Silent);
        let mut caller = TcpStream::connect(silent.address).unwrap();
        silent.wait_for_callers(1);
        caller.set_nonblocking(true).unwrap();
        let said = caller.read(&mut [0; 1]);
        assert!(
            said.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
            "it says nothing and does not hang up"
        );
    }
}
