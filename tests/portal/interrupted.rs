//! A destruction that died between its two halves, slots first and rows after, is finished by the next start.

use sealpost::crypto::host::HostKey;
use sealpost::crypto::slots::SlotFile;
use sealpost::domain::ids::MessageId;
use sealpost::store::tables::{ACCOUNTS, DRAFTS, HOLDINGS};
use sealpost::store::{Direction, Store, Table, Tx};
use serde::Deserialize;

use crate::client::{Client, FilePart, messages, unescape};
use crate::world::{ADMIN, World, between};

const LEE: &str = "lee@riverside.example";

/// What the rows with a slot have in common.
#[derive(Deserialize)]
struct Named {
    slot: Slot,
}

#[derive(Deserialize)]
struct Keyed {
    credentials: Option<Named>,
}

#[derive(Deserialize)]
struct Slot {
    index: u64,
}

/// Overwrites slots behind the stopped program's back, as it does itself before it commits: of the rows of a table
/// whose key and value are chosen.
fn overwrite(world: &World, table: Table, choose: impl Fn(&[u8], &[u8]) -> Option<u64>) -> usize {
    let host = HostKey::load_or_create(world.host_key(), false).unwrap();
    let store = Store::open(&world.data, &host, 1 << 20).unwrap();
    let rows = store.read(|tx| tx.range(table, &[], &[], Direction::Forward, usize::MAX)).unwrap();
    drop(store);
    let slots = SlotFile::open(&world.data, &host).unwrap();
    let chosen: Vec<u64> = rows.iter().filter_map(|(key, value)| choose(key, &value[1..])).collect();
    chosen.iter().for_each(|index| slots.clear(*index).unwrap());
    slots.sync();
    chosen.len()
}

/// The slot of a row that is keyed by a mailbox and this message or draft.
fn slot_of(id: MessageId, key: &[u8], value: &[u8]) -> Option<u64> {
    key.ends_with(id.bytes()).then(|| rmp_serde::from_slice::<Named>(value).unwrap().slot.index)
}

/// Ann writes to Lee; the identifier of the message, or of the draft, and where it is seen.
fn write(ann: &mut Client, body: &str, action: &str) -> (MessageId, String) {
    ann.visit("/compose").expect(200);
    let draft = ann.hidden("draft").unwrap();
    let fields = [
        ("draft", draft.as_str()),
        ("to", LEE),
        ("relationship", "doctor_mine"),
        ("subject", body),
        ("body", body),
        ("expires", "30"),
        ("action", action),
    ];
    let file = FilePart { field: "files[]", name: "a.txt", kind: "text/plain", bytes: b"a" };
    let to = ann.post_files("/compose", &fields, &[file]).expect(303).location().unwrap();
    let id = messages(&seen(ann, &to)).pop().unwrap_or(draft);
    (id.parse().unwrap(), to)
}

fn seen(client: &mut Client, path: &str) -> String {
    unescape(&client.visit(path).expect(200).text())
}

fn back_again(world: &mut World, ann: &mut Client, lee: &mut Client) {
    world.restart();
    for (client, address) in [(ann, ADMIN), (lee, LEE)] {
        client.moved(world.address);
        world.sign_in(client, address);
    }
}

#[test]
fn what_a_kill_left_half_destroyed_is_destroyed_at_the_next_start() {
    let mut world = World::start();
    let mut ann = world.set_up();
    let (kept, thread_kept) = write(&mut ann, "This stays.", "send");
    let mut lee = world.register(&mut ann, LEE, "Lee", "River");
    let (recalled, thread_recalled) = write(&mut ann, "This was being recalled.", "send");
    let (deleted, thread_deleted) = write(&mut ann, "Lee was deleting this.", "send");
    let (scrap, _) = write(&mut ann, "This was being discarded.", "save");
    let (draft, _) = write(&mut ann, "This is being written.", "save");
    seen(&mut lee, &thread_deleted);

    world.stop();
    assert_eq!(overwrite(&world, HOLDINGS, |key, value| slot_of(recalled, key, value)), 2);
    let mailbox_of_lee = {
        // The recipient's row is the one that is not the sender's; the drafts' rows tell whose is the sender's.
        let host = HostKey::load_or_create(world.host_key(), false).unwrap();
        let store = Store::open(&world.data, &host, 1 << 20).unwrap();
        let rows = |table| store.read(|tx| tx.range(table, &[], &[], Direction::Forward, usize::MAX)).unwrap();
        let ann = rows(DRAFTS)[0].0[..16].to_vec();
        rows(HOLDINGS).iter().map(|(key, _)| key[..16].to_vec()).find(|mailbox| *mailbox != ann).unwrap()
    };
    let of_lee = |key: &[u8], value: &[u8]| slot_of(deleted, key, value).filter(|_| key.starts_with(&mailbox_of_lee));
    assert_eq!(overwrite(&world, HOLDINGS, of_lee), 1);
    assert_eq!(overwrite(&world, DRAFTS, |key, value| slot_of(scrap, key, value)), 1);
    back_again(&mut world, &mut ann, &mut lee);

    let drafts = seen(&mut ann, "/drafts");
    assert!(drafts.contains("This is being written.") && !drafts.contains("This was being discarded."), "{drafts}");
    ann.get(&format!("/compose?draft={scrap}")).expect(404);
    ann.get(&format!("/compose?draft={draft}")).expect(200);
    for client in [&mut ann, &mut lee] {
        let page = seen(client, &thread_recalled);
        assert!(page.contains("was recalled and destroyed on 23 November"), "{page}");
        assert!(seen(client, &thread_kept).contains("This stays."));
    }
    lee.get(&thread_deleted).expect(404);
    assert!(seen(&mut ann, &thread_deleted).contains("Lee was deleting this."));
    // Nothing of it is left to find at the next start.
    world.stop();
    let host = HostKey::load_or_create(world.host_key(), false).unwrap();
    let store = Store::open(&world.data, &host, 1 << 20).unwrap();
    assert!(store.blank_slots().is_empty());
    drop(store);
    back_again(&mut world, &mut ann, &mut lee);
    assert!(between(&seen(&mut ann, "/sent"), "<ul class=\"rows", "</ul>").contains("This stays."), "{kept}");
}

#[test]
fn slots_that_do_not_belong_to_the_database_destroy_nothing() {
    let mut world = World::start();
    let mut ann = world.set_up();
    let (message, thread) = write(&mut ann, "This stays.", "send");
    world.stop();
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&world.data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let of_account =
        |_: &[u8], value: &[u8]| Some(rmp_serde::from_slice::<Keyed>(value).unwrap().credentials?.slot.index);
    assert_eq!(overwrite(&world, ACCOUNTS, of_account), 1);
    overwrite(&world, HOLDINGS, |key, value| slot_of(message, key, value));
    world.restart();
    world.stop();

    // The right slot file is found and put back.
    for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("slots.") {
            std::fs::copy(entry.path(), world.data.join(entry.file_name())).unwrap();
        }
    }
    world.restart();
    ann.moved(world.address);
    world.sign_in(&mut ann, ADMIN);
    assert!(seen(&mut ann, &thread).contains("This stays."));
}
