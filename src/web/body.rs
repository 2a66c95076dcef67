//! Forms and uploads, counted while they stream: `Content-Length` is only the client's word. Nothing goes to disk here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use poem::http::header;
use poem::{Body, FromRequest, Request, RequestBody, Result};

use super::refusal::Refusal;

/// The form field that carries the CSRF token.
pub const CSRF_FIELD: &str = "csrf";
/// Bytes of a form of somebody who is not signed in.
pub const STRANGER_FORM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a form of somebody who is: a body of 200,000 characters may take twelve bytes each when urlencoded.
pub const SIGNED_FORM_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of one multipart request: a whole send, its texts and its part headers.
pub const UPLOAD_BYTES_MAX: u64 = (100 + 4) * 1024 * 1024;
/// Bytes that one step of reading multipart may take from the wire: bounds what a part without end of its header, or
/// a field that nobody wants, can make us keep in memory.
const STEP_BYTES_MAX: u64 = 1024 * 1024;
/// Fields of one form: those of a message to a hundred new addresses, each with its questions, and some.
const FIELDS_MAX: usize = 1000;

/// Whether the body is an urlencoded form.
pub fn is_urlencoded(req: &Request) -> bool {
    let kind = req.content_type().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The whole body, at most `limit` bytes; refused at once when it announces more.
pub async fn read(req: &Request, body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let announced = req.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Refusal::TooLarge);
    }
    let mut whole = Vec::new();
    let mut chunks = std::pin::pin!(counted(body, limit));
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk?);
    }
    Ok(whole.into())
}

/// The body in the pieces that the network brings; `TooLarge` as soon as there are more than `limit` bytes.
pub fn counted(body: Body, limit: u64) -> impl Stream<Item = Result<Bytes, Refusal>> + Send + 'static {
    let mut left = limit;
    body.into_bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|fault| Refusal::of_io(&fault))?;
        let taken = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(taken).ok_or(Refusal::TooLarge)?;
        Ok(chunk)
    })
}

