//! The store as a whole, on real files.

use super::*;
use crate::crypto::CryptoError;
use crate::crypto::slots::{SlotKey, SlotRef};
use crate::store::tables::{BLOBS, META, SLOTS};
use std::fs;
use std::io::Write as _;
use std::sync::Barrier;
use std::sync::mpsc;

/// The page cache that tests get, in bytes.
const CACHE_BYTES: usize = 8 << 20;

/// A data folder and its host key.
pub(super) struct Bench {
    pub dir: tempfile::TempDir,
    pub host: Arc<HostKey>,
}

impl Bench {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), host: Arc::new(HostKey::generate()) }
    }

    pub fn open(&self) -> Store {
        Store::open(self.dir.path(), &self.host, CACHE_BYTES).unwrap()
    }

    /// The parts of a store without its threads.
    pub fn writer(&self) -> (Arc<Shared>, Writer) {
        let shared = Arc::new(Shared {
            engine: Engine::open(self.dir.path(), CACHE_BYTES).unwrap(),
            slots: SlotFile::open(self.dir.path(), &self.host).unwrap(),
            blobs: Blobs::at(self.dir.path()).unwrap(),
            row_key: self.host.row_key().clone(),
            commits: watch::Sender::default(),
        });
        let writer = Writer::new(Arc::clone(&shared), Reserve::open(self.dir.path()).unwrap()).unwrap();
        (shared, writer)
    }

    /// What a kill at this moment would leave: a copy of the folder as it stands.
    fn killed(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        Self { dir, host: Arc::clone(&self.host) }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn get(store: &Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.read(|tx| tx.get(table, key)).unwrap()
}

fn put(store: &Store, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let (key, value) = (key.to_vec(), value.to_vec());
    store.write(move |tx| {
        tx.put(META, &key, value);
        Ok(())
    })
}

fn keys(rows: Vec<Row>) -> String {
    rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

fn new_slot(store: &Store) -> SlotRef {
    store.write(|tx| tx.new_slot(&SlotKey::generate())).unwrap()
}

fn is_destroyed(store: &Store, slot: SlotRef) -> bool {
    matches!(store.slots().read(&slot), Err(CryptoError::Destroyed))
}

#[test]
fn what_was_written_is_there_when_the_store_is_opened_again() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, b"key", b"value").unwrap();
    let slot = new_slot(&store);
    drop(store);
    let store = bench.open();
    assert_eq!(get(&store, META, b"key").unwrap(), b"value");
    assert!(!is_destroyed(&store, slot));
}

#[test]
fn an_operation_sees_what_it_wrote_and_nobody_else_does_before_the_end() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, b"old", b"1").unwrap();
    let other = store.clone();
    store
        .write(move |tx| -> Result<(), StoreError> {
            tx.put(META, b"new", vec![2]);
            tx.delete(META, b"old");
            assert_eq!(tx.get(META, b"new")?.unwrap(), [2]);
            assert_eq!(tx.get(META, b"old")?, None);
            assert_eq!(get(&other, META, b"new"), None);
            assert_eq!(get(&other, META, b"old").unwrap(), b"1");
            Ok(())
        })
        .unwrap();
    assert_eq!(get(&store, META, b"new").unwrap(), [2]);
    assert_eq!(get(&store, META, b"old"), None);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, b"key", b"before").unwrap();
    store
        .read(|tx| -> Result<(), StoreError> {
            put(&store, b"key", b"after")?;
            assert_eq!(tx.get(META, b"key")?.unwrap(), b"before");
            Ok(())
        })
        .unwrap();
    assert_eq!(get(&store, META, b"key").unwrap(), b"after");
}

