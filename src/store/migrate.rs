//! Numbered migrations, run when the store is opened.
//!
//! The list is only ever appended to. A migration is needed where a key's layout changes or rows move; a record that
//! grows or changes its shape upgrades itself when it is read (see [`record`](super::record)).

use super::commit::Writer;
use super::error::StoreError;
use super::overlay::WriteTx;
use super::record::Record;
use super::tables::{HOLDINGS, META, TO_INDEX, Table};
use super::tx::{Direction, ReadTx, Tx as _};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// A step from one schema to the next; it commits together with the new number, or not at all.
type Migration = fn(&mut WriteTx<'_>) -> Result<(), StoreError>;

/// The schema of the first release.
const FIRST: u32 = 1;

/// The steps: the first leads from schema 1 to schema 2, and so on.
const MIGRATIONS: &[Migration] = &[every_copy_is_to_be_indexed];

/// To schema 2, which knows search: what was there before it is found as well.
fn every_copy_is_to_be_indexed(tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
    let mut copies = Vec::new();
    tx.scan(HOLDINGS, &[], &[], Direction::Forward, &mut |row, _| {
        copies.push(row.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    copies.iter().for_each(|row| tx.put(TO_INDEX, row, Vec::new()));
    Ok(())
}

/// Key of the schema's number in [`META`].
const SCHEMA: &[u8] = b"schema";

#[derive(Serialize, Deserialize)]
struct Schema {
    number: u32,
}

impl Record for Schema {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// Brings the database to the newest schema; a new database gets its number.
pub(super) fn run(writer: &mut Writer, found: Option<u32>) -> Result<(), StoreError> {
    run_steps(writer, found, MIGRATIONS)
}

/// The schema of the database; `None` if it is new.
pub(super) fn schema(tx: &ReadTx<'_>) -> Result<Option<u32>, StoreError> {
    Ok(tx.record::<Schema>(SCHEMA)?.map(|schema| schema.number))
}

fn run_steps(writer: &mut Writer, found: Option<u32>, steps: &'static [Migration]) -> Result<(), StoreError> {
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(FIRST);
    let Some(found) = found else { return set(writer, known, |_| Ok(())) };
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (from, step) in (FIRST..).zip(steps).skip_while(|(from, _)| *from < found) {
        let number = from.saturating_add(1);
        set(writer, number, *step)?;
        tracing::info!(schema = number, "the database was brought to a newer schema");
    }
    Ok(())
}

fn set(writer: &mut Writer, number: u32, step: Migration) -> Result<(), StoreError> {
    writer.run_alone(move |tx| {
        step(tx)?;
        tx.put_record(SCHEMA, &Schema { number })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Bench;

    const STEPS: &[Migration] = &[
        |tx| {
            tx.put(META, b"first", vec![1]);
            Ok(())
        },
        |tx| {
            let mut value = tx.get(META, b"first")?.unwrap();
            value.push(2);
            tx.put(META, b"second", value);
            Ok(())
        },
    ];

    fn migrate(bench: &Bench, steps: &'static [Migration]) -> Result<Option<u32>, StoreError> {
        let (shared, mut writer) = bench.writer();
        let schema_now = || schema(&ReadTx::new(shared.engine.begin_read()?, &shared.row_key));
        run_steps(&mut writer, schema_now()?, steps)?;
        schema_now()
    }

    #[test]
    fn steps_run_once_and_in_order() {
        let bench = Bench::new();
        assert_eq!(migrate(&bench, &[]).unwrap(), Some(1));
        assert_eq!(migrate(&bench, &STEPS[..1]).unwrap(), Some(2));
        assert_eq!(migrate(&bench, STEPS).unwrap(), Some(3));
        assert_eq!(migrate(&bench, STEPS).unwrap(), Some(3));
        let (shared, _) = bench.writer();
        let tx = ReadTx::new(shared.engine.begin_read().unwrap(), &shared.row_key);
        assert_eq!(tx.get(META, b"second").unwrap().unwrap(), [1, 2]);
    }

    #[test]
    fn a_new_database_needs_no_steps_and_a_newer_one_is_refused() {
        let bench = Bench::new();
        assert_eq!(migrate(&bench, STEPS).unwrap(), Some(3));
        let (shared, _) = bench.writer();
        let tx = ReadTx::new(shared.engine.begin_read().unwrap(), &shared.row_key);
        assert_eq!(tx.get(META, b"first").unwrap(), None);
        drop(tx);
        drop(shared);
        assert!(matches!(migrate(&bench, &[]), Err(StoreError::Newer { found: 3, known: 1 })));
    }

    #[test]
    fn a_step_that_fails_leaves_the_schema_as_it_was() {
        let bench = Bench::new();
        migrate(&bench, &[]).unwrap();
        let failing: &[Migration] = &[|tx| {
            tx.put(META, b"half", vec![]);
            Err(StoreError::Closed)
        }];
        assert!(migrate(&bench, failing).is_err());
        assert_eq!(migrate(&bench, &[]).unwrap(), Some(1));
    }
}
