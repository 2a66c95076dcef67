//! Accounts: who a person is, what they may do, and the keys of their mailbox.

use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::audit::{self, Event};
use super::fields::{EXPIRY_DAYS_MAX, NAME_CHARS_MAX, expiry_days, line};
use super::ids::{AccountId, MailboxId, PracticeId, key};
use super::portal::{Error, Portal};
use super::sessions::Member;
use super::shares::Share;
use super::time::Timestamp;
use crate::crypto::identity::{Bundle, MailboxPublic, MailboxSecret};
use crate::crypto::password::{Derived, Stretch, judge};
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{CryptoError, Key32, Parcel, Sealed, same};
use crate::store::tables::{ACCOUNTS, COLLEAGUES, EMAILS, MAILBOXES};
use crate::store::{Direction, Record, Table, Tx, WriteTx, prefix_end};

/// Longest e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Longest telephone number, in characters as typed.
pub const PHONE_CHARS_MAX: usize = 40;
/// Longest signature, in characters.
pub const SIGNATURE_CHARS_MAX: usize = 2000;
/// Wrong passwords in a row that lock an account.
pub const WRONG_PASSWORDS_MAX: u32 = 5;
/// A valid e-mail address in lower case: what people sign in with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = Error;

    /// Validates as browsers do for `<input type=email>` (HTML Standard, "valid e-mail address").
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim().to_ascii_lowercase();
        let bad = || Error::invalid("email", "This is not an e-mail address. It looks like name@example.org.");
        let (local, domain) = text.split_once('@').ok_or_else(bad)?;
        let local_ok = !local.is_empty()
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b));
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if local_ok && text.len() <= EMAIL_BYTES_MAX && domain.split('.').all(label_ok) {
            Ok(Self(text))
        } else {
            Err(bad())
        }
    }
}

/// How a sender knows somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relationship {
    /// Doctor in my practice.
    DoctorMine,
    /// Staff in my practice.
    StaffMine,
    /// Doctor in another practice.
    DoctorOther,
    /// Staff in another practice.
    StaffOther,
    /// Patient.
    Patient,
}

impl Relationship {
    /// All of them, as they are offered, with their names in forms.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::DoctorMine, "doctor_mine", "Doctor in my practice"),
        (Self::StaffMine, "staff_mine", "Staff in my practice"),
        (Self::DoctorOther, "doctor_other", "Doctor in another practice"),
        (Self::StaffOther, "staff_other", "Staff in another practice"),
        (Self::Patient, "patient", "Patient"),
    ];

    /// The value in forms.
    pub fn value(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(_, value, _)| value)
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(.., words)| words)
    }

    /// Whether this is somebody of the sender's own practice.
    pub fn is_mine(self) -> bool {
        matches!(self, Self::DoctorMine | Self::StaffMine)
    }
}

impl FromStr for Relationship {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|(_, value, _)| *value == text).map(|(one, ..)| *one);
        found.ok_or_else(|| Error::invalid("relationship", "Choose how you know this person."))
    }
}

/// Whether the person may begin conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Reads, replies, attaches, without limit.
    Free,
    /// Composes to anyone and invites as well.
    Full,
}

/// Where the account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written to, not yet registered.
    Invited,
    /// Registered.
    Active,
    /// Signs in no more.
    Disabled,
}

/// What a password turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is the account's, and lets them in.
    Right,
    /// It is not.
    Wrong,
    /// Five wrong ones have locked the account: nothing is said about this one.
    Locked,
}

/// What a registered account signs in with, and its bundle in its two wraps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// Cost and salt.
    pub stretch: Stretch,
    /// Compared at sign-in.
    #[serde(with = "crate::crypto::secret::bytes")]
    pub verifier: [u8; 32],
    /// The slot that both wraps need.
    pub slot: SlotRef,
    /// The bundle under the password's key and the slot.
    pub by_password: Sealed,
    /// The bundle for the practice's recovery identity, under the slot.
    pub by_recovery: Parcel,
}

/// Who corrected something, and when.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Corrected {
    /// The User Manager.
    pub by: AccountId,
    /// When.
    pub at: Timestamp,
}

