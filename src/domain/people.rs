//! People: what a User Manager sees and does.

use std::collections::BTreeMap;

use super::accounts::{self, Account, Corrected, Details, Email, Plan, Relationship, Status};
use super::audit::{self, Event};
use super::ids::AccountId;
use super::invites::ReadOut;
use super::portal::{Error, Loop, Portal};
use super::practices;
use super::resend;
use super::sessions::Manager;
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::store::tables::EMAILS;
use crate::store::{Direction, Tx, WriteTx};

/// People that the page shows.
const PEOPLE_MAX: usize = 5000;

/// A person on the people page.
#[derive(Debug)]
pub struct PersonView {
    /// The account.
    pub account: Account,
    /// Name of who invited them.
    pub invited_by: Option<String>,
    /// The code to read out to them.
    pub code: Option<ReadOut>,
    /// Whether they asked for a new link.
    pub asks: bool,
}

/// What a User Manager may correct.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Names and phones.
    pub details: Details,
    /// Address.
    pub email: String,
    /// Value of the relationship field; empty leaves it.
    pub relationship: String,
    /// Whether they may begin conversations.
    pub full_plan: bool,
    /// Whether they are a User Manager. Only an administrator changes this.
    pub manager: bool,
}

impl Portal {
    /// Everybody, by name.
    pub fn people(&self, manager: &Manager) -> Result<Vec<PersonView>, Error> {
        self.store.read(|tx| {
            let mut people = Vec::new();
            for (_, account) in tx.records::<Account>(&[], &[], Direction::Forward, PEOPLE_MAX)? {
                let inviter = account.invited_by.map(|id| accounts::account(tx, id)).transpose()?;
                let code = self.code_to_read_out(tx, manager.member(), &account)?;
                let asks = super::invites::has_asked(tx, account.id)?;
                people.push(PersonView { invited_by: inviter.map(|inviter| inviter.name()), code, asks, account });
            }
            people.sort_by_key(|person| person.account.name().to_lowercase());
            Ok(people)
        })
    }

    /// One person.
    pub fn person(&self, _manager: &Manager, id: AccountId) -> Result<Account, Error> {
        self.store.read(|tx| accounts::account(tx, id))
    }

    /// Corrects a person; an administrator only by another one. Under a new address they are invited anew. The address of
    /// somebody who has registered stays: they prove a new one themselves.
    pub fn correct(&self, manager: &Manager, id: AccountId, form: Correction) -> Result<(), Error> {
        let details = form.details.checked()?;
        let email: Email = form.email.parse()?;
        let relationship = match form.relationship.as_str() {
            "" => None,
            value => Some(value.parse::<Relationship>()?),
        };
        let (by, may_promote) = (manager.member().account(), manager.member().admin().is_ok());
        let recovery = self.recovery_secret(manager.member())?;
        let (now, audit, wrapping) = (self.now(), self.host.audit_key(), self.host.wrapping_key("notice"));
        self.store.write(move |tx| {
            let before = accounts::account(tx, id)?;
            let mut account = before.clone();
            if account.admin && !may_promote {
                return Err(Error::Denied);
            }
            let is_readdressed = email != account.email;
            if is_readdressed {
                readdress(tx, &mut account, email)?;
            }
            details.put(&mut account);
            note_whose_word(&before, &mut account, Corrected { by, at: now });
            if let Some(relationship) = relationship {
                account.relationship = Some(relationship);
                account.practice = if relationship.is_mine() { practices::host_id(tx)? } else { None };
            }
            account.plan = if form.full_plan || account.admin { Plan::Full } else { Plan::Free };
            if may_promote && !account.admin {
                if form.manager && account.credentials.is_none() {
                    let message = "This person can become a User Manager once they have registered.";
                    return Err(Error::invalid("manager", message));
                }
                account.manager = form.manager;
            }
            account.settle_share(tx, recovery.as_ref())?;
            accounts::put(tx, &account)?;
            if is_readdressed {
                resend::invite_anew(tx, &wrapping, &account, now)?;
            }
            note_correction(tx, &audit, (now, by), &before, &account)
        })?;
        self.wake(Loop::Outbox);
        Ok(())
    }

