//! Sending: a draft becomes a message, and people who were unknown become invited.
//!
//! Everything slow (keys, sealing, signing) is done before the transaction; the transaction checks that what it was
//! done for still holds. A draft always becomes the same message, so a second click finds it sent.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Details, Email, Mailbox, PendingIdentity, Plan, Relationship, Status};
use super::audit::{self, Event};
use super::drafts::{self, BODY_CHARS_MAX, DraftText, SUBJECT_CHARS_MAX};
use super::due::{self, Due};
use super::fields;
use super::filing;
use super::ids::{AccountId, DraftId, MailboxId, MessageId, ThreadId};
use super::invites;
use super::messages::{self, Content, Correspondent, Holder, Message, NewHolding, NoticeState};
use super::notices;
use super::portal::{Error, Loop, Portal};
use super::practices;
use super::sessions::Member;
use super::summaries::{self, Summaries, Summary};
use super::time::Timestamp;
use crate::crypto::identity::{Bundle, MailboxPublic};
use crate::crypto::seal::seal_content;
use crate::crypto::slots::SlotKey;
use crate::crypto::{Plain, Sealed};
use crate::store::tables::BODIES;
use crate::store::{Tx, WriteTx};
use crate::words::said::say;

/// Recipients of one message.
pub const RECIPIENTS_MAX: usize = 100;
/// Times that a sending is prepared anew because something it relied on changed.
const SEND_TRIES_MAX: usize = 4;

/// What is known of an address that somebody types.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddressView {
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

/// What became of a sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The conversation.
    pub thread: ThreadId,
    /// The message.
    pub message: MessageId,
}

/// Somebody who becomes known by this sending.
struct Newcomer {
    account: Account,
    mailbox: Mailbox,
    slot: SlotKey,
}

/// Whom a message goes to.
struct Addressee {
    mailbox: MailboxId,
    public: MailboxPublic,
}

/// Everything that the transaction writes.
struct Ready {
    draft: DraftId,
    message: Message,
    body: Sealed,
    summary: Sealed,
    holdings: Vec<NewHolding>,
    addressees: Vec<Addressee>,
    newcomers: Vec<Newcomer>,
    sender: AccountId,
}

impl Portal {
    /// What the form should know of an address.
    pub fn look_up(&self, member: &Member, address: &str) -> Result<AddressView, Error> {
        let Ok(email) = address.parse::<Email>() else {
            return Ok(AddressView { valid: false, known: false, own: false, name: String::new() });
        };
        let found = self.store.read(|tx| accounts::by_email(tx, &email))?;
        Ok(AddressView {
            valid: true,
            known: found.is_some(),
            own: found.as_ref().is_some_and(|account| account.id == member.account()),
            name: found.map(|account| account.name()).unwrap_or_default(),
        })
    }

    /// Whom an answer to a message goes to: its sender, or the recipients of one's own; with `all`, everybody else.
    pub fn reply_to(&self, member: &Member, to: MessageId, all: bool) -> Result<Vec<Correspondent>, Error> {
        self.store.read(|tx| self.reply_people(tx, member, to, all))
    }

    pub(super) fn reply_people(
        &self,
        tx: &impl Tx,
        member: &Member,
        to: MessageId,
        all: bool,
    ) -> Result<Vec<Correspondent>, Error> {
        let mailboxes = reply_mailboxes(tx, member, to, all)?;
        mailboxes.into_iter().map(|mailbox| messages::correspondent(tx, mailbox)).collect()
    }

    /// Sends a draft.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field; [`Error::Denied`] for one who may not begin conversations;
    /// [`Error::Expired`] when the draft was sent before, with another text.
    pub fn send(&self, member: &Member, draft: DraftId, text: &DraftText) -> Result<Sent, Error> {
        for _ in 0..SEND_TRIES_MAX {
            if let Some(sent) = self.already_sent(member, draft)? {
                return self.same_again(member, sent, text);
            }
            match self.try_to_send(member, draft, text) {
                // A second click was faster, a recipient registered or was invited by somebody else: look again.
                Err(Error::Conflict) => {}
                done => return done,
            }
        }
        Err(Error::Conflict)
    }