/// Telephone numbers, as typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phones {
    /// At work.
    pub office: String,
    /// Mobile.
    pub cell: String,
}

impl std::fmt::Display for Phones {
    /// Those that there are, in one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let there: Vec<&str> = [&*self.office, &*self.cell].into_iter().filter(|phone| !phone.is_empty()).collect();
        f.write_str(&there.join(" · "))
    }
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Identifier.
    pub id: AccountId,
    /// The person's mailbox.
    pub mailbox: MailboxId,
    /// User name.
    pub email: Email,
    /// First name; may be empty until registration.
    pub first_name: String,
    /// Last name; may be empty until registration.
    pub last_name: String,
    /// Telephone at work, as typed.
    pub office_phone: String,
    /// Mobile telephone, as typed.
    pub cell_phone: String,
    /// As chosen by who invited them; none for the first administrator.
    pub relationship: Option<Relationship>,
    /// The practice that they belong to; a patient belongs to none.
    pub practice: Option<PracticeId>,
    /// What they may begin.
    pub plan: Plan,
    /// Permission: User Manager.
    pub manager: bool,
    /// Permission: administrator.
    pub admin: bool,
    /// Where the account stands.
    pub status: Status,
    /// Who invited them.
    pub invited_by: Option<AccountId>,
    /// When the account came about.
    pub created: Timestamp,
    /// Last sign-in.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// IANA name of their time zone.
    pub time_zone: String,
    /// Put under new messages.
    pub signature: String,
    /// Own default expiry in days, if they chose one.
    pub expiry_days: Option<u8>,
    /// Version of the terms of use that they agreed to, and when.
    #[serde(default)]
    pub terms: Option<(String, Timestamp)>,
    /// Wrong passwords in a row.
    #[serde(default)]
    pub wrong_passwords: u32,
    /// Who corrected the address before registration, and when: what waited before went to another one.
    #[serde(default)]
    pub address_corrected: Option<Corrected>,
    /// Who corrected a phone number before registration, and when.
    #[serde(default)]
    pub phone_corrected: Option<Corrected>,
    /// The phone numbers that the practice knew, where whoever follows the invitation has typed others.
    #[serde(default)]
    pub known_phones: Option<Phones>,
    /// Keys; none until registration.
    pub credentials: Option<Credentials>,
    /// For administrators and User Managers.
    #[serde(default)]
    pub recovery_share: Option<Share>,
}

impl Record for Account {
    const TABLE: Table = ACCOUNTS;
    const VERSION: u8 = 1;
}

impl Account {
    /// First and last name, or the address while there is none.
    pub fn name(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name);
        if name.trim().is_empty() { self.email.to_string() } else { name.trim().to_owned() }
    }

    /// Their telephone numbers.
    pub fn phones(&self) -> Phones {
        Phones { office: self.office_phone.clone(), cell: self.cell_phone.clone() }
    }

    /// The slot of its keys: another one after every change of the password.
    pub(super) fn slot(&self) -> Option<SlotRef> {
        self.credentials.as_ref().map(|credentials| credentials.slot)
    }

    /// Gives a share of the recovery secret to one who may recover others and has none, and ends that of one who may
    /// not. Called wherever a permission, the status or the identity has changed.
    pub(super) fn settle_share(&mut self, tx: &mut WriteTx<'_>, recovery: Option<&MailboxSecret>) -> Result<(), Error> {
        let may_recover = (self.admin || self.manager) && self.status == Status::Active;
        self.recovery_share = match (self.recovery_share.take(), recovery) {
            (Some(share), _) if may_recover => Some(share),
            (None, Some(secret)) if may_recover => {
                Some(Share::give(tx, secret, &mailbox(tx, self.mailbox)?.public, self.id)?)
            }
            (Some(share), _) => share.end(tx).map(|()| None)?,
            (None, _) => None,
        };
        Ok(())
    }

    /// Whether five wrong passwords have locked it.
    pub fn is_locked(&self) -> bool {
        self.wrong_passwords >= WRONG_PASSWORDS_MAX
    }
}

