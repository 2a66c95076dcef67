//! Contacts: one's own, those that came by themselves, and those that the practice shares.
//!
//! Only people who may begin conversations have them; for everybody else there is nothing here.

use std::collections::HashMap;

use super::accounts::{self, Email};
use super::audit::{self, Event};
use super::books::{Book, Edit};
use super::cards::{CONTACTS_MAX, Card, Contact, ContactForm, Group, Query};
use super::correspondents;
use super::ids::{ContactId, MailboxId};
use super::portal::{Error, Portal};
use super::practices;
use super::sessions::Member;
use crate::crypto::slots::SlotRef;
use crate::store::Tx;
use crate::words::said::say;

/// Contacts of one page.
pub const CONTACTS_PAGE: usize = 50;

/// Where a contact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The person wrote it down.
    Own,
    /// It appeared when the other side registered.
    ByItself,
    /// The practice shares it.
    Shared,
}

/// A contact as somebody sees it.
#[derive(Clone, Debug)]
pub struct ContactView {
    /// Identifier.
    pub id: ContactId,
    /// What it says.
    pub contact: Contact,
    /// Where it comes from.
    pub origin: Origin,
    /// Messages that the person has sent there.
    pub uses: u32,
}

/// A page of contacts, by name.
#[derive(Debug)]
pub struct ContactsPage {
    /// Its contacts.
    pub rows: Vec<ContactView>,
    /// How many there are on all pages.
    pub total: usize,
    /// Whether the person may share contacts with the practice.
    pub can_share: bool,
}

/// A row of a book that a person reaches, or a contact by itself, which has none.
pub(super) struct Placed {
    pub view: ContactView,
    pub slot: Option<SlotRef>,
}

/// A group with its place.
pub(super) struct PlacedGroup {
    pub id: ContactId,
    pub slot: SlotRef,
    pub group: Group,
}

/// Everything that a person has: their own book, the practice's, and who came by themselves.
pub(super) struct Shelf {
    pub own: Book,
    pub shared: Option<Book>,
    pub contacts: Vec<Placed>,
    pub groups: Vec<PlacedGroup>,
    /// Messages sent to each address.
    pub uses: HashMap<Email, u32>,
}

impl Shelf {
    /// The contact of this identifier.
    pub fn find(&self, id: ContactId) -> Result<&Placed, Error> {
        self.contacts.iter().find(|placed| placed.view.id == id).ok_or(Error::NotFound)
    }

    /// Those that are one's own, written down or come by themselves.
    pub fn own_contacts(&self) -> impl Iterator<Item = &Placed> {
        self.contacts.iter().filter(|placed| placed.view.origin != Origin::Shared)
    }

    /// The book in which a contact is or would be.
    pub fn book(&self, is_shared: bool) -> Result<&Book, Error> {
        if is_shared { self.shared.as_ref().ok_or(Error::NotFound) } else { Ok(&self.own) }
    }

    fn add(&mut self, id: ContactId, slot: Option<SlotRef>, contact: Contact, origin: Origin) {
        let uses = contact.emails.iter().filter_map(|email| self.uses.get(email)).sum();
        self.contacts.push(Placed { view: ContactView { id, contact, origin, uses }, slot });
    }

    /// Refuses an address that another contact of the same book has.
    fn check_addresses(&self, contact: &Contact, except: Option<ContactId>, is_shared: bool) -> Result<(), Error> {
        let others = self.contacts.iter().map(|placed| &placed.view).filter(|view| Some(view.id) != except);
        let mut same_book = others.filter(|view| (view.origin == Origin::Shared) == is_shared);
        match same_book.find(|view| view.contact.shares_address(contact)) {
            Some(view) => {
                let message = say!("{name} has this address already.", name = view.contact.name());
                Err(Error::invalid("email", message))
            }
            None => Ok(()),
        }
    }

