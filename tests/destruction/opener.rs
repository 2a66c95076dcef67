//! The opener: somebody who has taken disks, copies, keys and passwords, and tries everything on everything.
//!
//! It carves rows, slots, epoch keys and contents out of raw bytes, so that it sees what deleted pages, freed blocks and
//! old copies still hold, and opens them with the product's own code: `crypto` and the methods of the stored types. Two
//! formats are read here by hand, slot records and epoch files, only far enough to put them back where the product's
//! [`SlotFile`] reads them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use memchr::memmem;
use sealpost::crypto::host::HostKey;
use sealpost::crypto::identity::{Bundle, MailboxSecret};
use sealpost::crypto::kit::Kit;
use sealpost::crypto::password::{Derived, PasswordHasher, Stretch};
use sealpost::crypto::seal::{ContentReader, open_content};
use sealpost::crypto::secret::{Hasher, bytes};
use sealpost::crypto::slots::{SlotFile, SlotKey, SlotRef};
use sealpost::crypto::{ContentKey, Digest, Parcel, Sealed, Wrap, secret_text};
use sealpost::domain::accounts::{Account, Mailbox};
use sealpost::domain::drafts::DraftText;
use sealpost::domain::ids::{ContactId, DraftId, FileId, MailboxId, MessageId};
use sealpost::domain::messages::Message;
use sealpost::search::shard::Shard;
use sealpost::store::BlobId;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Bytes of a slot record, and what each ends with.
const RECORD_BYTES: usize = 64;
const RECORD_END: &[u8] = b"slot";
/// Bytes of an epoch file, of the sealed key at its start, and of the slot file's steps.
const EPOCH_FILE_BYTES: usize = 4096;
const EPOCH_SEALED_BYTES: usize = 72;
const SLOT_FILE_BYTES: u64 = 1 << 20;
/// Epochs that are tried: one a night, and the tests know few nights.
const EPOCHS_MAX: u64 = 20;
/// Longest content that is carved, in bytes: what the tests write is shorter, and the bytes of files stand elsewhere.
const BODY_BYTES_MAX: usize = 2048;

/// A copy's row, as the store keeps it.
#[derive(Deserialize, Clone, PartialEq, Eq)]
struct Holding {
    slot: SlotRef,
    wrap: Wrap,
}

/// A draft's row.
#[derive(Deserialize)]
struct Draft {
    slot: SlotRef,
    text: Parcel,
}

/// A draft's file's row.
#[derive(Deserialize)]
struct DraftFile {
    info: Parcel,
}

/// The row of a part of a search index, and the row with the index itself.
#[derive(Deserialize)]
struct ShardRow {
    slot: SlotRef,
    #[serde(rename = "full")]
    _full: bool,
}

#[derive(Deserialize)]
struct ShardIndex {
    index: Parcel,
}

/// A contact's row.
#[derive(Deserialize, Clone, PartialEq, Eq)]
struct Entry {
    slot: SlotRef,
    card: Sealed,
}

/// A message's content, as it is sealed.
#[derive(Deserialize, Debug, Clone)]
pub struct Content {
    pub subject: String,
    pub body: String,
    pub files: Vec<FileLine>,
    pub forwarded: Vec<Quoted>,
}

/// A message that is quoted in it.
#[derive(Deserialize, Debug, Clone)]
pub struct Quoted {
    pub body: String,
}

/// A file in it, with the key of its blob.
#[derive(Deserialize, Debug, Clone)]
pub struct FileLine {
    pub name: String,
    pub blob: BlobId,
    #[serde(with = "bytes")]
    key: [u8; 16],
}

/// Everything of ours that was found in raw bytes.
#[derive(Default)]
pub struct Loot {
    accounts: Vec<Account>,
    mailboxes: Vec<Mailbox>,
    messages: Vec<Message>,
    holdings: Vec<Holding>,
    drafts: Vec<Draft>,
    draft_files: Vec<DraftFile>,
    shards: Vec<ShardRow>,
    indexes: Vec<ShardIndex>,
    entries: Vec<Entry>,
    bodies: HashMap<Digest, Sealed>,
    records: BTreeSet<Vec<u8>>,
    epochs: BTreeSet<Vec<u8>>,
    /// Blobs are files of their own: by name, from the folders taken.
    blobs: HashMap<String, Vec<u8>>,
}

