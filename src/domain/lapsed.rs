//! Lapsed invitations: somebody who never registered is forgotten when no message names them any more.

use super::accounts::{self, Account, Mailbox, Status};
use super::audit::{self, Event};
use super::ids::AccountId;
use super::portal::{Error, Portal};
use super::time::Timestamp;
use super::{correspondents, links, notices};
use crate::crypto::MacKey;
use crate::store::tables::{COUNTS, INVITES, THREAD_MESSAGES};
use crate::store::{Direction, Tx, WriteTx, prefix_end};

impl Portal {
    /// Forgets whoever was invited, has not registered, and is named by no message: the last line without content is
    /// gone, so the last message was destroyed [`TOMBSTONE_DAYS`](super::expiry::TOMBSTONE_DAYS) ago. For upkeep.
    pub(super) fn forget_lapsed(&self) -> Result<(), Error> {
        let (now, audit) = (self.now(), self.host.audit_key());
        let lapsed = self.store.read(|tx| {
            let mut lapsed = Vec::new();
            for (_, account) in tx.records::<Account>(&[], &[], Direction::Forward, usize::MAX)? {
                if has_lapsed(tx, &account)? {
                    lapsed.push(account.id);
                }
            }
            Ok::<_, Error>(lapsed)
        })?;
        for id in lapsed {
            let audit = audit.clone();
            self.store.write(move |tx| forget(tx, id, now, &audit))?;
        }
        Ok(())
    }
}

fn has_lapsed(tx: &impl Tx, account: &Account) -> Result<bool, Error> {
    if account.status != Status::Invited {
        return Ok(false);
    }
    let mailbox = account.mailbox.bytes();
    Ok(tx.range(THREAD_MESSAGES, mailbox, &prefix_end(mailbox), Direction::Forward, 1)?.is_empty())
}

/// Removes account, address, mailbox, links, letters and codes; the identity's slot is overwritten.
fn forget(tx: &mut WriteTx<'_>, id: AccountId, now: Timestamp, audit: &MacKey) -> Result<(), Error> {
    let account = accounts::account(tx, id)?;
    // Since it was found somebody may have written to them.
    if !has_lapsed(tx, &account)? {
        return Ok(());
    }
    if let Some(pending) = accounts::mailbox(tx, account.mailbox)?.pending {
        tx.retire_slot(pending.slot)?;
    }
    links::void(tx, id)?;
    notices::withdraw(tx, id)?;
    tx.delete(INVITES, id.bytes());
    tx.delete(COUNTS, account.mailbox.bytes());
    tx.delete_record::<Mailbox>(account.mailbox.bytes());
    correspondents::forget(tx, account.mailbox)?;
    accounts::remove(tx, &account);
    audit::note(tx, audit, now, None, Event::PersonForgotten, id)
}
