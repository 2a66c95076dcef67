//! Set-up: the first start's one-time link, the practice and its administrator, and the recovery kit.

use minijinja::{Value, context};
use poem::http::header;
use poem::web::Path;
use poem::{Response, Result, handler};
use secrecy::SecretString;

use super::body::Form;
use super::cookies::Cookie;
use super::guard::{Admin, Anyone, Asker};
use super::page::{FlashKind, value};
use super::when::{Calendar, day_choices};
use crate::domain::fields::EXPIRY_DAYS_MAX;
use crate::domain::setup::SetUp;
use crate::domain::{Error, Portal};

fn setup_page(token: &str, days: u8) -> Value {
    context! { token, expiry_options => value(day_choices(days)) }
}

/// `GET /setup/{token}`: the form, as long as nobody has set the installation up.
#[handler]
pub async fn show(anyone: Anyone, Path(token): Path<String>) -> Result<Response> {
    anyone.web().limits.setup.check(anyone.group())?;
    let checked = token.clone();
    match anyone.web().portal.run(move |portal| portal.check_setup(&checked)).await {
        Ok(()) => anyone.page("pages/setup.html", setup_page(&token, EXPIRY_DAYS_MAX)),
        Err(Error::Expired) => anyone.page("pages/setup_done.html", context! {}),
        Err(error) => Err(error.into()),
    }
}

/// `POST /setup`: creates the practice and signs its administrator in.
#[handler]
pub async fn create(anyone: Anyone, form: Form) -> Result<Response> {
    anyone.web().limits.setup.check(anyone.group())?;
    let agent = anyone.agent().to_owned();
    let set_up = SetUp {
        practice_name: form.get("practice_name").to_owned(),
        name: form.get("name").to_owned(),
        email: form.get("email").to_owned(),
        password: SecretString::from(form.get("password")),
        expiry_days: form.get("expires").parse().unwrap_or_default(),
        time_zone: form.get("time_zone").to_owned(),
    };
    let token = form.get("token").to_owned();
    let done = anyone.web().portal.run(move |portal| {
        let (email, password) = (set_up.email.clone(), set_up.password.clone());
        portal.set_up(&token, set_up)?;
        portal.sign_in(&email, &password, &agent)
    });
    match done.await {
        Ok(session) => Ok(signed_in(&anyone, &session, "/setup/kit")),
        Err(Error::Expired) => anyone.page("pages/setup_done.html", context! {}),
        Err(error) => {
            let page = setup_page(form.get("token"), form.get("expires").parse().unwrap_or(EXPIRY_DAYS_MAX));
            anyone.refill("pages/setup.html", page, &form, error)
        }
    }
}

/// Goes on to `path` with a new session's cookie.
pub fn signed_in(asker: &Asker, session: &str, path: &str) -> Response {
    let mut response = asker.go(path);
    if let Some(cookie) = asker.web().cookies.set(Cookie::Session, session, None) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    asker.web().metrics.sign_ins.one();
    response
}

/// `GET /setup/kit`: the recovery kit, to be printed.
#[handler]
pub async fn show_kit(admin: Admin) -> Result<Response> {
    let proof = admin.admin.clone();
    let kit = admin.web().portal.run(move |portal| portal.recovery_kit(&proof)).await?;
    let (me, now) = (admin.me_signed(), admin.web().clock.now());
    let kit = context! {
        words => kit.words().to_vec(),
        age_identity => kit.age_identity().as_str(),
        checksum => kit.checksum(),
        qr_svg => kit.qr_svg().map_err(Error::from)?,
        created => value(Calendar::new(&me.time_zone, now).date(now)),
        practice => admin.practice(),
        email => me.email.as_str(),
    };
    admin.page("pages/kit.html", context! { kit })
}

fn asked(places: &[usize]) -> Value {
    places.iter().map(|n| context! { n, field => format!("word_{n}") }).collect()
}

/// `GET /setup/kit/confirm`: asks three words of the kit back.
#[handler]
pub async fn ask_words(admin: Admin) -> Result<Response> {
    let proof = admin.admin.clone();
    let places = admin.web().portal.run(move |portal| Ok(Portal::words_asked(&portal.recovery_kit(&proof)?))).await?;
    admin.page("pages/kit_confirm.html", context! { asked => asked(&places) })
}

/// `POST /setup/kit`: the three words.
#[handler]
pub async fn kit_confirmed(admin: Admin, form: Form) -> Result<Response> {
    let (proof, typed) = (admin.admin.clone(), form.clone());
    let done = admin.web().portal.run(move |portal| {
        let places = Portal::words_asked(&portal.recovery_kit(&proof)?);
        let words: Vec<_> = places.iter().map(|n| (*n, typed.get(&format!("word_{n}")).to_owned())).collect();
        Ok((portal.confirm_kit(&proof, &words), places))
    });
    match done.await? {
        (Ok(()), _) => {
            admin.flash(FlashKind::Ok, "Your practice is ready. Write your first message.");
            Ok(admin.go("/inbox"))
        }
        (Err(error), places) => {
            admin.refill("pages/kit_confirm.html", context! { asked => asked(&places) }, &form, error)
        }
    }
}
