//! What a data folder keeps, counted from both ends: rows and what they name, slots and blobs and who names them.

use std::collections::BTreeSet;
use std::path::Path;

use sealpost::crypto::host::HostKey;
use sealpost::domain::accounts::{Account, Mailbox};
use sealpost::domain::ids::MessageId;
use sealpost::domain::messages::Message;
use sealpost::store::tables::{
    ACCOUNTS, BLOBS, DRAFT_FILES, DRAFTS, HOLDINGS, SHARD_INDEXES, SHARD_MESSAGES, SHARDS, SLOTS, TO_INDEX,
};
use sealpost::store::{BlobId, Direction, Record, Row, Store, Table, Tx};
use serde::Deserialize;

/// What rows that are not public have in common with their values.
#[derive(Deserialize)]
struct Slotted {
    slot: Slot,
}

#[derive(Deserialize)]
struct Slot {
    index: u64,
}

/// Of an account: what it may hold beside its own keys.
#[derive(Deserialize)]
struct Shared {
    recovery_share: Option<Slotted>,
}

#[derive(Deserialize)]
struct Filed {
    blob: BlobId,
}

/// Whose words are in a search index.
#[derive(Deserialize)]
struct Indexed {
    messages: Vec<MessageId>,
}

/// The numbers that must agree.
#[derive(Debug)]
pub struct Kept {
    slots_on_disk: usize,
    slots_in_rows: BTreeSet<u64>,
    slots_named: BTreeSet<u64>,
    blobs_on_disk: BTreeSet<String>,
    blobs_in_rows: BTreeSet<String>,
    blobs_named: BTreeSet<String>,
    /// Copies, and those that search knows, whether it has read them or will.
    copies: BTreeSet<Vec<u8>>,
    searched: Vec<Vec<u8>>,
    /// Keys of the rows of search indexes, a table each.
    indexes: [Vec<Vec<u8>>; 3],
    /// Files that are not whole, or that nobody knows.
    strangers: Vec<String>,
}

fn rows(store: &Store, table: Table) -> Vec<Row> {
    store.read(|tx| tx.range(table, &[], &[], Direction::Forward, usize::MAX)).unwrap()
}

fn records<T: Record>(store: &Store) -> Vec<T> {
    let found = store.read(|tx| tx.records::<T>(&[], &[], Direction::Forward, usize::MAX)).unwrap();
    found.into_iter().map(|(_, record)| record).collect()
}

/// The value of a row as a type of the test's own: behind its version byte.
fn read<'v, T: Deserialize<'v>>((_, value): &'v Row) -> T {
    rmp_serde::from_slice(&value[1..]).unwrap()
}

impl Kept {
    /// Counts what a server that was stopped has left in its data folder.
    pub fn count(data: &Path, host_key: &Path) -> Self {
        let host = HostKey::load_or_create(host_key, false).unwrap();
        let store = Store::open(data, &host, 1 << 20).unwrap();
        let mut slots_named: BTreeSet<u64> = BTreeSet::new();
        for table in [HOLDINGS, DRAFTS, SHARDS] {
            slots_named.extend(rows(&store, table).iter().map(|row| read::<Slotted>(row).slot.index));
        }
        slots_named.extend(records::<Account>(&store).into_iter().filter_map(|it| Some(it.credentials?.slot.index)));
        slots_named.extend(
            rows(&store, ACCOUNTS).iter().filter_map(|row| Some(read::<Shared>(row).recovery_share?.slot.index)),
        );
        slots_named.extend(records::<Mailbox>(&store).into_iter().filter_map(|it| Some(it.pending?.slot.index)));
        let mut blobs_named: BTreeSet<String> = BTreeSet::new();
        blobs_named.extend(rows(&store, DRAFT_FILES).iter().map(|row| read::<Filed>(row).blob.to_string()));
        blobs_named.extend(records::<Message>(&store).iter().flat_map(|it| it.blobs.iter().map(BlobId::to_string)));
        let hex = |(key, _): &Row| data_encoding::HEXLOWER.encode(key);
        let blobs_in_rows = rows(&store, BLOBS).iter().map(hex).collect();
        let index = |(key, _): &Row| u64::from_be_bytes(key.as_slice().try_into().unwrap());
        let slots_in_rows = rows(&store, SLOTS).iter().map(index).collect();
        let keys = |table| rows(&store, table).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let (copies, indexes) = (keys(HOLDINGS), [SHARDS, SHARD_MESSAGES, SHARD_INDEXES].map(keys));
        let mut searched = keys(TO_INDEX);
        for row in rows(&store, SHARD_MESSAGES) {
            let mailbox = &row.0[..16];
            searched.extend(read::<Indexed>(&row).messages.iter().map(|id| [mailbox, id.bytes().as_slice()].concat()));
        }
        drop(store);

        let mut kept = Self {
            slots_on_disk: 0,
            slots_in_rows,
            slots_named,
            blobs_on_disk: BTreeSet::new(),
            blobs_in_rows,
            blobs_named,
            copies: copies.into_iter().collect(),
            searched,
            indexes,
            strangers: Vec::new(),
        };
        kept.look_at(data);
        kept
    }

    fn look_at(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                self.look_at(&path);
            } else if name.starts_with("slots.") {
                let bytes = std::fs::read(&path).unwrap();
                self.slots_on_disk += bytes.chunks(64).filter(|record| record.iter().any(|byte| *byte != 0)).count();
            } else if name.len() == 32 {
                self.blobs_on_disk.insert(name);
            } else if name != "sealpost.redb" && name != "reserve" && !name.starts_with("epoch.") {
                self.strangers.push(name);
            }
        }
    }

    /// Nothing is kept that nothing names, and nothing is named that is not kept.
    pub fn check(&self) {
        assert_eq!(self.slots_named, self.slots_in_rows, "slots that rows name, and the table of slots");
        assert_eq!(self.slots_on_disk, self.slots_in_rows.len(), "slots on the disk, and the table of slots");
        assert_eq!(self.blobs_named, self.blobs_in_rows, "blobs that rows name, and the table of blobs");
        assert_eq!(self.blobs_on_disk, self.blobs_in_rows, "blobs on the disk, and the table of blobs");
        let [shards, lists, indexes] = &self.indexes;
        assert!(shards == lists && shards == indexes, "the rows of a search index stand and fall together");
        let searched: BTreeSet<_> = self.searched.iter().cloned().collect();
        assert_eq!(searched.len(), self.searched.len(), "nothing is indexed twice");
        assert!(searched.is_subset(&self.copies), "nothing that is destroyed is indexed");
        assert!(self.strangers.is_empty(), "{:?}", self.strangers);
    }

    /// How many slots and blobs are kept.
    pub fn sizes(&self) -> (usize, usize) {
        (self.slots_on_disk, self.blobs_on_disk.len())
    }
}
