//! The shape of the house, held by reading the sources as text: the order of the rooms, who may name which crate, the
//! size of things, what a page may contain, what a log may say. Each rule is a function from sources to faults; each
//! is shown at the end of this file to catch the fault it is there for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Lines of code in one file: neither blank, nor comment, nor test.
const FILE_LINES_MAX: usize = 500;
/// Lines of code in one function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 60;

/// The rooms and their floors: a file may name rooms on lower floors, and its own.
const FLOORS: &[(&str, u8)] = &[
    ("config", 0),
    ("metrics", 0),
    ("words", 0),
    ("crypto", 1),
    ("store", 2),
    ("search", 2),
    ("gateway", 2),
    ("domain", 3),
    ("web", 4),
    ("serve", 5),
    ("demo", 6),
    ("main", 7),
];

/// What only some rooms may name: a path, the rooms that may, why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("poem", &["web", "serve"], "poem stays inside web/ and serve.rs, so that it can be replaced"),
    ("tokio::net", &["gateway", "web", "serve"], "sockets are opened by the gateways and by serve.rs"),
    ("redb", &["store"], "store/ is the seam for a second engine"),
    ("lettre", &["gateway"], "mail leaves through gateway/"),
    ("tantivy", &["search"], "indexes are made and asked in search/, in memory"),
    ("age", &["crypto"], CRYPTO),
    ("age_core", &["crypto"], CRYPTO),
    ("argon2", &["crypto"], CRYPTO),
    ("chacha20poly1305", &["crypto"], CRYPTO),
    ("ed25519_dalek", &["crypto"], CRYPTO),
    ("hkdf", &["crypto"], CRYPTO),
    ("hmac", &["crypto"], CRYPTO),
    ("sha2", &["crypto"], CRYPTO),
    ("subtle", &["crypto"], CRYPTO),
    ("getrandom", &["crypto"], CRYPTO),
    ("bip39", &["crypto"], CRYPTO),
    ("bech32", &["crypto"], CRYPTO),
];
const CRYPTO: &str = "ciphers, hashes and random numbers are handled in crypto/ only";

/// Files that hold a room's parts together, as a parent module does: what they name does not close a circle.
const HUBS: &[(&str, &str)] = &[("domain::portal", "the open parts: it holds what the other files are about")];

/// Permissions, made in `domain/sessions.rs` alone and asked for by every operation: a proof that is handed in, so that
/// naming its type does not close a circle.
const PROOFS: &[&str] = &["Visitor", "Member", "Manager", "Admin"];

/// Functions that are one list and read best whole: file, function, why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[("src/web/routes.rs", "all", "every route on one screen")];

/// What a log line may not take as a value: contents, secrets, and what names a person.
const NEVER_LOGGED: &[&str] =
    &["expose_secret", "password", "passphrase", "secret", "token", "cookie", "subject", "email", "file_name"];

/// Markup that the server makes itself, escaped at its source; only these may be inserted with `|safe`.
const SAFE_MARKUP: &[&str] = &["body_html", "text_html", "qr_svg"];

/// Ways for a script to turn text into markup or code.
const SCRIPT_TRAPS: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "setAttribute(\"style",
];

/// Marks of unfinished work. Written in halves, here and below, so that this file does not catch itself.
const UNFINISHED: &[&str] =
    &[concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("FIX", "ME"), concat!("X", "XX")];

/// What belongs to the machine that somebody works on, not to the project.
const MACHINE_MARKS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("registry.", "npmjs"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("files.", "pythonhosted"),
    concat!("pypi", ".org"),
    concat!("deb.", "debian.org"),
];

/// Documents whose paths must lead somewhere, and the folders whose paths are looked up.
const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md"];
const DOCUMENTED: &[&str] = &["src/", "tests/", "ui/", "assets/", "packaging/", "systemd/", "benches/", "fuzz/"];

/// One file, as it stands and as code.
struct Source {
    /// Relative to the root of the repository.
    path: String,
    text: String,
    /// Of the same length as `text`, with comments, contents of strings and test code blanked; Rust only.
    code: String,
}

/// Where, and what is wrong.
#[derive(Debug)]
struct Fault {
    path: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { without_tests(&code_only(text)) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    fn fault(&self, offset: usize, reason: impl Into<String>) -> Fault {
        let line = self.text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() + 1;
        Fault { path: self.path.clone(), line, reason: reason.into() }
    }

    /// `["store", "commit"]` for `src/store/commit.rs`, `["store"]` for `src/store/mod.rs`.
    fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| *part != "mod").map(str::to_owned).collect()
    }

    /// A module of the program: in `src/`, neither the map nor a file of tests.
    fn is_module(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("src/")
            && name.ends_with(".rs")
            && self.path != "src/lib.rs"
            && !name.ends_with("tests.rs")
    }
}

