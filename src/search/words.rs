//! Words: how text is cut and folded, the same for what is kept and for what is looked for.

use std::ops::Range;

use tantivy::tokenizer::{AsciiFoldingFilter, LowerCaser, TextAnalyzer, Token, TokenStream, Tokenizer};

/// Characters of a word that count; what is longer is found by its beginning.
pub(super) const WORD_CHARS_MAX: usize = 64;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// In small letters without accents.
    pub folded: String,
    /// Its bytes in the text.
    pub at: Range<usize>,
}

/// Cuts and folds: letters and digits make words, in whatever way an accent is written.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Cutter::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build()
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut found = Vec::new();
    stream.process(&mut |token: &Token| {
        found.push(Word { folded: token.text.clone(), at: token.offset_from..token.offset_to });
    });
    found
}

#[derive(Clone, Default)]
struct Cutter {
    token: Token,
}

struct Cut<'a> {
    text: &'a str,
    /// Everything before this byte is cut.
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Cutter {
    type TokenStream<'a> = Cut<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Cut<'a> {
        self.token.reset();
        Cut { text, at: 0, token: &mut self.token }
    }
}

/// An accent that stands as a character of its own behind its letter.
fn is_accent(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

impl TokenStream for Cut<'_> {
    fn advance(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(start) = rest.find(char::is_alphanumeric) else { return false };
        let word = rest.get(start..).unwrap_or_default();
        let length = word.find(|c: char| !c.is_alphanumeric() && !is_accent(c)).unwrap_or(word.len());
        self.token.offset_from = self.at + start;
        self.token.offset_to = self.token.offset_from + length;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        let letters = word.get(..length).unwrap_or_default().chars().filter(|c| !is_accent(*c));
        self.token.text.extend(letters.take(WORD_CHARS_MAX));
        self.at = self.token.offset_to;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.folded).collect()
    }

    #[test]
    fn case_and_accents_are_folded_however_they_are_written() {
        assert_eq!(
            folded("Señor CAFÉ cafe\u{301} Zürich Straße Łódź"),
            ["senor", "cafe", "cafe", "zurich", "strasse", "lodz"]
        );
        assert_eq!(folded("x-ray_14.pdf, ann@example.org"), ["x", "ray", "14", "pdf", "ann", "example", "org"]);
        assert_eq!(folded("Зуб 歯 ζ"), ["зуб", "歯", "ζ"]);
        assert!(folded(" .,:;\u{301}\"'*").is_empty());
    }

    #[test]
    fn a_word_knows_its_place_and_its_length_is_bounded() {
        let text = "a cafe\u{301}!";
        assert_eq!(text.get(words(text)[1].at.clone()), Some("cafe\u{301}"));
        let long = "é".repeat(10_000);
        let word = &words(&long)[0];
        assert_eq!((word.folded.len(), word.at.len()), (WORD_CHARS_MAX, long.len()));
    }
}
