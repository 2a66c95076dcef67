//! Upkeep: what has to be done once a night.

use super::audit::{self, Event};
use super::invites;
use super::portal::{Error, Portal};

impl Portal {
    /// Changes the epoch of the slots, so that every older copy of the slot file opens nothing; forgets old links;
    /// gives space back to the disk where nobody is reading just now.
    pub fn upkeep(&self) -> Result<(), Error> {
        let (now, audit) = (self.now(), self.host.audit_key());
        self.store.upkeep_rotate_epoch()?;
        self.store.write(move |tx| {
            invites::tidy_links(tx, now)?;
            audit::note(tx, &audit, now, None, Event::EpochChanged, "")
        })?;
        self.store.upkeep_compact()?;
        Ok(())
    }
}
