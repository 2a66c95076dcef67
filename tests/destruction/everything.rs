//! A hundred messages, half of them destroyed, and somebody who has taken everything.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sealpost::crypto::host::HostKey;
use sealpost::crypto::kit::Kit;
use sealpost::search::query::Query;
use sealpost::search::shard::{ALWAYS, Order};

use crate::marks::{PREFIX, forms, found_in, mark};
use crate::office::{Letter, Note, Office, PEOPLE, Scrap, WAITING};
use crate::opener::{Keys, Loot, Opened, Slots, Wanted};
use crate::place::{Place, copy, files_under};
use crate::world::{DAY, PASSWORD, World};

const LETTERS: usize = 100;
/// Contacts, own ones of everybody and some that the practice shares.
const NOTES: usize = 12;
/// Added to a contact's number when its notes are written anew.
const REWRITTEN: usize = 500;
const NEW_PASSWORD: &str = "nine loud geese paddle";
const KIM: &str = PEOPLE[2];
/// Letters that are recalled, and deleted by all who have them.
const RECALLED: usize = 11;
const DELETED_BY_ALL: usize = 7;
const HOUR: u64 = 3600;

/// What happened, and what was taken on the way.
struct Story {
    place: Place,
    /// Outside the disk.
    aside: tempfile::TempDir,
    host: HostKey,
    kit: Kit,
    letters: Vec<Letter>,
    scraps: Vec<Scrap>,
    notes: Vec<Note>,
    /// Copies that must be beyond opening: number of the letter and holder.
    destroyed: BTreeSet<(usize, &'static str)>,
    discarded: BTreeSet<usize>,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What becomes of a contact.
enum Fate {
    Kept,
    Rewritten,
    Deleted,
}

fn fate(number: usize) -> Fate {
    match number % 4 {
        0 => Fate::Kept,
        1 => Fate::Rewritten,
        _ => Fate::Deleted,
    }
}

/// Letters with these numbers live two days only: every second one.
fn is_short(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn write_letters(office: &mut Office) -> Vec<Letter> {
    let send = |number: usize| {
        let from = PEOPLE[number % 4];
        let to = |step: usize| PEOPLE[(number + step) % 4];
        let to = match number {
            // The last two wait for somebody who never comes.
            98.. => vec![WAITING],
            _ if number % 10 < 2 => vec![to(1), to(2)],
            _ => vec![to(1 + number / 4 % 3)],
        };
        let mut letter = office.send(number, from, to, if is_short(number) { "2" } else { "30" });
        office.read(&mut letter);
        letter
    };
    (0..LETTERS).map(send).collect()
}

/// Letters that have their words and files in common with others: two that are sent separately, one of which is recalled;
/// and copies of letters that are forwarded, one of which is recalled itself, one with its original, while the third
/// outlives every other copy of its original. They are numbered so that nothing else befalls them.
fn write_in_common(office: &mut Office, letters: &mut Vec<Letter>) {
    let [one, two] = office.send_separately(215, PEOPLE[0], [PEOPLE[1], PEOPLE[2]]);
    let forward = |office: &mut Office, original: usize, number| {
        let from = letters[original].to[0];
        let to = PEOPLE.into_iter().find(|person| *person != from && *person != letters[original].from).unwrap();
        office.forward(&letters[original], number, from, to)
    };
    let copies = [(RECALLED, 219), (9, 221), (DELETED_BY_ALL, 223)];
    let copies = copies.map(|(original, number)| forward(office, original, number));
    for mut letter in [one, two].into_iter().chain(copies) {
        office.read(&mut letter);
        letters.push(letter);
    }
}

/// Deletes copies of letters that live on, as recipient, as sender, as both; recalls some.
fn destroy_early(office: &mut Office, letters: &[Letter], destroyed: &mut BTreeSet<(usize, &'static str)>) {
    for letter in letters.iter().filter(|letter| !is_short(letter.number) && letter.to[0] != WAITING) {
        let number = letter.number;
        let deleters: Vec<&str> = match number % 25 {
            1 | 3 | 13 => vec![letter.to[0]],
            5 => vec![letter.from],
            7 => letter.holders().collect(),
            _ => vec![],
        };
        for person in deleters {
            office.press(person, letter, "delete");
            destroyed.insert((number, letter.holders().find(|holder| *holder == person).unwrap()));
        }
        if number % 25 == 11 || number == 215 || number == 221 {
            office.press(letter.from, letter, "recall");
            destroyed.extend(letter.holders().map(|holder| (number, holder)));
        }
    }
    let follows = letters.iter().find(|letter| letter.number == 219).unwrap();
    destroyed.extend(follows.holders().map(|holder| (219, holder)));
}

/// The slot file of the epoch that it is now.
fn slot_file(place: &Place) -> PathBuf {
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("slots.");
    files_under(&place.data()).into_iter().find(name).unwrap()
}

/// Lives through everything, and takes what can be taken.
fn live() -> Story {
    let place = Place::new();
    let data = place.data();
    let mut world = World::start_with(|config| config.data = data.clone());
    let mut office = Office::open(&world);
    let mut letters = write_letters(&mut office);
    write_in_common(&mut office, &mut letters);
    let scraps: Vec<Scrap> = (0..6).map(|n| office.draft(LETTERS + n, PEOPLE[n % 4])).collect();
    office.search();
    let notes: Vec<Note> = (0..NOTES).map(|n| office.contact(n, PEOPLE[n % 4], n % 3 == 2)).collect();
    let before = place.raw();

    // A night, an old copy, and one more night.
    world.turn(DAY);
    let aside = tempfile::tempdir().unwrap();
    world.stop();
    copy(&data, &aside.path().join("old copy"));
    world.restart();
    world.turn(20 * HOUR);
    // What the slots hold just before they are overwritten: to show that nothing else stands in the way.
    std::fs::copy(slot_file(&place), aside.path().join("slots")).unwrap();

    office.sign_in(&world);
    office.search();
    let mut destroyed = BTreeSet::new();
    destroy_early(&mut office, &letters, &mut destroyed);
    for scrap in &scraps[..3] {
        office.discard(scrap);
    }
    office.search();
    for note in &notes {
        match fate(note.number) {
            Fate::Deleted => office.delete_contact(note),
            Fate::Rewritten => office.rewrite(note, note.number + REWRITTEN),
            Fate::Kept => {}
        }
    }
    office.change_password(KIM, NEW_PASSWORD);
    world.turn(4 * HOUR);
    destroyed
        .extend(letters.iter().filter(|it| is_short(it.number)).flat_map(|it| it.holders().map(|to| (it.number, to))));
    world.stop();
    let after = place.raw();
    let host = HostKey::load_or_create(world.host_key(), false).unwrap();
    let kit = Kit::parse(&office.kit_line).unwrap();
    let discarded = scraps[..3].iter().map(|scrap| scrap.number).collect();
    Story { place, aside, host, kit, letters, scraps, notes, destroyed, discarded, before, after }
}

impl Story {
    /// All that there is to take now: the disk, the files on it, and an old copy, whose epoch key is never backed up.
    fn take_everything(&self) -> Loot {
        let mut loot = Loot::default();
        loot.take(&self.after);
        loot.take_folder(&self.place.data(), "");
        loot.take_folder(&self.aside.path().join("old copy"), "epoch.");
        loot
    }

    fn all_keys(&self) -> Keys<'_> {
        Keys { host: &self.host, passwords: &[PASSWORD, NEW_PASSWORD], kit: Some(&self.kit) }
    }

    /// The identifiers of everything that was ever a draft, letters included: each began as one.
    fn drafts(&self, loot: &Loot) -> Vec<Wanted> {
        let letters = self.letters.iter().map(|it| (it.from, it.draft, &it.files));
        let all = letters.chain(self.scraps.iter().map(|it| (it.of, it.id, &it.files)));
        all.map(|(of, draft, files)| Wanted { mailbox: loot.mailbox(of), draft, files: files.clone() }).collect()
    }

    /// Every copy by letter and holder, with whether it was opened; what was opened must be what was written.
    fn copies(&self, loot: &Loot, opened: &Opened) -> BTreeSet<(usize, &'static str)> {
        let mut found = BTreeSet::new();
        for letter in &self.letters {
            for holder in letter.holders() {
                let Some(content) = opened.copies.get(&(letter.id, loot.mailbox(holder))) else { continue };
                let content = content.as_ref().expect("the key opens the content");
                let text = content.forwarded.first().map_or(&content.body, |quoted| &quoted.body);
                assert!(content.subject.contains(&mark("subject", letter.source)));
                assert!(text.contains(&mark("text", letter.source)));
                assert_eq!(content.files[0].name, mark("name", letter.source) + ".png");
                assert_eq!(loot.file(&content.files[0]).expect("the key opens the file"), letter.file_bytes());
                found.insert((letter.number, holder));
            }
        }
        found
    }

    /// The notes that can be read in contacts, by the numbers of their marks.
    fn notes(&self, loot: &Loot, slots: &Slots, opened: &Opened) -> BTreeSet<usize> {
        let ids: Vec<_> = self.notes.iter().map(|note| note.id).collect();
        let found = loot.contacts(&self.host, slots, opened, &ids);
        let numbers = (0..NOTES).chain(REWRITTEN..REWRITTEN + NOTES);
        numbers.filter(|number| found.iter().any(|(_, text)| text.contains(&mark("text", *number)))).collect()
    }

    /// The notes that stand in contacts now.
    fn living_notes() -> BTreeSet<usize> {
        let living = (0..NOTES).filter_map(|number| match fate(number) {
            Fate::Kept => Some(number),
            Fate::Rewritten => Some(number + REWRITTEN),
            Fate::Deleted => None,
        });
        living.collect()
    }

    /// The copies that were ever there.
    fn all_copies(&self) -> BTreeSet<(usize, &'static str)> {
        self.letters.iter().flat_map(|letter| letter.holders().map(|holder| (letter.number, holder))).collect()
    }

    /// Whose words these copies hold, and who holds them: a forwarded copy holds another message's.
    fn words_of(&self, copies: &BTreeSet<(usize, &'static str)>) -> BTreeSet<(usize, &'static str)> {
        let source = |number| self.letters.iter().find(|letter| letter.number == number).unwrap().source;
        copies.iter().map(|(number, holder)| (source(*number), *holder)).collect()
    }

    /// Of which messages some word is in an index that was opened, and in whose.
    fn indexed(&self, loot: &Loot, opened: &Opened) -> BTreeSet<(usize, &'static str)> {
        let mut words = self.words_of(&self.all_copies());
        words.retain(|(source, holder)| {
            let marks = ["subject", "text", "name"].map(|kind| mark(kind, *source));
            let own = opened.shards.iter().filter(|(whose, _)| *whose == loot.mailbox(holder));
            own.flat_map(|(_, shard)| marks.iter().map(move |mark| (shard, mark)))
                .any(|(shard, mark)| !shard.find(&Query::parse(mark), &ALWAYS, Order::Newest, 1).unwrap().is_empty())
        });
        words
    }

    /// Numbers of the drafts whose text was opened, and of those whose file was.
    fn scraps(&self, opened: &Opened) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let known = self.scraps.iter();
        let text = known.clone().filter(|scrap| {
            opened.drafts.get(&scrap.id).is_some_and(|text| text.body.contains(&mark("text", scrap.number)))
        });
        let file = known.filter(|scrap| {
            let name = mark("name", scrap.number) + ".pdf";
            opened.draft_files.get(&scrap.id).is_some_and(|files| files.iter().any(|file| file.name == name))
        });
        (text.map(|scrap| scrap.number).collect(), file.map(|scrap| scrap.number).collect())
    }
}

/// Who was reached by this password, or the kit, or the host key.
fn reached_by(opened: &Opened, how: &str) -> BTreeSet<String> {
    opened.identities.iter().filter(|(_, by)| by == how).map(|(who, _)| who.clone()).collect()
}

fn names(people: &[&str]) -> BTreeSet<String> {
    people.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_destroyed_opens_with_nothing_and_everything_else_opens() {
    let story = live();
    nothing_stands_in_the_clear(&story);
    let loot = story.take_everything();
    let slots = loot.slots(&story.host);
    with_everything_only_the_living_open(&story, &loot, &slots);
    without_passwords_only_what_waits_opens(&story, &loot, &slots);
    the_slots_alone_stand_in_the_way(&story, loot);
    an_old_copy_with_its_epoch_key_is_whole(&story);
}

/// Neither while everything lived nor afterwards; and a mark that is written there and deleted again is seen.
fn nothing_stands_in_the_clear(story: &Story) {
    assert_eq!(found_in(&story.before), Vec::<String>::new());
    assert_eq!(found_in(&story.after), Vec::<String>::new());
    if !story.place.is_image() {
        return;
    }
    let planted = story.place.mount_point().join("planted");
    let bytes: Vec<u8> = forms(PREFIX).into_iter().flat_map(|(_, bytes)| bytes).collect();
    std::fs::write(&planted, bytes).unwrap();
    story.place.raw();
    remove(&planted);
    assert!(found_in(&story.place.raw()).len() >= forms(PREFIX).len(), "the search sees what was deleted");
}

fn with_everything_only_the_living_open(story: &Story, loot: &Loot, slots: &Slots) {
    assert_eq!(loot.epochs(&story.host).len(), 1, "every older epoch key is gone from the disk");
    let all = story.all_copies();
    assert!(loot.holdings() >= all.len(), "the rows of what was destroyed are still found");
    let opened = loot.open(&story.all_keys(), slots, &story.drafts(loot));
    let found = story.copies(loot, &opened);
    let revived: Vec<_> = found.intersection(&story.destroyed).collect();
    assert!(revived.is_empty(), "destroyed, and opened again: {revived:?}");
    assert_eq!(found, all.difference(&story.destroyed).copied().collect(), "every other copy opens");
    println!(
        "{} of {} destroyed copies open, {} of {} others.",
        revived.len(),
        story.destroyed.len(),
        found.len(),
        found.len()
    );

    let mut searched = story.words_of(&all.difference(&story.destroyed).copied().collect());
    searched.retain(|(_, holder)| *holder != WAITING);
    assert_eq!(story.indexed(loot, &opened), searched, "the words of every other copy are in an index, and no others");

    let living: BTreeSet<usize> = (LETTERS..LETTERS + 6).filter(|number| !story.discarded.contains(number)).collect();
    assert_eq!(story.scraps(&opened), (living.clone(), living), "drafts that were kept, and no other");
    let sent = story
        .letters
        .iter()
        .filter(|letter| opened.drafts.contains_key(&letter.draft) || opened.draft_files.contains_key(&letter.draft));
    assert_eq!(sent.count(), 0, "the draft of what was sent is destroyed");

    let notes = story.notes(loot, slots, &opened);
    assert_eq!(notes, Story::living_notes(), "contacts as they stand now, and nothing deleted or written over");
    println!("{} of {} contacts open, as they stand now.", notes.len(), NOTES);

    let others: Vec<&str> = PEOPLE.iter().copied().filter(|person| *person != KIM).collect();
    assert_eq!(reached_by(&opened, PASSWORD), names(&others), "the old password opens nothing");
    assert_eq!(reached_by(&opened, NEW_PASSWORD), names(&[KIM]));
    assert_eq!(reached_by(&opened, "kit"), names(&PEOPLE));
}

/// A thief of disk and host key gets messages that wait for somebody who has not registered; another key gets nothing.
fn without_passwords_only_what_waits_opens(story: &Story, loot: &Loot, slots: &Slots) {
    let keys = Keys { passwords: &[], kit: None, ..story.all_keys() };
    let opened = loot.open(&keys, slots, &story.drafts(loot));
    assert_eq!(story.copies(loot, &opened), BTreeSet::from([(99, WAITING)]));
    assert_eq!(reached_by(&opened, "host key"), names(&[WAITING]));
    assert!(opened.shards.is_empty(), "no index opens without its owner's password");
    let shared = story.notes.iter().filter(|note| note.shared).map(|note| note.number);
    let shared: BTreeSet<usize> = shared.flat_map(|number| [number, number + REWRITTEN]).collect();
    let living = Story::living_notes();
    let readable: BTreeSet<usize> = living.intersection(&shared).copied().collect();
    assert_eq!(story.notes(loot, slots, &opened), readable, "what the practice shares, as they get accounts");
    let other = HostKey::generate();
    let opened = loot.open(&Keys { host: &other, ..story.all_keys() }, &loot.slots(&other), &story.drafts(loot));
    assert!(opened.copies.is_empty() && opened.identities.is_empty() && opened.drafts.is_empty());
}

/// With the bytes that the slots held, everything would open: it is their overwriting that destroyed, nothing else.
fn the_slots_alone_stand_in_the_way(story: &Story, mut loot: Loot) {
    loot.take(&std::fs::read(story.aside.path().join("slots")).unwrap());
    let slots = loot.slots(&story.host);
    let opened = loot.open(&story.all_keys(), &slots, &story.drafts(&loot));
    assert_eq!(story.copies(&loot, &opened), story.all_copies());
    let revived = story.indexed(&loot, &opened);
    let destroyed = story.words_of(&story.destroyed);
    assert!(!revived.is_disjoint(&destroyed), "their indexes are still there, too: {revived:?}");
    let all: BTreeSet<usize> = story.scraps.iter().map(|scrap| scrap.number).collect();
    assert_eq!(story.scraps(&opened), (all.clone(), all));
    assert_eq!(reached_by(&opened, PASSWORD), names(&PEOPLE), "the old password would open the old row");
    let ever: BTreeSet<usize> = (0..NOTES).chain(Story::living_notes()).collect();
    assert_eq!(story.notes(&loot, &slots, &opened), ever, "every note that there ever was");
}

/// The opener does open: on the copy from before, with the epoch key of that night and all other keys, it misses
/// nothing. Such a copy is what must not be kept together with the host key.
fn an_old_copy_with_its_epoch_key_is_whole(story: &Story) {
    let mut loot = Loot::default();
    loot.take_folder(&story.aside.path().join("old copy"), "");
    let opened = loot.open(&story.all_keys(), &loot.slots(&story.host), &story.drafts(&loot));
    assert_eq!(story.copies(&loot, &opened), story.all_copies());
    assert_eq!(reached_by(&opened, PASSWORD), names(&PEOPLE));
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn remove(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
}
