//! Files of contacts, in and out: CSV and vCard.
//!
//! A file is first looked at: what would become of each line. Until its owner agrees it waits in memory, sealed with a
//! key of their identity, so that nothing of it is on the disk and nothing of it can be read once they are signed out;
//! few files wait at a time. Then it is looked at again, and everything that it brings is written in one transaction.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::accounts::Email;
use super::audit::{self, Event};
use super::books::{self, Edit};
use super::cards::{CONTACTS_MAX, Card, Contact, Read};
use super::contacts::{Placed, Shelf, mailbox_of};
use super::correspondents;
use super::ids::{ContactId, ImportId, MailboxId};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::{sheets, vcards};
use crate::crypto::secret::sha256;
use crate::crypto::{Digest, Key32, Sealed};
use crate::words::said::{Said, say};

/// Bytes of a file of contacts: 5 MB.
pub const IMPORT_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Files that wait at the same time, of everybody together; the oldest goes when one more comes.
const WAITING_MAX: usize = 8;

/// What files of contacts are exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For spreadsheets and mail programs.
    Csv,
    /// For telephones and mail programs.
    VCard,
}

/// Files that were looked at and wait for their owner to agree.
#[derive(Default)]
pub(super) struct Imports(Mutex<VecDeque<Waiting>>);

struct Waiting {
    id: ImportId,
    mailbox: MailboxId,
    file: Sealed,
    /// What was promised to become of it.
    outcome: Digest,
}

impl Imports {
    fn keep(&self, new: Waiting) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.mailbox != new.mailbox);
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(new);
    }

    fn take(&self, mailbox: MailboxId, id: ImportId) -> Option<Waiting> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = waiting.iter().position(|one| one.id == id && one.mailbox == mailbox)?;
        waiting.remove(at)
    }
}

/// A line of a file that brings something.
#[derive(Clone, Debug)]
pub struct ImportLine {
    /// Its number in the file.
    pub line: usize,
    /// What the contact will be.
    pub contact: Contact,
}

/// A line of a file that is left out.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Its number in the file.
    pub line: usize,
    /// Why.
    pub why: Said,
}

/// What will become of a file.
#[derive(Debug)]
pub struct Preview {
    /// By which the person agrees.
    pub id: ImportId,
    /// New contacts.
    pub new: Vec<ImportLine>,
    /// Contacts that will say more, or something else.
    pub changed: Vec<ImportLine>,
    /// Lines that bring nothing new.
    pub same: usize,
    /// Lines that are left out.
    pub left_out: Vec<LeftOut>,
}

/// What became of agreeing.
#[derive(Debug)]
pub enum Imported {
    /// So many new and so many changed contacts.
    Done(usize, usize),
    /// One's contacts were changed meanwhile: this is what will become of it now.
    Changed(Preview),
}

/// What a file brings, against the contacts that there are.
#[derive(Default)]
struct Plan<'s> {
    new: Vec<ImportLine>,
    changed: Vec<(ImportLine, &'s Placed)>,
    same: usize,
    left_out: Vec<LeftOut>,
}

