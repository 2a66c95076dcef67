//! Contacts as files: looking at one, importing it, exporting.

use minijinja::{Value, context};
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response, Result, handler};

use super::body::{Form, Part};
use super::contacts::card;
use super::guard::{Signed, Upload};
use super::page::FlashKind;
use crate::domain::Error;
use crate::domain::imports::{Format, IMPORT_BYTES_MAX, ImportLine, Imported, Preview};
use crate::words::said::{Said, say};

/// Lines of each kind that the page shows; the others are counted.
const SHOWN_MAX: usize = 200;

fn lines(all: &[ImportLine]) -> Value {
    all.iter().take(SHOWN_MAX).map(|it| context! { line => it.line, ..card(&it.contact) }).collect()
}

fn left_out(preview: &Preview) -> Value {
    let said = |it: &crate::domain::imports::LeftOut| context! { line => it.line, why => it.why.clone() };
    preview.left_out.iter().take(SHOWN_MAX).map(said).collect()
}

/// "1 new", "12 new".
fn sum(preview: &Preview) -> Said {
    let lines = match preview.left_out.len() {
        1 => say!("1 line left out"),
        n => say!("{n} lines left out", n = n),
    };
    say!(
        "{new} new, {changed} changed, {lines}",
        new = preview.new.len(),
        changed = preview.changed.len(),
        lines = lines
    )
}

fn preview_page(signed: &Signed, preview: &Preview) -> Result<Response> {
    let more = |count: usize| count.saturating_sub(SHOWN_MAX);
    signed.page(
        "pages/contacts_preview.html",
        context! {
            page => "contacts",
            import => preview.id.to_string(),
            sum => sum(preview),
            brings => !preview.new.is_empty() || !preview.changed.is_empty(),
            new => lines(&preview.new), more_new => more(preview.new.len()),
            changed => lines(&preview.changed), more_changed => more(preview.changed.len()),
            left_out => left_out(preview), more_left_out => more(preview.left_out.len()),
            same => preview.same,
        },
    )
}

fn ask(signed: &Signed, error: Option<Error>) -> Result<Response> {
    let own = context! { page => "contacts" };
    match error {
        Some(error) => signed.refill("pages/contacts_import.html", own, &Form::default(), error),
        None => signed.page("pages/contacts_import.html", own),
    }
}

/// `GET /contacts/import`: asks for a file.
#[handler]
pub async fn begin(signed: Signed) -> Result<Response> {
    if !signed.member.can_compose() {
        return Err(Error::NotFound.into());
    }
    ask(&signed, None)
}

/// The bytes of a part, at most a file's; what is too much is read to its end and not kept.
async fn file_of(mut part: Part) -> Result<Result<Vec<u8>, Error>> {
    let mut file = Some(Vec::new());
    while let Some(bytes) = part.chunk().await? {
        file = file.filter(|file: &Vec<u8>| file.len() + bytes.len() <= IMPORT_BYTES_MAX);
        file.iter_mut().for_each(|file| file.extend_from_slice(&bytes));
    }
    Ok(match file {
        Some(file) if file.is_empty() => Err(Error::invalid("file", "Choose a file with contacts in it.")),
        Some(file) => Ok(file),
        None => Err(Error::invalid("file", "This file is too large: 5 MB at most.")),
    })
}

/// `POST /contacts/import`: looks at a file, and shows what would become of it.
#[handler]
pub async fn look(upload: Upload) -> Result<Response> {
    let Upload { signed, mut parts } = upload;
    if !signed.member.can_compose() {
        return Err(Error::NotFound.into());
    }
    let mut file = Err(Error::invalid("file", "Choose a file with contacts in it."));
    while let Some(part) = parts.next().await? {
        let is_meant = part.name() == "file" && part.file_name().is_some();
        let bytes = file_of(part).await?;
        if is_meant {
            file = bytes;
        }
    }
    let member = signed.member.clone();
    let looked = match file {
        Ok(file) => signed.web().portal.run(move |portal| portal.look_at_import(&member, &file)).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(preview) => preview_page(&signed, &preview),
        Err(error) => ask(&signed, Some(error)),
    }
}

/// `POST /contacts/import/confirm`: imports what was looked at.
#[handler]
pub async fn confirm(signed: Signed, form: Form) -> Result<Response> {
    let (member, id) = (signed.member.clone(), form.get("import").parse()?);
    match signed.web().portal.run(move |portal| portal.import(&member, id)).await {
        Ok(Imported::Done(new, changed)) => {
            let done = say!("Imported: {new} new and {changed} changed contacts.", new = new, changed = changed);
            signed.flash(FlashKind::Ok, done);
            Ok(signed.go("/contacts"))
        }
        Ok(Imported::Changed(preview)) => {
            signed.flash(FlashKind::Error, "Your contacts were changed meanwhile. Please look at this again.");
            let mut response = preview_page(&signed, &preview)?;
            response.set_status(StatusCode::CONFLICT);
            Ok(response)
        }
        Err(Error::Expired) => {
            signed.flash(
                FlashKind::Error,
                "The file is not waiting any more, and nothing was imported. Choose it again.",
            );
            Ok(signed.go("/contacts/import"))
        }
        Err(error @ Error::Invalid { .. }) => ask(&signed, Some(error)),
        Err(error) => Err(error.into()),
    }
}

async fn export(signed: &Signed, format: Format, kind: &str, name: &str) -> Result<Response> {
    let member = signed.member.clone();
    let file = signed.web().portal.run(move |portal| portal.export_contacts(&member, format)).await?;
    let as_file = format!("attachment; filename=\"{name}\"");
    Ok(file.with_content_type(kind).with_header(header::CONTENT_DISPOSITION, as_file).into_response())
}

/// `GET /contacts/export.csv`.
#[handler]
pub async fn as_csv(signed: Signed) -> Result<Response> {
    export(&signed, Format::Csv, "text/csv; charset=utf-8", "contacts.csv").await
}

/// `GET /contacts/export.vcf`.
#[handler]
pub async fn as_vcards(signed: Signed) -> Result<Response> {
    export(&signed, Format::VCard, "text/vcard; charset=utf-8", "contacts.vcf").await
}
