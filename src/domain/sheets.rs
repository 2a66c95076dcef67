//! CSV files of contacts, with the column names that Outlook, Google and people use.

use super::accounts::Details;
use super::cards::{Contact, ContactForm, Read, names};
use super::portal::Error;
use crate::words::said::say;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    First,
    Last,
    Name,
    Practice,
    Email,
    Office,
    Cell,
    Notes,
}

/// Names of columns, in letters and digits alone; addresses are told apart in [`column`].
const NAMES: &[(&str, Column)] = &[
    ("firstname", Column::First),
    ("givenname", Column::First),
    ("first", Column::First),
    ("lastname", Column::Last),
    ("familyname", Column::Last),
    ("surname", Column::Last),
    ("last", Column::Last),
    ("name", Column::Name),
    ("fullname", Column::Name),
    ("displayname", Column::Name),
    ("practice", Column::Practice),
    ("company", Column::Practice),
    ("organization", Column::Practice),
    ("organisation", Column::Practice),
    ("organizationname", Column::Practice),
    ("organization1name", Column::Practice),
    ("officephone", Column::Office),
    ("businessphone", Column::Office),
    ("businessphone2", Column::Office),
    ("workphone", Column::Office),
    ("primaryphone", Column::Office),
    ("phone", Column::Office),
    ("phonenumber", Column::Office),
    ("telephone", Column::Office),
    ("phone1value", Column::Office),
    ("homephone", Column::Office),
    ("cellphone", Column::Cell),
    ("cell", Column::Cell),
    ("mobilephone", Column::Cell),
    ("mobile", Column::Cell),
    ("phone2value", Column::Cell),
    ("notes", Column::Notes),
    ("note", Column::Notes),
    ("comments", Column::Notes),
];

/// What is written, and read again: name of the column, value.
const WRITTEN: [&str; 6] = ["First name", "Last name", "Practice", "Office phone", "Cell phone", "Notes"];
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// What Google puts between several values of one cell.
const SEVERAL: &str = " ::: ";

fn column(header: &str) -> Option<Column> {
    let name: String = header.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, column)| *column);
    known.or_else(|| {
        let rest = name.strip_prefix("email").or_else(|| name.strip_prefix("mail"))?;
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.strip_prefix("address").unwrap_or(rest).trim_start_matches(|c: char| c.is_ascii_digit());
        ["", "value"].contains(&rest).then_some(Column::Email)
    })
}

/// The character between the columns: the one of three that the first line has most of, outside quotes.
fn separator(text: &str) -> u8 {
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in text.bytes().take_while(|byte| *byte != b'\n') {
        is_quoted ^= byte == b'"';
        let count = counts.iter_mut().find(|(one, _)| *one == byte && !is_quoted);
        count.into_iter().for_each(|(_, count)| *count += 1);
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(one, _)| *one)
}

/// Every line of a file but its first, which names the columns; empty ones are passed over.
///
/// # Errors
/// [`Error::Invalid`] when no column holds e-mail addresses.
pub(super) fn read(text: &str) -> Result<Vec<Read>, Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Option<Column>>> = None;
    let mut count = Count { text: text.as_bytes(), seen: 0, line: 1 };
    let mut lines = Vec::new();
    for record in reader.records() {
        // The text is UTF-8, lengths may differ, and reading from memory does not fail.
        let record = record.map_err(|_| Error::internal("a CSV file"))?;
        match &columns {
            None => columns = Some(record.iter().map(column).collect()),
            Some(columns) => {
                let line = count.line_of(&record);
                lines.extend((!is_blank(&record)).then(|| (line, Ok(form(columns, &record)))));
            }
        }
    }
    if columns.is_some_and(|columns| columns.contains(&Some(Column::Email))) {
        return Ok(lines);
    }
    let message = say!("The first line of the file names no column “Email”, so nothing in it can be told apart.");
    Err(Error::invalid("file", message))
}

/// Counts lines as an editor shows them; the reader's own count depends on how they end.
struct Count<'t> {
    text: &'t [u8],
    seen: usize,
    line: usize,
}

impl Count<'_> {
    /// The line on which a record begins; asked in their order.
    fn line_of(&mut self, record: &csv::StringRecord) -> usize {
        let at = record.position().map_or(0, |at| usize::try_from(at.byte()).unwrap_or_default());
        let rest = self.text.get(at..).unwrap_or_default();
        // What ended the line before may still be in front of it, and so may empty lines.
        let start = at + rest.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let passed = self.text.get(self.seen..start).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.seen = start;
        self.line
    }
}

fn is_blank(record: &csv::StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}

fn form(columns: &[Option<Column>], record: &csv::StringRecord) -> ContactForm {
    let cells = |wanted: Column| {
        let both = columns.iter().zip(record.iter()).filter(move |(column, _)| **column == Some(wanted));
        both.map(|(_, cell)| restored(cell.trim())).filter(|cell| !cell.is_empty())
    };
    let first = |wanted: Column| {
        let cell = cells(wanted).next().unwrap_or_default();
        cell.split(SEVERAL).next().unwrap_or_default().to_owned()
    };
    let (mut first_name, mut last_name) = (first(Column::First), first(Column::Last));
    if first_name.is_empty() && last_name.is_empty() {
        (first_name, last_name) = names(&first(Column::Name));
    }
    ContactForm {
        details: Details {
            first_name,
            last_name,
            office_phone: first(Column::Office),
            cell_phone: first(Column::Cell),
        },
        practice: first(Column::Practice),
        emails: cells(Column::Email).map(|cell| cell.replace(SEVERAL, ", ")).collect::<Vec<_>>().join(", "),
        notes: cells(Column::Notes).next().unwrap_or_default().to_owned(),
    }
}