/// What the thief has besides.
pub struct Keys<'k> {
    pub host: &'k HostKey,
    pub passwords: &'k [&'k str],
    pub kit: Option<&'k Kit>,
}

/// Identifiers that stand in keys of rows and are no secrets: whose draft, which one, which files.
pub struct Wanted {
    pub mailbox: MailboxId,
    pub draft: DraftId,
    pub files: Vec<FileId>,
}

/// What could be opened.
#[derive(Default)]
pub struct Opened {
    /// Copies whose content key was reached, by message and holder, with the content where its bytes were found.
    pub copies: BTreeMap<(MessageId, MailboxId), Option<Content>>,
    pub drafts: BTreeMap<DraftId, DraftText>,
    pub draft_files: BTreeMap<DraftId, Vec<FileLine>>,
    /// Whose keys were reached, and by which password, or by the kit.
    pub identities: BTreeSet<(String, String)>,
    /// Search indexes, and whose they are.
    pub shards: Vec<(MailboxId, Shard)>,
    secrets: Vec<(MailboxId, MailboxSecret)>,
}

/// Every value of a type whose encoding holds `pattern` a few bytes behind its start.
fn carve<T: DeserializeOwned>(raw: &[u8], pattern: &[u8]) -> Vec<T> {
    let mut found = Vec::new();
    for at in memmem::find_iter(raw, pattern) {
        // A MessagePack map begins with one byte, or with three when it has more than fifteen fields.
        let starts = [1, 3].iter().filter_map(|before| at.checked_sub(*before));
        found.extend(starts.filter_map(|start| rmp_serde::from_read(&raw[start..]).ok()));
    }
    found
}

/// Adds what is not there yet; two things are one when `of` says the same of both.
fn add<T, K: PartialEq>(to: &mut Vec<T>, found: Vec<T>, of: impl Fn(&T) -> K) {
    for one in found {
        if to.iter().all(|known| of(known) != of(&one)) {
            to.push(one);
        }
    }
}

impl Loot {
    /// Takes what it recognises in the bytes of a disk or file.
    pub fn take(&mut self, raw: &[u8]) {
        let id = b"\xa2id\xc4\x10";
        let keys =
            |account: &Account| (account.id, account.credentials.as_ref().map(|it| (it.slot.tag, it.stretch.salt)));
        add(&mut self.accounts, carve(raw, id), keys);
        // What a copy is bound to, and the digest, are the same in every version of a message's row.
        add(&mut self.messages, carve(raw, id), |message: &Message| message.id);
        let pending = |mailbox: &Mailbox| (mailbox.owner, mailbox.pending.as_ref().map(|it| it.slot.tag));
        add(&mut self.mailboxes, carve(raw, b"\xa5owner\xc4\x10"), pending);
        let slot = b"\xa4slot\x82\xa5index";
        add(&mut self.holdings, carve(raw, slot), Holding::clone);
        add(&mut self.drafts, carve(raw, slot), |draft: &Draft| (draft.slot, draft.text.clone()));
        add(&mut self.entries, carve(raw, slot), Entry::clone);
        add(&mut self.draft_files, carve(raw, b"\xa4blob\xdc\x00\x10"), |file: &DraftFile| file.info.clone());
        add(&mut self.shards, carve(raw, slot), |shard: &ShardRow| shard.slot);
        add(&mut self.indexes, carve(raw, b"\xa5index\x82\xa7content"), |row: &ShardIndex| row.index.clone());
        self.take_slots(raw);
        self.take_bodies(raw);
    }

