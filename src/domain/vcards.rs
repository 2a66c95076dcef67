//! vCards, as telephones and mail programs hand contacts on: 3.0 (RFC 2426) and 4.0 (RFC 6350) are read, 3.0 is written
//! because every program takes it.
//!
//! A reader of our own, for six properties: the crates that there are bring a second calendar library that `deny.toml`
//! keeps out, or refuse 3.0, or tell no line of a card that they refuse.

use super::accounts::Details;
use super::cards::{Contact, ContactForm, Read, names};
use crate::words::said::{Said, say};

/// Longest line that is written, in bytes (RFC 2426, section 2.6).
const LINE_BYTES_MAX: usize = 75;

/// A line of a card: `GROUP.NAME;PARAMETER=VALUE:value`.
struct Property<'l> {
    name: String,
    parameters: String,
    value: &'l str,
}

impl<'l> Property<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let mut is_quoted = false;
        let colon = line.char_indices().find(|(_, c)| {
            is_quoted ^= *c == '"';
            *c == ':' && !is_quoted
        });
        let (head, value) = line.split_at_checked(colon?.0)?;
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
        let value = value.strip_prefix(':')?;
        Some(Self { name: name.trim().to_ascii_uppercase(), parameters: parameters.to_ascii_uppercase(), value })
    }

    /// Whether its type says this.
    fn is(&self, kind: &str) -> bool {
        self.parameters.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == kind)
    }

    fn is_preferred(&self) -> bool {
        self.is("PREF")
    }

    /// The part of a value of several parts; the whole of a simple one is its first.
    fn part(&self, number: usize) -> String {
        split(self.value, ';').get(number).map(|part| unescaped(part)).unwrap_or_default()
    }
}

/// The pieces between unescaped separators.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_escaped = false;
    text.split(|c: char| {
        let here = c == separator && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        here
    })
    .collect()
}

fn unescaped(text: &str) -> String {
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | ',' | ';' => safe.extend(['\\', letter]),
            '\n' => safe.push_str("\\n"),
            other => safe.push(other),
        }
    }
    safe
}

/// Whole lines with the number of their first: one that begins with a blank continues the one before.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, whole))) => whole.push_str(rest),
            _ => lines.push((at + 1, line.to_owned())),
        }
    }
    lines
}

/// Every card of a file. One that does not end, or is of another version, is left out with its reason.
pub(super) fn read(text: &str) -> Vec<Read> {
    let (mut cards, mut open): (Vec<Read>, Option<(usize, Vec<String>)>) = (Vec::new(), None);
    let cut_short = |at: usize| (at, Err(say!("This card has no end.")));
    for (at, line) in unfolded(text) {
        let mark = line.trim().to_ascii_uppercase();
        match (mark.as_str(), open.as_mut()) {
            ("BEGIN:VCARD", _) => cards.extend(open.replace((at, Vec::new())).map(|(at, _)| cut_short(at))),
            ("END:VCARD", Some(_)) => cards.extend(open.take().map(|(at, lines)| (at, card(&lines)))),
            (_, Some((_, lines))) => lines.push(line),
            ("", None) => {}
            (_, None) => cards.push((at, Err(say!("This line belongs to no card.")))),
        }
    }
    cards.extend(open.map(|(at, _)| cut_short(at)));
    cards
}

fn card(lines: &[String]) -> Result<ContactForm, Said> {
    let properties: Vec<Property<'_>> = lines.iter().filter_map(|line| Property::parse(line)).collect();
    let of = |name: &str| properties.iter().filter(|one| one.name == name).collect::<Vec<_>>();
    let first = |name: &str, part: usize| of(name).first().map(|one| one.part(part)).unwrap_or_default();
    let version = first("VERSION", 0);
    if !["3.0", "4.0"].contains(&version.as_str()) {
        return Err(say!("Cards of version 3.0 and 4.0 are read; this one is of another."));
    }
    let (mut first_name, mut last_name) = (first("N", 1), first("N", 0));
    if first_name.is_empty() && last_name.is_empty() {
        (first_name, last_name) = names(&first("FN", 0));
    }
    let mut emails = of("EMAIL");
    emails.sort_by_key(|one| !one.is_preferred());
    let (office_phone, cell_phone) = phones(&of("TEL"));
    Ok(ContactForm {
        details: Details { first_name, last_name, office_phone, cell_phone },
        practice: first("ORG", 0),
        emails: emails.iter().map(|one| unescaped(one.value)).collect::<Vec<_>>().join(", "),
        notes: of("NOTE").iter().map(|one| unescaped(one.value)).collect::<Vec<_>>().join("\n\n"),
    })
}

/// The first number that is a mobile one's, and the first that is another's; faxes are left out.
fn phones(all: &[&Property<'_>]) -> (String, String) {
    let number = |one: &&Property<'_>| {
        let text = unescaped(one.value);
        let bare = text.strip_prefix("tel:").or_else(|| text.strip_prefix("TEL:")).unwrap_or(&text);
        bare.split(';').next().unwrap_or_default().trim().to_owned()
    };
    let voice = || all.iter().filter(|one| !one.is("FAX")).copied();
    let cell = voice().find(|one| one.is("CELL"));
    let office = voice().find(|one| !one.is("CELL"));
    (office.as_ref().map(number).unwrap_or_default(), cell.as_ref().map(number).unwrap_or_default())
}