/// Whether a spreadsheet would run this, or what it defuses looks like this.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

/// What a spreadsheet shows and does not run: an apostrophe before the first character.
fn defused(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// What [`defused`] was given.
fn restored(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// A file of contacts, in UTF-8 with the mark at its beginning by which Excel knows.
pub(super) fn write<'c>(contacts: impl Iterator<Item = &'c Contact>) -> Result<String, Error> {
    let contacts: Vec<&Contact> = contacts.collect();
    let addresses = contacts.iter().map(|contact| contact.emails.len()).max().unwrap_or(1).max(1);
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let email_columns = (1..=addresses).map(|n| if n == 1 { "Email".to_owned() } else { format!("Email {n}") });
    writer.write_record(WRITTEN.map(str::to_owned).into_iter().chain(email_columns)).map_err(Error::internal)?;
    for contact in contacts {
        let Details { first_name, last_name, office_phone, cell_phone } = &contact.details;
        let said = [first_name, last_name, &contact.practice, office_phone, cell_phone, &contact.notes];
        let mut cells: Vec<String> = said.iter().map(|cell| defused(cell)).collect();
        cells.extend(contact.emails.iter().map(|email| defused(email.as_str())));
        cells.resize(WRITTEN.len() + addresses, String::new());
        writer.write_record(&cells).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|_| Error::internal("a CSV file"))?;
    String::from_utf8(bytes).map(|text| format!("\u{feff}{text}")).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(usize, ContactForm)> {
        read(text).unwrap().into_iter().map(|(line, form)| (line, form.unwrap())).collect()
    }

    #[test]
    fn the_files_of_other_programs_are_understood() {
        let outlook = all(concat!(
            "\"First Name\",\"Last Name\",\"Company\",\"Business Phone\",\"Mobile Phone\",\"E-mail Address\",",
            "\"E-mail Type\",\"E-mail Display Name\",\"E-mail 2 Address\",\"Notes\"\r\n",
            "\"Kim\",\"Lake\",\"Hillside, Dental\",\"+1 555 1\",\"\",\"kim@a.example\",\"SMTP\",\"Kim Lake\",",
            "\"kim@b.example\",\"Two\r\nlines\"\r\n,,,,,,,,,\r\n\"Max\",,,,,max@c.example"
        ));
        assert_eq!(outlook.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5]);
        let kim = &outlook[0].1;
        assert_eq!((kim.practice.as_str(), kim.emails.as_str()), ("Hillside, Dental", "kim@a.example, kim@b.example"));
        assert_eq!((kim.details.office_phone.as_str(), kim.notes.as_str()), ("+1 555 1", "Two\r\nlines"));
        let google = all(concat!(
            "First Name,Last Name,Organization Name,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\n",
            "Ola,Nord,Nord AB,* Work,ola@nord.example ::: o@nord.example,Mobile,+1 555 3 ::: +1 555 4\n"
        ));
        assert_eq!(
            (google[0].1.emails.as_str(), google[0].1.details.office_phone.as_str()),
            ("ola@nord.example, o@nord.example", "+1 555 3")
        );
        for plain in [
            "name,email,phone\nZoë van Dyk,zoe@d.example,1",
            "Name;Email;Phone\nZoë van Dyk;zoe@d.example;1",
            "NAME\tE-Mail\tPhone\r\n\"Zoë van Dyk\"\tzoe@d.example\t1\r\n",
        ] {
            let zoe = &all(plain)[0].1;
            assert_eq!(
                (zoe.details.first_name.as_str(), zoe.details.last_name.as_str()),
                ("Zoë van", "Dyk"),
                "{plain}"
            );
            assert_eq!((zoe.emails.as_str(), zoe.details.office_phone.as_str()), ("zoe@d.example", "1"));
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused_or_left_out() {
        for bad in ["", "\n\n", "hello", "a,b\nc,d", "\"", "\u{0}\u{0}", ";;;;;;\n\"\"\"\n"] {
            assert!(matches!(read(bad), Err(Error::Invalid { field: "file", .. })), "{bad:?}");
        }
        assert_eq!(all("email\n\"never\nends,\n1").len(), 1);
        assert_eq!(all("email,name\nkim@a.example\nlee@a.example,Lee,more,and more").len(), 2);
    }

    #[test]
    fn formulas_are_defused_and_come_back_as_they_were() {
        let form = ContactForm {
            details: Details {
                first_name: "=1+1".into(),
                last_name: "'=x".into(),
                office_phone: "+1 555 1".into(),
                cell_phone: "-1".into(),
            },
            practice: "@SUM(A1)".into(),
            emails: "+kim@a.example, =lee@a.example".into(),
            notes: "'quoted', \"and\"\nmore".into(),
        };
        let contact = form.checked().unwrap();
        let text = write(std::iter::once(&contact)).unwrap();
        let mut cells = csv::Reader::from_reader(text.as_bytes());
        let record = cells.records().next().unwrap().unwrap();
        assert!(record.iter().all(|cell| !cell.starts_with(FORMULA)), "{record:?}");
        assert_eq!(all(text.trim_start_matches('\u{feff}'))[0].1.checked().unwrap(), contact);
    }
}
