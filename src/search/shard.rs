//! A shard: an index of a few messages' words, made once and never changed.
//!
//! One tantivy segment in memory, without stored fields: it gives identifiers and moments, never text. Its files, one
//! behind the other and padded to a size that says little, are what is sealed.

use std::ops::{Bound, Range};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tantivy::collector::TopDocs;
use tantivy::directory::{Directory, RamDirectory};
use tantivy::query::{
    AllQuery, BooleanQuery, InvertedIndexRangeQuery, Occur, PhrasePrefixQuery, PhraseQuery, RangeQuery, TermQuery,
};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::Compressor;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{DocAddress, Index, IndexSettings, ReloadPolicy, Searcher, TantivyDocument, Term};

use super::query::{Clause, Folder, Place, Query};
use super::{SearchError, words};
use crate::crypto::Plain;
use crate::crypto::secret::bytes;

/// What a message is found by.
#[derive(Clone, Default)]
pub struct Entry {
    /// Its identifier.
    pub id: [u8; 16],
    /// When it was sent, in milliseconds since 1970.
    pub sent: i64,
    /// Whether the mailbox's owner sent it.
    pub mine: bool,
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
    /// Name and address of its sender.
    pub from: String,
    /// Names and addresses of those it went to, one each.
    pub to: Vec<String>,
    /// Names of its files.
    pub files: Vec<String>,
}

impl Entry {
    /// Bytes of text in it.
    pub fn text_bytes(&self) -> usize {
        let texts = [&self.subject, &self.body, &self.from].into_iter().chain(&self.to).chain(&self.files);
        texts.map(String::len).sum()
    }
}

/// A message that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its identifier.
    pub id: [u8; 16],
    /// When it was sent, in milliseconds since 1970.
    pub sent: i64,
    /// How well it fits, more is better; zero where nobody asked.
    pub score: f32,
}

/// Which results come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// Those that fit best.
    Best,
}

/// Bytes in front of the files that say how many bytes they have.
const LENGTH_BYTES: usize = 8;
/// The smallest size of an index, in bytes.
const SIZE_MIN: usize = 4096;
/// Sizes between two powers of two: a size is told no more exactly than to an eighth.
const SIZE_STEPS: usize = 8;
/// Bytes of memory that the writer may take before it asks; it never does, for an index is made in one go.
const WRITER_BYTES: usize = 15_000_000;
/// Words with which a phrase may end whose last word was only begun.
const ENDINGS_MAX: u32 = 1000;
/// The name of our way of cutting words.
const CUTTER: &str = "words";

/// What an index keeps of a message.
struct Fields {
    schema: Schema,
    /// Subject, text, people and names of files together.
    words: Field,
    from: Field,
    to: Field,
    sent: Field,
    /// The identifier's halves: a column of numbers, as there are no stored fields.
    id: [Field; 2],
    with_files: Field,
    mine: Field,
}

impl Fields {
    fn new() -> Self {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(CUTTER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = TextOptions::default().set_indexing_options(indexing);
        let mut schema = Schema::builder();
        let (words, from, to) = (
            schema.add_text_field("words", text.clone()),
            schema.add_text_field("from", text.clone()),
            schema.add_text_field("to", text),
        );
        let sent = schema.add_i64_field("sent", FAST);
        let id = ["id high", "id low"].map(|half| schema.add_u64_field(half, FAST));
        let (with_files, mine) = (schema.add_bool_field("with files", INDEXED), schema.add_bool_field("mine", INDEXED));
        Self { schema: schema.build(), words, from, to, sent, id, with_files, mine }
    }

    fn document(&self, entry: &Entry) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        // Values of one field keep a distance, so that no phrase reaches from one into the next.
        let texts = [&entry.subject, &entry.body, &entry.from].into_iter().chain(&entry.to).chain(&entry.files);
        texts.for_each(|text| document.add_text(self.words, text));
        document.add_text(self.from, &entry.from);
        entry.to.iter().for_each(|to| document.add_text(self.to, to));
        document.add_i64(self.sent, entry.sent);
        let id = u128::from_be_bytes(entry.id);
        let [high, low] = self.id;
        document.add_u64(high, u64::try_from(id >> 64).unwrap_or_default());
        document.add_u64(low, u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default());
        document.add_bool(self.with_files, !entry.files.is_empty());
        document.add_bool(self.mine, entry.mine);
        document
    }

