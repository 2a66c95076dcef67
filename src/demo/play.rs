//! Plays the script: the people in it do through the domain what they would do in their browsers, on a clock that is
//! set back and moves forward from one thing that happens to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use secrecy::SecretString;

use super::script::{Draft, Message, Misprint, Person, Script, Stands, attachment, moment};
use crate::domain::accounts::{Details, Profile};
use crate::domain::drafts::{DraftText, Invitee};
use crate::domain::filing::Mark;
use crate::domain::ids::DraftId;
use crate::domain::notices::Letter;
use crate::domain::people::Correction;
use crate::domain::portal::MINUTE;
use crate::domain::send::Sent;
use crate::domain::sessions::{Admin, Member};
use crate::domain::setup::SetUp;
use crate::domain::{Clock, Error, Portal, SystemClock, Timestamp};

/// How long before an answer, and after a message that is only opened, its reader opens it, in milliseconds.
const ANSWERS_AFTER: i64 = 4 * MINUTE;
const OPENS_AFTER: i64 = 35 * MINUTE;
/// Default life of a message in the practice, in days.
const EXPIRY_DAYS: u8 = 30;
/// What stands as the browser in everybody's list of sessions.
const AGENT: &str = "demonstration";

/// The clock of the story: it stands until the next thing happens.
pub struct StoryClock(AtomicI64);

impl StoryClock {
    /// Standing at this moment.
    pub fn at(moment: Timestamp) -> Self {
        Self(moment.0.into())
    }

    /// Goes on to this moment, never back.
    fn go_on(&self, to: Timestamp) {
        self.0.fetch_max(to.0, SeqCst);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }

    fn since_boot(&self) -> Duration {
        SystemClock.since_boot()
    }
}

