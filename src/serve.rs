//! Everything that happens by itself: the listener, the loops, and the orderly end of both.
//!
//! | task | what it does | wakes |
//! |---|---|---|
//! | listener | accepts connections, each a task of its own | by itself |
//! | sweep | destroys what is due | at the first due date, or when an earlier one arrives |
//! | outbox | hands notices and codes to the outside | when one arrives or is to be tried again |
//! | upkeep | nightly epoch key, clean-up, rate limits' memory | at night |
//!
//! Every task belongs to a `JoinSet` here, hears one stop signal, and is waited for.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, HostKeyPlace, PublicUrl};
use crate::crypto::host::HostKey;
use crate::crypto::{CryptoError, media};
use crate::domain::notices::Handed;
use crate::domain::{Clock, Error, Loop, Options, Portal, Timestamp};
use crate::gateway::mail::Delivery;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, chain};
use crate::web::front::Front;
use crate::web::{Web, letters};

mod connection;
mod door;

pub use connection::Patience;
use connection::Reception;
use door::Door;

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: u32 = 1024;
/// A waiting loop looks at the date at least this often: the machine's clock may be set, the machine may have slept.
const NAP_MAX: Duration = Duration::from_secs(30);
/// After the last task has ended, what it left to a thread (a password being checked, a piece of a file) may go on for so
/// long before the end no longer waits for it.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// After a failure a loop tries again after this long.
const RETRY: Duration = Duration::from_secs(30);

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another program listens there, or we may not.
    #[error("Sealpost cannot listen on {address}: {source}.")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data folder could not be made or looked at.
    #[error("The data folder {} cannot be used: {source}.", path.display())]
    Folder {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The host key could not be read, or is another one than the data folder's.
    #[error("The host key {} cannot be used: {}.", path.display(), chain(source))]
    HostKey {
        /// Where.
        path: PathBuf,
        /// What went wrong.
        source: CryptoError,
    },
    /// What is destroyed here could be brought back.
    #[error("{text} To start all the same, set accept_weak_erase = true in the configuration file.")]
    WeakErase {
        /// What was found out.
        text: String,
    },
    /// The data could not be opened, or what is overdue could not be destroyed.
    #[error("The data cannot be opened: {}", chain(source))]
    Open {
        /// What went wrong.
        #[source]
        source: Error,
    },
}

impl From<Error> for ServeError {
    fn from(source: Error) -> Self {
        Self::Open { source }
    }
}

/// How far the end has come. Everybody watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// At work.
    Working,
    /// No new connections and no new rounds; what is in flight may finish.
    Finishing,
    /// Now.
    Ended,
}

pub(crate) type Stop = watch::Receiver<Phase>;

/// Until the phase is reached, or whoever could say so is gone.
pub(crate) async fn reached(stop: &mut Stop, phase: Phase) {
    _ = stop.wait_for(|now| *now >= phase).await;
}

/// A running program. Dropped without [`Running::shutdown`], everything is cut at once.
pub struct Running {
    /// Where it listens; the true port when 0 was asked for.
    pub addr: SocketAddr,
    /// The one-time link that begins set-up, until that is done.
    pub setup_link: Option<String>,
    tasks: JoinSet<()>,
    phase: watch::Sender<Phase>,
    bells: Arc<Bells>,
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
    patience: Duration,
}

impl Running {
    /// Returns when this loop has made a round that began after the call and found nothing more that is due: how a
    /// test waits for it without sleeping.
    pub async fn settled(&self, which: Loop) {
        self.bells.of(which).settled().await;
    }

    /// Refuses new connections at once, lets requests and rounds in flight finish for as long as the configuration
    /// says, and cuts what is left. When it returns, the data is closed and can be opened by another.
    pub async fn shutdown(mut self) {
        self.phase.send_replace(Phase::Finishing);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, all).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut");
            self.phase.send_replace(Phase::Ended);
            while self.tasks.join_next().await.is_some() {}
        }
        if tokio::time::timeout(CLOSE_MAX, self.closed).await.is_err() {
            tracing::warn!("something is still using the data; another start may have to wait");
        }
    }
}

/// Starts everything. What is overdue is destroyed before the first connection is accepted.
pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, ServeError> {
    start_with(config, clock, Patience::default()).await
}

