//! Completion: whom somebody may mean who begins to type a name, a practice or an address.

use std::collections::HashSet;

use serde::Serialize;

use super::accounts::{self, Email};
use super::cards::{Contact, Query};
use super::portal::{Error, Portal};
use super::practices;
use super::sessions::Member;

/// Suggestions shown at once.
const SUGGESTIONS_MAX: usize = 8;
/// Longest text that is looked for, in characters; what is longer is no beginning of a name.
const QUERY_CHARS_MAX: usize = 100;

/// Somebody, or a group, to be put into the field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// Name of the person or the group.
    pub name: String,
    /// A person's practice.
    pub practice: String,
    /// The addresses: one, or a group's.
    pub addresses: Vec<String>,
    /// Whether it is a group.
    pub group: bool,
    #[serde(skip)]
    uses: u32,
}

impl Suggestion {
    /// The contact under the address that is meant, else under its first.
    fn of(contact: &Contact, query: &Query, uses: u32) -> Option<Self> {
        let meant = contact.emails.iter().find(|email| query.begins_words_of(email.as_str()));
        let address = meant.or_else(|| contact.emails.first())?;
        let (name, practice) = (contact.name(), contact.practice.clone());
        Some(Self { name, practice, addresses: vec![address.to_string()], group: false, uses })
    }
}

impl Portal {
    /// Whom `text` may mean, most used first: contacts, groups, and the people of one's practice.
    pub fn complete(&self, member: &Member, text: &str) -> Result<Vec<Suggestion>, Error> {
        if text.chars().count() > QUERY_CHARS_MAX {
            return Ok(Vec::new());
        }
        let query = Query::new(text);
        let (shelf, colleagues) = self.store.read(|tx| {
            let shelf = self.shelf(tx, member)?;
            let host = practices::host(tx)?.zip(practices::host_id(tx)?).filter(|_| shelf.shared.is_some());
            let people = host.as_ref().map(|(_, id)| accounts::of_practice(tx, *id)).transpose()?.unwrap_or_default();
            let practice = host.map(|(host, _)| host.name).unwrap_or_default();
            let others = people.iter().filter(|account| account.id != member.account());
            Ok::<_, Error>((shelf, others.map(|account| Contact::of(account, &practice)).collect::<Vec<_>>()))
        })?;
        let mut known: HashSet<&Email> = HashSet::new();
        let mut found = Vec::new();
        let contacts = shelf.contacts.iter().map(|placed| &placed.view.contact);
        for contact in contacts.chain(&colleagues) {
            let is_new = contact.emails.first().is_some_and(|email| !known.contains(email));
            if is_new && contact.is_meant_by(&query) {
                let uses = contact.emails.iter().filter_map(|email| shelf.uses.get(email)).sum();
                found.extend(Suggestion::of(contact, &query, uses));
            }
            known.extend(&contact.emails);
        }
        for group in shelf.groups.iter().map(|placed| &placed.group) {
            if query.begins_words_of(&group.name) {
                let addresses: Vec<String> = group.members.iter().map(Email::to_string).collect();
                let uses = group.members.iter().map(|email| shelf.uses.get(email).copied().unwrap_or_default()).min();
                let (name, practice) = (group.name.clone(), String::new());
                found.push(Suggestion { name, practice, addresses, group: true, uses: uses.unwrap_or_default() });
            }
        }
        found.sort_by_cached_key(|one| (std::cmp::Reverse(one.uses), one.name.to_lowercase(), one.addresses.clone()));
        found.truncate(SUGGESTIONS_MAX);
        Ok(found)
    }
}
