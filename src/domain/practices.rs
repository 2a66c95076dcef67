//! Practices: the host practice, its settings, and how an installation is set up.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Email, Mailbox, NAME_CHARS_MAX, NewKeys, Plan, Status};
use super::audit::{self, Event};
use super::ids::{AccountId, MailboxId, PracticeId};
use super::portal::{Error, Portal};
use super::sessions::{Admin, Member};
use crate::crypto::identity::{Bundle, MailboxPublic, MailboxSecret};
use crate::crypto::kit::Kit;
use crate::crypto::same;
use crate::store::tables::{META, PRACTICES};
use crate::store::{Record, Table, Tx, WriteTx};

/// Key of the host practice's identifier in the meta table.
const HOST: &[u8] = b"host practice";
/// Longest name of a practice, in characters.
pub const PRACTICE_CHARS_MAX: usize = 120;
/// Shortest and longest idle time before a session ends, and what it is at first, in minutes.
pub const IDLE_MINUTES: (u8, u8, u8) = (5, 60, 15);
/// Words of the kit that are asked back.
pub const WORDS_ASKED: usize = 3;

/// A practice and its settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Practice {
    /// Its name.
    pub name: String,
    /// What every account's bundle is also wrapped to.
    pub recovery: MailboxPublic,
    /// Default life of a message, in days.
    pub expiry_days: u8,
    /// Minutes without a request that end a session.
    pub idle_minutes: u8,
    /// Whether three words of the recovery kit have been typed back.
    pub kit_confirmed: bool,
}

impl Record for Practice {
    const TABLE: Table = PRACTICES;
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize)]
struct HostPractice {
    id: PracticeId,
}

impl Record for HostPractice {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// Identifier of the host practice; none before set-up.
pub(super) fn host_id(tx: &impl Tx) -> Result<Option<PracticeId>, Error> {
    Ok(tx.record::<HostPractice>(HOST)?.map(|row| row.id))
}

/// The host practice; none before set-up.
pub(super) fn host(tx: &impl Tx) -> Result<Option<Practice>, Error> {
    match host_id(tx)? {
        Some(id) => Ok(tx.record::<Practice>(id.bytes())?),
        None => Ok(None),
    }
}

fn change_host(tx: &mut WriteTx<'_>, change: impl FnOnce(&mut Practice)) -> Result<(), Error> {
    let id = host_id(tx)?.ok_or(Error::NotFound)?;
    let mut practice = tx.record::<Practice>(id.bytes())?.ok_or(Error::NotFound)?;
    change(&mut practice);
    Ok(tx.put_record(id.bytes(), &practice)?)
}

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

/// The settings form.
#[derive(Clone, Debug)]
pub struct PracticeSettings {
    /// Name of the practice.
    pub name: String,
    /// Default life of a message, in days.
    pub expiry_days: u8,
    /// Minutes without a request that end a session.
    pub idle_minutes: u8,
}

impl Portal {
    /// The host practice; none before set-up.
    pub fn practice(&self) -> Result<Option<Practice>, Error> {
        self.store.read(|tx| host(tx))
    }

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
        let practice_name = accounts::required(
            "practice_name",
            &form.practice_name,
            PRACTICE_CHARS_MAX,
            "Please enter the name of the practice.",
        )?;
        let name = accounts::required("name", &form.name, NAME_CHARS_MAX * 2, "Please enter your name.")?;
        let (first, last) = name.rsplit_once(' ').unwrap_or((&name, ""));
        let email: Email = form.email.parse()?;
        let days = accounts::expiry_days("expires", form.expiry_days)?;
        let (practice_id, now) = (PracticeId::generate(), self.now());
        let mut account = Account {
            id: AccountId::generate(),
            mailbox: MailboxId::generate(),
            email,
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            office_phone: String::new(),
            cell_phone: String::new(),
            relationship: None,
            practice: Some(practice_id),
            plan: Plan::Full,
            manager: true,
            admin: true,
            status: Status::Active,
            invited_by: None,
            created: now,
            last_seen: None,
            time_zone: time_zone_or_utc(&form.time_zone),
            signature: String::new(),
            expiry_days: None,
            terms: None,
            wrong_passwords: 0,
            credentials: None,
        };
        self.judge_password("password", &form.password, &account, &[&practice_name])?;
        let (bundle, recovery) = (Bundle::generate(), MailboxSecret::generate());
        let stretch = self.hasher.stretch();
        let derived = self.hasher.derive(&form.password, &stretch)?;
        let keys = NewKeys::seal(account.id, &bundle, (stretch, &derived), &recovery.public(), Some(&recovery))?;
        let practice = Practice {
            name: practice_name,
            recovery: recovery.public(),
            expiry_days: days,
            idle_minutes: IDLE_MINUTES.2,
            kit_confirmed: false,
        };
        let audit = self.host.audit_key();
        self.store.write(move |tx| {
            if host_id(tx)?.is_some() {
                return Err(Error::Expired);
            }
            tx.put_record(practice_id.bytes(), &practice)?;
            tx.put_record(HOST, &HostPractice { id: practice_id })?;
            let mailbox = Mailbox { owner: account.id, public: keys.public.clone(), pending: None };
            tx.put_record(account.mailbox.bytes(), &mailbox)?;
            keys.give(tx, &mut account)?;
            accounts::add(tx, &account)?;
            audit::note(tx, &audit, now, Some(account.id), Event::SetUp, account.id)?;
            Ok(account.id)
        })
    }

