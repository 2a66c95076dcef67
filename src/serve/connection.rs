//! Connections: how long each may take for what, and their orderly end.
//!
//! HTTP/1.1 only: without TLS no browser speaks HTTP/2 to us, and its ways to exhaust a server stay shut.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::door::{Door, Place, sorry, turn_away};
use super::{Phase, Stop, reached};
use crate::web::front::Front;

/// Bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Connections that are told at once that there is no room for them; beyond, they are closed without a word.
const FAREWELLS_MAX: usize = 64;
/// After a failure to accept (no file descriptors left) we look again after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What is read and thrown away of a request that was answered before its end, bytes and time: a browser shows a
/// refusal ("too large") only when it could send all it had, else it reports a broken connection.
const LEFT_OVER_BYTES_MAX: usize = 1024 * 1024 * 1024;
const LEFT_OVER_TIME: Duration = Duration::from_secs(30);

type AnswerBody = BoxBody<Bytes, io::Error>;

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a request (or from connecting, for the first one) to the end of its headers.
    pub head: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Between two pieces of a body, in either direction.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), idle: seconds(75), stall: seconds(60) }
    }
}

/// What every connection leads to.
pub(super) struct Reception {
    pub front: Front,
    pub door: Arc<Door>,
    pub patience: Patience,
}

/// Accepts until told to stop, then waits for its connections.
pub(super) async fn accept(listener: TcpListener, reception: Arc<Reception>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    let mut farewells = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => match reception.door.enter(peer.ip()) {
                    Some(place) => {
                        let serving = serve(socket, peer, Arc::clone(&reception), stop.clone());
                        connections.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    None if farewells.len() < FAREWELLS_MAX => _ = farewells.spawn(turn_away(socket)),
                    None => drop(socket),
                },
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
            Some(_) = farewells.join_next() => {}
            () = reached(&mut stop, Phase::Finishing) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, to its end.
async fn serve(socket: TcpStream, peer: SocketAddr, reception: Arc<Reception>, mut stop: Stop) {
    _ = socket.set_nodelay(true);
    let Ok(local) = socket.local_addr() else { return };
    let (pulse, patience) = (Arc::new(Pulse::default()), reception.patience);
    let service = service_fn({
        let pulse = Arc::clone(&pulse);
        move |request| answer(request, Arc::clone(&reception), Busy::begin(&pulse), local, peer)
    });
    let io = TokioIo::new(Watched::new(socket, pulse, patience));
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let finish = tokio::select! {
        _ = connection.as_mut() => return,
        () = reached(&mut stop, Phase::Finishing) => connection.as_mut(),
    };
    finish.graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = reached(&mut stop, Phase::Ended) => {}
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    reception: Arc<Reception>,
    busy: Busy,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<hyper::Response<Answer>, Infallible> {
    let Some(place) = reception.door.ask(peer.ip(), request.headers()) else {
        let sorry: hyper::Response<AnswerBody> = sorry().into();
        return Ok(sorry.map(|inner| Answer { inner, _busy: busy, _place: None }));
    };
    let (local, peer) = (LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(peer)));
    let mut request = poem::Request::from((request, local, peer, Scheme::HTTP));
    let body = Patient::new(request.take_body(), reception.patience.stall);
    let waits_for_leave = request.headers().contains_key(hyper::header::EXPECT);
    request.set_body(poem::Body::from(BodyExt::boxed(body.share())));
    let response: hyper::Response<AnswerBody> = reception.front.get_response(request).await.into();
    if !waits_for_leave && response.status() != hyper::StatusCode::REQUEST_TIMEOUT {
        throw_away(body).await;
    }
    Ok(response.map(|inner| Answer { inner, _busy: busy, _place: Some(place) }))
}

/// What the service tells the socket: how many requests are being answered, and how many heads have been read.
#[derive(Default)]
struct Pulse {
    busy: AtomicUsize,
    heads: AtomicU64,
    /// Wakes the connection when its last answer is out: hyper would not look at the socket again by itself, and the
    /// time between two requests has to begin.
    rest: AtomicWaker,
}

/// A request being answered: from the end of its head to the last byte of its answer.
struct Busy(Arc<Pulse>);

impl Busy {
    fn begin(pulse: &Arc<Pulse>) -> Self {
        pulse.heads.fetch_add(1, SeqCst);
        pulse.busy.fetch_add(1, SeqCst);
        Self(Arc::clone(pulse))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, SeqCst) == 1 {
            self.0.rest.wake();
        }
    }
}

/// The body of an answer. While it lives, its request is being answered.
struct Answer {
    inner: AnswerBody,
    _busy: Busy,
    _place: Option<Place>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads what a handler left of its request.
async fn throw_away(mut body: Patient) {
    let rest = async {
        let mut left = LEFT_OVER_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(fewer) => left = fewer,
                None => break,
            }
        }
    };
    _ = tokio::time::timeout(LEFT_OVER_TIME, rest).await;
}

