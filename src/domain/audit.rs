//! The audit log: who did what when, as a chain whose every link carries a MAC over the one before.
//!
//! An entry holds identifiers and the name of an event, never content, addresses or names. Somebody who can write to
//! the database can neither change nor drop an entry without breaking the chain, short of cutting off its end back to
//! an older head, which the head's own guarded row shows.

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, key};
use super::portal::{Error, Portal};
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::crypto::secret::bytes;
use crate::store::tables::{AUDIT, META};
use crate::store::{Record, Table, Tx, WriteTx};

/// Key of the chain's head in the meta table.
const HEAD: &[u8] = b"audit";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says it")]
pub enum Event {
    SetUp,
    KitConfirmed,
    SignedIn,
    SignInFailed,
    AccountLocked,
    AccountUnlocked,
    AccountDisabled,
    AccountEnabled,
    AccountCorrected,
    PersonInvited,
    InvitationResent,
    NewLinkAsked,
    CodeSent,
    CodeFailed,
    CodeAccepted,
    Registered,
    PasswordChanged,
    AccountRecovered,
    KeyExported,
    SessionsEnded,
    MessageSent,
    MessageOpened,
    MessageExported,
    FileDownloaded,
    ExpiryChanged,
    MessageRecalled,
    CopyDeleted,
    MessageExpired,
    NoticeSent,
    NoticeFailed,
    SettingsChanged,
    EpochChanged,
    ClockJumped,
}

/// One link of the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who, if it was a person.
    pub actor: Option<AccountId>,
    /// What.
    pub event: Event,
    /// On what: an identifier in hexadecimal digits, or empty.
    pub subject: String,
    /// MAC over this entry and the MAC before it.
    #[serde(with = "bytes")]
    pub mac: [u8; 32],
}

impl Record for Entry {
    const TABLE: Table = AUDIT;
    const VERSION: u8 = 1;
}

#[derive(Clone, Serialize, Deserialize)]
struct Head {
    count: u64,
    #[serde(with = "bytes")]
    mac: [u8; 32],
}

impl Record for Head {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// Adds an entry within the transaction of what it tells of.
pub(super) fn note(
    tx: &mut WriteTx<'_>,
    audit: &MacKey,
    at: Timestamp,
    actor: Option<AccountId>,
    event: Event,
    subject: impl std::fmt::Display,
) -> Result<(), Error> {
    let head = tx.record::<Head>(HEAD)?.unwrap_or(Head { count: 0, mac: [0; 32] });
    let subject = subject.to_string();
    let mac = link(audit, &head, at, actor, event, &subject)?;
    let number = head.count;
    tx.put_record(&number.to_be_bytes(), &Entry { at, actor, event, subject, mac })?;
    tx.put_record(HEAD, &Head { count: number + 1, mac })?;
    Ok(())
}

fn link(
    audit: &MacKey,
    head: &Head,
    at: Timestamp,
    actor: Option<AccountId>,
    event: Event,
    subject: &str,
) -> Result<[u8; 32], Error> {
    let event = rmp_serde::to_vec(&event).map_err(Error::internal)?;
    let actor = actor.map(|id| key(&[id.bytes()])).unwrap_or_default();
    Ok(audit.mac(&[&head.count.to_be_bytes(), &head.mac, &at.ascending(), &actor, &event, subject.as_bytes()]))
}

impl Portal {
    /// Checks the whole chain; the number of entries if it is unbroken.
    ///
    /// # Errors
    /// [`Error::Conflict`] when an entry was changed, dropped or added by somebody without the host key.
    pub fn verify_audit(&self) -> Result<u64, Error> {
        let audit = self.host.audit_key();
        self.store.read(|tx| {
            let mut head = Head { count: 0, mac: [0; 32] };
            let end = tx.record::<Head>(HEAD)?.unwrap_or(head.clone());
            while head.count < end.count {
                let entry = tx.record::<Entry>(&head.count.to_be_bytes())?.ok_or(Error::Conflict)?;
                let mac = link(&audit, &head, entry.at, entry.actor, entry.event, &entry.subject)?;
                if mac != entry.mac {
                    return Err(Error::Conflict);
                }
                head = Head { count: head.count + 1, mac };
            }
            if head.mac == end.mac { Ok(head.count) } else { Err(Error::Conflict) }
        })
    }
}
