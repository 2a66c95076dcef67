//! Sessions and capabilities: who is signed in, and the proof of it that other operations demand.
//!
//! A session lives in memory. The server keeps a hash of the cookie's token to find it by, and the person's key bundle
//! sealed under the token and a secret of this run of the program: neither a copy of the disk nor of the memory of a
//! later run opens it. [`Member`], [`Manager`] and [`Admin`] have private fields and are made only here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;
use serde::Serialize;

use super::accounts::{self, Account, Email, Judged, Plan, Status};
use super::audit::{self, Event};
use super::counts::Counts;
use super::ids::{AccountId, MailboxId};
use super::open_shards::{OPEN_SHARDS_BYTES_MAX, OpenShard, OpenShards};
use super::portal::{DAY, Error, HOUR, MINUTE, Portal};
use super::time::Timestamp;
use crate::crypto::identity::Bundle;
use crate::crypto::secret::sha256;
use crate::crypto::slots::SlotRef;
use crate::crypto::{Key32, Sealed};

/// Longest life of a session, in milliseconds.
pub const SESSION_LIFE_MAX: i64 = 10 * HOUR;
/// How long an idle session is remembered, without its keys, so that what was being written can be saved as a draft.
const REMEMBERED: i64 = DAY;
/// Sessions of one person; the oldest ends when one more begins.
const SESSIONS_MAX: usize = 20;
/// What a person sees when address or password is wrong, or the account is locked: the same for all.
const REFUSED: &str = "The e-mail address or the password is not right. After five wrong passwords an account is \
                       locked; the practice can unlock it.";

/// Names a session without opening it: a hash of its token.
pub type SessionId = [u8; 32];

/// Every session of this run.
pub struct Sessions {
    boot: Key32,
    open: Mutex<HashMap<SessionId, Session>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { boot: Key32::generate(), open: Mutex::default() }
    }
}

struct Session {
    account: AccountId,
    /// The bundle; gone once the session is over.
    wrap: Option<Sealed>,
    started: Timestamp,
    seen: Timestamp,
    agent: String,
    /// What its searches have opened.
    shards: OpenShards,
}

impl Session {
    /// Forgets the keys, and what was opened with them.
    fn end(&mut self) {
        self.wrap = None;
        self.shards = OpenShards::default();
    }
}

/// What every page shows of the person who looks at it.
#[derive(Clone, Debug, Serialize)]
pub struct Me {
    /// First and last name.
    pub name: String,
    /// Address.
    pub email: String,
    /// First letters of the name, two at most.
    pub initials: String,
    /// Whether they may begin conversations.
    pub can_compose: bool,
    /// Whether they are a User Manager.
    pub is_manager: bool,
    /// Whether they are an administrator.
    pub is_admin: bool,
    /// Whether there is an outbox page for them.
    pub has_outbox: bool,
    /// What stands beside the folders.
    pub counts: Counts,
    /// Seconds without a request that end the session.
    pub idle_seconds: i64,
    /// IANA time zone.
    pub time_zone: String,
}

