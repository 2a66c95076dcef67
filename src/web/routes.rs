//! Every route on one screen: everything that a stranger can ask.
//!
//! Who may ask stands in the handler's arguments: `Anyone`, `Signed`, `Upload` (signed in, with a multipart form),
//! `Manager`, `Admin`. Whatever changes something is no GET and carries a CSRF token.

use poem::Route;
use poem::http::Method;

use super::methods::{Methods, get, post};
use super::{
    admin, assets, compose, contacts, events, files, groups, imports, mailbox, marks, open, people, profile,
    recipients, register, search, setup, sign_in, thread, uploads,
};

/// All of them.
pub fn all() -> Route {
    Route::new()
        // Anyone
        .at("/", get(open::home))
        .at("/terms", get(open::terms))
        .at("/healthz", get(open::health))
        .at("/metrics", get(open::metrics))
        .at("/assets/:version/*path", get(assets::serve))
        .at("/setup", post(setup::create))
        .at("/setup/:token", get(setup::show))
        .at("/sign-in", get(sign_in::show).post(sign_in::enter))
        .at("/password-strength", post(sign_in::strength))
        .at("/register/:token", get(register::arrive))
        .at("/register/details", get(register::ask_details).post(register::details_given))
        .at("/register/code", get(register::ask_code).post(register::code_given))
        .at("/register/resend", post(register::resend))
        .at("/register/account", get(register::ask_account).post(register::register))
        .at("/register/ask", post(register::ask))
        // Signed
        .at("/sign-out", post(sign_in::leave))
        .at("/still-here", get(sign_in::still_here))
        .at("/events", get(events::listen))
        .at("/inbox", get(mailbox::inbox))
        .at("/sent", get(mailbox::sent))
        .at("/drafts", get(mailbox::drafts))
        .at("/archive", get(mailbox::archive))
        .at("/threads", post(marks::submit))
        .at("/search", get(search::show))
        .at("/compose", get(compose::write).post(compose::submit))
        .at("/recipients", get(recipients::look_up))
        .at("/contacts", get(contacts::list).post(contacts::create))
        .at("/contacts/new", get(contacts::begin))
        .at("/contacts/import", get(imports::begin).post(imports::look))
        .at("/contacts/import/confirm", post(imports::confirm))
        .at("/contacts/export.csv", get(imports::as_csv))
        .at("/contacts/export.vcf", get(imports::as_vcards))
        .at("/contacts/groups", get(groups::list).post(groups::create))
        .at("/contacts/groups/new", get(groups::begin))
        .at("/contacts/groups/:group", get(groups::edit).post(groups::change))
        .at("/contacts/groups/:group/delete", post(groups::delete))
        .at("/contacts/:id", get(contacts::edit).post(contacts::change))
        .at("/contacts/:id/delete", post(contacts::delete))
        .at("/contacts/:id/merge", post(contacts::merge))
        .at("/drafts/:id", post(compose::autosave))
        .at("/drafts/:id/files", post(uploads::create))
        .at("/drafts/:id/files/:file", Methods::default().on(Method::DELETE, compose::remove_file))
        .at("/uploads", Methods::default().on(Method::OPTIONS, uploads::abilities))
        .at("/uploads/:id", uploads())
        .at("/threads/:id", get(thread::show))
        .at("/threads/:id/print", get(thread::print))
        .at("/messages/:id/expiry", post(thread::expiry))
        .at("/messages/:id/recall", post(thread::recall))
        .at("/messages/:id/delete", post(thread::delete))
        .at("/messages/:id/notices/:account", post(thread::resend))
        .at("/messages/:id/files/:file", get(files::one))
        .at("/messages/:id/files.zip", get(files::all))
        .at("/messages/:id/export", get(files::export))
        .at("/profile", get(profile::show).post(profile::change))
        .at("/profile/password", post(profile::change_password))
        .at("/profile/sessions/end-others", post(profile::end_others))
        .at("/profile/key", post(profile::export_key))
        // Manager
        .at("/people", get(people::list))
        .at("/people/:id", get(people::edit).post(people::correct))
        .at("/people/:id/resend", post(people::resend))
        .at("/people/:id/unlock", post(people::unlock))
        .at("/people/:id/disable", post(people::disable))
        .at("/people/:id/enable", post(people::enable))
        // Admin
        .at("/setup/kit", get(setup::show_kit).post(setup::kit_confirmed))
        .at("/setup/kit/confirm", get(setup::ask_words))
        .at("/settings/practice", get(admin::show_practice).post(admin::change_practice))
        .at("/settings/about", get(admin::about))
        .at("/outbox", get(admin::outbox))
}

fn uploads() -> Methods {
    Methods::default()
        .on(Method::HEAD, uploads::state)
        .on(Method::PATCH, uploads::append)
        .on(Method::DELETE, uploads::abort)
}
