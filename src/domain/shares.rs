//! Shares of the recovery secret: with one, a person can open the account of somebody who is locked out.
//!
//! A share is sealed to its holder's own identity under a slot of its own: it ends with the permission that it goes
//! with, and a changed password leaves it as it is.

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, key};
use super::portal::Error;
use crate::crypto::identity::{Bundle, MailboxPublic, MailboxSecret};
use crate::crypto::slots::{SlotFile, SlotKey, SlotRef};
use crate::crypto::{Parcel, secret_text};
use crate::store::WriteTx;

/// The recovery identity's secret, sealed to one who may recover others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    slot: SlotRef,
    secret: Parcel,
}

impl Share {
    /// Seals the secret to the identity of the account `id`.
    pub(super) fn give(
        tx: &mut WriteTx<'_>,
        secret: &MailboxSecret,
        to: &MailboxPublic,
        id: AccountId,
    ) -> Result<Self, Error> {
        let slot = SlotKey::generate();
        let secret = Parcel::seal(secret_text(secret).as_bytes(), to, &slot, &context(id))?;
        Ok(Self { slot: tx.new_slot(&slot)?, secret })
    }

    /// The secret, for the holder `id`.
    pub(super) fn open(&self, slots: &SlotFile, bundle: &Bundle, id: AccountId) -> Result<MailboxSecret, Error> {
        let plain = self.secret.open(bundle.secret(), &slots.read(&self.slot)?, &context(id))?;
        Ok(std::str::from_utf8(plain.as_bytes()).map_err(Error::internal)?.parse()?)
    }

    /// Nobody opens it any more, once this is committed.
    pub(super) fn end(self, tx: &mut WriteTx<'_>) -> Result<(), Error> {
        Ok(tx.retire_slot(self.slot)?)
    }
}

fn context(id: AccountId) -> Vec<u8> {
    key(&[b"recovery share", id.bytes()])
}
