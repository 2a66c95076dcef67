//! Writing: the form, saving it as a draft by itself, and sending it.

use minijinja::{Value, context};
use poem::http::StatusCode;
use poem::web::{Path, Query};
use poem::{FromRequest, Request, RequestBody, Response, Result, handler};
use serde::Deserialize;

use super::body::{Form, Part};
use super::guard::{Signed, Upload};
use super::page::{FlashKind, json, value};
use super::prose;
use super::recipients::{self, Rows};
use super::refusal::Refusal;
use super::thread::{file_line, forwarded};
use super::when::Calendar;
use crate::domain::addressing::Answered;
use crate::domain::drafts::{BODY_CHARS_MAX, DraftText, DraftView, FILES_MAX, SEND_BYTES_MAX, SUBJECT_CHARS_MAX};
use crate::domain::forwards::Original;
use crate::domain::ids::DraftId;
use crate::domain::messages::{Content, FileInfo};
use crate::domain::sessions::Member;
use crate::domain::{Error, Portal, Timestamp};
use crate::words::said::say;

/// What somebody sees who changes a message that was sent.
const SENT_BEFORE: &str = "This message was sent before you changed it. What stands here now is a new message: choose \
                           Send to send it too. Its files have to be attached again.";
/// Bytes of one text part of the form: 200,000 characters of four bytes, and some.
const PART_BYTES_MAX: usize = 1024 * 1024;
/// The name that the form gives its files.
const FILES_FIELD: &str = "files[]";

/// What the page is opened with.
#[derive(Debug, Default, Deserialize)]
pub struct Opening {
    draft: Option<String>,
    reply: Option<String>,
    #[serde(default)]
    all: String,
    forward: Option<String>,
    #[serde(default)]
    to: String,
}

/// Everything that the page shows besides the form's values.
struct Sheet {
    draft: DraftId,
    revision: u64,
    text: DraftText,
    view: Option<DraftView>,
    reply: Option<Reply>,
    /// What is forwarded, unless it is gone.
    original: Option<Original>,
    rows: Rows,
}

/// What is answered, and to whom.
struct Reply {
    people: Vec<Answered>,
    thread_url: String,
    from: String,
    date: Timestamp,
    content: Content,
}

/// The text that a form carries.
fn text_of(form: &Form) -> Result<DraftText, Error> {
    let id = |name| Some(form.get(name)).filter(|id| !id.is_empty()).map(str::parse).transpose();
    let reply_to = id("reply")?;
    let keep = form.kept().filter_map(|(name, _)| name.strip_prefix("keep-")).filter_map(|file| file.parse().ok());
    Ok(DraftText {
        to: form.get("to").to_owned(),
        cc: form.get("cc").to_owned(),
        invitees: recipients::invitees(form),
        separately: form.get("separately") == "1",
        subject: form.get("subject").to_owned(),
        body: form.get("body").replace("\r\n", "\n"),
        expires: form.get("expires").to_owned(),
        reply_to,
        reply_all: form.get("all") == "1",
        forward: id("forward")?.filter(|_| reply_to.is_none()),
        keep: keep.take(FILES_MAX).collect(),
        no_forwarding: form.get("no_forwarding") == "1",
    })
}

fn begin(portal: &Portal, member: &Member, opening: &Opening) -> Result<Sheet, Error> {
    if let Some(draft) = &opening.draft {
        let view = portal.draft(member, draft.parse()?)?;
        return sheet(portal, member, view.id, view.revision, view.text.clone());
    }
    let me = portal.own_account(member)?;
    let signature = if me.signature.is_empty() { String::new() } else { format!("\n\n{}", me.signature) };
    let mut text = DraftText {
        body: signature,
        expires: portal.default_expiry_days(member)?.to_string(),
        to: opening.to.clone(),
        ..DraftText::default()
    };
    if let Some(reply) = &opening.reply {
        let id = reply.parse()?;
        text.subject = subject("Re: ", Some(&portal.quoted(member, id)?.2.subject));
        (text.reply_to, text.reply_all) = (Some(id), opening.all == "1");
    } else if let Some(forward) = &opening.forward {
        let original = portal.forwardable(member, forward.parse()?)?;
        text.subject = subject("Fwd: ", original.forwarded.first().map(|first| first.subject.as_str()));
        text.keep = original.files.iter().map(|file| file.id).collect();
        text.forward = Some(original.message.id);
    } else if !member.can_compose() {
        return Err(Error::Denied);
    }
    sheet(portal, member, DraftId::generate(), 0, text)
}

