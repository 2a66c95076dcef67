//! Registration: from the link in a notice, by the code that the practice reads out, to an account.
//!
//! The link's token moves into a cookie at once, so that it stands in no address afterwards. Opening the link changes
//! nothing, however often it is done and by whom.

use std::time::Duration;

use minijinja::{Value, context};
use poem::http::{HeaderMap, header};
use poem::web::Path;
use poem::{Response, Result, handler};
use secrecy::SecretString;

use super::body::Form;
use super::cookies::Cookie;
use super::guard::{Anyone, Asker};
use super::page::{FlashKind, value};
use super::setup::signed_in;
use super::when::Calendar;
use crate::domain::Error;
use crate::domain::accounts::{Details, Relationship};
use crate::domain::invites::{Gone, TERMS_VERSION, Visit};
use crate::domain::links::LINK_LIFE;

/// Separates link and ticket in the cookie: neither contains it.
const JOINT: char = '.';

/// What the invitation cookie holds: the link's token and, once the code was right, the ticket.
struct Held {
    link: String,
    ticket: String,
}

fn held(asker: &Asker, headers: &HeaderMap) -> Held {
    let cookie = asker.web().cookies.read(headers, Cookie::Invite).unwrap_or_default();
    let (link, ticket) = cookie.split_once(JOINT).unwrap_or((cookie, ""));
    Held { link: link.to_owned(), ticket: ticket.to_owned() }
}

/// Whether one more code or link may be asked for: tight for one invitation, loose for an address.
fn may_ask(asker: &Asker, link: &str) -> Result<(), Error> {
    let limits = &asker.web().limits;
    limits.code_send.check(asker.group()).and_then(|()| limits.code_send_invitation.check(link))
}

/// Whether one more code or password may be typed.
fn may_try(asker: &Asker, link: &str) -> Result<(), Error> {
    let limits = &asker.web().limits;
    limits.code.check(asker.group()).and_then(|()| limits.code_invitation.check(link))
}

