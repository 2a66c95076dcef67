//! Recovery with the printed kit: a new password and a new identity for somebody who is locked out, and nothing lost.
//!
//! Whoever holds the kit and the server's shell can do this; it never revives what was destroyed, because the account's
//! slot and every message's slot are still needed.

use secrecy::SecretString;

use super::accounts::{self, Email, NewKeys};
use super::audit::{self, Event};
use super::drafts;
use super::messages;
use super::portal::{Error, Portal};
use super::practices;
use crate::crypto::kit::Kit;

impl Portal {
    /// Opens the account's bundle with the kit, gives it a fresh identity and the new password, and ends all sessions.
    ///
    /// # Errors
    /// [`Error::Denied`] when the kit is another practice's or an older one.
    pub fn recover(&self, kit: &Kit, email: &str, password: &SecretString) -> Result<(), Error> {
        let email: Email = email.parse()?;
        let (host, account) = self.store.read(|tx| {
            let host = practices::host(tx)?.ok_or(Error::NotFound)?;
            Ok::<_, Error>((host, accounts::by_email(tx, &email)?.ok_or(Error::NotFound)?))
        })?;
        if kit.secret().public() != host.recovery {
            return Err(Error::Denied);
        }
        let credentials = account.credentials.clone().ok_or(Error::NotFound)?;
        self.judge_password("password", password, &account, &[])?;
        let old = credentials.recover(self.store.slots(), kit.secret(), account.id)?;
        let bundle = old.with_fresh_identity();
        let stretch = self.hasher.stretch();
        let derived = self.hasher.derive(password, &stretch)?;
        let share = (account.manager || account.admin).then(|| kit.secret());
        let keys = NewKeys::seal(account.id, &bundle, (stretch, &derived), &host.recovery, share)?;
        let (id, now, audit, store) = (account.id, self.now(), self.host.audit_key(), self.store.clone());
        self.store.write(move |tx| {
            let mut account = accounts::account(tx, id)?;
            let mut mailbox = accounts::mailbox(tx, account.mailbox)?;
            messages::rekey(tx, store.slots(), account.mailbox, &old, &keys.public)?;
            drafts::rekey(tx, &store, account.mailbox, &old, &keys.public)?;
            mailbox.public = keys.public.clone();
            tx.put_record(account.mailbox.bytes(), &mailbox)?;
            keys.give(tx, &mut account)?;
            account.wrong_passwords = 0;
            accounts::put(tx, &account)?;
            audit::note(tx, &audit, now, None, Event::AccountRecovered, id)
        })?;
        self.sessions.end_all(id);
        Ok(())
    }
}
