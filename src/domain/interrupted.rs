//! Destruction that was interrupted: finished at the next start.
//!
//! To destroy is to overwrite slots first and forget rows after. A kill or a full disk between the two leaves rows whose
//! slots are blank; nobody can open what they name, and nobody was told that it is gone. What was asked for is done to
//! its end here, before anybody looks: such rows would otherwise stand in folders as something that cannot be opened.

use std::collections::{BTreeMap, HashSet};

use super::accounts::Account;
use super::audit::{self, Event};
use super::books::{self, Entry};
use super::drafts::{self, Draft};
use super::expiry;
use super::ids::{DraftId, ID_BYTES, MailboxId, MessageId};
use super::messages::{self, Holding, Message};
use super::portal::{Error, Portal};
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::store::{Direction, Record, Tx, WriteTx, after, chain};

/// Rows read at once while the owners of blank slots are looked for.
const BATCH: usize = 1000;

/// What blank slots belonged to.
#[derive(Default)]
struct Owners {
    drafts: Vec<(MailboxId, DraftId)>,
    copies: BTreeMap<MessageId, Vec<MailboxId>>,
    contacts: Vec<Vec<u8>>,
    accounts: usize,
}

impl Portal {
    /// Finishes what was interrupted. Called before anybody can reach the portal.
    ///
    /// # Errors
    /// Those of the disk and the database. What a damaged row keeps from being finished is logged and left.
    pub(super) fn finish_interrupted(&self) -> Result<(), Error> {
        let blank = self.store.blank_slots();
        if blank.is_empty() {
            return Ok(());
        }
        let Some(owners) = unless_damaged(self.store.read(|tx| owners(tx, blank)))? else { return Ok(()) };
        if owners.accounts > 0 {
            // No operation leaves an account with a blank slot: these are not the slots that belong to the database,
            // and what can't be opened now may open again with the right ones.
            tracing::error!(
                accounts = owners.accounts,
                "the slot file does not belong to the database: put back both from the same copy"
            );
            return Ok(());
        }
        tracing::info!(
            drafts = owners.drafts.len(),
            messages = owners.copies.len(),
            contacts = owners.contacts.len(),
            "a destruction was interrupted and is finished now"
        );
        let (now, audit) = (self.now(), self.host.audit_key());
        for (mailbox, id) in owners.drafts {
            unless_damaged(self.store.write_urgently(move |tx| drafts::forget(tx, mailbox, id, false)))?;
        }
        for row in owners.contacts {
            unless_damaged(self.store.write(move |tx| books::forget(tx, &row)))?;
        }
        for (id, gone) in owners.copies {
            let audit = audit.clone();
            unless_damaged(self.store.write_urgently(move |tx| finish_message(tx, id, &gone, now, &audit)))?;
        }
        Ok(())
    }
}

/// A damaged row must not keep the whole portal from opening, nor must a full disk: it is logged.
fn unless_damaged<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if expiry::is_of_rows(&error) || matches!(error, Error::Full) => {
            tracing::error!(cause = chain(&error), "an interrupted destruction could not be finished");
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Whose slots these are.
fn owners(tx: &impl Tx, blank: &HashSet<u64>) -> Result<Owners, Error> {
    let mut owners = Owners::default();
    let is_blank = |index: u64| blank.contains(&index);
    each::<Account>(tx, |_, account| {
        owners.accounts += usize::from(account.credentials.is_some_and(|keys| is_blank(keys.slot.index)));
    })?;
    each::<Draft>(tx, |row, draft| {
        let owner = pair(row).filter(|_| is_blank(draft.slot.index));
        owners.drafts.extend(owner.and_then(|(mailbox, id)| Some((mailbox, DraftId::from_key(id)?))));
    })?;
    each::<Entry>(tx, |row, entry| {
        owners.contacts.extend(is_blank(entry.slot.index).then(|| row.to_vec()));
    })?;
    each::<Holding>(tx, |row, holding| {
        let owner = pair(row).filter(|_| is_blank(holding.slot.index));
        if let Some((mailbox, message)) = owner.and_then(|(mailbox, id)| Some((mailbox, MessageId::from_key(id)?))) {
            owners.copies.entry(message).or_default().push(mailbox);
        }
    })?;
    Ok(owners)
}

/// Every record of a table, a batch in memory at a time.
fn each<T: Record>(tx: &impl Tx, mut see: impl FnMut(&[u8], T)) -> Result<(), Error> {
    let mut from = Vec::new();
    loop {
        let rows = tx.records::<T>(&from, &[], Direction::Forward, BATCH)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        from = after(last);
        rows.into_iter().for_each(|(row, record)| see(&row, record));
    }
}

/// The mailbox in a row's key, and the bytes of the draft or message that follow.
fn pair(row: &[u8]) -> Option<(MailboxId, &[u8])> {
    let (mailbox, id) = row.split_at_checked(ID_BYTES)?;
    Some((MailboxId::from_key(mailbox)?, id))
}

/// Somebody deleted their copy, or everybody's were to go: one blank slot among several is the first.
fn finish_message(
    tx: &mut WriteTx<'_>,
    id: MessageId,
    gone: &[MailboxId],
    now: Timestamp,
    audit: &MacKey,
) -> Result<(), Error> {
    let message = messages::message(tx, id)?;
    if message.gone(now).is_some() {
        // Overdue: the sweep, which comes next, does it with all others.
        return Ok(());
    }
    let living = message.holders.iter().filter(|holder| !holder.deleted && !gone.contains(&holder.mailbox)).count();
    match gone {
        [mailbox] if living > 0 => expiry::delete_copy(tx, *mailbox, None, id, now, audit),
        _ => recall(tx, message, now, audit),
    }
}

fn recall(tx: &mut WriteTx<'_>, message: Message, now: Timestamp, audit: &MacKey) -> Result<(), Error> {
    let id = message.id;
    expiry::destroy(tx, message, now, true)?;
    audit::note(tx, audit, now, None, Event::MessageRecalled, id)
}
