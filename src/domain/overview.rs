//! How the installation stands, for the administrator's eyes.

use super::portal::{Error, Portal};
use crate::store::tables::{ACCOUNTS, BODIES, OUTBOX};

/// Numbers, and what needs attention.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Accounts.
    pub people: u64,
    /// Messages that are not destroyed.
    pub messages: u64,
    /// Letters in the outbox.
    pub letters_waiting: u64,
    /// How far the clock has jumped, in milliseconds, while destruction waits for that.
    pub clock_jump: Option<i64>,
}

impl Portal {
    /// Letters in the outbox.
    pub fn letters_waiting(&self) -> Result<u64, Error> {
        self.store.read(|tx| Ok(tx.rows(OUTBOX)?))
    }

    /// How the installation stands.
    pub fn overview(&self) -> Result<Overview, Error> {
        let clock_jump = self.clock_jump()?;
        self.store.read(|tx| {
            Ok(Overview {
                people: tx.rows(ACCOUNTS)?,
                messages: tx.rows(BODIES)?,
                letters_waiting: tx.rows(OUTBOX)?,
                clock_jump,
            })
        })
    }
}