/// The body of a request, which ends in `TimedOut` when a handler waits for more and nothing comes. Shared with the
/// handler, so that what that leaves can be read to its end.
struct Patient {
    inner: Arc<Mutex<AnswerBody>>,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(body: poem::Body, limit: Duration) -> Self {
        Self { inner: Arc::new(Mutex::new(body.into())), limit, waiting: None }
    }

    fn share(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), limit: self.limit, waiting: None }
    }

    fn inner(&self) -> MutexGuard<'_, AnswerBody> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut *this.inner()).poll_frame(cx);
        if polled.is_ready() {
            this.waiting = None;
            return polled;
        }
        let limit = this.limit;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting.as_mut().poll(cx).map(|()| Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().size_hint()
    }
}

/// A socket that fails with `TimedOut` when the client is too slow: hyper then closes the connection.
///
/// Of hyper's own deadlines the one for headers also counts the time between two requests, and there is none for a
/// client that does not read its answer.
struct Watched {
    inner: TcpStream,
    pulse: Arc<Pulse>,
    patience: Patience,
    /// How many heads had been read when we last looked.
    heads: u64,
    /// When the head that is arriving, or the rest between two requests, must be over.
    read_by: Option<Instant>,
    /// Bytes of a head have arrived since the last request.
    in_head: bool,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn new(inner: TcpStream, pulse: Arc<Pulse>, patience: Patience) -> Self {
        let read_by = Some(Instant::now() + patience.head);
        Self { inner, pulse, patience, heads: 0, read_by, in_head: true, reading: None, writing: None }
    }

    /// A request has begun since the last look: what was measured is over.
    fn look(&mut self) {
        let heads = self.pulse.heads.load(SeqCst);
        if heads != self.heads {
            (self.heads, self.read_by, self.in_head, self.reading) = (heads, None, false, None);
        }
    }

    fn is_busy(&self) -> bool {
        self.pulse.busy.load(SeqCst) > 0
    }

    /// Nothing to read. While a request is being answered that is nobody's fault; a body has its own deadline.
    fn wait_to_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pulse.rest.register(cx.waker());
        if self.is_busy() {
            return Poll::Pending;
        }
        let by = *self.read_by.get_or_insert_with(|| Instant::now() + self.patience.idle);
        let waiting = self.reading.get_or_insert_with(|| Box::pin(sleep_until(by)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Bytes came. The first of a head start its deadline; more of them do not put it off.
    fn has_read(&mut self) {
        if !self.is_busy() && !self.in_head {
            (self.in_head, self.read_by, self.reading) = (true, Some(Instant::now() + self.patience.head), None);
        }
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        let stall = self.patience.stall;
        let waiting = self.writing.get_or_insert_with(|| Box::pin(sleep(stall)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    this.has_read();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending => this.wait_to_read(cx),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.watch_write(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        this.watch_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const AT_ONCE: Patience = Patience { head: Duration::ZERO, idle: Duration::ZERO, stall: Duration::ZERO };

    fn patient(body: poem::Body) -> Patient {
        Patient::new(body, Duration::ZERO)
    }

    #[tokio::test]
    async fn a_body_that_stalls_times_out_and_one_that_flows_does_not() {
        let flowing = poem::Body::from_bytes_stream(stream::iter([Ok::<_, io::Error>("a"), Ok("b")]));
        assert_eq!(patient(flowing).collect().await.unwrap().to_bytes(), "ab");
        let stalled = poem::Body::from_bytes_stream(stream::pending::<Result<Bytes, io::Error>>());
        let fault = patient(stalled).collect().await.unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    }

    async fn watched(pulse: &Arc<Pulse>) -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Watched::new(server, Arc::clone(pulse), AT_ONCE), client)
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut() {
        let (mut server, _client) = watched(&Arc::default()).await;
        let much = vec![0; 1024 * 1024];
        let fault = loop {
            if let Err(fault) = server.write_all(&much).await {
                break fault;
            }
        };
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn nobody_is_cut_while_a_request_is_answered() {
        let pulse = Arc::new(Pulse::default());
        let (mut server, mut client) = watched(&pulse).await;
        let busy = Busy::begin(&pulse);
        let mut read = Box::pin(async move { server.read_u8().await });
        assert!(futures_util::poll!(read.as_mut()).is_pending());
        client.write_u8(7).await.unwrap();
        assert_eq!(read.await.unwrap(), 7);
        drop(busy);
    }
}
