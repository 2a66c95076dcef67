//! Drafts: what is being written, sealed to its writer under a slot of its own.
//!
//! To seal needs no secret, so a form that arrives after its writer was signed out for idleness is kept too. A draft
//! carries a revision: who saves from an older one is told that another tab was faster.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::accounts;
use super::blobs;
use super::due::{self, Due};
use super::fields::{self, EXPIRY_DAYS_MAX};
use super::filing;
use super::ids::{AccountId, DraftId, FileId, MailboxId, MessageId, key};
use super::messages::{FileInfo, Message};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::crypto::identity::{Bundle, MailboxPublic};
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{CryptoError, Parcel};
use crate::store::tables::{DRAFT_FILES, DRAFTS};
use crate::store::{BlobId, Direction, Record, Store, Table, Tx, WriteTx};
use crate::words::said::say;

/// Longest subject, in characters.
pub const SUBJECT_CHARS_MAX: usize = 200;
/// Longest text, in characters.
pub const BODY_CHARS_MAX: usize = 200_000;
/// Longest list of addresses, in characters as typed.
pub const TO_CHARS_MAX: usize = 30_000;
/// Files of one message.
pub const FILES_MAX: usize = 200;
/// Bytes of all files of one message: 100 MB as practices count them.
pub const SEND_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Drafts of one person.
pub const DRAFTS_MAX: usize = 500;

/// What stands outside a draft's seal. Key: mailbox ‖ draft.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// Overwriting it destroys the draft.
    pub(super) slot: SlotRef,
    /// The text, sealed to the writer.
    text: Parcel,
    /// Counts the savings.
    pub revision: u64,
    /// Last saving.
    pub changed: Timestamp,
}

impl Record for Draft {
    const TABLE: Table = DRAFTS;
    const VERSION: u8 = 1;
}

/// A file of a draft. Key: mailbox ‖ draft ‖ file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DraftFile {
    pub blob: BlobId,
    pub bytes: u64,
    info: Parcel,
    /// The order in which files are listed: what came later has a higher number.
    place: u32,
}

impl Record for DraftFile {
    const TABLE: Table = DRAFT_FILES;
    const VERSION: u8 = 1;
}

/// The form of a message as it was left.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DraftText {
    /// Addresses as typed.
    pub to: String,
    /// Addresses of those who get a copy, as typed.
    pub cc: String,
    /// What is said of new addresses.
    pub invitees: Vec<Invitee>,
    /// Whether everybody gets a message of their own.
    pub separately: bool,
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
    /// Value of the expiry field.
    pub expires: String,
    /// The message that this answers.
    pub reply_to: Option<MessageId>,
    /// Whether the answer goes to everybody.
    pub reply_all: bool,
    /// The message that this forwards. What stands in it is never kept in a draft.
    pub forward: Option<MessageId>,
    /// Files of that message that go with it.
    pub keep: Vec<FileId>,
    /// Whether those who receive it may not forward it.
    pub no_forwarding: bool,
}

/// What is said of a new address.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invitee {
    /// The address; empty for the only one.
    pub address: String,
    /// Value of the relationship field.
    pub relationship: String,
    /// Optional.
    pub first_name: String,
    /// Optional.
    pub last_name: String,
    /// Optional.
    pub office_phone: String,
    /// Optional.
    pub cell_phone: String,
}

impl std::fmt::Debug for DraftText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DraftText(…)")
    }
}

impl DraftText {
    fn check(&self) -> Result<(), Error> {
        let long = |field, text: &str, max: usize| {
            if text.chars().count() > max {
                return Err(Error::invalid(field, say!("This is too long: {max} characters at most.", max = max)));
            }
            Ok(())
        };
        long("subject", &self.subject, SUBJECT_CHARS_MAX)?;
        long("body", &self.body, BODY_CHARS_MAX)?;
        long("to", &self.to, TO_CHARS_MAX)?;
        long("cc", &self.cc, TO_CHARS_MAX)?;
        for row in &self.invitees {
            long("relationship", &row.address, TO_CHARS_MAX)?;
            for small in [&row.relationship, &row.first_name, &row.last_name, &row.office_phone, &row.cell_phone] {
                long("relationship", small, fields::NAME_CHARS_MAX)?;
            }
        }
        long("expires", &self.expires, 40)
    }
}

pub(super) fn draft_key(mailbox: MailboxId, draft: DraftId) -> Vec<u8> {
    key(&[mailbox.bytes(), draft.bytes()])
}

fn file_key(mailbox: MailboxId, draft: DraftId, file: FileId) -> Vec<u8> {
    key(&[mailbox.bytes(), draft.bytes(), file.bytes()])
}

