//! Who asks. A handler names in its arguments what it needs: [`Anyone`], [`Signed`], [`Manager`], [`Admin`],
//! [`Upload`]. The value carries the domain's capability, so a handler that names too little does not compile.
//!
//! Whichever it names, a request that changes something has been checked for its CSRF token before the handler runs.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use minijinja::{Value, context};
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::web::RemoteAddr;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response, Result};

use super::body::{self, Form, Part, Parts};
use super::client::Client;
use super::cookies::Cookie;
use super::page::{self, Flash, FlashKind, value};
use super::refusal::Refusal;
use super::when::Calendar;
use super::{Web, csrf, internal};
use crate::crypto::random;
use crate::domain::Error;
use crate::domain::sessions::{self, Me, Member};
use crate::words::said::Said;

/// Characters kept of what a browser calls itself.
const AGENT_CHARS_MAX: usize = 200;
/// Where an administrator may go who has not confirmed the recovery kit yet.
const KIT_PATHS: [&str; 6] = ["/setup/kit", "/setup/kit/confirm", "/sign-out", "/still-here", "/events", "/terms"];
/// Bytes of the first part of an upload, the CSRF token.
const TOKEN_BYTES_MAX: usize = 128;

/// What the pages need to know of whoever asks.
pub struct Asker {
    web: Arc<Web>,
    /// Where they come from.
    pub client: Client,
    csrf: String,
    me: Option<Me>,
    practice: String,
    agent: String,
    language: String,
    visit: Option<String>,
    cookie: Option<HeaderValue>,
}

/// Somebody who is perhaps not signed in.
pub struct Anyone(Asker);

/// Somebody who is signed in.
pub struct Signed {
    /// What they may do.
    pub member: Member,
    /// The token of their session cookie, by which the domain opens their keys.
    pub token: String,
    me: Me,
    asker: Asker,
}

/// Somebody who is signed in and a User Manager.
pub struct Manager {
    /// What they may do besides.
    pub manager: sessions::Manager,
    signed: Signed,
}

/// Somebody who is signed in and an administrator.
pub struct Admin {
    /// What they may do besides.
    pub admin: sessions::Admin,
    signed: Signed,
}

/// Somebody who is signed in and sends a multipart form, whose CSRF part has been checked and taken.
pub struct Upload {
    /// Who it is.
    pub signed: Signed,
    /// The parts that follow.
    pub parts: Parts,
}

impl Deref for Anyone {
    type Target = Asker;
    fn deref(&self) -> &Asker {
        &self.0
    }
}

impl Deref for Signed {
    type Target = Asker;
    fn deref(&self) -> &Asker {
        &self.asker
    }
}

impl Deref for Manager {
    type Target = Signed;
    fn deref(&self) -> &Signed {
        &self.signed
    }
}

impl Deref for Admin {
    type Target = Signed;
    fn deref(&self) -> &Signed {
        &self.signed
    }
}

impl Signed {
    /// What every page shows of them.
    pub fn me_signed(&self) -> &Me {
        &self.me
    }

    /// Dates as they read them.
    pub fn calendar(&self) -> Calendar {
        Calendar::new(&self.me.time_zone, self.web().clock.now())
    }
}

impl Asker {
    /// What every handler may reach.
    pub fn web(&self) -> &Arc<Web> {
        &self.web
    }

    /// What a rate limit counts as one client.
    pub fn group(&self) -> IpAddr {
        self.client.group()
    }

    /// Whether somebody is signed in, for pages that are open to all.
    pub fn me(&self) -> Option<&Me> {
        self.me.as_ref()
    }

    /// Name of the host practice; empty before set-up.
    pub fn practice(&self) -> &str {
        &self.practice
    }

    /// What the browser calls itself.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// A sentence in their language, for a script to show; templates say theirs by themselves.
    pub fn say(&self, said: &Said) -> String {
        self.web.words.say(&self.language, said)
    }

    /// The token of the visit cookie, to tie to this browser what is not yet an account.
    pub fn visit(&self) -> Option<&str> {
        self.visit.as_deref()
    }

    /// A page, from its template below `ui/` and what it needs beyond the base.
    pub fn page(&self, name: &str, own: Value) -> Result<Response> {
        let html = self.web.pages.render(name, context! { ..own, ..self.base() }).map_err(internal)?;
        let mut response = html.with_content_type("text/html; charset=utf-8").into_response();
        if let Some(cookie) = &self.cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        Ok(response)
    }

    /// The page of a form that was refused: filled in as it was, with the fault beside its field. What is no fault of
    /// a field stays the error it is.
    pub fn refill(&self, name: &str, own: Value, form: &Form, error: Error) -> Result<Response> {
        let Error::Invalid { field, message } = error else { return Err(error.into()) };
        let errors = Value::from_pairs([(field, Value::from(message))]);
        let typed = Value::from_pairs(form.kept());
        let mut response = self.page(name, context! { ..context! { errors, form => typed }, ..own })?;
        response.set_status(StatusCode::UNPROCESSABLE_ENTITY);
        Ok(response)
    }

