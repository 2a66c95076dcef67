//! Uploads, resumable: the tus protocol 1.0.0 (<https://tus.io/protocols/resumable-upload>) with the extensions creation,
//! termination and expiration.
//!
//! Bytes are sealed on a thread of their own while the next ones arrive, so that a disk or a network that is slow makes
//! nobody else wait.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::StreamExt;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::Path;
use poem::{Body, FromRequest, IntoResponse, Request, RequestBody, Response, Result, handler};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::body;
use super::guard::Signed;
use super::refusal::Refusal;
use crate::domain::drafts::SEND_BYTES_MAX;
use crate::domain::ids::{FileId, MessageId};
use crate::domain::sessions::Member;
use crate::domain::uploads::{Progress, UPLOAD_REST_MAX, UploadLease};
use crate::domain::{Error, Portal};

/// The version of tus that we speak.
const TUS_VERSION: &str = "1.0.0";
/// Bytes gathered from the network before the sealing thread is woken for them.
const BATCH_BYTES: usize = 256 * 1024;
/// Pieces of a batch: a client that sends byte by byte must not make us keep more in bookkeeping than in bytes.
const BATCH_PIECES_MAX: usize = 64;
/// Batches that may wait to be sealed: bounds what an upload keeps in memory.
const BATCHES_WAITING_MAX: usize = 2;
/// The media type of a tus PATCH.
const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// Bytes on their way into an upload.
pub struct Intake {
    portal: Arc<Portal>,
    member: Member,
    /// What is gathered, and its length.
    batch: Vec<Bytes>,
    batch_bytes: usize,
    batches: mpsc::Sender<Vec<Bytes>>,
    sealing: JoinHandle<(UploadLease, Result<(), Error>)>,
}

impl Intake {
    /// Begins an upload of a form's file to a draft.
    pub async fn begin(signed: &Signed, draft: MessageId, name: String, total: Option<u64>) -> Result<Self, Error> {
        signed.web().limits.upload.check(signed.group())?;
        let (portal, member) = (Arc::clone(&signed.web().portal), signed.member.clone());
        let begun = portal.run(move |portal| portal.begin_upload(&member, draft, &name, total)).await?;
        Self::go_on(signed, begun)
    }

    /// Goes on with an upload.
    fn go_on(signed: &Signed, id: FileId) -> Result<Self, Error> {
        let (portal, member) = (Arc::clone(&signed.web().portal), signed.member.clone());
        let mut lease = portal.lease_upload(&member, id)?;
        let (batches, mut waiting) = mpsc::channel::<Vec<Bytes>>(BATCHES_WAITING_MAX);
        let sealing = tokio::task::spawn_blocking(move || {
            while let Some(batch) = waiting.blocking_recv() {
                if let Err(error) = batch.iter().try_for_each(|piece| lease.write(piece)) {
                    return (lease, Err(error));
                }
            }
            (lease, Ok(()))
        });
        Ok(Self { portal, member, batch: Vec::new(), batch_bytes: 0, batches, sealing })
    }

    /// Takes bytes; waits while too many are waiting.
    pub async fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.batch_bytes += bytes.len();
        self.batch.push(bytes);
        if self.batch_bytes < BATCH_BYTES && self.batch.len() < BATCH_PIECES_MAX {
            return Ok(());
        }
        self.hand_over().await
    }

    /// Gives what is gathered to the sealing thread.
    async fn hand_over(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        if self.batches.send(std::mem::take(&mut self.batch)).await.is_ok() {
            return Ok(());
        }
        // The sealing thread has stopped: it says why.
        match (&mut self.sealing).await {
            Ok((_, Err(error))) => Err(error),
            Ok((_, Ok(()))) | Err(_) => Err(Error::internal("an upload stopped by itself")),
        }
    }

    /// Everything taken is sealed; the lease says how far it has come.
    async fn settle(mut self) -> Result<(Arc<Portal>, Member, UploadLease), Error> {
        self.hand_over().await?;
        drop(self.batches);
        let (lease, result) = self.sealing.await.map_err(|_| Error::internal("an upload stopped by itself"))?;
        result.map(|()| (self.portal, self.member, lease))
    }

    /// Ends an upload: its bytes become durable and it joins the draft's files.
    pub async fn finish(self) -> Result<(), Error> {
        let (portal, member, lease) = self.settle().await?;
        portal.run(move |portal| portal.finish_upload(&member, lease).map(|_| ())).await
    }
}

fn tus(mut response: Response) -> Response {
    response.headers_mut().insert("tus-resumable", HeaderValue::from_static(TUS_VERSION));
    response
}