fn context(mailbox: MailboxId, draft: DraftId) -> Vec<u8> {
    key(&[b"draft", mailbox.bytes(), draft.bytes()])
}

fn file_context(mailbox: MailboxId, draft: DraftId, file: FileId) -> Vec<u8> {
    key(&[b"draft file", mailbox.bytes(), draft.bytes(), file.bytes()])
}

/// Reads and opens a draft.
pub(super) fn open(tx: &impl Tx, slots: &SlotFile, member: &Member, id: DraftId) -> Result<(Draft, DraftText), Error> {
    let draft = tx.record::<Draft>(&draft_key(member.mailbox(), id))?.ok_or(Error::NotFound)?;
    let slot = slots.read(&draft.slot)?;
    let plain = draft.text.open(member.bundle().secret(), &slot, &context(member.mailbox(), id))?;
    // What the decoder says may quote the text.
    let text = rmp_serde::from_slice(plain.as_bytes()).map_err(|_| Error::internal("a draft"))?;
    Ok((draft, text))
}

/// The files of a draft, in the order in which they came.
pub(super) fn open_files(
    tx: &impl Tx,
    slots: &SlotFile,
    member: &Member,
    draft: &Draft,
    id: DraftId,
) -> Result<Vec<FileInfo>, Error> {
    let mailbox = member.mailbox();
    let slot = slots.read(&draft.slot)?;
    let mut files = Vec::new();
    for (row, file) in tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, FILES_MAX)? {
        let file_id = row.last_chunk::<16>().map(|id| FileId::from_bytes(*id)).ok_or(Error::NotFound)?;
        let plain = file.info.open(member.bundle().secret(), &slot, &file_context(mailbox, id, file_id))?;
        let info: FileInfo = rmp_serde::from_slice(plain.as_bytes()).map_err(|_| Error::internal("a draft's file"))?;
        files.push((file.place, info));
    }
    files.sort_by_key(|(place, _)| *place);
    Ok(files.into_iter().map(|(_, info)| info).collect())
}

/// The blobs of a draft's files.
pub(super) fn files_blobs(tx: &impl Tx, mailbox: MailboxId, id: DraftId) -> Result<BTreeSet<BlobId>, Error> {
    let files = tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, FILES_MAX)?;
    Ok(files.into_iter().map(|(_, file)| file.blob).collect())
}

/// How many files a draft has.
pub(super) fn files_count(tx: &impl Tx, mailbox: MailboxId, id: DraftId) -> Result<usize, Error> {
    Ok(tx.count_under(DRAFT_FILES, &draft_key(mailbox, id))?)
}

/// Bytes and number of a draft's files.
pub(super) fn files_sum(tx: &impl Tx, mailbox: MailboxId, id: DraftId) -> Result<(u64, usize), Error> {
    let files = tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, FILES_MAX)?;
    Ok((files.iter().map(|(_, file)| file.bytes).sum(), files.len()))
}

/// The place behind the last file of a draft.
fn next_place(tx: &impl Tx, mailbox: MailboxId, id: DraftId) -> Result<u32, Error> {
    let files = tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, FILES_MAX)?;
    Ok(files.iter().map(|(_, file)| file.place + 1).max().unwrap_or_default())
}

/// Re-keys every draft of a mailbox from one identity to another.
pub(super) fn rekey(
    tx: &mut WriteTx<'_>,
    store: &Store,
    mailbox: MailboxId,
    old: &Bundle,
    new: &MailboxPublic,
) -> Result<(), Error> {
    for (row, mut draft) in tx.records_under::<Draft>(mailbox.bytes(), Direction::Forward, usize::MAX)? {
        let id = row.last_chunk::<16>().map(|id| DraftId::from_bytes(*id)).ok_or(Error::NotFound)?;
        let slot = store.slots().read(&draft.slot)?;
        draft.text = draft.text.rekey(old.secret(), new, &slot, &context(mailbox, id))?;
        tx.put_record(&row, &draft)?;
        for (row, mut file) in tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, FILES_MAX)? {
            let file_id = row.last_chunk::<16>().map(|id| FileId::from_bytes(*id)).ok_or(Error::NotFound)?;
            file.info = file.info.rekey(old.secret(), new, &slot, &file_context(mailbox, id, file_id))?;
            tx.put_record(&row, &file)?;
        }
    }
    Ok(())
}