#[test]
fn an_operation_that_fails_or_panics_leaves_nothing() {
    let bench = Bench::new();
    let store = bench.open();
    let kept = new_slot(&store);
    let (report, slots) = mpsc::channel();
    for panics in [false, true] {
        let report = report.clone();
        let result: Result<(), StoreError> = store.write(move |tx| {
            tx.put(META, b"half", vec![]);
            tx.erase_slot(kept)?;
            report.send(tx.new_slot(&SlotKey::generate())?).unwrap();
            assert!(!panics, "an operation with a fault");
            Err(StoreError::Full)
        });
        match result.unwrap_err() {
            StoreError::Full => assert!(!panics),
            StoreError::Panicked => assert!(panics),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(get(&store, META, b"half"), None);
    assert!(!is_destroyed(&store, kept));
    drop(report);
    for slot in slots {
        assert!(is_destroyed(&store, slot));
        assert_eq!(get(&store, SLOTS, &slot.index.to_be_bytes()), None);
    }
    let next = new_slot(&store);
    assert_eq!(next.index, kept.index + 1, "the slots of operations that failed are free again");
}

#[test]
fn a_range_is_what_is_committed_and_what_is_written_over_it() {
    let bench = Bench::new();
    let store = bench.open();
    store
        .write(|tx| -> Result<(), StoreError> {
            for key in [b"a", b"c", b"e", b"g"] {
                tx.put(BLOBS, key, b"below".to_vec());
            }
            Ok(())
        })
        .unwrap();
    store
        .write(|tx| -> Result<(), StoreError> {
            for key in [b"b", b"c", b"h"] {
                tx.put(BLOBS, key, b"above".to_vec());
            }
            tx.delete(BLOBS, b"e");
            tx.delete(BLOBS, b"nothing");
            let read =
                |from: &[u8], to: &[u8], direction, limit| keys(tx.range(BLOBS, from, to, direction, limit).unwrap());
            assert_eq!(read(b"", b"", Direction::Forward, 99), "abcgh");
            assert_eq!(read(b"", b"", Direction::Backward, 99), "hgcba");
            assert_eq!(read(b"b", b"g", Direction::Forward, 99), "bc");
            assert_eq!(read(b"b", b"g", Direction::Backward, 99), "cb");
            assert_eq!(read(b"", b"", Direction::Forward, 2), "ab");
            assert_eq!(read(b"", b"", Direction::Backward, 2), "hg");
            assert_eq!(read(&after(b"b"), b"", Direction::Forward, 1), "c");
            assert_eq!(read(b"", b"g", Direction::Backward, 1), "c");
            assert_eq!(read(b"g", b"b", Direction::Forward, 99), "");
            assert_eq!(read(b"", b"", Direction::Forward, 0), "");
            let rows = tx.range(BLOBS, b"c", b"d", Direction::Forward, 9)?;
            assert_eq!(rows, [(b"c".to_vec(), b"above".to_vec())]);
            Ok(())
        })
        .unwrap();
    let read = |direction| keys(store.read(|tx| tx.range(BLOBS, b"b", b"", direction, 99)).unwrap());
    assert_eq!(read(Direction::Forward), "bcgh");
    assert_eq!(read(Direction::Backward), "hgcb");
}

#[test]
fn thirty_two_at_once_lose_nothing_and_disturb_nobody() {
    let bench = Bench::new();
    let store = bench.open();
    let start = Barrier::new(32);
    thread::scope(|scope| {
        for thread in 0..32u8 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..20u8 {
                    let result = store.write(move |tx| -> Result<(), StoreError> {
                        let count =
                            tx.get(META, b"count")?.map_or(0, |count| u16::from_be_bytes(count.try_into().unwrap()));
                        tx.put(META, b"count", (count + 1).to_be_bytes().to_vec());
                        tx.put(META, &[b'#', thread, round], vec![]);
                        if round % 5 == 4 { Err(StoreError::Full) } else { Ok(()) }
                    });
                    assert_eq!(result.is_ok(), round % 5 != 4);
                }
            });
        }
    });
    let rows = store.read(|tx| tx.range(META, b"#", &prefix_end(b"#"), Direction::Forward, 9999)).unwrap();
    assert_eq!(rows.len(), 32 * 16);
    assert_eq!(get(&store, META, b"count").unwrap(), [2, 0], "512 of 640 operations succeeded, one after the other");
}

#[test]
fn operations_share_a_commit() {
    let bench = Bench::new();
    let (shared, mut writer) = bench.writer();
    let (operations, replies): (Vec<_>, Vec<_>) = (0..10u8)
        .map(|number| {
            pending(move |tx| {
                // Each operation sees what the earlier ones of its group did.
                let seen = tx.range(BLOBS, &[], &[], Direction::Forward, 99)?.len();
                tx.put(BLOBS, &[number], vec![]);
                if number == 3 { Err(StoreError::Full) } else { Ok(seen) }
            })
        })
        .unzip();
    let first = commit::last_group(&shared).unwrap();
    writer.run(operations);
    assert_eq!(commit::last_group(&shared).unwrap(), first + 1);
    let seen: Vec<_> = replies.into_iter().filter_map(|reply| reply.recv().unwrap().ok()).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8], "the one that failed was never seen");
}

#[test]
fn an_erased_slot_is_gone_for_good_and_an_old_name_of_it_harms_nobody() {
    let bench = Bench::new();
    let store = bench.open();
    let old = new_slot(&store);
    store.write(move |tx| tx.erase_slot(old)).unwrap();
    assert!(is_destroyed(&store, old));
    assert_eq!(get(&store, SLOTS, &old.index.to_be_bytes()), None);

    let new = new_slot(&store);
    assert_eq!(new.index, old.index, "the slot is used again");
    store.write(move |tx| tx.erase_slot(old)).unwrap();
    assert!(!is_destroyed(&store, new), "a sweep that is replayed does not reach a newer slot");
    assert!(get(&store, SLOTS, &new.index.to_be_bytes()).is_some());
}

