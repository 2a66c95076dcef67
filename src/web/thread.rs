//! A conversation, and what can be done with its messages.

use minijinja::{Value, context};
use poem::web::Path;
use poem::{Response, Result, handler};

use super::body::Form;
use super::guard::Signed;
use super::mailbox::{folder_words, gone_words, rows};
use super::page::{FlashKind, value};
use super::prose;
use super::when::{Calendar, file_count, size};
use crate::domain::filing::{Filter, Folder};
use crate::domain::folders::Gone;
use crate::domain::ids::{AccountId, MessageId, ThreadId};
use crate::domain::messages::{Correspondent, FileInfo, Forwarded, NoticeState, Opened};
use crate::domain::portal::DAY;
use crate::domain::sessions::initials;
use crate::domain::threads::{MessageView, RecipientView, ThreadView};
use crate::domain::{Error, Timestamp};
use crate::words::said::{Part, Said, say};

/// `GET /threads/{id}`. What is shown for the first time counts as opened.
#[handler]
pub async fn show(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    let (member, id) = (signed.member.clone(), id.parse::<ThreadId>()?);
    let (thread, page, me) = signed
        .web()
        .portal
        .run(move |portal| {
            let thread = portal.thread(&member, id)?;
            // Asked for again: what has just been opened is no longer counted as unread.
            let page = portal.folder(&member, thread.folder, Filter::All, None)?;
            Ok((thread, page, portal.me(&member)?))
        })
        .await?;
    let (folder, list_title) = folder_words(thread.folder);
    let (list_url, list) = (format!("/{folder}"), rows(&signed, &page));
    let own = context! { list_title, list_url, folder, rows => list, page => "thread", me => value(me) };
    let context = context! { ..own, ..page_of(&signed, &thread) };
    signed.page("pages/thread.html", context)
}

/// `GET /threads/{id}/print`: the same on paper.
#[handler]
pub async fn print(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    let (member, id) = (signed.member.clone(), id.parse::<ThreadId>()?);
    let thread = signed.web().portal.run(move |portal| portal.thread(&member, id)).await?;
    signed.page("pages/thread_print.html", page_of(&signed, &thread))
}

fn page_of(signed: &Signed, thread: &ThreadView) -> Value {
    let calendar = signed.calendar();
    let newest = thread.messages.iter().rev().find(|view| view.content().is_some());
    let subject = newest.and_then(|view| view.content()).map(|content| content.subject.as_str()).unwrap_or_default();
    let url = format!("/threads/{}", thread.id);
    let reply = newest.map(|view| format!("/compose?reply={}", view.message.id));
    let many =
        newest.is_some_and(|view| view.to.iter().any(|to| to.cc) || (view.message.holders.len() > 2 && !view.mine));
    let (now, sends_mail) = (signed.web().clock.now(), signed.web().portal.options().sends_mail);
    let last = thread.messages.len().saturating_sub(1);
    let messages: Value = thread
        .messages
        .iter()
        .enumerate()
        .map(|(place, view)| {
            let is_waited_for = view.to.iter().any(|to| to.code.is_some() || to.asks);
            let folded = place < last && !view.unread && !is_waited_for;
            context! { folded, ..message(view, &calendar, now, sends_mail) }
        })
        .collect();
    context! {
        thread => context! {
            id => thread.id.to_string(), subject, print_url => format!("{url}/print"), url,
            starred => thread.starred, archived => thread.folder == Folder::Archive,
            received => thread.folder != Folder::Sent,
        },
        messages,
        can_reply => reply.is_some(),
        reply_all_url => reply.as_ref().filter(|_| many).map(|url| format!("{url}&all=1")),
        reply_url => reply,
        forward_url => newest.and_then(forward_url).filter(|_| signed.member.can_compose()),
        can_compose => signed.member.can_compose(),
    }
}