    /// Has the groups follow a contact whose addresses change: what is gone is replaced or taken out.
    fn regroup(&self, edit: &mut Edit, before: &[Email], after: &[Email]) -> Result<(), Error> {
        let gone: Vec<&Email> = before.iter().filter(|email| !after.contains(email)).collect();
        for PlacedGroup { id, slot, group } in &self.groups {
            if !group.members.iter().any(|member| gone.contains(&member)) {
                continue;
            }
            let mut members: Vec<Email> = Vec::new();
            for member in &group.members {
                let instead = if gone.contains(&member) { after.first() } else { Some(member) };
                members.extend(instead.filter(|email| !members.contains(email)).cloned());
            }
            if members.is_empty() {
                edit.delete(&self.own, *id, *slot);
            } else {
                edit.put(&self.own, *id, Some(*slot), &Card::Group(Group { name: group.name.clone(), members }))?;
            }
        }
        Ok(())
    }

    /// Takes a contact out of where it is.
    fn remove(&self, edit: &mut Edit, placed: &Placed) -> Result<(), Error> {
        if let Some(slot) = placed.slot {
            edit.delete(self.book(placed.view.origin == Origin::Shared)?, placed.view.id, slot);
        }
        Ok(())
    }
}

/// The mailbox behind a contact that came by itself: it is called the same.
pub(super) fn mailbox_of(view: &ContactView) -> Option<MailboxId> {
    (view.origin == Origin::ByItself).then(|| MailboxId::from_bytes(*view.id.bytes()))
}

impl Portal {
    /// Everything that `member` has.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one who may not begin conversations.
    pub(super) fn shelf(&self, tx: &impl Tx, member: &Member) -> Result<Shelf, Error> {
        if !member.can_compose() {
            return Err(Error::NotFound);
        }
        let slots = self.store.slots();
        let (me, host, host_id) =
            (accounts::account(tx, member.account())?, practices::host(tx)?, practices::host_id(tx)?);
        let shared = me.practice.filter(|practice| Some(*practice) == host_id);
        let correspondents = correspondents::of(tx, member.mailbox())?;
        let mut shelf = Shelf {
            own: Book::of(member),
            shared: shared.map(|practice| Book::shared(&self.host, practice)),
            contacts: Vec::new(),
            groups: Vec::new(),
            uses: correspondents.iter().map(|other| (other.account.email.clone(), other.uses)).collect(),
        };
        for kept in shelf.own.read(tx, slots)? {
            match kept.card {
                Card::Contact(contact) => shelf.add(kept.id, Some(kept.slot), contact, Origin::Own),
                Card::Group(group) => shelf.groups.push(PlacedGroup { id: kept.id, slot: kept.slot, group }),
            }
        }
        for kept in shelf.shared.as_ref().map(|book| book.read(tx, slots)).transpose()?.unwrap_or_default() {
            if let Card::Contact(contact) = kept.card {
                shelf.add(kept.id, Some(kept.slot), contact, Origin::Shared);
            }
        }
        for other in correspondents.into_iter().filter(|other| other.is_contact) {
            let account = other.account;
            let practice = host.as_ref().filter(|_| account.practice.is_some() && account.practice == host_id);
            let contact = Contact::of(&account, practice.map_or("", |host| &host.name));
            if !shelf.contacts.iter().any(|known| known.view.contact.shares_address(&contact)) {
                shelf.add(ContactId::from_bytes(*account.mailbox.bytes()), None, contact, Origin::ByItself);
            }
        }
        Ok(shelf)
    }