// ---- reading Rust as text ----

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
}

/// The text with comments and the contents of strings and characters blanked, byte for byte of the same length.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let free = at == 0 || !is_word(bytes[at - 1]);
        let (length, quoted) = if rest.starts_with(b"//") {
            (rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with(b"/*") {
            (block_comment(rest), false)
        } else if let Some(length) = raw_string(rest).filter(|_| free) {
            (length, true)
        } else if rest[0] == b'"' {
            (string(rest), true)
        } else if let Some(length) = character(rest) {
            (length, true)
        } else {
            at += 1;
            continue;
        };
        let (from, to) = if quoted { (at + 1, at + length - 1) } else { (at, at + length) };
        blank(&mut out[from..to.max(from)]);
        at += length;
    }
    String::from_utf8(out).expect("whole characters are blanked")
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = [&b"br"[..], b"cr", b"r"].into_iter().find(|p| rest.starts_with(p))?.len();
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let end = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let body = prefix + hashes + 1;
    let length = rest[body..].windows(end.len()).position(|w| w == end);
    Some(length.map_or(rest.len(), |l| body + l + end.len()))
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of a character literal; none for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        return rest.get(3..)?.iter().position(|b| *b == b'\'').map(|l| l + 4);
    }
    let width = std::str::from_utf8(&rest[1..rest.len().min(5)]).map_or_else(
        |e| std::str::from_utf8(&rest[1..1 + e.valid_up_to()]).unwrap_or_default().chars().next(),
        |s| s.chars().next(),
    )?;
    (rest.get(1 + width.len_utf8()) == Some(&b'\'')).then(|| width.len_utf8() + 2)
}

/// The offset just behind the bracket that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The code with every item under `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.as_bytes().to_vec();
    for (start, _) in code.match_indices(MARK) {
        let body = code[start + MARK.len()..].find(['{', ';']).map_or(code.len(), |l| start + MARK.len() + l);
        let end = if code[body..].starts_with('{') { closing(code, body) } else { (body + 1).min(code.len()) };
        blank(&mut out[start..end]);
    }
    String::from_utf8(out).expect("code outside of strings is blanked bytewise")
}

fn lines_of_code(code: &str) -> usize {
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Words and punctuation with their offsets; `::` is one token.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let bytes = code.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let length = if is_word(bytes[at]) {
            bytes[at..].iter().take_while(|b| is_word(**b)).count()
        } else if code[at..].starts_with("::") {
            2
        } else {
            code[at..].chars().next().map_or(1, char::len_utf8)
        };
        if !bytes[at].is_ascii_whitespace() {
            found.push((at, &code[at..at + length]));
        }
        at += length;
    }
    found
}

/// One path as the code names it, groups taken apart: `a::{b, c::D as E}` is two.
#[derive(Debug, PartialEq)]
struct Named {
    offset: usize,
    segments: Vec<String>,
    /// The name it goes by from here on.
    alias: String,
    /// Behind `pub use` or `pub(…) use`.
    exported: bool,
}

/// Every path in the code that begins with a word, whether in a `use` or in the middle of an expression.
fn paths(code: &str) -> Vec<Named> {
    let all = tokens(code);
    let word = |i: usize| all.get(i).map_or("", |t| t.1);
    let (mut found, mut i) = (Vec::new(), 0);
    while i < all.len() {
        let root = word(i).bytes().next().is_some_and(is_word) && (i == 0 || word(i - 1) != "::");
        let used = i > 0 && word(i - 1) == "use";
        if root && (word(i + 1) == "::" || used) {
            let exported = used && i > 1 && (word(i - 2) == "pub" || word(i - 2) == ")");
            i = expand(&all, i, &[], exported, &mut found).max(i + 1);
        } else {
            i += 1;
        }
    }
    found
}

