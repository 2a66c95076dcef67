//! Identifiers: sixteen random bytes each, of a type of their own, written as 32 hexadecimal digits.

use serde::{Deserialize, Serialize};

use crate::crypto::random;
use crate::crypto::secret::sha256;

/// Bytes of an identifier: 128 random bits, so that none is guessed.
pub const ID_BYTES: usize = 16;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "crate::crypto::secret::bytes")] [u8; ID_BYTES]);

        impl $name {
            /// A fresh random identifier.
            pub fn generate() -> Self {
                Self(random())
            }

            /// The identifier with these bytes.
            pub fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
                Self(bytes)
            }

            /// The bytes, as they stand in keys.
            pub fn bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }

            /// The identifier in sixteen bytes of a key; `None` when there are not sixteen.
            pub fn from_key(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = super::Error;

            /// Reads 32 lower-case hexadecimal digits; anything else is simply not found.
            fn from_str(text: &str) -> Result<Self, super::Error> {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| super::Error::NotFound)?;
                Self::from_key(&bytes).ok_or(super::Error::NotFound)
            }
        }
    };
}

id!(
    /// A person.
    AccountId
);
id!(
    /// What owns a key and receives messages.
    MailboxId
);
id!(
    /// An organisation.
    PracticeId
);
id!(
    /// One sending.
    MessageId
);
id!(
    /// What somebody is writing.
    DraftId
);
id!(
    /// A conversation.
    ThreadId
);
id!(
    /// A file of a draft, or an upload on its way to be one.
    FileId
);
id!(
    /// A notice in the outbox.
    NoticeId
);
id!(
    /// A contact or a group of contacts.
    ContactId
);
id!(
    /// A file of contacts that was looked at and waits to be imported.
    ImportId
);

impl DraftId {
    /// The message that this draft becomes: always the same one, so that sending twice is sending once; and another for
    /// everybody, so that nobody can take it by sending something under a draft of somebody else.
    pub(super) fn becomes(self, mailbox: MailboxId) -> MessageId {
        self.becomes_one(mailbox, b"")
    }

    /// One of the messages that it becomes when everybody gets their own: the one for this place among them, the first
    /// being [`Self::becomes`].
    pub(super) fn becomes_nth(self, mailbox: MailboxId, place: u32) -> MessageId {
        if place == 0 { self.becomes(mailbox) } else { self.becomes_one(mailbox, &place.to_be_bytes()) }
    }

    fn becomes_one(self, mailbox: MailboxId, place: &[u8]) -> MessageId {
        let digest = sha256(&[b"sealpost message v1", mailbox.bytes(), &self.0, place]);
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        MessageId(id)
    }
}

/// Joins the parts of a key.
pub(super) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
