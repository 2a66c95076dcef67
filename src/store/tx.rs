//! Reading: what a snapshot and a write in progress have in common.

use super::error::StoreError;
use super::record::{self, Record};
use super::tables::{self, Table};
use crate::crypto::MacKey;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition};
use std::cell::OnceCell;
use std::ops::{Bound, ControlFlow};

/// Which end of a range comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The smallest key first.
    Forward,
    /// The greatest key first.
    Backward,
}

/// A row as it was read: its key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A record's key, and the record if it can be read.
pub type ReadRow<T> = (Vec<u8>, Result<T, StoreError>);

/// The callback of [`Tx::scan`]: sees a key and its value, and says whether to go on.
pub type See<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// The callback of [`Tx::scan_each`]: the value of a row that is not believed is what is wrong with it.
pub type SeeEach<'a> = dyn FnMut(&[u8], Result<&[u8], StoreError>) -> Result<ControlFlow<()>, StoreError> + 'a;

/// What can be read in a transaction. Values are seen without the MAC of guarded tables, which has been verified.
///
/// A range is everything from `from` (itself included) up to `to` (itself excluded); an empty `to` means up to the end
/// of the table. To read on after the last key of a page: forward, `from` is that key with a zero byte behind it
/// ([`after`]); backward, `to` is that key.
pub trait Tx {
    /// Shows the value of a key where it stands, without a copy. False if there is none.
    fn view(
        &self,
        table: Table,
        key: &[u8],
        see: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError>;

    /// Shows every row of a range where it stands, until `see` breaks off; one that was altered ends nothing.
    fn scan_each(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        see: &mut SeeEach<'_>,
    ) -> Result<(), StoreError>;

    /// Shows every row of a range where it stands, until `see` breaks off: for ranges that do not belong in memory.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        see: &mut See<'_>,
    ) -> Result<(), StoreError> {
        self.scan_each(table, from, to, direction, &mut |key, value| see(key, value?))
    }

    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        self.view(table, key, &mut |value| {
            found = Some(value.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there is such a key (its value verified, if guarded).
    fn has(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        self.view(table, key, &mut |_| Ok(()))
    }

    /// At most `limit` rows of a range.
    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.scan(table, from, to, direction, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                Ok(go_on(rows.len() < limit))
            })?;
        }
        Ok(rows)
    }

    /// How many keys begin with `prefix`; their values are not kept.
    fn count_under(&self, table: Table, prefix: &[u8]) -> Result<usize, StoreError> {
        let mut count = 0;
        self.scan(table, prefix, &prefix_end(prefix), Direction::Forward, &mut |_, _| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    /// The record of a key.
    fn record<T: Record>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.view(T::TABLE, key, &mut |value| {
            found = Some(record::decode(value)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// At most `limit` records of a range, with their keys.
    fn records<T: Record>(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let mut records = Vec::new();
        if limit > 0 {
            self.scan(T::TABLE, from, to, direction, &mut |key, value| {
                records.push((key.to_vec(), record::decode(value)?));
                Ok(go_on(records.len() < limit))
            })?;
        }
        Ok(records)
    }

    /// At most `limit` records of a range, with their keys; one that cannot be read spares the others.
    fn records_each<T: Record>(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<ReadRow<T>>, StoreError> {
        let mut records = Vec::new();
        if limit > 0 {
            self.scan_each(T::TABLE, from, to, direction, &mut |key, value| {
                records.push((key.to_vec(), value.and_then(record::decode)));
                Ok(go_on(records.len() < limit))
            })?;
        }
        Ok(records)
    }

    /// At most `limit` records whose keys begin with `prefix`, with their keys.
    fn records_under<T: Record>(
        &self,
        prefix: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        self.records(prefix, &prefix_end(prefix), direction, limit)
    }
}

/// The smallest key after every key that begins with `prefix`; empty, the end of the table, if there is none.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

/// The smallest key after `key`.
#[must_use]
pub fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn go_on(more: bool) -> ControlFlow<()> {
    if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// The two ends of a range of keys.
type Bounds<'b> = (Bound<&'b [u8]>, Bound<&'b [u8]>);

/// A range as redb and [`std::collections::BTreeMap`] take it; `None` if nothing can be in it.
pub(super) fn bounds<'b>(from: &'b [u8], to: &'b [u8]) -> Option<Bounds<'b>> {
    if to.is_empty() {
        Some((Bound::Included(from), Bound::Unbounded))
    } else if from < to {
        Some((Bound::Included(from), Bound::Excluded(to)))
    } else {
        None
    }
}

/// A table as redb knows it: bytes to bytes, whatever we keep in it.
pub(super) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name)
}

type OpenTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A snapshot: everything that was committed before it began, and nothing that is committed after.
pub struct ReadTx<'s> {
    snapshot: ReadTransaction,
    /// Tables are opened when they are first read; by their place in [`tables::ALL`].
    open: Vec<OnceCell<OpenTable>>,
    row_key: &'s MacKey,
}

impl<'s> ReadTx<'s> {
    pub(super) fn new(snapshot: ReadTransaction, row_key: &'s MacKey) -> Self {
        Self { snapshot, open: tables::ALL.iter().map(|_| OnceCell::new()).collect(), row_key }
    }

    fn table(&self, table: Table) -> Result<&OpenTable, StoreError> {
        // Every table knows its place in ALL, for which `open` was made.
        let cell = self.open.get(table.place).ok_or(StoreError::Closed)?;
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self.snapshot.open_table(definition(table)).map_err(StoreError::database("opening a table"))?;
        Ok(cell.get_or_init(|| open))
    }
}

impl ReadTx<'_> {
    /// Number of rows of a table, without looking at them.
    pub fn rows(&self, table: Table) -> Result<u64, StoreError> {
        self.table(table)?.len().map_err(StoreError::database("counting rows"))
    }
}

impl Tx for ReadTx<'_> {
    fn view(
        &self,
        table: Table,
        key: &[u8],
        see: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.table(table)?.get(key).map_err(StoreError::database("reading a row"))? else {
            return Ok(false);
        };
        see(record::unseal(self.row_key, table, key, row.value())?)?;
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
        let mut range =
            self.table(table)?.range::<&[u8]>(bounds).map_err(StoreError::database("reading a range of rows"))?;
        loop {
            let next = match direction {
                Direction::Forward => range.next(),
                Direction::Backward => range.next_back(),
            };
            let Some(row) = next else { return Ok(()) };
            let (key, row) = row.map_err(StoreError::database("reading a range of rows"))?;
            let value = record::unseal(self.row_key, table, key.value(), row.value());
            if see(key.value(), value)?.is_break() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_behind_it() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(&[1, 0xff]), [2]);
        assert_eq!(prefix_end(&[0xff, 0xff]), [0u8; 0], "the end of the table");
        assert_eq!(prefix_end(b""), b"");
        assert!(after(b"ab").as_slice() > b"ab".as_slice() && after(b"ab").as_slice() < b"ab\x01".as_slice());
    }

    #[test]
    fn a_range_that_holds_nothing_is_none() {
        assert!(bounds(b"b", b"a").is_none());
        assert!(bounds(b"a", b"a").is_none());
        assert!(bounds(b"a", b"b").is_some());
        assert!(bounds(b"zzz", b"").is_some());
    }
}
