//! Sending: a draft becomes a message, and people who were unknown become invited.
//!
//! Everything slow (keys, sealing, signing) is done before the transaction; the transaction checks that what it was
//! done for still holds. A draft always becomes the same message, so a second click finds it sent.

use super::accounts;
use super::addressing::{Addressed, Addressee};
use super::audit::{self, Event};
use super::blobs;
use super::correspondents;
use super::drafts::{self, BODY_CHARS_MAX, DraftText, FILES_MAX, SEND_BYTES_MAX, SUBJECT_CHARS_MAX};
use super::due::{self, Due};
use super::fields;
use super::filing;
use super::forwards::{self, Original};
use super::ids::{AccountId, DraftId, MessageId, ThreadId};
use super::messages::{self, Content, FileInfo, Forwards, Holder, Message, NewHolding, NoticeState};
use super::notices;
use super::portal::{Error, Loop, Portal};
use super::sessions::Member;
use super::summaries::{self, Summaries, Summary};
use super::time::Timestamp;
use crate::crypto::identity::MailboxPublic;
use crate::crypto::seal::seal_content;
use crate::crypto::{Key32, MacKey, Plain, Sealed};
use crate::store::tables::BODIES;
use crate::store::{Tx, WriteTx};

/// Times that a sending is prepared anew because something it relied on changed.
const SEND_TRIES_MAX: usize = 4;

/// What became of a sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The conversation; the first, if everybody got their own.
    pub thread: ThreadId,
    /// The message.
    pub message: MessageId,
}

/// What all messages of one sending have in common.
struct Sending {
    draft: DraftId,
    now: Timestamp,
    expires: Timestamp,
    content: Content,
    forwards: Option<Forwards>,
}

/// A message that the transaction writes.
struct Ready {
    message: Message,
    body: Sealed,
    /// What its sender's lists show.
    summary: Sealed,
    holdings: Vec<NewHolding>,
}

/// Everything that the transaction writes.
struct Batch {
    draft: DraftId,
    sender: AccountId,
    addressed: Addressed,
    messages: Vec<Ready>,
}

impl Portal {
    /// Sends a draft: as one message, or as one for each recipient, all of them or none.
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
        let original = text.forward.map(|id| self.original(member, id)).transpose()?;
        let forwards = original.as_ref().map(Original::bond);
        let expires = self.parse_expiry(&text.expires, now, now, forwards.map(|bond| bond.until))?;
        if self.uploads_under_way(member, draft) > 0 {
            let message = "A file is still on its way. Wait until it is there, or remove it, and send again.";
            return Err(Error::invalid("files", message));
        }
        let addressed = self.addressed(member, text, now)?;
        let mut files = self.draft_files(member, draft)?;
        files.extend(original.iter().flat_map(|original| original.kept(&text.keep)));
        if files.len() > FILES_MAX || files.iter().map(|file| file.bytes).sum::<u64>() > SEND_BYTES_MAX {
            return Err(drafts::too_large());
        }
        let forwarded = original.map(|original| original.forwarded).unwrap_or_default();
        let content = Content { subject, body, files, cc: vec![], forwarded, no_forwarding: text.no_forwarding };
        let sending = Sending { draft, now, expires, content, forwards };
        let messages = if text.separately && text.reply_to.is_none() {
            let each = (0..).zip(&addressed.people);
            let each = each.map(|(place, one)| self.ready(member, &sending, ThreadId::generate(), place, &[one]));
            each.collect::<Result<Vec<_>, _>>()?
        } else {
            let thread = match text.reply_to {
                Some(to) => self.thread_of(member, to)?,
                None => ThreadId::generate(),
            };
            let all: Vec<_> = addressed.people.iter().collect();
            vec![self.ready(member, &sending, thread, 0, &all)?]
        };
        let first = messages.first().ok_or_else(|| Error::internal("a sending to nobody"))?;
        let sent = Sent { thread: first.message.thread, message: first.message.id };
        let batch = Batch { draft, sender: member.account(), addressed, messages };
        let (audit, notices) = (self.host.audit_key(), self.host.wrapping_key("notice"));
        self.store.write(move |tx| batch.write(tx, &audit, &notices, now))?;
        self.wake(Loop::Outbox);
        Ok(sent)
    }

    /// What is forwarded, if it still can be.
    fn original(&self, member: &Member, id: MessageId) -> Result<Original, Error> {
        self.forwardable(member, id).map_err(|error| match error {
            Error::Expired => Error::invalid("form", "What you wanted to forward has been destroyed meanwhile."),
            error => error,
        })
    }

    fn draft_files(&self, member: &Member, draft: DraftId) -> Result<Vec<FileInfo>, Error> {
        self.store.read(|tx| match drafts::open(tx, self.store.slots(), member, draft) {
            Ok((row, _)) => drafts::open_files(tx, self.store.slots(), member, &row, draft),
            Err(Error::NotFound) => Ok(vec![]),
            Err(error) => Err(error),
        })
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

    /// Seals and signs the message for this place among those that a draft becomes.
    fn ready(
        &self,
        member: &Member,
        sending: &Sending,
        thread: ThreadId,
        place: u32,
        people: &[&Addressee],
    ) -> Result<Ready, Error> {
        let Sending { draft, now, expires, forwards, .. } = *sending;
        // Whoever gets a message of their own is whom it was written to.
        let copied = people.iter().filter(|to| to.cc && people.len() > 1).map(|to| to.mailbox);
        let content = Content { cc: copied.collect(), ..sending.content.clone() };
        let plain = rmp_serde::to_vec_named(&content).map(Plain::new).map_err(Error::internal)?;
        let (body, content_key, digest) = seal_content(plain.as_bytes())?;
        let me = Holder { mailbox: member.mailbox(), opened: Some(now), notice: NoticeState::None, deleted: false };
        let others = people.iter().map(|to| Holder {
            mailbox: to.mailbox,
            opened: None,
            notice: NoticeState::Waiting,
            deleted: false,
        });
        let mut message = Message {
            id: draft.becomes_nth(member.mailbox(), place),
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
            forwards,
        };
        message.signature = member.bundle().sign(&message.signed_bytes());
        let copy = |mailbox, public: &MailboxPublic| NewHolding::wrap(&message, mailbox, public, &content_key);
        let own = copy(member.mailbox(), &member.bundle().public())?;
        let summary = Summaries::of(member).seal(message.id, own.slot(), &Summary::of(&content))?;
        let others = people.iter().map(|to| copy(to.mailbox, &to.public));
        let holdings = std::iter::once(Ok(own)).chain(others).collect::<Result<_, _>>()?;
        Ok(Ready { message, body, summary, holdings })
    }
}