fn speaks_tus(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("tus-resumable").map(HeaderValue::as_bytes) {
        Some(version) if version == TUS_VERSION.as_bytes() => Ok(()),
        _ => Err(Refusal::TusVersion),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The file name in `Upload-Metadata`: pairs of a key and a base64 value, separated by commas.
fn file_name(headers: &HeaderMap) -> String {
    let metadata = headers.get("upload-metadata").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let pairs = metadata.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let name = pairs.into_iter().find(|(key, _)| *key == "filename").map(|(_, name)| name.trim());
    let bytes = name.and_then(|name| BASE64.decode(name.as_bytes()).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `OPTIONS /uploads`: what we can do.
#[handler]
pub fn abilities() -> Response {
    let response = StatusCode::NO_CONTENT
        .with_header("tus-version", TUS_VERSION)
        .with_header("tus-extension", "creation,termination,expiration")
        .with_header("tus-max-size", SEND_BYTES_MAX.to_string())
        .into_response();
    tus(response)
}

/// `POST /drafts/{id}/files`: begins an upload.
#[handler]
pub async fn create(signed: Signed, Path(draft): Path<String>, headers: &HeaderMap) -> Result<Response> {
    speaks_tus(headers)?;
    signed.web().limits.upload.check(signed.group())?;
    let total = number(headers, "upload-length").ok_or(Refusal::Unreadable("The size of the file is missing."))?;
    if total > SEND_BYTES_MAX {
        return Err(Refusal::TooLarge.into());
    }
    let (draft, name, member) = (draft.parse::<MessageId>()?, file_name(headers), signed.member.clone());
    let portal = &signed.web().portal;
    let begun = portal.run(move |portal| portal.begin_upload(&member, draft, &name, Some(total))).await;
    let id = begun.map_err(too_large)?;
    if total == 0 {
        Intake::go_on(&signed, id)?.finish().await?;
    }
    let response = StatusCode::CREATED.with_header(header::LOCATION, format!("/uploads/{id}")).into_response();
    Ok(tus(response))
}

/// A file that does not fit is 413 to a client of tus, whatever form field the domain names.
fn too_large(error: Error) -> poem::Error {
    match error {
        Error::Invalid { field: "files", .. } => Refusal::TooLarge.into(),
        other => other.into(),
    }
}

fn offset_of(signed: &Signed, progress: Progress) -> impl IntoResponse + use<> {
    let ends = signed.web().clock.now().plus(UPLOAD_REST_MAX);
    let ends = jiff::Timestamp::from_millisecond(ends.0).unwrap_or_default();
    let ends = ends.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    ().with_header("upload-offset", progress.offset.to_string()).with_header("upload-expires", ends)
}

/// `HEAD /uploads/{id}`: how far it has come.
#[handler]
pub fn state(signed: Signed, Path(id): Path<String>, headers: &HeaderMap) -> Result<Response> {
    speaks_tus(headers)?;
    let progress = signed.web().portal.upload_progress(&signed.member, id.parse()?)?;
    let response = offset_of(&signed, progress).with_header("upload-length", progress.total.to_string());
    Ok(tus(response.into_response()))
}

/// The body of a PATCH, taken only after the guard before it has let the request in.
pub struct Piece(Body);

impl<'a> FromRequest<'a> for Piece {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        if req.content_type() != Some(OFFSET_STREAM) {
            return Err(Refusal::MediaType.into());
        }
        Ok(Self(body.take().map_err(|_| Refusal::Broken)?))
    }
}

/// `PATCH /uploads/{id}`: more of it. A connection that breaks keeps what arrived.
#[handler]
pub async fn append(signed: Signed, Path(id): Path<String>, headers: &HeaderMap, piece: Piece) -> Result<Response> {
    speaks_tus(headers)?;
    let id = id.parse::<FileId>()?;
    let at = number(headers, "upload-offset").ok_or(Refusal::Unreadable("The offset is missing."))?;
    let Progress { offset, total } = signed.web().portal.upload_progress(&signed.member, id)?;
    if at != offset {
        return Err(Error::Conflict.into());
    }
    let mut intake = Intake::go_on(&signed, id)?;
    let mut chunks = std::pin::pin!(body::counted(piece.0, total - offset));
    let mut broken = None;
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(bytes) => {
                signed.web().metrics.upload_bytes.add(bytes.len() as u64);
                intake.take(bytes).await?;
            }
            Err(refusal) => {
                broken = Some(refusal);
                break;
            }
        }
    }
    let (portal, member, lease) = intake.settle().await?;
    let progress = lease.progress();
    if let Some(refusal) = broken {
        return Err(refusal.into());
    }
    if progress.offset == progress.total {
        portal.run(move |portal| portal.finish_upload(&member, lease).map(|_| ())).await.map_err(too_large)?;
    }
    let mut response = offset_of(&signed, progress).into_response();
    response.set_status(StatusCode::NO_CONTENT);
    Ok(tus(response))
}

/// `DELETE /uploads/{id}`: gives it up.
#[handler]
pub fn abort(signed: Signed, Path(id): Path<String>, headers: &HeaderMap) -> Result<Response> {
    speaks_tus(headers)?;
    signed.web().portal.abort_upload(&signed.member, id.parse()?)?;
    Ok(tus(StatusCode::NO_CONTENT.into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_metadata() {
        let name = |metadata: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("upload-metadata", metadata.parse().unwrap());
            file_name(&headers)
        };
        let encoded = BASE64.encode("Röntgen 12.png".as_bytes());
        assert_eq!(name(&format!("filetype aW1hZ2UvcG5n,filename {encoded}")), "Röntgen 12.png");
        for bad in ["", "filename", "filename ***", "name YQ==", ",,,"] {
            assert_eq!(name(bad), "", "{bad}");
        }
    }
}
