//! A small browser for tests: cookies, forms with their CSRF field, files, redirects on demand; and what no browser
//! would do: any method and header, chunked bodies, a connection dropped in the middle of a body. One connection a
//! request, blocking, on the standard library alone, so that a test sees exactly what was on the wire.

#![allow(dead_code, reason = "several test programs use this file, each what it needs")]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for one read or write before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Redirects followed before a test is told that they lead in a circle.
const REDIRECTS_MAX: usize = 10;
/// Bytes written or read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// One person's browser: the cookies it holds and the page it shows.
pub struct Client {
    /// Scheme, host and port, as the browser shows them.
    pub origin: String,
    /// Sent with every request, for example `("X-Forwarded-For", "192.0.2.1")`.
    pub headers: Vec<(String, String)>,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
    /// The text of the last HTML page that was answered, and its path.
    pub page: String,
    pub path: String,
    address: SocketAddr,
}

/// What the server answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// In order, as the server wrote them.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body ended as its length or chunks announced; false when the connection broke before.
    pub whole: bool,
}

/// A file of a multipart form.
pub struct FilePart<'a> {
    pub field: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub bytes: &'a [u8],
}

/// A request whose body is written piece by piece; dropping it drops the connection.
pub struct Open<'c> {
    client: &'c mut Client,
    stream: TcpStream,
    method: String,
    path: String,
    chunked: bool,
}

impl Reply {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every header of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The path and query that a redirect leads to; a `Location` with scheme and host is cut down to its path.
    pub fn location(&self) -> Option<String> {
        let location = self.header("location")?;
        let path =
            location.split_once("://").map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        Some(path.to_owned())
    }

    /// Stops the test unless the status is this one, and shows what came instead.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got {} {:?}\n{}", self.status, self.headers, self.text());
        self
    }
}