/// Follows one path from token `at`; returns the token behind it.
fn expand(all: &[(usize, &str)], mut at: usize, before: &[String], exported: bool, found: &mut Vec<Named>) -> usize {
    let word = |i: usize| all.get(i).map_or("", |t| t.1);
    let mut segments = before.to_vec();
    let offset = all.get(at).map_or(0, |t| t.0);
    loop {
        if word(at) == "{" {
            at += 1;
            while at < all.len() && word(at) != "}" {
                let next = expand(all, at, &segments, exported, found);
                at = next.max(at + 1);
                at += usize::from(word(at) == ",");
            }
            return at + 1;
        }
        if word(at).bytes().next().is_some_and(is_word) {
            segments.push(word(at).to_owned());
            at += 1;
        }
        if word(at) != "::" || !word(at + 1).bytes().next().is_some_and(|b| is_word(b) || b == b'{') {
            break;
        }
        at += 1;
    }
    if segments.len() > before.len() || word(at) == "*" {
        let renamed = word(at) == "as";
        let alias = if renamed { word(at + 1) } else { segments.last().map_or("", String::as_str) }.to_owned();
        found.push(Named { offset, segments, alias, exported });
        at += if renamed { 2 } else { usize::from(word(at) == "*") };
    }
    at
}

/// The path from the root of the crate that `named` means in `module`; none for a path into another crate.
fn resolve(named: &Named, module: &[String]) -> Option<Vec<String>> {
    let rest = |n: usize| named.segments[n..].iter().cloned();
    match named.segments[0].as_str() {
        "crate" | "sealpost" => Some(rest(1).collect()),
        "self" => Some(module.iter().cloned().chain(rest(1)).collect()),
        "super" => {
            let up = named.segments.iter().take_while(|s| *s == "super").count();
            Some(module[..module.len().saturating_sub(up)].iter().cloned().chain(rest(up)).collect())
        }
        _ => None,
    }
}

// ---- the rules ----

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// A room names only rooms below it.
fn order(source: &Source) -> Vec<Fault> {
    let module = source.module();
    let Some(own) = floor(&module[0]) else {
        return vec![source.fault(0, format!("`{}` is not a room of the house (FLOORS in tests/tidy.rs)", module[0]))];
    };
    let mut faults = Vec::new();
    for named in paths(&source.code) {
        let Some(target) = resolve(&named, &module) else { continue };
        let Some(room) = target.first().filter(|room| **room != module[0]) else { continue };
        match floor(room) {
            Some(theirs) if theirs < own => {}
            Some(_) => faults.push(source.fault(
                named.offset,
                format!("`{}` may not name `crate::{room}`: a room names only those below it", module[0]),
            )),
            None => faults.push(source.fault(named.offset, format!("`crate::{room}` is not a room of the house"))),
        }
    }
    faults
}

/// Some crates are named in one room only.
fn reserved(source: &Source) -> Vec<Fault> {
    let module = source.module();
    let mut faults = Vec::new();
    for named in paths(&source.code) {
        let hit = RESERVED.iter().find(|(path, rooms, _)| {
            let wanted: Vec<_> = path.split("::").collect();
            named.segments.iter().map(String::as_str).take(wanted.len()).eq(wanted)
                && !rooms.contains(&module[0].as_str())
        });
        if let Some((path, rooms, why)) = hit {
            let reason = format!("`{path}` may be named in {} only: {why}", rooms.join(", "));
            faults.push(source.fault(named.offset, reason));
        }
    }
    faults
}

type Modules<'a> = BTreeMap<Vec<String>, &'a Source>;
/// From one file to those that it names, and where.
type Edges = BTreeMap<Vec<String>, BTreeMap<Vec<String>, usize>>;

/// Within a room, files do not name each other in a circle. A parent module knows its children by nature, so its own
/// references to them do not count; a name that it re-exports stands for the file that defines it.
fn cycles(sources: &[Source]) -> Vec<Fault> {
    let modules: Modules<'_> = sources.iter().map(|s| (s.module(), s)).collect();
    let edges = edges(&modules);
    let mut faults = Vec::new();
    let mut told = BTreeSet::new();
    for (from, targets) in &edges {
        for (to, offset) in targets {
            let Some(circle) = shortest(to, from, &edges) else { continue };
            if told.insert(circle.iter().cloned().collect::<BTreeSet<_>>()) {
                let names: Vec<_> = [from].into_iter().chain(&circle).map(|m| m.join("::")).collect();
                faults.push(modules[from].fault(*offset, format!("a circle among files: {}", names.join(" names "))));
            }
        }
    }
    faults
}

fn edges(modules: &Modules<'_>) -> Edges {
    let exports = exports(modules);
    let mut edges = Edges::new();
    for (module, source) in modules.iter().filter(|(m, _)| HUBS.iter().all(|(hub, _)| *hub != m.join("::"))) {
        for named in paths(&source.code) {
            let Some(target) = resolve(&named, module) else { continue };
            let Some(mut file) = file_of(&target, modules) else { continue };
            while let Some(inner) = target.get(file.len()).and_then(|n| exports.get(&(file.clone(), n.clone()))) {
                file.clone_from(inner);
            }
            let proof = target.last().is_some_and(|name| PROOFS.contains(&name.as_str()));
            if file[0] == module[0] && !file.starts_with(module) && !proof {
                edges.entry(module.clone()).or_default().entry(file).or_insert(named.offset);
            }
        }
    }
    edges
}

