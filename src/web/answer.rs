//! Refusals and faults, mapped in one place to a page or, for scripts, to JSON.
//!
//! "Not yours" is the same as "not there". Only faults of ours are logged, here, once, with the reference number that
//! the person is shown.

use std::time::Duration;

use minijinja::context;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{IntoResponse, Response};

use super::guard::Asker;
use super::refusal::Refusal;
use super::{Web, csrf};
use crate::crypto::random;
use crate::domain::Error;
use crate::store::chain;
use crate::words::said::{Said, say};

/// What is kept of a request in order to answer its failure.
pub struct Question {
    /// How it asked.
    pub method: Method,
    /// The first piece of the path: all of it that may be logged, because links carry tokens.
    pub room: String,
    /// Its headers.
    pub headers: HeaderMap,
}

impl Question {
    /// Whether a script asked, and wants JSON, or a person, who wants a page.
    fn is_script(&self) -> bool {
        let says = |name: header::HeaderName| self.headers.get(name).and_then(|value| value.to_str().ok());
        let accept = says(header::ACCEPT).unwrap_or_default();
        let fetched = self.headers.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
        let scripted = fetched || self.headers.contains_key(csrf::HEADER) || accept.contains("application/json");
        scripted && !accept.contains("text/html")
    }
}

/// What is said: a status and sentences, and for a script one word.
struct Answer {
    word: &'static str,
    title: Said,
    text: Said,
}

fn answer(word: &'static str, title: &'static str, text: impl Into<Said>) -> Answer {
    Answer { word, title: title.into(), text: text.into() }
}

/// The answer to a request that failed.
pub async fn failed(web: &Web, question: &Question, error: poem::Error) -> Response {
    let status = error.status();
    let retry = retry_after(&error);
    if let Some(Refusal::SignIn { next, was_signed_in }) = error.downcast_ref()
        && !question.is_script()
    {
        return sign_in_first(next.as_deref(), *was_signed_in);
    }
    if matches!(error.downcast_ref(), Some(Refusal::KitFirst)) {
        return super::page::see_other("/setup/kit");
    }
    let reference = status.is_server_error().then(|| logged(web, question, &error));
    let said = said(&error, status, retry);
    let mut response = if question.is_script() {
        let field = match error.downcast_ref::<Error>() {
            Some(Error::Invalid { field, .. }) => Some(*field),
            _ => None,
        };
        let body = serde_json::json!({
            "error": said.word, "message": web.words.say(&web.language(&question.headers), &said.text), "field": field, "reference": reference,
        });
        body.to_string().with_content_type("application/json").into_response()
    } else {
        page(web, question, status, &said, reference.as_deref()).await
    };
    response.set_status(status);
    if let Some(wait) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, wait.into());
        web.metrics.limited.one();
    }
    if let Some(Refusal::Method { allow }) = error.downcast_ref()
        && let Ok(allow) = HeaderValue::from_str(allow)
    {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if matches!(error.downcast_ref(), Some(Refusal::TusVersion)) {
        response.headers_mut().insert("tus-version", HeaderValue::from_static(super::uploads::TUS_VERSION));
    }
    if status == StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whole seconds to wait, at least one.
fn retry_after(error: &poem::Error) -> Option<u64> {
    match error.downcast_ref() {
        Some(Error::Limited { retry_after }) => Some((*retry_after + Duration::from_millis(999)).as_secs().max(1)),
        _ => None,
    }
}

fn said(error: &poem::Error, status: StatusCode, retry: Option<u64>) -> Answer {
    match (error.downcast_ref::<Error>(), error.downcast_ref::<Refusal>()) {
        (Some(Error::Invalid { message, .. }), _) => answer("invalid", "That cannot be taken", message.clone()),
        (_, Some(Refusal::SignIn { .. })) => answer("signed_out", "You are signed out", "Please sign in again."),
        (_, Some(Refusal::Forged)) => answer(
            "forged",
            "Please try once more",
            "The page was open for too long or came from somewhere else, so nothing was changed. Open it again and \
             repeat what you did.",
        ),
        (_, Some(Refusal::Unreadable(text))) => answer("unreadable", "That could not be read", *text),
        _ => by_status(status, retry),
    }
}

fn by_status(status: StatusCode, retry: Option<u64>) -> Answer {
    match status {
        StatusCode::NOT_FOUND => answer(
            "not_found",
            "Nothing here",
            "There is nothing here, or it is not yours to see, or it was destroyed on its date.",
        ),
        StatusCode::FORBIDDEN => answer("denied", "Not allowed", "You are not allowed to do this."),
        StatusCode::METHOD_NOT_ALLOWED => answer("method", "Not like this", "This address does not take that request."),
        StatusCode::CONFLICT => answer(
            "conflict",
            "Changed in the meantime",
            "This was changed in another window in the meantime. Open it again to see how it is now.",
        ),
        StatusCode::GONE => answer("expired", "Expired", "The time for this is over."),
        StatusCode::PAYLOAD_TOO_LARGE => answer(
            "too_large",
            "Too large",
            "That is more than fits into one message (100 MB of attachments in total). Nothing that was saved before \
             is lost.",
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            let wait = retry.unwrap_or(1);
            answer("limited", "Too many tries", say!("Please wait {seconds} seconds and try again.", seconds = wait))
        }
        StatusCode::REQUEST_TIMEOUT => answer("stalled", "The connection stalled", "Nothing arrived for a minute."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            answer("media_type", "Not like this", "This kind of content is not taken here.")
        }
        StatusCode::INSUFFICIENT_STORAGE => answer(
            "full",
            "The server's disk is full",
            "Nothing that was saved is lost, but nothing new can be saved until somebody makes room. Please tell the \
             practice that runs this server, and try again later.",
        ),
        status if status.is_client_error() => {
            answer("unreadable", "That could not be read", "The request is not well-formed.")
        }
        _ => answer("internal", "Something went wrong here", "Nothing that was saved is lost. Please try again."),
    }
}

/// To the sign-in page, and back from there.
fn sign_in_first(next: Option<&str>, was_signed_in: bool) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    if was_signed_in {
        query.append_pair("idle", "1");
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    super::page::see_other(&format!("/sign-in{mark}{query}"))
}

async fn page(web: &Web, question: &Question, status: StatusCode, said: &Answer, reference: Option<&str>) -> Response {
    let asker = Asker::for_failure(web, &question.headers).await;
    let context = context! {
        status => status.as_u16(), title => said.title.clone(), text => said.text.clone(), reference, next => "/", page => "",
    };
    let html = web.pages.render("pages/error.html", minijinja::context! { ..context, ..asker });
    html.unwrap_or_else(|fault| {
        tracing::error!(%fault, "the error page itself failed");
        plain(said, reference)
    })
    .with_content_type("text/html; charset=utf-8")
    .into_response()
}

/// The error page of last resort: fixed sentences, no template.
fn plain(said: &Answer, reference: Option<&str>) -> String {
    let reference = reference.map(|number| format!("<p>Reference {number}</p>")).unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><h1>{0}</h1>{reference}\
         <p><a href=\"/\">Start again</a></p></html>",
        said.title
    )
}

