//! Whom a message goes to: the addresses that somebody typed or pasted, whose they are, and those whom an answer
//! reaches. Who is unknown becomes somebody invited by the sending.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Details, Email, Mailbox, PendingIdentity, Plan, Relationship, Status};
use super::audit::{self, Event};
use super::drafts::{DraftText, Invitee};
use super::ids::{AccountId, MailboxId, MessageId};
use super::invites;
use super::messages::{self, Correspondent, Opened};
use super::portal::{Error, Portal};
use super::practices;
use super::sessions::Member;
use super::time::Timestamp;
use crate::crypto::MacKey;
use crate::crypto::identity::{Bundle, MailboxPublic};
use crate::crypto::slots::{SlotKey, SlotRef};
use crate::store::{Tx, WriteTx};
use crate::words::said::say;

/// Recipients of one message, To and Cc together.
pub const RECIPIENTS_MAX: usize = 100;

/// What is known of an address that somebody types.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddressView {
    /// The address, or what was typed in its place.
    pub address: String,
    /// Whether it is an address at all.
    pub valid: bool,
    /// Whether somebody here has it.
    pub known: bool,
    /// Whether it is one's own.
    #[serde(rename = "self")]
    pub own: bool,
    /// Their name.
    pub name: String,
}

/// Somebody whom an answer goes to.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who.
    pub who: Correspondent,
    /// Whether as a copy.
    pub cc: bool,
}

/// Somebody who becomes known by this sending.
pub(super) struct Newcomer {
    account: Account,
    mailbox: Mailbox,
    slot: SlotKey,
}

/// Somebody whom a message goes to.
pub(super) struct Addressee {
    pub mailbox: MailboxId,
    pub public: MailboxPublic,
    /// Whether as a copy.
    pub cc: bool,
}

/// Everybody whom a message goes to.
#[derive(Default)]
pub(super) struct Addressed {
    pub people: Vec<Addressee>,
    /// Those of them who were unknown.
    pub newcomers: Vec<Newcomer>,
}

impl Addressed {
    /// Writes who becomes known, and checks that everybody else is who they were.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody was invited or registered meanwhile.
    pub fn write(self, tx: &mut WriteTx<'_>, audit: &MacKey, by: AccountId, now: Timestamp) -> Result<(), Error> {
        for mut new in self.newcomers {
            if accounts::by_email(tx, &new.account.email)?.is_some() {
                return Err(Error::Conflict);
            }
            let slot = tx.new_slot(&new.slot)?;
            if let Some(identity) = new.mailbox.pending.as_mut() {
                identity.slot = slot;
            }
            accounts::add(tx, &new.account)?;
            tx.put_record(new.account.mailbox.bytes(), &new.mailbox)?;
            audit::note(tx, audit, now, Some(by), Event::PersonInvited, new.account.id)?;
        }
        for to in self.people {
            // Somebody who registered a moment ago has new keys: what was wrapped for the old ones would open nothing.
            // Somebody who never did may have been forgotten.
            if tx.record::<Mailbox>(to.mailbox.bytes())?.is_none_or(|mailbox| mailbox.public != to.public) {
                return Err(Error::Conflict);
            }
        }
        Ok(())
    }
}

impl Portal {
    /// What the form should know of the addresses in a field, as far as a message can have so many; each once.
    pub fn look_up(&self, member: &Member, typed: &str) -> Result<Vec<AddressView>, Error> {
        let mut views: Vec<AddressView> = Vec::new();
        for part in split(typed).into_iter().take(RECIPIENTS_MAX) {
            let Ok(email) = bare(&part).parse::<Email>() else {
                views.push(AddressView { address: part, valid: false, known: false, own: false, name: String::new() });
                continue;
            };
            let address = email.as_str().to_owned();
            if views.iter().any(|view| view.address == address) {
                continue;
            }
            let found = self.store.read(|tx| accounts::by_email(tx, &email))?;
            views.push(AddressView {
                address,
                valid: true,
                known: found.is_some(),
                own: found.as_ref().is_some_and(|account| account.id == member.account()),
                name: found.map(|account| account.name()).unwrap_or_default(),
            });
        }
        Ok(views)
    }

    /// Whom an answer to a message goes to: its sender, or the recipients of one's own; with `all`, everybody else.
    pub fn reply_to(&self, member: &Member, to: MessageId, all: bool) -> Result<Vec<Answered>, Error> {
        self.store.read(|tx| self.reply_people(tx, member, to, all))
    }

    pub(super) fn reply_people(
        &self,
        tx: &impl Tx,
        member: &Member,
        to: MessageId,
        all: bool,
    ) -> Result<Vec<Answered>, Error> {
        let mailboxes = self.reply_mailboxes(tx, member, to, all)?.into_iter();
        mailboxes.map(|(mailbox, cc)| Ok(Answered { who: messages::correspondent(tx, mailbox)?, cc })).collect()
    }