    /// A sentence at the top of their next page.
    pub fn flash(&self, kind: FlashKind, text: impl Into<Said>) {
        self.flash_with(Flash::of(kind, text));
    }

    /// The same with a way to take it back.
    pub fn flash_with(&self, flash: Flash) {
        self.web.flashes.put(&self.csrf, flash);
    }

    /// To another page of ours.
    pub fn go(&self, path: &str) -> Response {
        page::see_other(path)
    }

    /// The part of the context that every page has.
    fn base(&self) -> Value {
        let flash = self.web.flashes.take(&self.csrf);
        base(&self.web, &self.language, &self.csrf, self.me.as_ref(), &self.practice, flash)
    }

    /// The base of the error page. Whatever fails here is left out: there is an error to be told already.
    pub(super) async fn for_failure(web: &Web, headers: &HeaderMap) -> Value {
        let token = web.cookies.read(headers, Cookie::Session).map(str::to_owned);
        let csrf = token.as_deref().map(|token| web.csrf.token(token)).unwrap_or_default();
        let (me, practice) = match standing(web, headers, token).await {
            Ok((session, practice)) => (session.map(|(_, me)| me), practice),
            Err(_) => (None, String::new()),
        };
        base(web, &web.language(headers), &csrf, me.as_ref(), &practice, None)
    }
}

fn base(web: &Web, lang: &str, csrf: &str, me: Option<&Me>, practice: &str, flash: Option<Flash>) -> Value {
    let nothing = Value::from_pairs(std::iter::empty::<(&str, &str)>());
    context! {
        lang, csrf, practice, me => value(me), flash => value(flash), page => "",
        errors => nothing.clone(), form => nothing, demo => web.config.demo,
    }
}

/// What a page asks by itself says so in this header: it is no sign that somebody is there.
const UNSEEN: &str = "x-unseen";

/// Whose session this is, if anybody's still, and the name of the practice.
async fn standing(
    web: &Web,
    headers: &HeaderMap,
    token: Option<String>,
) -> Result<(Option<(Member, Me)>, String), Error> {
    let is_unseen = headers.contains_key(UNSEEN);
    web.portal
        .run(move |portal| {
            let member = |token: String| if is_unseen { portal.member_unseen(&token) } else { portal.member(&token) };
            let session = match token.map(member) {
                Some(Ok(member)) => {
                    let me = portal.me(&member)?;
                    Some((member, me))
                }
                Some(Err(fault @ (Error::Internal { .. } | Error::Full))) => return Err(fault),
                Some(Err(_)) | None => None,
            };
            Ok((session, portal.practice()?.map(|practice| practice.name).unwrap_or_default()))
        })
        .await
}

fn web_of(req: &Request) -> Result<Arc<Web>> {
    req.data::<Arc<Web>>().cloned().ok_or_else(|| internal("the front did not hand on its data").into())
}

fn client_of(web: &Web, req: &Request) -> Result<Client> {
    let RemoteAddr(peer) = req.remote_addr();
    let peer = peer.as_socket_addr().ok_or_else(|| internal("the peer has no address"))?;
    Ok(Client::of(peer.ip(), req.headers(), &web.config.trusted_proxies))
}

impl Signed {
    /// Without the CSRF check, which the callers make, each in its way.
    async fn of(req: &Request) -> Result<Self> {
        let web = web_of(req)?;
        let next = (!csrf::is_unsafe(req.method())).then(|| req.uri().path_and_query().map(ToString::to_string));
        let next = next.flatten();
        let Some(token) = web.cookies.read(req.headers(), Cookie::Session).map(str::to_owned) else {
            return Err(Refusal::SignIn { next, was_signed_in: false }.into());
        };
        let (session, practice) = standing(&web, req.headers(), Some(token.clone())).await?;
        let Some((member, me)) = session else { return Err(Refusal::SignIn { next, was_signed_in: true }.into()) };
        if member.kit_missing() && !KIT_PATHS.contains(&req.uri().path()) {
            return Err(Refusal::KitFirst.into());
        }
        let asker = Asker {
            client: client_of(&web, req)?,
            csrf: web.csrf.token(&token),
            me: Some(me.clone()),
            agent: agent_of(req),
            language: web.language(req.headers()),
            practice,
            visit: None,
            cookie: None,
            web,
        };
        Ok(Self { member, token, me, asker })
    }
}

impl<'a> FromRequest<'a> for Signed {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let signed = Self::of(req).await?;
        csrf::check_token(req, body, &[&signed.csrf], body::SIGNED_FORM_BYTES_MAX).await?;
        Ok(signed)
    }
}