/// Forgets a draft: overwrites its slot and removes its rows. Its files' blobs go too, unless a message took them; then
/// the slot is overwritten only once the message is there.
pub(super) fn forget(tx: &mut WriteTx<'_>, mailbox: MailboxId, id: DraftId, keep_blobs: bool) -> Result<(), Error> {
    let Some(draft) = tx.record::<Draft>(&draft_key(mailbox, id))? else { return Ok(()) };
    if keep_blobs { tx.retire_slot(draft.slot) } else { tx.erase_slot(draft.slot) }?;
    tx.delete_record::<Draft>(&draft_key(mailbox, id));
    for (row, file) in tx.records_under::<DraftFile>(&draft_key(mailbox, id), Direction::Forward, usize::MAX)? {
        tx.delete_record::<DraftFile>(&row);
        if !keep_blobs {
            blobs::release(tx, file.blob)?;
        }
    }
    due::undue(tx, Due::Draft(mailbox, id), draft_end(draft.changed));
    filing::file_draft(tx, mailbox, id, Some(draft.changed), None)
}

/// When a draft that was last changed at `changed` is destroyed.
fn draft_end(changed: Timestamp) -> Timestamp {
    fields::days_after(changed, EXPIRY_DAYS_MAX)
}

/// A draft as its writer opens it again.
#[derive(Debug)]
pub struct DraftView {
    /// Identifier.
    pub id: DraftId,
    /// Revision.
    pub revision: u64,
    /// Text.
    pub text: DraftText,
    /// Files.
    pub files: Vec<FileInfo>,
}

/// Whose draft it is: a signed-in person's, or one's whose session has just ended.
struct Writer {
    mailbox: MailboxId,
    public: MailboxPublic,
}

/// What a saving builds on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basis {
    /// There must be no draft yet. The one made has revision 0, so that a page that has saved nothing can still save.
    Nothing,
    /// This must be its latest revision, if there is one.
    Revision(u64),
    /// Whatever is there.
    Anything,
}

impl Basis {
    fn holds(self, current: Option<&Draft>) -> bool {
        match (self, current) {
            (Self::Nothing, draft) => draft.is_none(),
            (Self::Revision(revision), Some(draft)) => draft.revision == revision,
            (Self::Revision(_), None) | (Self::Anything, _) => true,
        }
    }
}

/// A slot for one more draft of a mailbox.
fn place_for_another(tx: &mut WriteTx<'_>, mailbox: MailboxId, slot: &SlotKey) -> Result<SlotRef, Error> {
    if tx.count_under(DRAFTS, mailbox.bytes())? >= DRAFTS_MAX {
        let message = say!("You have {most} drafts. Send or discard one before you begin another.", most = DRAFTS_MAX);
        return Err(Error::invalid("form", message));
    }
    Ok(tx.new_slot(slot)?)
}

impl Portal {
    /// Opens a draft.
    pub fn draft(&self, member: &Member, id: DraftId) -> Result<DraftView, Error> {
        self.store.read(|tx| {
            let (draft, text) = open(tx, self.store.slots(), member, id)?;
            let files = open_files(tx, self.store.slots(), member, &draft, id)?;
            Ok(DraftView { id, revision: draft.revision, text, files })
        })
    }

    /// Saves a draft; the new revision.
    ///
    /// # Errors
    /// [`Error::Conflict`] when `based_on` is not its latest revision (`None` saves all the same);
    /// [`Error::Expired`] when it has been sent.
    pub fn save_draft(
        &self,
        member: &Member,
        id: DraftId,
        based_on: Option<u64>,
        text: &DraftText,
    ) -> Result<u64, Error> {
        let basis = based_on.map_or(Basis::Anything, Basis::Revision);
        self.save(self.writer(member.account())?, id, basis, text)
    }

    /// Saves what somebody was writing when their session ended for idleness.
    pub fn save_draft_of_ended_session(&self, token: &str, id: DraftId, text: &DraftText) -> Result<(), Error> {
        let writer = self.writer(self.whose_session(token)?)?;
        self.save(writer, id, Basis::Anything, text).map(|_| ())
    }

