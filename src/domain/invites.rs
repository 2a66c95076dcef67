//! Invitations: from the link in a notice to a registered account.
//!
//! A link proves possession of the e-mailbox and opens nothing by itself. The code, given by phone, is the second proof.
//! A right code is exchanged for a ticket in the browser, and only with the ticket can terms be agreed to and a password
//! be set. At registration the mailbox gets a fresh identity, everything waiting is re-keyed to it, and the slot of the
//! pending identity is overwritten.

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Details, Email, NewKeys, Phones, Plan, Status};
use super::audit::{self, Event};
use super::correspondents;
use super::ids::{AccountId, MailboxId, MessageId};
use super::links::{self, Link, token_hash};
use super::messages;
use super::portal::{Error, Loop, MINUTE, Portal};
use super::sessions::Member;
use super::time::Timestamp;
use crate::crypto::identity::Bundle;
use crate::crypto::secret::{bytes, sha256};
use crate::crypto::{MacKey, Sealed, random, same};
use crate::store::tables::INVITES;
use crate::store::{Record, Table, Tx, WriteTx};
use crate::words::said::say;

/// Life of a code, in milliseconds.
pub const CODE_LIFE: i64 = 10 * MINUTE;
/// Tries of a code.
pub const CODE_TRIES_MAX: u8 = 5;
/// Codes sent to one person before somebody of the practice has to resend the invitation.
pub const CODES_MAX: u8 = 10;
/// Life of the ticket that a right code gives, in milliseconds.
pub const TICKET_LIFE: i64 = 30 * MINUTE;
/// Version of the terms of use that is agreed to.
pub const TERMS_VERSION: &str = "2026-11";

/// How far somebody invited has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Invitation {
    code: Option<Code>,
    #[serde(default)]
    codes_sent: u8,
    ticket: Option<Ticket>,
    /// When a new link was asked for and not yet sent.
    #[serde(default)]
    asked: Option<Timestamp>,
}

impl Record for Invitation {
    const TABLE: Table = INVITES;
    const VERSION: u8 = 1;
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Code {
    #[serde(with = "bytes")]
    mac: [u8; 32],
    /// The digits under the host key, for those who read them out.
    shown: Sealed,
    expires: Timestamp,
    tries: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ticket {
    #[serde(with = "bytes")]
    hash: [u8; 32],
    expires: Timestamp,
}

/// Where somebody with a link stands.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The invited person.
    pub account: Account,
    /// Who invited them, by name.
    pub from: String,
    /// Until when the current code is good; none was sent or it is used up.
    pub code_until: Option<Timestamp>,
    /// Tries that are left for it.
    pub tries_left: u8,
}

/// Why a link leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It is too old.
    Expired,
    /// The person has registered.
    Used,
    /// There is no such link.
    Unknown,
    /// A new link has been asked for and is on its way once the sender agrees.
    Asked,
}

/// A code as it is read out by phone.
#[derive(Clone, Debug)]
pub struct ReadOut {
    /// Six digits.
    pub digits: String,
    /// Until when.
    pub until: Timestamp,
    /// Numbers that whoever follows the invitation has typed, if they are others than the practice knew.
    pub typed: Option<TypedPhones>,
}

/// Phone numbers of somebody invited that are nobody's word but their own.
#[derive(Clone, Debug)]
pub struct TypedPhones {
    /// As typed.
    pub now: Phones,
    /// As the practice knew them.
    pub before: Phones,
}

/// Somebody of the practice sent a new link: the count of codes begins again.
pub(super) fn renew(tx: &mut WriteTx<'_>, account: AccountId) -> Result<(), Error> {
    Ok(tx.put_record(account.bytes(), &Invitation::default())?)
}

fn code_mac(key: &MacKey, account: AccountId, digits: &str) -> [u8; 32] {
    key.mac(&[b"code", account.bytes(), digits.as_bytes()])
}

/// A link's row and account. A link of somebody who has registered is used; one past its time is expired.
fn follow(tx: &impl Tx, token: &str, now: Timestamp) -> Result<Result<(Link, Account), Gone>, Error> {
    let Some(link) = tx.record::<Link>(&token_hash(token))? else { return Ok(Err(Gone::Unknown)) };
    let account = accounts::account(tx, link.account)?;
    Ok(match account.status {
        Status::Active => Err(Gone::Used),
        Status::Disabled => Err(Gone::Unknown),
        Status::Invited if link.expires <= now => Err(Gone::Expired),
        Status::Invited => Ok((link, account)),
    })
}

