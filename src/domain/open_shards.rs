//! Shards that a search has opened, kept in memory while their owner is signed in. They belong to a session and end with
//! its keys; one whose slot is overwritten goes at once, in every session.

use std::collections::HashMap;
use std::sync::Arc;

use crate::crypto::slots::SlotRef;
use crate::search::shard::Shard;

/// Bytes of opened shards in all sessions together; what does not fit is opened anew by every search.
pub(super) const OPEN_SHARDS_BYTES_MAX: usize = 256 << 20;

/// A shard that was opened.
pub(super) struct OpenShard {
    pub slot: SlotRef,
    pub shard: Shard,
}

/// The opened shards of a session, by the tags of their slots.
#[derive(Clone, Default)]
pub(super) struct OpenShards(HashMap<[u8; 16], Arc<OpenShard>>);

impl OpenShards {
    pub fn get(&self, slot: &SlotRef) -> Option<&Arc<OpenShard>> {
        self.0.get(&slot.tag)
    }

    pub fn bytes(&self) -> usize {
        self.0.values().map(|open| open.shard.bytes()).sum()
    }

    /// Keeps those for which there are this many bytes of room.
    pub fn keep(&mut self, new: Vec<Arc<OpenShard>>, mut room: usize) {
        for open in new {
            if let Some(left) = room.checked_sub(open.shard.bytes()) {
                room = left;
                self.0.insert(open.slot.tag, open);
            }
        }
    }

    pub fn retain(&mut self, is_living: impl Fn(&SlotRef) -> bool) {
        self.0.retain(|_, open| is_living(&open.slot));
    }
}