fn with_cookie(asker: &Asker, token: &str, path: &str) -> Response {
    let mut response = asker.go(path);
    let keep = Duration::from_millis(u64::try_from(LINK_LIFE).unwrap_or_default());
    if let Some(cookie) = asker.web().cookies.set(Cookie::Invite, token, Some(keep)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn visit(asker: &Asker, link: String) -> Result<Result<Visit, Gone>, Error> {
    asker.web().portal.run(move |portal| portal.visit(&link)).await
}

async fn gone(asker: &Asker, link: String, why: Gone) -> Result<Response> {
    let from = asker.web().portal.run(move |portal| portal.link_sender(&link)).await?;
    let practice = asker.practice();
    let reason = match why {
        Gone::Expired => "expired",
        Gone::Used => "used",
        Gone::Unknown => "unknown",
        Gone::Asked => "asked",
    };
    let from = from.map(|name| context! { name, practice });
    asker.page("pages/register_gone.html", context! { reason, from, can_ask => why == Gone::Expired })
}

fn sender(asker: &Asker, visit: &Visit) -> Value {
    context! { name => visit.from.as_str(), practice => asker.practice() }
}

/// `GET /register/{token}`: the link of a notice.
#[handler]
pub async fn arrive(anyone: Anyone, Path(token): Path<String>) -> Result<Response> {
    match visit(&anyone, token.clone()).await? {
        Ok(_) => Ok(with_cookie(&anyone, &token, "/register/details")),
        Err(why) => {
            let mut response = gone(&anyone, token.clone(), why).await?;
            // The page can ask for a new link: it needs to know which one this was.
            if let Some(cookie) = anyone.web().cookies.set(Cookie::Invite, &token, None) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
    }
}

fn details_page(asker: &Asker, visit: &Visit) -> Value {
    let account = &visit.account;
    context! {
        from => sender(asker, visit),
        form => context! {
            first_name => account.first_name.as_str(), last_name => account.last_name.as_str(),
            office_phone => account.office_phone.as_str(), cell_phone => account.cell_phone.as_str(),
        },
        email => account.email.as_str(),
        channels => vec![context! { value => "read_out", text => "By phone from the practice" }],
        is_patient => account.relationship == Some(Relationship::Patient),
    }
}

/// `GET /register/details`: name and phones, to be confirmed.
#[handler]
pub async fn ask_details(anyone: Anyone, headers: &HeaderMap) -> Result<Response> {
    let link = held(&anyone, headers).link;
    match visit(&anyone, link.clone()).await? {
        Ok(visit) => anyone.page("pages/register_details.html", details_page(&anyone, &visit)),
        Err(why) => gone(&anyone, link, why).await,
    }
}

/// `POST /register/details`: keeps them and makes a code.
#[handler]
pub async fn details_given(anyone: Anyone, headers: &HeaderMap, form: Form) -> Result<Response> {
    let link = held(&anyone, headers).link;
    may_ask(&anyone, &link)?;
    let visit = match visit(&anyone, link.clone()).await? {
        Ok(visit) => visit,
        Err(why) => return gone(&anyone, link, why).await,
    };
    let details = Details {
        first_name: form.get("first_name").to_owned(),
        last_name: form.get("last_name").to_owned(),
        office_phone: form.get("office_phone").to_owned(),
        cell_phone: form.get("cell_phone").to_owned(),
    };
    match anyone.web().portal.run(move |portal| portal.send_code(&link, Some(details))).await {
        Ok(()) => Ok(anyone.go("/register/code")),
        Err(error) => anyone.refill("pages/register_details.html", details_page(&anyone, &visit), &form, error),
    }
}

fn code_page(asker: &Asker, visit: &Visit) -> Value {
    let calendar = Calendar::new(&visit.account.time_zone, asker.web().clock.now());
    let phone = [&visit.account.cell_phone, &visit.account.office_phone].into_iter().find(|phone| !phone.is_empty());
    context! {
        from => sender(asker, visit),
        tries_left => visit.tries_left,
        until => value(calendar.when(visit.code_until.unwrap_or(asker.web().clock.now()))),
        phone_hint => phone.map(|phone| hint(phone)),
    }
}

/// The end of a phone number, enough to recognise one's own.
fn hint(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    let end: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
    format!("…{end}")
}

/// `GET /register/code`: asks for the code.
#[handler]
pub async fn ask_code(anyone: Anyone, headers: &HeaderMap) -> Result<Response> {
    let link = held(&anyone, headers).link;
    match visit(&anyone, link.clone()).await? {
        Ok(visit) if visit.code_until.is_some() => anyone.page("pages/register_code.html", code_page(&anyone, &visit)),
        Ok(_) => Ok(anyone.go("/register/details")),
        Err(why) => gone(&anyone, link, why).await,
    }
}

/// `POST /register/code`: exchanges a right code for a ticket.
#[handler]
pub async fn code_given(anyone: Anyone, headers: &HeaderMap, form: Form) -> Result<Response> {
    let link = held(&anyone, headers).link;
    may_try(&anyone, &link)?;
    let (given, typed) = (link.clone(), form.get("code").to_owned());
    let error = match anyone.web().portal.run(move |portal| portal.enter_code(&given, &typed)).await {
        Ok(ticket) => return Ok(with_cookie(&anyone, &format!("{link}{JOINT}{ticket}"), "/register/account")),
        Err(error) => error,
    };
    match visit(&anyone, link.clone()).await? {
        Ok(visit) => anyone.refill("pages/register_code.html", code_page(&anyone, &visit), &form, error),
        Err(why) => gone(&anyone, link, why).await,
    }
}

/// `POST /register/resend`: a new code; the old one is void.
#[handler]
pub async fn resend(anyone: Anyone, headers: &HeaderMap) -> Result<Response> {
    let link = held(&anyone, headers).link;
    may_ask(&anyone, &link)?;
    match anyone.web().portal.run(move |portal| portal.send_code(&link, None)).await {
        Ok(()) => anyone.flash(FlashKind::Ok, "There is a new code. The old one is no longer good."),
        Err(Error::Invalid { message, .. }) => anyone.flash(FlashKind::Error, message),
        Err(Error::Expired) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(anyone.go("/register/code"))
}

fn account_page(email: &str) -> Value {
    context! { email, terms_version => TERMS_VERSION, terms_url => "/terms" }
}

/// `GET /register/account`: terms and password, for one with a ticket.
#[handler]
pub async fn ask_account(anyone: Anyone, headers: &HeaderMap) -> Result<Response> {
    let held = held(&anyone, headers);
    let checked = anyone.web().portal.run(move |portal| portal.check_ticket(&held.link, &held.ticket)).await;
    match checked {
        Ok(account) => anyone.page("pages/register_account.html", account_page(account.email.as_str())),
        Err(Error::Expired) => Ok(anyone.go("/register/details")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /register/account`: registers and signs in, on the message.
#[handler]
pub async fn register(anyone: Anyone, headers: &HeaderMap, form: Form) -> Result<Response> {
    let Held { link, ticket } = held(&anyone, headers);
    may_try(&anyone, &link)?;
    let checked = (link.clone(), ticket.clone());
    let account = match anyone.web().portal.run(move |portal| portal.check_ticket(&checked.0, &checked.1)).await {
        Ok(account) => account,
        Err(Error::Expired) => return Ok(anyone.go("/register/details")),
        Err(error) => return Err(error.into()),
    };
    let page = account_page(account.email.as_str());
    if form.get("terms").is_empty() {
        let error = Error::invalid("terms", "Please read the terms of use and agree to them.");
        return anyone.refill("pages/register_account.html", page, &form, error);
    }
    let (password, agent) = (SecretString::from(form.get("password")), anyone.agent().to_owned());
    let zone = form.get("time_zone").to_owned();
    let done = anyone.web().portal.run(move |portal| {
        let (session, message) = portal.register(&link, &ticket, &password, &zone, &agent)?;
        let thread = message.map(|message| portal.thread_of(&portal.member(&session)?, message)).transpose();
        // What led here may have been destroyed meanwhile: the inbox then.
        Ok((session, thread.unwrap_or_default()))
    });
    match done.await {
        Ok((session, thread)) => {
            let path = thread.map_or("/inbox".to_owned(), |thread| format!("/threads/{thread}"));
            let mut response = signed_in(&anyone, &session, &path);
            if let Some(cookie) = anyone.web().cookies.clear(Cookie::Invite) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => anyone.refill("pages/register_account.html", page, &form, error),
    }
}

/// `POST /register/ask`: asks the sender for a new link.
#[handler]
pub async fn ask(anyone: Anyone, headers: &HeaderMap) -> Result<Response> {
    let link = held(&anyone, headers).link;
    may_ask(&anyone, &link)?;
    let asked = link.clone();
    anyone.web().portal.run(move |portal| portal.ask_for_link(&asked)).await?;
    gone(&anyone, link, Gone::Asked).await
}