/// What owns a key and receives messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mailbox {
    /// Whose it is.
    pub owner: AccountId,
    /// What messages are sealed to, and signatures checked with.
    pub public: MailboxPublic,
    /// Until its owner registers: the identity, kept by the server.
    pub pending: Option<PendingIdentity>,
}

impl Record for Mailbox {
    const TABLE: Table = MAILBOXES;
    const VERSION: u8 = 1;
}

/// The identity of a mailbox whose owner has not registered: wrapped under the host key and a slot of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingIdentity {
    /// Overwritten at registration.
    pub slot: SlotRef,
    /// The bundle.
    pub secret: Sealed,
}

/// Reads an account that must be there.
pub(super) fn account(tx: &impl Tx, id: AccountId) -> Result<Account, Error> {
    tx.record::<Account>(id.bytes())?.ok_or(Error::NotFound)
}

/// Names of the fields in which an account differs from what it was.
pub(super) fn changed_fields(before: &Account, after: &Account) -> Vec<&'static str> {
    let fields = [
        ("first_name", before.first_name != after.first_name),
        ("last_name", before.last_name != after.last_name),
        ("email", before.email != after.email),
        ("office_phone", before.office_phone != after.office_phone),
        ("cell_phone", before.cell_phone != after.cell_phone),
        ("relationship", before.relationship != after.relationship),
        ("full_plan", before.plan != after.plan),
        ("manager", before.manager != after.manager),
        ("time_zone", before.time_zone != after.time_zone),
        ("signature", before.signature != after.signature),
        ("expires", before.expiry_days != after.expiry_days),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Reads a mailbox that must be there.
pub(super) fn mailbox(tx: &impl Tx, id: MailboxId) -> Result<Mailbox, Error> {
    tx.record::<Mailbox>(id.bytes())?.ok_or(Error::NotFound)
}

/// The account with this address.
pub(super) fn by_email(tx: &impl Tx, email: &Email) -> Result<Option<Account>, Error> {
    match tx.get(EMAILS, email.as_str().as_bytes())? {
        Some(id) => Ok(Some(account(tx, AccountId::from_key(&id).ok_or(Error::NotFound)?)?)),
        None => Ok(None),
    }
}

/// Writes an account, and lists it with its practice.
pub(super) fn put(tx: &mut WriteTx<'_>, account: &Account) -> Result<(), Error> {
    let was = tx.record::<Account>(account.id.bytes())?.and_then(|was| was.practice);
    if was != account.practice {
        if let Some(was) = was {
            tx.delete(COLLEAGUES, &colleague_key(was, account.id));
        }
        if let Some(practice) = account.practice {
            tx.put(COLLEAGUES, &colleague_key(practice, account.id), Vec::new());
        }
    }
    Ok(tx.put_record(account.id.bytes(), account)?)
}

/// Removes an account and its address.
pub(super) fn remove(tx: &mut WriteTx<'_>, account: &Account) {
    if let Some(practice) = account.practice {
        tx.delete(COLLEAGUES, &colleague_key(practice, account.id));
    }
    tx.delete(EMAILS, account.email.as_str().as_bytes());
    tx.delete_record::<Account>(account.id.bytes());
}

fn colleague_key(practice: PracticeId, account: AccountId) -> Vec<u8> {
    key(&[practice.bytes(), account.bytes()])
}

/// The people of a practice, but for those who are disabled.
pub(super) fn of_practice(tx: &impl Tx, practice: PracticeId) -> Result<Vec<Account>, Error> {
    let (from, to) = (practice.bytes(), prefix_end(practice.bytes()));
    let mut people = Vec::new();
    for (row, _) in tx.range(COLLEAGUES, from, &to, Direction::Forward, usize::MAX)? {
        let id = row.last_chunk::<16>().map(|id| AccountId::from_bytes(*id)).ok_or(Error::NotFound)?;
        let account = account(tx, id)?;
        if account.practice == Some(practice) && account.status != Status::Disabled {
            people.push(account);
        }
    }
    Ok(people)
}

/// Writes an account that is new, with its address.
pub(super) fn add(tx: &mut WriteTx<'_>, account: &Account) -> Result<(), Error> {
    tx.put(EMAILS, account.email.as_str().as_bytes(), account.id.bytes().to_vec());
    put(tx, account)
}

/// Keys of an account that are ready to be written: everything slow or random is done outside the transaction.
pub(super) struct NewKeys {
    pub public: MailboxPublic,
    slot: SlotKey,
    stretch: Stretch,
    verifier: Key32,
    by_password: Sealed,
    by_recovery: Parcel,
}

impl NewKeys {
    /// Seals `bundle` for the account `id` under a fresh slot.
    pub(super) fn seal(
        id: AccountId,
        bundle: &Bundle,
        (stretch, derived): (Stretch, &Derived),
        recovery: &MailboxPublic,
    ) -> Result<Self, Error> {
        let slot = SlotKey::generate();
        Ok(Self {
            public: bundle.public(),
            by_password: bundle.seal(&password_key(derived, &slot, id), id.bytes())?,
            by_recovery: Parcel::seal(bundle.to_plain()?.as_bytes(), recovery, &slot, &recovery_context(id))?,
            stretch,
            verifier: derived.verifier.clone(),
            slot,
        })
    }

    /// Gives the account these keys; its old slot, if any, is overwritten behind them, so the old password opens nothing.
    pub(super) fn give(self, tx: &mut WriteTx<'_>, account: &mut Account) -> Result<(), Error> {
        let slot = tx.new_slot(&self.slot)?;
        if let Some(old) = &account.credentials {
            tx.retire_slot(old.slot)?;
        }
        account.credentials = Some(Credentials {
            stretch: self.stretch,
            verifier: *self.verifier.expose(),
            slot,
            by_password: self.by_password,
            by_recovery: self.by_recovery,
        });
        Ok(())
    }
}

fn password_key(derived: &Derived, slot: &SlotKey, id: AccountId) -> Key32 {
    slot.with(&derived.key, "sealpost account bundle v1", id.bytes())
}

fn recovery_context(id: AccountId) -> Vec<u8> {
    [b"recovery".as_slice(), id.bytes()].concat()
}

impl Credentials {
    /// The bundle, with what the password gave.
    pub(super) fn open(&self, slots: &SlotFile, derived: &Derived, id: AccountId) -> Result<Bundle, Error> {
        Ok(self.open_with(&slots.read(&self.slot)?, derived, id)?)
    }

    /// The bundle of the account `id`, with its slot's secret and what the password gave.
    pub fn open_with(&self, slot: &SlotKey, derived: &Derived, id: AccountId) -> Result<Bundle, CryptoError> {
        Bundle::open(&password_key(derived, slot, id), id.bytes(), &self.by_password)
    }

    /// The bundle, with the recovery identity.
    pub(super) fn recover(&self, slots: &SlotFile, recovery: &MailboxSecret, id: AccountId) -> Result<Bundle, Error> {
        Ok(self.recover_with(&slots.read(&self.slot)?, recovery, id)?)
    }

    /// The bundle of the account `id`, with its slot's secret and the recovery identity.
    pub fn recover_with(&self, slot: &SlotKey, recovery: &MailboxSecret, id: AccountId) -> Result<Bundle, CryptoError> {
        Bundle::from_plain(&self.by_recovery.open(recovery, slot, &recovery_context(id))?)
    }

    /// Whether what a password gave is right.
    pub(super) fn matches(&self, derived: &Derived) -> bool {
        same(&self.verifier, derived.verifier.expose())
    }
}

/// Names and phones as typed into a form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Telephone at work.
    pub office_phone: String,
    /// Mobile telephone.
    pub cell_phone: String,
}

