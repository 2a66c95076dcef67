//! Writing: one operation's view of the database, kept apart until the operation has succeeded.
//!
//! A group of operations shares one redb transaction. Each operation writes into an overlay on top of what is committed
//! and of what the group's earlier operations did; it reads through its own overlay. When it succeeds, the overlay goes
//! into the transaction; when it fails, the overlay is dropped and the rest of the group never knew.

use super::blobs::BlobId;
use super::error::StoreError;
use super::record::{self, Record};
use super::tables::{self, BLOBS, SLOTS, Table};
use super::tx::{Direction, SeeEach, Tx, bounds, definition};
use crate::crypto::MacKey;
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use redb::{AccessGuard, ReadableTable as _, WriteTransaction};
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What an operation wrote to one table: the new value of a key, or `None` where it deleted the key.
type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

type OpenTable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// What operations want done outside the database, around the commit.
#[derive(Default)]
pub(super) struct Staged {
    /// Slots written for new rows: erased again if the commit fails.
    pub made: Vec<SlotRef>,
    /// Slots to overwrite before the commit, free for reuse after it.
    pub erased: Vec<SlotRef>,
    /// Slots to overwrite after the commit.
    pub retired: Vec<SlotRef>,
    /// Blobs to unlink after the commit.
    pub forgotten: Vec<BlobId>,
}

impl Staged {
    fn absorb(&mut self, other: &mut Self) {
        self.made.append(&mut other.made);
        self.erased.append(&mut other.erased);
        self.retired.append(&mut other.retired);
        self.forgotten.append(&mut other.forgotten);
    }
}

/// A write in progress. What it does is seen by nobody else until it is durable, and not at all if it fails.
pub struct WriteTx<'t> {
    transaction: &'t WriteTransaction,
    row_key: &'t MacKey,
    slots: &'t SlotFile,
    /// Tables are opened when they are first touched; by their place in [`tables::ALL`].
    open: Vec<OnceCell<OpenTable<'t>>>,
    /// What the operation wrote; by place as well.
    overlay: BTreeMap<usize, (Table, Rows)>,
    /// What the operation wants done around the commit.
    staged: Staged,
    /// The same of the group's earlier operations.
    group: &'t mut Staged,
    /// Whether an earlier operation of the group wrote anything.
    dirty: bool,
}

impl<'t> WriteTx<'t> {
    pub(super) fn new(
        transaction: &'t WriteTransaction,
        row_key: &'t MacKey,
        slots: &'t SlotFile,
        group: &'t mut Staged,
    ) -> Self {
        Self {
            transaction,
            row_key,
            slots,
            open: tables::ALL.iter().map(|_| OnceCell::new()).collect(),
            overlay: BTreeMap::new(),
            staged: Staged::default(),
            group,
            dirty: false,
        }
    }

    /// Sets the value of a key.
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.rows(table).insert(key.to_vec(), Some(value));
    }

    /// Deletes a key; nothing happens if there is none.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.rows(table).insert(key.to_vec(), None);
    }

    /// Sets the record of a key.
    pub fn put_record<T: Record>(&mut self, key: &[u8], record: &T) -> Result<(), StoreError> {
        let value = record::encode(record)?;
        self.put(T::TABLE, key, value);
        Ok(())
    }

    /// Deletes the record of a key; nothing happens if there is none.
    pub fn delete_record<T: Record>(&mut self, key: &[u8]) {
        self.delete(T::TABLE, key);
    }

    /// Keeps a key in a slot of its own. The slot is durable before the row that names it.
    pub fn new_slot(&mut self, key: &SlotKey) -> Result<SlotRef, StoreError> {
        let slot = SlotRef { index: self.slots.allocate()?, tag: key.tag() };
        // Remembered before it is written: whatever fails from here on, the slot goes back.
        self.staged.made.push(slot);
        self.slots.write(slot.index, key)?;
        self.put(SLOTS, &slot.index.to_be_bytes(), slot.tag.to_vec());
        Ok(slot)
    }

    /// Has a slot overwritten before the commit, which ends whatever was sealed under it, also if the commit fails.
    /// Nothing happens if the slot belongs to somebody else by now: a sweep that is replayed cannot destroy a newer
    /// message.
    pub fn erase_slot(&mut self, slot: SlotRef) -> Result<(), StoreError> {
        if self.forget_slot(slot)? {
            self.staged.erased.push(slot);
        }
        Ok(())
    }

    /// Has a slot overwritten after the commit: for what lives on, sealed anew by the same operation. If the commit
    /// fails the slot keeps what it holds, and nothing is lost; if the program dies behind the commit, the next start
    /// finds no row for the slot and overwrites it.
    pub fn retire_slot(&mut self, slot: SlotRef) -> Result<(), StoreError> {
        if self.forget_slot(slot)? {
            self.staged.retired.push(slot);
        }
        Ok(())
    }

    /// Deletes a slot's row; false if it is another's by now.
    fn forget_slot(&mut self, slot: SlotRef) -> Result<bool, StoreError> {
        let key = slot.index.to_be_bytes();
        let mut is_ours = false;
        self.view(SLOTS, &key, &mut |tag| {
            is_ours = tag == slot.tag;
            Ok(())
        })?;
        if is_ours {
            self.delete(SLOTS, &key);
        }
        Ok(is_ours)
    }

    /// Deletes a blob's row and has its file unlinked after the commit.
    pub fn forget_blob(&mut self, blob: BlobId) {
        self.delete(BLOBS, blob.as_bytes());
        self.staged.forgotten.push(blob);
    }

    /// The operation succeeded: what it wrote goes into the transaction. An error here is one of the whole group.
    pub(super) fn accept(&mut self) -> Result<(), StoreError> {
        self.group.absorb(&mut self.staged);
        for (table, rows) in std::mem::take(&mut self.overlay).into_values() {
            self.dirty |= !rows.is_empty();
            let row_key = self.row_key;
            let open = self.table_mut(table)?;
            for (key, value) in rows {
                let done = match value {
                    Some(mut value) => {
                        record::seal(row_key, table, &key, &mut value);
                        open.insert(key.as_slice(), value.as_slice()).map(drop)
                    }
                    None => open.remove(key.as_slice()).map(drop),
                };
                done.map_err(StoreError::database("writing a row"))?;
            }
        }
        Ok(())
    }

    /// The operation failed: nothing of it stays.
    pub(super) fn reject(&mut self) {
        self.overlay.clear();
        let staged = std::mem::take(&mut self.staged);
        give_back(self.slots, &staged.made);
    }

    /// Whether any accepted operation wrote a row.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    fn rows(&mut self, table: Table) -> &mut Rows {
        &mut self.overlay.entry(table.place).or_insert_with(|| (table, Rows::new())).1
    }

    fn overlaid(&self, table: Table) -> Option<&Rows> {
        self.overlay.get(&table.place).map(|(_, rows)| rows)
    }

    fn table(&self, table: Table) -> Result<&OpenTable<'t>, StoreError> {
        // Every table knows its place in ALL, for which `open` was made.
        let cell = self.open.get(table.place).ok_or(StoreError::Closed)?;
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self.transaction.open_table(definition(table)).map_err(StoreError::database("opening a table"))?;
        Ok(cell.get_or_init(|| open))
    }

    fn table_mut(&mut self, table: Table) -> Result<&mut OpenTable<'t>, StoreError> {
        self.table(table)?;
        self.open.get_mut(table.place).and_then(OnceCell::get_mut).ok_or(StoreError::Closed)
    }
}