/// First letters of the first and the last word of a name, titles left out.
pub fn initials(name: &str) -> String {
    let words = name
        .split_whitespace()
        .filter(|word| !["dr", "prof"].contains(&word.trim_end_matches('.').to_lowercase().as_str()));
    let mut words = words.filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    first.into_iter().chain(words.next_back()).flat_map(char::to_uppercase).collect()
}

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// When it began.
    pub started: Timestamp,
    /// Its last request.
    pub seen: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the browser calls itself.
    pub agent: String,
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, token: &[u8]) -> Key32 {
        self.boot.derive("sealpost session v1", token)
    }

    fn begin(&self, account: AccountId, bundle: &Bundle, now: Timestamp, agent: String) -> Result<String, Error> {
        let token = crate::crypto::random::<32>();
        let wrap = Some(bundle.seal(&self.key(&token), account.bytes())?);
        let mut open = self.open();
        while open.values().filter(|session| session.account == account).count() >= SESSIONS_MAX {
            let own = open.iter().filter(|(_, session)| session.account == account);
            let Some(oldest) = own.min_by_key(|(_, session)| session.seen).map(|(id, _)| *id) else { break };
            open.remove(&oldest);
        }
        open.insert(
            lookup(&token),
            Session { account, wrap, started: now, seen: now, agent, shards: OpenShards::default() },
        );
        Ok(BASE64URL_NOPAD.encode(&token))
    }

    /// Whether a session is not over.
    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.open().get(&session).is_some_and(|session| session.wrap.is_some())
    }

    /// What a session's searches have opened.
    pub(super) fn open_shards(&self, session: SessionId) -> OpenShards {
        self.open().get(&session).map(|session| session.shards.clone()).unwrap_or_default()
    }

    /// Keeps what a search has opened, as far as there is room, unless the session is over.
    pub(super) fn keep_shards(&self, session: SessionId, new: Vec<Arc<OpenShard>>) {
        let mut open = self.open();
        let taken: usize = open.values().map(|session| session.shards.bytes()).sum();
        if let Some(session) = open.get_mut(&session).filter(|session| session.wrap.is_some()) {
            session.shards.keep(new, OPEN_SHARDS_BYTES_MAX.saturating_sub(taken));
        }
    }

    /// Forgets what searches have opened, but for what is still sealed under a living slot.
    pub(super) fn forget_shards(&self, is_living: impl Fn(&SlotRef) -> bool) {
        self.open().values_mut().for_each(|session| session.shards.retain(&is_living));
    }

    /// Ends every session of a person but one.
    pub(super) fn end_others(&self, account: AccountId, keep: SessionId) {
        self.open().retain(|id, session| session.account != account || *id == keep);
    }

    /// Ends every session of a person.
    pub(super) fn end_all(&self, account: AccountId) {
        self.open().retain(|_, session| session.account != account);
    }
}

fn lookup(token: &[u8]) -> SessionId {
    sha256(&[b"sealpost session lookup v1", token])
}

fn parse(token: &str) -> Result<[u8; 32], Error> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| Error::NotFound)?;
    bytes.try_into().map_err(|_| Error::NotFound)
}

/// Proof that a request comes from a signed-in person, with the keys of their mailbox for its duration.
#[derive(Clone, Debug)]
pub struct Member {
    account: AccountId,
    mailbox: MailboxId,
    bundle: Bundle,
    session: SessionId,
    plan: Plan,
    manager: bool,
    admin: bool,
    idle_millis: i64,
    kit_missing: bool,
}

impl Member {
    /// Who it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Their mailbox.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Which session it is.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whether they may begin conversations.
    pub fn can_compose(&self) -> bool {
        self.plan == Plan::Full
    }

    /// Milliseconds without a request that end the session.
    pub fn idle_millis(&self) -> i64 {
        self.idle_millis
    }

    /// Whether this administrator has still to print the recovery kit.
    pub fn kit_missing(&self) -> bool {
        self.admin && self.kit_missing
    }

    /// Proof that they are a User Manager.
    pub fn manager(&self) -> Result<Manager, Error> {
        if self.manager { Ok(Manager(self.clone())) } else { Err(Error::Denied) }
    }

    /// Proof that they are an administrator.
    pub fn admin(&self) -> Result<Admin, Error> {
        if self.admin { Ok(Admin(self.clone())) } else { Err(Error::Denied) }
    }

