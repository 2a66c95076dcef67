//! What is due: one ordered set of everything that is to be destroyed, by moment.

use super::ids::{MessageId, key};
use super::time::Timestamp;
use crate::store::WriteTx;
use crate::store::tables::DUE;

/// What is due. The key is moment ‖ kind ‖ identifier; a draft's row names its mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A message's expiry.
    Message,
    /// A draft's end.
    Draft,
    /// The end of a destroyed message's line.
    Tombstone,
}

impl Due {
    fn byte(self) -> u8 {
        match self {
            Self::Message => 1,
            Self::Draft => 2,
            Self::Tombstone => 3,
        }
    }

    /// The kind with this byte.
    pub(super) fn of(byte: u8) -> Option<Self> {
        [Self::Message, Self::Draft, Self::Tombstone].into_iter().find(|due| due.byte() == byte)
    }
}

fn due_key(what: Due, at: Timestamp, id: MessageId) -> Vec<u8> {
    key(&[&at.ascending(), &[what.byte()], id.bytes()])
}

/// Notes that something is due.
pub(super) fn due(tx: &mut WriteTx<'_>, what: Due, at: Timestamp, id: MessageId, of: &[u8]) {
    tx.put(DUE, &due_key(what, at, id), of.to_vec());
}

/// Forgets that something is due.
pub(super) fn undue(tx: &mut WriteTx<'_>, what: Due, at: Timestamp, id: MessageId) {
    tx.delete(DUE, &due_key(what, at, id));
}