/// Overwrites slots that no row will ever name, and frees them.
pub(super) fn give_back(slots: &SlotFile, made: &[SlotRef]) {
    for slot in made {
        match slots.clear(slot.index) {
            Ok(()) => slots.release(slot.index),
            // It stays taken; the next start finds no row for it and erases it.
            Err(error) => tracing::warn!(%error, "a slot that nobody needs could not be erased yet"),
        }
    }
}

type BaseRow<'r> = (AccessGuard<'r, &'static [u8]>, AccessGuard<'r, &'static [u8]>);

impl Tx for WriteTx<'_> {
    fn view(
        &self,
        table: Table,
        key: &[u8],
        see: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        match self.overlaid(table).and_then(|rows| rows.get(key)) {
            Some(Some(value)) => see(value)?,
            Some(None) => return Ok(false),
            None => {
                let row = self.table(table)?.get(key).map_err(StoreError::database("reading a row"))?;
                let Some(row) = row else { return Ok(false) };
                see(record::unseal(self.row_key, table, key, row.value())?)?;
            }
        }
        Ok(true)
    }

    fn scan_each(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        see: &mut SeeEach<'_>,
    ) -> Result<(), StoreError> {
        let Some(bounds) = bounds(from, to) else { return Ok(()) };
        let mut base_range =
            self.table(table)?.range::<&[u8]>(bounds).map_err(StoreError::database("reading a range of rows"))?;
        let mut next_base = || -> Result<Option<BaseRow<'_>>, StoreError> {
            let next = if direction == Direction::Forward { base_range.next() } else { base_range.next_back() };
            next.transpose().map_err(StoreError::database("reading a range of rows"))
        };
        let mut over_range = self.overlaid(table).map(|rows| rows.range::<[u8], _>(bounds));
        let mut next_over = || {
            let range = over_range.as_mut()?;
            if direction == Direction::Forward { range.next() } else { range.next_back() }
        };

        let (mut base, mut over) = (next_base()?, next_over());
        loop {
            let order = match (&base, &over) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((base_key, _)), Some((over_key, _))) => {
                    let order = base_key.value().cmp(over_key.as_slice());
                    if direction == Direction::Forward { order } else { order.reverse() }
                }
            };
            let mut flow = std::ops::ControlFlow::Continue(());
            if order == Ordering::Less {
                if let Some((key, row)) = &base {
                    flow = see(key.value(), record::unseal(self.row_key, table, key.value(), row.value()))?;
                }
            } else if let Some((key, Some(value))) = over {
                flow = see(key, Ok(value))?;
            }
            if flow.is_break() {
                return Ok(());
            }
            // Equal keys move both on: the overlay has replaced or deleted the row below it.
            if order != Ordering::Greater {
                base = next_base()?;
            }
            if order != Ordering::Less {
                over = next_over();
            }
        }
    }
}
