//! What is due: one ordered set of everything that is to be destroyed, by moment.

use super::ids::{DraftId, MailboxId, MessageId, key};
use super::time::Timestamp;
use crate::store::WriteTx;
use crate::store::tables::DUE;

/// What is due. The row's key is moment ‖ kind ‖ identifier; a draft's row names its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A message's expiry.
    Message(MessageId),
    /// A draft's end.
    Draft(MailboxId, DraftId),
    /// The end of a destroyed message's line.
    Tombstone(MessageId),
}

impl Due {
    /// What a row says; `None` when it says nothing that we know.
    pub(super) fn of(row: &[u8], value: &[u8]) -> Option<Self> {
        let id = row.get(9..)?;
        match row.get(8)? {
            1 => MessageId::from_key(id).map(Self::Message),
            2 => Some(Self::Draft(MailboxId::from_key(value)?, DraftId::from_key(id)?)),
            3 => MessageId::from_key(id).map(Self::Tombstone),
            _ => None,
        }
    }

    fn row(&self, at: Timestamp) -> Vec<u8> {
        let (kind, id) = match self {
            Self::Message(id) => (1, id.bytes()),
            Self::Draft(_, id) => (2, id.bytes()),
            Self::Tombstone(id) => (3, id.bytes()),
        };
        key(&[&at.ascending(), &[kind], id])
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Draft(mailbox, _) => mailbox.bytes().to_vec(),
            Self::Message(_) | Self::Tombstone(_) => Vec::new(),
        }
    }
}

/// Notes that something is due.
pub(super) fn due(tx: &mut WriteTx<'_>, what: Due, at: Timestamp) {
    tx.put(DUE, &what.row(at), what.value());
}

/// Forgets that something is due.
pub(super) fn undue(tx: &mut WriteTx<'_>, what: Due, at: Timestamp) {
    tx.delete(DUE, &what.row(at));
}
