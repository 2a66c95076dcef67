//! Pages: templates, the words in them, and the one-time messages on top of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use serde::Serialize;

use super::assets::{Assets, Ui};
use crate::words::Words;
use crate::words::said::Said;

/// One-time messages kept at most; beyond, the program forgets them all rather than grow.
const FLASHES_MAX: usize = 10_000;

/// Every template, compiled once.
pub struct Pages(Environment<'static>);

impl Pages {
    /// Compiles everything below `ui/` that is a template, mail too.
    pub fn new(assets: Arc<Assets>, words: &Arc<Words>) -> Result<Self, minijinja::Error> {
        let mut env = Environment::new();
        // Strict where tests run; in production a page with a gap is better than none.
        let strictness =
            if cfg!(debug_assertions) { UndefinedBehavior::SemiStrict } else { UndefinedBehavior::Lenient };
        env.set_undefined_behavior(strictness);
        words.teach(&mut env);
        // Our own addresses, of letters that mean nothing in HTML.
        env.add_function("asset", move |path: &str| match assets.url(path) {
            Some(url) => Ok(Value::from_safe_string(url)),
            None => Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("no asset {path}"))),
        });
        for path in Ui::iter().filter(|path| path.ends_with(".html") || path.ends_with(".txt")) {
            if let Some(file) = Ui::get(&path) {
                let text = String::from_utf8_lossy(&file.data).into_owned();
                env.add_template_owned(path.into_owned(), text)?;
            }
        }
        Ok(Self(env))
    }

    /// The text of one template, by its path below `ui/`.
    pub fn render(&self, name: &str, context: Value) -> Result<String, minijinja::Error> {
        self.0.get_template(name)?.render(context)
    }
}

/// Anything serializable, for a template.
pub fn value(it: impl Serialize) -> Value {
    Value::from(Serde(it))
}

/// A JSON answer.
pub fn json(it: &impl Serialize) -> poem::Result<Response> {
    let body = serde_json::to_string(it).map_err(super::internal)?;
    Ok(body.with_content_type("application/json").into_response())
}

/// To another page of ours, by GET.
pub fn see_other(path: &str) -> Response {
    StatusCode::SEE_OTHER.with_header(header::LOCATION, path).into_response()
}

/// One of our places with a query.
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{pairs}")
}

/// A place in our own pages that somebody else wrote down (`next`), or `/`: never another site.
pub fn local_path(given: &str) -> &str {
    let is_ours = given.starts_with('/')
        && !given.starts_with("//")
        && given.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { given } else { "/" }
}

/// A one-time message at the top of the next page.
#[derive(Clone, Debug, Serialize)]
pub struct Flash {
    /// Good news or bad.
    pub kind: FlashKind,
    /// The sentence.
    pub text: Said,
    /// How to take it back.
    pub undo: Option<Undo>,
}

/// A form that takes back what was done.
#[derive(Clone, Debug, Serialize)]
pub struct Undo {
    /// Where it goes.
    pub url: &'static str,
    /// Names and values of its fields.
    pub fields: Vec<(String, String)>,
}

impl Flash {
    /// A sentence alone.
    pub fn of(kind: FlashKind, text: impl Into<Said>) -> Self {
        Self { kind, text: text.into(), undo: None }
    }
}

/// Good news or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlashKind {
    /// It was done.
    Ok,
    /// It was not.
    Error,
}

/// One-time messages that wait, by the CSRF token of the browser that they are for. In memory only.
#[derive(Default)]
pub struct Flashes(Mutex<HashMap<String, Flash>>);

impl Flashes {
    /// Waits for the next page of this browser.
    pub fn put(&self, csrf: &str, flash: Flash) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= FLASHES_MAX {
            waiting.clear();
        }
        waiting.insert(csrf.to_owned(), flash);
    }

    /// Taken once.
    pub fn take(&self, csrf: &str) -> Option<Flash> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(csrf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, context: Value) -> Result<String, minijinja::Error> {
        let Pages(mut env) = Pages::new(Arc::new(Assets::collect()), &Arc::new(Words::default())).unwrap();
        env.add_template_owned("t.html", template.to_owned()).unwrap();
        env.get_template("t.html").unwrap().render(context)
    }

    #[test]
    fn a_page_may_overrule_the_base() {
        let (base, own) = (minijinja::context! { a => 1, b => 1 }, minijinja::context! { b => 2 });
        let both = minijinja::context! { ..own, ..base };
        assert_eq!(rendered("{{ a }}{{ b }}", both).unwrap(), "12");
    }

    #[test]
    fn next_stays_with_us() {
        assert_eq!(local_path("/threads/a?b=c#d"), "/threads/a?b=c#d");
        for bad in ["//evil.example", "https://evil.example", "/\\evil.example", "", "inbox", "/a\r\nb", "/\tb"] {
            assert_eq!(local_path(bad), "/", "{bad}");
        }
    }

    #[test]
    fn flashes_are_taken_once() {
        let flashes = Flashes::default();
        flashes.put("a", Flash::of(FlashKind::Ok, "Saved."));
        assert!(flashes.take("b").is_none());
        assert_eq!(flashes.take("a").unwrap().text, Said::from("Saved."));
        assert!(flashes.take("a").is_none());
    }
}