    /// Takes slot records and epoch files: the first stand at multiples of 64 bytes, the second in blocks of their own.
    fn take_slots(&mut self, raw: &[u8]) {
        for record in raw.chunks_exact(RECORD_BYTES).filter(|record| record.ends_with(RECORD_END)) {
            self.records.insert(record.to_vec());
        }
        for block in raw.chunks_exact(EPOCH_FILE_BYTES) {
            let (sealed, rest) = block.split_at(EPOCH_SEALED_BYTES);
            if sealed[EPOCH_SEALED_BYTES - 1] != 0 && rest.iter().all(|byte| *byte == 0) {
                self.epochs.insert(block.to_vec());
            }
        }
    }

    /// Takes contents. Where one ends is not written beside it: the digests in the messages' rows tell.
    fn take_bodies(&mut self, raw: &[u8]) {
        let digests: BTreeSet<Digest> = self.messages.iter().map(|message| message.digest).collect();
        for at in memmem::find_iter(raw, b"age-encryption.org/v1\n-> sealpost") {
            let mut hasher = Hasher::default();
            for (length, byte) in raw[at..].iter().take(BODY_BYTES_MAX).enumerate() {
                hasher.update(&[*byte]);
                // The shortest content is longer than this.
                if length > 150 && digests.contains(&hasher.clone().finish()) {
                    let digest = hasher.finish();
                    self.bodies.insert(digest, Sealed::from_stored(raw[at..=at + length].to_vec()));
                    break;
                }
            }
        }
    }