    fn query(&self, query: &Query, sent: &Range<i64>) -> Box<dyn tantivy::query::Query> {
        let mut parts: Vec<_> = query.clauses.iter().map(|clause| self.clause(clause)).collect();
        let flags = [
            query.with_files.then_some((self.with_files, true)),
            query.folder.map(|folder| (self.mine, folder == Folder::Sent)),
        ];
        for (field, value) in flags.into_iter().flatten() {
            parts.push(Box::new(TermQuery::new(Term::from_field_bool(field, value), IndexRecordOption::Basic)));
        }
        if *sent != ALWAYS {
            let at = |moment| Term::from_field_i64(self.sent, moment);
            parts.push(Box::new(RangeQuery::new(Bound::Included(at(sent.start)), Bound::Excluded(at(sent.end)))));
        }
        match parts.len() {
            0 => Box::new(AllQuery),
            1 => parts.remove(0),
            _ => Box::new(BooleanQuery::intersection(parts)),
        }
    }

    fn clause(&self, clause: &Clause) -> Box<dyn tantivy::query::Query> {
        let field = match clause.place {
            Place::Anywhere => self.words,
            Place::From => self.from,
            Place::To => self.to,
        };
        let terms: Vec<Term> = clause.words.iter().map(|word| Term::from_field_text(field, word)).collect();
        match (terms.as_slice(), clause.words.as_slice()) {
            ([term], [word]) if clause.open => {
                let beginning = Box::new(InvertedIndexRangeQuery::new(
                    Bound::Included(term.clone()),
                    // No word goes on with the last of all characters.
                    Bound::Excluded(Term::from_field_text(field, &format!("{word}{}", char::MAX))),
                ));
                let whole = Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs));
                Box::new(BooleanQuery::new(vec![(Occur::Must, beginning), (Occur::Should, whole)]))
            }
            ([term], _) => Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)),
            _ if clause.open => {
                let mut phrase = PhrasePrefixQuery::new(terms);
                phrase.set_max_expansions(ENDINGS_MAX);
                Box::new(phrase)
            }
            _ => Box::new(PhraseQuery::new(terms)),
        }
    }
}

/// The range of moments that leaves nothing out.
pub const ALWAYS: Range<i64> = i64::MIN..i64::MAX;

fn tokenizers() -> TokenizerManager {
    // The library's own cutters stay beside ours: it asks for one even where a field is a number.
    let tokenizers = TokenizerManager::default();
    tokenizers.register(CUTTER, words::analyzer());
    tokenizers
}

/// A file of an index.
#[derive(Serialize, Deserialize)]
struct File {
    name: String,
    #[serde(with = "bytes")]
    bytes: Vec<u8>,
}

