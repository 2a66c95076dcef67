//! Words: what `_("…")` in a template says. The English text is the key; a language is one file in `ui/locales/`.
//!
//! Placeholders in braces are filled after looking up, so that a translation may order them as its grammar wants.

pub mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, State, Value, escape_formatter};
use rust_embed::RustEmbed;
use said::Said;

/// The language of the keys.
pub const ENGLISH: &str = "en";

#[derive(RustEmbed)]
#[folder = "ui/locales/"]
struct Locales;

/// Why the words are of no use. Found at start, never while a page is made.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    /// A language file is no flat object of texts.
    #[error("The translation {file} cannot be read: {source}.")]
    Unreadable {
        /// Its name.
        file: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A translation lost, invented or broke a placeholder.
    #[error("The translation {file} has other placeholders than the English text: {text}")]
    Placeholders {
        /// Its name.
        file: String,
        /// The English text.
        text: String,
    },
}

/// Every language that there is, by its code.
#[derive(Debug, Default)]
pub struct Words(BTreeMap<String, BTreeMap<String, String>>);

impl Words {
    /// Reads and checks every language file that is embedded.
    pub fn collect() -> Result<Self, WordsError> {
        let mut words = Self::default();
        for file in Locales::iter().filter(|file| file.ends_with(".json")) {
            if let Some(content) = Locales::get(&file) {
                words.add(&file, &content.data)?;
            }
        }
        Ok(words)
    }

    fn add(&mut self, file: &str, content: &[u8]) -> Result<(), WordsError> {
        let texts: BTreeMap<String, String> = serde_json::from_slice(content)
            .map_err(|source| WordsError::Unreadable { file: file.to_owned(), source })?;
        if let Some(text) = texts.iter().find(|(text, said)| placeholders(text) != placeholders(said)) {
            return Err(WordsError::Placeholders { file: file.to_owned(), text: text.0.clone() });
        }
        self.0.insert(file.trim_end_matches(".json").to_owned(), texts);
        Ok(())
    }

    /// The text in this language, its placeholders still open; the English one where there is no translation.
    pub fn look_up<'a>(&'a self, language: &str, text: &'a str) -> &'a str {
        self.0.get(language).and_then(|texts| texts.get(text)).map_or(text, String::as_str)
    }

    /// A value as it stands within a text.
    fn plain(&self, language: &str, value: &Value) -> String {
        value.downcast_object_ref::<Said>().map_or_else(|| value.to_string(), |said| self.say(language, said))
    }

    /// The first language that a reader asks for and that there is, by what their browser says (`Accept-Language`,
    /// RFC 9110, section 12.5.4); English when there is none.
    pub fn choose(&self, accepted: &str) -> &str {
        let weight = |range: &str| range.split_once(";q=").map_or(1.0, |(_, q)| q.trim().parse().unwrap_or(0.0));
        let mut wanted: Vec<(f32, &str)> = accepted
            .split(',')
            .map(|range| (weight(range), range.split([';', '-']).next().unwrap_or_default().trim()))
            .filter(|(weight, _)| *weight > 0.0)
            .collect();
        // Stable: of equal weight, the one that was named first.
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let known = |language: &str| match self.0.get_key_value(&language.to_ascii_lowercase()) {
            Some((code, _)) => Some(code.as_str()),
            None => language.eq_ignore_ascii_case(ENGLISH).then_some(ENGLISH),
        };
        wanted.into_iter().find_map(|(_, language)| known(language)).unwrap_or(ENGLISH)
    }

    /// Gives templates `_("Hello {name}", name=…)`, in the language that their context calls `lang`. A placeholder
    /// without a value and a value without a placeholder are errors; the result is escaped as any other value. What
    /// code has [`Said`] is shown in that language as well.
    pub fn teach(self: &Arc<Self>, env: &mut Environment<'_>) {
        let words = Arc::clone(self);
        env.set_formatter(move |out, state, value| match value.downcast_object_ref::<Said>() {
            Some(said) => escape_formatter(out, state, &words.say(&language_of(state), said).into()),
            None => escape_formatter(out, state, value),
        });
        let words = Arc::clone(self);
        env.add_function("_", move |state: &State<'_, '_>, text: &str, values: Kwargs| {
            let language = &language_of(state);
            if values.args().next().is_none() {
                // Nothing to fill in: a text for a script of the page, which does that itself.
                return Ok(words.look_up(language, text).to_owned());
            }
            let value = |name: &str| values.get::<Value>(name).ok().map(|value| words.plain(language, &value));
            let said = fill(words.look_up(language, text), value);
            let said = said.map_err(|fault| minijinja::Error::new(ErrorKind::InvalidOperation, fault.to_string()))?;
            values.assert_all_used()?;
            Ok(said)
        });
    }
}