/// Which file defines what a parent module re-exports.
fn exports(modules: &Modules<'_>) -> BTreeMap<(Vec<String>, String), Vec<String>> {
    let mut exports = BTreeMap::new();
    for (module, source) in modules {
        for named in paths(&source.code).into_iter().filter(|n| n.exported) {
            let target = resolve(&named, module).unwrap_or_else(|| [module.clone(), named.segments.clone()].concat());
            if let Some(file) = file_of(&target, modules).filter(|file| file.len() > module.len()) {
                exports.insert((module.clone(), named.alias), file);
            }
        }
    }
    exports
}

/// The longest beginning of a path that is a file.
fn file_of(path: &[String], modules: &Modules<'_>) -> Option<Vec<String>> {
    (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|prefix| modules.contains_key(prefix))
}

/// The files on the shortest way from one to another along references, both included.
fn shortest(from: &[String], to: &[String], edges: &Edges) -> Option<Vec<Vec<String>>> {
    let mut ways = VecDeque::from([vec![from.to_vec()]]);
    let mut seen = BTreeSet::from([from.to_vec()]);
    while let Some(way) = ways.pop_front() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        for next in edges.get(last).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                ways.push_back([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

/// Every Rust file says at its door what it is.
fn door_sign(source: &Source) -> Vec<Fault> {
    let signed = source.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//! "));
    if signed {
        Vec::new()
    } else {
        vec![source.fault(0, "the file does not begin with a `//!` line that says what it is")]
    }
}

/// Files and functions fit a reader.
fn size(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lines = lines_of_code(&source.code);
    if lines > FILE_LINES_MAX {
        faults.push(source.fault(0, format!("{lines} lines of code, more than {FILE_LINES_MAX}")));
    }
    for (name, offset, lines) in functions(&source.code) {
        let known = LONG_FUNCTIONS.iter().any(|(path, function, _)| *path == source.path && *function == name);
        if lines > FUNCTION_LINES_MAX && !known {
            faults.push(
                source.fault(offset, format!("`{name}` has {lines} lines of code, more than {FUNCTION_LINES_MAX}")),
            );
        }
    }
    faults
}

/// Name, offset and lines of code of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let all = tokens(code);
    let mut found = Vec::new();
    for pair in all.windows(2).filter(|pair| pair[0].1 == "fn" && pair[1].1.bytes().all(is_word)) {
        let start = pair[0].0;
        let mut at = start;
        while let Some(length) = code[at..].find(['(', '[', '{', ';']) {
            at += length;
            match code.as_bytes()[at] {
                b'{' => {
                    found.push((pair[1].1.to_owned(), start, lines_of_code(&code[start..closing(code, at)])));
                    break;
                }
                b';' => break,
                _ => at = closing(code, at),
            }
        }
    }
    found
}

/// lib.rs is a map: modules, no code.
fn map(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut offset = 0;
    for line in source.code.split_inclusive('\n') {
        let code = line.trim();
        if !(code.is_empty() || code.starts_with("#!") || (code.starts_with("pub mod ") && code.ends_with(';'))) {
            faults.push(source.fault(offset, "lib.rs is the map of the house: modules, no code"));
        }
        offset += line.len();
    }
    faults
}

/// Log lines take no contents, no secrets, and nothing that names a person.
fn logging(source: &Source) -> Vec<Fault> {
    const MACROS: &[&str] = &["trace", "debug", "info", "warn", "error", "event", "span", "info_span", "debug_span"];
    let mut faults = Vec::new();
    for three in tokens(&source.code).windows(3) {
        if !(MACROS.contains(&three[0].1) && three[1].1 == "!" && matches!(three[2].1, "(" | "[" | "{")) {
            continue;
        }
        let (from, to) = (three[2].0, closing(&source.code, three[2].0));
        let values: BTreeSet<_> = tokens(&source.code[from..to]).into_iter().map(|t| t.1).collect();
        for word in NEVER_LOGGED {
            // The second form is a value captured by the message itself.
            let captured = [format!("{{{word}}}"), format!("{{{word}:")];
            if values.contains(word) || captured.iter().any(|c| source.text[from..to].contains(c)) {
                faults.push(source.fault(three[0].0, format!("a log line may not take `{word}` as a value")));
            }
        }
    }
    faults
}

/// Offsets at which `mark` stands free, not as the end of a longer word.
fn free_matches<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(mark).map(|(at, _)| at).filter(|at| *at == 0 || !is_word(text.as_bytes()[at - 1]))
}

/// Nothing is left half done.
fn unfinished(source: &Source) -> Vec<Fault> {
    let found = UNFINISHED.iter().flat_map(|mark| free_matches(&source.text, mark).map(move |at| (at, mark)));
    found.map(|(at, mark)| source.fault(at, format!("`{mark}`: finish it, or take it out"))).collect()
}

/// Nothing points at somebody's machine, or at the registry it happened to use.
fn machine(source: &Source) -> Vec<Fault> {
    let found = MACHINE_MARKS.iter().flat_map(|mark| free_matches(&source.text, mark).map(move |at| (at, mark)));
    found.map(|(at, mark)| source.fault(at, format!("`{mark}` belongs to a machine, not to the project"))).collect()
}

/// A page works under a policy that allows no inline code, escapes what it is given, and asks no third party.
fn template(source: &Source) -> Vec<Fault> {
    let text = source.text.to_ascii_lowercase();
    let mut faults = Vec::new();
    let mut forbid = |mark: &str, reason: &str| {
        faults.extend(text.match_indices(mark).map(|(at, _)| source.fault(at, reason)));
    };
    forbid("javascript:", "a link may not carry a script");
    forbid("src=\"http", "a page asks no third party");
    forbid("src=\"//", "a page asks no third party");
    forbid("autoescape", "escaping is never turned off or on by a template");
    // Mail programs know no style sheets, and no policy of ours reaches them.
    if !source.path.starts_with("ui/mail/") {
        forbid("<style", "no inline styles: the content policy refuses them");
        for blank in [' ', '\n', '\t'] {
            forbid(&format!("{blank}style="), "no inline styles: the content policy refuses them");
        }
    }
    for (at, _) in text.match_indices("<script") {
        let end = text[at..].find('>').map_or(text.len(), |l| at + l + 1);
        if !text[at..end].contains(" src=") || !text[end..].trim_start().starts_with("</script>") {
            faults.push(source.fault(at, "no inline scripts: the content policy refuses them"));
        }
    }
    for (at, _) in text.match_indices([' ', '\n', '\t']) {
        let name = &text[at + 1..];
        let length = name.bytes().take_while(u8::is_ascii_alphabetic).count();
        if name.starts_with("on") && length > 3 && name[length..].starts_with('=') {
            faults.push(source.fault(at + 1, format!("no inline handlers: `{}`", &name[..length])));
        }
    }
    faults.extend(unescaped(source));
    faults
}

/// `|safe` on anything but markup that the server makes itself.
fn unescaped(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (bar, _) in source.text.match_indices('|') {
        let filter = source.text[bar + 1..].trim_start();
        if !filter.starts_with("safe") || filter.as_bytes().get(4).copied().is_some_and(is_word) {
            continue;
        }
        let before = source.text[..bar].trim_end();
        let name = &before[before.bytes().rposition(|b| !is_word(b)).map_or(0, |at| at + 1)..];
        if !SAFE_MARKUP.contains(&name) {
            faults.push(source.fault(bar, format!("`{name}|safe` is not on the list of markup made by the server")));
        }
    }
    faults
}

/// Our own scripts make elements, never markup from text.
fn script(source: &Source) -> Vec<Fault> {
    let found = SCRIPT_TRAPS.iter().flat_map(|trap| free_matches(&source.text, trap).map(move |at| (at, trap)));
    found.map(|(at, trap)| source.fault(at, format!("`{trap}` turns text into markup or code"))).collect()
}

/// Every path that a document names exists. A path ends before a placeholder: of `ui/mail/<event>/` the folder is
/// looked up.
fn documented(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    let text = &source.text;
    let mut faults = Vec::new();
    for folder in DOCUMENTED {
        for at in free_matches(text, folder).filter(|at| *at == 0 || !b"/.-".contains(&text.as_bytes()[at - 1])) {
            let length = text[at..].bytes().take_while(|b| is_word(*b) || b"/.-".contains(b)).count();
            let placeholder =
                matches!(text.as_bytes().get(at + length), Some(b'{' | b'<' | b'*' | b'[') | Some(0x80..));
            let whole = &text[at..at + length];
            let path = if placeholder { &whole[..=whole.rfind('/').unwrap_or(0)] } else { whole };
            let path = path.trim_end_matches(['.', '/', '-']);
            if !exists(path) {
                faults.push(source.fault(at, format!("there is no `{path}`")));
            }
        }
    }
    faults
}

// ---- the house as it stands ----

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository: what git tracks or would; in an unpacked archive, everything but build results.
fn house() -> Vec<Source> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut names: Vec<String> = match git {
        Ok(listed) if listed.status.success() && !listed.stdout.is_empty() => String::from_utf8(listed.stdout)
            .expect("paths are UTF-8")
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        _ => {
            let mut found = Vec::new();
            walk(root(), &mut found);
            found
        }
    };
    names.sort();
    names.dedup();
    let read = |name: &String| std::fs::read_to_string(root().join(name)).ok().map(|text| Source::new(name, &text));
    let sources: Vec<_> = names.iter().filter_map(read).collect();
    assert!(sources.iter().any(|s| s.path == "src/lib.rs"), "the sources were not found");
    sources
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder that can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["target", "data", "node_modules", ".git", "shots"].iter().any(|skipped| name == *skipped) {
                walk(&path, found);
            }
        } else {
            let inner = path.strip_prefix(root()).expect("below the root");
            found.push(inner.to_str().expect("paths are UTF-8").to_owned());
        }
    }
}

