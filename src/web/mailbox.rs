//! Folders: Inbox, Sent, Drafts.

use minijinja::{Value, context};
use poem::web::Query;
use poem::{Response, Result, handler};
use serde::Deserialize;

use super::guard::Signed;
use super::page::value;
use super::when::Calendar;
use crate::domain::filing::Folder;
use crate::domain::folders::{Gone, Page, Row, RowTarget, SentStatus};
use crate::domain::sessions::initials;
use crate::words::said::{Said, say};

/// Where a page of a folder begins.
#[derive(Debug, Default, Deserialize)]
pub struct Cursor {
    before: Option<String>,
}

/// `GET /inbox`.
#[handler]
pub async fn inbox(signed: Signed, cursor: Query<Cursor>) -> Result<Response> {
    show(&signed, Folder::Inbox, "inbox", say!("Inbox"), cursor.0.before).await
}

/// `GET /sent`.
#[handler]
pub async fn sent(signed: Signed, cursor: Query<Cursor>) -> Result<Response> {
    show(&signed, Folder::Sent, "sent", say!("Sent"), cursor.0.before).await
}

/// `GET /drafts`.
#[handler]
pub async fn drafts(signed: Signed, cursor: Query<Cursor>) -> Result<Response> {
    show(&signed, Folder::Drafts, "drafts", say!("Drafts"), cursor.0.before).await
}

async fn show(signed: &Signed, folder: Folder, id: &str, title: Said, before: Option<String>) -> Result<Response> {
    let (member, from) = (signed.member.clone(), before.clone());
    let page = signed.web().portal.run(move |portal| portal.folder(&member, folder, from.as_deref())).await?;
    let older = page.older.as_ref().map(|cursor| format!("/{id}?before={cursor}"));
    let newer = before.map(|_| format!("/{id}"));
    let rows = rows(signed, &page);
    signed.page("pages/folder.html", context! { page => id, folder => id, title, rows, older, newer })
}

/// The lines of a page.
pub fn rows(signed: &Signed, page: &Page) -> Value {
    let calendar = signed.calendar();
    page.rows.iter().map(|row| line(row, &calendar)).collect()
}

fn line(row: &Row, calendar: &Calendar) -> Value {
    let url = match row.to {
        RowTarget::Thread(id) => format!("/threads/{id}"),
        RowTarget::Draft(id) => format!("/compose?draft={id}"),
    };
    let (status, kind) = match &row.status {
        Some(SentStatus::NotOpened) => (Some(say!("Not opened yet")), Some("wait")),
        Some(SentStatus::Opened(at)) => (Some(say!("Opened {date}", date = calendar.in_words(*at))), Some("ok")),
        Some(SentStatus::Undelivered) => (Some(say!("Notice could not be delivered")), Some("bad")),
        None => (None, None),
    };
    context! {
        url,
        people => row.people.join(", "),
        initials => row.people.first().map(|name| initials(name)),
        subject => row.subject.as_str(),
        damaged => row.damaged,
        snippet => row.snippet.as_str(),
        date => value(calendar.when(row.at)),
        files => row.files,
        unread => row.unread,
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