/// Logs a fault of ours and gives it a number.
fn logged(web: &Web, question: &Question, error: &poem::Error) -> String {
    let reference = data_encoding::HEXLOWER.encode(&random::<4>());
    let cause = match error.downcast_ref() {
        Some(Error::Internal { cause }) => chain(cause.as_ref()),
        _ => error.to_string(),
    };
    web.metrics.faults.one();
    tracing::error!(reference, method = %question.method, room = question.room, cause, "a request failed");
    reference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(headers: &[(&'static str, &str)]) -> Question {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Question { method: Method::POST, room: "compose".into(), headers: map }
    }

    #[test]
    fn scripts_and_people_are_told_apart() {
        assert!(!question(&[]).is_script());
        assert!(!question(&[("accept", "text/html,application/xhtml+xml")]).is_script());
        assert!(!question(&[("accept", "text/html"), ("sec-fetch-mode", "navigate")]).is_script());
        assert!(!question(&[("accept", "*/*"), ("sec-fetch-mode", "navigate")]).is_script());
        assert!(question(&[("accept", "application/json")]).is_script());
        assert!(question(&[("accept", "*/*"), ("sec-fetch-mode", "cors")]).is_script());
        assert!(question(&[("x-csrf-token", "t")]).is_script());
    }

    #[test]
    fn the_way_to_sign_in_leads_back() {
        let to = |next, was| sign_in_first(next, was).headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(to(None, false), "/sign-in");
        assert_eq!(to(Some("/threads/a?b=c"), true), "/sign-in?next=%2Fthreads%2Fa%3Fb%3Dc&idle=1");
    }

    #[test]
    fn waiting_is_told_in_whole_seconds() {
        let wait = |millis| retry_after(&Error::Limited { retry_after: Duration::from_millis(millis) }.into());
        assert_eq!((wait(0), wait(1), wait(1000), wait(1001)), (Some(1), Some(1), Some(1), Some(2)));
        assert_eq!(retry_after(&Error::NotFound.into()), None);
    }
}