impl Details {
    /// Checks lengths and characters.
    pub(super) fn checked(&self) -> Result<Self, Error> {
        let phone = |field, text: &str| {
            let text = line(field, text, PHONE_CHARS_MAX)?;
            let ok = text.chars().all(|c| c.is_ascii_digit() || " +-()./x".contains(c));
            if ok {
                Ok(text)
            } else {
                Err(Error::invalid(field, "A phone number has digits, spaces and + - ( ) only."))
            }
        };
        Ok(Self {
            first_name: line("first_name", &self.first_name, NAME_CHARS_MAX)?,
            last_name: line("last_name", &self.last_name, NAME_CHARS_MAX)?,
            office_phone: phone("office_phone", &self.office_phone)?,
            cell_phone: phone("cell_phone", &self.cell_phone)?,
        })
    }

    /// Demands a name as well.
    pub(super) fn complete(&self) -> Result<Self, Error> {
        let checked = self.checked()?;
        if checked.first_name.is_empty() {
            return Err(Error::invalid("first_name", "Please enter your first name."));
        }
        if checked.last_name.is_empty() {
            return Err(Error::invalid("last_name", "Please enter your last name."));
        }
        Ok(checked)
    }

    /// Those of an account.
    pub(super) fn of(account: &Account) -> Self {
        Self {
            first_name: account.first_name.clone(),
            last_name: account.last_name.clone(),
            office_phone: account.office_phone.clone(),
            cell_phone: account.cell_phone.clone(),
        }
    }

