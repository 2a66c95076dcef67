//! Practices: the host practice and its settings.

use serde::{Deserialize, Serialize};

use super::audit::{self, Event};
use super::fields;
use super::ids::PracticeId;
use super::portal::{Error, Portal};
use super::sessions::Admin;
use crate::crypto::identity::MailboxPublic;
use crate::store::tables::{META, PRACTICES};
use crate::store::{Record, Table, Tx, WriteTx};
use crate::words::said::say;

/// Key of the host practice's identifier in the meta table.
const HOST: &[u8] = b"host practice";
/// Longest name of a practice, in characters.
pub const PRACTICE_CHARS_MAX: usize = 120;
/// Shortest and longest idle time before a session ends, and what it is at first, in minutes.
pub const IDLE_MINUTES: (u8, u8, u8) = (5, 60, 15);
/// A practice and its settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Practice {
    /// Its name.
    pub name: String,
    /// What every account's bundle is also wrapped to.
    pub recovery: MailboxPublic,
    /// Default life of a message, in days.
    pub expiry_days: u8,
    /// Minutes without a request that end a session.
    pub idle_minutes: u8,
    /// Whether three words of the recovery kit have been typed back.
    pub kit_confirmed: bool,
}

impl Record for Practice {
    const TABLE: Table = PRACTICES;
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize)]
struct HostPractice {
    id: PracticeId,
}

impl Record for HostPractice {
    const TABLE: Table = META;
    const VERSION: u8 = 1;
}

/// Identifier of the host practice; none before set-up.
pub(super) fn host_id(tx: &impl Tx) -> Result<Option<PracticeId>, Error> {
    Ok(tx.record::<HostPractice>(HOST)?.map(|row| row.id))
}

/// The host practice; none before set-up.
pub(super) fn host(tx: &impl Tx) -> Result<Option<Practice>, Error> {
    match host_id(tx)? {
        Some(id) => Ok(tx.record::<Practice>(id.bytes())?),
        None => Ok(None),
    }
}

/// Writes a practice and makes it the host practice.
pub(super) fn found(tx: &mut WriteTx<'_>, id: PracticeId, practice: &Practice) -> Result<(), Error> {
    tx.put_record(id.bytes(), practice)?;
    Ok(tx.put_record(HOST, &HostPractice { id })?)
}

/// Changes the host practice.
pub(super) fn change_host(tx: &mut WriteTx<'_>, change: impl FnOnce(&mut Practice)) -> Result<(), Error> {
    let id = host_id(tx)?.ok_or(Error::NotFound)?;
    let mut practice = tx.record::<Practice>(id.bytes())?.ok_or(Error::NotFound)?;
    change(&mut practice);
    Ok(tx.put_record(id.bytes(), &practice)?)
}

/// The settings form.
#[derive(Clone, Debug)]
pub struct PracticeSettings {
    /// Name of the practice.
    pub name: String,
    /// Default life of a message, in days.
    pub expiry_days: u8,
    /// Minutes without a request that end a session.
    pub idle_minutes: u8,
}

impl Portal {
    /// The host practice; none before set-up.
    pub fn practice(&self) -> Result<Option<Practice>, Error> {
        self.store.read(|tx| host(tx))
    }

    /// Changes the practice's settings.
    pub fn change_practice(&self, admin: &Admin, form: PracticeSettings) -> Result<(), Error> {
        let missing = "Please enter the name of the practice.";
        let name = fields::required("practice_name", &form.name, PRACTICE_CHARS_MAX, missing)?;
        let days = fields::expiry_days("expires", form.expiry_days)?;
        let (least, most, _) = IDLE_MINUTES;
        if !(least..=most).contains(&form.idle_minutes) {
            return Err(Error::invalid(
                "idle_minutes",
                say!("Choose between {least} and {most} minutes.", least = least, most = most),
            ));
        }
        let (id, now, audit) = (admin.member().account(), self.now(), self.host.audit_key());
        self.store.write(move |tx| {
            let mut changed = Vec::new();
            change_host(tx, |practice| {
                let fields = [
                    ("practice_name", practice.name != name),
                    ("expires", practice.expiry_days != days),
                    ("idle_minutes", practice.idle_minutes != form.idle_minutes),
                ];
                changed.extend(fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name));
                practice.name = name;
                practice.expiry_days = days;
                practice.idle_minutes = form.idle_minutes;
            })?;
            if changed.is_empty() {
                return Ok(());
            }
            audit::note(tx, &audit, now, Some(id), Event::SettingsChanged, changed.join(" "))
        })
    }
}

/// The time zone if it is one, else UTC.
pub(super) fn time_zone_or_utc(name: &str) -> String {
    let known = !name.is_empty() && jiff::tz::TimeZone::get(name).is_ok();
    if known { name.to_owned() } else { "UTC".to_owned() }
}
