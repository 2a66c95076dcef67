//! Set-up: how an installation gets its practice, its administrator and its recovery kit.

use secrecy::SecretString;

use super::accounts::{self, Account, Mailbox, NewKeys, Plan, Status};
use super::audit::{self, Event};
use super::fields::{self, NAME_CHARS_MAX};
use super::ids::{AccountId, PracticeId};
use super::portal::{Error, Portal};
use super::practices::{self, Practice};
use super::sessions::Admin;
use super::time::Timestamp;
use crate::crypto::identity::{Bundle, MailboxSecret};
use crate::crypto::kit::Kit;
use crate::crypto::same;
use crate::words::said::say;

/// Words of the kit that are asked back.
pub const WORDS_ASKED: usize = 3;

/// The set-up form.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// Name of the practice.
    pub practice_name: String,
    /// The administrator's first and last name in one line.
    pub name: String,
    /// The administrator's address.
    pub email: String,
    /// The administrator's password.
    pub password: SecretString,
    /// Default life of a message, in days.
    pub expiry_days: u8,
    /// IANA time zone of the administrator's browser, or empty.
    pub time_zone: String,
}

impl Portal {
    /// The token of the set-up link: new at every start, worthless once a practice exists.
    pub fn setup_token(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(self.setup_token.expose())
    }

    /// Whether `token` is the set-up link's.
    ///
    /// # Errors
    /// [`Error::Expired`] when set-up is done, [`Error::NotFound`] for a wrong token.
    pub fn check_setup(&self, token: &str) -> Result<(), Error> {
        if self.practice()?.is_some() {
            return Err(Error::Expired);
        }
        let given = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Error::NotFound)?;
        if same(&given, self.setup_token.expose()) { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Creates the host practice and its administrator.
    pub fn set_up(&self, token: &str, form: SetUp) -> Result<AccountId, Error> {
        self.check_setup(token)?;
        let practice_name = fields::required(
            "practice_name",
            &form.practice_name,
            practices::PRACTICE_CHARS_MAX,
            "Please enter the name of the practice.",
        )?;
        let name = fields::required("name", &form.name, NAME_CHARS_MAX * 2, "Please enter your name.")?;
        let days = fields::expiry_days("expires", form.expiry_days)?;
        let (practice_id, now) = (PracticeId::generate(), self.now());
        let mut account = administrator(&form, &name, practice_id, now)?;
        self.judge_password("password", &form.password, &account, &[&practice_name])?;
        let (bundle, recovery) = (Bundle::generate(), MailboxSecret::generate());
        let stretch = self.hasher.stretch();
        let derived = self.hasher.derive(&form.password, &stretch)?;
        let keys = NewKeys::seal(account.id, &bundle, (stretch, &derived), &recovery.public())?;
        let practice = Practice {
            name: practice_name,
            recovery: recovery.public(),
            expiry_days: days,
            idle_minutes: practices::IDLE_MINUTES.2,
            kit_confirmed: false,
        };
        let audit = self.host.audit_key();
        self.store.write(move |tx| {
            if practices::host_id(tx)?.is_some() {
                return Err(Error::Expired);
            }
            practices::found(tx, practice_id, &practice)?;
            let mailbox = Mailbox { owner: account.id, public: keys.public.clone(), pending: None };
            tx.put_record(account.mailbox.bytes(), &mailbox)?;
            keys.give(tx, &mut account)?;
            account.settle_share(tx, Some(&recovery))?;
            accounts::add(tx, &account)?;
            audit::note(tx, &audit, now, Some(account.id), Event::SetUp, account.id)?;
            Ok(account.id)
        })
    }

    /// The practice's recovery kit, for an administrator who has still to confirm that it is on paper; after that it is
    /// not shown again.
    pub fn recovery_kit(&self, admin: &Admin) -> Result<Kit, Error> {
        if !admin.member().kit_missing() {
            return Err(Error::Expired);
        }
        let secret = self.recovery_secret(admin.member())?.ok_or(Error::Denied)?;
        Ok(Kit::of(secret)?)
    }

    /// The places (from 1) of the words that are asked back. The same for one kit, so that a reload asks the same.
    pub fn words_asked(kit: &Kit) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        for byte in kit.checksum().bytes().chain(kit.words().iter().flat_map(|word| word.bytes())) {
            let place = usize::from(byte) * 7 % kit.words().len() + 1;
            if places.len() < WORDS_ASKED && !places.contains(&place) {
                places.push(place);
            }
        }
        places.sort_unstable();
        places
    }

    /// Records that the kit is on paper, when the words asked for are right.
    pub fn confirm_kit(&self, admin: &Admin, typed: &[(usize, String)]) -> Result<(), Error> {
        let kit = self.recovery_kit(admin)?;
        for place in Self::words_asked(&kit) {
            let given = typed.iter().find(|(at, _)| *at == place).map(|(_, word)| word.trim().to_lowercase());
            if given.as_ref() != kit.words().get(place - 1) {
                let message = say!("Word {place} is not right. Look at the kit that you printed.", place = place);
                return Err(Error::invalid("words", message));
            }
        }
        let (id, now, audit) = (admin.member().account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            practices::change_host(tx, |practice| practice.kit_confirmed = true)?;
            audit::note(tx, &audit, now, Some(id), Event::KitConfirmed, "")
        })
    }
}

/// The account of who sets the installation up.
fn administrator(form: &SetUp, name: &str, practice: PracticeId, now: Timestamp) -> Result<Account, Error> {
    let (first, last) = name.rsplit_once(' ').unwrap_or((name, ""));
    Ok(Account {
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        practice: Some(practice),
        plan: Plan::Full,
        manager: true,
        admin: true,
        status: Status::Active,
        time_zone: practices::time_zone_or_utc(&form.time_zone),
        ..Account::invited(form.email.parse()?, now)
    })
}