/// Reads a file of either kind.
fn read(file: &[u8]) -> Result<Vec<Read>, Error> {
    if file.len() > IMPORT_BYTES_MAX {
        return Err(Error::invalid("file", "This file is too large: 5 MB at most."));
    }
    let text = std::str::from_utf8(file).map_err(|_| {
        Error::invalid("file", "This file is not in UTF-8. Save it again as “CSV UTF-8” or as vCard, and choose that.")
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let begins_as_card = text.trim_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case("BEGIN:VCARD"));
    let lines = if begins_as_card { vcards::read(text) } else { sheets::read(text)? };
    match lines.len() {
        0 => Err(Error::invalid("file", "There is no contact in this file.")),
        n if n > CONTACTS_MAX => {
            Err(Error::invalid("file", say!("At most {most} contacts at once.", most = CONTACTS_MAX)))
        }
        _ => Ok(lines),
    }
}

impl<'s> Plan<'s> {
    fn of(lines: Vec<Read>, shelf: &'s Shelf) -> Result<Self, Error> {
        let own: Vec<&Placed> = shelf.own_contacts().collect();
        let mut owners: HashMap<Email, usize> = HashMap::new();
        for (at, placed) in own.iter().enumerate() {
            owners.extend(placed.view.contact.emails.iter().map(|email| (email.clone(), at)));
        }
        let (mut plan, mut seen, mut met) = (Self::default(), HashMap::new(), HashMap::new());
        for (line, form) in lines {
            let checked = form.and_then(|form| form.checked().map_err(reason));
            let known = |contact: &Contact| {
                let mut places = contact.emails.iter().filter_map(|email| owners.get(email));
                let first = places.next().copied();
                (first, places.any(|place| Some(*place) != first))
            };
            let sorted = checked.and_then(|contact| {
                if let Some(before) = contact.emails.iter().find_map(|email| seen.get(email)) {
                    return Err(say!("The same address stands on line {line}.", line = *before));
                }
                match known(&contact) {
                    (_, true) => Err(say!("Its addresses belong to two of your contacts. Merge them first.")),
                    (Some(at), false) => match met.insert(at, line) {
                        Some(before) => Err(say!("The same contact stands on line {line}.", line = before)),
                        None => Ok((contact, own.get(at).copied())),
                    },
                    (None, false) => Ok((contact, None)),
                }
            });
            match sorted {
                Ok((contact, placed)) => {
                    seen.extend(contact.emails.iter().map(|email| (email.clone(), line)));
                    plan.add(line, contact, placed);
                }
                Err(why) => plan.left_out.push(LeftOut { line, why }),
            }
        }
        let by_itself = |placed: &&&Placed| placed.slot.is_none();
        let becoming = plan.changed.iter().filter(|(_, placed)| placed.slot.is_none()).count();
        if own.len() - own.iter().filter(by_itself).count() + becoming + plan.new.len() > CONTACTS_MAX {
            return Err(books::too_many());
        }
        Ok(plan)
    }

    fn add(&mut self, line: usize, contact: Contact, placed: Option<&'s Placed>) {
        let Some(placed) = placed else { return self.new.push(ImportLine { line, contact }) };
        match placed.view.contact.overlaid(&contact) {
            Ok(contact) if contact == placed.view.contact => self.same += 1,
            Ok(contact) => self.changed.push((ImportLine { line, contact }, placed)),
            Err(error) => self.left_out.push(LeftOut { line, why: reason(error) }),
        }
    }

    /// A digest of what the plan would do: the same again means that nothing has changed meanwhile.
    fn outcome(&self) -> Result<Digest, Error> {
        let new: Vec<&Contact> = self.new.iter().map(|it| &it.contact).collect();
        let changed: Vec<(ContactId, &Contact)> =
            self.changed.iter().map(|(it, placed)| (placed.view.id, &it.contact)).collect();
        let plain = rmp_serde::to_vec(&(new, changed)).map(zeroize::Zeroizing::new).map_err(Error::internal)?;
        Ok(sha256(&[&plain]))
    }

    fn preview(self, id: ImportId) -> Preview {
        let Self { new, changed, same, mut left_out } = self;
        left_out.sort_by_key(|it| it.line);
        Preview { id, new, changed: changed.into_iter().map(|(line, _)| line).collect(), same, left_out }
    }
}

/// What is wrong with a line, in words.
fn reason(error: Error) -> Said {
    match error {
        Error::Invalid { message, .. } => message,
        _ => say!("It can't be read."),
    }
}

fn sealing(member: &Member) -> Key32 {
    member.bundle().secret().key("sealpost import v1")
}

impl Portal {
    /// Looks at a file of contacts, and keeps it until its owner agrees.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no such file, too large, or brings too many.
    pub fn look_at_import(&self, member: &Member, file: &[u8]) -> Result<Preview, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let plan = Plan::of(read(file)?, &shelf)?;
        let id = ImportId::generate();
        let sealed = sealing(member).seal(id.bytes(), file)?;
        self.imports.keep(Waiting { id, mailbox: member.mailbox(), file: sealed, outcome: plan.outcome()? });
        Ok(plan.preview(id))
    }

    /// Imports a file that was looked at, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Expired`] when it waits no more.
    pub fn import(&self, member: &Member, id: ImportId) -> Result<Imported, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let waiting = self.imports.take(member.mailbox(), id).ok_or(Error::Expired)?;
        let file = sealing(member).open(id.bytes(), &waiting.file)?;
        let plan = Plan::of(read(file.as_bytes())?, &shelf)?;
        let outcome = plan.outcome()?;
        if outcome != waiting.outcome {
            self.imports.keep(Waiting { outcome, ..waiting });
            return Ok(Imported::Changed(plan.preview(id)));
        }
        let (mut edit, mut replaced) = (Edit::default(), Vec::new());
        let (new, changed) = (plan.new.len(), plan.changed.len());
        for ImportLine { contact, .. } in plan.new {
            edit.put(&shelf.own, ContactId::generate(), None, &Card::Contact(contact))?;
        }
        for (ImportLine { contact, .. }, placed) in plan.changed {
            edit.put(&shelf.own, placed.view.id, placed.slot, &Card::Contact(contact))?;
            replaced.extend(mailbox_of(&placed.view));
        }
        let (mailbox, account) = (member.mailbox(), member.account());
        let (now, audit) = (self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            edit.write(tx)?;
            for other in replaced {
                correspondents::take_away(tx, mailbox, other)?;
            }
            audit::note(tx, &audit, now, Some(account), Event::ContactsImported, account)
        })?;
        Ok(Imported::Done(new, changed))
    }

    /// One's own contacts as a file, those that came by themselves too; what the practice shares stays with it.
    pub fn export_contacts(&self, member: &Member, format: Format) -> Result<String, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let mut own: Vec<&Contact> = shelf.own_contacts().map(|placed| &placed.view.contact).collect();
        own.sort_by_cached_key(|contact| contact.order());
        let file = match format {
            Format::Csv => sheets::write(own.into_iter())?,
            Format::VCard => vcards::write(own.into_iter()),
        };
        let (account, now, audit) = (member.account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| audit::note(tx, &audit, now, Some(account), Event::ContactsExported, account))?;
        Ok(file)
    }
}
