//! Messages: what is stored of one, and the one function that opens it.
//!
//! Outside the seal stand identifiers, times and states. Subject, text and the list of files are inside, in one age
//! file that its sender has signed; each holder has a [`Holding`] with their way to its key.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Mailbox};
use super::fields::{self, EXPIRY_DAYS_MAX};
use super::ids::{AccountId, FileId, MailboxId, MessageId, ThreadId, key};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::shards;
use super::time::Timestamp;
use crate::crypto::identity::{Bundle, MailboxPublic};
use crate::crypto::seal::open_content;
use crate::crypto::secret::{bytes, sha256};
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{ContentKey, CryptoError, Digest, Sealed, Wrap};
use crate::store::tables::{BODIES, HOLDINGS, MESSAGES, THREAD_MESSAGES};
use crate::store::{BlobId, Direction, Record, Table, Tx, WriteTx};

/// Messages of one thread that a page shows; older ones are left out.
pub const THREAD_MESSAGES_MAX: usize = 500;

/// One sending, without its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Identifier.
    pub id: MessageId,
    /// Conversation.
    pub thread: ThreadId,
    /// Who sent it.
    pub sender: MailboxId,
    /// When.
    pub created: Timestamp,
    /// Until when it can be read.
    pub expires: Timestamp,
    /// Everybody who was given a copy, the sender first.
    pub holders: Vec<Holder>,
    /// The sender's signature over [`Message::signed_bytes`].
    #[serde(with = "bytes")]
    pub signature: Vec<u8>,
    /// Expiry at sending: part of what was signed.
    pub first_expires: Timestamp,
    /// SHA-256 of the sealed body. The body holds the digests of the files, so this one covers them all.
    #[serde(with = "bytes")]
    pub digest: Digest,
    /// Its files' blobs, in no particular order.
    pub blobs: Vec<BlobId>,
    /// Set once it is destroyed.
    pub destroyed: Option<Destroyed>,
    /// Set on what forwards another message.
    #[serde(default)]
    pub forwards: Option<Forwards>,
}

impl Record for Message {
    const TABLE: Table = MESSAGES;
    const VERSION: u8 = 1;
}

/// Somebody with a copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// Whose.
    pub mailbox: MailboxId,
    /// When they first opened it; the sender at once.
    pub opened: Option<Timestamp>,
    /// What became of the notice to them.
    pub notice: NoticeState,
    /// Whether they deleted their copy.
    #[serde(default)]
    pub deleted: bool,
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// None is needed: it is the sender.
    None,
    /// In the outbox.
    Waiting,
    /// Handed to the mail server.
    Sent(Timestamp),
    /// Refused or given up; why, in plain words.
    Failed(String),
}

/// What binds a forwarded copy to its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwards {
    /// The original.
    pub of: MessageId,
    /// When that was to be destroyed, as it stood at the forwarding.
    pub until: Timestamp,
}

/// When and why a message was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destroyed {
    /// When.
    pub at: Timestamp,
    /// Whether its sender recalled it before its date.
    pub recalled: bool,
}

/// One holder's way into a message. Key: mailbox ‖ message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Holding {
    /// Overwriting it destroys this copy.
    pub slot: SlotRef,
    /// The content's key, for this mailbox and slot.
    pub wrap: Wrap,
}

impl Record for Holding {
    const TABLE: Table = HOLDINGS;
    const VERSION: u8 = 1;
}

/// What a sender wrote: only ever in memory or sealed.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Content {
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
    /// Files.
    pub files: Vec<FileInfo>,
    /// Those of its holders who were sent a copy; the others it was written to.
    #[serde(default)]
    pub cc: Vec<MailboxId>,
    /// What it forwards: the newest first.
    #[serde(default)]
    pub forwarded: Vec<Forwarded>,
    /// Whether its sender forbids to forward it.
    #[serde(default)]
    pub no_forwarding: bool,
}

/// A message that is quoted in one that forwards it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Forwarded {
    /// Who sent it: `Name <address>`.
    pub from: String,
    /// Whom it was written to.
    pub to: Vec<String>,
    /// Who was sent a copy.
    pub cc: Vec<String>,
    /// When.
    pub sent: Timestamp,
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forwarded(…)")
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(…)")
    }
}

/// A file of a message or draft: name, type, size and key are sealed with the rest.
#[derive(Clone, Serialize, Deserialize)]
pub struct FileInfo {
    /// Identifier.
    pub id: FileId,
    /// Name as its sender had it, without a path.
    pub name: String,
    /// Media type, by name.
    pub mime: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Where its sealed bytes are.
    pub blob: BlobId,
    /// SHA-256 of its sealed bytes.
    #[serde(with = "bytes")]
    pub digest: Digest,
    /// Opens the blob.
    pub(super) key: ContentKey,
}

impl std::fmt::Debug for FileInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileInfo({})", self.id)
    }
}

/// What opening a message gives.
#[derive(Debug)]
pub enum Opened {
    /// What was written.
    Content(Content),
    /// Nothing: it is destroyed, or due to be this second.
    Destroyed(Destroyed),
    /// Nothing that can be believed: bytes on the disk were changed.
    Damaged,
}

