//! Whose the sealed files are: a draft's, and then its message's. Messages that were sent separately, or forwarded,
//! have their files in common; a blob goes with the last that has it.
//!
//! The count stands for room on the disk and for nothing else: what opens a blob is the key inside a message's seal, and
//! that ends with each copy's slot.

use serde::{Deserialize, Serialize};

use super::ids::DraftId;
use super::portal::Error;
use crate::store::tables::BLOBS;
use crate::store::{BlobId, Record, Table, Tx, WriteTx};

/// Whose a blob is. Key: blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct BlobRow {
    /// The draft that it was uploaded to.
    owner: DraftId,
    /// Messages that have it besides the first.
    #[serde(default)]
    more: u32,
}

impl Record for BlobRow {
    const TABLE: Table = BLOBS;
    const VERSION: u8 = 1;
}

/// Notes that a blob belongs to a draft.
pub(super) fn own(tx: &mut WriteTx<'_>, blob: BlobId, owner: DraftId) -> Result<(), Error> {
    Ok(tx.put_record(blob.as_bytes(), &BlobRow { owner, more: 0 })?)
}

/// Gives a blob to one more message.
///
/// # Errors
/// [`Error::Conflict`] when it went meanwhile.
pub(super) fn share(tx: &mut WriteTx<'_>, blob: BlobId) -> Result<(), Error> {
    let mut row = tx.record::<BlobRow>(blob.as_bytes())?.ok_or(Error::Conflict)?;
    row.more += 1;
    Ok(tx.put_record(blob.as_bytes(), &row)?)
}

/// Takes a blob from one that had it; it is forgotten with the last.
pub(super) fn release(tx: &mut WriteTx<'_>, blob: BlobId) -> Result<(), Error> {
    match tx.record::<BlobRow>(blob.as_bytes())? {
        Some(mut row) if row.more > 0 => {
            row.more -= 1;
            tx.put_record(blob.as_bytes(), &row)?;
        }
        _ => tx.forget_blob(blob),
    }
    Ok(())
}