    /// Takes every file of a folder, but for those whose name begins with `without`.
    pub fn take_folder(&mut self, folder: &std::path::Path, without: &str) {
        for path in crate::place::files_under(folder) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if without.is_empty() || !name.starts_with(without) {
                let bytes = std::fs::read(&path).unwrap();
                if name.len() == 32 {
                    self.blobs.insert(name, bytes);
                } else {
                    self.take(&bytes);
                }
            }
        }
    }

    /// How many different rows of copies were found.
    pub fn holdings(&self) -> usize {
        self.holdings.len()
    }

    /// The mailbox of an address.
    pub fn mailbox(&self, email: &str) -> MailboxId {
        self.accounts.iter().find(|account| account.email.as_str() == email).unwrap().mailbox
    }

    /// How many epoch keys the host key opens.
    pub fn epochs(&self, host: &HostKey) -> BTreeSet<u64> {
        self.epochs.iter().filter_map(|block| epoch_number(host, block)).collect()
    }

    /// Tries everything on everything.
    pub fn open(&self, keys: &Keys<'_>, slots: &Slots, ids: &[Wanted]) -> Opened {
        let mut opened = Opened::default();
        self.open_identities(keys, slots, &mut opened);
        self.open_copies(slots, &mut opened);
        self.open_drafts(slots, ids, &mut opened);
        self.open_shards(slots, &mut opened);
        opened
    }

    /// The bytes of a file, if its blob was found and its key opens it.
    pub fn file(&self, line: &FileLine) -> Option<Vec<u8>> {
        let sealed = self.blobs.get(&line.blob.to_string())?;
        let mut plain = Vec::new();
        let mut reader = ContentReader::new(sealed.as_slice(), &ContentKey::from_bytes(line.key)).ok()?;
        std::io::Read::read_to_end(&mut reader, &mut plain).ok().map(|_| plain)
    }

    /// Every slot that any row names and any record, under any epoch key that the host key opens, still gives. Each
    /// record is put where the row says, and the product's own reader is asked.
    pub fn slots(&self, host: &HostKey) -> Slots {
        let wanted = self.holdings.iter().map(|holding| holding.slot);
        let wanted = wanted.chain(self.drafts.iter().map(|draft| draft.slot));
        let wanted = wanted.chain(self.shards.iter().map(|shard| shard.slot));
        let wanted = wanted.chain(self.entries.iter().map(|entry| entry.slot));
        let wanted = wanted.chain(self.accounts.iter().filter_map(|it| it.credentials.as_ref()).map(|it| it.slot));
        let wanted = wanted.chain(self.mailboxes.iter().filter_map(|it| it.pending.as_ref()).map(|it| it.slot));
        let wanted: BTreeMap<[u8; 16], SlotRef> = wanted.map(|slot| (slot.tag, slot)).collect();
        let mut found = HashMap::new();
        for block in &self.epochs {
            let Some(number) = epoch_number(host, block) else { continue };
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(format!("epoch.{number}")), block).unwrap();
            let path = folder.path().join(format!("slots.{number}"));
            let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
            file.set_len(SLOT_FILE_BYTES).unwrap();
            let reader = SlotFile::open(folder.path(), host).unwrap();
            for slot in wanted.values() {
                let key = self.records.iter().find_map(|record| {
                    file.write_all_at(record, slot.index * RECORD_BYTES as u64).unwrap();
                    reader.read(slot).ok()
                });
                found.extend(key.map(|key| (slot.tag, key)));
            }
        }
        found
    }

    /// What is written in the contacts of these identifiers, in whatever version was found.
    pub fn contacts(
        &self,
        host: &HostKey,
        slots: &Slots,
        opened: &Opened,
        ids: &[ContactId],
    ) -> Vec<(ContactId, String)> {
        let own =
            |(mailbox, secret): &(MailboxId, MailboxSecret)| (*mailbox.bytes(), secret.key("sealpost contacts v1"));
        let practices = self.accounts.iter().filter_map(|account| account.practice).collect::<BTreeSet<_>>();
        let shared = practices.iter().map(|practice| (*practice.bytes(), host.wrapping_key("shared contacts")));
        let books: Vec<_> = opened.secrets.iter().map(own).chain(shared).collect();
        let mut found = Vec::new();
        for entry in &self.entries {
            let Some(slot) = slots.get(&entry.slot.tag) else { continue };
            for ((owner, key), id) in books.iter().flat_map(|book| ids.iter().map(move |id| (book, id))) {
                let key = slot.with(key, "sealpost contact v1", &[owner.as_slice(), id.bytes()].concat());
                let plain = key.open(&[], &entry.card).ok();
                found.extend(plain.map(|plain| (*id, String::from_utf8_lossy(plain.as_bytes()).into_owned())));
            }
        }
        found
    }

    fn open_identities(&self, keys: &Keys<'_>, slots: &Slots, opened: &mut Opened) {
        let hasher = PasswordHasher::new(keys.host, 64 * 1024, 3).unwrap();
        let mut derived: HashMap<([u8; 16], &str), Derived> = HashMap::new();
        for account in &self.accounts {
            let Some(credentials) = &account.credentials else { continue };
            let Some(slot) = slots.get(&credentials.slot.tag) else { continue };
            let mut reached = |how: &str, bundle: Bundle| {
                opened.identities.insert((account.email.to_string(), how.to_owned()));
                opened.add(account.mailbox, &bundle);
            };
            for password in keys.passwords {
                let Stretch { salt, .. } = credentials.stretch;
                let derived = derived
                    .entry((salt, password))
                    .or_insert_with(|| hasher.derive(&SecretString::from(*password), &credentials.stretch).unwrap());
                if let Ok(bundle) = credentials.open_with(slot, derived, account.id) {
                    reached(password, bundle);
                }
            }
            if let Some(kit) = keys.kit
                && let Ok(bundle) = credentials.recover_with(slot, kit.secret(), account.id)
            {
                reached("kit", bundle);
            }
        }
        let wrapping = keys.host.wrapping_key("pending identity");
        for (mailbox, pending) in self.mailboxes.iter().filter_map(|it| Some((it, it.pending.as_ref()?))) {
            let Some(slot) = slots.get(&pending.slot.tag) else { continue };
            let key = slot.with(&wrapping, "sealpost pending v1", mailbox.owner.bytes());
            if let Ok(bundle) = Bundle::open(&key, mailbox.owner.bytes(), &pending.secret) {
                let owner = self.accounts.iter().find(|account| account.id == mailbox.owner).unwrap();
                opened.identities.insert((owner.email.to_string(), "host key".to_owned()));
                opened.add(owner.mailbox, &bundle);
            }
        }
    }

    fn open_copies(&self, slots: &Slots, opened: &mut Opened) {
        for holding in &self.holdings {
            let Some(slot) = slots.get(&holding.slot.tag) else { continue };
            let bound = self.messages.iter().find_map(|message| {
                // A wrap is bound to its message and holder; which, the row's value does not say.
                let held = |(mailbox, _): &&(MailboxId, _)| message.holders.iter().any(|it| it.mailbox == *mailbox);
                opened.secrets.iter().filter(held).find_map(|(mailbox, secret)| {
                    let key = holding.wrap.open(secret, slot, &message.wrap_context(*mailbox)).ok()?;
                    Some((message, *mailbox, key))
                })
            });
            let Some((message, mailbox, key)) = bound else { continue };
            let plain = self.bodies.get(&message.digest).and_then(|body| open_content(body, &key).ok());
            let content = plain.map(|plain| rmp_serde::from_slice(plain.as_bytes()).unwrap());
            let entry = opened.copies.entry((message.id, mailbox)).or_default();
            *entry = entry.take().or(content);
        }
    }

    fn open_shards(&self, slots: &Slots, opened: &mut Opened) {
        let keys: Vec<_> = self.shards.iter().filter_map(|shard| slots.get(&shard.slot.tag)).collect();
        for row in &self.indexes {
            for (mailbox, secret) in &opened.secrets {
                let context = [b"shard".as_slice(), mailbox.bytes()].concat();
                let plain = keys.iter().find_map(|slot| row.index.open(secret, slot, &context).ok());
                opened.shards.extend(plain.map(|plain| (*mailbox, Shard::open(&plain).unwrap())));
            }
        }
    }

    fn open_drafts(&self, slots: &Slots, ids: &[Wanted], opened: &mut Opened) {
        for draft in &self.drafts {
            let Some(slot) = slots.get(&draft.slot.tag) else { continue };
            for Wanted { mailbox, draft: id, files } in ids {
                let secrets: Vec<_> = opened.secrets.iter().filter(|(whose, _)| whose == mailbox).cloned().collect();
                for (_, secret) in &secrets {
                    let context = [b"draft".as_slice(), mailbox.bytes(), id.bytes()].concat();
                    if let Ok(plain) = draft.text.open(secret, slot, &context) {
                        opened.drafts.insert(*id, rmp_serde::from_slice(plain.as_bytes()).unwrap());
                    }
                    for file in files {
                        let context = [b"draft file".as_slice(), mailbox.bytes(), id.bytes(), file.bytes()].concat();
                        let lines =
                            self.draft_files.iter().filter_map(|row| row.info.open(secret, slot, &context).ok());
                        let lines = lines.map(|plain| rmp_serde::from_slice(plain.as_bytes()).unwrap());
                        opened.draft_files.entry(*id).or_default().extend(lines);
                    }
                }
            }
        }
        opened.draft_files.retain(|_, files| !files.is_empty());
    }
}

impl Opened {
    fn add(&mut self, mailbox: MailboxId, bundle: &Bundle) {
        let text = secret_text(bundle.secret());
        if self.secrets.iter().all(|(_, known)| *secret_text(known) != *text) {
            self.secrets.push((mailbox, bundle.secret().clone()));
        }
    }
}

/// Slot keys by their tags.
pub type Slots = HashMap<[u8; 16], SlotKey>;

/// The epoch whose key stands in a block, if the host key opens it.
fn epoch_number(host: &HostKey, block: &[u8]) -> Option<u64> {
    let sealed = Sealed::from_stored(block[..EPOCH_SEALED_BYTES].to_vec());
    let wrapping = host.wrapping_key("epoch");
    (1..=EPOCHS_MAX).find(|number| wrapping.open(&number.to_be_bytes(), &sealed).is_ok())
}