impl Opened {
    /// What was written, unless it is destroyed or damaged.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Content(content) => Some(content),
            Self::Destroyed(_) | Self::Damaged => None,
        }
    }
}

impl Message {
    /// The place of a mailbox among the holders, unless it deleted its copy.
    pub fn holder(&self, mailbox: MailboxId) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.mailbox == mailbox && !holder.deleted)
    }

    pub(super) fn holder_mut(&mut self, mailbox: MailboxId) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.mailbox == mailbox && !holder.deleted)
    }

    /// Those whom it was sent to.
    pub fn recipients(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(|holder| holder.mailbox != self.sender)
    }

    /// When it is or was destroyed, if that moment has come.
    pub fn gone(&self, now: Timestamp) -> Option<Destroyed> {
        self.destroyed.or_else(|| (self.expires <= now).then_some(Destroyed { at: self.expires, recalled: false }))
    }

    /// The latest moment to which its expiry can be moved: 30 days from sending, and not beyond what it forwards.
    pub fn latest_expiry(&self) -> Timestamp {
        let latest = fields::days_after(self.created, EXPIRY_DAYS_MAX);
        self.forwards.map_or(latest, |bond| latest.min(bond.until))
    }

    /// What the sender signs: identifiers, holders, times and the digest of the sealed body.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.holders.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut signed =
            key(&[b"sealpost message v1\0", self.id.bytes(), self.thread.bytes(), self.sender.bytes(), &count]);
        for holder in &self.holders {
            signed.extend(holder.mailbox.bytes());
        }
        signed.extend(self.created.ascending());
        signed.extend(self.first_expires.ascending());
        signed.extend(self.digest);
        signed
    }

    /// What a holder's wrap is bound to: message, holder, sender, created, latest possible expiry.
    pub fn wrap_context(&self, holder: MailboxId) -> Vec<u8> {
        let (created, latest) = (self.created.ascending(), self.latest_expiry().ascending());
        key(&[b"message", self.id.bytes(), holder.bytes(), self.sender.bytes(), &created, &latest])
    }
}

/// Reads a message that must be there.
pub(super) fn message(tx: &impl Tx, id: MessageId) -> Result<Message, Error> {
    tx.record::<Message>(id.bytes())?.ok_or(Error::NotFound)
}

/// Writes a message.
pub(super) fn put(tx: &mut WriteTx<'_>, message: &Message) -> Result<(), Error> {
    Ok(tx.put_record(message.id.bytes(), message)?)
}

/// Key of a holding.
pub(super) fn holding_key(mailbox: MailboxId, message: MessageId) -> Vec<u8> {
    key(&[mailbox.bytes(), message.bytes()])
}

/// Key of a message in a mailbox's view of its thread.
pub(super) fn thread_key(mailbox: MailboxId, message: &Message) -> Vec<u8> {
    key(&[mailbox.bytes(), message.thread.bytes(), &message.created.ascending(), message.id.bytes()])
}

/// The messages of a thread that a mailbox holds or held, oldest first.
pub(super) fn of_thread(tx: &impl Tx, mailbox: MailboxId, thread: ThreadId) -> Result<Vec<Message>, Error> {
    let prefix = key(&[mailbox.bytes(), thread.bytes()]);
    let end = crate::store::prefix_end(&prefix);
    let rows = tx.range(THREAD_MESSAGES, &prefix, &end, Direction::Backward, THREAD_MESSAGES_MAX)?;
    let ids = rows.iter().rev().filter_map(|(key, _)| key.last_chunk::<16>());
    ids.map(|id| message(tx, MessageId::from_bytes(*id))).collect()
}

/// The one way to a message's content: checks that `member` holds a copy, that its time is not over, that its bytes
/// are what the sender signed, and opens it.
///
/// # Errors
/// [`Error::NotFound`] when there is no such message or it is none of this person's.
pub(super) fn open(
    tx: &impl Tx,
    slots: &SlotFile,
    member: &Member,
    id: MessageId,
    now: Timestamp,
) -> Result<(Message, Opened), Error> {
    let message = held(tx, member, id)?;
    let opened = open_held(tx, slots, member, &message, now)?;
    Ok((message, opened))
}

/// What stands outside the seal of a message of which `member` holds a copy.
pub(super) fn held(tx: &impl Tx, member: &Member, id: MessageId) -> Result<Message, Error> {
    let message = message(tx, id)?;
    message.holder(member.mailbox()).ok_or(Error::NotFound)?;
    Ok(message)
}

/// Opens what [`held`] gave.
pub(super) fn open_held(
    tx: &impl Tx,
    slots: &SlotFile,
    member: &Member,
    message: &Message,
    now: Timestamp,
) -> Result<Opened, Error> {
    if let Some(destroyed) = message.gone(now) {
        return Ok(Opened::Destroyed(destroyed));
    }
    match open_believed(tx, slots, member, message) {
        Ok(content) => Ok(Opened::Content(content)),
        Err(Error::Expired) => Ok(Opened::Destroyed(Destroyed { at: now, recalled: false })),
        Err(Error::Internal { cause }) => {
            tracing::error!(message = %message.id, cause, "a message is not what its sender signed");
            Ok(Opened::Damaged)
        }
        Err(error) => Err(error),
    }
}

