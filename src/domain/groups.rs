//! Groups of contacts: a name for several addresses that are written to together. Each is its owner's alone.

use super::books::Edit;
use super::cards::{Card, GROUPS_MAX, Group};
use super::contacts::{PlacedGroup, Shelf};
use super::ids::ContactId;
use super::portal::{Error, Portal};
use super::sessions::Member;
use crate::words::said::say;

/// A group as its owner sees it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Identifier.
    pub id: ContactId,
    /// Name and addresses.
    pub group: Group,
    /// Names of its members, in the same order; the address of whoever is no contact.
    pub names: Vec<String>,
}

impl GroupView {
    fn of(shelf: &Shelf, placed: &PlacedGroup) -> Self {
        let contacts = || shelf.contacts.iter().map(|placed| &placed.view.contact);
        let name = |email| contacts().find(|it| it.emails.contains(email)).map_or(email.to_string(), |it| it.name());
        let names = placed.group.members.iter().map(name).collect();
        Self { id: placed.id, group: placed.group.clone(), names }
    }
}

fn find(shelf: &Shelf, id: ContactId) -> Result<&PlacedGroup, Error> {
    shelf.groups.iter().find(|group| group.id == id).ok_or(Error::NotFound)
}

impl Portal {
    /// One's groups, by name.
    pub fn groups(&self, member: &Member) -> Result<Vec<GroupView>, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let mut groups: Vec<GroupView> = shelf.groups.iter().map(|placed| GroupView::of(&shelf, placed)).collect();
        groups.sort_by_cached_key(|view| view.group.name.to_lowercase());
        Ok(groups)
    }

    /// One group.
    pub fn group(&self, member: &Member, id: ContactId) -> Result<GroupView, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        Ok(GroupView::of(&shelf, find(&shelf, id)?))
    }

    /// Writes a group, new or in place of what it was.
    pub fn save_group(&self, member: &Member, id: Option<ContactId>, name: &str, members: &str) -> Result<(), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let over = id.map(|id| find(&shelf, id)).transpose()?.map(|placed| placed.slot);
        let group = Group::checked(name, members)?;
        if over.is_none() && shelf.groups.len() >= GROUPS_MAX {
            return Err(Error::invalid("form", say!("There can be {most} groups at most.", most = GROUPS_MAX)));
        }
        let is_taken = |placed: &PlacedGroup| {
            Some(placed.id) != id && placed.group.name.to_lowercase() == group.name.to_lowercase()
        };
        if shelf.groups.iter().any(is_taken) {
            return Err(Error::invalid("name", "There is a group of this name already."));
        }
        let mut edit = Edit::default();
        edit.put(&shelf.own, id.unwrap_or_else(ContactId::generate), over, &Card::Group(group))?;
        self.change_contacts(member, edit, None, None)
    }

    /// Deletes a group; its members stay contacts.
    pub fn delete_group(&self, member: &Member, id: ContactId) -> Result<(), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let mut edit = Edit::default();
        edit.delete(&shelf.own, id, find(&shelf, id)?.slot);
        self.change_contacts(member, edit, None, None)
    }
}