    /// A disabled account receives nothing. Who had a copy gets one of an answer to all, as long as the message can be
    /// opened to see who that was.
    fn reply_mailboxes(
        &self,
        tx: &impl Tx,
        member: &Member,
        to: MessageId,
        all: bool,
    ) -> Result<Vec<(MailboxId, bool)>, Error> {
        let (message, opened) = messages::open(tx, self.store.slots(), member, to, self.now())?;
        let cc = match opened {
            Opened::Content(content) => content.cc,
            Opened::Destroyed(_) | Opened::Damaged => vec![],
        };
        let mine = message.sender == member.mailbox();
        let mut mailboxes = Vec::new();
        for mailbox in message.holders.iter().map(|holder| holder.mailbox) {
            let is_copied = cc.contains(&mailbox);
            let is_meant = mailbox != member.mailbox() && (all || mailbox == message.sender || (mine && !is_copied));
            if is_meant && accounts::account(tx, accounts::mailbox(tx, mailbox)?.owner)?.status != Status::Disabled {
                mailboxes.push((mailbox, is_copied));
            }
        }
        Ok(mailboxes)
    }

    /// Everybody whom a draft goes to.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field; [`Error::Denied`] for one who may not begin conversations.
    pub(super) fn addressed(&self, member: &Member, text: &DraftText, now: Timestamp) -> Result<Addressed, Error> {
        if let Some(to) = text.reply_to {
            let people = self.store.read(|tx| {
                let mailboxes = self.reply_mailboxes(tx, member, to, text.reply_all)?.into_iter();
                mailboxes.map(|(mailbox, cc)| addressee(tx, mailbox, cc)).collect::<Result<Vec<_>, Error>>()
            })?;
            if people.is_empty() {
                return Err(Error::invalid("to", "Nobody can receive this any more: the account is disabled."));
            }
            return Ok(Addressed { people, newcomers: vec![] });
        }
        if !member.can_compose() {
            return Err(Error::Denied);
        }
        let (mut known, mut unknown) = (Addressed::default(), Vec::new());
        for Typed { email, cc } in parse_recipients(&text.to, &text.cc)? {
            let wrong = |message| Err(Error::invalid(if cc { "cc" } else { "to" }, message));
            let address = email.as_str();
            match self.store.read(|tx| accounts::by_email(tx, &email))? {
                Some(account) if account.id == member.account() => {
                    return wrong(say!("{email} is your own address. Write to somebody else.", email = address));
                }
                Some(account) if account.status == Status::Disabled => {
                    return wrong(say!("{email} cannot receive messages: the account is disabled.", email = address));
                }
                Some(account) => known.people.push(self.store.read(|tx| addressee(tx, account.mailbox, cc))?),
                None => unknown.push((email, cc)),
            }
        }
        let only = unknown.len() == 1;
        for (email, cc) in unknown {
            let new = self.newcomer(member, email.clone(), text.invitee(&email, only), now)?;
            let public = new.mailbox.public.clone();
            known.people.push(Addressee { mailbox: new.account.mailbox, public, cc });
            known.newcomers.push(new);
        }
        Ok(known)
    }

    fn newcomer(
        &self,
        member: &Member,
        email: Email,
        known: Option<&Invitee>,
        now: Timestamp,
    ) -> Result<Newcomer, Error> {
        let known = known.cloned().unwrap_or_default();
        let relationship: Relationship = known.relationship.parse().map_err(|_| {
            Error::invalid("relationship", say!("Choose how you know {email}.", email = email.as_str()))
        })?;
        let inviter = self.own_account(member)?;
        let host = self.store.read(|tx| practices::host_id(tx))?;
        let practice = inviter.practice.filter(|_| relationship.is_mine());
        let mut account = Account {
            relationship: Some(relationship),
            practice,
            plan: if practice.is_some() && practice == host { Plan::Full } else { Plan::Free },
            invited_by: Some(inviter.id),
            time_zone: inviter.time_zone,
            ..Account::invited(email, now)
        };
        known.details().checked()?.put(&mut account);
        let (bundle, slot) = (Bundle::generate(), SlotKey::generate());
        let wrapping = self.host.wrapping_key("pending identity");
        let secret = invites::seal_pending(&wrapping, &slot, account.id, &bundle)?;
        // The slot's place is known when the transaction gives it one.
        let unplaced = SlotRef { index: 0, tag: slot.tag() };
        let pending = Some(PendingIdentity { slot: unplaced, secret });
        let mailbox = Mailbox { owner: account.id, public: bundle.public(), pending };
        Ok(Newcomer { account, mailbox, slot })
    }
}

fn addressee(tx: &impl Tx, mailbox: MailboxId, cc: bool) -> Result<Addressee, Error> {
    Ok(Addressee { mailbox, public: accounts::mailbox(tx, mailbox)?.public, cc })
}

impl Invitee {
    fn details(&self) -> Details {
        Details {
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            office_phone: self.office_phone.clone(),
            cell_phone: self.cell_phone.clone(),
        }
    }

