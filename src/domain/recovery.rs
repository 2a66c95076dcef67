//! Recovery with the printed kit: a new password and a new identity for somebody who is locked out, and nothing lost.
//!
//! Whoever holds the kit and the server's shell can do this; it never revives what was destroyed, because the account's
//! slot and every message's slot are still needed.

use secrecy::SecretString;

use super::accounts::{self, Email, NewKeys};
use super::audit::{self, Event};
use super::books;
use super::drafts;
use super::messages;
use super::portal::{Error, Portal};
use super::practices;
use super::summaries;
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
        let keys = NewKeys::seal(account.id, &bundle, (stretch, &derived), &host.recovery)?;
        let secret = kit.secret().clone();
        let (id, now, audit, store) = (account.id, self.now(), self.host.audit_key(), self.store.clone());
        self.store.write(move |tx| {
            let mut account = accounts::account(tx, id)?;
            let mut mailbox = accounts::mailbox(tx, account.mailbox)?;
            messages::rekey(tx, store.slots(), account.mailbox, &old, &keys.public)?;
            drafts::rekey(tx, &store, account.mailbox, &old, &keys.public)?;
            summaries::forget_all(tx, account.mailbox)?;
            books::rekey(tx, store.slots(), account.mailbox, old.secret(), bundle.secret())?;
            mailbox.public = keys.public.clone();
            tx.put_record(account.mailbox.bytes(), &mailbox)?;
            keys.give(tx, &mut account)?;
            if let Some(share) = account.recovery_share.take() {
                share.end(tx)?;
            }
            account.settle_share(tx, Some(&secret))?;
            account.wrong_passwords = 0;
            accounts::put(tx, &account)?;
            audit::note(tx, &audit, now, None, Event::AccountRecovered, id)
        })?;
        self.sessions.end_all(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::MailboxSecret;
    use crate::domain::accounts::{Account, Details};
    use crate::domain::drafts::{DraftText, Invitee};
    use crate::domain::ids::{AccountId, DraftId};
    use crate::domain::people::Correction;
    use crate::domain::portal::test_portal;
    use crate::domain::sessions::Manager;
    use crate::domain::setup::SetUp;
    use crate::domain::shares::Share;
    use crate::domain::time::Timestamp;

    const ANN: &str = "ann@riverside.example";
    const LEE: &str = "lee@hillside.example";
    const PASSWORD: &str = "seven quiet herons wade";
    const NEW: &str = "nine loud otters paddle";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn signed_in(portal: &Portal, email: &str, password: &str) -> crate::domain::sessions::Member {
        portal.member(&portal.sign_in(email, &secret(password), "").unwrap()).unwrap()
    }

    fn find(portal: &Portal, email: &str) -> Account {
        portal.store.read(|tx| accounts::by_email(tx, &email.parse()?)).unwrap().unwrap()
    }

    /// A practice, and somebody who was written to; its administrator, and the other's identifier.
    fn practice(portal: &Portal) -> (Manager, AccountId) {
        let form = SetUp {
            practice_name: "Riverside".into(),
            name: "Ann Rivers".into(),
            email: ANN.into(),
            password: secret(PASSWORD),
            expiry_days: 30,
            time_zone: String::new(),
        };
        portal.set_up(&portal.setup_token(), form).unwrap();
        let ann = signed_in(portal, ANN, PASSWORD);
        let text = DraftText {
            to: LEE.into(),
            invitees: vec![Invitee { relationship: "staff_mine".into(), ..Invitee::default() }],
            subject: "Tooth 14".into(),
            body: "Please look.".into(),
            expires: "30".into(),
            ..DraftText::default()
        };
        portal.send(&ann, DraftId::generate(), &text).unwrap();
        (ann.manager().unwrap(), find(portal, LEE).id)
    }

    fn register(portal: &Portal, by: &Manager, id: AccountId) {
        let letters = portal.letters_due().unwrap();
        let token = letters[0].link.rsplit_once('/').unwrap().1;
        let details = Details { first_name: "Lee".into(), last_name: "Hill".into(), ..Details::default() };
        portal.send_code(token, Some(details)).unwrap();
        let code = portal.people(by).unwrap().into_iter().find_map(|person| person.code).unwrap();
        let ticket = portal.enter_code(token, &code.digits).unwrap();
        portal.register(token, &ticket, &secret(PASSWORD), "UTC", "").unwrap();
        assert_eq!(find(portal, LEE).id, id);
    }

    fn promote(portal: &Portal, by: &Manager, id: AccountId, manager: bool) -> Result<(), Error> {
        let details = Details { first_name: "Lee".into(), last_name: "Hill".into(), ..Details::default() };
        let form = Correction { details, email: LEE.into(), relationship: String::new(), full_plan: true, manager };
        portal.correct(by, id, form)
    }

    /// Whether this is the secret of the practice's recovery identity.
    fn is_true(portal: &Portal, secret: Option<MailboxSecret>) -> bool {
        secret.is_some_and(|secret| secret.public() == portal.practice().unwrap().unwrap().recovery)
    }

    fn opens(portal: &Portal, share: Share, member: &crate::domain::sessions::Member) -> bool {
        is_true(portal, share.open(portal.store.slots(), member.bundle(), member.account()).ok())
    }

    #[test]
    fn a_share_comes_with_the_permission_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let portal = test_portal(folder.path(), Timestamp(1_795_428_000_000));
        let (ann, lee) = practice(&portal);
        assert!(is_true(&portal, portal.recovery_secret(ann.member()).unwrap()), "the first administrator's");
        let early = promote(&portal, &ann, lee, true);
        assert!(matches!(early, Err(Error::Invalid { field: "manager", .. })), "no identity to seal it to yet");
        register(&portal, &ann, lee);
        assert!(find(&portal, LEE).recovery_share.is_none());

        promote(&portal, &ann, lee, true).unwrap();
        let member = signed_in(&portal, LEE, PASSWORD);
        assert!(is_true(&portal, portal.recovery_secret(&member).unwrap()));
        portal.change_password(&member, &secret(PASSWORD), &secret(NEW)).unwrap();
        let member = signed_in(&portal, LEE, NEW);
        assert!(is_true(&portal, portal.recovery_secret(&member).unwrap()), "after a change of the password");
        let kit = Kit::of(portal.recovery_secret(ann.member()).unwrap().unwrap()).unwrap();
        portal.recover(&kit, LEE, &secret(PASSWORD)).unwrap();
        let member = signed_in(&portal, LEE, PASSWORD);
        assert!(is_true(&portal, portal.recovery_secret(&member).unwrap()), "and to the identity after a recovery");

        let share = find(&portal, LEE).recovery_share.unwrap();
        assert!(opens(&portal, share.clone(), &member));
        promote(&portal, &ann, lee, false).unwrap();
        assert!(find(&portal, LEE).recovery_share.is_none() && !opens(&portal, share, &member), "its slot is erased");

        promote(&portal, &ann, lee, true).unwrap();
        let share = find(&portal, LEE).recovery_share.unwrap();
        portal.disable(&ann, lee).unwrap();
        assert!(find(&portal, LEE).recovery_share.is_none() && !opens(&portal, share, &member), "as for the disabled");
        portal.enable(&ann, lee).unwrap();
        let member = signed_in(&portal, LEE, PASSWORD);
        assert!(is_true(&portal, portal.recovery_secret(&member).unwrap()), "who get another when they are let in");
        portal.verify_audit().unwrap();
    }
}