impl Account {
    /// Somebody of whom nothing is known but the address.
    pub(super) fn invited(email: Email, now: Timestamp) -> Self {
        Self {
            id: AccountId::generate(),
            mailbox: MailboxId::generate(),
            email,
            first_name: String::new(),
            last_name: String::new(),
            office_phone: String::new(),
            cell_phone: String::new(),
            relationship: None,
            practice: None,
            plan: Plan::Free,
            manager: false,
            admin: false,
            status: Status::Invited,
            invited_by: None,
            created: now,
            last_seen: None,
            time_zone: String::new(),
            signature: String::new(),
            expiry_days: None,
            terms: None,
            wrong_passwords: 0,
            address_corrected: None,
            phone_corrected: None,
            known_phones: None,
            credentials: None,
            recovery_share: None,
        }
    }
}

impl Portal {
    /// Follows a link: changes nothing, however often it is opened.
    pub fn visit(&self, token: &str) -> Result<Result<Visit, Gone>, Error> {
        let now = self.now();
        self.store.read(|tx| {
            let (_, account) = match follow(tx, token, now)? {
                Ok(found) => found,
                Err(Gone::Expired) => return Ok(Err(self.asked_or_expired(tx, token)?)),
                Err(gone) => return Ok(Err(gone)),
            };
            let from = account.invited_by.map(|id| accounts::account(tx, id)).transpose()?;
            let invitation = tx.record::<Invitation>(account.id.bytes())?.unwrap_or_default();
            let code = invitation.code.filter(|code| code.expires > now && code.tries < CODE_TRIES_MAX);
            Ok(Ok(Visit {
                from: from.map(|from| from.name()).unwrap_or_default(),
                code_until: code.as_ref().map(|code| code.expires),
                tries_left: code.map_or(0, |code| CODE_TRIES_MAX - code.tries),
                account,
            }))
        })
    }

    fn asked_or_expired(&self, tx: &impl Tx, token: &str) -> Result<Gone, Error> {
        let Some(link) = tx.record::<Link>(&token_hash(token))? else { return Ok(Gone::Unknown) };
        let invitation = tx.record::<Invitation>(link.account.bytes())?.unwrap_or_default();
        Ok(if invitation.asked.is_some() { Gone::Asked } else { Gone::Expired })
    }

    /// Who sent the link, by name, also when it has expired.
    pub fn link_sender(&self, token: &str) -> Result<Option<String>, Error> {
        self.store.read(|tx| {
            let Some(link) = tx.record::<Link>(&token_hash(token))? else { return Ok(None) };
            let inviter = accounts::account(tx, link.account)?.invited_by;
            inviter.map(|id| accounts::account(tx, id).map(|inviter| inviter.name())).transpose()
        })
    }

    /// Keeps corrected names and phones and makes a new code, which voids the old one. The digits are for whoever
    /// reads them out; see [`Portal::code_to_read_out`].
    pub fn send_code(&self, token: &str, details: Option<Details>) -> Result<(), Error> {
        let details = details.map(|details| details.complete()).transpose()?;
        let digits = six_digits();
        let (now, audit, codes) = (self.now(), self.host.audit_key(), self.host.token_key());
        let wrapping = self.host.wrapping_key("code");
        let token = token.to_owned();
        self.store.write(move |tx| {
            let (_, mut account) = follow(tx, &token, now)?.map_err(|_| Error::Expired)?;
            let mut invitation = tx.record::<Invitation>(account.id.bytes())?.unwrap_or_default();
            if invitation.codes_sent >= CODES_MAX {
                let message = "Too many codes were sent. Ask the practice to send you a new invitation.";
                return Err(Error::invalid("form", message));
            }
            match details {
                Some(details) => {
                    let known = account.phones();
                    details.put(&mut account);
                    if account.known_phones.is_none() && account.phones() != known {
                        account.known_phones = Some(known);
                    }
                    accounts::put(tx, &account)?;
                }
                // The form with the names cannot be skipped.
                None => _ = Details::of(&account).complete()?,
            }
            let shown = wrapping.seal(account.id.bytes(), digits.as_bytes())?;
            let mac = code_mac(&codes, account.id, &digits);
            invitation.code = Some(Code { mac, shown, expires: now.plus(CODE_LIFE), tries: 0 });
            invitation.codes_sent += 1;
            invitation.ticket = None;
            tx.put_record(account.id.bytes(), &invitation)?;
            audit::note(tx, &audit, now, None, Event::CodeSent, account.id)
        })
    }

