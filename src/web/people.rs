//! The people page of User Managers.

use minijinja::{Value, context};
use poem::web::Path;
use poem::{Response, Result, handler};

use super::body::Form;
use super::guard::Manager;
use super::page::{FlashKind, value};
use super::thread::code_of;
use super::when::{Calendar, Choice};
use crate::domain::accounts::{Account, Details, Plan, Relationship, Status};
use crate::domain::ids::AccountId;
use crate::domain::people::{Correction, PersonView};
use crate::domain::{Error, Portal, sessions};
use crate::words::said::{Said, say};

fn status(account: &Account) -> (Said, &'static str) {
    match account.status {
        Status::Active if account.is_locked() => (say!("Locked"), "bad"),
        Status::Active => (say!("Active"), "ok"),
        Status::Invited => (say!("Invited"), "wait"),
        Status::Disabled => (say!("Disabled"), "bad"),
    }
}

fn relationship(account: &Account) -> Said {
    account.relationship.map_or(say!("Administrator"), |relationship| relationship.words().into())
}

fn line(view: &PersonView, calendar: &Calendar, manager: &Manager) -> Value {
    let account = &view.account;
    let (me, may_edit) = (manager.member.account(), !account.admin || manager.member.admin().is_ok());
    let (status, status_kind) = status(account);
    let url = format!("/people/{}", account.id);
    let act = |there: bool, what: &str| there.then(|| format!("{url}/{what}"));
    let name = account.name();
    context! {
        id => account.id.to_string(),
        initials => sessions::initials(&name),
        name => (name != account.email.as_str()).then_some(name),
        email => account.email.as_str(),
        relationship => relationship(account),
        status,
        status_kind,
        phones => account.phones().to_string(),
        invited_by => view.invited_by.as_deref(),
        last_seen => value(account.last_seen.map(|at| calendar.when(at))),
        code => view.code.as_ref().map(|code| code_of(code, calendar)),
        notice_status => view.asks.then(|| say!("Asks for a new link")),
        edit_url => may_edit.then_some(url.as_str()),
        resend_url => act(account.status == Status::Invited, "resend"),
        unlock_url => act(account.is_locked(), "unlock"),
        enable_url => act(account.status == Status::Disabled, "enable"),
        disable_url => act(account.status != Status::Disabled && account.id != me && !account.admin, "disable"),
    }
}

/// `GET /people`.
#[handler]
pub async fn list(manager: Manager) -> Result<Response> {
    let proof = manager.manager.clone();
    let people = manager.web().portal.run(move |portal| portal.people(&proof)).await?;
    let calendar = manager.calendar();
    let people: Value = people.iter().map(|view| line(view, &calendar, &manager)).collect();
    manager.page("pages/people.html", context! { page => "people", people })
}

fn edit_page(account: &Account) -> Value {
    let chosen = account.relationship;
    let relationships = Relationship::ALL.map(|(one, value, text)| Choice {
        value: value.to_owned(),
        text: text.into(),
        selected: chosen == Some(one),
    });
    let tick = |on: bool| if on { "1" } else { "" };
    context! {
        page => "people",
        person => context! {
            name => account.name(), email => account.email.as_str(), status => status(account).0,
            invited => account.status == Status::Invited, is_admin => account.admin,
        },
        form => context! {
            first_name => account.first_name.as_str(), last_name => account.last_name.as_str(),
            email => account.email.as_str(), office_phone => account.office_phone.as_str(),
            cell_phone => account.cell_phone.as_str(), relationship => chosen.map(Relationship::value).unwrap_or_default(),
            full_plan => tick(account.plan == Plan::Full), manager => tick(account.manager),
        },
        relationships => value(relationships),
    }
}

/// `GET /people/{id}`: the form that corrects a person.
#[handler]
pub async fn edit(manager: Manager, Path(id): Path<String>) -> Result<Response> {
    let (proof, id) = (manager.manager.clone(), id.parse()?);
    let account = manager.web().portal.run(move |portal| portal.person(&proof, id)).await?;
    manager.page("pages/person_edit.html", edit_page(&account))
}

/// `POST /people/{id}`.
#[handler]
pub async fn correct(manager: Manager, Path(id): Path<String>, form: Form) -> Result<Response> {
    let (proof, id) = (manager.manager.clone(), id.parse::<AccountId>()?);
    let correction = Correction {
        details: Details {
            first_name: form.get("first_name").to_owned(),
            last_name: form.get("last_name").to_owned(),
            office_phone: form.get("office_phone").to_owned(),
            cell_phone: form.get("cell_phone").to_owned(),
        },
        email: form.get("email").to_owned(),
        relationship: form.get("relationship").to_owned(),
        full_plan: !form.get("full_plan").is_empty(),
        manager: !form.get("manager").is_empty(),
    };
    let done = manager.web().portal.run(move |portal| {
        let account = portal.person(&proof, id)?;
        Ok((portal.correct(&proof, id, correction), account))
    });
    match done.await? {
        (Ok(()), account) => {
            manager.flash(FlashKind::Ok, say!("{name} is corrected.", name = account.name()));
            Ok(manager.go("/people"))
        }
        (Err(error), account) => manager.refill("pages/person_edit.html", edit_page(&account), &form, error),
    }
}

async fn act<F>(manager: &Manager, id: &str, done: &'static str, act: F) -> Result<Response>
where
    F: FnOnce(&Portal, &sessions::Manager, AccountId) -> Result<(), Error> + Send + 'static,
{
    let (proof, id) = (manager.manager.clone(), id.parse::<AccountId>()?);
    match manager.web().portal.run(move |portal| act(portal, &proof, id)).await {
        Ok(()) => manager.flash(FlashKind::Ok, done),
        Err(Error::Invalid { message, .. }) => manager.flash(FlashKind::Error, message),
        Err(error) => return Err(error.into()),
    }
    Ok(manager.go("/people"))
}

/// `POST /people/{id}/resend`: invites again.
#[handler]
pub async fn resend(manager: Manager, Path(id): Path<String>, _form: Form) -> Result<Response> {
    act(&manager, &id, "The invitation is sent again.", |portal, manager, id| portal.resend_invitation(manager, id))
        .await
}

/// `POST /people/{id}/unlock`: after wrong passwords.
#[handler]
pub async fn unlock(manager: Manager, Path(id): Path<String>, _form: Form) -> Result<Response> {
    act(&manager, &id, "The account is unlocked.", |portal, manager, id| portal.unlock(manager, id)).await
}

/// `POST /people/{id}/disable`.
#[handler]
pub async fn disable(manager: Manager, Path(id): Path<String>, _form: Form) -> Result<Response> {
    act(&manager, &id, "The account is disabled.", |portal, manager, id| portal.disable(manager, id)).await
}

/// `POST /people/{id}/enable`.
#[handler]
pub async fn enable(manager: Manager, Path(id): Path<String>, _form: Form) -> Result<Response> {
    act(&manager, &id, "The account is enabled again.", |portal, manager, id| portal.enable(manager, id)).await
}