impl Client {
    /// A new browser for the server at `address`, known to itself as `http://address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            origin: format!("http://{address}"),
            headers: Vec::new(),
            cookies: BTreeMap::new(),
            page: String::new(),
            path: "/".to_owned(),
            address,
        }
    }

    /// A browser that believes to be at another origin, as behind a proxy or after a server moved to another port.
    pub fn at(address: SocketAddr, origin: &str) -> Self {
        Self { origin: origin.trim_end_matches('/').to_owned(), ..Self::new(address) }
    }

    /// The same browser when the server came back at another port; the cookies stay.
    pub fn moved(&mut self, address: SocketAddr) {
        self.origin = format!("http://{address}");
        self.address = address;
    }

    /// Asks for a page; a redirect is answered as it is. Takes a path, or a link of this server.
    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// Asks for a page and follows its redirects.
    pub fn visit(&mut self, path: &str) -> Reply {
        let reply = self.get(path);
        self.follow(reply)
    }

    /// Sends a form; `csrf` is taken from the last page unless the fields have it.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf().filter(|_| fields.iter().all(|(name, _)| *name != "csrf"));
        let mut body: Vec<_> = csrf.iter().map(|token| format!("csrf={}", encode(token))).collect();
        body.extend(fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))));
        self.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.join("&").as_bytes())
    }

    /// Sends a multipart form with files, `csrf` first, as [`Client::post`] does.
    pub fn post_files(&mut self, path: &str, fields: &[(&str, &str)], files: &[FilePart<'_>]) -> Reply {
        let (kind, body) = self.multipart(fields, files);
        self.send("POST", path, &[("Content-Type", &kind)], &body)
    }

    /// The content type and the bytes of a multipart form, for a test that sends them in its own way.
    pub fn multipart(&self, fields: &[(&str, &str)], files: &[FilePart<'_>]) -> (String, Vec<u8>) {
        const BOUNDARY: &str = "----sealpost-test-7d93a1f0c2";
        let csrf = self.csrf().filter(|_| fields.iter().all(|(name, _)| *name != "csrf"));
        let named = csrf.iter().map(|token| ("csrf", token.as_str())).chain(fields.iter().copied());
        let mut body = Vec::new();
        for (name, value) in named {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", quote(name));
            body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
        }
        for file in files {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
                quote(file.field),
                quote(file.name),
                file.kind
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(file.bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={BOUNDARY}"), body)
    }

    /// Follows redirects, as a browser does: with GET.
    #[track_caller]
    pub fn follow(&mut self, mut reply: Reply) -> Reply {
        for _ in 0..REDIRECTS_MAX {
            if !(300..400).contains(&reply.status) || reply.status == 304 {
                return reply;
            }
            let path = reply.location().expect("a redirect without a location");
            reply = self.get(&path);
        }
        panic!("more than {REDIRECTS_MAX} redirects, the last to {:?}", reply.location());
    }

    /// Any request with its whole body; a header given here takes the place of one sent by itself.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, path, headers, body).unwrap_or_else(|e| panic!("no answer to {method} {path}: {e}"))
    }

    /// The same for a server that may be gone, or go before it has answered.
    pub fn try_send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
        let length = body.len().to_string();
        let measured = [("Content-Length", length.as_str())];
        let bodied = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
        let given = headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-length"));
        let all = [headers, if bodied && !given { &measured } else { &[] }].concat();
        let mut open = self.try_open(method, path, &all)?;
        // A server may refuse before it has read everything: its answer is still to be read.
        let _ = open.write(body);
        open.try_finish()
    }

    /// A body of `length` bytes read from `source` while it is sent, for what is too large to hold.
    pub fn stream(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: u64,
        source: impl Read,
    ) -> Reply {
        let length_text = length.to_string();
        let mut open = self.open(method, path, &[headers, &[("Content-Length", length_text.as_str())]].concat());
        let mut source = source.take(length);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = source.read(&mut piece).expect("the test's own source");
            if read == 0 || open.write(&piece[..read]).is_err() {
                return open.finish();
            }
        }
    }

    /// A body in chunks, without a length announced.
    pub fn send_chunks(&mut self, method: &str, path: &str, headers: &[(&str, &str)], chunks: &[&[u8]]) -> Reply {
        let mut open = self.open(method, path, &[headers, &[("Transfer-Encoding", "chunked")]].concat());
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            if open.write(chunk).is_err() {
                break;
            }
        }
        open.finish()
    }

    /// Sends only the head of a request. The body follows by [`Open::write`]; dropping the result instead of calling
    /// [`Open::finish`] cuts the connection.
    pub fn open(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Open<'_> {
        self.try_open(method, path, headers).expect("the server accepts")
    }

    fn try_open(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Open<'_>> {
        let path = path.strip_prefix(&self.origin).filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned();
        let own = self.own_headers(method);
        let kept = own.iter().filter(|(name, _)| headers.iter().all(|(n, _)| !n.eq_ignore_ascii_case(name)));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in kept.map(|(n, v)| (n.as_str(), v.as_str())).chain(headers.iter().copied()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = connect(self.address)?;
        stream.write_all(head.as_bytes())?;
        let chunked = headers.iter().any(|(n, v)| n.eq_ignore_ascii_case("transfer-encoding") && v.contains("chunked"));
        Ok(Open { client: self, stream, method: method.to_owned(), path, chunked })
    }

    /// Bytes as they are on a fresh connection, and whatever comes back until the server closes it.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = connect(self.address).expect("the server accepts");
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// The CSRF token of the last page, from its first hidden field of that name.
    pub fn csrf(&self) -> Option<String> {
        self.hidden("csrf")
    }

    /// The value of the first `input` of this name on the last page.
    pub fn hidden(&self, name: &str) -> Option<String> {
        input(&self.page, name)
    }

    /// What a browser says by itself.
    fn own_headers(&self, method: &str) -> Vec<(String, String)> {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let mut own = vec![("Host".to_owned(), host.to_owned()), ("Connection".to_owned(), "close".to_owned())];
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            own.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        if !matches!(method, "GET" | "HEAD") {
            own.push(("Origin".to_owned(), self.origin.clone()));
            own.push(("Sec-Fetch-Site".to_owned(), "same-origin".to_owned()));
        }
        own.retain(|(name, _)| self.headers.iter().all(|(n, _)| !n.eq_ignore_ascii_case(name)));
        own.extend(self.headers.iter().cloned());
        own
    }

    fn remember(&mut self, path: &str, reply: &Reply) {
        for line in reply.all("set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let gone = value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            if gone {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            self.page = reply.text();
            self.path = path.to_owned();
        }
    }
}