#[test]
fn a_slot_is_overwritten_whatever_stands_in_it() {
    let bench = Bench::new();
    let store = bench.open();
    let slot = new_slot(&store);
    let planted = SlotKey::generate();
    store.slots().write(slot.index, &planted).unwrap();
    store.write(move |tx| tx.erase_slot(slot)).unwrap();
    assert!(is_destroyed(&store, SlotRef { index: slot.index, tag: planted.tag() }));
}

#[test]
fn an_erased_slot_is_gone_on_a_full_disk_as_well() {
    let bench = Bench::new();
    let store = bench.open();
    let slot = new_slot(&store);
    store.inner.shared.engine.fault.set(true);
    let erase = move |tx: &mut WriteTx<'_>| tx.erase_slot(slot);
    assert!(matches!(store.write(erase), Err(StoreError::Full)));
    assert!(is_destroyed(&store, slot));
    store.inner.shared.engine.fault.set(false);
    store.write(erase).unwrap();
    assert_eq!(get(&store, SLOTS, &slot.index.to_be_bytes()), None, "its row goes when there is room");
}

#[test]
fn a_retired_slot_is_overwritten_behind_the_commit_and_kept_without_it() {
    let bench = Bench::new();
    let store = bench.open();
    let old = new_slot(&store);
    let replace = move |tx: &mut WriteTx<'_>| {
        tx.retire_slot(old)?;
        tx.new_slot(&SlotKey::generate())
    };
    store.inner.shared.engine.fault.set(true);
    assert!(matches!(store.write(replace), Err(StoreError::Full)));
    store.inner.shared.engine.fault.set(false);
    put(&store, b"again", b"").unwrap();
    assert!(!is_destroyed(&store, old), "what it sealed was not sealed anew");
    assert!(get(&store, SLOTS, &old.index.to_be_bytes()).is_some());

    let new = store.write(replace).unwrap();
    assert!(is_destroyed(&store, old) && !is_destroyed(&store, new));
    assert_eq!(get(&store, SLOTS, &old.index.to_be_bytes()), None);
    assert_eq!(new_slot(&store).index, old.index, "the slot is used again");
}

#[test]
fn slots_and_blobs_that_no_row_names_go_at_the_start() {
    let bench = Bench::new();
    let store = bench.open();
    let kept = new_slot(&store);
    let index = store.slots().allocate().unwrap();
    let key = SlotKey::generate();
    store.slots().write(index, &key).unwrap();
    let orphan = SlotRef { index, tag: key.tag() };

    let blob = |content: &[u8]| {
        let mut writer = store.blobs().create().unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    };
    let (known, unknown) = (blob(b"known"), blob(b"unknown"));
    store
        .write(move |tx| -> Result<(), StoreError> {
            tx.put(BLOBS, known.as_bytes(), vec![]);
            Ok(())
        })
        .unwrap();
    let unfinished = store.blobs().create().unwrap();

    let after = bench.killed();
    drop((store, unfinished));
    let store = after.open();
    assert!(!is_destroyed(&store, kept) && is_destroyed(&store, orphan));
    // Closing waits for the collection of blobs.
    drop(store);
    let blobs = Blobs::at(after.dir.path()).unwrap();
    assert_eq!(blobs.len(known).unwrap(), 5);
    assert!(blobs.open(unknown).is_err());
    assert_eq!(blobs.collect(|id| id == known).unwrap(), 0, "nothing was left to collect");
}

#[test]
fn a_forgotten_blob_is_unlinked_after_the_commit_and_only_then() {
    let bench = Bench::new();
    let store = bench.open();
    let (id, _) = store.blobs().create().unwrap().finish().unwrap();
    let forget = |fails: bool| {
        store.write(move |tx| {
            tx.forget_blob(id);
            if fails { Err(StoreError::Full) } else { Ok(()) }
        })
    };
    store
        .write(move |tx| -> Result<(), StoreError> {
            tx.put(BLOBS, id.as_bytes(), vec![]);
            Ok(())
        })
        .unwrap();
    forget(true).unwrap_err();
    assert!(store.blobs().open(id).is_ok() && get(&store, BLOBS, id.as_bytes()).is_some());
    forget(false).unwrap();
    assert!(store.blobs().open(id).is_err() && get(&store, BLOBS, id.as_bytes()).is_none());
}

