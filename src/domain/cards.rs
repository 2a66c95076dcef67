//! Cards: what a contact and a group of contacts say, within which limits, and how they are found by what is typed.

use serde::{Deserialize, Serialize};

use super::accounts::{Account, Details, Email};
use super::fields::{self, NAME_CHARS_MAX, line};
use super::portal::Error;
use crate::words::said::{Said, say};

/// Contacts of one book.
pub const CONTACTS_MAX: usize = 10_000;
/// Groups of one book.
pub const GROUPS_MAX: usize = 200;
/// Members of one group: as many as one message has recipients.
pub const GROUP_MEMBERS_MAX: usize = 100;
/// Addresses of one contact.
pub const CONTACT_EMAILS_MAX: usize = 5;
/// Longest name of a contact's practice, or of a group, in characters.
pub const TITLE_CHARS_MAX: usize = 100;
/// Longest notes of a contact, in characters.
pub const NOTES_CHARS_MAX: usize = 2000;

/// What is written about somebody.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Names and phones.
    pub details: Details,
    /// Where they work.
    pub practice: String,
    /// Addresses; the first is the one that is written to.
    pub emails: Vec<Email>,
    /// Whatever else.
    pub notes: String,
}

/// Several people who are written to together.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// Their addresses.
    pub members: Vec<Email>,
}

/// One page of a contact book.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Card {
    Contact(Contact),
    Group(Group),
}

/// The form of a contact, as typed or as a file has it.
#[derive(Clone, Debug, Default)]
pub struct ContactForm {
    /// Names and phones.
    pub details: Details,
    /// Where they work.
    pub practice: String,
    /// Addresses, separated by commas, semicolons or blanks.
    pub emails: String,
    /// Whatever else.
    pub notes: String,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contact(…)")
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group(…)")
    }
}

impl ContactForm {
    /// Checks lengths, characters and addresses.
    pub(super) fn checked(&self) -> Result<Contact, Error> {
        let emails = parse_emails("email", &self.emails)?;
        if emails.is_empty() {
            return Err(Error::invalid("email", "There is no e-mail address."));
        }
        if emails.len() > CONTACT_EMAILS_MAX {
            return Err(Error::invalid("email", say!("At most {most} addresses.", most = CONTACT_EMAILS_MAX)));
        }
        let details = self.details.checked()?;
        let practice = line("practice", &self.practice, TITLE_CHARS_MAX)?;
        let notes = self.notes.replace("\r\n", "\n").replace('\0', "").trim().to_owned();
        if notes.chars().count() > NOTES_CHARS_MAX {
            return Err(Error::invalid(
                "notes",
                say!("This is too long: {max} characters at most.", max = NOTES_CHARS_MAX),
            ));
        }
        Ok(Contact { details, practice, emails, notes })
    }
}

impl Contact {
    /// What an account says about its owner.
    pub(super) fn of(account: &Account, practice: &str) -> Self {
        Self {
            details: Details::of(account),
            practice: practice.to_owned(),
            emails: vec![account.email.clone()],
            notes: String::new(),
        }
    }

    /// First and last name, or the address where there is none.
    pub fn name(&self) -> String {
        let name = format!("{} {}", self.details.first_name, self.details.last_name);
        match (name.trim(), self.emails.first()) {
            ("", Some(email)) => email.to_string(),
            (name, _) => name.to_owned(),
        }
    }

    /// By what lists are ordered: the name, without case and accents.
    pub(super) fn order(&self) -> String {
        words(&self.name()).join(" ")
    }

    /// Every address, as it is typed into a form.
    pub fn emails_text(&self) -> String {
        emails_text(&self.emails)
    }

    /// Whether they have one of another's addresses.
    pub(super) fn shares_address(&self, other: &Self) -> bool {
        self.emails.iter().any(|email| other.emails.contains(email))
    }

    /// This contact with what `other` says wherever it says something.
    pub(super) fn overlaid(&self, other: &Self) -> Result<Self, Error> {
        let over = |own: &String, new: &String| if new.is_empty() { own.clone() } else { new.clone() };
        let (own, new) = (&self.details, &other.details);
        Ok(Self {
            details: Details {
                first_name: over(&own.first_name, &new.first_name),
                last_name: over(&own.last_name, &new.last_name),
                office_phone: over(&own.office_phone, &new.office_phone),
                cell_phone: over(&own.cell_phone, &new.cell_phone),
            },
            practice: over(&self.practice, &other.practice),
            emails: joined(&self.emails, &other.emails)?,
            notes: over(&self.notes, &other.notes),
        })
    }

    /// This contact, with what only `other` knows beside it; nothing of either is lost but a second name or phone.
    pub(super) fn merged(&self, other: &Self) -> Result<Self, Error> {
        let mut notes = vec![self.notes.as_str()];
        if !self.notes.contains(&other.notes) {
            notes.push(&other.notes);
        }
        notes.retain(|notes| !notes.is_empty());
        let notes = notes.join("\n\n");
        if notes.chars().count() > NOTES_CHARS_MAX {
            return Err(Error::invalid("other", "Together their notes are too long. Shorten them first."));
        }
        let emails = joined(&self.emails, &other.emails)?;
        Ok(Self { notes, emails, ..other.overlaid(self)? })
    }

    /// Whether every word of `query` begins a word of the name, the practice or an address.
    pub(super) fn is_meant_by(&self, query: &Query) -> bool {
        let name = format!("{} {} {}", self.details.first_name, self.details.last_name, self.practice);
        query.begins_words_of(&format!("{name} {}", self.emails_text()))
    }
}

