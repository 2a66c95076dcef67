//! What is said to a person by code that does not know their language: the English text, which is the key of its
//! translations, with what stands in its placeholders. It becomes words where it is shown.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};
use serde::{Serialize, Serializer};

use super::Words;

/// A text for a person, not yet in their language. Made by [`say!`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    text: Cow<'static, str>,
    values: Vec<(&'static str, Part)>,
}

/// What stands in a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The same in every language: a number, a name.
    Text(String),
    /// A text of its own, such as the name of a month.
    Said(Said),
}

/// `say!("{n} more tries.", n = 3)`: a text and what its placeholders stand for.
macro_rules! say {
    ($text:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::words::said::Said::from($text)$(.with(stringify!($name), $value))*
    };
}
pub(crate) use say;

impl Said {
    /// A text that was kept: its English words are looked up like any other's.
    pub fn kept(text: String) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// What stands in one of its placeholders.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Part>) -> Self {
        self.values.push((name, value.into()));
        self
    }
}

impl Words {
    /// The text in this language, its placeholders filled.
    pub fn say(&self, language: &str, said: &Said) -> String {
        let value = |name: &str| {
            let (_, part) = said.values.iter().find(|(known, _)| *known == name)?;
            Some(match part {
                Part::Text(text) => text.clone(),
                Part::Said(said) => self.say(language, said),
            })
        };
        let filled = super::fill(self.look_up(language, &said.text), value);
        debug_assert!(filled.is_ok(), "{filled:?}");
        filled.unwrap_or_else(|_| said.text.clone().into_owned())
    }
}

impl From<&'static str> for Said {
    fn from(text: &'static str) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }
}

impl From<Said> for Part {
    fn from(said: Said) -> Self {
        Self::Said(said)
    }
}

macro_rules! same_everywhere {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Part {
            fn from(value: $kind) -> Self {
                Self::Text(value.to_string())
            }
        })*
    };
}

same_everywhere!(String, &str, &String, char, i8, i16, i32, i64, u8, u32, u64, usize);

/// In English.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Words::default().say("en", self))
    }
}

/// For templates a value that the page's language decides on; elsewhere the English words.
impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::from(self.clone()).serialize(serializer)
    }
}

impl From<Said> for Value {
    fn from(said: Said) -> Self {
        Self::from_object(said)
    }
}

impl Object for Said {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::{Environment, context};

    fn words() -> Arc<Words> {
        let mut words = Words::default();
        words.add("de.json", r#"{"{n} of {what}": "von {what}: {n}", "files": "Dateien"}"#.as_bytes()).unwrap();
        Arc::new(words)
    }

    #[test]
    fn it_is_said_in_the_readers_language() {
        let said = say!("{n} of {what}", n = 1, what = say!("files"));
        assert_eq!(said.to_string(), "1 of files");
        assert_eq!(words().say("de", &said), "von Dateien: 1");
        assert_eq!(words().say("fr", &said), "1 of files");
        assert_eq!(words().say("de", &Said::kept("files".into())), "Dateien");
    }

    #[test]
    fn templates_show_it_in_theirs() {
        #[derive(Serialize)]
        struct Row {
            said: Said,
        }
        let mut env = Environment::new();
        words().teach(&mut env);
        let page = "{{ row.said }}|{% if row.said %}{{ _('{n} of {what}', n='<i>', what=row.said) }}{% endif %}";
        env.add_template("t.html", page).unwrap();
        let row = minijinja::value::Serde(Row { said: say!("files") });
        let shown = env.get_template("t.html").unwrap().render(context! { row, lang => "de" }).unwrap();
        assert_eq!(shown, "Dateien|von Dateien: &lt;i&gt;");
        assert_eq!(serde_json::to_string(&say!("files")).unwrap(), "\"files\"");
    }
}