/// The same with other deadlines for slow clients: tests have none of the patience of [`Patience::default`].
pub async fn start_with(mut config: Config, clock: Arc<dyn Clock>, patience: Patience) -> Result<Running, ServeError> {
    let address = config.listen;
    let faulty = |source| ServeError::Listen { address, source };
    let socket = bind(address).map_err(faulty)?;
    let addr = socket.local_addr().map_err(faulty)?;
    if config.public_url.port() == 0 {
        config.public_url = PublicUrl::http(addr);
    }
    let config = Arc::new(config);
    let portal = open(&config, &clock).await?;
    let is_new = portal.run(|portal| Ok(portal.practice()?.is_none())).await?;
    let setup_link = is_new.then(|| format!("{}/setup/{}", config.public_url, portal.setup_token()));

    let web = Web::new(Arc::clone(&portal), Arc::clone(&config), Arc::new(Metrics::default()), Arc::clone(&clock))?;
    let web = Arc::new(web);
    let (phase, stop) = watch::channel(Phase::Working);
    let bells = Arc::new(Bells::default());
    let ring = Arc::clone(&bells);
    portal.on_wake(Box::new(move |which| ring.of(which).ring()));
    let ring = Arc::clone(&bells);
    clock.on_turn(Box::new(move || ring.ring_all()));

    let listener = socket.listen(BACKLOG).map_err(faulty)?;
    let mut tasks = JoinSet::new();
    let (front, door) = (Front::new(Arc::clone(&web)), Arc::new(Door::new(&config)));
    tasks.spawn(connection::accept(listener, Arc::new(Reception { front, door, patience }), stop.clone()));
    tasks.spawn(end_streams(Arc::clone(&web), stop.clone()));
    for which in [Loop::Sweep, Loop::Outbox, Loop::Upkeep] {
        tasks.spawn(repeat(which, Arc::clone(&bells), Arc::clone(&web), stop.clone()));
    }
    tracing::info!(%addr, "listening");
    let closed = Box::pin(portal.closed());
    Ok(Running { addr, setup_link, tasks, phase, bells, closed, patience: config.shutdown })
}

/// A socket with its address, which nobody can reach yet.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Bytes of redb's page cache.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The portal, with nothing in it that is overdue.
async fn open(config: &Arc<Config>, clock: &Arc<dyn Clock>) -> Result<Arc<Portal>, ServeError> {
    let (told, time) = (Arc::clone(config), Arc::clone(clock));
    let opened = tokio::task::spawn_blocking(move || open_portal(&told, time)).await;
    let portal = opened.map_err(crate::web::internal)??;
    match portal.run(|portal| portal.sweep()).await {
        Err(Error::Full) => tracing::warn!("the disk is full: what is overdue is destroyed, its rows wait for room"),
        swept => _ = swept?,
    }
    Ok(portal)
}