impl<'a> FromRequest<'a> for Manager {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let signed = Signed::from_request(req, body).await?;
        let manager = signed.member.manager().map_err(|_| Error::NotFound)?;
        Ok(Self { manager, signed })
    }
}

impl<'a> FromRequest<'a> for Admin {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let signed = Signed::from_request(req, body).await?;
        let admin = signed.member.admin().map_err(|_| Error::NotFound)?;
        Ok(Self { admin, signed })
    }
}

/// A multipart form of somebody whose session has ended while they were writing it, its CSRF part checked.
pub struct LateUpload {
    /// What every handler may reach.
    pub web: Arc<Web>,
    /// The token of the session that has ended.
    pub token: String,
    /// The parts that follow.
    pub parts: Parts,
}

impl Upload {
    /// Like the extractor, but lets a form in whose session has just ended, to be saved.
    pub async fn from_request_or_late(req: &Request, body: &mut RequestBody) -> Result<Result<Self, LateUpload>> {
        let refused = match Signed::of(req).await {
            Ok(signed) => return Self::open(signed, req, body).await.map(Ok),
            Err(error) => error,
        };
        let web = web_of(req)?;
        let was_signed_in = matches!(refused.downcast_ref(), Some(Refusal::SignIn { was_signed_in: true, .. }));
        let token = web.cookies.read(req.headers(), Cookie::Session).map(str::to_owned);
        let Some(token) = token.filter(|_| was_signed_in) else { return Err(refused) };
        let mut parts = Parts::new(req, body.take().map_err(|_| Refusal::Broken)?, body::UPLOAD_BYTES_MAX)?;
        check_first(&mut parts, req, &web.csrf.token(&token)).await?;
        Ok(Err(LateUpload { web, token, parts }))
    }

    async fn open(signed: Signed, req: &Request, body: &mut RequestBody) -> Result<Self> {
        let mut parts = Parts::new(req, body.take().map_err(|_| Refusal::Broken)?, body::UPLOAD_BYTES_MAX)?;
        check_first(&mut parts, req, &signed.csrf).await?;
        Ok(Self { signed, parts })
    }
}

/// The token stands in the header or in the first part.
async fn check_first(parts: &mut Parts, req: &Request, csrf: &str) -> Result<(), Refusal> {
    match req.header(csrf::HEADER) {
        Some(given) => csrf::matching(given, &[csrf]),
        None => match parts.next().await? {
            Some(part) => csrf::matching(&token_in(part).await?, &[csrf]),
            None => Err(Refusal::Forged),
        },
    }
}

impl<'a> FromRequest<'a> for Upload {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        Self::open(Signed::of(req).await?, req, body).await
    }
}

/// The token must come first, so that nothing of a forged upload is taken in.
async fn token_in(part: Part) -> Result<String, Refusal> {
    if part.name() == body::CSRF_FIELD { part.text(TOKEN_BYTES_MAX).await } else { Err(Refusal::Forged) }
}

impl<'a> FromRequest<'a> for Anyone {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let web = web_of(req)?;
        let known = |cookie| web.cookies.read(req.headers(), cookie).map(str::to_owned);
        let (session_token, visit) = (known(Cookie::Session), known(Cookie::Visit));
        let (session, practice) = standing(&web, req.headers(), session_token.clone()).await?;
        let me = session.map(|(_, me)| me);
        let signed = session_token.filter(|_| me.is_some()).map(|token| web.csrf.token(&token));
        let known = visit.as_deref().map(|visit| web.csrf.token(visit));
        let tokens: Vec<&str> = [&signed, &known].into_iter().flatten().map(String::as_str).collect();
        csrf::check_token(req, body, &tokens, body::STRANGER_FORM_BYTES_MAX).await?;
        let (visit, cookie) = match visit {
            Some(visit) => (visit, None),
            None => new_visit(&web),
        };
        let csrf = signed.or(known).unwrap_or_else(|| web.csrf.token(&visit));
        let client = client_of(&web, req)?;
        Ok(Self(Asker {
            client,
            csrf,
            me,
            practice,
            agent: agent_of(req),
            language: web.language(req.headers()),
            visit: Some(visit),
            cookie,
            web,
        }))
    }
}

fn agent_of(req: &Request) -> String {
    req.header(header::USER_AGENT).unwrap_or_default().chars().take(AGENT_CHARS_MAX).collect()
}

/// A fresh visit token and the header that keeps it.
fn new_visit(web: &Web) -> (String, Option<HeaderValue>) {
    let visit = data_encoding::BASE64URL_NOPAD.encode(&random::<32>());
    let cookie = web.cookies.set(Cookie::Visit, &visit, None);
    (visit, cookie)
}