/// Applies a rule to each file that is chosen and stops with every fault, one a line.
fn hold(chosen: impl Fn(&Source) -> bool, rule: impl Fn(&Source) -> Vec<Fault>) {
    report(house().iter().filter(|s| chosen(s)).flat_map(rule).collect());
}

fn report(faults: Vec<Fault>) {
    let lines: Vec<_> = faults.iter().map(Fault::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn is_rust(source: &Source) -> bool {
    source.path.ends_with(".rs")
}

fn is_ours(source: &Source) -> bool {
    !source.path.starts_with("assets/vendor/")
        && !source.path.ends_with("package-lock.json")
        && source.path != "Cargo.lock"
}

#[test]
fn a_room_names_only_rooms_below_it() {
    hold(Source::is_module, order);
}

#[test]
fn some_crates_are_named_in_one_room_only() {
    hold(Source::is_module, reserved);
}

#[test]
fn files_of_a_room_form_no_circle() {
    let modules: Vec<_> = house().into_iter().filter(Source::is_module).collect();
    report(cycles(&modules));
}

#[test]
fn every_file_has_a_door_sign() {
    hold(is_rust, door_sign);
}

#[test]
fn files_and_functions_fit_a_reader() {
    hold(Source::is_module, size);
}

#[test]
fn the_map_holds_no_code() {
    hold(|s| s.path == "src/lib.rs", map);
}

#[test]
fn logs_take_no_secrets() {
    hold(Source::is_module, logging);
}

#[test]
fn nothing_is_left_half_done() {
    hold(is_ours, unfinished);
}

#[test]
fn nothing_points_at_a_machine() {
    // Cargo writes the registry's address into its own lock file; every Rust project has it.
    hold(|s| s.path != "Cargo.lock", machine);
}

#[test]
fn pages_obey_the_content_policy() {
    hold(|s| s.path.starts_with("ui/") && s.path.ends_with(".html"), template);
}

#[test]
fn scripts_make_no_markup_from_text() {
    hold(|s| s.path.starts_with("ui/js/"), script);
}

#[test]
fn documents_name_what_exists() {
    // What git ignores is made by a command that the document speaks of.
    let made = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let exists = |path: &str| root().join(path).exists() || made.lines().any(|line| line.trim_matches('/') == path);
    hold(|s| DOCUMENTS.contains(&s.path.as_str()), |s| documented(s, exists));
}

// ---- each rule catches what it is there for ----

/// The lines at which a rule finds a fault in a file that would stand at `path`.
fn caught(rule: impl Fn(&Source) -> Vec<Fault>, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|fault| fault.line).collect()
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let read = |text: &str| {
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(read("let a = \"x // \\\" y\"; // gone\nlet b = 1;"), "let a = \" \"; let b = 1;");
    assert_eq!(read("let a = r#\"x \" y\"#; let b = 1;"), "let a = r #; let b = 1;");
    assert_eq!(read("a /* b /* c */ d */ e"), "a e");
    assert_eq!(read("let a: &'a str = f('\"', '\\'', 'é');"), "let a: &'a str = f(' ', ' ', ' ');");
    let left = without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
    assert!(left.contains("fn a()") && left.contains("fn c()") && !left.contains("fn b()"));
    assert!(!without_tests("#[cfg(test)]\nuse a::b;\nfn c() {}").contains("a::b"));
}

#[test]
fn paths_are_taken_apart() {
    let named: Vec<_> =
        paths("use a::{b, c::{self, D as E}};\npub use f::G;\nlet x = crate::h::i::<T>(super::j);\nif y == k::L {}")
            .into_iter()
            .map(|n| (n.segments.join("::"), n.alias, n.exported))
            .collect();
    let expected = [
        ("a::b", "b", false),
        ("a::c::self", "self", false),
        ("a::c::D", "E", false),
        ("f::G", "G", true),
        ("crate::h::i", "i", false),
        ("super::j", "j", false),
        ("k::L", "L", false),
    ];
    assert_eq!(named, expected.map(|(path, alias, exported)| (path.to_owned(), alias.to_owned(), exported)));
}

#[test]
fn a_room_that_names_a_higher_one_is_caught() {
    assert_eq!(caught(order, "src/store/commit.rs", "//! x\nuse crate::domain::Error;\n"), [2]);
    assert_eq!(caught(order, "src/store/commit.rs", "use crate::{crypto::slots,\n web::page};\n"), [2]);
    assert_eq!(caught(order, "src/search/shard.rs", "fn a() {\n crate::store::open() }"), [2], "the same floor");
    assert_eq!(caught(order, "src/domain/mod.rs", "use super::web::page;"), [1], "by way of super");
    assert_eq!(caught(order, "src/domain/mod.rs", "use crate::helpers::x;"), [1], "not a room");
    assert_eq!(caught(order, "src/helpers.rs", ""), [1], "not a room");
    assert_eq!(
        caught(order, "src/web/page.rs", "use crate::domain::messages;\n// crate::serve\nuse super::guard;"),
        []
    );
    assert_eq!(caught(order, "src/main.rs", "use sealpost::serve::run;"), []);
    assert_eq!(caught(order, "src/domain/a.rs", "#[cfg(test)]\nmod tests {\n use crate::web::page;\n}"), []);
}

#[test]
fn a_crate_in_the_wrong_room_is_caught() {
    assert_eq!(caught(reserved, "src/domain/messages.rs", "\nuse poem::Request;"), [2]);
    assert_eq!(caught(reserved, "src/domain/messages.rs", "use tokio::{sync::Notify,\n net::TcpStream};"), [2]);
    assert_eq!(caught(reserved, "src/store/blobs.rs", "let x = age::Encryptor::with_recipients(a);"), [1]);
    assert_eq!(caught(reserved, "src/web/page.rs", "use redb;"), [1]);
    assert_eq!(caught(reserved, "src/crypto/seal.rs", "use age::Recipient;"), []);
    assert_eq!(
        caught(reserved, "src/domain/messages.rs", "let age = now - then; x::age::y(); tokio::sync::oneshot()"),
        []
    );
}

#[test]
fn a_circle_among_files_is_caught() {
    let told = |files: &[(&str, &str)]| {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        cycles(&sources).iter().map(Fault::to_string).collect::<Vec<_>>()
    };
    let pair = told(&[("src/domain/a.rs", "use super::b::B;"), ("src/domain/b.rs", "\nuse crate::domain::a::A;")]);
    assert_eq!(pair, ["src/domain/a.rs:1: a circle among files: domain::a names domain::b names domain::a"]);
    let three = told(&[
        ("src/web/a.rs", "use super::b;"),
        ("src/web/b.rs", "use super::c;"),
        ("src/web/c.rs", "use super::a;"),
    ]);
    assert_eq!(three.len(), 1);
    let exported = told(&[
        ("src/domain/mod.rs", "mod a;\npub mod b;\npub use a::A;"),
        ("src/domain/a.rs", "use super::b::B;"),
        ("src/domain/b.rs", "use super::A;"),
    ]);
    assert_eq!(exported.len(), 1, "a re-exported name stands for its file");
    let parent =
        told(&[("src/store/mod.rs", "use commit::Commit;\npub enum E {}"), ("src/store/commit.rs", "use super::E;")]);
    assert!(parent.is_empty(), "a parent knows its children: {parent:?}");
    let held = told(&[
        ("src/domain/portal.rs", "use super::sessions::Sessions;"),
        ("src/domain/sessions.rs", "use super::portal::Portal; use super::accounts;"),
        ("src/domain/accounts.rs", "use super::sessions::{Member};"),
    ]);
    assert!(held.is_empty(), "a hub, and a proof: {held:?}");
    let line = told(&[("src/web/a.rs", "use super::{b, c};"), ("src/web/b.rs", "use super::c;"), ("src/web/c.rs", "")]);
    assert!(line.is_empty(), "{line:?}");
}

#[test]
fn a_missing_door_sign_is_caught() {
    assert_eq!(caught(door_sign, "src/a.rs", "use std::fs;\n//! late"), [1]);
    assert_eq!(caught(door_sign, "src/a.rs", "//! What it is.\n"), []);
}

#[test]
fn what_is_too_long_is_caught() {
    let function = |lines: usize| format!("//! x\nfn a(b: [u8; 3]) -> u8 {{\n{}}}\n", "    b();\n".repeat(lines));
    assert_eq!(caught(size, "src/web/a.rs", &function(FUNCTION_LINES_MAX - 1)), [2]);
    assert_eq!(caught(size, "src/web/a.rs", &function(FUNCTION_LINES_MAX - 2)), []);
    assert_eq!(
        caught(size, "src/web/a.rs", &function(40).replace("b();", "// b\n\nb();")),
        [],
        "comments do not count"
    );
    assert_eq!(caught(size, "src/web/a.rs", &"const A: u8 = 1;\n".repeat(FILE_LINES_MAX + 1)), [1]);
    let tested = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(FILE_LINES_MAX + 1));
    assert_eq!(caught(size, "src/web/a.rs", &tested), [], "tests do not count");
}

#[test]
fn code_on_the_map_is_caught() {
    assert_eq!(caught(map, "src/lib.rs", "//! x\n\npub mod config;\nfn a() {}\n"), [4]);
}

#[test]
fn a_secret_in_a_log_line_is_caught() {
    assert_eq!(caught(logging, "src/web/a.rs", "\ntracing::info!(\"x\", key = k.expose_secret());"), [2]);
    assert_eq!(caught(logging, "src/web/a.rs", "warn!(%email, \"bounced\")"), [1]);
    assert_eq!(caught(logging, "src/web/a.rs", "error!(\"wrong {password}\")"), [1]);
    assert_eq!(caught(logging, "src/web/a.rs", "info!(\"the password was changed\"); let password = 1;"), []);
}

#[test]
fn unfinished_work_and_foreign_places_are_caught() {
    let mark = UNFINISHED[0];
    assert_eq!(caught(unfinished, "src/a.rs", &format!("a\nb {mark}()")), [2]);
    assert_eq!(caught(unfinished, "ui/a.html", &format!("<!-- {} -->", UNFINISHED[2])), [1]);
    assert_eq!(caught(machine, "README.md", &format!("see\n`{}x`", MACHINE_MARKS[0])), [2]);
    assert_eq!(caught(machine, "README.md", &format!("home{}x", MACHINE_MARKS[0])), [], "part of another path");
}

#[test]
fn a_page_that_the_policy_would_break_is_caught() {
    let lines = |text: &str| caught(template, "ui/pages/a.html", text);
    assert_eq!(lines("<p\nstyle=\"a\">"), [1]);
    assert_eq!(lines("<STYLE>a</STYLE>"), [1]);
    assert_eq!(lines("\n<script>a()</script>"), [2]);
    assert_eq!(lines("<script src=\"/a.js\">a()</script>"), [1]);
    assert_eq!(lines("<a onclick=\"a()\">"), [1]);
    assert_eq!(lines("<a href=\"javascript:a()\">"), [1]);
    assert_eq!(lines("<img src=\"https://example.org/a.png\">"), [1]);
    assert_eq!(lines("{{ subject|safe }}"), [1]);
    assert_eq!(lines("{{ m.subject | safe }}"), [1]);
    assert_eq!(lines("{{ m.body_html|safe }}<script type=\"module\" src=\"{{ asset }}\"></script> one = 1"), []);
    assert_eq!(caught(template, "ui/mail/notice/body.html", "<p style=\"color:#111\">"), []);
    assert_eq!(caught(script, "ui/js/a.js", "a\nb.innerHTML = c"), [2]);
    assert_eq!(caught(script, "ui/js/a.js", "b.textContent = retrieval(c)"), []);
}

#[test]
fn a_path_that_leads_nowhere_is_caught() {
    let exists = |path: &str| ["src/domain", "src/main.rs", "ui/mail"].contains(&path);
    let lines = |text: &str| caught(|s| documented(s, exists), "ARCHITECTURE.md", text);
    assert_eq!(lines("in `src/main.rs`, then\n`src/gone.rs`."), [2]);
    assert_eq!(lines("`src/domain/`, src/domain. `src/domain/{a,b}.rs` ui/mail/<event>/ other-src/x"), []);
}
