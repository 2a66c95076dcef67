//! The audit log as it is read: a line for each entry, with user names in place of the numbers of accounts.

use jiff::Timestamp as Instant;

use super::accounts::Account;
use super::audit::Entry;
use super::ids::AccountId;
use super::portal::{Error, Portal};
use crate::store::Tx;

impl Portal {
    /// Shows every entry, oldest first: when, who, what, on what. A dash stands for nobody: the server itself, or
    /// somebody who was not signed in.
    pub fn each_audit_line(&self, mut see: impl FnMut(String)) -> Result<(), Error> {
        self.store.read(|tx| {
            let mut number = 0_u64;
            while let Some(entry) = tx.record::<Entry>(&number.to_be_bytes())? {
                see(line(tx, &entry)?);
                number += 1;
            }
            Ok(())
        })
    }
}

fn line(tx: &impl Tx, entry: &Entry) -> Result<String, Error> {
    let user_name = |id: AccountId| Ok::<_, Error>(tx.record::<Account>(id.bytes())?.map(|found| found.email));
    let actor = entry.actor.map(user_name).transpose()?.flatten();
    let actor = actor.as_ref().map_or("-", |email| email.as_str());
    let (first, rest) = entry.subject.split_once(' ').unwrap_or((&entry.subject, ""));
    let subject = first.parse().ok().map(user_name).transpose()?.flatten();
    let subject = subject.as_ref().map_or(first, |email| email.as_str());
    let at = Instant::from_millisecond(entry.at.0).map_err(Error::internal)?;
    Ok(format!("{at} {actor} {:?} {subject} {rest}", entry.event).trim_end().to_owned())
}