    /// The field of this row that is refused, if any.
    pub fn fault(&self) -> Option<&'static str> {
        let relationship = self.relationship.parse::<Relationship>().map(|_| ());
        match relationship.and_then(|()| self.details().checked().map(|_| ())) {
            Err(Error::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }
}

impl DraftText {
    /// What was said of a new address. What was said of nobody by name is meant for the only one.
    pub(super) fn invitee(&self, email: &Email, only: bool) -> Option<&Invitee> {
        let by_name = self.invitees.iter().find(|row| row.address.parse::<Email>().is_ok_and(|known| known == *email));
        by_name.or_else(|| self.invitees.iter().find(|row| only && row.address.is_empty()))
    }
}

/// An address as it stands in a field.
struct Typed {
    email: Email,
    cc: bool,
}

/// Everybody in To and Cc, each once: who stands in both is meant by the first.
fn parse_recipients(to: &str, cc: &str) -> Result<Vec<Typed>, Error> {
    let mut all: Vec<Typed> = Vec::new();
    for (field, typed) in [("to", to), ("cc", cc)] {
        for part in split(typed) {
            let email: Email = bare(&part).parse().map_err(|_| {
                let message = say!("“{part}” is not an e-mail address. It looks like name@example.org.", part = part);
                Error::invalid(field, message)
            })?;
            if all.iter().all(|known| known.email != email) {
                all.push(Typed { email, cc: field == "cc" });
            }
        }
        if all.is_empty() {
            return Err(Error::invalid("to", "Please enter the e-mail address of the person you write to."));
        }
        if all.len() > RECIPIENTS_MAX {
            return Err(Error::invalid(field, say!("At most {most} people at once.", most = RECIPIENTS_MAX)));
        }
    }
    Ok(all)
}

/// The address in `Name <address>`, or the whole.
fn bare(part: &str) -> &str {
    part.rsplit_once('<').map_or(part, |(_, rest)| rest.trim_end_matches('>'))
}

/// The people in a field, as mail programs write them: separated by commas, semicolons or lines, which may stand in a
/// quoted name as well; and as Outlook writes them, `Hill, Lee <lee@example.org>`.
fn split(typed: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut is_quoted = false;
    for c in typed.chars().chain([';']) {
        is_quoted ^= c == '"';
        match c {
            ',' | ';' | '\n' if !is_quoted || c == '\n' => {
                is_quoted = false;
                parts.push((std::mem::take(&mut part), c == ','));
            }
            _ => part.push(c),
        }
    }
    let mut people: Vec<String> = Vec::new();
    let mut surname: Option<String> = None;
    for (part, before_comma) in parts.into_iter().chain([(part, false)]) {
        let part = part.trim().to_owned();
        if part.is_empty() {
            continue;
        }
        let is_name = !part.contains('@') && before_comma;
        match surname.take() {
            Some(surname) if part.contains('<') => people.push(format!("{surname}, {part}")),
            Some(alone) => {
                people.push(alone);
                people.push(part);
            }
            None if is_name => surname = Some(part),
            None => people.push(part),
        }
    }
    people.extend(surname);
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(to: &str, cc: &str) -> Vec<(String, bool)> {
        parse_recipients(to, cc).unwrap().into_iter().map(|one| (one.email.to_string(), one.cc)).collect()
    }

    fn fault(to: &str, cc: &str) -> &'static str {
        match parse_recipients(to, cc) {
            Err(Error::Invalid { field, .. }) => field,
            _ => "none",
        }
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let both = [("ann@example.org".to_owned(), false), ("bob@example.org".to_owned(), false)];
        for typed in [
            "Ann Lee <ann@example.org>; bob@example.org,\nann@EXAMPLE.org",
            "Lee, Ann <ann@example.org>, <bob@example.org>",
            "\"Lee; Ann, DDS\" <ann@example.org>, \"Bob\" <bob@example.org>;",
            "ann@example.org\r\nbob@example.org\r\n",
        ] {
            assert_eq!(addresses(typed, ""), both, "{typed:?}");
        }
        let copied = addresses("ann@example.org", "Bob <bob@example.org>, ann@example.org");
        assert_eq!(copied, [("ann@example.org".to_owned(), false), ("bob@example.org".to_owned(), true)]);
        let bad = ["", " , ;", "ann", "ann@example.org, nobody", "nobody, ann@example.org", "\"ann@example.org"];
        for to in bad {
            assert_eq!(fault(to, ""), "to", "{to:?}");
        }
        assert_eq!(fault("", "ann@example.org"), "to");
        assert_eq!(fault("ann@example.org", "bob"), "cc");
        let many = |n: usize| (0..n).map(|n| format!("p{n}@example.org")).collect::<Vec<_>>().join(",");
        assert_eq!(fault(&many(101), ""), "to");
        assert_eq!(fault(&many(99), "a@example.org, b@example.org"), "cc");
        assert_eq!(addresses(&many(99), "a@example.org, P1@example.org").len(), 100);
    }
}