/// One thing that happens.
enum Step<'s> {
    /// The message of this place in this thread is sent.
    Message(usize, &'s Message),
    /// Somebody opens a thread.
    Opens(usize, &'s str),
    /// Somebody begins to write.
    Draft(&'s Draft),
}

/// The story while it is told.
struct Play<'s> {
    portal: &'s Arc<Portal>,
    script: &'s Script,
    admin: Admin,
    members: BTreeMap<&'s str, Member>,
    /// The newest message of each thread, by the thread's place in the script.
    sent: BTreeMap<usize, Sent>,
}

fn misprint(fault: Misprint) -> Error {
    Error::internal(fault)
}

/// When the story begins, so that the clock can be set back: an hour before the first message.
pub fn beginning(script: &Script, now: Timestamp) -> Result<Timestamp, Error> {
    let first = script.threads.iter().flat_map(|thread| &thread.messages).map(|message| moment(&message.at, now));
    let first = first.collect::<Result<Vec<_>, _>>().map_err(misprint)?;
    Ok(first.into_iter().min().unwrap_or(now).plus(-60 * MINUTE))
}

/// Tells the whole story into an empty portal, up to `now`.
pub fn play(portal: &Arc<Portal>, clock: &StoryClock, script: &Script, now: Timestamp) -> Result<(), Error> {
    let [first, ..] = script.people.as_slice() else { return Err(misprint(Misprint("nobody is there".into()))) };
    let member = set_up(portal, script, first)?;
    let admin = member.admin()?;
    let members = BTreeMap::from([(first.key.as_str(), member)]);
    let mut play = Play { portal, script, admin, members, sent: BTreeMap::new() };
    play.sign(first)?;
    for (at, step) in steps(script, now).map_err(misprint)? {
        clock.go_on(at);
        play.take(&step)?;
    }
    clock.go_on(now);
    play.tidy_up()
}

/// Everything that happens, in its order.
fn steps(script: &Script, now: Timestamp) -> Result<Vec<(Timestamp, Step<'_>)>, Misprint> {
    let mut steps = Vec::new();
    for (place, thread) in script.threads.iter().enumerate() {
        for message in &thread.messages {
            let at = moment(&message.at, now)?;
            steps.push((at.plus(-ANSWERS_AFTER), Step::Opens(place, &message.from)));
            steps.push((at, Step::Message(place, message)));
            let opened = at.plus(OPENS_AFTER).min(now);
            steps.extend(message.opened.iter().map(|key| (opened, Step::Opens(place, key.as_str()))));
        }
    }
    for draft in &script.drafts {
        steps.push((moment(&draft.at, now)?, Step::Draft(draft)));
    }
    steps.sort_by_key(|(at, _)| *at);
    Ok(steps)
}

/// Sets the practice up; its administrator, the recovery kit confirmed.
fn set_up(portal: &Portal, script: &Script, person: &Person) -> Result<Member, Error> {
    let password = SecretString::from(script.password.as_str());
    let form = SetUp {
        practice_name: script.practice.clone(),
        name: format!("{} {}", person.first_name, person.last_name),
        email: person.email.clone(),
        password: password.clone(),
        expiry_days: EXPIRY_DAYS,
        time_zone: time_zone(),
    };
    portal.set_up(&portal.setup_token(), form)?;
    let member = portal.member(&portal.sign_in(&person.email, &password, AGENT)?)?;
    let kit = portal.recovery_kit(&member.admin()?)?;
    let word = |place: &usize| kit.words().get(place - 1).map(|word| (*place, word.clone()));
    let typed: Vec<_> = Portal::words_asked(&kit).iter().filter_map(word).collect();
    portal.confirm_kit(&member.admin()?, &typed)?;
    Ok(member)
}

/// This machine's time zone: whoever looks at the demonstration sits before it.
fn time_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

fn details(person: &Person) -> Details {
    Details {
        first_name: person.first_name.clone(),
        last_name: person.last_name.clone(),
        office_phone: person.office_phone.clone(),
        cell_phone: person.cell_phone.clone(),
    }
}

fn invitee(person: &Person) -> Invitee {
    Invitee {
        address: person.email.clone(),
        relationship: person.relationship.clone(),
        first_name: person.first_name.clone(),
        last_name: person.last_name.clone(),
        office_phone: person.office_phone.clone(),
        cell_phone: person.cell_phone.clone(),
    }
}

/// The token of the link in a letter.
fn token(letter: &Letter) -> &str {
    letter.link.rsplit('/').next().unwrap_or_default()
}

impl<'s> Play<'s> {
    fn person(&self, key: &str) -> Result<&'s Person, Error> {
        let found = self.script.people.iter().find(|person| person.key == key);
        found.ok_or_else(|| misprint(Misprint(format!("nobody is called {key}"))))
    }

    fn member(&self, key: &str) -> Result<&Member, Error> {
        self.members.get(key).ok_or_else(|| misprint(Misprint(format!("{key} cannot sign in yet"))))
    }

    fn take(&mut self, step: &Step<'s>) -> Result<(), Error> {
        match step {
            Step::Message(place, message) => self.send(*place, message),
            Step::Opens(place, key) => match self.sent.get(place) {
                Some(sent) => self.portal.thread(self.member(key)?, sent.thread).map(|_| ()),
                // Who begins it has nothing to open.
                None => Ok(()),
            },
            Step::Draft(draft) => self.begin_draft(draft),
        }
    }

    fn send(&mut self, place: usize, message: &Message) -> Result<(), Error> {
        let from = self.member(&message.from)?;
        let mut text = DraftText {
            body: message.text.trim().to_owned(),
            expires: message.days.to_string(),
            ..DraftText::default()
        };
        if let Some(before) = self.sent.get(&place) {
            text.reply_to = Some(before.message);
            text.reply_all = true;
        }
        let people = message.to.iter().map(|key| self.person(key)).collect::<Result<Vec<_>, _>>()?;
        text.to = people.iter().map(|person| person.email.as_str()).collect::<Vec<_>>().join(", ");
        text.invitees = people.iter().map(|person| invitee(person)).collect();
        let subject = self.script.threads.get(place).map(|thread| thread.subject.as_str()).unwrap_or_default();
        text.subject = if text.reply_to.is_some() { format!("Re: {subject}") } else { subject.to_owned() };
        let draft = DraftId::generate();
        self.attach(from, draft, &message.files)?;
        let sent = self.portal.send(from, draft, &text)?;
        self.sent.insert(place, sent);
        people.into_iter().try_for_each(|person| self.welcome(person))
    }

    fn attach(&self, from: &Member, draft: DraftId, names: &[String]) -> Result<(), Error> {
        for name in names {
            let bytes = attachment(name).map_err(misprint)?;
            let id = self.portal.begin_upload(from, draft, name, Some(bytes.len() as u64))?;
            let mut lease = self.portal.lease_upload(from, id)?;
            lease.write(&bytes)?;
            self.portal.finish_upload(from, lease)?;
        }
        Ok(())
    }

    /// Whoever is written to for the first time registers at once, if the script has it so.
    fn welcome(&mut self, person: &'s Person) -> Result<(), Error> {
        if person.stands != Stands::Registered || self.members.contains_key(person.key.as_str()) {
            return Ok(());
        }
        let letter = self.invitation(person)?;
        let token = token(&letter);
        self.portal.send_code(token, Some(details(person)))?;
        let people = self.portal.people(&self.admin.member().manager()?)?;
        let view = people.into_iter().find(|view| view.account.email.as_str() == person.email);
        let (account, code) = view.and_then(|view| Some((view.account, view.code?))).ok_or(Error::NotFound)?;
        let ticket = self.portal.enter_code(token, &code.digits)?;
        let password = SecretString::from(self.script.password.as_str());
        let (session, _) = self.portal.register(token, &ticket, &password, &time_zone(), AGENT)?;
        self.members.insert(&person.key, self.portal.member(&session)?);
        if person.manager {
            let form = Correction {
                details: details(person),
                email: person.email.clone(),
                relationship: person.relationship.clone(),
                full_plan: true,
                manager: true,
            };
            self.portal.correct(&self.admin.member().manager()?, account.id, form)?;
        }
        self.sign(person)
    }

    /// The letter with somebody's link.
    fn invitation(&self, person: &Person) -> Result<Letter, Error> {
        let mut letters = self.portal.outbox(&self.admin)?.into_iter();
        letters.find(|letter| letter.invited && letter.to == person.email).ok_or(Error::NotFound)
    }

    fn sign(&self, person: &Person) -> Result<(), Error> {
        let profile = Profile {
            details: details(person),
            time_zone: time_zone(),
            signature: person.signature.trim().to_owned(),
            expiry_days: None,
        };
        self.portal.change_profile(self.member(&person.key)?, profile)
    }

    fn begin_draft(&self, draft: &Draft) -> Result<(), Error> {
        let (from, id) = (self.member(&draft.from)?, DraftId::generate());
        let text = DraftText {
            to: self.person(&draft.to)?.email.clone(),
            subject: draft.subject.clone(),
            body: draft.text.trim().to_owned(),
            expires: EXPIRY_DAYS.to_string(),
            ..DraftText::default()
        };
        self.portal.save_draft(from, id, None, &text)?;
        self.attach(from, id, &draft.files)
    }

    /// What is done last: stars, what is put away, and a code that waits to be read out.
    fn tidy_up(&self) -> Result<(), Error> {
        for (place, thread) in self.script.threads.iter().enumerate() {
            let Some(sent) = self.sent.get(&place) else { continue };
            let marks = [(Mark::Star, &thread.starred), (Mark::Archive, &thread.archived)];
            for (mark, key) in marks.into_iter().flat_map(|(mark, keys)| keys.iter().map(move |key| (mark, key))) {
                self.portal.mark(self.member(key)?, vec![sent.thread], mark)?;
            }
        }
        for person in self.script.people.iter().filter(|person| person.stands == Stands::WaitsForCode) {
            self.portal.send_code(token(&self.invitation(person)?), Some(details(person)))?;
        }
        Ok(())
    }
}
