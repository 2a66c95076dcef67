//! Signing in and out, and how strong a password is.

use minijinja::context;
use poem::http::{HeaderMap, header};
use poem::web::Query;
use poem::{IntoResponse, Response, Result, handler};
use secrecy::SecretString;
use serde::Deserialize;

use super::body::Form;
use super::cookies::Cookie;
use super::guard::{Anyone, Signed};
use super::page::{Flash, FlashKind, json, local_path, value};
use super::setup::signed_in;
use crate::crypto::password::{PASSWORD_BYTES_MAX, judge};

/// What the sign-in page may be told in its address.
#[derive(Debug, Default, Deserialize)]
pub struct Arrival {
    #[serde(default)]
    next: String,
    #[serde(default)]
    idle: String,
    #[serde(default)]
    saved: String,
    #[serde(default)]
    locked: String,
}

/// `GET /sign-in`.
#[handler]
pub fn show(anyone: Anyone, arrival: Result<Query<Arrival>>) -> Result<Response> {
    let arrival = arrival.map(|Query(arrival)| arrival).unwrap_or_default();
    if anyone.me().is_some() {
        return Ok(anyone.go(local_path(&arrival.next)));
    }
    let say = |text: &'static str| value(Flash::of(FlashKind::Ok, text));
    let next = arrival.next.as_str();
    if arrival.locked == "1" {
        let text = "After five wrong passwords this account is locked, and you are signed out everywhere. The practice \
                    can unlock it.";
        let flash = value(Flash::of(FlashKind::Error, text));
        return anyone.page("pages/sign_in.html", context! { next, flash });
    }
    match (arrival.saved.as_str(), arrival.idle.as_str()) {
        ("1", _) => {
            let text = "You were signed out because nothing happened for a while. What you wrote is saved in Drafts.";
            anyone.page("pages/sign_in.html", context! { next, flash => say(text) })
        }
        (_, "1") => {
            let text = "You were signed out because nothing happened for a while. Please sign in again.";
            anyone.page("pages/sign_in.html", context! { next, flash => say(text) })
        }
        _ => anyone.page("pages/sign_in.html", context! { next }),
    }
}

/// `POST /sign-in`.
#[handler]
pub async fn enter(anyone: Anyone, headers: &HeaderMap, form: Form) -> Result<Response> {
    let web = anyone.web();
    web.limits.sign_in.check(anyone.group())?;
    web.limits.sign_in_account.check(form.get("email").trim().to_ascii_lowercase())?;
    let (email, agent) = (form.get("email").to_owned(), anyone.agent().to_owned());
    let password = SecretString::from(form.get("password"));
    match web.portal.run(move |portal| portal.sign_in(&email, &password, &agent)).await {
        Ok(session) => {
            // Nobody has the cookie of an earlier session in this browser any more.
            if let Some(earlier) = web.cookies.read(headers, Cookie::Session) {
                web.portal.sign_out(earlier);
            }
            let next = local_path(form.get("next"));
            Ok(signed_in(&anyone, &session, if next == "/" { "/inbox" } else { next }))
        }
        Err(error) => {
            web.metrics.sign_ins_refused.one();
            let next = form.get("next");
            anyone.refill("pages/sign_in.html", context! { next }, &form, error)
        }
    }
}

/// `POST /sign-out`: ends the session, and has the browser forget what it kept of us.
#[handler]
pub fn leave(signed: Signed) -> Response {
    signed.web().portal.sign_out(&signed.token);
    let mut response = signed.go("/sign-in");
    if let Some(cookie) = signed.web().cookies.clear(Cookie::Session) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert("clear-site-data", header::HeaderValue::from_static("\"cache\", \"storage\""));
    response
}

/// `GET /still-here`: a sign of life from a page that is in use.
#[handler]
pub fn still_here(_signed: Signed) -> Response {
    poem::http::StatusCode::NO_CONTENT.into_response()
}

/// `POST /password-strength`: what the judge would say.
#[handler]
pub async fn strength(anyone: Anyone, form: Form) -> Result<Response> {
    anyone.web().limits.strength.check(anyone.group())?;
    let practice = anyone.practice().to_owned();
    let said = anyone.web().portal.run(move |_| {
        let context: String = form.get("context").chars().take(PASSWORD_BYTES_MAX).collect();
        Ok(judge(form.get("password"), &[&context, &practice]))
    });
    let judgement = said.await?;
    let text = anyone.say(&judgement.text);
    json(&serde_json::json!({ "score": judgement.score, "ok": judgement.ok, "text": text }))
}