/// Gathers the page for a text.
fn sheet(portal: &Portal, member: &Member, draft: DraftId, revision: u64, text: DraftText) -> Result<Sheet, Error> {
    let view = match portal.draft(member, draft) {
        Ok(view) => Some(view),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    let original = match text.forward.map(|id| portal.forwardable(member, id)) {
        // Destroyed or deleted meanwhile: the page says so.
        None | Some(Err(Error::Expired | Error::NotFound | Error::Conflict)) => None,
        Some(original) => Some(original?),
    };
    let reply = match text.reply_to {
        Some(to) => {
            let people = portal.reply_to(member, to, text.reply_all)?;
            let quoted = portal.quoted(member, to);
            let (message, from, content) = match quoted {
                Ok(quoted) => quoted,
                // What is answered may have been destroyed meanwhile: the answer can still be sent.
                Err(Error::Expired) => {
                    return Ok(Sheet { draft, revision, text, view, reply: None, original, rows: Rows::default() });
                }
                Err(error) => return Err(error),
            };
            let thread_url = format!("/threads/{}", message.thread);
            Some(Reply { people, thread_url, from: from.name, date: message.created, content })
        }
        None => None,
    };
    let revision = view.as_ref().map_or(revision, |view| view.revision.max(revision));
    let rows = if text.reply_to.is_none() { Rows::of(portal, member, &text)? } else { Rows::default() };
    Ok(Sheet { draft, revision, text, view, reply, original, rows })
}

/// "Re: …" or "Fwd: …", once, and never longer than a subject may be.
fn subject(mark: &str, of: Option<&str>) -> String {
    let bare = of.unwrap_or_default().trim_start_matches(mark);
    format!("{mark}{bare}").chars().take(SUBJECT_CHARS_MAX).collect()
}

fn page_of(signed: &Signed, sheet: &Sheet, error: Option<&Error>) -> Value {
    let calendar = signed.calendar();
    let text = &sheet.text;
    let files = sheet.view.as_ref().map(|view| view.files.as_slice()).unwrap_or_default();
    let days = text.expires.parse().ok();
    let people = |cc| {
        let all = sheet.reply.iter().flat_map(|reply| &reply.people).filter(move |one| one.cc == cc);
        all.map(|one| context! { name => one.who.name.as_str(), email => one.who.email.as_str() }).collect::<Value>()
    };
    let until = sheet.original.as_ref().map(|original| original.message.expires);
    let own = context! {
        page => "compose",
        draft_id => sheet.draft.to_string(),
        revision => sheet.revision,
        mode => if text.reply_to.is_some() { "reply" } else if text.forward.is_some() { "forward" } else { "new" },
        reply_to => people(false),
        reply_cc => people(true),
        thread_url => sheet.reply.as_ref().map(|reply| reply.thread_url.as_str()),
        form => context! {
            to => text.to.as_str(), cc => text.cc.as_str(), separately => text.separately,
            subject => text.subject.as_str(), body => text.body.as_str(), expires => text.expires.as_str(),
            reply => text.reply_to.map(|id| id.to_string()).unwrap_or_default(), all => if text.reply_all { "1" } else { "" },
            forward => text.forward.map(|id| id.to_string()).unwrap_or_default(), no_forwarding => text.no_forwarding,
        },
        expiry_options => value(calendar.expiry_choices(signed.web().clock.now(), days, until)),
        files => files.iter().map(file_line).collect::<Value>(),
        files_bytes => files.iter().map(|file| file.bytes).sum::<u64>(),
        limit_bytes => SEND_BYTES_MAX,
        limit_files => FILES_MAX,
        limits => context! { subject => SUBJECT_CHARS_MAX, body => BODY_CHARS_MAX },
        quoted => sheet.reply.iter().map(|reply| quote(reply, &calendar)).collect::<Value>(),
    };
    context! { ..own, ..sheet.rows.context(error), ..original_of(sheet, &calendar) }
}

/// What is forwarded, and which of its files go with it.
fn original_of(sheet: &Sheet, calendar: &Calendar) -> Value {
    let Some(original) = &sheet.original else { return context! { original_gone => sheet.text.forward.is_some() } };
    let file = |file: &FileInfo| {
        let field = format!("keep-{}", file.id);
        context! { field, checked => sheet.text.keep.contains(&file.id), ..file_line(file) }
    };
    context! {
        forwarded => original.forwarded.iter().map(|one| forwarded(one, calendar)).collect::<Value>(),
        original_files => original.files.iter().map(file).collect::<Value>(),
    }
}

fn quote(reply: &Reply, calendar: &Calendar) -> Value {
    context! {
        from => context! { name => reply.from.as_str() },
        date => value(calendar.when(reply.date)),
        body_html => prose::to_html(&reply.content.body),
    }
}

/// `GET /compose`: an empty form, a draft, or an answer. Nothing is stored until something is written.
#[handler]
pub async fn write(signed: Signed, opening: Query<Opening>) -> Result<Response> {
    let member = signed.member.clone();
    let sheet = signed.web().portal.run(move |portal| begin(portal, &member, &opening.0)).await?;
    // The page shows which addresses are known.
    sheet.rows.charge(&signed)?;
    signed.page("pages/compose.html", page_of(&signed, &sheet, None))
}

/// A form whose session may have ended while it was being written: then it is kept as a draft.
pub enum Writer {
    /// Still signed in.
    Signed(Box<Upload>),
    /// Signed out meanwhile; what was written is saved if the session is remembered.
    Late {
        /// Whether it could be saved.
        saved: bool,
    },
}

impl<'a> FromRequest<'a> for Writer {
    async fn from_request(req: &'a Request, body: &mut RequestBody) -> Result<Self> {
        match Upload::from_request_or_late(req, body).await? {
            Ok(upload) => Ok(Self::Signed(Box::new(upload))),
            Err(late) => {
                let form = read_texts(late.parts).await?;
                let (text, draft) = (text_of(&form)?, form.get("draft").parse::<DraftId>()?);
                let token = late.token;
                let saved = late.web.portal.run(move |portal| portal.save_draft_of_ended_session(&token, draft, &text));
                Ok(Self::Late { saved: saved.await.is_ok() })
            }
        }
    }
}

/// The text fields of a form whose files are not wanted any more.
async fn read_texts(mut parts: super::body::Parts) -> Result<Form, Refusal> {
    let mut form = Form::default();
    while let Some(mut part) = parts.next().await? {
        if part.file_name().is_some() {
            while part.chunk().await?.is_some() {}
        } else {
            let name = part.name().to_owned();
            form.add(name, part.text(PART_BYTES_MAX).await?)?;
        }
    }
    Ok(form)
}

/// `POST /compose`: sends, saves, discards, or removes a file, with whatever files the form itself carries.
#[handler]
pub async fn submit(writer: Writer) -> Result<Response> {
    let Upload { signed, mut parts } = match writer {
        Writer::Signed(upload) => *upload,
        Writer::Late { saved } => {
            return Ok(super::page::see_other(if saved { "/sign-in?saved=1" } else { "/sign-in?idle=1" }));
        }
    };
    let mut form = Form::default();
    match take_parts(&signed, &mut parts, &mut form).await {
        Ok(refused) => act(&signed, &form, refused).await,
        Err(error) => {
            if matches!(error.downcast_ref(), Some(Refusal::TooLarge)) {
                keep(&signed, &form).await;
            }
            Err(error)
        }
    }
}

/// Takes the form in; gives back why a file of it was refused.
async fn take_parts(signed: &Signed, parts: &mut super::body::Parts, form: &mut Form) -> Result<Option<Error>> {
    let mut refused = None;
    while let Some(part) = parts.next().await? {
        if part.file_name().is_some() {
            let draft = form.get("draft").parse::<DraftId>();
            if let Err(error) = take_file(signed, draft, part).await? {
                refused = Some(error);
            }
        } else {
            let name = part.name().to_owned();
            form.add(name, part.text(PART_BYTES_MAX).await?)?;
        }
    }
    Ok(refused)
}

/// Saves what came of a form before there was too much of it. Whatever fails here is left out: there is a refusal to
/// be told already.
async fn keep(signed: &Signed, form: &Form) {
    if let (Ok(draft), Ok(text)) = (form.get("draft").parse::<DraftId>(), text_of(form)) {
        let member = signed.member.clone();
        _ = signed.web().portal.run(move |portal| portal.save_draft(&member, draft, None, &text)).await;
    }
}

/// Without the full plan only answers are written. Asked before anything else, so that a form that is refused for
/// another reason tells nothing about an address.
fn may_write(signed: &Signed, text: &DraftText) -> Result<(), Error> {
    if text.reply_to.is_some() || signed.member.can_compose() { Ok(()) } else { Err(Error::Denied) }
}

/// Seals a file of the form itself into the draft. What is refused is read to its end, so that the form can be shown
/// again with the fault beside the field.
async fn take_file(signed: &Signed, draft: Result<DraftId, Error>, mut part: Part) -> Result<Result<(), Error>> {
    let name = part.file_name().unwrap_or_default();
    let chunk = part.chunk().await?;
    // A browser sends a part without name and bytes for a field in which no file was chosen.
    let is_nothing = name.is_empty() && chunk.as_ref().is_none_or(|bytes| bytes.is_empty());
    if part.name() != FILES_FIELD || is_nothing {
        while part.chunk().await?.is_some() {}
        return Ok(Ok(()));
    }
    let mut upload = super::uploads::Intake::begin(signed, draft?, name).await;
    let mut next = chunk;
    while let Some(bytes) = next {
        if let Ok(intake) = &mut upload
            && let Err(error) = intake.take(bytes).await
        {
            upload = Err(error);
        }
        next = part.chunk().await?;
    }
    Ok(match upload {
        Ok(intake) => intake.finish().await,
        Err(error) => Err(error),
    })
}

async fn act(signed: &Signed, form: &Form, refused: Option<Error>) -> Result<Response> {
    let (draft, text) = (form.get("draft").parse::<DraftId>()?, text_of(form)?);
    let (member, action) = (signed.member.clone(), form.get("action").to_owned());
    let portal = &signed.web().portal;
    if action == "discard" {
        portal.run(move |portal| portal.discard_draft(&member, draft)).await?;
        signed.flash(FlashKind::Ok, "The draft is discarded.");
        return Ok(signed.go(if signed.member.can_compose() { "/drafts" } else { "/inbox" }));
    }
    may_write(signed, &text)?;
    // Of two clicks on Send the second may find the draft gone with its files: what became of it is said below.
    let refused = refused.filter(|error| action != "send" || !matches!(error, Error::Expired));
    let is_too_large = matches!(refused, Some(Error::Invalid { field: "files", .. }));
    let result = match (refused, action.strip_prefix("remove:")) {
        (Some(error), _) => Err(error),
        (None, Some(file)) => {
            let file = file.parse()?;
            portal.run(move |portal| portal.remove_file(&member, draft, file)).await.map(|()| None)
        }
        (None, None) if action == "send" => {
            let text = text.clone();
            portal.run(move |portal| portal.send(&member, draft, &text)).await.map(Some)
        }
        (None, None) => Ok(None),
    };
    match result {
        Ok(Some(sent)) => {
            signed.web().metrics.sends.one();
            if text.separately {
                signed.flash(FlashKind::Ok, "Your message is sent, to everybody on their own.");
                return Ok(signed.go("/sent"));
            }
            signed.flash(FlashKind::Ok, "Your message is sent.");
            Ok(signed.go(&format!("/threads/{}", sent.thread)))
        }
        Ok(None) => saved(signed, form, draft, text, &action).await,
        Err(error) => {
            let mut response = again(signed, form, draft, text, error).await?;
            if is_too_large {
                response.set_status(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(response)
        }
    }
}

/// Saves the text and shows the form, or the drafts.
async fn saved(signed: &Signed, form: &Form, draft: DraftId, text: DraftText, action: &str) -> Result<Response> {
    let (member, kept) = (signed.member.clone(), text.clone());
    let based_on = Some(form.get("revision").parse().unwrap_or_default());
    let result = signed.web().portal.run(move |portal| match portal.save_draft(&member, draft, based_on, &kept) {
        // The form may come from before the draft was first saved: by an upload, or by the script of the page.
        Err(Error::Conflict) => portal.save_draft(&member, draft, None, &kept),
        other => other,
    });
    match result.await {
        Ok(_) if action == "save" => {
            signed.flash(FlashKind::Ok, "The draft is saved.");
            Ok(signed.go(&format!("/compose?draft={draft}")))
        }
        Ok(_) => Ok(signed.go(&format!("/compose?draft={draft}"))),
        Err(error) => again(signed, form, draft, text, error).await,
    }
}

/// The form as it was, with the fault beside its field; the text is safe in the draft as well.
async fn again(signed: &Signed, form: &Form, draft: DraftId, text: DraftText, error: Error) -> Result<Response> {
    let member = signed.member.clone();
    let is_sent = signed.web().portal.run(move |portal| portal.is_sent(&member, draft)).await?;
    let (draft, error) = match error {
        // The browser went back to the page of a message that was sent, and the text was changed there.
        Error::Expired if is_sent => (DraftId::generate(), Error::invalid("form", SENT_BEFORE)),
        Error::Invalid { .. } => (draft, error),
        error => return Err(error.into()),
    };
    let member = signed.member.clone();
    let sheet = signed
        .web()
        .portal
        .run(move |portal| {
            _ = portal.save_draft(&member, draft, None, &text);
            sheet(portal, &member, draft, 0, text)
        })
        .await?;
    sheet.rows.charge(signed)?;
    signed.refill("pages/compose.html", page_of(signed, &sheet, Some(&error)), form, error)
}

/// `POST /drafts/{id}`: the page saves by itself.
#[handler]
pub async fn autosave(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    let (member, draft, text) = (signed.member.clone(), id.parse::<DraftId>()?, text_of(&form)?);
    may_write(&signed, &text)?;
    let based_on = match form.get("force") {
        "1" => None,
        _ => Some(form.get("revision").parse().unwrap_or_default()),
    };
    let revision = signed.web().portal.run(move |portal| portal.save_draft(&member, draft, based_on, &text)).await;
    match revision {
        Ok(revision) => {
            let now = signed.calendar().time(signed.web().clock.now());
            json(&serde_json::json!({ "revision": revision, "saved": signed.say(&say!("Saved {time}", time = now)) }))
        }
        Err(Error::Conflict) => {
            let message = signed.say(&say!("This draft was changed in another tab."));
            let mut response = json(&serde_json::json!({ "message": message }))?;
            response.set_status(StatusCode::CONFLICT);
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /drafts/{id}/files/{file}`: removes a file, by the page's script.
#[handler]
pub async fn remove_file(signed: Signed, Path((id, file)): Path<(String, String)>) -> Result<StatusCode> {
    let (member, draft, file) = (signed.member.clone(), id.parse()?, file.parse()?);
    signed.web().portal.run(move |portal| portal.remove_file(&member, draft, file)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_re_once() {
        assert_eq!(subject("Re: ", Some("Tooth 14")), "Re: Tooth 14");
        assert_eq!(subject("Re: ", Some("Re: Re: Tooth 14")), "Re: Tooth 14");
        assert_eq!(subject("Fwd: ", Some("Re: Tooth 14")), "Fwd: Re: Tooth 14");
        assert_eq!(subject("Re: ", Some(&"x".repeat(300))).chars().count(), SUBJECT_CHARS_MAX);
    }
}