    /// Exchanges a right code for a ticket. Each wrong one is counted; the fifth voids the code.
    pub fn enter_code(&self, token: &str, typed: &str) -> Result<String, Error> {
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        let ticket = BASE64URL_NOPAD.encode(&random::<32>());
        let hash = sha256(&[b"sealpost ticket v1", ticket.as_bytes()]);
        let (now, audit, codes, token) = (self.now(), self.host.audit_key(), self.host.token_key(), token.to_owned());
        let left = self.store.write(move |tx| {
            let (_, account) = follow(tx, &token, now)?.map_err(|_| Error::Expired)?;
            let mut invitation = tx.record::<Invitation>(account.id.bytes())?.unwrap_or_default();
            let Some(code) = invitation.code.as_mut().filter(|code| code.expires > now && code.tries < CODE_TRIES_MAX)
            else {
                return Ok(Err(0));
            };
            let right = same(&code.mac, &code_mac(&codes, account.id, &digits));
            code.tries += 1;
            let left = CODE_TRIES_MAX - code.tries;
            if right {
                invitation.code = None;
                invitation.ticket = Some(Ticket { hash, expires: now.plus(TICKET_LIFE) });
            }
            tx.put_record(account.id.bytes(), &invitation)?;
            let event = if right { Event::CodeAccepted } else { Event::CodeFailed };
            audit::note(tx, &audit, now, None, event, account.id)?;
            Ok::<_, Error>(if right { Ok(()) } else { Err(left) })
        })?;
        match left {
            Ok(()) => Ok(ticket),
            Err(0) => Err(Error::invalid("code", "This code is no longer good. Ask for a new code below.")),
            Err(1) => Err(Error::invalid("code", "That is not the code. You have one more try.")),
            Err(n) => Err(Error::invalid("code", say!("That is not the code. You have {n} more tries.", n = n))),
        }
    }

    /// Whether a ticket is still good: the page that asks for a password checks before it asks.
    pub fn check_ticket(&self, token: &str, ticket: &str) -> Result<Account, Error> {
        let (now, hash) = (self.now(), sha256(&[b"sealpost ticket v1", ticket.as_bytes()]));
        self.store.read(|tx| with_ticket(tx, token, &hash, now).map(|(_, account)| account))
    }

    /// Registers: a fresh identity, everything waiting re-keyed to it, the pending identity destroyed. Gives a session
    /// token and the message whose notice led here.
    pub fn register(
        &self,
        token: &str,
        ticket: &str,
        password: &SecretString,
        time_zone: &str,
        agent: &str,
    ) -> Result<(String, Option<MessageId>), Error> {
        let account = self.check_ticket(token, ticket)?;
        self.judge_password("password", password, &account, &[])?;
        let bundle = Bundle::generate();
        let host = self.store.read(|tx| super::practices::host(tx))?.ok_or(Error::Conflict)?;
        let stretch = self.hasher.stretch();
        let derived = self.hasher.derive(password, &stretch)?;
        let keys = NewKeys::seal(account.id, &bundle, (stretch, &derived), &host.recovery)?;
        let hash = sha256(&[b"sealpost ticket v1", ticket.as_bytes()]);
        let (now, audit, token) = (self.now(), self.host.audit_key(), token.to_owned());
        let (slots, wrapping) = (self.store.clone(), self.host.wrapping_key("pending identity"));
        let time_zone = super::practices::time_zone_or_utc(time_zone);
        let message = self.store.write(move |tx| {
            let (link, mut account) = with_ticket(tx, &token, &hash, now)?;
            let mut mailbox = accounts::mailbox(tx, account.mailbox)?;
            let pending = mailbox.pending.take().ok_or(Error::Conflict)?;
            let old = open_pending(&slots, &wrapping, account.id, &pending)?;
            messages::rekey(tx, slots.slots(), account.mailbox, &old, &keys.public)?;
            tx.retire_slot(pending.slot)?;
            mailbox.public = keys.public.clone();
            tx.put_record(account.mailbox.bytes(), &mailbox)?;
            correspondents::registered(tx, account.mailbox)?;
            keys.give(tx, &mut account)?;
            account.status = Status::Active;
            account.known_phones = None;
            account.terms = Some((TERMS_VERSION.to_owned(), now));
            account.time_zone = time_zone;
            account.last_seen = Some(now);
            accounts::put(tx, &account)?;
            tx.delete_record::<Invitation>(account.id.bytes());
            audit::note(tx, &audit, now, Some(account.id), Event::Registered, account.id)?;
            Ok::<_, Error>(link.message)
        })?;
        Ok((self.begin_session(account.id, &bundle, agent)?, message))
    }