impl Batch {
    fn write(self, tx: &mut WriteTx<'_>, audit: &MacKey, notices: &Key32, now: Timestamp) -> Result<(), Error> {
        let Self { draft, sender, addressed, messages } = self;
        addressed.write(tx, audit, sender, now)?;
        let mailbox = accounts::account(tx, sender)?.mailbox;
        let files = drafts::files_blobs(tx, mailbox, draft)?;
        for (place, ready) in messages.into_iter().enumerate() {
            let message = &ready.message;
            let is_there = tx.record::<Message>(message.id.bytes())?.is_some();
            if is_there || !files.iter().all(|blob| message.blobs.contains(blob)) {
                return Err(Error::Conflict);
            }
            if let Some(bond) = message.forwards {
                bond.check(tx, mailbox, now)?;
            }
            // The draft gives its files to the first; everything else belongs to another message already.
            for blob in message.blobs.iter().filter(|blob| place > 0 || !files.contains(blob)) {
                blobs::share(tx, *blob)?;
            }
            audit::note(tx, audit, now, Some(sender), Event::MessageSent, message.id)?;
            ready.write(tx, notices)?;
        }
        drafts::forget(tx, mailbox, draft, true)
    }
}

impl Ready {
    fn write(self, tx: &mut WriteTx<'_>, notices: &Key32) -> Result<(), Error> {
        let Self { message, body, summary, holdings } = self;
        messages::put(tx, &message)?;
        forwards::link(tx, &message);
        tx.put(BODIES, message.id.bytes(), body.as_bytes().to_vec());
        for holding in holdings {
            holding.give(tx, &message)?;
        }
        summaries::put(tx, message.sender, message.id, &summary);
        due::due(tx, Due::Message(message.id), message.expires);
        for holder in &message.holders {
            filing::refile(tx, holder.mailbox, message.thread)?;
        }
        correspondents::note(tx, &message)?;
        notices::tell_recipients(tx, notices, &message, message.created)
    }
}

fn check_content(text: &DraftText) -> Result<(String, String), Error> {
    let subject = fields::required("subject", &text.subject, SUBJECT_CHARS_MAX, "Please enter a subject.")?;
    let body = text.body.replace("\r\n", "\n").replace('\0', "").trim_end().to_owned();
    if body.trim().is_empty() && text.forward.is_none() {
        return Err(Error::invalid("body", "Please write a message."));
    }
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(Error::invalid("body", "This is too long: 200,000 characters at most."));
    }
    Ok((subject, body))
}
