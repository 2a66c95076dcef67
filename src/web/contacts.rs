//! Contacts: the list, one of them, merging, deleting.

use minijinja::{Value, context};
use poem::web::{Path, Query};
use poem::{Response, Result, handler};
use serde::Deserialize;

use super::body::Form;
use super::guard::Signed;
use super::page::{FlashKind, with_query};
use crate::domain::accounts::Details;
use crate::domain::cards::{CONTACT_EMAILS_MAX, Contact, ContactForm, NOTES_CHARS_MAX, TITLE_CHARS_MAX};
use crate::domain::contacts::{CONTACTS_PAGE, ContactView, ContactsPage, Origin};
use crate::domain::ids::ContactId;
use crate::domain::{Error, Portal, sessions};
use crate::words::said::{Said, say};

/// What is looked for in the list, and which page of it.
#[derive(Debug, Default, Deserialize)]
pub struct Looking {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

/// What a list shows of a contact.
pub(super) fn card(contact: &Contact) -> Value {
    let name = contact.name();
    let email = contact.emails.first().map(ToString::to_string).unwrap_or_default();
    let phones = [&*contact.details.office_phone, &contact.details.cell_phone];
    let phones: Vec<&str> = phones.into_iter().filter(|phone| !phone.is_empty()).collect();
    context! {
        initials => sessions::initials(&name),
        name => (name != email).then_some(name),
        emails => contact.emails.iter().map(ToString::to_string).collect::<Vec<_>>(),
        email,
        practice => contact.practice.as_str(),
        // A number is one word.
        phones => phones.join(" · ").replace(' ', "\u{a0}").replace("\u{a0}·\u{a0}", " · "),
    }
}

fn origin(view: &ContactView) -> Option<Said> {
    match view.origin {
        Origin::Own => None,
        Origin::ByItself => Some(say!("Came by itself")),
        Origin::Shared => Some(say!("Shared by the practice")),
    }
}

fn line(view: &ContactView) -> Value {
    let email = view.contact.emails.first().map(ToString::to_string).unwrap_or_default();
    context! {
        url => format!("/contacts/{}", view.id),
        write_url => with_query("/compose", &[("to", &email)]),
        origin => origin(view),
        is_shared => view.origin == Origin::Shared,
        ..card(&view.contact)
    }
}

/// Another page of the same list.
fn place(query: &str, page: usize) -> String {
    let page = page.to_string();
    let looked_for = (!query.is_empty()).then_some(("q", query));
    with_query("/contacts", &looked_for.into_iter().chain([("page", page.as_str())]).collect::<Vec<_>>())
}

/// `GET /contacts`.
#[handler]
pub async fn list(signed: Signed, looking: Query<Looking>) -> Result<Response> {
    let Looking { q, page } = looking.0;
    let page = page.parse::<usize>().unwrap_or(1).max(1);
    let (member, query) = (signed.member.clone(), q.clone());
    let found = signed.web().portal.run(move |portal| portal.contacts(&member, &query, page - 1)).await?;
    let ContactsPage { rows, total, .. } = &found;
    let pages = total.div_ceil(CONTACTS_PAGE);
    signed.page(
        "pages/contacts.html",
        context! {
            page => "contacts", tab => "contacts", query => q.as_str(), total,
            contacts => rows.iter().map(line).collect::<Value>(),
            earlier_url => (page > 1).then(|| place(&q, page - 1)),
            later_url => (page < pages).then(|| place(&q, page + 1)),
        },
    )
}

/// Everything that the form shows.
struct Sheet {
    view: Option<ContactView>,
    others: Vec<ContactView>,
    can_share: bool,
}

fn sheet(portal: &Portal, member: &sessions::Member, id: Option<ContactId>) -> Result<Sheet, Error> {
    Ok(match id {
        Some(id) => {
            let (view, others, can_share) = portal.contact(member, id)?;
            Sheet { view: Some(view), others, can_share }
        }
        None => Sheet { view: None, others: vec![], can_share: portal.can_share_contacts(member)? },
    })
}

fn page_of(sheet: &Sheet) -> Value {
    let nobody = Contact::default();
    let contact = sheet.view.as_ref().map_or(&nobody, |view| &view.contact);
    let details = &contact.details;
    let is_shared = sheet.view.as_ref().is_some_and(|view| view.origin == Origin::Shared);
    let others = sheet.others.iter().map(|other| {
        let (name, email) = (other.contact.name(), other.contact.emails_text());
        let text = if name == email { name } else { format!("{name} · {email}") };
        context! { value => other.id.to_string(), text }
    });
    context! {
        page => "contacts",
        contact => sheet.view.as_ref().map(line),
        by_itself => sheet.view.as_ref().is_some_and(|view| view.origin == Origin::ByItself),
        can_share => sheet.can_share,
        others => others.collect::<Value>(),
        limits => context! { notes => NOTES_CHARS_MAX, practice => TITLE_CHARS_MAX, emails => CONTACT_EMAILS_MAX },
        form => context! {
            first_name => details.first_name.as_str(), last_name => details.last_name.as_str(),
            practice => contact.practice.as_str(), email => contact.emails_text(),
            office_phone => details.office_phone.as_str(), cell_phone => details.cell_phone.as_str(),
            notes => contact.notes.as_str(), shared => if is_shared { "1" } else { "" },
        },
    }
}

async fn show(signed: &Signed, id: Option<ContactId>) -> Result<Response> {
    let member = signed.member.clone();
    let sheet = signed.web().portal.run(move |portal| sheet(portal, &member, id)).await?;
    signed.page("pages/contact_edit.html", page_of(&sheet))
}

/// `GET /contacts/new`.
#[handler]
pub async fn begin(signed: Signed) -> Result<Response> {
    show(&signed, None).await
}

/// `GET /contacts/{id}`.
#[handler]
pub async fn edit(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    show(&signed, Some(id.parse()?)).await
}

fn form_of(form: &Form) -> ContactForm {
    ContactForm {
        details: Details {
            first_name: form.get("first_name").to_owned(),
            last_name: form.get("last_name").to_owned(),
            office_phone: form.get("office_phone").to_owned(),
            cell_phone: form.get("cell_phone").to_owned(),
        },
        practice: form.get("practice").to_owned(),
        emails: form.get("email").to_owned(),
        notes: form.get("notes").to_owned(),
    }
}

/// Does something to a contact; what is refused is shown in its form.
async fn act<F>(signed: &Signed, form: &Form, id: Option<ContactId>, done: &'static str, act: F) -> Result<Response>
where
    F: FnOnce(&Portal, &sessions::Member) -> Result<(), Error> + Send + 'static,
{
    let member = signed.member.clone();
    let outcome = signed.web().portal.run(move |portal| {
        let sheet = sheet(portal, &member, id)?;
        Ok((act(portal, &member), sheet))
    });
    match outcome.await? {
        (Ok(()), _) => {
            signed.flash(FlashKind::Ok, done);
            Ok(signed.go("/contacts"))
        }
        (Err(error), sheet) => signed.refill("pages/contact_edit.html", page_of(&sheet), form, error),
    }
}

async fn save(signed: &Signed, form: &Form, id: Option<ContactId>) -> Result<Response> {
    let (contact, is_shared) = (form_of(form), !form.get("shared").is_empty());
    act(signed, form, id, "The contact is saved.", move |portal, member| {
        portal.save_contact(member, id, &contact, is_shared)
    })
    .await
}

/// `POST /contacts`: a new one.
#[handler]
pub async fn create(signed: Signed, form: Form) -> Result<Response> {
    save(&signed, &form, None).await
}

/// `POST /contacts/{id}`.
#[handler]
pub async fn change(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    save(&signed, &form, Some(id.parse()?)).await
}

/// `POST /contacts/{id}/delete`.
#[handler]
pub async fn delete(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    let id: ContactId = id.parse()?;
    act(&signed, &form, Some(id), "The contact is deleted.", move |portal, member| portal.delete_contact(member, id))
        .await
}

/// `POST /contacts/{id}/merge`: with another of one's own.
#[handler]
pub async fn merge(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    let id: ContactId = id.parse()?;
    let other = form.get("other").to_owned();
    let member = signed.member.clone();
    let outcome = signed.web().portal.run(move |portal| {
        let sheet = sheet(portal, &member, Some(id))?;
        let chosen = other.parse().map_err(|_| Error::invalid("other", "Choose another contact."));
        Ok((chosen.and_then(|other| portal.merge_contacts(&member, id, other)), sheet))
    });
    match outcome.await? {
        (Ok(()), _) => {
            signed.flash(FlashKind::Ok, "The two contacts are one now.");
            Ok(signed.go(&format!("/contacts/{id}")))
        }
        // The page has two forms: this one has nothing that could be typed, and the other stands as it was.
        (Err(error), sheet) => signed.refill("pages/contact_edit.html", page_of(&sheet), &Form::default(), error),
    }
}