/// Makes an index of these messages; to be sealed.
pub fn build(entries: &[Entry]) -> Result<Plain, SearchError> {
    let fault = SearchError::while_doing::<tantivy::TantivyError>;
    let fields = Fields::new();
    // No thread of its own, nothing to compress: there is no stored text.
    let settings = IndexSettings {
        docstore_compression: Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let memory = RamDirectory::create();
    let mut writer = Index::builder()
        .schema(fields.schema.clone())
        .settings(settings)
        .tokenizers(tokenizers())
        .single_segment_index_writer(memory.clone(), WRITER_BYTES)
        .map_err(fault("making it"))?;
    for entry in entries {
        writer.add_document(fields.document(entry)).map_err(fault("adding a message"))?;
    }
    let index = writer.finalize().map_err(fault("making it"))?;
    let mut names: Vec<_> = index.directory().list_managed_files().into_iter().collect();
    names.sort();
    let mut files = Vec::new();
    for name in names {
        // What the segment turned out not to need is named and not there.
        let Ok(file) = memory.open_read(&name) else { continue };
        let bytes = file.read_bytes().map_err(SearchError::while_doing("reading it"))?.to_vec();
        files.push(File { name: name.to_string_lossy().into_owned(), bytes });
    }
    let packed = rmp_serde::to_vec_named(&files).map_err(SearchError::while_doing("packing it"))?;
    Ok(Plain::new(padded(packed)))
}

/// The length, the bytes, and zeros up to the next size.
fn padded(packed: Vec<u8>) -> Vec<u8> {
    let length = packed.len() as u64;
    let mut bytes = Vec::with_capacity(size_of_padded(packed.len() + LENGTH_BYTES));
    bytes.extend(length.to_be_bytes());
    bytes.extend(packed);
    bytes.resize(size_of_padded(bytes.len()), 0);
    bytes
}

fn size_of_padded(bytes: usize) -> usize {
    let step = (bytes.max(SIZE_MIN).next_power_of_two() / SIZE_STEPS / 2).max(1);
    bytes.max(SIZE_MIN).next_multiple_of(step)
}

fn unpadded(plain: &Plain) -> Option<&[u8]> {
    let (length, rest) = plain.as_bytes().split_first_chunk::<LENGTH_BYTES>()?;
    rest.get(..usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

/// An index in memory, to be asked.
pub struct Shard {
    searcher: Searcher,
    fields: Fields,
    bytes: usize,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shard({} bytes)", self.bytes)
    }
}

impl Shard {
    /// Reads what [`build`] made.
    pub fn open(plain: &Plain) -> Result<Self, SearchError> {
        let fault = SearchError::while_doing::<tantivy::TantivyError>;
        let packed = unpadded(plain).ok_or(SearchError("its length is wrong"))?;
        let files: Vec<File> = rmp_serde::from_slice(packed).map_err(SearchError::while_doing("unpacking it"))?;
        let memory = RamDirectory::create();
        for file in files {
            memory.atomic_write(Path::new(&file.name), &file.bytes).map_err(SearchError::while_doing("reading it"))?;
        }
        let mut index = Index::open(memory).map_err(fault("opening it"))?;
        index.set_tokenizers(tokenizers());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
        let searcher = reader.map_err(fault("opening it"))?.searcher();
        Ok(Self { searcher, fields: Fields::new(), bytes: plain.as_bytes().len() })
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first `limit` messages, by `order`, that fit the query and were sent within `sent`.
    pub fn find(
        &self,
        query: &Query,
        sent: &Range<i64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Found>, SearchError> {
        let fault = SearchError::while_doing::<tantivy::TantivyError>;
        let asked = self.fields.query(query, sent);
        let first = TopDocs::with_limit(limit.max(1));
        let found: Vec<(f32, DocAddress)> = match order {
            Order::Newest => {
                let newest = first.order_by_fast_field::<i64>("sent", tantivy::Order::Desc);
                let found = self.searcher.search(&asked, &newest).map_err(fault("asking it"))?;
                found.into_iter().map(|(_, at)| (0.0, at)).collect()
            }
            Order::Best => self.searcher.search(&asked, &first.order_by_score()).map_err(fault("asking it"))?,
        };
        let columns = self.searcher.segment_readers().first().map(|segment| segment.fast_fields());
        let Some(columns) = columns else { return Ok(vec![]) };
        let (sent, high, low) = (columns.i64("sent"), columns.u64("id high"), columns.u64("id low"));
        let (sent, high, low) =
            (sent.map_err(fault("asking it"))?, high.map_err(fault("asking it"))?, low.map_err(fault("asking it"))?);
        let of = |(score, at): (f32, DocAddress)| {
            let id = u128::from(high.first(at.doc_id)?) << 64 | u128::from(low.first(at.doc_id)?);
            Some(Found { id: id.to_be_bytes(), sent: sent.first(at.doc_id)?, score })
        };
        Ok(found.into_iter().filter_map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, subject: &str, body: &str) -> Entry {
        Entry {
            id: [number; 16],
            sent: i64::from(number),
            subject: subject.to_owned(),
            body: body.to_owned(),
            from: "Dr Ann Rivers ann@riverside.example".to_owned(),
            to: vec!["Jörg Lee lee@hillside.example".to_owned()],
            ..Entry::default()
        }
    }

    fn shard() -> Shard {
        let with_file = Entry { files: vec!["x-ray_14.png".to_owned()], mine: true, ..entry(3, "Picture", "Look.") };
        let entries = [
            entry(1, "Root canal", "The patient's tooth 14 hurts. Antibiotics?"),
            entry(2, "Café", "A canal, a root: the señor comes on Tuesday, tooth tooth tooth."),
            with_file,
        ];
        Shard::open(&build(&entries).unwrap()).unwrap()
    }

    fn found(query: &str) -> Vec<u8> {
        let found = shard().find(&Query::parse(query), &ALWAYS, Order::Newest, 10).unwrap();
        found.into_iter().map(|found| found.id[15]).collect()
    }

    #[test]
    fn words_phrases_beginnings_people_and_files_are_found() {
        for (query, expected) in [
            ("tooth", &[2, 1][..]),
            ("TOOTH canal", &[2, 1]),
            ("\"root canal\"", &[1]),
            ("\"root can*\"", &[1]),
            ("root-can", &[1]),
            ("antibio", &[1]),
            ("antibio*", &[1]),
            ("antibio tuesday", &[]),
            ("cafe", &[2]),
            ("SENOR", &[2]),
            ("from:rivers", &[3, 2, 1]),
            ("from:lee", &[]),
            ("to:jorg tooth", &[2, 1]),
            ("to:lee@hillside.example", &[3, 2, 1]),
            ("ray", &[3]),
            ("x-ray_14.png", &[3]),
            ("has:attachment", &[3]),
            ("in:inbox", &[2, 1]),
            ("in:sent", &[3]),
            ("\"canal the\"", &[]),
            ("nothing", &[]),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
    }

    #[test]
    fn results_are_bounded_by_time_and_number_and_ordered() {
        let shard = shard();
        let ask = |query: &str, sent: Range<i64>, order, limit| -> Vec<u8> {
            let found = shard.find(&Query::parse(query), &sent, order, limit).unwrap();
            found.into_iter().map(|found| found.id[15]).collect()
        };
        assert_eq!(ask("", 2..3, Order::Newest, 10), [2]);
        assert_eq!(ask("", ALWAYS, Order::Newest, 2), [3, 2]);
        assert_eq!(ask("root", ALWAYS, Order::Best, 10).len(), 2);
        assert_eq!(ask("tooth", ALWAYS, Order::Best, 1), [2], "it says so three times");
    }

    #[test]
    fn an_index_says_little_by_its_size_and_nothing_when_damaged() {
        let sizes: Vec<usize> =
            (0..4).map(|n| build(&vec![entry(n, "a", "b"); n.into()]).unwrap().as_bytes().len()).collect();
        assert!(sizes.iter().all(|size| size % 256 == 0), "{sizes:?}");
        assert_eq!(size_of_padded(1), 4096);
        assert_eq!(size_of_padded(4097), 4608);
        assert_eq!(size_of_padded(1 << 20), 1 << 20);
        for bad in [vec![], vec![0; 7], vec![255; 100], vec![0; 100]] {
            assert!(Shard::open(&Plain::new(bad)).is_err());
        }
    }

    #[test]
    fn queries_of_any_shape_find_their_words_or_nothing() {
        let shard = shard();
        for odd in ["\"", "a* b* c*", "(root OR canal) AND NOT tooth", "/.*/", "words:root", "\u{0}", "[a TO z]"] {
            shard.find(&Query::parse(odd), &ALWAYS, Order::Best, 10).unwrap();
        }
        let long = "tooth ".repeat(2_000);
        assert_eq!(shard.find(&Query::parse(&long), &ALWAYS, Order::Newest, 10).unwrap().len(), 2);
    }
}