fn open_believed(tx: &impl Tx, slots: &SlotFile, member: &Member, message: &Message) -> Result<Content, Error> {
    let damaged = || Error::internal("a message");
    let holding = tx.record::<Holding>(&holding_key(member.mailbox(), message.id))?.ok_or_else(damaged)?;
    let slot = slots.read(&holding.slot)?;
    let content_key = holding.wrap.open(member.bundle().secret(), &slot, &message.wrap_context(member.mailbox()))?;
    let sealed = Sealed::from_stored(tx.get(BODIES, message.id.bytes())?.ok_or_else(damaged)?);
    let sender: Mailbox = accounts::mailbox(tx, message.sender)?;
    let signed = sha256(&[sealed.as_bytes()]) == message.digest
        && sender.public.verifies(&message.signed_bytes(), &message.signature);
    if !signed {
        return Err(damaged());
    }
    let plain = open_content(&sealed, &content_key)?;
    rmp_serde::from_slice(plain.as_bytes()).map_err(|_| damaged())
}

/// A copy that is ready to be written: wrapped outside the transaction.
pub(super) struct NewHolding {
    mailbox: MailboxId,
    slot: SlotKey,
    wrap: Wrap,
}

impl NewHolding {
    /// Wraps the content's key for one holder of `message`.
    pub(super) fn wrap(
        message: &Message,
        mailbox: MailboxId,
        public: &MailboxPublic,
        content_key: &ContentKey,
    ) -> Result<Self, CryptoError> {
        let slot = SlotKey::generate();
        let wrap = Wrap::seal(content_key, public, &slot, &message.wrap_context(mailbox))?;
        Ok(Self { mailbox, slot, wrap })
    }

    /// The secret of its slot.
    pub(super) fn slot(&self) -> &SlotKey {
        &self.slot
    }

    /// Writes the copy.
    pub(super) fn give(self, tx: &mut WriteTx<'_>, message: &Message) -> Result<(), Error> {
        let slot = tx.new_slot(&self.slot)?;
        tx.put_record(&holding_key(self.mailbox, message.id), &Holding { slot, wrap: self.wrap })?;
        tx.put(THREAD_MESSAGES, &thread_key(self.mailbox, message), Vec::new());
        shards::list(tx, self.mailbox, message.id);
        Ok(())
    }
}

/// Re-keys everything that a mailbox holds from one identity to another: at registration and after a recovery. What
/// is sealed and signed stays as it is; only the wraps are made anew, under the same slots.
pub(super) fn rekey(
    tx: &mut WriteTx<'_>,
    slots: &SlotFile,
    mailbox: MailboxId,
    old: &Bundle,
    new: &MailboxPublic,
) -> Result<(), Error> {
    shards::drop_all(tx, mailbox)?;
    for (row, mut holding) in tx.records_under::<Holding>(mailbox.bytes(), Direction::Forward, usize::MAX)? {
        let id = row.last_chunk::<16>().ok_or_else(|| Error::internal("a holding's key"))?;
        let context = message(tx, MessageId::from_bytes(*id))?.wrap_context(mailbox);
        let slot = match slots.read(&holding.slot) {
            Ok(slot) => slot,
            Err(CryptoError::Destroyed) => continue,
            Err(error) => return Err(error.into()),
        };
        let content_key = holding.wrap.open(old.secret(), &slot, &context)?;
        holding.wrap = Wrap::seal(&content_key, new, &slot, &context)?;
        tx.put_record(&row, &holding)?;
    }
    Ok(())
}

/// A person as others see them beside a message.
#[derive(Clone, Debug)]
pub struct Correspondent {
    /// Account.
    pub account: AccountId,
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Whether they have registered.
    pub registered: bool,
}

/// Who owns a mailbox.
pub(super) fn correspondent(tx: &impl Tx, mailbox: MailboxId) -> Result<Correspondent, Error> {
    let account = accounts::account(tx, accounts::mailbox(tx, mailbox)?.owner)?;
    Ok(Correspondent {
        account: account.id,
        name: account.name(),
        email: account.email.to_string(),
        registered: account.status != accounts::Status::Invited,
    })
}

impl Portal {
    /// Opens one message for one of its holders.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Expired`] when it is destroyed; [`Error::Conflict`] when it is damaged.
    pub(super) fn open_message(&self, member: &Member, id: MessageId) -> Result<(Message, Content), Error> {
        let now = self.now();
        match self.store.read(|tx| open(tx, self.store.slots(), member, id, now))? {
            (message, Opened::Content(content)) => Ok((message, content)),
            (_, Opened::Destroyed(_)) => Err(Error::Expired),
            (_, Opened::Damaged) => Err(Error::Conflict),
        }
    }
}