    pub(super) fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

/// Proof that a request comes from a User Manager.
#[derive(Clone, Debug)]
pub struct Manager(Member);

impl Manager {
    /// The person.
    pub fn member(&self) -> &Member {
        &self.0
    }
}

/// Proof that a request comes from an administrator.
#[derive(Clone, Debug)]
pub struct Admin(Member);

impl Admin {
    /// The person.
    pub fn member(&self) -> &Member {
        &self.0
    }
}

impl Portal {
    /// Signs somebody in; the token for their cookie.
    ///
    /// # Errors
    /// [`Error::Invalid`] on the whole form, in the same words whether the address, the password or a lock is the
    /// reason, and after the same work, the durable audit entry included.
    pub fn sign_in(&self, email: &str, password: &SecretString, agent: &str) -> Result<String, Error> {
        let refused = || Error::invalid("form", REFUSED);
        let account = match email.parse::<Email>() {
            Ok(email) => self.store.read(|tx| accounts::by_email(tx, &email))?,
            Err(_) => None,
        };
        let known = account.filter(|account| account.status == Status::Active);
        let Some((account, credentials)) = known.and_then(|a| a.credentials.clone().map(|c| (a, c))) else {
            self.hasher.pretend(password)?;
            let (now, audit) = (self.now(), self.host.audit_key());
            self.store.write_urgently(move |tx| audit::note(tx, &audit, now, None, Event::SignInFailed, ""))?;
            return Err(refused());
        };
        let derived = self.hasher.derive(password, &credentials.stretch)?;
        let right = credentials.matches(&derived);
        if self.count_password(account.id, right.then_some(credentials.slot), None)? != Judged::Right {
            return Err(refused());
        }
        let bundle = credentials.open(self.store.slots(), &derived, account.id)?;
        let token = self.begin_session(account.id, &bundle, agent)?;
        // A change of the password ends the sessions that it finds; this one it may have missed.
        if self.store.read(|tx| accounts::account(tx, account.id))?.slot() != Some(credentials.slot) {
            self.sign_out(&token);
            return Err(refused());
        }
        if self.hasher.is_outdated(&credentials.stretch) {
            self.stretch_anew(&account, &bundle, password)?;
        }
        Ok(token)
    }

    /// Begins a session for somebody who has just proved who they are.
    pub(super) fn begin_session(&self, id: AccountId, bundle: &Bundle, agent: &str) -> Result<String, Error> {
        let agent = agent.chars().filter(|c| !c.is_control()).take(200).collect();
        self.sessions.begin(id, bundle, self.now(), agent)
    }

    /// Counts a right password, proved with the credentials of this slot, or a wrong one: typed to sign in, or `within`
    /// somebody's session. A locked account stays locked, and says nothing about the password that was tried.
    pub(super) fn count_password(
        &self,
        id: AccountId,
        right: Option<SlotRef>,
        within: Option<AccountId>,
    ) -> Result<Judged, Error> {
        let (now, audit) = (self.now(), self.host.audit_key());
        self.store.write_urgently(move |tx| {
            let mut account = accounts::account(tx, id)?;
            // What was right a moment ago may have been changed since.
            if account.is_locked() || right.is_some() && right != account.slot() {
                audit::note(tx, &audit, now, within, Event::SignInFailed, id)?;
                return Ok(if account.is_locked() { Judged::Locked } else { Judged::Wrong });
            }
            if right.is_some() {
                account.wrong_passwords = 0;
                if within.is_none() {
                    account.last_seen = Some(now);
                    audit::note(tx, &audit, now, Some(id), Event::SignedIn, id)?;
                }
            } else {
                account.wrong_passwords += 1;
                audit::note(tx, &audit, now, within, Event::SignInFailed, id)?;
                if account.is_locked() {
                    audit::note(tx, &audit, now, within, Event::AccountLocked, id)?;
                }
            }
            accounts::put(tx, &account)?;
            Ok::<_, Error>(match right {
                Some(_) => Judged::Right,
                None if account.is_locked() => Judged::Locked,
                None => Judged::Wrong,
            })
        })
    }

    /// Stretches a right password again after the cost has been raised, unless it has been changed meanwhile.
    fn stretch_anew(&self, account: &Account, bundle: &Bundle, password: &SecretString) -> Result<(), Error> {
        let keys = self.new_keys(account, bundle, password)?;
        let (id, known) = (account.id, account.slot());
        self.store.write(move |tx| {
            let mut account = accounts::account(tx, id)?;
            if account.slot() != known {
                return Ok(());
            }
            keys.give(tx, &mut account)?;
            accounts::put(tx, &account)
        })
    }

    /// The person behind a session's token; counts as a sign of life.
    ///
    /// # Errors
    /// [`Error::Expired`] when the session was idle too long or is too old; [`Error::NotFound`] when there is none.
    pub fn member(&self, token: &str) -> Result<Member, Error> {
        self.member_by(token, true)
    }

