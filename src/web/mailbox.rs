//! Folders and their filters: Inbox, Sent, Drafts, Archive.

use minijinja::{Value, context};
use poem::web::Query;
use poem::{Response, Result, handler};
use serde::Deserialize;

use super::guard::Signed;
use super::page::value;
use super::when::Calendar;
use crate::domain::Error;
use crate::domain::filing::{Filter, Folder};
use crate::domain::folders::{Gone, Page, Row, RowTarget, SentStatus};
use crate::domain::sessions::initials;
use crate::words::said::{Said, say};

/// What of a folder is asked for, and where its page begins.
#[derive(Debug, Default, Deserialize)]
pub struct Place {
    filter: Option<String>,
    before: Option<String>,
}

/// `GET /inbox`.
#[handler]
pub async fn inbox(signed: Signed, place: Query<Place>) -> Result<Response> {
    show(&signed, Folder::Inbox, place.0).await
}

/// `GET /sent`.
#[handler]
pub async fn sent(signed: Signed, place: Query<Place>) -> Result<Response> {
    show(&signed, Folder::Sent, place.0).await
}

/// `GET /drafts`.
#[handler]
pub async fn drafts(signed: Signed, place: Query<Place>) -> Result<Response> {
    show(&signed, Folder::Drafts, place.0).await
}

/// `GET /archive`.
#[handler]
pub async fn archive(signed: Signed, place: Query<Place>) -> Result<Response> {
    show(&signed, Folder::Archive, place.0).await
}

/// A folder's name in addresses and templates, and its title.
pub fn folder_words(folder: Folder) -> (&'static str, Said) {
    match folder {
        Folder::Inbox => ("inbox", say!("Inbox")),
        Folder::Sent => ("sent", say!("Sent")),
        Folder::Drafts => ("drafts", say!("Drafts")),
        Folder::Archive => ("archive", say!("Archive")),
    }
}

/// A filter's name in addresses, and its words.
fn filter_words(filter: Filter) -> (&'static str, Said) {
    match filter {
        Filter::All => ("", say!("All")),
        Filter::Unread => ("unread", say!("Unread")),
        Filter::Starred => ("starred", say!("Starred")),
        Filter::Files => ("files", say!("With files")),
        Filter::NotOpened => ("not-opened", say!("Not opened yet")),
        Filter::Soon => ("soon", say!("Destroyed soon")),
    }
}

async fn show(signed: &Signed, folder: Folder, place: Place) -> Result<Response> {
    let wanted = place.filter.as_deref().unwrap_or_default();
    let filter = folder.filters().iter().copied().find(|filter| filter_words(*filter).0 == wanted);
    let filter = filter.ok_or(Error::NotFound)?;
    let (member, from) = (signed.member.clone(), place.before.clone());
    let page = signed.web().portal.run(move |portal| portal.folder(&member, folder, filter, from.as_deref())).await?;
    let (id, title) = folder_words(folder);
    let here = address(id, wanted, place.before.as_deref());
    let filters: Value = folder.filters().iter().map(|one| filter_line(id, *one, *one == filter)).collect();
    let own = context! {
        page => id, folder => id, title, filters, filter => wanted, here,
        rows => rows(signed, &page),
        older => page.older.as_deref().map(|cursor| address(id, wanted, Some(cursor))),
        newer => place.before.map(|_| address(id, wanted, None)),
    };
    signed.page("pages/folder.html", own)
}

fn filter_line(folder: &str, filter: Filter, current: bool) -> Value {
    let (id, text) = filter_words(filter);
    context! { id, text, current, url => address(folder, id, None) }
}

/// The address of a page of a list.
fn address(folder: &str, filter: &str, before: Option<&str>) -> String {
    let filter = Some(filter).filter(|filter| !filter.is_empty()).map(|filter| ("filter", filter));
    let pairs: Vec<_> = filter.into_iter().chain(before.map(|cursor| ("before", cursor))).collect();
    if pairs.is_empty() {
        return format!("/{folder}");
    }
    format!("/{folder}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// The lines of a page.
pub fn rows(signed: &Signed, page: &Page) -> Value {
    let calendar = signed.calendar();
    page.rows.iter().map(|row| line(row, &calendar)).collect()
}

fn line(row: &Row, calendar: &Calendar) -> Value {
    let (url, thread) = match row.to {
        RowTarget::Thread(id) => (format!("/threads/{id}"), Some(id.to_string())),
        RowTarget::Draft(id) => (format!("/compose?draft={id}"), None),
    };
    let (status, kind) = match &row.status {
        _ if row.gone.is_some() => (None, None),
        Some(SentStatus::NotOpened) => (Some(say!("Not opened yet")), Some("wait")),
        Some(SentStatus::Opened(at)) => (Some(say!("Opened {date}", date = calendar.in_words(*at))), Some("ok")),
        Some(SentStatus::Undelivered) => (Some(say!("Notice could not be delivered")), Some("bad")),
        None => (None, None),
    };
    context! {
        url,
        thread,
        people => row.people.join(", "),
        initials => row.people.first().map(|name| initials(name)),
        subject => row.subject.as_str(),
        damaged => row.damaged,
        snippet => row.snippet.as_str(),
        date => value(calendar.when(row.at)),
        files => row.files,
        unread => row.unread,
        starred => row.starred,
        expiry => value(row.expires.map(|at| calendar.expiry(at))),
        status,
        status_kind => kind,
        destroyed => row.gone.as_ref().map(|gone| gone_words(gone, calendar)),
    }
}

/// The line that remains of a destroyed message.
pub fn gone_words(gone: &Gone, calendar: &Calendar) -> Said {
    let said = if gone.recalled {
        say!("A message from {from} to {to}, sent {sent}, was recalled and destroyed on {date}.")
    } else {
        say!("A message from {from} to {to}, sent {sent}, was destroyed on {date}.")
    };
    said.with("from", &gone.from)
        .with("to", gone.to.join(", "))
        .with("sent", calendar.in_words(gone.sent))
        .with("date", calendar.in_words(gone.at))
}
