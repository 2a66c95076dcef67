//! One's own profile: name, phones, time zone, signature, default expiry, password, sessions, key.

use minijinja::{Value, context};
use poem::http::header;
use poem::{IntoResponse, Response, Result, handler};
use secrecy::SecretString;

use super::body::Form;
use super::guard::Signed;
use super::page::{FlashKind, value};
use super::when::{Calendar, Choice, day_choices, day_count};
use crate::domain::Error;
use crate::domain::accounts::{Account, Details, Profile};
use crate::domain::sessions::SessionView;
use crate::words::said::{Said, say};

/// Everything that the page shows.
struct Sheet {
    account: Account,
    sessions: Vec<SessionView>,
    practice_days: u8,
}

async fn sheet(signed: &Signed) -> Result<Sheet, Error> {
    let member = signed.member.clone();
    let portal = &signed.web().portal;
    let (account, practice) = portal.run(move |portal| Ok((portal.own_account(&member)?, portal.practice()?))).await?;
    let practice_days = practice.map(|practice| practice.expiry_days).unwrap_or_default();
    Ok(Sheet { account, sessions: portal.sessions_of(&signed.member), practice_days })
}

fn page_of(signed: &Signed, sheet: &Sheet) -> Value {
    let (account, calendar) = (&sheet.account, signed.calendar());
    let practice = Choice {
        value: String::new(),
        text: say!("As the practice has it: {days}", days = day_count(sheet.practice_days)),
        selected: false,
    };
    context! {
        page => "profile",
        form => context! {
            first_name => account.first_name.as_str(), last_name => account.last_name.as_str(),
            office_phone => account.office_phone.as_str(), cell_phone => account.cell_phone.as_str(),
            time_zone => account.time_zone.as_str(), signature => account.signature.as_str(),
            expires => account.expiry_days.map(|days| days.to_string()).unwrap_or_default(),
        },
        zones => zones(),
        expiry_options => value(std::iter::once(practice).chain(day_choices(0)).collect::<Vec<_>>()),
        sessions => sheet.sessions.iter().map(|session| session_line(session, &calendar)).collect::<Value>(),
    }
}

/// Every IANA time zone that the program knows, the usual ones of the form "Area/Place".
fn zones() -> Vec<String> {
    let mut zones: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    zones.retain(|zone| {
        zone == "UTC" || (zone.contains('/') && !zone.starts_with("Etc/") && !zone.starts_with("posix"))
    });
    zones
}

fn session_line(session: &SessionView, calendar: &Calendar) -> Value {
    context! {
        agent => browser(&session.agent),
        current => session.current,
        started => value(calendar.when(session.started)),
        seen => value(calendar.when(session.seen)),
    }
}

/// A browser and its system, from what it calls itself: "Firefox on Linux".
fn browser(agent: &str) -> Said {
    let first = |known: &[(&'static str, &'static str)], other: &'static str| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map_or(other, |(_, name)| name)
    };
    let name = first(
        &[("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")],
        "A browser",
    );
    let systems = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ];
    match first(&systems, "") {
        "" => Said::from(name),
        system => say!("{browser} on {system}", browser = Said::from(name), system = system),
    }
}

/// `GET /profile`.
#[handler]
pub async fn show(signed: Signed) -> Result<Response> {
    let sheet = sheet(&signed).await?;
    signed.page("pages/profile.html", page_of(&signed, &sheet))
}

async fn again(signed: &Signed, form: &Form, error: Error) -> Result<Response> {
    if matches!(error, Error::Denied) {
        // Wrong passwords have locked the account, and its sessions have ended.
        return Ok(signed.go("/sign-in?locked=1"));
    }
    let sheet = sheet(signed).await?;
    let page = page_of(signed, &sheet);
    // The page has several forms: the one that was sent is filled in again, the others stand as they are.
    let Error::Invalid { field, message } = error else { return Err(error.into()) };
    let kept = Value::from_pairs(form.kept());
    let stored = page.get_attr("form").unwrap_or_default();
    let filled = context! { ..kept, ..stored };
    let errors = Value::from_pairs([(field, Value::from(message))]);
    let mut response = signed.page("pages/profile.html", context! { errors, form => filled, ..page })?;
    response.set_status(poem::http::StatusCode::UNPROCESSABLE_ENTITY);
    Ok(response)
}

/// `POST /profile`.
#[handler]
pub async fn change(signed: Signed, form: Form) -> Result<Response> {
    let expires = form.get("expires");
    let profile = Profile {
        details: Details {
            first_name: form.get("first_name").to_owned(),
            last_name: form.get("last_name").to_owned(),
            office_phone: form.get("office_phone").to_owned(),
            cell_phone: form.get("cell_phone").to_owned(),
        },
        time_zone: form.get("time_zone").to_owned(),
        signature: form.get("signature").to_owned(),
        expiry_days: if expires.is_empty() { None } else { Some(expires.parse().unwrap_or_default()) },
    };
    let member = signed.member.clone();
    match signed.web().portal.run(move |portal| portal.change_profile(&member, profile)).await {
        Ok(()) => {
            signed.flash(FlashKind::Ok, "Your profile is saved.");
            Ok(signed.go("/profile"))
        }
        Err(error) => again(&signed, &form, error).await,
    }
}

/// `POST /profile/password`.
#[handler]
pub async fn change_password(signed: Signed, form: Form) -> Result<Response> {
    signed.web().limits.sign_in_account.check(signed.member.account())?;
    let (current, new) = (SecretString::from(form.get("current_password")), SecretString::from(form.get("password")));
    let member = signed.member.clone();
    match signed.web().portal.run(move |portal| portal.change_password(&member, &current, &new)).await {
        Ok(()) => {
            signed.flash(FlashKind::Ok, "Your password is changed. Everywhere else you are signed out.");
            Ok(signed.go("/profile"))
        }
        Err(error) => again(&signed, &form, error).await,
    }
}

/// `POST /profile/sessions/end-others`.
#[handler]
pub async fn end_others(signed: Signed, _form: Form) -> Result<Response> {
    let member = signed.member.clone();
    signed.web().portal.run(move |portal| portal.end_other_sessions(&member)).await?;
    signed.flash(FlashKind::Ok, "Everywhere else you are signed out.");
    Ok(signed.go("/profile"))
}

/// `POST /profile/key`: one's own key as a file for the `age` command.
#[handler]
pub async fn export_key(signed: Signed, form: Form) -> Result<Response> {
    signed.web().limits.sign_in_account.check(signed.member.account())?;
    let (member, current) = (signed.member.clone(), SecretString::from(form.get("current_password")));
    match signed.web().portal.run(move |portal| portal.export_key(&member, &current)).await {
        Ok(key) => Ok(key
            .with_content_type("text/plain; charset=utf-8")
            .with_header(header::CONTENT_DISPOSITION, "attachment; filename=\"sealpost-key.txt\"")
            .into_response()),
        Err(Error::Invalid { message, .. }) => {
            again(&signed, &form, Error::Invalid { field: "key_password", message }).await
        }
        Err(error) => again(&signed, &form, error).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_name_them() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(browser(chrome).to_string(), "Chrome on Linux");
        assert_eq!(
            browser("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604.1").to_string(),
            "Safari on iPhone"
        );
        assert_eq!(browser("").to_string(), "A browser");
    }

    #[test]
    fn the_zones_are_those_of_the_world() {
        let zones = zones();
        assert!(
            ["Europe/Berlin", "America/New_York", "UTC"].iter().all(|zone| zones.iter().any(|known| known == zone))
        );
    }
}