    /// Unlocks an account after wrong passwords.
    pub fn unlock(&self, manager: &Manager, id: AccountId) -> Result<(), Error> {
        self.change_account(Some(manager), id, Event::AccountUnlocked, |account| {
            account.wrong_passwords = 0;
            Ok(())
        })
    }

    /// Disables an account: its sessions end, and it signs in no more.
    pub fn disable(&self, manager: &Manager, id: AccountId) -> Result<(), Error> {
        let by = manager.member().account();
        self.change_account(Some(manager), id, Event::AccountDisabled, move |account| {
            if account.id == by || account.admin {
                return Err(Error::invalid("form", "Your own account and administrators cannot be disabled here."));
            }
            account.status = Status::Disabled;
            Ok(())
        })?;
        self.sessions.end_all(id);
        Ok(())
    }

    /// Enables a disabled account again.
    pub fn enable(&self, manager: &Manager, id: AccountId) -> Result<(), Error> {
        self.change_account(Some(manager), id, Event::AccountEnabled, |account| {
            if account.status == Status::Disabled {
                account.status = if account.credentials.is_some() { Status::Active } else { Status::Invited };
            }
            Ok(())
        })
    }

    /// Unlocks by address, for whoever has the server's shell.
    pub fn unlock_by_email(&self, email: &str) -> Result<(), Error> {
        let email: Email = email.parse()?;
        let account = self.store.read(|tx| accounts::by_email(tx, &email))?.ok_or(Error::NotFound)?;
        self.change_account(None, account.id, Event::AccountUnlocked, |account| {
            account.wrong_passwords = 0;
            Ok(())
        })
    }

    fn change_account(
        &self,
        by: Option<&Manager>,
        id: AccountId,
        event: Event,
        change: impl FnOnce(&mut Account) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let recovery = by.map(|by| self.recovery_secret(by.member())).transpose()?.flatten();
        let (now, audit, by) = (self.now(), self.host.audit_key(), by.map(|by| by.member().account()));
        self.store.write(move |tx| {
            let mut account = accounts::account(tx, id)?;
            change(&mut account)?;
            account.settle_share(tx, recovery.as_ref())?;
            accounts::put(tx, &account)?;
            audit::note(tx, &audit, now, by, event, id)
        })
    }
}

/// Leaves a mark where a correction leads what waits for somebody elsewhere. The numbers are the practice's again.
fn note_whose_word(before: &Account, after: &mut Account, corrected: Corrected) {
    if before.credentials.is_some() {
        return;
    }
    if before.email != after.email {
        after.address_corrected = Some(corrected);
    }
    if before.phones() != after.phones() {
        after.phone_corrected = Some(corrected);
        after.known_phones = None;
    }
}

/// What a User Manager changed: an entry for each kind.
fn note_correction(
    tx: &mut WriteTx<'_>,
    audit: &MacKey,
    (now, by): (Timestamp, AccountId),
    before: &Account,
    after: &Account,
) -> Result<(), Error> {
    let mut kinds: BTreeMap<Event, Vec<&str>> = BTreeMap::new();
    for field in accounts::changed_fields(before, after) {
        let event = match field {
            "email" => Event::AddressCorrected,
            "office_phone" | "cell_phone" => Event::PhoneCorrected,
            "manager" if after.manager => Event::PermissionGiven,
            "full_plan" if after.plan == Plan::Full => Event::PermissionGiven,
            "manager" | "full_plan" => Event::PermissionTaken,
            _ => Event::AccountCorrected,
        };
        kinds.entry(event).or_default().push(field);
    }
    kinds.into_iter().try_for_each(|(event, fields)| {
        audit::note(tx, audit, now, Some(by), event, audit::fields_of(after.id, &fields))
    })
}

fn readdress(tx: &mut WriteTx<'_>, account: &mut Account, email: Email) -> Result<(), Error> {
    if account.status != Status::Invited {
        let message = "This person has registered with this address. Only they can change it.";
        return Err(Error::invalid("email", message));
    }
    if accounts::by_email(tx, &email)?.is_some() {
        return Err(Error::invalid("email", "Somebody else has this address already."));
    }
    tx.delete(EMAILS, account.email.as_str().as_bytes());
    tx.put(EMAILS, email.as_str().as_bytes(), account.id.bytes().to_vec());
    // What was sent to the wrong address must open nothing for whoever reads mail there.
    super::invites::void(tx, account.id)?;
    account.email = email;
    Ok(())
}
