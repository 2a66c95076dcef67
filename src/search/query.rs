//! What a person types, taken apart: words, phrases, beginnings of words, filters. Whatever is no filter of ours is
//! words, so nothing that can be typed is an error.

use std::ops::Range;

use jiff::civil::Date;

use super::words::words;

/// Characters of a query that are looked at.
pub const QUERY_CHARS_MAX: usize = 10_000;
/// Words, phrases and filters of a query that are looked at.
pub const QUERY_PARTS_MAX: usize = 32;
/// Letters from which on the last word of a query is also taken for the beginning of one.
const BEGINNING_CHARS_MIN: usize = 2;

/// A query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) clauses: Vec<Clause>,
    /// Whether there must be a file.
    pub(super) with_files: bool,
    /// In which folder it stands.
    pub folder: Option<Folder>,
    /// Sent before this day.
    pub before: Option<Date>,
    /// Sent on this day or later.
    pub after: Option<Date>,
    /// In a conversation with something unread.
    pub unread: bool,
    /// In a conversation with a star.
    pub starred: bool,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Received, and not put away.
    Inbox,
    /// Sent.
    Sent,
    /// Received and put away.
    Archive,
}

/// Words that must stand one after the other in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub place: Place,
    /// Folded; never empty.
    pub words: Vec<String>,
    /// Whether the last of them may go on.
    pub open: bool,
}

/// Where a clause looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    From,
    To,
}

/// What stands between two spaces, or in quotes.
struct Part<'q> {
    filter: Option<&'static str>,
    /// With its filter, as it was typed.
    whole: &'q str,
    value: &'q str,
    quoted: bool,
}

/// The filters, as they are typed.
const FILTERS: [&str; 7] = ["from:", "to:", "has:", "before:", "after:", "is:", "in:"];

impl Query {
    /// Takes apart what was typed. Never fails: an unbalanced quote or an unknown filter is text like any other.
    pub fn parse(text: &str) -> Self {
        let text: String =
            text.chars().take(QUERY_CHARS_MAX).map(|c| if "“”„«»".contains(c) { '"' } else { c }).collect();
        let mut query = Self::default();
        let mut rest = text.trim();
        for _ in 0..QUERY_PARTS_MAX {
            if rest.is_empty() {
                break;
            }
            let (part, after) = next_part(rest);
            rest = after.trim_start();
            query.add(&part, rest.is_empty());
        }
        query
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, part: &Part<'_>, is_last: bool) {
        let value = part.value.to_lowercase();
        let place = match (part.filter, value.as_str()) {
            (Some("from:"), _) => Place::From,
            (Some("to:"), _) => Place::To,
            (Some("has:"), "attachment" | "attachments" | "file" | "files") => return self.with_files = true,
            (Some("is:"), "unread") => return self.unread = true,
            (Some("is:"), "starred") => return self.starred = true,
            (Some("in:"), "inbox") => return self.folder = Some(Folder::Inbox),
            (Some("in:"), "sent") => return self.folder = Some(Folder::Sent),
            (Some("in:"), "archive") => return self.folder = Some(Folder::Archive),
            (Some(filter @ ("before:" | "after:")), day) => match day.parse() {
                Ok(day) if filter == "before:" => return self.before = Some(day),
                Ok(day) => return self.after = Some(day),
                Err(_) => Place::Anywhere,
            },
            _ => Place::Anywhere,
        };
        let text = if place == Place::Anywhere && part.filter.is_some() { part.whole } else { part.value };
        let words: Vec<String> = words(text).into_iter().map(|word| word.folded).collect();
        let Some(last) = words.last() else { return };
        let goes_on = is_last && !part.quoted && last.chars().count() >= BEGINNING_CHARS_MIN;
        let open = goes_on || part.value.ends_with('*');
        self.clauses.push(Clause { place, words, open });
    }

    /// Where a text shows what was looked for: ranges of its bytes, in order and apart from each other.
    pub fn marks(&self, text: &str) -> Vec<Range<usize>> {
        let found = words(text);
        let mut is_hit = vec![false; found.len()];
        for clause in self.clauses.iter().filter(|clause| clause.place == Place::Anywhere) {
            for (start, window) in found.windows(clause.words.len()).enumerate() {
                if clause.fits(window.iter().map(|word| word.folded.as_str())) {
                    is_hit.iter_mut().skip(start).take(window.len()).for_each(|hit| *hit = true);
                }
            }
        }
        found.into_iter().zip(is_hit).filter(|(_, hit)| *hit).map(|(word, _)| word.at).collect()
    }
}