    fn try_to_send(&self, member: &Member, draft: DraftId, text: &DraftText) -> Result<Sent, Error> {
        let now = self.now();
        let (subject, body) = check_content(text)?;
        let expires = self.parse_expiry(&text.expires, now, now)?;
        if self.uploads_under_way(member, draft) > 0 {
            let message = "A file is still on its way. Wait until it is there, or remove it, and send again.";
            return Err(Error::invalid("files", message));
        }
        let (addressees, newcomers) = self.addressees(member, text, now)?;
        let thread = match text.reply_to {
            Some(to) => self.thread_of(member, to)?,
            None => ThreadId::generate(),
        };
        let files = self.store.read(|tx| match drafts::open(tx, self.store.slots(), member, draft) {
            Ok((row, _)) => drafts::open_files(tx, self.store.slots(), member, &row, draft),
            Err(Error::NotFound) => Ok(vec![]),
            Err(error) => Err(error),
        })?;
        let content = Content { subject, body, files };
        let ready = self.make_ready(member, (draft, thread), (now, expires), &content, addressees, newcomers)?;
        let sent = Sent { thread, message: ready.message.id };
        let (audit, notices) = (self.host.audit_key(), self.host.wrapping_key("notice"));
        self.store.write(move |tx| ready.write(tx, &audit, &notices))?;
        self.wake(Loop::Outbox);
        Ok(sent)
    }

    /// Whether a draft has become a message.
    pub fn is_sent(&self, member: &Member, draft: DraftId) -> Result<bool, Error> {
        Ok(self.already_sent(member, draft)?.is_some())
    }

    /// What is sent twice is sent once; what was changed in between, on a page that the browser went back to, must not
    /// be lost as if it had been sent.
    fn same_again(&self, member: &Member, sent: Sent, text: &DraftText) -> Result<Sent, Error> {
        let (subject, body) = check_content(text)?;
        match self.open_message(member, sent.message) {
            Ok((_, content)) if content.subject != subject || content.body != body => Err(Error::Expired),
            // Destroyed or deleted meanwhile: there is nothing to compare it with.
            Ok(_) | Err(Error::Expired | Error::Conflict | Error::NotFound) => Ok(sent),
            Err(error) => Err(error),
        }
    }

    fn already_sent(&self, member: &Member, draft: DraftId) -> Result<Option<Sent>, Error> {
        let id = draft.becomes(member.mailbox());
        let found = self.store.read(|tx| Ok::<_, Error>(tx.record::<Message>(id.bytes())?))?;
        Ok(found.map(|message| Sent { thread: message.thread, message: id }))
    }

    fn addressees(
        &self,
        member: &Member,
        text: &DraftText,
        now: Timestamp,
    ) -> Result<(Vec<Addressee>, Vec<Newcomer>), Error> {
        if let Some(to) = text.reply_to {
            let found = self.store.read(|tx| {
                let mailboxes = reply_mailboxes(tx, member, to, text.reply_all)?.into_iter();
                mailboxes.map(|mailbox| addressee(tx, mailbox)).collect::<Result<Vec<_>, Error>>()
            })?;
            if found.is_empty() {
                return Err(Error::invalid("to", "Nobody can receive this any more: the account is disabled."));
            }
            return Ok((found, vec![]));
        }
        if !member.can_compose() {
            return Err(Error::Denied);
        }
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for email in parse_addresses(&text.to)? {
            match self.store.read(|tx| accounts::by_email(tx, &email))? {
                Some(account) if account.id == member.account() => {
                    return Err(Error::invalid("to", "This is your own address. Write to somebody else."));
                }
                Some(account) if account.status == Status::Disabled => {
                    return Err(Error::invalid(
                        "to",
                        say!("{email} cannot receive messages: the account is disabled.", email = email.as_str()),
                    ));
                }
                Some(account) => found.push(self.store.read(|tx| addressee(tx, account.mailbox))?),
                None => unknown.push(email),
            }
        }
        // Name and phones are one person's: nobody else's code may be read out to them.
        let details = if unknown.len() == 1 { details_of(text) } else { Details::default() };
        let newcomers = unknown.into_iter().map(|email| self.newcomer(member, email, text, details.clone(), now));
        let newcomers = newcomers.collect::<Result<Vec<_>, Error>>()?;
        found.extend(
            newcomers.iter().map(|new| Addressee { mailbox: new.account.mailbox, public: new.mailbox.public.clone() }),
        );
        Ok((found, newcomers))
    }

