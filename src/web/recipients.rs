//! The recipients of a form: what is known of the addresses in it, and a row of questions for each new one.

use minijinja::{Value, context};
use poem::web::Query;
use poem::{Response, Result, handler};
use serde::Deserialize;

use super::body::Form;
use super::guard::Signed;
use super::page::{json, value};
use super::when::Choice;
use crate::domain::accounts::Relationship;
use crate::domain::addressing::{AddressView, RECIPIENTS_MAX};
use crate::domain::drafts::{DraftText, Invitee};
use crate::domain::sessions::Member;
use crate::domain::{Error, Portal};

/// The rows of a form, and what they cost to make.
#[derive(Default)]
pub struct Rows {
    /// One for each new address; one without address when there is none.
    rows: Vec<Invitee>,
    /// Addresses that were looked up.
    looked_up: usize,
}

/// What sets the fields of a row apart: nothing for the first, then `-2`, `-3`.
fn suffix(place: usize) -> String {
    if place == 0 { String::new() } else { format!("-{}", place + 1) }
}

/// The rows that a form carries, without those in which nothing stands.
pub fn invitees(form: &Form) -> Vec<Invitee> {
    let row = |place| {
        let field = |name| form.get(&format!("{name}{}", suffix(place))).to_owned();
        Invitee {
            address: field("newcomer"),
            relationship: field("relationship"),
            first_name: field("first_name"),
            last_name: field("last_name"),
            office_phone: field("office_phone"),
            cell_phone: field("cell_phone"),
        }
    };
    (0..RECIPIENTS_MAX).map(row).filter(|row| *row != Invitee::default()).collect()
}

impl Rows {
    /// For the addresses that stand in a text.
    pub fn of(portal: &Portal, member: &Member, text: &DraftText) -> Result<Self, Error> {
        let mut views: Vec<AddressView> = Vec::new();
        for view in [portal.look_up(member, &text.to)?, portal.look_up(member, &text.cc)?].into_iter().flatten() {
            if views.iter().all(|known| known.address != view.address) {
                views.push(view);
            }
        }
        let new: Vec<_> = views.iter().filter(|view| view.valid && !view.known).collect();
        let only = new.len() <= 1;
        let row = |address: &str| {
            let by_name = text.invitees.iter().find(|row| row.address.eq_ignore_ascii_case(address));
            let known = by_name.or_else(|| text.invitees.iter().find(|row| only && row.address.is_empty()));
            Invitee { address: address.to_owned(), ..known.cloned().unwrap_or_default() }
        };
        let rows = if new.is_empty() { vec![row("")] } else { new.iter().map(|view| row(&view.address)).collect() };
        Ok(Self { rows, looked_up: views.len() })
    }

    /// Counts what was looked up against the limit of whoever asked.
    pub fn charge(&self, signed: &Signed) -> Result<(), Error> {
        charge(signed, self.looked_up)
    }

    /// The row to which a refusal belongs, and what the page needs to lead there.
    pub fn context(&self, error: Option<&Error>) -> Value {
        let field = match error {
            Some(Error::Invalid { field, .. }) => Some(*field),
            _ => None,
        };
        let faulty = field.and_then(|field| self.rows.iter().position(|row| row.fault() == Some(field)));
        let is_open = faulty.is_some() || self.rows.iter().any(|row| !row.address.is_empty());
        let row = |(place, row): (usize, &Invitee)| {
            let relationships = Relationship::ALL.map(|(one, value, text)| {
                let selected = row.relationship == one.value();
                Choice { value: value.to_owned(), text: text.into(), selected }
            });
            context! {
                suffix => suffix(place), faulty => faulty == Some(place), relationships => value(relationships),
                address => row.address.as_str(),
                first_name => row.first_name.as_str(), last_name => row.last_name.as_str(),
                office_phone => row.office_phone.as_str(), cell_phone => row.cell_phone.as_str(),
            }
        };
        let leads = faulty.zip(field).map(|(place, field)| (field, format!("{field}{}", suffix(place))));
        context! {
            invitees => self.rows.iter().enumerate().map(row).collect::<Value>(),
            blank => row((0, &Invitee::default())),
            ask_relationship => is_open,
            fault_at => Value::from_pairs(leads),
        }
    }
}

fn charge(signed: &Signed, addresses: usize) -> Result<(), Error> {
    let count = u32::try_from(addresses).unwrap_or(u32::MAX);
    signed.web().limits.recipients.check_times(signed.member.account(), count)
}

/// Addresses that are asked about, or the beginning of a name.
#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    address: String,
    q: Option<String>,
}

/// `GET /recipients?address=`: what the form should know of an address, or of several as they stand in a field.
/// `GET /recipients?q=`: whom a beginning of a name, a practice or an address may mean.
#[handler]
pub async fn look_up(signed: Signed, asked: Query<Asked>) -> Result<Response> {
    if !signed.member.can_compose() {
        return Err(Error::Denied.into());
    }
    let member = signed.member.clone();
    if let Some(text) = asked.0.q {
        signed.web().limits.completion.check(signed.member.account())?;
        return json(&signed.web().portal.run(move |portal| portal.complete(&member, &text)).await?);
    }
    let views = signed.web().portal.run(move |portal| portal.look_up(&member, &asked.0.address)).await?;
    charge(&signed, views.len())?;
    json(&views)
}
