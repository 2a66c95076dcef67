//! The demonstration: a throw-away installation on this machine with a believable practice in it.
//!
//! It is the product itself, with the same rules, keys and cost of a password; what is in it was done through the
//! domain. Only its folder, its clock while the story is told ([`play`]) and a line on every page are its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, ConfigError};
use crate::domain::{Clock, Error, SystemClock};
use crate::serve::{self, Running, ServeError};
use crate::store::chain;

mod folder;
mod play;
mod script;

use folder::Folder;
use play::StoryClock;
use script::{Misprint, Script, Stands};

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It is not to be like that.
    #[error(transparent)]
    Refused(#[from] ConfigError),
    /// There is no room for it among the temporary files.
    #[error("The demonstration has no folder: {0}.")]
    Folder(#[from] std::io::Error),
    /// The script is not right.
    #[error(transparent)]
    Script(#[from] Misprint),
    /// The story could not be told.
    #[error("The demonstration's practice could not be made: {}.", chain(.0))]
    Story(#[from] Error),
    /// What was made is not served.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A demonstration that is ready to begin. Nothing has been made yet.
pub struct Demo {
    /// What it is told: the product's defaults on a loopback address, and the environment's say on logging.
    pub config: Config,
    folder: PathBuf,
    script: Script,
}

/// A running demonstration. Dropped, it is forgotten.
pub struct Shown {
    running: Running,
    /// Who can sign in with what, and where.
    pub welcome: String,
    _folder: Folder,
}

impl Demo {
    /// Reads the script.
    ///
    /// # Errors
    /// [`DemoError::Refused`] for an address that others can reach.
    pub fn new(listen: SocketAddr) -> Result<Self, DemoError> {
        let folder = folder::fresh();
        Ok(Self { config: Config::demo(listen, &folder::data_in(&folder))?, folder, script: Script::read()? })
    }

    /// Makes the practice in a new folder, after removing those of demonstrations that were killed, and serves it.
    pub async fn start(self) -> Result<Shown, DemoError> {
        folder::remove_left_overs()?;
        let folder = Folder::create(self.folder)?;
        let now = SystemClock.now();
        let clock = Arc::new(StoryClock::at(play::beginning(&self.script, now)?));
        let portal = serve::open_portal(&self.config, Arc::clone(&clock) as Arc<dyn Clock>)?;
        let told = tokio::task::block_in_place(|| play::play(&portal, &clock, &self.script, now));
        let closed = portal.closed();
        drop(portal);
        closed.await;
        told?;
        let running = serve::start(self.config, Arc::new(SystemClock)).await?;
        Ok(Shown { welcome: welcome(&self.script, running.addr), running, _folder: folder })
    }
}

impl Shown {
    /// Ends it in good order and removes its folder.
    pub async fn end(self) {
        self.running.shutdown().await;
    }
}

fn welcome(script: &Script, address: SocketAddr) -> String {
    let people = script.people.iter().filter(|person| person.stands == Stands::Registered);
    let people: Vec<_> = people.map(|person| (person.email.as_str(), person.about.as_str())).collect();
    let width = people.iter().map(|(email, _)| email.len()).max().unwrap_or_default();
    let lines: Vec<_> = people.iter().map(|(email, about)| format!("  {email:width$}  {about}")).collect();
    format!(
        "{practice} is open on http://{address}\n\n{lines}\n\nEverybody's password: {password}\n\n\
         Everything in it is invented, and forgotten when it ends. Press Ctrl-C to end it.",
        practice = script.practice,
        lines = lines.join("\n"),
        password = script.password,
    )
}
