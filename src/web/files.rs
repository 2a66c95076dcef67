//! Downloads: a file of a message with HTTP ranges, all of them as a zip, a message as an age file.
//!
//! The bytes are opened on a thread of their own and handed over in pieces. A file that proves cut short or changed
//! breaks the connection off: an ending that looks complete would be a lie.

use std::io;

use futures_util::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use poem::http::{HeaderMap, StatusCode, header};
use poem::web::Path;
use poem::{Body, IntoResponse, Response, Result, handler};
use tokio::task::JoinHandle;

use super::guard::Signed;
use crate::domain::Error;
use crate::domain::files::Outgoing;
use crate::domain::ids::MessageId;

/// What stays as it is in `filename*` (RFC 8187, attr-char).
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Something on its way out, and its next piece.
type Stepped = (Box<dyn Outgoing>, Option<Vec<u8>>);

/// Opens the next piece on a thread that waits for nobody.
fn step(mut outgoing: Box<dyn Outgoing>) -> JoinHandle<Result<Stepped, Error>> {
    tokio::task::spawn_blocking(move || outgoing.piece().map(|piece| (outgoing, piece)))
}

async fn stepped(step: JoinHandle<Result<Stepped, Error>>) -> Result<Stepped, Error> {
    step.await.unwrap_or_else(|_| Err(Error::internal("a download's thread panicked")))
}

/// A body of pieces, the next of which is opened while the network takes the last. Only a whole one ends cleanly; what
/// cannot even be begun is an error that a page can tell.
async fn streamed(outgoing: impl Outgoing + 'static) -> Result<Body, Error> {
    let (outgoing, first) = stepped(step(Box::new(outgoing))).await?;
    let Some(first) = first else { return Ok(Body::empty()) };
    let rest = stream::unfold(Some(step(outgoing)), |next| async move {
        let fault = match stepped(next?).await {
            Ok((outgoing, Some(piece))) => return Some((Ok(piece), Some(step(outgoing)))),
            Ok((_, None)) => return None,
            Err(Error::Internal { cause }) => crate::store::chain(cause.as_ref()),
            Err(ended) => ended.to_string(),
        };
        tracing::warn!(cause = fault, "a download was broken off");
        Some((Err(io::Error::other("broken off")), None))
    });
    Ok(Body::from_bytes_stream(stream::iter([Ok(first)]).chain(rest)))
}

/// `Content-Disposition` of a download (RFC 6266): a plain name for old programs, the true one for all others.
fn attachment(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() && !"\"\\%/;'".contains(c) || c == ' ' { c } else { '_' };
    let plain: String = name.chars().map(safe).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR_CHAR))
}

fn download(body: Body, mime: &str, name: &str) -> Response {
    // A type that a browser would run on its own in our name is sent as bytes.
    let mime =
        if matches!(mime, "text/html" | "application/xhtml+xml" | "image/svg+xml" | "text/xml" | "application/xml")
            || mime.contains("javascript")
        {
            "application/octet-stream"
        } else {
            mime
        };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, mime)
        .header(header::CONTENT_DISPOSITION, attachment(name))
        .body(body);
    let sandbox = header::HeaderValue::from_static("default-src 'none'; sandbox");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, sandbox);
    response
}

/// One range of `Range: bytes=…` (RFC 9110, section 14). Several ranges at once are answered with the whole file.
fn range(headers: &HeaderMap, length: u64) -> Option<Result<(u64, u64), ()>> {
    let spec = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = spec.split_once('-').filter(|_| !spec.contains(','))?;
    let end = length.checked_sub(1);
    let bounds = match (first.trim(), last.trim()) {
        ("", suffix) => {
            let suffix: u64 = suffix.parse().ok()?;
            end.filter(|_| suffix > 0).map(|end| (length.saturating_sub(suffix), end))
        }
        (first, "") => end.and_then(|end| first.parse().ok().map(|first| (first, end))),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if first > last {
                return None;
            }
            end.map(|end| (first, last.min(end)))
        }
    };
    Some(bounds.filter(|(first, last)| first <= last && *first < length).ok_or(()))
}

/// `GET /messages/{id}/files/{file}`: one file, byte for byte.
#[handler]
pub async fn one(signed: Signed, Path((id, file)): Path<(String, String)>, headers: &HeaderMap) -> Result<Response> {
    let (member, id, file) = (signed.member.clone(), id.parse::<MessageId>()?, file.parse()?);
    let mut stream = signed.web().portal.run(move |portal| portal.open_file(&member, id, file)).await?;
    let (length, name, mime) = (stream.info.bytes, stream.info.name.clone(), stream.info.mime.clone());
    let (first, last, partial) = match range(headers, length) {
        None => (0, length.saturating_sub(1), false),
        Some(Ok((first, last))) => (first, last, true),
        Some(Err(())) => {
            let star = format!("bytes */{length}");
            return Ok(StatusCode::RANGE_NOT_SATISFIABLE.with_header(header::CONTENT_RANGE, star).into_response());
        }
    };
    let size = if length == 0 { 0 } else { last - first + 1 };
    let outgoing = signed.web().portal.run(move |_| stream.only(first, size).map(|()| stream));
    let mut response = download(streamed(outgoing.await?).await?, &mime, &name);
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    response.headers_mut().insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    if partial {
        response.set_status(StatusCode::PARTIAL_CONTENT);
        let range = format!("bytes {first}-{last}/{length}");
        response.headers_mut().insert(header::CONTENT_RANGE, range.parse().map_err(Error::internal)?);
    }
    Ok(response)
}

/// `GET /messages/{id}/files.zip`: all files of a message.
#[handler]
pub async fn all(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    let (member, id) = (signed.member.clone(), id.parse::<MessageId>()?);
    let outgoing = signed.web().portal.run(move |portal| portal.open_zip(&member, id)).await?;
    Ok(download(streamed(outgoing).await?, "application/zip", "sealpost-files.zip"))
}

/// `GET /messages/{id}/export`: the message and its files as an age file.
#[handler]
pub async fn export(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    let (member, id) = (signed.member.clone(), id.parse::<MessageId>()?);
    let outgoing = signed.web().portal.run(move |portal| portal.open_export(&member, id)).await?;
    Ok(download(streamed(outgoing).await?, "application/octet-stream", "sealpost-message.zip.age"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(attachment("x-ray 1.png"), "attachment; filename=\"x-ray 1.png\"; filename*=UTF-8''x-ray%201.png");
        let tricky = attachment("a\"; filename=b\r\nSet-Cookie: c;é.exe");
        assert!(!tricky.contains(['\r', '\n', 'é']));
        assert_eq!(tricky.matches('"').count(), 2);
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let ask = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            range(&headers, 100)
        };
        assert_eq!(ask("bytes=0-9"), Some(Ok((0, 9))));
        assert_eq!(ask("bytes=90-"), Some(Ok((90, 99))));
        assert_eq!(ask("bytes=-10"), Some(Ok((90, 99))));
        assert_eq!(ask("bytes=-1000"), Some(Ok((0, 99))));
        assert_eq!(ask("bytes=50-1000"), Some(Ok((50, 99))));
        assert_eq!(ask("bytes=100-"), Some(Err(())));
        assert_eq!(ask("bytes=-0"), Some(Err(())));
        for ignored in ["bytes=9-0", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-"] {
            assert_eq!(ask(ignored), None, "{ignored}");
        }
        assert_eq!(range(&HeaderMap::new(), 100), None);
    }
}
