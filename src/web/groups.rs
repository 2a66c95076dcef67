//! Groups of contacts: the list, and one of them.

use minijinja::{Value, context};
use poem::web::Path;
use poem::{Response, Result, handler};

use super::body::Form;
use super::guard::Signed;
use super::page::{FlashKind, with_query};
use crate::domain::cards::{GROUP_MEMBERS_MAX, TITLE_CHARS_MAX};
use crate::domain::groups::GroupView;
use crate::domain::ids::ContactId;
use crate::domain::{Error, Portal, sessions};

fn line(view: &GroupView) -> Value {
    context! {
        url => format!("/contacts/groups/{}", view.id),
        write_url => with_query("/compose", &[("to", &view.group.members_text())]),
        name => view.group.name.as_str(),
        names => view.names.join(", "),
        count => view.group.members.len(),
    }
}

/// `GET /contacts/groups`.
#[handler]
pub async fn list(signed: Signed) -> Result<Response> {
    let member = signed.member.clone();
    let groups = signed.web().portal.run(move |portal| portal.groups(&member)).await?;
    let groups: Value = groups.iter().map(line).collect();
    signed.page("pages/groups.html", context! { page => "contacts", tab => "groups", groups })
}

fn page_of(view: Option<&GroupView>) -> Value {
    context! {
        page => "contacts",
        group => view.map(line),
        limits => context! { name => TITLE_CHARS_MAX, members => GROUP_MEMBERS_MAX },
        form => context! {
            name => view.map(|view| view.group.name.clone()).unwrap_or_default(),
            members => view.map(|view| view.group.members_text()).unwrap_or_default(),
        },
    }
}

/// The group, if one is meant; without one, whether the person has groups at all.
fn find(portal: &Portal, member: &sessions::Member, id: Option<ContactId>) -> Result<Option<GroupView>, Error> {
    match id {
        Some(id) => portal.group(member, id).map(Some),
        None => portal.groups(member).map(|_| None),
    }
}

async fn show(signed: &Signed, id: Option<ContactId>) -> Result<Response> {
    let member = signed.member.clone();
    let view = signed.web().portal.run(move |portal| find(portal, &member, id)).await?;
    signed.page("pages/group_edit.html", page_of(view.as_ref()))
}

/// `GET /contacts/groups/new`.
#[handler]
pub async fn begin(signed: Signed) -> Result<Response> {
    show(&signed, None).await
}

/// `GET /contacts/groups/{id}`.
#[handler]
pub async fn edit(signed: Signed, Path(id): Path<String>) -> Result<Response> {
    show(&signed, Some(id.parse()?)).await
}

async fn save(signed: &Signed, form: &Form, id: Option<ContactId>) -> Result<Response> {
    let member = signed.member.clone();
    let (name, members) = (form.get("name").to_owned(), form.get("members").to_owned());
    let outcome = signed.web().portal.run(move |portal| {
        let view = find(portal, &member, id)?;
        Ok((portal.save_group(&member, id, &name, &members), view))
    });
    match outcome.await? {
        (Ok(()), _) => {
            signed.flash(FlashKind::Ok, "The group is saved.");
            Ok(signed.go("/contacts/groups"))
        }
        (Err(error), view) => signed.refill("pages/group_edit.html", page_of(view.as_ref()), form, error),
    }
}

/// `POST /contacts/groups`: a new one.
#[handler]
pub async fn create(signed: Signed, form: Form) -> Result<Response> {
    save(&signed, &form, None).await
}

/// `POST /contacts/groups/{id}`.
#[handler]
pub async fn change(signed: Signed, Path(id): Path<String>, form: Form) -> Result<Response> {
    save(&signed, &form, Some(id.parse()?)).await
}

/// `POST /contacts/groups/{id}/delete`.
#[handler]
pub async fn delete(signed: Signed, Path(id): Path<String>, _form: Form) -> Result<Response> {
    let (member, id) = (signed.member.clone(), id.parse()?);
    signed.web().portal.run(move |portal| portal.delete_group(&member, id)).await?;
    signed.flash(FlashKind::Ok, "The group is deleted. Its members stay in your contacts.");
    Ok(signed.go("/contacts/groups"))
}