/// The language that a template's context names.
fn language_of(state: &State<'_, '_>) -> String {
    state.lookup("lang").as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A text whose placeholders cannot be filled: a mistake of whoever wrote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// A brace is opened and not closed.
    #[error("a placeholder has no end in: {0}")]
    Open(String),
    /// Nothing was given for a placeholder.
    #[error("there is no value for {{{0}}}")]
    Missing(String),
}

/// Puts values into the places marked `{name}`. Values are taken as they are; braces in them mean nothing.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, FillError> {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| FillError::Open(text.to_owned()))?;
        said.push_str(before);
        said.push_str(&value(name).ok_or_else(|| FillError::Missing(name.to_owned()))?);
        rest = after;
    }
    said.push_str(rest);
    Ok(said)
}

/// The names in braces; none when a brace stays open.
fn placeholders(text: &str) -> Option<BTreeSet<String>> {
    let names = std::cell::RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        names.borrow_mut().insert(name.to_owned());
        Some(String::new())
    };
    fill(text, note).ok().map(|_| names.take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn said(words: Words, name: &'static str, template: &'static str, context: Value) -> Result<String, String> {
        let mut env = Environment::new();
        Arc::new(words).teach(&mut env);
        env.add_template(name, template).unwrap();
        env.get_template(name).unwrap().render(context).map_err(|fault| fault.to_string())
    }

    #[test]
    fn placeholders_are_filled() {
        let english = |template| said(Words::default(), "t.txt", template, context! { name => "A {n} & B" });
        assert_eq!(english("{{ _('Hello {name}', name=name) }}").unwrap(), "Hello A {n} & B");
        assert_eq!(english("{{ _('Save {n} of {n}', n=2) }}").unwrap(), "Save 2 of 2");
        assert_eq!(english("{{ _('{a}{b}', a='1', b='2') }}").unwrap(), "12");
        assert_eq!(english("{{ _('{n} files') }}").unwrap(), "{n} files", "for a script of the page to fill in");
        assert!(english("{{ _('{n} of {m}', n=1) }}").unwrap_err().contains("{m}"));
        assert!(english("{{ _('Hello {name', name=name) }}").unwrap_err().contains("no end"));
        assert!(english("{{ _('Hello', name=1) }}").is_err());
    }

    #[test]
    fn values_are_escaped_in_pages_and_not_in_text() {
        let template = "{{ _('Hello {name}', name=name) }}";
        let context = || context! { name => "<b>" };
        assert_eq!(said(Words::default(), "t.html", template, context()).unwrap(), "Hello &lt;b&gt;");
        assert_eq!(said(Words::default(), "t.txt", template, context()).unwrap(), "Hello <b>");
    }

    #[test]
    fn a_language_is_found_by_its_code_and_english_is_never_missing() {
        let words = || {
            let mut words = Words::default();
            words.add("de.json", "{\"{n} of {m}\": \"von {m}: {n}\"}".as_bytes()).unwrap();
            words
        };
        let template = "{{ _('{n} of {m}', n=1, m=2) }}, {{ _('Save') }}";
        assert_eq!(said(words(), "t.txt", template, context! { lang => "de" }).unwrap(), "von 2: 1, Save");
        assert_eq!(said(words(), "t.txt", template, context! { lang => "fr" }).unwrap(), "1 of 2, Save");
        assert_eq!(said(words(), "t.txt", template, context! {}).unwrap(), "1 of 2, Save");
    }

    #[test]
    fn the_browser_says_which_language() {
        let mut words = Words::default();
        words.add("es.json", b"{}").unwrap();
        for (accepted, chosen) in [
            ("", "en"),
            ("es-MX,es;q=0.9,en;q=0.5", "es"),
            ("fr, ES;q=0.3, en;q=0.8", "en"),
            ("fr;q=1, es;q=0", "en"),
            ("fr,es;q=x", "en"),
            ("*", "en"),
        ] {
            assert_eq!(words.choose(accepted), chosen, "{accepted}");
        }
    }

    #[test]
    fn a_translation_keeps_the_placeholders() {
        let add = |content: &str| Words::default().add("de.json", content.as_bytes()).map_err(|f| f.to_string());
        assert!(add("{\"{n} files\": \"{n} Dateien\"}").is_ok());
        for bad in ["{\"{n} files\": \"Dateien\"}", "{\"files\": \"{n} Dateien\"}", "{\"{n} files\": \"{n Dateien\"}"] {
            assert!(add(bad).unwrap_err().contains("placeholders"), "{bad}");
        }
        assert!(add("[]").unwrap_err().contains("de.json"));
    }

    #[test]
    fn the_embedded_languages_are_whole() {
        Words::collect().unwrap();
    }
}