    /// A page of what `query` finds, by name; the first page is 0.
    pub fn contacts(&self, member: &Member, query: &str, page: usize) -> Result<ContactsPage, Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let (query, can_share) = (Query::new(query), shelf.shared.is_some());
        let mut found: Vec<ContactView> = shelf.contacts.into_iter().map(|placed| placed.view).collect();
        found.retain(|view| view.contact.is_meant_by(&query));
        found.sort_by_cached_key(|view| (view.contact.order(), view.id));
        let total = found.len();
        let rows = found.into_iter().skip(page.saturating_mul(CONTACTS_PAGE)).take(CONTACTS_PAGE).collect();
        Ok(ContactsPage { rows, total, can_share })
    }

    /// One contact, and those of one's own that it can be merged with.
    pub fn contact(&self, member: &Member, id: ContactId) -> Result<(ContactView, Vec<ContactView>, bool), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let view = shelf.find(id)?.view.clone();
        let mut others: Vec<ContactView> = match view.origin {
            Origin::Shared => vec![],
            _ => shelf.own_contacts().map(|placed| placed.view.clone()).filter(|other| other.id != id).collect(),
        };
        others.sort_by_cached_key(|view| view.contact.order());
        Ok((view, others, shelf.shared.is_some()))
    }

    /// Whether `member` may share contacts with the practice.
    pub fn can_share_contacts(&self, member: &Member) -> Result<bool, Error> {
        Ok(self.store.read(|tx| self.shelf(tx, member))?.shared.is_some())
    }

    /// Writes a contact down, new or in place of what it was; shared with the practice or one's own.
    pub fn save_contact(
        &self,
        member: &Member,
        id: Option<ContactId>,
        form: &ContactForm,
        is_shared: bool,
    ) -> Result<(), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let before = id.map(|id| shelf.find(id)).transpose()?;
        let contact = form.checked()?;
        shelf.check_addresses(&contact, id, is_shared)?;
        let was_shared = before.is_some_and(|placed| placed.view.origin == Origin::Shared);
        if !is_shared && before.is_none_or(|placed| placed.slot.is_none()) && is_full(&shelf) {
            return Err(super::books::too_many());
        }
        let mut edit = Edit::default();
        let id = id.unwrap_or_else(ContactId::generate);
        let stays = before.filter(|_| was_shared == is_shared);
        if let Some(placed) = before {
            shelf.regroup(&mut edit, &placed.view.contact.emails, &contact.emails)?;
            if stays.is_none() {
                shelf.remove(&mut edit, placed)?;
            }
        }
        edit.put(shelf.book(is_shared)?, id, stays.and_then(|placed| placed.slot), &Card::Contact(contact))?;
        let replaced = before.and_then(|placed| mailbox_of(&placed.view));
        self.change_contacts(member, edit, replaced, (is_shared || was_shared).then_some(id))
    }

    /// Deletes a contact; it is taken out of one's groups too.
    pub fn delete_contact(&self, member: &Member, id: ContactId) -> Result<(), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let placed = shelf.find(id)?;
        let mut edit = Edit::default();
        shelf.remove(&mut edit, placed)?;
        shelf.regroup(&mut edit, &placed.view.contact.emails, &[])?;
        let shared = (placed.view.origin == Origin::Shared).then_some(id);
        self.change_contacts(member, edit, mailbox_of(&placed.view), shared)
    }

    /// Makes one contact of two of one's own: what only `other` knows is added to the first, and `other` is gone.
    pub fn merge_contacts(&self, member: &Member, id: ContactId, other: ContactId) -> Result<(), Error> {
        let shelf = self.store.read(|tx| self.shelf(tx, member))?;
        let own = |id| shelf.find(id).ok().filter(|placed| placed.view.origin != Origin::Shared);
        let (first, second) = (own(id).ok_or(Error::NotFound)?, own(other).ok_or(Error::NotFound)?);
        if id == other {
            return Err(Error::invalid("other", "Choose another contact."));
        }
        let merged = first.view.contact.merged(&second.view.contact)?;
        let mut edit = Edit::default();
        edit.put(&shelf.own, id, first.slot, &Card::Contact(merged))?;
        shelf.remove(&mut edit, second)?;
        let replaced = [first, second].into_iter().filter_map(|placed| mailbox_of(&placed.view));
        self.change_contacts(member, edit, replaced, None)
    }

    /// Makes changes; contacts by itself that they replace are none any more.
    pub(super) fn change_contacts(
        &self,
        member: &Member,
        edit: Edit,
        replaced: impl IntoIterator<Item = MailboxId>,
        shared: Option<ContactId>,
    ) -> Result<(), Error> {
        let (mailbox, account) = (member.mailbox(), member.account());
        let (now, audit) = (self.now(), self.host.audit_key());
        let replaced: Vec<MailboxId> = replaced.into_iter().collect();
        self.store.write(move |tx| {
            edit.write(tx)?;
            for other in replaced {
                correspondents::take_away(tx, mailbox, other)?;
            }
            match shared {
                Some(id) => audit::note(tx, &audit, now, Some(account), Event::SharedContactChanged, id),
                None => Ok(()),
            }
        })
    }
}

/// Whether one's own book has room for no more contacts.
fn is_full(shelf: &Shelf) -> bool {
    shelf.own_contacts().filter(|placed| placed.slot.is_some()).count() >= CONTACTS_MAX
}
