//! What is done with whole conversations, one or many at once: archived, read, starred, deleted; and undone.

use minijinja::{Value, context};
use poem::{Response, Result, handler};

use super::body::Form;
use super::guard::Signed;
use super::page::{Flash, FlashKind, Undo, local_path};
use crate::domain::Error;
use crate::domain::filing::Mark;
use crate::domain::ids::ThreadId;
use crate::words::said::{Said, say};

/// A chosen conversation's field is this and its identifier.
const FIELD: &str = "thread-";

/// A mark's name in forms, what undoes it, and what is said when it is done.
struct Act {
    name: &'static str,
    mark: Mark,
    undone_by: &'static str,
    one: &'static str,
    many: &'static str,
}

const ACTS: [Act; 6] = [
    Act {
        name: "archive",
        mark: Mark::Archive,
        undone_by: "unarchive",
        one: "The conversation is archived.",
        many: "{count} conversations are archived.",
    },
    Act {
        name: "unarchive",
        mark: Mark::Unarchive,
        undone_by: "archive",
        one: "The conversation is back in the inbox.",
        many: "{count} conversations are back in the inbox.",
    },
    Act {
        name: "read",
        mark: Mark::Read,
        undone_by: "unread",
        one: "The conversation is marked as read.",
        many: "{count} conversations are marked as read.",
    },
    Act {
        name: "unread",
        mark: Mark::Unread,
        undone_by: "read",
        one: "The conversation is marked as unread.",
        many: "{count} conversations are marked as unread.",
    },
    Act {
        name: "star",
        mark: Mark::Star,
        undone_by: "unstar",
        one: "The conversation is starred.",
        many: "{count} conversations are starred.",
    },
    Act {
        name: "unstar",
        mark: Mark::Unstar,
        undone_by: "star",
        one: "The star is taken off.",
        many: "The stars of {count} conversations are taken off.",
    },
];

/// `POST /threads`: does what a button says with the conversations that are ticked, or with the one that it names
/// (`star:0123…`); then back to where they were.
#[handler]
pub async fn submit(signed: Signed, form: Form) -> Result<Response> {
    let (action, only) = form.get("action").split_once(':').unwrap_or((form.get("action"), ""));
    let chosen = chosen(&form, only)?;
    let back = local_path(form.get("back"));
    let (member, threads) = (signed.member.clone(), chosen.clone());
    let done = match (action, ACTS.iter().find(|act| act.name == action)) {
        ("delete", _) => return ask(&signed, &chosen, back),
        ("destroy", _) => signed
            .web()
            .portal
            .run(move |portal| portal.delete_threads(&member, threads))
            .await
            .map(|()| Flash::of(FlashKind::Ok, counted(&chosen, DESTROYED.0, DESTROYED.1))),
        (_, Some(act)) => {
            let mark = act.mark;
            let done = signed.web().portal.run(move |portal| portal.mark(&member, threads, mark)).await;
            done.map(|()| Flash { undo: Some(undo(act, &chosen, back)), ..said(act, &chosen) })
        }
        _ => return Err(Error::NotFound.into()),
    };
    match done {
        Ok(flash) => signed.flash_with(flash),
        Err(Error::Invalid { message, .. }) => signed.flash(FlashKind::Error, message),
        Err(error) => return Err(error.into()),
    }
    Ok(signed.go(back))
}

const DESTROYED: (&str, &str) =
    ("Your copies in this conversation are destroyed.", "Your copies in {count} conversations are destroyed.");

fn chosen(form: &Form, only: &str) -> Result<Vec<ThreadId>, Error> {
    if !only.is_empty() {
        return Ok(vec![only.parse()?]);
    }
    form.kept().filter_map(|(name, _)| name.strip_prefix(FIELD)).map(str::parse).collect()
}

fn counted(chosen: &[ThreadId], one: &'static str, many: &'static str) -> Said {
    match chosen.len() {
        1 => Said::from(one),
        count => Said::from(many).with("count", count),
    }
}

fn said(act: &Act, chosen: &[ThreadId]) -> Flash {
    Flash::of(FlashKind::Ok, counted(chosen, act.one, act.many))
}

fn undo(act: &Act, chosen: &[ThreadId], back: &str) -> Undo {
    let own = [("action".to_owned(), act.undone_by.to_owned()), ("back".to_owned(), back.to_owned())];
    let ids = chosen.iter().map(|id| (format!("{FIELD}{id}"), "1".to_owned()));
    Undo { url: "/threads", fields: own.into_iter().chain(ids).collect() }
}

/// Asks before anything is destroyed.
fn ask(signed: &Signed, chosen: &[ThreadId], back: &str) -> Result<Response> {
    if chosen.is_empty() {
        signed.flash(FlashKind::Error, say!("Choose a conversation first."));
        return Ok(signed.go(back));
    }
    let fields: Value = chosen.iter().map(|id| format!("{FIELD}{id}")).collect();
    let what = counted(
        chosen,
        "This destroys your copies of all messages and files in this conversation, for good.",
        "This destroys your copies of all messages and files in {count} conversations, for good.",
    );
    signed.page("pages/delete.html", context! { fields, what, back })
}