    fn newcomer(
        &self,
        member: &Member,
        email: Email,
        text: &DraftText,
        details: Details,
        now: Timestamp,
    ) -> Result<Newcomer, Error> {
        let relationship: Relationship = text.relationship.parse()?;
        let inviter = self.own_account(member)?;
        let host = self.store.read(|tx| practices::host_id(tx))?;
        let practice = inviter.practice.filter(|_| relationship.is_mine());
        let mut account = Account {
            id: AccountId::generate(),
            mailbox: MailboxId::generate(),
            email,
            first_name: String::new(),
            last_name: String::new(),
            office_phone: String::new(),
            cell_phone: String::new(),
            relationship: Some(relationship),
            practice,
            plan: if practice.is_some() && practice == host { Plan::Full } else { Plan::Free },
            manager: false,
            admin: false,
            status: Status::Invited,
            invited_by: Some(inviter.id),
            created: now,
            last_seen: None,
            time_zone: inviter.time_zone,
            signature: String::new(),
            expiry_days: None,
            terms: None,
            wrong_passwords: 0,
            address_corrected: None,
            phone_corrected: None,
            known_phones: None,
            credentials: None,
            recovery_share: None,
        };
        details.checked()?.put(&mut account);
        let (bundle, slot) = (Bundle::generate(), SlotKey::generate());
        let wrapping = self.host.wrapping_key("pending identity");
        let secret = invites::seal_pending(&wrapping, &slot, account.id, &bundle)?;
        // The slot's place is known when the transaction gives it one.
        let unplaced = crate::crypto::slots::SlotRef { index: 0, tag: slot.tag() };
        let pending = Some(PendingIdentity { slot: unplaced, secret });
        let mailbox = Mailbox { owner: account.id, public: bundle.public(), pending };
        Ok(Newcomer { account, mailbox, slot })
    }

    fn make_ready(
        &self,
        member: &Member,
        (draft, thread): (DraftId, ThreadId),
        (now, expires): (Timestamp, Timestamp),
        content: &Content,
        addressees: Vec<Addressee>,
        newcomers: Vec<Newcomer>,
    ) -> Result<Ready, Error> {
        let plain = rmp_serde::to_vec_named(content).map(Plain::new).map_err(Error::internal)?;
        let (body, content_key, digest) = seal_content(plain.as_bytes())?;
        let me = Holder { mailbox: member.mailbox(), opened: Some(now), notice: NoticeState::None, deleted: false };
        let others = addressees.iter().map(|to| Holder {
            mailbox: to.mailbox,
            opened: None,
            notice: NoticeState::Waiting,
            deleted: false,
        });
        let mut message = Message {
            id: draft.becomes(member.mailbox()),
            thread,
            sender: member.mailbox(),
            created: now,
            expires,
            holders: std::iter::once(me).chain(others).collect(),
            signature: Vec::new(),
            first_expires: expires,
            digest,
            blobs: content.files.iter().map(|file| file.blob).collect(),
            destroyed: None,
        };
        message.signature = member.bundle().sign(&message.signed_bytes());
        let copy = |mailbox, public: &MailboxPublic| NewHolding::wrap(&message, mailbox, public, &content_key);
        let own = copy(member.mailbox(), &member.bundle().public())?;
        let summary = Summaries::of(member).seal(message.id, own.slot(), &Summary::of(content))?;
        let others = addressees.iter().map(|to| copy(to.mailbox, &to.public));
        let holdings = std::iter::once(Ok(own)).chain(others).collect::<Result<_, _>>()?;
        Ok(Ready { draft, message, body, summary, holdings, addressees, newcomers, sender: member.account() })
    }
}