/// A file of cards.
pub(super) fn write<'c>(contacts: impl Iterator<Item = &'c Contact>) -> String {
    let mut file = String::new();
    for contact in contacts {
        let details = &contact.details;
        let mut lines = vec![
            "BEGIN:VCARD".to_owned(),
            "VERSION:3.0".to_owned(),
            format!("N:{};{};;;", escaped(&details.last_name), escaped(&details.first_name)),
            format!("FN:{}", escaped(&contact.name())),
        ];
        let optional = [
            ("ORG", &contact.practice),
            ("TEL;TYPE=WORK,VOICE", &details.office_phone),
            ("TEL;TYPE=CELL", &details.cell_phone),
            ("NOTE", &contact.notes),
        ];
        lines.extend(contact.emails.iter().map(|email| format!("EMAIL;TYPE=INTERNET:{}", escaped(email.as_str()))));
        let said = optional.iter().filter(|(_, value)| !value.is_empty());
        lines.extend(said.map(|(name, value)| format!("{name}:{}", escaped(value))));
        lines.push("END:VCARD".to_owned());
        lines.iter().for_each(|line| fold(&mut file, line));
    }
    file
}

/// Adds a line, broken where it is longer than programs take.
fn fold(file: &mut String, line: &str) {
    let mut bytes = 0;
    for letter in line.chars() {
        if bytes + letter.len_utf8() > LINE_BYTES_MAX {
            file.push_str("\r\n ");
            bytes = 1;
        }
        file.push(letter);
        bytes += letter.len_utf8();
    }
    file.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> ContactForm {
        read(text).remove(0).1.unwrap()
    }

    #[test]
    fn cards_of_both_versions_are_read() {
        let apple = one(concat!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lake;Kim;;Dr.;\r\nFN:Dr. Kim Lake\r\nORG:Hillside\\, Dental;Front desk\r\n",
            "item1.EMAIL;type=INTERNET:kim@home.example\r\nEMAIL;type=INTERNET;type=pref:kim@hill.example\r\n",
            "TEL;type=FAX:+1 555 9\r\nTEL;type=CELL;type=VOICE:+1 555 2\r\nTEL;type=WORK:+1 555 1\r\n",
            "NOTE:Tuesdays\\; ask\r\n  for Joe.\\nTwice.\r\nPHOTO;ENCODING=b:AAAA\r\n AAAA\r\nEND:VCARD\r\n"
        ));
        assert_eq!((apple.details.first_name.as_str(), apple.details.last_name.as_str()), ("Kim", "Lake"));
        assert_eq!(
            (apple.practice.as_str(), apple.emails.as_str()),
            ("Hillside, Dental", "kim@hill.example, kim@home.example")
        );
        assert_eq!((apple.details.office_phone.as_str(), apple.details.cell_phone.as_str()), ("+1 555 1", "+1 555 2"));
        assert_eq!(apple.notes, "Tuesdays; ask for Joe.\nTwice.");
        let newer = one(concat!(
            "begin:vcard\nversion:4.0\nFN:Ola Maria Nord\nEMAIL;PREF=1:ola@nord.example\n",
            "TEL;VALUE=uri;TYPE=\"voice,cell\":tel:+1-555-3;ext=4\nend:vcard"
        ));
        assert_eq!((newer.details.first_name.as_str(), newer.details.last_name.as_str()), ("Ola Maria", "Nord"));
        assert_eq!(newer.details.cell_phone, "+1-555-3");
    }

    #[test]
    fn what_is_no_card_is_told_with_its_line() {
        let text = "stray\nBEGIN:VCARD\nVERSION:2.1\nEND:VCARD\n\nBEGIN:VCARD\nVERSION:3.0\nBEGIN:VCARD\nVERSION:3.0";
        let lines: Vec<(usize, bool)> = read(text).iter().map(|(at, card)| (*at, card.is_ok())).collect();
        assert_eq!(lines, [(1, false), (2, false), (6, false), (8, false)]);
        for bad in
            ["", " ", ":", ";:", "\\", "BEGIN:VCARD\n:\n\\;\n;;;:::\nN\nEND:VCARD", "END:VCARD", "BEGIN:VCARD\n\u{0}"]
        {
            assert!(read(bad).iter().all(|(_, card)| card.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let form = ContactForm {
            details: Details {
                first_name: "Zoë; \\n".into(),
                last_name: "O'Neil, jr".into(),
                office_phone: "+1 555 1".into(),
                cell_phone: "+1 555 2".into(),
            },
            practice: "Müller; Söhne, \\ Co".into(),
            emails: "zoe@a.example, z@b.example".into(),
            notes: format!("Line one\nline two; {}", "ü".repeat(300)),
        };
        let contact = form.checked().unwrap();
        let text = write(std::iter::once(&contact));
        assert!(text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX));
        assert_eq!(one(&text).checked().unwrap(), contact);
    }
}