    /// Puts them into the account.
    pub(super) fn put(self, account: &mut Account) {
        account.first_name = self.first_name;
        account.last_name = self.last_name;
        account.office_phone = self.office_phone;
        account.cell_phone = self.cell_phone;
    }
}

/// The profile form.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Names and phones.
    pub details: Details,
    /// IANA time zone.
    pub time_zone: String,
    /// Signature.
    pub signature: String,
    /// Default expiry in days.
    pub expiry_days: Option<u8>,
}

impl Portal {
    /// The signed-in person's account.
    pub fn own_account(&self, member: &Member) -> Result<Account, Error> {
        self.store.read(|tx| account(tx, member.account()))
    }

    /// Changes the signed-in person's profile.
    pub fn change_profile(&self, member: &Member, profile: Profile) -> Result<(), Error> {
        let details = profile.details.complete()?;
        let days = profile.expiry_days.map(|days| expiry_days("expires", days)).transpose()?;
        jiff::tz::TimeZone::get(&profile.time_zone)
            .map_err(|_| Error::invalid("time_zone", "Choose a time zone from the list."))?;
        if profile.signature.chars().count() > SIGNATURE_CHARS_MAX {
            return Err(Error::invalid("signature", "This is too long: 2,000 characters at most."));
        }
        let (id, now, audit) = (member.account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            let before = account(tx, id)?;
            let mut account = before.clone();
            details.put(&mut account);
            account.time_zone = profile.time_zone;
            account.signature = profile.signature.trim_end().replace("\r\n", "\n");
            account.expiry_days = days;
            put(tx, &account)?;
            match changed_fields(&before, &account) {
                fields if fields.is_empty() => Ok(()),
                fields => audit::note(tx, &audit, now, Some(id), Event::ProfileChanged, audit::fields_of(id, &fields)),
            }
        })
    }

    /// Changes the password: a fresh slot, the old one overwritten, every other session ended.
    ///
    /// # Errors
    /// [`Error::Denied`] when wrong passwords have locked the account.
    pub fn change_password(&self, member: &Member, current: &SecretString, new: &SecretString) -> Result<(), Error> {
        let me = self.own_account(member)?;
        let bundle = self.prove_password(&me, current)?;
        self.judge_password("password", new, &me, &[])?;
        let keys = self.new_keys(&me, &bundle, new)?;
        let (id, now, audit) = (me.id, self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            let mut account = account(tx, id)?;
            // What the current password was held against may have been changed since.
            if account.slot() != me.slot() {
                return Err(Error::Conflict);
            }
            keys.give(tx, &mut account)?;
            put(tx, &account)?;
            audit::note(tx, &audit, now, Some(id), Event::PasswordChanged, id)
        })?;
        self.sessions.end_others(id, member.session());
        Ok(())
    }

    /// The signed-in person's identity as a file for the `age` command, against the password.
    ///
    /// # Errors
    /// [`Error::Denied`] when wrong passwords have locked the account.
    pub fn export_key(&self, member: &Member, current: &SecretString) -> Result<Vec<u8>, Error> {
        let me = self.own_account(member)?;
        let bundle = self.prove_password(&me, current)?;
        let (id, now, audit) = (me.id, self.now(), self.host.audit_key());
        self.store.write(move |tx| audit::note(tx, &audit, now, Some(id), Event::KeyExported, id))?;
        Ok(format!(
            "# Sealpost key of {}\n# public key: {}\n{}\n",
            me.email,
            bundle.public().recipient(),
            *crate::crypto::secret_text(bundle.secret())
        )
        .into_bytes())
    }

    /// The bundle, if `password` is the account's. Whoever found a session open may guess here no more often than at
    /// the door: the fifth wrong one locks the account and ends its sessions.
    ///
    /// # Errors
    /// [`Error::Denied`] when the account is locked.
    fn prove_password(&self, account: &Account, password: &SecretString) -> Result<Bundle, Error> {
        let credentials = account.credentials.as_ref().ok_or(Error::NotFound)?;
        let derived = self.hasher.derive(password, &credentials.stretch)?;
        let right = credentials.matches(&derived).then_some(credentials.slot);
        match self.count_password(account.id, right, Some(account.id))? {
            Judged::Right => credentials.open(self.store.slots(), &derived, account.id),
            Judged::Wrong => Err(Error::invalid("current_password", "This is not your current password.")),
            Judged::Locked => {
                self.sessions.end_all(account.id);
                Err(Error::Denied)
            }
        }
    }

    /// Default life of a message that this person writes, in days: their own choice, else the practice's.
    pub fn default_expiry_days(&self, member: &Member) -> Result<u8, Error> {
        let own = self.own_account(member)?.expiry_days;
        let practice = self.practice()?.map_or(EXPIRY_DAYS_MAX, |practice| practice.expiry_days);
        Ok(own.unwrap_or(practice))
    }

    /// Refuses a password that is too easy to guess for somebody who knows this person and their practice.
    pub(super) fn judge_password(
        &self,
        field: &'static str,
        password: &SecretString,
        account: &Account,
        context: &[&str],
    ) -> Result<(), Error> {
        use secrecy::ExposeSecret;
        let practice = self.store.read(|tx| super::practices::host(tx))?.map(|host| host.name).unwrap_or_default();
        let known = [account.email.as_str(), &account.first_name, &account.last_name, &practice];
        let judgement = judge(password.expose_secret(), &[&known, context].concat());
        if judgement.ok { Ok(()) } else { Err(Error::invalid(field, judgement.text)) }
    }

    /// The recovery identity's secret, for one who may recover others; none where there is no share.
    pub(super) fn recovery_secret(&self, member: &Member) -> Result<Option<MailboxSecret>, Error> {
        let share = self.own_account(member)?.recovery_share;
        share.map(|share| share.open(self.store.slots(), member.bundle(), member.account())).transpose()
    }

    /// Seals `bundle` for the account under a new password.
    pub(super) fn new_keys(&self, me: &Account, bundle: &Bundle, new: &SecretString) -> Result<NewKeys, Error> {
        let host = self.store.read(|tx| super::practices::host(tx))?.ok_or(Error::Conflict)?;
        let stretch = self.hasher.stretch();
        let derived = self.hasher.derive(new, &stretch)?;
        NewKeys::seal(me.id, bundle, (stretch, &derived), &host.recovery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_browsers_accept() {
        for good in ["a@b", "Ann.Lee+x@Example.ORG ", "o'neil@x-y.example", "1@2.3"] {
            assert_eq!(good.parse::<Email>().unwrap().as_str(), good.trim().to_lowercase());
        }
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@-b", "a@b-.c", "a@b..c", "é@b.c", "a@b\r\nBcc: c@d", "\"a\"@b.c"]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
        assert!(format!("{}@b.c", "a".repeat(260)).parse::<Email>().is_err());
    }
}