fn message(view: &MessageView, calendar: &Calendar, now: Timestamp, sends_mail: bool) -> Value {
    let row = &view.message;
    let gone = match &view.opened {
        Opened::Destroyed(at) => {
            let to = view.to.iter().map(|to| to.who.name.clone()).collect();
            Some(gone_words(&Gone::of(row, &view.from.name, to, *at), calendar))
        }
        _ => None,
    };
    let files = view.content().map(|content| content.files.as_slice()).unwrap_or_default();
    let url = format!("/messages/{}", row.id);
    let living = gone.is_none();
    let original = view.original_expires;
    let days = u8::try_from(row.expires.since(row.created) / DAY).ok().filter(|_| original != Some(row.expires));
    context! {
        id => row.id.to_string(),
        anchor => format!("m-{}", row.id),
        mine => view.mine,
        unread => view.unread,
        from => person(&view.from),
        to => view.to.iter().map(|to| recipient(view, to, calendar, sends_mail)).collect::<Value>(),
        date => value(calendar.when(row.created)),
        expiry => value(living.then(|| calendar.expiry(row.expires))),
        opening => view.opening(),
        body_html => view.content().map(|content| prose::to_html(&content.body)).unwrap_or_default(),
        forwarded => view.content().into_iter().flat_map(|content| &content.forwarded).map(|one| forwarded(one, calendar)).collect::<Value>(),
        no_forwarding => view.content().is_some_and(|content| content.no_forwarding),
        forward_url => forward_url(view),
        files => files.iter().map(|file| context! {
            name => file.name.as_str(), size_text => size(file.bytes), url => format!("{url}/files/{}", file.id), kind => kind(&file.mime),
        }).collect::<Value>(),
        files_total_text => size(files.iter().map(|file| file.bytes).sum()),
        zip_url => (files.len() > 1).then(|| format!("{url}/files.zip")),
        damaged => matches!(view.opened, Opened::Damaged),
        destroyed => gone,
        can_expire => living && view.mine,
        expire_url => format!("{url}/expiry"),
        expiry_options => value(if view.mine { calendar.expiry_choices(row.created, days, original) } else { vec![] }),
        can_recall => living && view.mine,
        recall_url => format!("{url}/recall"),
        recall_text => recall_words(view, files.len(), calendar),
        delete_url => living.then(|| format!("{url}/delete")),
        delete_text => delete_words(view, files.len(), now),
        export_url => living.then(|| format!("{url}/export")),
    }
}

/// Where a message is forwarded; nowhere, if its sender forbids that.
fn forward_url(view: &MessageView) -> Option<String> {
    let content = view.content().filter(|content| !content.no_forwarding);
    content.map(|_| format!("/compose?forward={}", view.message.id))
}

/// A message that stands in one that forwards it.
pub fn forwarded(one: &Forwarded, calendar: &Calendar) -> Value {
    context! {
        from => one.from.as_str(),
        to => one.to.join(", "),
        cc => one.cc.join(", "),
        date => value(calendar.when(one.sent)),
        subject => one.subject.as_str(),
        body_html => prose::to_html(&one.body),
    }
}

fn person(who: &Correspondent) -> Value {
    context! { name => who.name.as_str(), email => who.email.as_str(), initials => initials(&who.name) }
}

fn recipient(view: &MessageView, to: &RecipientView, calendar: &Calendar, sends_mail: bool) -> Value {
    let opened = to.holder.opened.filter(|_| view.mine);
    let (status, kind) = match (&to.holder.notice, opened) {
        _ if !view.mine => (None, None),
        (_, Some(at)) => (Some(say!("Opened {date}", date = calendar.in_words(at))), "ok".into()),
        (NoticeState::Failed(why), None) => {
            (Some(say!("Notice not delivered: {why}", why = Said::kept(why.clone()))), Some("bad"))
        }
        _ if to.asks => (Some(say!("Asks for a new link")), Some("bad")),
        (NoticeState::Waiting, None) if sends_mail => {
            (Some(say!("Not opened yet · notice is being sent")), Some("wait"))
        }
        _ => (Some(say!("Not opened yet")), Some("wait")),
    };
    let corrected = [
        to.address_corrected.as_ref().map(|(by, at)| {
            say!("Address corrected by {name} on {date}", name = by.as_str(), date = calendar.in_words(*at))
        }),
        to.phone_corrected.as_ref().map(|(by, at)| {
            say!("Phone number corrected by {name} on {date}", name = by.as_str(), date = calendar.in_words(*at))
        }),
    ];
    let may_resend = view.mine && opened.is_none() && matches!(view.opened, Opened::Content(_));
    context! {
        name => to.who.name.as_str(),
        email => to.who.email.as_str(),
        cc => to.cc,
        opened => value(opened.map(|at| calendar.when(at))),
        status,
        status_kind => kind,
        corrected => corrected.into_iter().flatten().collect::<Value>(),
        code => to.code.as_ref().map(|code| code_of(code, calendar)),
        registered => to.who.registered,
        resend_url => may_resend.then(|| format!("/messages/{}/notices/{}", view.message.id, to.who.account)),
    }
}

/// A code as it is read out: in two groups of three.
pub fn code_of(code: &crate::domain::invites::ReadOut, calendar: &Calendar) -> Value {
    let (first, rest) = code.digits.split_at_checked(3).unwrap_or((&code.digits, ""));
    context! {
        digits => format!("{first} {rest}"),
        until => value(calendar.when(code.until)),
        typed => code.typed.as_ref().map(|phones| phones.now.to_string()),
        known => code.typed.as_ref().map(|phones| phones.before.to_string()),
    }
}

fn what(files: usize) -> Said {
    match files {
        0 => say!("this message"),
        n => say!("this message and its {files}", files = file_count(n)),
    }
}