impl Clause {
    /// Whether these words, as many as its own, are what it looks for.
    fn fits<'w>(&self, found: impl Iterator<Item = &'w str>) -> bool {
        let last = self.words.len() - 1;
        self.words.iter().zip(found).enumerate().all(|(at, (wanted, word))| {
            if self.open && at == last { word.starts_with(wanted.as_str()) } else { word == wanted }
        })
    }
}

/// The first part of a text that begins with it, and what follows.
fn next_part(text: &str) -> (Part<'_>, &str) {
    let starts = |filter: &&&str| text.get(..filter.len()).is_some_and(|start| start.eq_ignore_ascii_case(filter));
    let filter = FILTERS.iter().find(starts).copied();
    let from = filter.map_or(0, str::len);
    let value = text.get(from..).unwrap_or_default();
    let quoted = value.strip_prefix('"').and_then(|inner| Some((inner, inner.find('"')?)));
    let (value, end, quoted) = match quoted {
        Some((inner, length)) => (inner.get(..length), from + length + 2, true),
        None => {
            let length = value.find(char::is_whitespace).unwrap_or(value.len());
            (value.get(..length), from + length, false)
        }
    };
    let (whole, after) = text.split_at_checked(end).unwrap_or((text, ""));
    (Part { filter, whole, value: value.unwrap_or_default(), quoted }, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(place: Place, words: &[&str], open: bool) -> Clause {
        Clause { place, words: words.iter().map(|word| (*word).to_owned()).collect(), open }
    }

    fn clauses(text: &str) -> Vec<Clause> {
        Query::parse(text).clauses
    }

    #[test]
    fn words_phrases_and_beginnings_are_told_apart() {
        use Place::Anywhere;
        let expected = [
            clause(Anywhere, &["root", "canal"], false),
            clause(Anywhere, &["senor"], false),
            clause(Anywhere, &["ant"], true),
            clause(Anywhere, &["x", "ray"], true),
        ];
        assert_eq!(clauses(" \"Root canal\"  Señor ant* x-ray "), expected);
        assert_eq!(clauses("a"), [clause(Anywhere, &["a"], false)], "one letter is not the beginning of everything");
        assert_eq!(clauses("“root canal”"), [clause(Anywhere, &["root", "canal"], false)]);
    }

    #[test]
    fn filters_are_known_and_everything_else_is_words() {
        let query = Query::parse("FROM:ann@a.example to:\"Dr Lee\" has:attachment is:unread in:sent before:2026-12-01");
        assert_eq!(
            query.clauses,
            [clause(Place::From, &["ann", "a", "example"], false), clause(Place::To, &["dr", "lee"], false)]
        );
        assert!(query.with_files && query.unread && query.folder == Some(Folder::Sent));
        assert_eq!(query.before, Some(jiff::civil::date(2026, 12, 1)));
        for (text, words) in [
            ("before:soon", &["before", "soon"][..]),
            ("has:teeth", &["has", "teeth"]),
            ("in:trouble", &["in", "trouble"]),
            ("is:", &["is"]),
            ("http://a.example", &["http", "a", "example"]),
        ] {
            assert_eq!(clauses(text), [clause(Place::Anywhere, words, true)], "{text}");
        }
    }

    #[test]
    fn whatever_is_typed_is_harmless() {
        for nothing in ["", "  ", "\"", "\"\"", "***", "from:", "(((", "\\", "to:\"\"", "\u{301}"] {
            assert!(Query::parse(nothing).is_empty(), "{nothing:?}");
        }
        assert_eq!(clauses("\"root can"), clauses("root can"), "an unbalanced quote");
        assert_eq!(clauses("a.*b[c-d]+ x"), clauses("\"a b c d\" x"), "a regular expression");
        for long in ["a ".repeat(5_000), "\"".repeat(10_000), "from:\"".repeat(2_000), "é*".repeat(20_000)] {
            assert!(Query::parse(&long).clauses.len() <= QUERY_PARTS_MAX);
        }
    }

    #[test]
    fn hits_are_marked_where_they_stand() {
        let marked = |query: &str, text: &str| -> Vec<String> {
            Query::parse(query).marks(text).into_iter().map(|at| text[at].to_owned()).collect()
        };
        assert_eq!(marked("cafe", "A café, a CAFE\u{301}teria"), ["café", "CAFE\u{301}teria"]);
        assert_eq!(marked("\"root canal\"", "the canal, a root, a Root-Canal"), ["Root", "Canal"]);
        assert!(marked("from:ann has:file", "ann has a file").is_empty());
        assert!(marked("a b c", "").is_empty());
    }
}