    /// The practice's recovery kit, for an administrator.
    pub fn recovery_kit(&self, admin: &Admin) -> Result<Kit, Error> {
        let me = self.own_account(admin.member())?;
        let credentials = me.credentials.as_ref().ok_or(Error::Denied)?;
        let secret = credentials.open_share(self.store.slots(), admin.member().bundle(), me.id)?;
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
                let message = format!("Word {place} is not right. Look at the kit that you printed.");
                return Err(Error::invalid("words", message));
            }
        }
        let (id, now, audit) = (admin.member().account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            change_host(tx, |practice| practice.kit_confirmed = true)?;
            audit::note(tx, &audit, now, Some(id), Event::KitConfirmed, "")
        })
    }

    /// Changes the practice's settings.
    pub fn change_practice(&self, admin: &Admin, form: PracticeSettings) -> Result<(), Error> {
        let missing = "Please enter the name of the practice.";
        let name = accounts::required("practice_name", &form.name, PRACTICE_CHARS_MAX, missing)?;
        let days = accounts::expiry_days("expires", form.expiry_days)?;
        let (least, most, _) = IDLE_MINUTES;
        if !(least..=most).contains(&form.idle_minutes) {
            return Err(Error::invalid("idle_minutes", format!("Choose between {least} and {most} minutes.")));
        }
        let (id, now, audit) = (admin.member().account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            change_host(tx, |practice| {
                practice.name = name;
                practice.expiry_days = days;
                practice.idle_minutes = form.idle_minutes;
            })?;
            audit::note(tx, &audit, now, Some(id), Event::SettingsChanged, "practice")
        })
    }

    /// Default life of a message that this person writes, in days: their own choice, else the practice's.
    pub fn default_expiry_days(&self, member: &Member) -> Result<u8, Error> {
        let own = self.own_account(member)?.expiry_days;
        let practice = self.practice()?.map_or(accounts::EXPIRY_DAYS_MAX, |practice| practice.expiry_days);
        Ok(own.unwrap_or(practice))
    }
}

/// The time zone if it is one, else UTC.
pub(super) fn time_zone_or_utc(name: &str) -> String {
    let known = !name.is_empty() && jiff::tz::TimeZone::get(name).is_ok();
    if known { name.to_owned() } else { "UTC".to_owned() }
}
