//! Counts: the numbers beside a mailbox's folders. They change in the transaction that changes what they count.

use serde::{Deserialize, Serialize};

use super::ids::MailboxId;
use super::portal::Error;
use crate::store::tables::COUNTS;
use crate::store::{Record, Table, Tx, WriteTx};

/// The numbers beside the folders. Key: mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Conversations in the inbox with something unread.
    pub inbox_unread: u32,
    /// Conversations in the archive with something unread.
    pub archive_unread: u32,
    /// Drafts.
    pub drafts: u32,
    /// Changes whenever anything in the folders does.
    pub revision: u64,
}

impl Record for Counts {
    const TABLE: Table = COUNTS;
    const VERSION: u8 = 1;
}

/// Those of a mailbox.
pub(super) fn of(tx: &impl Tx, mailbox: MailboxId) -> Result<Counts, Error> {
    Ok(tx.record::<Counts>(mailbox.bytes())?.unwrap_or_default())
}

/// Changes those of a mailbox, in whose folders something changes.
pub(super) fn change(tx: &mut WriteTx<'_>, mailbox: MailboxId, change: impl FnOnce(&mut Counts)) -> Result<(), Error> {
    let was = of(tx, mailbox)?;
    let mut is = was.clone();
    change(&mut is);
    is.revision = was.revision.wrapping_add(1);
    Ok(tx.put_record(mailbox.bytes(), &is)?)
}
