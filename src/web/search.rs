//! Search: what is looked for, and the page of results.

use form_urlencoded::Serializer;
use minijinja::{Value, context};
use poem::web::Query;
use poem::{Response, Result, handler};
use serde::Deserialize;

use super::guard::Signed;
use super::page::value;
use super::when::Calendar;
use crate::domain::searching::{Hit, Order, RESULT_PAGES_MAX, Results};
use crate::domain::sessions::initials;
use crate::search::marks::Piece;
use crate::search::query::QUERY_CHARS_MAX;

/// What is asked, as it stands in the page's address.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

impl Asked {
    fn order(&self) -> Order {
        if self.sort == "best" { Order::Best } else { Order::Newest }
    }

    /// Counted from 1; whatever is no number is the first.
    fn page(&self) -> usize {
        self.page.parse().unwrap_or(1).clamp(1, RESULT_PAGES_MAX)
    }

    /// The address of the same question, with another order or page.
    fn url(&self, order: Order, page: usize) -> String {
        let path = String::from("/search?");
        let start = path.len();
        let mut query = Serializer::for_suffix(path, start);
        query.append_pair("q", &self.q);
        if order == Order::Best {
            query.append_pair("sort", "best");
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        query.finish()
    }
}

/// `GET /search`.
#[handler]
pub async fn show(signed: Signed, asked: Query<Asked>) -> Result<Response> {
    let Query(mut asked) = asked;
    asked.q = asked.q.trim().chars().take(QUERY_CHARS_MAX).collect();
    let (member, wanted) = (signed.member.clone(), asked.clone());
    let found = signed.web().portal.run(move |portal| portal.search(&member, &wanted.q, wanted.order(), wanted.page()));
    let results = found.await?;
    if results.to_read > 0 {
        signed.web().portal.read_on_behind(signed.member.clone());
    }
    let (order, page) = (asked.order(), asked.page());
    let on = results.more && page < RESULT_PAGES_MAX;
    signed.page(
        "pages/search.html",
        context! {
            page => "search",
            q => asked.q.as_str(),
            hits => hits(&signed, &results),
            to_read => results.to_read,
            best => order == Order::Best,
            newest_url => asked.url(Order::Newest, 1),
            best_url => asked.url(Order::Best, 1),
            again_url => asked.url(order, page),
            back_url => (page > 1).then(|| asked.url(order, page - 1)),
            on_url => on.then(|| asked.url(order, page + 1)),
        },
    )
}

fn hits(signed: &Signed, results: &Results) -> Value {
    let calendar = signed.calendar();
    results.hits.iter().map(|hit| line(hit, &calendar)).collect()
}

fn line(hit: &Hit, calendar: &Calendar) -> Value {
    context! {
        url => format!("/threads/{}#m-{}", hit.thread, hit.id),
        people => hit.people.join(", "),
        initials => hit.people.first().map(|name| initials(name)),
        subject => pieces(&hit.subject),
        excerpt => pieces(&hit.excerpt),
        file_names => hit.file_names.iter().map(|name| pieces(name)).collect::<Value>(),
        files => hit.files,
        date => value(calendar.when(hit.at)),
        unread => hit.unread,
        starred => hit.starred,
        expiry => value(calendar.expiry(hit.expires)),
    }
}

/// Text for a template to escape, and which of it to mark.
fn pieces(pieces: &[Piece]) -> Value {
    pieces.iter().map(|piece| context! { text => piece.text.as_str(), hit => piece.hit }).collect()
}
