//! The audit log: who did what when, as a chain whose every link carries a MAC over the one before.
//!
//! An entry holds identifiers, the name of an event and names of fields, never content, addresses or names. Somebody who can write to
//! the database can neither change nor drop an entry without breaking the chain. What the chain alone cannot show is that
//! its end was cut off together with the head's row being put back as it once was: for that an entry has to be known from
//! elsewhere, from a backup or a log server.

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, key};
use super::portal::{Error, Portal};
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::crypto::secret::bytes;
use crate::store::tables::{AUDIT, META};
use crate::store::{Direction, Record, Table, Tx, WriteTx};

/// Key of the chain's head in the meta table.
const HEAD: &[u8] = b"audit";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    AddressCorrected,
    PhoneCorrected,
    PermissionGiven,
    PermissionTaken,
    ProfileChanged,
    PersonInvited,
    PersonForgotten,
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
    ContactsImported,
    ContactsExported,
    SharedContactChanged,
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
    /// On what: an identifier in hexadecimal digits and the names of what changed, as far as there are such.
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

/// On what somebody changed which fields of theirs.
pub(super) fn fields_of(id: AccountId, fields: &[&str]) -> String {
    format!("{id} {}", fields.join(" "))
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
            let beyond = tx.range(AUDIT, &head.count.to_be_bytes(), &[], Direction::Forward, 1)?;
            if head.mac == end.mac && beyond.is_empty() { Ok(head.count) } else { Err(Error::Conflict) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::portal::test_portal;

    fn changed(change: impl FnOnce(&mut WriteTx<'_>) -> Result<(), Error> + Send + 'static) -> Result<u64, Error> {
        let folder = tempfile::tempdir().unwrap();
        let portal = test_portal(folder.path(), Timestamp(1));
        let audit = portal.host.audit_key();
        let fill = move |tx: &mut WriteTx<'_>| {
            (0..5).try_for_each(|n| note(tx, &audit, Timestamp(n), None, Event::MessageSent, n))?;
            change(tx)
        };
        portal.store.write(fill).unwrap();
        portal.verify_audit()
    }

    #[test]
    fn the_chain_shows_what_was_done_to_it() {
        assert_eq!(changed(|_| Ok(())).unwrap(), 5);
        let second = 1_u64.to_be_bytes();
        let broken = [
            changed(move |tx| {
                let mut entry = tx.record::<Entry>(&second)?.unwrap();
                entry.event = Event::MessageRecalled;
                Ok(tx.put_record(&second, &entry)?)
            }),
            changed(move |tx| {
                tx.delete_record::<Entry>(&second);
                Ok(())
            }),
            changed(|tx| {
                let last = tx.record::<Entry>(&4_u64.to_be_bytes())?.unwrap();
                Ok(tx.put_record(&5_u64.to_be_bytes(), &last)?)
            }),
        ];
        for result in broken {
            assert!(matches!(result, Err(Error::Conflict)), "{result:?}");
        }
    }
}
