//! A text as a list of results shows it: in pieces, some of them hits.

use std::ops::Range;

/// Characters of a text that a result shows.
const EXCERPT_CHARS: usize = 180;
/// Characters that it shows before the first hit.
const LEAD_CHARS: usize = 40;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says.
    pub text: String,
    /// Whether it is what was looked for.
    pub hit: bool,
}

/// A whole text; `hits` are ranges of its bytes, in order.
pub fn whole(text: &str, hits: &[Range<usize>]) -> Vec<Piece> {
    pieces(text, 0..text.len(), hits)
}

/// What stands around the first hit of a text, or else its beginning, in one line.
pub fn excerpt(text: &str, hits: &[Range<usize>]) -> Vec<Piece> {
    let first = hits.first().map_or(0, |hit| hit.start);
    let before = text.get(..first).unwrap_or_default();
    let mut start = before.char_indices().rev().take(LEAD_CHARS).last().map_or(first, |(at, _)| at);
    if start > 0 {
        // Not in the middle of a word, unless it has no end.
        let lead = text.get(start..first).unwrap_or_default();
        start += lead.find(char::is_whitespace).unwrap_or(0);
    }
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.char_indices().nth(EXCERPT_CHARS).map_or(text.len(), |(at, _)| start + at);
    let mut pieces = pieces(text, start..end, hits);
    if start > 0 {
        pieces.insert(0, Piece { text: "… ".to_owned(), hit: false });
    }
    if end < text.len() {
        pieces.push(Piece { text: " …".to_owned(), hit: false });
    }
    pieces
}

fn pieces(text: &str, shown: Range<usize>, hits: &[Range<usize>]) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut push = |range: Range<usize>, hit| {
        let text = in_one_line(text.get(range).unwrap_or_default());
        if !text.is_empty() {
            found.push(Piece { text, hit });
        }
    };
    let mut at = shown.start;
    for hit in hits.iter().filter(|hit| hit.start >= shown.start && hit.end <= shown.end) {
        push(at..hit.start, false);
        push(hit.clone(), true);
        at = hit.end;
    }
    push(at..shown.end, false);
    found
}

/// White space, of whatever kind and length, as single spaces.
fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !c.is_whitespace() => line.push(c),
            _ if line.ends_with(' ') => {}
            _ => line.push(' '),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::query::Query;

    fn shown(query: &str, text: &str) -> String {
        let pieces = excerpt(text, &Query::parse(query).marks(text));
        pieces.into_iter().map(|piece| if piece.hit { format!("[{}]", piece.text) } else { piece.text }).collect()
    }

    #[test]
    fn an_excerpt_shows_the_first_hit_and_what_stands_around_it() {
        assert_eq!(shown("tooth", "The\n\n tooth hurts."), "The [tooth] hurts.");
        assert_eq!(shown("nothing", "The tooth hurts."), "The tooth hurts.");
        let long = format!("{} the tooth hurts {}", "before ".repeat(50), "behind ".repeat(50));
        let text = shown("tooth hurts", &long);
        assert!(text.starts_with("…  before ") || text.starts_with("… before "), "{text}");
        assert!(text.contains(" the [tooth] [hurts] behind") && text.ends_with(" …"), "{text}");
        assert!(text.chars().count() < 200, "{text}");
        assert!(shown("é", &"é".repeat(5_000)).chars().count() < 200);
    }

    #[test]
    fn a_whole_text_is_shown_whole() {
        let pieces = whole("Tooth 14", &Query::parse("14").marks("Tooth 14"));
        assert_eq!(
            pieces,
            [Piece { text: "Tooth ".to_owned(), hit: false }, Piece { text: "14".to_owned(), hit: true }]
        );
        assert!(whole("", &[]).is_empty());
    }
}