    /// Makes sure that there is a draft to which files can be added.
    pub(super) fn touch_draft(&self, member: &Member, id: DraftId) -> Result<(), Error> {
        let exists = self.store.read(|tx| Ok::<_, Error>(tx.has(DRAFTS, &draft_key(member.mailbox(), id))?))?;
        if exists {
            return Ok(());
        }
        match self.save(self.writer(member.account())?, id, Basis::Nothing, &DraftText::default()) {
            // Another request was faster: all the better.
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn writer(&self, account: AccountId) -> Result<Writer, Error> {
        self.store.read(|tx| {
            let mailbox = accounts::account(tx, account)?.mailbox;
            Ok(Writer { mailbox, public: accounts::mailbox(tx, mailbox)?.public })
        })
    }

    fn save(&self, writer: Writer, id: DraftId, basis: Basis, text: &DraftText) -> Result<u64, Error> {
        text.check()?;
        let plain = rmp_serde::to_vec_named(text).map(crate::crypto::Plain::new).map_err(Error::internal)?;
        let Writer { mailbox, public } = writer;
        let row = draft_key(mailbox, id);
        let old = self.store.read(|tx| Ok::<_, Error>(tx.record::<Draft>(&row)?))?;
        let (slot, place) = match &old {
            Some(draft) => (self.store.slots().read(&draft.slot)?, Some(draft.slot)),
            None => (SlotKey::generate(), None),
        };
        let text = Parcel::seal(plain.as_bytes(), &public, &slot, &context(mailbox, id))?;
        let changed = self.now();
        self.store.write(move |tx| {
            let current = tx.record::<Draft>(&row)?;
            if tx.record::<Message>(id.becomes(mailbox).bytes())?.is_some() {
                return Err(Error::Expired);
            }
            // The text is sealed under the slot that was there a moment ago.
            if current.as_ref().map(|draft| draft.slot) != place || !basis.holds(current.as_ref()) {
                return Err(Error::Conflict);
            }
            let was = current.as_ref().map(|draft| draft.changed);
            let (slot, revision) = match current {
                Some(draft) => (draft.slot, draft.revision + 1),
                None => (place_for_another(tx, mailbox, &slot)?, u64::from(basis != Basis::Nothing)),
            };
            tx.put_record(&row, &Draft { slot, text, revision, changed })?;
            if let Some(was) = was {
                due::undue(tx, Due::Draft(mailbox, id), draft_end(was));
            }
            due::due(tx, Due::Draft(mailbox, id), draft_end(changed));
            filing::file_draft(tx, mailbox, id, was, Some(changed))?;
            Ok(revision)
        })
    }

    /// Destroys a draft and its files.
    pub fn discard_draft(&self, member: &Member, id: DraftId) -> Result<(), Error> {
        self.uploads.abort_draft(member.mailbox(), id);
        let mailbox = member.mailbox();
        self.store.write_urgently(move |tx| forget(tx, mailbox, id, false))
    }

    /// Adds a file whose bytes are sealed and durable.
    pub(super) fn add_file(&self, member: &Member, id: DraftId, info: &FileInfo) -> Result<(), Error> {
        let plain = rmp_serde::to_vec_named(info).map(crate::crypto::Plain::new).map_err(Error::internal)?;
        let mailbox = member.mailbox();
        let draft = self.store.read(|tx| tx.record::<Draft>(&draft_key(mailbox, id)).map_err(Error::from))?;
        let draft = draft.ok_or(Error::NotFound)?;
        let slot = match self.store.slots().read(&draft.slot) {
            Err(CryptoError::Destroyed) => return Err(Error::NotFound),
            other => other?,
        };
        let public = member.bundle().public();
        let sealed = Parcel::seal(plain.as_bytes(), &public, &slot, &file_context(mailbox, id, info.id))?;
        let (file, blob, bytes) = (info.id, info.blob, info.bytes);
        self.store.write(move |tx| {
            let current = tx.record::<Draft>(&draft_key(mailbox, id))?.ok_or(Error::NotFound)?;
            if current.slot != draft.slot {
                return Err(Error::NotFound);
            }
            let (sum, count) = files_sum(tx, mailbox, id)?;
            if sum + bytes > SEND_BYTES_MAX || count >= FILES_MAX {
                return Err(too_large());
            }
            let place = next_place(tx, mailbox, id)?;
            tx.put_record(&file_key(mailbox, id, file), &DraftFile { blob, bytes, info: sealed, place })?;
            blobs::own(tx, blob, id)
        })
    }

    /// Removes a file from a draft and destroys it.
    pub fn remove_file(&self, member: &Member, id: DraftId, file: FileId) -> Result<(), Error> {
        let mailbox = member.mailbox();
        self.store.write_urgently(move |tx| {
            tx.record::<Draft>(&draft_key(mailbox, id))?.ok_or(Error::NotFound)?;
            let row = file_key(mailbox, id, file);
            let found = tx.record::<DraftFile>(&row)?.ok_or(Error::NotFound)?;
            tx.delete_record::<DraftFile>(&row);
            blobs::release(tx, found.blob)
        })
    }
}

/// More bytes or files than one message can have.
pub(super) fn too_large() -> Error {
    Error::invalid(
        "files",
        "One message carries at most 100 MB and 200 files. Your text and the other files are still here.",
    )
}
