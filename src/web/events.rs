//! News: a stream of server-sent events that tells a page when something in its reader's folders has changed.
//!
//! It carries counts, never content. It holds no key, is no sign of life, and ends with the session.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use poem::http::header;
use poem::{Body, IntoResponse, Response, handler};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Web;
use super::guard::Signed;
use crate::domain::Error;
use crate::domain::counts::Counts;

/// A line that says nothing, so often: proxies cut what is silent, and a session that has ended is noticed.
const BEAT: Duration = Duration::from_secs(25);
/// What changes in between is told together.
const PAUSE: Duration = Duration::from_millis(250);
/// Said when the session has ended.
const OVER: &str = "event: over\ndata:\n\n";
/// When the connection breaks, the page comes back after so many milliseconds.
const RETRY: &str = "retry: 5000\n\n";

/// What a stream remembers between two events.
struct Listening {
    web: Arc<Web>,
    token: String,
    changes: watch::Receiver<u64>,
    ending: watch::Receiver<bool>,
    told: Option<Counts>,
}

/// `GET /events`: `counts` events with the numbers beside the folders; `over` when the session has ended.
#[handler]
pub async fn listen(signed: Signed) -> Response {
    let web = Arc::clone(signed.web());
    let listening = Listening {
        token: signed.token.clone(),
        changes: web.portal.changes(),
        ending: web.ending.subscribe(),
        told: None,
        web,
    };
    let events = stream::unfold(Some(listening), |listening| async move {
        let mut listening = listening?;
        let (text, goes_on) = listening.next().await?;
        Some((Ok::<_, std::io::Error>(text), goes_on.then_some(listening)))
    });
    Body::from_bytes_stream(events)
        .with_content_type("text/event-stream")
        .with_header(header::CACHE_CONTROL, "no-store")
        .with_header("X-Accel-Buffering", "no")
        .into_response()
}

impl Listening {
    /// The next piece of the stream, and whether another follows; none when the server ends.
    async fn next(&mut self) -> Option<(String, bool)> {
        let Some(told) = self.told.clone() else { return Some(self.tell(RETRY).await) };
        loop {
            let heard = tokio::select! {
                heard = timeout(BEAT, self.changes.changed()) => heard,
                _ = self.ending.wait_for(|is_ending| *is_ending) => return None,
            };
            let is_beat = heard.is_err();
            if let Ok(changed) = heard {
                changed.ok()?;
                sleep(PAUSE).await;
                self.changes.mark_unchanged();
            }
            match self.counts().await {
                Ok(counts) if counts != told => return Some(self.tell("").await),
                Ok(_) if !is_beat => {}
                Ok(_) => return Some((": still here\n\n".to_owned(), true)),
                Err(_) => return Some((OVER.to_owned(), false)),
            }
        }
    }

    async fn tell(&mut self, before: &str) -> (String, bool) {
        self.changes.mark_unchanged();
        let Ok(counts) = self.counts().await else { return (OVER.to_owned(), false) };
        let said = serde_json::to_string(&counts).unwrap_or_default();
        self.told = Some(counts);
        (format!("{before}event: counts\ndata: {said}\n\n"), true)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let token = self.token.clone();
        self.web.portal.run(move |portal| portal.counts(&portal.member_unseen(&token)?)).await
    }
}