fn recall_words(view: &MessageView, files: usize, calendar: &Calendar) -> Said {
    let whom = view.to.iter().map(|to| match to.holder.opened {
        Some(at) => say!("{name} (opened {date})", name = &to.who.name, date = calendar.in_words(at)),
        None => say!("{name} (not opened yet)", name = &to.who.name),
    });
    let whom = join(whom.map(Part::from).collect());
    say!(
        "This destroys {message} for you and for {people}, at once and for good.",
        message = what(files),
        people = whom
    )
}

fn delete_words(view: &MessageView, files: usize, now: Timestamp) -> Said {
    let others: Vec<Part> = match view.mine {
        true => view.to.iter().filter(|to| !to.holder.deleted).map(|to| Part::from(&to.who.name)).collect(),
        false => vec![Part::from(&view.from.name)],
    };
    let destroys = say!("This destroys your copy of {message} for good.", message = what(files));
    let rest = match others.len() {
        _ if view.message.gone(now).is_some() => return destroys,
        0 => return destroys,
        1 => say!("{people} keeps their copy until its date.", people = join(others)),
        _ => say!("{people} keep their copies until the date.", people = join(others)),
    };
    say!("{first} {second}", first = destroys, second = rest)
}

/// "A", "A and B", "A, B and C".
fn join(mut parts: Vec<Part>) -> Part {
    let last = parts.pop();
    let first = parts.into_iter().reduce(|first, next| say!("{first}, {next}", first = first, next = next).into());
    match (first, last) {
        (Some(first), Some(last)) => say!("{first} and {last}", first = first, last = last).into(),
        (_, last) => last.unwrap_or_else(|| String::new().into()),
    }
}

/// Which picture stands for a file.
pub fn kind(mime: &str) -> &'static str {
    match mime {
        "application/pdf" => "pdf",
        mime if mime.starts_with("image/") => "image",
        mime if mime.contains("zip") || mime.contains("compressed") || mime.contains("tar") => "archive",
        mime if mime.starts_with("text/") || mime.contains("document") || mime.contains("msword") => "doc",
        _ => "other",
    }
}

/// Runs a change of a message and comes back to its conversation, or to the inbox when nothing is left of that.
async fn change<F>(signed: &Signed, id: &str, done: &'static str, change: F) -> Result<Response>
where
    F: FnOnce(&crate::domain::Portal, &crate::domain::sessions::Member, MessageId) -> Result<(), Error>
        + Send
        + 'static,
{
    let (member, id) = (signed.member.clone(), id.parse::<MessageId>()?);
    let result = signed.web().portal.run(move |portal| {
        let thread = portal.thread_of(&member, id)?;
        let result = change(portal, &member, id);
        Ok((result, thread, portal.thread(&member, thread).is_ok()))
    });
    let (result, thread, is_left) = result.await?;
    match result {
        Ok(()) => signed.flash(FlashKind::Ok, done),
        Err(Error::Invalid { message, .. }) => signed.flash(FlashKind::Error, message),
        Err(Error::Expired) => signed.flash(FlashKind::Error, "This message has been destroyed already."),
        Err(error) => return Err(error.into()),
    }
    Ok(signed.go(&if is_left { format!("/threads/{thread}") } else { "/inbox".to_owned() }))
}

/// `POST /messages/{id}/expiry`: moves its date, by its sender.
#[handler]
pub async fn expiry(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    let expires = form.get("expires").to_owned();
    change(&signed, &id, "The date is changed.", move |portal, member, id| portal.change_expiry(member, id, &expires))
        .await
}

/// `POST /messages/{id}/recall`: destroys it for everybody, by its sender.
#[handler]
pub async fn recall(signed: Signed, Path(id): Path<String>, _form: Form) -> Result<Response> {
    let done = "The message is destroyed, for you and for everybody who received it.";
    change(&signed, &id, done, |portal, member, id| portal.recall(member, id)).await
}

/// `POST /messages/{id}/delete`: destroys one's own copy.
#[handler]
pub async fn delete(signed: Signed, Path(id): Path<String>, _form: Form) -> Result<Response> {
    change(&signed, &id, "Your copy is destroyed.", |portal, member, id| portal.delete_copy(member, id)).await
}

/// `POST /messages/{id}/notices/{account}`: sends the notice again, by the message's sender.
#[handler]
pub async fn resend(signed: Signed, Path((id, to)): Path<(String, String)>, _form: Form) -> Result<Response> {
    let to = to.parse::<AccountId>()?;
    change(&signed, &id, "The notice is sent again.", move |portal, member, id| portal.resend_notice(member, id, to))
        .await
}

/// A file as the composer lists it.
pub fn file_line(file: &FileInfo) -> Value {
    context! { id => file.id.to_string(), name => file.name.as_str(), size_text => size(file.bytes), bytes => file.bytes }
}