impl Ready {
    fn write(
        self,
        tx: &mut WriteTx<'_>,
        audit: &crate::crypto::MacKey,
        notices: &crate::crypto::Key32,
    ) -> Result<(), Error> {
        let Self { draft, message, body, summary, holdings, addressees, newcomers, sender } = self;
        let files = drafts::blobs(tx, message.sender, draft)?;
        if tx.record::<Message>(message.id.bytes())?.is_some() || files != message.blobs.iter().copied().collect() {
            return Err(Error::Conflict);
        }
        let now = message.created;
        for mut new in newcomers {
            if accounts::by_email(tx, &new.account.email)?.is_some() {
                return Err(Error::Conflict);
            }
            let slot = tx.new_slot(&new.slot)?;
            if let Some(identity) = new.mailbox.pending.as_mut() {
                identity.slot = slot;
            }
            accounts::add(tx, &new.account)?;
            tx.put_record(new.account.mailbox.bytes(), &new.mailbox)?;
            audit::note(tx, audit, now, Some(sender), Event::PersonInvited, new.account.id)?;
        }
        for to in addressees {
            // Somebody who registered a moment ago has new keys: what was wrapped for the old ones would open nothing.
            // Somebody who never did may have been forgotten.
            if tx.record::<Mailbox>(to.mailbox.bytes())?.is_none_or(|mailbox| mailbox.public != to.public) {
                return Err(Error::Conflict);
            }
        }
        messages::put(tx, &message)?;
        tx.put(BODIES, message.id.bytes(), body.as_bytes().to_vec());
        for holding in holdings {
            holding.give(tx, &message)?;
        }
        summaries::put(tx, message.sender, message.id, &summary);
        due::due(tx, Due::Message(message.id), message.expires);
        drafts::forget(tx, message.sender, draft, true)?;
        for holder in &message.holders {
            filing::refile(tx, holder.mailbox, message.thread)?;
        }
        notices::tell_recipients(tx, notices, &message, now)?;
        audit::note(tx, audit, now, Some(sender), Event::MessageSent, message.id)
    }
}

fn addressee(tx: &impl Tx, mailbox: MailboxId) -> Result<Addressee, Error> {
    Ok(Addressee { mailbox, public: accounts::mailbox(tx, mailbox)?.public })
}

/// Whom an answer goes to. A disabled account receives nothing.
fn reply_mailboxes(tx: &impl Tx, member: &Member, to: MessageId, all: bool) -> Result<Vec<MailboxId>, Error> {
    let message = messages::message(tx, to)?;
    message.holder(member.mailbox()).ok_or(Error::NotFound)?;
    let mine = message.sender == member.mailbox();
    let mut mailboxes = Vec::new();
    for mailbox in message.holders.iter().map(|holder| holder.mailbox) {
        let is_meant = mailbox != member.mailbox() && (mine || all || mailbox == message.sender);
        if is_meant && accounts::account(tx, accounts::mailbox(tx, mailbox)?.owner)?.status != Status::Disabled {
            mailboxes.push(mailbox);
        }
    }
    Ok(mailboxes)
}

fn details_of(text: &DraftText) -> Details {
    Details {
        first_name: text.first_name.clone(),
        last_name: text.last_name.clone(),
        office_phone: text.office_phone.clone(),
        cell_phone: text.cell_phone.clone(),
    }
}

fn check_content(text: &DraftText) -> Result<(String, String), Error> {
    let subject = fields::required("subject", &text.subject, SUBJECT_CHARS_MAX, "Please enter a subject.")?;
    let body = text.body.replace("\r\n", "\n").replace('\0', "").trim_end().to_owned();
    if body.trim().is_empty() {
        return Err(Error::invalid("body", "Please write a message."));
    }
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(Error::invalid("body", "This is too long: 200,000 characters at most."));
    }
    Ok((subject, body))
}

/// The addresses in a To field: separated by commas, semicolons or lines, each alone or as `Name <address>`.
fn parse_addresses(to: &str) -> Result<Vec<Email>, Error> {
    let mut emails: Vec<Email> = Vec::new();
    for part in to.split([',', ';', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        let address = part.rsplit_once('<').map_or(part, |(_, rest)| rest.trim_end_matches('>'));
        let email: Email = address.parse().map_err(|_| {
            Error::invalid(
                "to",
                say!("“{part}” is not an e-mail address. It looks like name@example.org.", part = part),
            )
        })?;
        if !emails.contains(&email) {
            emails.push(email);
        }
    }
    match emails.len() {
        0 => Err(Error::invalid("to", "Please enter the e-mail address of the person you write to.")),
        n if n > RECIPIENTS_MAX => {
            Err(Error::invalid("to", say!("At most {most} people at once.", most = RECIPIENTS_MAX)))
        }
        _ => Ok(emails),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let emails = parse_addresses("Ann Lee <ann@example.org>; bob@example.org,\nann@EXAMPLE.org").unwrap();
        assert_eq!(emails.iter().map(Email::as_str).collect::<Vec<_>>(), ["ann@example.org", "bob@example.org"]);
        for bad in ["", " , ;", "ann", "ann@example.org, nobody"] {
            assert!(matches!(parse_addresses(bad), Err(Error::Invalid { field: "to", .. })), "{bad:?}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("p{n}@example.org")).collect();
        assert!(parse_addresses(&many.join(",")).is_err());
    }
}
