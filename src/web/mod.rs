//! Every page and route: who asks, and how it is answered. The only room, with `serve`, that knows HTTP.
//!
//! | file | what it is |
//! |---|---|
//! | [`routes`] | every route on one screen |
//! | [`front`] | what happens around each request: origin, panics, errors, headers, counting |
//! | [`guard`] | who asks: the extractors that hand out capabilities |
//! | [`csrf`], [`cookies`], [`client`], [`limits`] | what the guard looks at |
//! | [`body`] | forms and uploads, counted while they stream |
//! | [`refusal`], [`answer`], [`headers`] | refusals and faults, as pages or JSON; the headers on every answer |
//! | [`page`], [`assets`] | templates, and the files that pages need |
//! | [`open`], [`setup`], [`sign_in`], [`register`] | what a stranger may see, and how they become somebody |
//! | [`events`] | what tells a page that something has changed |
//! | [`mailbox`], [`marks`], [`search`], [`thread`] | folders and what is done with their lines, search, conversations |
//! | [`compose`], [`recipients`], [`uploads`], [`files`] | writing, files in and out |
//! | [`contacts`], [`groups`], [`imports`] | whom somebody writes to, and files of them in and out |
//! | [`profile`], [`people`], [`admin`] | oneself, everybody, the installation |
//! | [`when`], [`prose`], [`letters`] | dates and sizes, what people wrote as safe markup, letters for the mail gateway |

use std::sync::Arc;

use poem::http::{HeaderMap, header};
use tokio::sync::watch;

use crate::config::{Config, PublicUrl};
use crate::domain::{Clock, Error, Portal};
use crate::gateway::mail::Postman;
use crate::metrics::Metrics;
use crate::words::Words;

pub mod admin;
pub mod answer;
pub mod assets;
pub mod body;
pub mod client;
pub mod compose;
pub mod contacts;
pub mod cookies;
pub mod csrf;
pub mod events;
pub mod files;
pub mod front;
pub mod groups;
pub mod guard;
pub mod headers;
pub mod imports;
pub mod letters;
pub mod limits;
pub mod mailbox;
pub mod marks;
pub mod methods;
pub mod open;
pub mod page;
pub mod people;
pub mod profile;
pub mod prose;
pub mod recipients;
pub mod refusal;
pub mod register;
pub mod routes;
pub mod search;
pub mod setup;
pub mod sign_in;
pub mod thread;
pub mod uploads;
pub mod when;

/// What every handler may reach. Made once by `serve`, shared by all requests.
pub struct Web {
    /// The rules, behind the one seam between async and sync.
    pub portal: Arc<Portal>,
    /// Fills letters in, and hands them to the mail server.
    pub postman: Postman,
    /// What the program was told before it started; `public_url` has its final port.
    pub config: Arc<Config>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Templates.
    pub pages: page::Pages,
    /// Every language.
    pub words: Arc<Words>,
    /// Files that pages need.
    pub assets: Arc<assets::Assets>,
    /// How often a stranger may ask for what is costly or guessable.
    pub limits: limits::Limits,
    /// Proof that a form is one of our pages'.
    pub csrf: csrf::Csrf,
    /// Names and attributes of our cookies.
    pub cookies: cookies::Cookies,
    /// One-time messages that wait for the next page.
    pub flashes: page::Flashes,
    /// Turns true when the server ends: streams that would go on for ever end with it.
    pub ending: watch::Sender<bool>,
}

impl Web {
    /// Everything that the pages need around an open portal.
    pub fn new(
        portal: Arc<Portal>,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let assets = Arc::new(assets::Assets::collect());
        let words = Arc::new(Words::collect().map_err(internal)?);
        let pages = page::Pages::new(Arc::clone(&assets), &words).map_err(internal)?;
        let cookies = cookies::Cookies::new(config.public_url.is_https());
        let limits = limits::Limits::new(&clock);
        Ok(Self {
            postman: Postman::new(config.smtp.as_ref(), &config.public_url.to_string()).map_err(internal)?,
            portal,
            config,
            metrics,
            clock,
            pages,
            words,
            assets,
            limits,
            csrf: csrf::Csrf::default(),
            cookies,
            flashes: page::Flashes::default(),
            ending: watch::Sender::new(false),
        })
    }

    /// The language of whoever sends these headers.
    pub fn language(&self, headers: &HeaderMap) -> String {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        self.words.choose(accepted.unwrap_or_default()).to_owned()
    }

    /// Where our pages are.
    pub fn public_url(&self) -> &PublicUrl {
        &self.config.public_url
    }
}

/// A fault of ours, as the domain names it.
pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Internal { cause: cause.into() }
}