    /// The same for what a page asks by itself: nobody need be there.
    ///
    /// # Errors
    /// As for [`Portal::member`].
    pub fn member_unseen(&self, token: &str) -> Result<Member, Error> {
        self.member_by(token, false)
    }

    fn member_by(&self, token: &str, is_alive: bool) -> Result<Member, Error> {
        let token = parse(token)?;
        let (id, now) = (lookup(&token), self.now());
        let account_id = self.sessions.open().get(&id).map(|session| session.account).ok_or(Error::NotFound)?;
        let (account, host) = self.store.read(|tx| {
            Ok::<_, Error>((accounts::account(tx, account_id)?, super::practices::host(tx)?.ok_or(Error::NotFound)?))
        })?;
        if account.status != Status::Active {
            self.sessions.end_all(account_id);
            return Err(Error::NotFound);
        }
        let idle_millis = i64::from(host.idle_minutes) * MINUTE;
        let wrap = {
            let mut open = self.sessions.open();
            let session = open.get_mut(&id).ok_or(Error::NotFound)?;
            if now.since(session.seen) > idle_millis || now.since(session.started) > SESSION_LIFE_MAX {
                session.end();
            }
            let wrap = session.wrap.clone().ok_or(Error::Expired)?;
            if is_alive {
                session.seen = now;
            }
            wrap
        };
        let bundle = Bundle::open(&self.sessions.key(&token), account_id.bytes(), &wrap)?;
        Ok(Member {
            account: account.id,
            mailbox: account.mailbox,
            bundle,
            session: id,
            plan: account.plan,
            manager: account.manager,
            admin: account.admin,
            idle_millis,
            kit_missing: !host.kit_confirmed,
        })
    }

    /// What every page shows of the person.
    pub fn me(&self, member: &Member) -> Result<Me, Error> {
        let account = self.own_account(member)?;
        Ok(Me {
            name: account.name(),
            initials: initials(&account.name()),
            can_compose: member.can_compose(),
            is_manager: member.manager,
            is_admin: member.admin,
            has_outbox: member.admin && self.has_outbox(),
            counts: self.counts(member)?,
            idle_seconds: member.idle_millis / 1000,
            time_zone: account.time_zone,
            email: account.email.to_string(),
        })
    }

    /// Whose session a token was, also when it is over: enough to save what they were writing, not to read anything.
    pub(super) fn whose_session(&self, token: &str) -> Result<AccountId, Error> {
        let id = lookup(&parse(token)?);
        self.sessions.open().get(&id).map(|session| session.account).ok_or(Error::NotFound)
    }

    /// Ends a session.
    pub fn sign_out(&self, token: &str) {
        if let Ok(token) = parse(token) {
            self.sessions.open().remove(&lookup(&token));
        }
    }

    /// The person's sessions that are not over, newest first.
    pub fn sessions_of(&self, member: &Member) -> Vec<SessionView> {
        let open = self.sessions.open();
        let own = open.iter().filter(|(_, session)| session.account == member.account && session.wrap.is_some());
        let mut views: Vec<SessionView> = own
            .map(|(id, session)| SessionView {
                started: session.started,
                seen: session.seen,
                current: *id == member.session,
                agent: session.agent.clone(),
            })
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.seen));
        views
    }

    /// Ends the person's other sessions.
    pub fn end_other_sessions(&self, member: &Member) -> Result<(), Error> {
        self.sessions.end_others(member.account, member.session);
        let (id, now, audit) = (member.account, self.now(), self.host.audit_key());
        self.store.write(move |tx| audit::note(tx, &audit, now, Some(id), Event::SessionsEnded, id))
    }

    /// Forgets the keys of sessions that are over, and later the sessions. For upkeep and the sweep.
    pub fn tidy_sessions(&self) -> Result<(), Error> {
        let (_, most, _) = super::practices::IDLE_MINUTES;
        let idle = self.practice()?.map_or(most, |practice| practice.idle_minutes);
        let (now, idle) = (self.now(), i64::from(idle) * MINUTE);
        self.sessions.open().retain(|_, session| {
            if now.since(session.seen) > idle || now.since(session.started) > SESSION_LIFE_MAX {
                session.end();
            }
            now.since(session.seen) < REMEMBERED
        });
        Ok(())
    }
}
