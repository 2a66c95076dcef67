//! The administrator's pages: settings and, on an installation without mail, the outbox.

use minijinja::{Value, context};
use poem::{Response, Result, handler};

use super::body::Form;
use super::guard::Admin;
use super::page::{FlashKind, value};
use super::prose;
use super::when::day_choices;
use crate::crypto::media;
use crate::domain::Error;
use crate::domain::practices::PracticeSettings;
use crate::gateway::mail::Letter;
use crate::words::said::{Said, say};

fn settings_page(name: &str, days: u8, idle: &str) -> Value {
    context! {
        page => "settings",
        tab => "practice",
        form => context! { practice_name => name, idle_minutes => idle },
        expiry_options => value(day_choices(days)),
    }
}

/// `GET /settings/practice`.
#[handler]
pub async fn show_practice(admin: Admin) -> Result<Response> {
    let practice = admin.web().portal.run(|portal| portal.practice()).await?.ok_or(Error::NotFound)?;
    let idle = practice.idle_minutes.to_string();
    admin.page("pages/settings.html", settings_page(&practice.name, practice.expiry_days, &idle))
}

/// `POST /settings/practice`.
#[handler]
pub async fn change_practice(admin: Admin, form: Form) -> Result<Response> {
    let settings = PracticeSettings {
        name: form.get("practice_name").to_owned(),
        expiry_days: form.get("expires").parse().unwrap_or_default(),
        idle_minutes: form.get("idle_minutes").trim().parse().unwrap_or_default(),
    };
    let (proof, days) = (admin.admin.clone(), settings.expiry_days);
    match admin.web().portal.run(move |portal| portal.change_practice(&proof, settings)).await {
        Ok(()) => {
            admin.flash(FlashKind::Ok, "The settings are saved.");
            Ok(admin.go("/settings/practice"))
        }
        Err(error) => {
            let page = settings_page(form.get("practice_name"), days, form.get("idle_minutes"));
            admin.refill("pages/settings.html", page, &form, error)
        }
    }
}

/// `GET /settings/about`: how this installation stands.
#[handler]
pub async fn about(admin: Admin) -> Result<Response> {
    let data = admin.web().config.data.clone();
    let (overview, media) = admin
        .web()
        .portal
        .run(move |portal| Ok((portal.overview()?, media::inspect(&data).map_err(Error::internal)?)))
        .await?;
    let config = &admin.web().config;
    let mail = match &config.smtp {
        Some(smtp) => say!("Notices go to the mail server {host}.", host = &smtp.host),
        None if admin.me_signed().has_outbox => say!("No mail server is configured: notices stand on the outbox page."),
        None => say!(
            "No mail server is configured: nobody is told of their messages. Add an [smtp] section to the \
             configuration file."
        ),
    };
    let clock = overview.clock_jump.map(|jump| {
        say!(
            "The clock of this server has jumped by {hours} hours. Messages that are due stay hidden; they are \
             destroyed once the clock is right, or after a day.",
            hours = jump / crate::domain::portal::HOUR
        )
    });
    let context = context! {
        page => "settings",
        tab => "about",
        version => env!("CARGO_PKG_VERSION"),
        data_dir => config.data.display().to_string(),
        filesystem => context! { kind => media.kind, erases => media.erases, text => Said::kept(media.text) },
        mail => context! {
            configured => config.smtp.is_some(), text => mail, waiting => overview.letters_waiting,
        },
        public_url => config.public_url.to_string(),
        counts => context! { people => overview.people, messages => overview.messages },
        clock,
    };
    admin.page("pages/settings_about.html", context)
}

/// `GET /outbox`: the letters that would have been sent.
#[handler]
pub async fn outbox(admin: Admin) -> Result<Response> {
    let proof = admin.admin.clone();
    let letters = admin.web().portal.run(move |portal| portal.outbox(&proof)).await?;
    let calendar = admin.calendar();
    let mut notices = Vec::new();
    for letter in letters {
        let created = letter.created;
        let letter: Letter = crate::web::letters::fill(letter, admin.practice());
        let rendered = admin.web().postman.render(&letter).map_err(Error::internal)?;
        notices.push(context! {
            to => letter.to, subject => rendered.subject, text_html => prose::to_html(&rendered.text),
            date => value(calendar.when(created)), state => say!("Kept here"),
        });
    }
    admin.page("pages/outbox.html", context! { page => "outbox", notices })
}
