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
use tokio::task::JoinHandle;

use super::body;
use super::guard::Signed;
use super::refusal::Refusal;
use crate::domain::drafts::SEND_BYTES_MAX;
use crate::domain::ids::{DraftId, FileId};
use crate::domain::sessions::Member;
use crate::domain::uploads::{Progress, UPLOAD_REST_MAX, UploadLease};
use crate::domain::{Error, Portal};

/// The version of tus that we speak.
pub const TUS_VERSION: &str = "1.0.0";
/// Bytes that are sealed at once. An upload keeps two batches in memory: the one that is sealed and the one that comes.
const BATCH_BYTES: usize = 512 * 1024;
/// The media type of a tus PATCH.
const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// Bytes on their way into an upload. While one batch is sealed the next one arrives; no thread ever waits for the
/// network, so that slow clients cost nobody else a thread.
pub struct Intake {
    portal: Arc<Portal>,
    member: Member,
    /// How far the upload had come before.
    begun_at: Progress,
    sealer: Option<Sealer>,
    batch: Vec<Bytes>,
    batch_bytes: usize,
}

/// The right to write, here or on the thread that is writing.
enum Sealer {
    Idle(Box<UploadLease>),
    Busy(JoinHandle<Result<UploadLease, Error>>),
}

impl Intake {
    /// Begins an upload of a form's file to a draft. Dropped before its end, it is given up.
    pub async fn begin(signed: &Signed, draft: DraftId, name: String) -> Result<Self, Error> {
        signed.web().limits.upload.check(signed.group())?;
        let (portal, member) = (Arc::clone(&signed.web().portal), signed.member.clone());
        let owner = Arc::clone(&portal);
        let leased = portal.run(move |_| {
            let id = owner.begin_upload(&member, draft, &name, None)?;
            owner.lease_upload(&member, id)
        });
        Ok(Self::with(signed, leased.await?))
    }

    /// Goes on with an upload.
    fn go_on(signed: &Signed, id: FileId) -> Result<Self, Error> {
        Ok(Self::with(signed, signed.web().portal.lease_upload(&signed.member, id)?))
    }

    fn with(signed: &Signed, lease: UploadLease) -> Self {
        let (portal, member) = (Arc::clone(&signed.web().portal), signed.member.clone());
        let begun_at = lease.progress();
        Self {
            portal,
            member,
            begun_at,
            sealer: Some(Sealer::Idle(Box::new(lease))),
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Takes bytes; waits while the batch before this one is being sealed.
    pub async fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.batch_bytes += bytes.len();
        self.batch.push(bytes);
        if self.batch_bytes >= BATCH_BYTES { self.seal().await } else { Ok(()) }
    }

    async fn seal(&mut self) -> Result<(), Error> {
        let mut lease = self.idle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.sealer = Some(Sealer::Busy(tokio::task::spawn_blocking(move || {
            batch.iter().try_for_each(|piece| lease.write(piece))?;
            Ok(lease)
        })));
        Ok(())
    }

    async fn idle(&mut self) -> Result<UploadLease, Error> {
        match self.sealer.take() {
            Some(Sealer::Idle(lease)) => Ok(*lease),
            Some(Sealer::Busy(sealing)) => sealing.await.map_err(|_| Error::internal("an upload stopped by itself"))?,
            None => Err(Error::internal("an upload has stopped before")),
        }
    }

    /// Everything taken is sealed; the lease says how far it has come.
    async fn settle(mut self) -> Result<(Arc<Portal>, Member, UploadLease), Error> {
        self.seal().await?;
        let lease = self.idle().await?;
        Ok((self.portal, self.member, lease))
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
    let (draft, name, member) = (draft.parse::<DraftId>()?, file_name(headers), signed.member.clone());
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
    // Leased first: nobody else can move the offset after it has been compared.
    let mut intake = Intake::go_on(&signed, id)?;
    let Progress { offset, total } = intake.begun_at;
    if at != offset {
        return Err(Error::Conflict.into());
    }
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
pub async fn abort(signed: Signed, Path(id): Path<String>, headers: &HeaderMap) -> Result<Response> {
    speaks_tus(headers)?;
    let (member, id) = (signed.member.clone(), id.parse()?);
    signed.web().portal.run(move |portal| portal.abort_upload(&member, id)).await?;
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