/// The fields of a form, as typed. A field that comes twice is refused: of two values, nobody knows which was meant.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// From an urlencoded body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            form.add(name.into_owned(), value.into_owned())?;
        }
        Ok(form)
    }

    /// One more field.
    pub fn add(&mut self, name: String, value: String) -> Result<(), Refusal> {
        if self.0.len() >= FIELDS_MAX {
            return Err(Refusal::Unreadable("The form has too many fields."));
        }
        if self.0.iter().any(|(known, _)| *known == name) {
            return Err(Refusal::Unreadable("The form has a field twice."));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of a field; empty when it is missing, as an unticked box is.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// What goes back into the page when the form is refused: everything but the secrets.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_secret = |name: &str| name == CSRF_FIELD || name.contains("password");
        self.0.iter().filter(move |(name, _)| !is_secret(name)).map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// An urlencoded form. The guard before it in the handler's arguments has checked its size and its token.
impl<'a> FromRequest<'a> for Form {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(req, body.take().map_err(|_| Refusal::Broken)?, SIGNED_FORM_BYTES_MAX).await?;
        Ok(Self::parse(&bytes)?)
    }
}

/// The parts of a multipart request, one after the other, in pieces. Reached through `guard::Upload` only.
pub struct Parts {
    inner: multer::Multipart<'static>,
    allowance: Arc<AtomicU64>,
}

impl Parts {
    /// Over a body of at most `limit` bytes.
    pub(super) fn new(req: &Request, body: Body, limit: u64) -> Result<Self, Refusal> {
        let kind = req.content_type().unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| Refusal::MediaType)?;
        let allowance = Arc::new(AtomicU64::new(STEP_BYTES_MAX));
        let meter = Arc::clone(&allowance);
        let metered = counted(body, limit).map(move |chunk| {
            let chunk = chunk?;
            let left = meter.load(Relaxed).checked_sub(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            meter.store(left.ok_or(Refusal::TooLarge)?, Relaxed);
            Ok::<_, Refusal>(chunk)
        });
        Ok(Self { inner: multer::Multipart::new(metered, boundary), allowance })
    }

    /// The next part, or none. The one before must have been read to its end.
    pub async fn next(&mut self) -> Result<Option<Part>, Refusal> {
        self.allowance.store(STEP_BYTES_MAX, Relaxed);
        let field = self.inner.next_field().await.map_err(refusal)?;
        Ok(field.map(|field| Part { field, allowance: Arc::clone(&self.allowance) }))
    }
}

/// One part: a field of the form, or a file.
pub struct Part {
    field: multer::Field<'static>,
    allowance: Arc<AtomicU64>,
}

impl Part {
    /// The name of the form field.
    pub fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The name of the file as the browser sent it; browsers escape three characters. `None` for a plain field, and
    /// empty when a file field was left empty.
    pub fn file_name(&self) -> Option<String> {
        let name = self.field.file_name()?;
        Some(name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
    }

    /// The media type that the browser guessed.
    pub fn content_type(&self) -> Option<&str> {
        self.field.content_type().map(|kind| kind.essence_str())
    }

    /// The next piece of its contents, or none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.allowance.store(STEP_BYTES_MAX, Relaxed);
        self.field.chunk().await.map_err(refusal)
    }

    /// All of it, as text of at most `limit` bytes.
    pub async fn text(mut self, limit: usize) -> Result<String, Refusal> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len().saturating_add(chunk.len()) > limit {
                return Err(Refusal::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        String::from_utf8(whole).map_err(|_| Refusal::Unreadable("The form is not in UTF-8."))
    }
}

fn refusal(fault: multer::Error) -> Refusal {
    match fault {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(_) => Refusal::Broken,
        },
        _ => Refusal::Unreadable("The upload is not well-formed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(kind: &str, chunks: Vec<Vec<u8>>) -> (Request, Body) {
        let stream = futures_util::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        (Request::builder().content_type(kind).finish(), Body::from_bytes_stream(stream))
    }

    #[tokio::test]
    async fn the_stream_is_counted_not_the_announcement() {
        let (req, body) = post("x/y", vec![vec![1; 40], vec![1; 24]]);
        assert_eq!(read(&req, body, 64).await.unwrap().len(), 64);
        let (req, body) = post("x/y", vec![vec![1; 40], vec![1; 25]]);
        assert!(matches!(read(&req, body, 64).await, Err(Refusal::TooLarge)));
        let req = Request::builder().header("content-length", "65").finish();
        assert!(matches!(read(&req, Body::empty(), 64).await, Err(Refusal::TooLarge)));
    }

    #[test]
    fn forms() {
        let form = Form::parse("a=1+2&b=%C3%A9&csrf=t&password=p&new_password=q&empty=".as_bytes()).unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("empty"), form.get("none")), ("1 2", "é", "", ""));
        assert_eq!(form.kept().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "empty"]);
        assert!(matches!(Form::parse(b"a=1&b=2&a=1"), Err(Refusal::Unreadable(_))));
        let many: String = (0..=FIELDS_MAX).map(|n| format!("f{n}=&")).collect();
        assert!(matches!(Form::parse(many.as_bytes()), Err(Refusal::Unreadable(_))));
    }

    const KIND: &str = "multipart/form-data; boundary=XX";

    fn parts(chunks: Vec<Vec<u8>>, limit: u64) -> Parts {
        let (req, body) = post(KIND, chunks);
        Parts::new(&req, body, limit).unwrap()
    }

    fn head(rest: &str) -> Vec<u8> {
        format!("--XX\r\nContent-Disposition: form-data; {rest}\r\n\r\n").into_bytes()
    }

    #[tokio::test]
    async fn parts_stream_with_their_names() {
        let file = head("name=\"files\"; filename=\"R\u{f6}ntgen %22a%22.png\"");
        let chunks = vec![head("name=\"csrf\""), b"tok\r\n".to_vec(), file, vec![7; 3000], b"\r\n--XX--\r\n".to_vec()];
        let mut parts = parts(chunks, 10_000);
        let first = parts.next().await.unwrap().unwrap();
        assert_eq!((first.name(), first.file_name()), ("csrf", None));
        assert_eq!(first.text(10).await.unwrap(), "tok");
        let mut second = parts.next().await.unwrap().unwrap();
        assert_eq!(second.file_name().unwrap(), "R\u{f6}ntgen \"a\".png");
        let mut bytes = 0;
        while let Some(chunk) = second.chunk().await.unwrap() {
            bytes += chunk.len();
        }
        assert_eq!(bytes, 3000);
        drop(second);
        assert!(parts.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn parts_are_counted_whole_and_each() {
        let mut parts_ = parts(vec![head("name=\"a\""), vec![7; 300], b"\r\n--XX--\r\n".to_vec()], 200);
        let fault = match parts_.next().await {
            Ok(Some(part)) => part.text(1000).await.unwrap_err(),
            Ok(None) => panic!("no part"),
            Err(fault) => fault,
        };
        assert!(matches!(fault, Refusal::TooLarge));
        let mut parts_ = parts(vec![head("name=\"a\""), vec![7; 300], b"\r\n--XX--\r\n".to_vec()], 10_000);
        let part = parts_.next().await.unwrap().unwrap();
        assert!(matches!(part.text(299).await, Err(Refusal::TooLarge)));
    }

    #[tokio::test]
    async fn a_part_header_without_end_is_not_kept() {
        let mut chunks = vec![b"--XX\r\nContent-Disposition: ".to_vec()];
        chunks.extend(std::iter::repeat_n(vec![b'a'; 64 * 1024], 100));
        assert!(matches!(parts(chunks, u64::MAX).next().await, Err(Refusal::TooLarge)));
    }

    #[tokio::test]
    async fn cut_short_is_an_error() {
        let mut parts_ = parts(vec![head("name=\"a\""), b"half".to_vec()], 10_000);
        let result = match parts_.next().await {
            Ok(Some(part)) => part.text(100).await.map(drop),
            other => other.map(drop),
        };
        assert!(matches!(result, Err(Refusal::Unreadable(_))));
        assert!(Parts::new(&Request::builder().content_type("text/plain").finish(), Body::empty(), 1).is_err());
    }
}