#[test]
fn an_altered_row_is_not_believed() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, b"right", b"no").unwrap();
    drop(store);

    let engine = Engine::open(bench.dir.path(), CACHE_BYTES).unwrap();
    let transaction = engine.begin_write().unwrap();
    {
        use redb::ReadableTable as _;
        let mut table = transaction.open_table(tx::definition(META)).unwrap();
        let mut row = table.get(b"right".as_slice()).unwrap().unwrap().value().to_vec();
        row[..2].copy_from_slice(b"ye");
        table.insert(b"right".as_slice(), row.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(engine);

    let store = bench.open();
    let tampered = |result| matches!(result, Err(StoreError::Tampered { table: "meta" }));
    assert!(tampered(store.read(|tx| tx.get(META, b"right"))));
    assert!(tampered(store.read(|tx| tx.range(META, b"r", b"s", Direction::Forward, 9).map(|_| None))));
    assert!(tampered(store.write(|tx| tx.get(META, b"right"))));
    let mut believed = Vec::new();
    let see: &mut SeeEach<'_> = &mut |_, value| {
        believed.push(value.is_ok());
        Ok(ControlFlow::Continue(()))
    };
    store.read(|tx| tx.scan_each(META, b"right", &[], Direction::Forward, see)).unwrap();
    assert_eq!(believed, [false, true], "it spares the one behind it");
}

#[test]
fn a_killed_store_has_everything_that_was_acknowledged() {
    let bench = Bench::new();
    let store = bench.open();
    let slots: Vec<_> = (0..50u8)
        .map(|number| {
            put(&store, &[b'#', number], &[number]).unwrap();
            new_slot(&store)
        })
        .collect();
    let gone = slots[7];
    store.write(move |tx| tx.erase_slot(gone)).unwrap();

    let after = bench.killed();
    let reopened = after.open();
    for number in 0..50u8 {
        assert_eq!(get(&reopened, META, &[b'#', number]).unwrap(), [number]);
    }
    for slot in slots {
        assert_eq!(is_destroyed(&reopened, slot), slot == gone);
    }
}

#[test]
fn a_full_disk_refuses_writes_and_passes() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, b"before", b"1").unwrap();
    let kept = new_slot(&store);
    store.inner.shared.engine.fault.set(true);
    let (report, made) = mpsc::channel();
    for _ in 0..3 {
        let report = report.clone();
        let result = store.write(move |tx| {
            tx.put(META, b"during", vec![]);
            report.send(tx.new_slot(&SlotKey::generate())?).unwrap();
            Ok(())
        });
        assert!(matches!(result, Err(StoreError::Full)), "{result:?}");
    }
    store.inner.shared.engine.fault.set(false);

    put(&store, b"after", b"2").unwrap();
    assert_eq!(get(&store, META, b"before").unwrap(), b"1");
    assert_eq!(get(&store, META, b"during"), None);
    assert_eq!(get(&store, META, b"after").unwrap(), b"2");
    assert!(!is_destroyed(&store, kept));
    drop(report);
    for slot in made {
        assert!(is_destroyed(&store, slot), "nothing names it");
    }
}

#[test]
fn upkeep_keeps_everything() {
    let bench = Bench::new();
    let store = bench.open();
    let slot = new_slot(&store);
    for number in 0..200u8 {
        put(&store, &[number], &[number; 3000]).unwrap();
    }
    store
        .write(|tx| -> Result<(), StoreError> {
            (1..200u8).for_each(|number| tx.delete(META, &[number]));
            Ok(())
        })
        .unwrap();
    let length = || fs::metadata(bench.dir.path().join("sealpost.redb")).unwrap().len();
    let before = length();
    assert!(store.upkeep_compact().unwrap());
    assert!(length() < before);
    store.upkeep_rotate_epoch().unwrap();
    assert!(!is_destroyed(&store, slot));
    assert_eq!(get(&store, META, &[0]).unwrap(), [0; 3000]);
    put(&store, b"after", b"").unwrap();
    drop(store);
    assert!(!is_destroyed(&bench.open(), slot));
}

#[test]
fn a_write_inside_a_write_is_refused_and_a_second_store_is_too() {
    let bench = Bench::new();
    let store = bench.open();
    let inner = store.clone();
    assert!(matches!(store.write(move |_| put(&inner, b"key", b"")), Err(StoreError::Nested)));
    let second = Store::open(bench.dir.path(), &bench.host, CACHE_BYTES);
    assert!(matches!(second, Err(StoreError::Database { .. })));
    drop(store);
    let foreign = Store::open(bench.dir.path(), &HostKey::generate(), CACHE_BYTES);
    assert!(foreign.is_err(), "another host key does not open this folder");
}

#[test]
fn the_last_handle_may_be_dropped_by_the_writer() {
    let bench = Bench::new();
    let store = bench.open();
    let (release, wait) = mpsc::channel::<()>();
    let handle = store.clone();
    let jobs = store.inner.jobs.clone().unwrap();
    let (operation, reply) = pending(move |_| -> Result<(), StoreError> {
        wait.recv().unwrap();
        drop(handle);
        Ok(())
    });
    jobs.send(Job::Write(operation)).unwrap();
    drop((store, jobs));
    release.send(()).unwrap();
    reply.recv().unwrap().unwrap();
}