/// Opens the data folder and everything in it. Whoever starts the program should call this before anybody can reach it.
///
/// # Errors
/// [`ServeError::WeakErase`] on a file system where overwriting does not erase, unless the configuration accepts that
/// or nobody but this machine can reach the program: before any file is made, if the file system tells by then.
pub fn open_portal(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Portal>, ServeError> {
    let folder = |source| ServeError::Folder { path: config.data.clone(), source };
    make_private_folder(&config.data).map_err(folder)?;
    must_erase(config)?;
    let is_new = !config.data.join("sealpost.redb").exists();
    let may_create = is_new && matches!(config.host_key, HostKeyPlace::File(_));
    let key = |source| ServeError::HostKey { path: config.host_key.path().to_owned(), source };
    let host = Arc::new(HostKey::load_or_create(config.host_key.path(), may_create).map_err(key)?);
    let store = Store::open(&config.data, &host, CACHE_BYTES).map_err(|source| match source {
        StoreError::Crypto(CryptoError::ForeignHostKey) => key(CryptoError::ForeignHostKey),
        other => ServeError::Open { source: other.into() },
    })?;
    // Some file systems tell only by a slot file, which is there now.
    if let Some(text) = must_erase(config)? {
        tracing::warn!("{text}");
    }
    let options = Options {
        public_url: config.public_url.to_string(),
        sends_mail: config.smtp.is_some(),
        loopback: is_for_this_machine(config),
        password_memory_kib: config.password_cost.memory_kib,
        password_passes: config.password_cost.passes,
    };
    Ok(Portal::open(store, host, clock, options)?)
}

/// Whether nobody but this machine can reach the program.
fn is_for_this_machine(config: &Config) -> bool {
    config.listen.ip().is_loopback() && config.trusted_proxies.is_empty()
}

/// Refuses a data folder that cannot erase, where that matters and is not accepted; the warning where it may be used.
fn must_erase(config: &Config) -> Result<Option<String>, ServeError> {
    let folder = |source| ServeError::Folder { path: config.data.clone(), source };
    match media::inspect(&config.data).map_err(folder)? {
        media if media.erases => Ok(None),
        media if is_for_this_machine(config) || config.accept_weak_erase => Ok(Some(media.text)),
        media => Err(ServeError::WeakErase { text: media.text }),
    }
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Ends what would keep its connection for ever, when the end has begun.
async fn end_streams(web: Arc<Web>, mut stop: Stop) {
    reached(&mut stop, Phase::Finishing).await;
    web.ending.send_replace(true);
}

/// One round of a loop: does what is due, or a batch of it, and says when more will be. "Now" means at once.
async fn round(which: Loop, web: &Web) -> Result<Option<Timestamp>, Error> {
    match which {
        Loop::Sweep => {
            let swept = web.portal.run(|portal| portal.sweep()).await?;
            web.metrics.destroyed.add(swept.destroyed as u64);
            web.metrics.faults.add(swept.failed as u64);
            Ok(swept.next)
        }
        Loop::Outbox => {
            let next = hand_over(web).await?;
            web.metrics.outbox_waiting.set(web.portal.run(|portal| portal.letters_waiting()).await?);
            Ok(next)
        }
        Loop::Upkeep => {
            web.limits.forget_old();
            web.portal.run(|portal| portal.upkeep_due()).await.map(Some)
        }
    }
}

/// Hands the letters that are due to the mail server, one after the other.
async fn hand_over(web: &Web) -> Result<Option<Timestamp>, Error> {
    if !web.portal.options().sends_mail {
        return Ok(None);
    }
    let (letters, host) = web.portal.run(|portal| Ok((portal.letters_due()?, portal.practice()?))).await?;
    let host = host.map(|host| host.name).unwrap_or_default();
    for letter in letters {
        let handed = match web.postman.deliver(&letters::fill(letter.clone(), &host)).await {
            Delivery::Over => Handed::Over,
            Delivery::Later { log } => {
                tracing::warn!(notice = %letter.id, cause = log, "a notice waits");
                Handed::Later
            }
            Delivery::Refused { reason, log } => {
                tracing::warn!(notice = %letter.id, cause = log, "a notice was refused");
                Handed::Refused(reason)
            }
        };
        web.portal.run(move |portal| portal.letter_done(&letter, handed)).await?;
    }
    web.portal.run(|portal| portal.next_letter()).await
}

/// Rounds while something is due; then sleep until the next date or the bell.
async fn repeat(which: Loop, bells: Arc<Bells>, web: Arc<Web>, mut stop: Stop) {
    let bell = bells.of(which);
    let mut rung = bell.rung.subscribe();
    while *stop.borrow() == Phase::Working {
        let heard = *rung.borrow_and_update();
        let next = match round(which, &web).await {
            Ok(Some(next)) if next <= web.clock.now() => continue,
            Ok(next) => next,
            Err(fault) => {
                tracing::error!(?which, cause = chain(&fault), "a loop failed and will try again");
                web.metrics.faults.one();
                Some(web.clock.now().after(RETRY))
            }
        };
        bell.answered.send_replace(heard);
        let wait = next.map_or(NAP_MAX, |next| web.clock.now().until(next).min(NAP_MAX));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = rung.changed() => {}
            () = reached(&mut stop, Phase::Finishing) => {}
        }
    }
}

/// One bell for each loop.
#[derive(Default)]
struct Bells {
    sweep: Bell,
    outbox: Bell,
    upkeep: Bell,
}

impl Bells {
    fn of(&self, which: Loop) -> &Bell {
        match which {
            Loop::Sweep => &self.sweep,
            Loop::Outbox => &self.outbox,
            Loop::Upkeep => &self.upkeep,
        }
    }

    fn ring_all(&self) {
        for bell in [&self.sweep, &self.outbox, &self.upkeep] {
            bell.ring();
        }
    }
}

/// Wakes a loop, and tells when the loop has seen to it. A ring during a round means another round.
struct Bell {
    /// How often it was rung.
    rung: watch::Sender<u64>,
    /// The number of rings that the last finished round had heard.
    answered: watch::Sender<u64>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { rung: watch::Sender::new(0), answered: watch::Sender::new(0) }
    }
}

impl Bell {
    fn ring(&self) {
        self.rung.send_modify(|rings| *rings += 1);
    }

    fn settled(&self) -> impl Future<Output = ()> + use<> {
        let mut answered = self.answered.subscribe();
        self.ring();
        let mine = *self.rung.borrow();
        async move { _ = answered.wait_for(|heard| *heard >= mine).await }
    }
}

/// Until the machine asks us to stop: SIGTERM from the service manager, SIGINT from a keyboard. From the call on neither
/// ends the process any more, whether somebody waits already or not.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