fn joined(own: &[Email], new: &[Email]) -> Result<Vec<Email>, Error> {
    let more = new.iter().filter(|email| !own.contains(email));
    let all: Vec<Email> = own.iter().chain(more).cloned().collect();
    if all.len() > CONTACT_EMAILS_MAX {
        let message = say!("Together they have more than {most} addresses.", most = CONTACT_EMAILS_MAX);
        return Err(Error::invalid("other", message));
    }
    Ok(all)
}

impl Group {
    /// Checks the form of a group.
    pub(super) fn checked(name: &str, members: &str) -> Result<Self, Error> {
        let name = fields::required("name", name, TITLE_CHARS_MAX, "Please enter a name for the group.")?;
        let members = parse_emails("members", members)?;
        match members.len() {
            0 => Err(Error::invalid("members", "Please enter at least one e-mail address.")),
            n if n > GROUP_MEMBERS_MAX => {
                Err(Error::invalid("members", say!("At most {most} people in a group.", most = GROUP_MEMBERS_MAX)))
            }
            _ => Ok(Self { name, members }),
        }
    }

    /// Every member, as typed into a form.
    pub fn members_text(&self) -> String {
        emails_text(&self.members)
    }
}

fn emails_text(emails: &[Email]) -> String {
    emails.iter().map(Email::as_str).collect::<Vec<_>>().join(", ")
}

/// The addresses in a field, each once; a name before `<address>` is left out.
fn parse_emails(field: &'static str, text: &str) -> Result<Vec<Email>, Error> {
    let mut emails: Vec<Email> = Vec::new();
    for part in text.split([',', ';', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        let address = part.rsplit_once('<').map_or(part, |(_, rest)| rest.trim_end_matches('>'));
        let shown: String = part.chars().take(NAME_CHARS_MAX).collect();
        for address in address.split_whitespace() {
            let bad = |_| {
                let text = say!("“{part}” is not an e-mail address. It looks like name@example.org.", part = &shown);
                Error::invalid(field, text)
            };
            let email: Email = address.parse().map_err(bad)?;
            if !emails.contains(&email) {
                emails.push(email);
            }
        }
    }
    Ok(emails)
}

/// A contact in a file: the line on which it begins, and what it says, or why it is left out.
pub(super) type Read = (usize, Result<ContactForm, Said>);

/// First names and last name of a whole name.
pub(super) fn names(name: &str) -> (String, String) {
    match name.trim().rsplit_once(' ') {
        Some((first, last)) => (first.trim().to_owned(), last.to_owned()),
        None => (name.trim().to_owned(), String::new()),
    }
}

/// What somebody typed to find a contact, in words.
pub(super) struct Query(Vec<String>);

impl Query {
    pub fn new(text: &str) -> Self {
        Self(words(text))
    }

    /// Whether every word of it begins a word of `text`.
    pub fn begins_words_of(&self, text: &str) -> bool {
        let there = words(text);
        self.0.iter().all(|word| there.iter().any(|one| one.starts_with(word.as_str())))
    }
}

/// The words of a text, without case and accents. An address is whole words too: "lee@hill" is two.
fn words(text: &str) -> Vec<String> {
    let folded: String = text.to_lowercase().chars().map(plain).collect();
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A letter without its accent, as far as western names have one.
fn plain(letter: char) -> char {
    match letter {
        'à'..='å' => 'a',
        'ç' | 'č' | 'ć' => 'c',
        'è'..='ë' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ı' => 'i',
        'ñ' | 'ń' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'š' | 'ś' | 'ş' => 's',
        'ù'..='ü' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ž' | 'ź' | 'ż' => 'z',
        'ł' => 'l',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first: &str, practice: &str, emails: &str) -> Contact {
        let details = Details { first_name: first.into(), ..Details::default() };
        ContactForm { details, practice: practice.into(), emails: emails.into(), notes: String::new() }
            .checked()
            .unwrap()
    }

    #[test]
    fn contacts_are_found_by_the_beginnings_of_their_words() {
        let lee = contact("Jürgen", "Hillside Implants", "j.mueller@hill.example, jm@home.example");
        for query in ["", "jür", "JURG", "impl", "hill jur", "j.mueller@hi", "jm@", "  home "] {
            assert!(lee.is_meant_by(&Query::new(query)), "{query}");
        }
        for query in ["urgen", "hill kim", "jm@hill.org"] {
            assert!(!lee.is_meant_by(&Query::new(query)), "{query}");
        }
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let both = parse_emails("email", "Kim <KIM@a.example>; lee@b.example lee@b.example,\n").unwrap();
        assert_eq!(emails_text(&both), "kim@a.example, lee@b.example");
        assert!(matches!(parse_emails("email", "kim@a.example, nobody"), Err(Error::Invalid { field: "email", .. })));
    }

    #[test]
    fn merging_loses_no_address_and_no_note() {
        let one = Contact { notes: "Tuesdays.".into(), ..contact("Kim", "", "kim@a.example") };
        let other = Contact { notes: "Ask for Joe.".into(), ..contact("K.", "Lake", "kim@b.example") };
        let merged = one.merged(&other).unwrap();
        assert_eq!((merged.name(), merged.practice.as_str()), ("Kim".to_owned(), "Lake"));
        assert_eq!(
            (merged.emails_text().as_str(), merged.notes.as_str()),
            ("kim@a.example, kim@b.example", "Tuesdays.\n\nAsk for Joe.")
        );
        let full = contact("Max", "", "a@x.example b@x.example c@x.example d@x.example e@x.example");
        assert!(full.merged(&one).is_err());
    }
}