    /// Asks the inviter for a new link in place of an expired one; asking again changes nothing.
    pub fn ask_for_link(&self, token: &str) -> Result<(), Error> {
        let (now, audit, token) = (self.now(), self.host.audit_key(), token.to_owned());
        self.store.write(move |tx| {
            let link = tx.record::<Link>(&token_hash(&token))?.ok_or(Error::NotFound)?;
            let account = accounts::account(tx, link.account)?;
            let mut invitation = tx.record::<Invitation>(account.id.bytes())?.unwrap_or_default();
            if account.status != Status::Invited || invitation.asked.is_some() {
                return Ok(());
            }
            invitation.asked = Some(now);
            tx.put_record(account.id.bytes(), &invitation)?;
            super::notices::ask_inviter(tx, &account, link.message, now)?;
            audit::note(tx, &audit, now, None, Event::NewLinkAsked, account.id)
        })?;
        self.wake(Loop::Outbox);
        Ok(())
    }

    /// The code that `member` may read out to this person: the inviter and User Managers.
    pub(super) fn code_to_read_out(
        &self,
        tx: &impl Tx,
        member: &Member,
        of: &Account,
    ) -> Result<Option<ReadOut>, Error> {
        let may = of.invited_by == Some(member.account()) || member.manager().is_ok();
        if !may || of.status != Status::Invited {
            return Ok(None);
        }
        let invitation = tx.record::<Invitation>(of.id.bytes())?.unwrap_or_default();
        let now = self.now();
        let Some(code) = invitation.code.filter(|code| code.expires > now && code.tries < CODE_TRIES_MAX) else {
            return Ok(None);
        };
        let plain = self.host.wrapping_key("code").open(of.id.bytes(), &code.shown)?;
        let digits = String::from_utf8_lossy(plain.as_bytes()).into_owned();
        let before = of.known_phones.clone().filter(|known| *known != of.phones());
        let typed = before.map(|before| TypedPhones { now: of.phones(), before });
        Ok(Some(ReadOut { digits, until: code.expires, typed }))
    }
}

/// Whether somebody invited has asked for a new link.
pub(super) fn has_asked(tx: &impl Tx, account: AccountId) -> Result<bool, Error> {
    Ok(tx.record::<Invitation>(account.bytes())?.is_some_and(|invitation| invitation.asked.is_some()))
}

/// Voids every link, letter and code of somebody whose address was wrong.
pub(super) fn void(tx: &mut WriteTx<'_>, account: AccountId) -> Result<(), Error> {
    links::void(tx, account)?;
    super::notices::withdraw(tx, account)?;
    renew(tx, account)
}

/// Seals the identity of a mailbox whose owner has not registered.
pub(super) fn seal_pending(
    wrapping: &crate::crypto::Key32,
    slot: &crate::crypto::slots::SlotKey,
    account: AccountId,
    bundle: &Bundle,
) -> Result<Sealed, Error> {
    Ok(bundle.seal(&slot.with(wrapping, "sealpost pending v1", account.bytes()), account.bytes())?)
}

fn open_pending(
    store: &crate::store::Store,
    wrapping: &crate::crypto::Key32,
    account: AccountId,
    pending: &accounts::PendingIdentity,
) -> Result<Bundle, Error> {
    let slot = store.slots().read(&pending.slot)?;
    let key = slot.with(wrapping, "sealpost pending v1", account.bytes());
    Ok(Bundle::open(&key, account.bytes(), &pending.secret)?)
}

fn with_ticket(tx: &impl Tx, token: &str, hash: &[u8; 32], now: Timestamp) -> Result<(Link, Account), Error> {
    let (link, account) = follow(tx, token, now)?.map_err(|_| Error::Expired)?;
    let invitation = tx.record::<Invitation>(account.id.bytes())?.unwrap_or_default();
    let good = invitation.ticket.is_some_and(|ticket| ticket.expires > now && same(&ticket.hash, hash));
    if good { Ok((link, account)) } else { Err(Error::Expired) }
}

/// Six random digits, all equally likely.
fn six_digits() -> String {
    loop {
        let number = u32::from_be_bytes(random());
        // Numbers above the last whole million would make small codes likelier.
        if number < u32::MAX - u32::MAX % 1_000_000 {
            return format!("{:06}", number % 1_000_000);
        }
    }
}