impl Open<'_> {
    /// Writes one piece of the body; one chunk, if the body is in chunks.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.chunked {
            return self.stream.write_all(bytes);
        }
        self.stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.stream.write_all(bytes)?;
        self.stream.write_all(b"\r\n")
    }

    /// Says that the body ends here, and reads the answer.
    #[track_caller]
    pub fn finish(self) -> Reply {
        let asked = format!("{} {}", self.method, self.path);
        self.try_finish().unwrap_or_else(|e| panic!("no answer to {asked}: {e}"))
    }

    /// The same for a server that is expected to cut the connection: the answer may be missing.
    pub fn try_finish(mut self) -> io::Result<Reply> {
        if self.chunked {
            let _ = self.stream.write_all(b"0\r\n\r\n");
        }
        let reply = read_reply(&self.stream, &self.method)?;
        self.client.remember(&self.path, &reply);
        Ok(reply)
    }

    /// Says that nothing more will come, with the body unfinished, and waits until the server has let go: what it
    /// does about a broken upload is done, or begun, when this returns.
    pub fn cut(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one final answer; interim ones (1xx) are passed over.
fn read_reply(stream: &TcpStream, method: &str) -> io::Result<Reply> {
    let mut reader = BufReader::with_capacity(PIECE_BYTES, stream);
    let (status, headers) = loop {
        let (status, headers) = read_head(&mut reader)?;
        if status >= 200 || status == 101 {
            break (status, headers);
        }
    };
    let mut reply = Reply { status, headers, body: Vec::new(), whole: true };
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok(reply);
    }
    let chunked = reply.header("transfer-encoding").is_some_and(|v| v.contains("chunked"));
    let length: Option<u64> = reply.header("content-length").and_then(|v| v.parse().ok());
    let mut body = Vec::new();
    reply.whole = if chunked {
        read_chunks(&mut reader, &mut body).is_ok()
    } else if let Some(length) = length {
        read_exactly(&mut reader, length, &mut body).is_ok()
    } else {
        reader.read_to_end(&mut body).is_ok()
    };
    reply.body = body;
    Ok(reply)
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {first}")))?;
    let mut headers = Vec::new();
    loop {
        let text = line(reader)?;
        if text.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Keeps what came even when less came than announced.
fn read_exactly(reader: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = reader.by_ref().take(length).read_to_end(body)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(reader)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        read_exactly(reader, size, body)?;
        // Behind the last chunk: trailers, then an empty line; behind any other: an empty line.
        while !line(reader)?.is_empty() {}
        if size == 0 {
            return Ok(());
        }
    }
}

/// As a browser encodes a form.
pub fn encode(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => char::from(b).to_string(),
        b' ' => "+".to_owned(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// As a browser quotes a name in a multipart head.
fn quote(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The messages on the page of a conversation, oldest first.
pub fn messages(page: &str) -> Vec<String> {
    page.split(" id=\"m-").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The value of the first `input` with this name in a page.
pub fn input(page: &str, name: &str) -> Option<String> {
    let tag = page.match_indices("<input").map(|(at, _)| &page[at..at + page[at..].find('>').unwrap_or(0)]);
    let named =
        tag.filter(|tag| attribute(tag, "name").as_deref() == Some(name)).find_map(|tag| attribute(tag, "value"));
    named.map(|value| unescape(&value))
}

/// The value of an attribute inside the text of one tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let from = [' ', '\n', '\t'].iter().find_map(|blank| {
        let mark = format!("{blank}{name}=");
        tag.find(&mark).map(|at| at + mark.len())
    })?;
    let rest = &tag[from..];
    match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split(quote).next().map(str::to_owned),
        _ => rest.split([' ', '\n', '\t', '/']).next().map(str::to_owned),
    }
}

/// The text behind the escapes that the templates write.
pub fn unescape(text: &str) -> String {
    const ESCAPES: &[(&str, &str)] = &[
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    ESCAPES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A server that answers one connection after another with these bytes, and gives back what it was sent.
    fn scripted(answers: Vec<&'static str>) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || answers.into_iter().map(|answer| serve(&listener, answer)).collect());
        (address, asked)
    }

    fn serve(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
        loop {
            let read = stream.read(&mut piece).unwrap();
            seen.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&seen);
            let body = text.find("\r\n\r\n").map(|at| &text[at + 4..]);
            let length =
                text.split("Content-Length: ").nth(1).and_then(|t| t.split('\r').next()?.parse().ok()).unwrap_or(0);
            let ended = if text.contains("chunked") {
                text.ends_with("0\r\n\r\n")
            } else {
                body.is_some_and(|b| b.len() >= length)
            };
            if ended || read == 0 {
                let _ = stream.write_all(answer.as_bytes());
                return text.into_owned();
            }
        }
    }

    #[test]
    fn a_form_carries_cookies_and_the_token_of_its_page() {
        let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\n\
            Content-Length: 52\r\n\r\n<input type=hidden value=\"x&#x2f;&amp;\" name=\"csrf\">";
        let moved = "HTTP/1.1 303 See Other\r\nLocation: http://other.example/inbox?x=1\r\nSet-Cookie: a=; Max-Age=0\r\nContent-Length: 0\r\n\r\n";
        let end = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let (address, asked) = scripted(vec![page, moved, end]);
        let mut client = Client::new(address);
        client.get("/sign-in").expect(200);
        assert_eq!(client.csrf().as_deref(), Some("x/&"));
        let reply = client.post("/sign-in", &[("email", "a b@x.example")]);
        let reply = client.follow(reply.expect(303));
        assert_eq!((reply.text().as_str(), reply.whole), ("abcde", true));
        let asked = asked.join().unwrap();
        assert!(asked[1].contains("Cookie: a=1\r\n") && asked[1].contains(&format!("Origin: http://{address}\r\n")));
        assert!(asked[1].ends_with("\r\n\r\ncsrf=x%2F%26&email=a+b%40x.example"), "{}", asked[1]);
        assert!(asked[2].starts_with("GET /inbox?x=1 HTTP/1.1\r\n") && !asked[2].contains("Cookie:"));
    }

    #[test]
    fn files_chunks_and_cut_bodies_are_sent() {
        let ok = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
        let (address, asked) = scripted(vec![ok, ok, short, ""]);
        let mut client = Client::new(address);
        let file = FilePart { field: "files[]", name: "a\"b.txt", kind: "text/plain", bytes: b"\x00\xff" };
        client.post_files("/compose", &[("csrf", "t")], &[file]).expect(204);
        client.send_chunks("PATCH", "/uploads/1", &[("Origin", "http://evil.example")], &[b"ab", b"c"]).expect(204);
        let reply = client.get("/files/1").expect(200);
        assert_eq!((reply.body.as_slice(), reply.whole), (&b"abc"[..], false), "a broken download is seen as broken");
        let mut open = client.open("PATCH", "/uploads/1", &[("Content-Length", "100")]);
        open.write(b"half").unwrap();
        open.cut();
        let asked = asked.join().unwrap();
        assert!(
            asked[0].contains("name=\"csrf\"\r\n\r\nt\r\n")
                && asked[0].contains("filename=\"a%22b.txt\"\r\nContent-Type: text/plain")
        );
        assert!(asked[1].ends_with("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") && asked[1].matches("Origin:").count() == 1);
        assert!(asked[3].ends_with("half"));
    }
}
