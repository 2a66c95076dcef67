//! A browser reduced to what costs least: one connection that is kept, a session, nothing copied that is not looked at.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

use crate::practice::PASSWORD;

/// The address that the program is told it has; behind a proxy, so that clients can have addresses of their own.
pub const ORIGIN: &str = "https://bench.example";
/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
const BOUNDARY: &str = "sealpost-bench-boundary";

/// A connection.
struct Http {
    stream: TcpStream,
    piece: Vec<u8>,
}

/// An answer without its body.
pub struct Answer {
    pub status: u16,
    head: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn cookies(&self) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, v)| v.trim().split(';').next())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got:\n{}", self.head);
        self
    }
}

impl Http {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, piece: vec![0; PIECE_BYTES] }
    }

    /// Reads an answer; `see` is shown its body in pieces.
    fn answer(&mut self, mut see: impl FnMut(&[u8])) -> io::Result<Answer> {
        let mut filled = 0;
        let (end, text) = loop {
            filled += self.read(filled..PIECE_BYTES)?;
            if let Some(end) = self.piece[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break (end + 4, String::from_utf8_lossy(&self.piece[..end]).into_owned());
            }
        };
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let answer = Answer { status, head: text };
        let length: usize = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if status == 204 => 0,
            None => panic!("an answer without a length:\n{}", answer.head),
        };
        see(&self.piece[end..filled]);
        let mut left = length - (filled - end);
        while left > 0 {
            let room = left.min(PIECE_BYTES);
            let count = self.read(0..room)?;
            see(&self.piece[..count]);
            left -= count;
        }
        Ok(answer)
    }

    fn read(&mut self, into: Range<usize>) -> io::Result<usize> {
        match self.stream.read(&mut self.piece[into])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

/// What the compose form sends.
pub struct Letter<'a> {
    pub draft: &'a str,
    pub to: &'a str,
    pub body: &'a str,
    pub action: &'a str,
}

/// Somebody's browser.
pub struct Browser {
    http: Http,
    address: SocketAddr,
    /// The address that the proxy says the browser has.
    ip: String,
    cookies: Vec<String>,
    pub csrf: String,
}

impl Browser {
    /// One that has never been here.
    pub fn new(address: SocketAddr, ip: &str) -> Self {
        let (http, ip) = (Http::connect(address), ip.to_owned());
        Self { http, address, ip, cookies: vec![], csrf: String::new() }
    }

    /// One that is signed in and looks at the inbox.
    pub fn signed_in(address: SocketAddr, ip: &str, email: &str) -> Self {
        let mut browser = Self::new(address, ip);
        browser.read_page("/sign-in");
        browser.sign_in(email).expect(303);
        browser.read_page("/inbox");
        browser
    }

    /// Another connection of the same browser.
    pub fn twin(&self) -> Self {
        let http = Http::connect(self.address);
        Self {
            http,
            address: self.address,
            ip: self.ip.clone(),
            cookies: self.cookies.clone(),
            csrf: self.csrf.clone(),
        }
    }

    /// Sends the sign-in form of the page that was read last.
    pub fn sign_in(&mut self, email: &str) -> Answer {
        let form =
            format!("csrf={}&email={}&password={}", self.csrf, email.replace('@', "%40"), PASSWORD.replace(' ', "+"));
        self.ask("POST", "/sign-in", "Content-Type: application/x-www-form-urlencoded\r\n", form.as_bytes())
    }

    /// A page, and the token of its forms.
    pub fn read_page(&mut self, path: &str) -> String {
        let page = self.get(path);
        let token = page.split("name=\"csrf\" content=\"").nth(1).and_then(|rest| rest.split('"').next());
        self.csrf = token.expect("a page with a token").to_owned();
        page
    }

    /// A page.
    pub fn get(&mut self, path: &str) -> String {
        self.get_with(path, "")
    }

    /// A page, asked for with more headers.
    pub fn get_with(&mut self, path: &str, headers: &str) -> String {
        let mut page = vec![];
        self.send("GET", path, headers, &[]).unwrap();
        let answer = self.http.answer(|piece| page.extend_from_slice(piece)).unwrap().expect(200);
        self.remember(&answer);
        String::from_utf8(page).unwrap()
    }

    /// A page that nobody reads.
    pub fn visit(&mut self, path: &str) {
        self.download(path, |_| {});
    }

    /// A file or page, in pieces.
    pub fn download(&mut self, path: &str, see: impl FnMut(&[u8])) {
        self.send("GET", path, "", &[]).unwrap();
        self.http.answer(see).unwrap().expect(200);
    }

    /// Any request.
    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        self.try_ask(method, path, headers, &[body]).unwrap()
    }

    fn try_ask(&mut self, method: &str, path: &str, headers: &str, body: &[&[u8]]) -> io::Result<Answer> {
        self.send(method, path, headers, body)?;
        let answer = self.http.answer(|_| {})?;
        self.remember(&answer);
        Ok(answer)
    }

    /// The compose form, with a file if there is one.
    pub fn compose(&mut self, letter: &Letter<'_>, file: Option<&[u8]>) -> Answer {
        self.try_compose(letter, file).unwrap().expect(303)
    }

    /// The same to a program that may end meanwhile.
    pub fn try_compose(&mut self, letter: &Letter<'_>, file: Option<&[u8]>) -> io::Result<Answer> {
        let mut head = String::new();
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("draft", letter.draft),
            ("revision", "0"),
            ("to", letter.to),
            ("subject", "Tooth 14, findings and plan"),
            ("body", letter.body),
            ("expires", "30"),
            ("action", letter.action),
        ];
        for (name, value) in fields {
            head += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        let mut tail = format!("--{BOUNDARY}--\r\n");
        if file.is_some() {
            tail.insert_str(0, "\r\n");
            let named = "Content-Disposition: form-data; name=\"files[]\"; filename=\"x.bin\"";
            head += &format!("--{BOUNDARY}\r\n{named}\r\nContent-Type: application/octet-stream\r\n\r\n");
        }
        let kind = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
        self.try_ask("POST", "/compose", &kind, &[head.as_bytes(), file.unwrap_or_default(), tail.as_bytes()])
    }

    /// Sends a request. Its body comes in pieces, so that a large one is not copied to be put together.
    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[&[u8]]) -> io::Result<()> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench.example\r\nX-Forwarded-For: {}\r\nCookie: {}\r\n{headers}",
            self.ip,
            self.cookies.join("; ")
        );
        let length: usize = body.iter().map(|piece| piece.len()).sum();
        if method != "GET" {
            head += &format!("Origin: {ORIGIN}\r\nContent-Length: {length}\r\n");
        }
        head += "\r\n";
        if length < PIECE_BYTES {
            return self.http.stream.write_all(&[head.as_bytes(), &body.concat()].concat());
        }
        self.http.stream.write_all(head.as_bytes())?;
        body.iter().try_for_each(|piece| self.http.stream.write_all(piece))
    }

    fn remember(&mut self, answer: &Answer) {
        for cookie in answer.cookies() {
            let name = cookie.split('=').next().unwrap_or_default();
            self.cookies.retain(|known| known.split('=').next() != Some(name));
            self.cookies.push(cookie.to_owned());
        }
    }
}
