//! Mailbox identities: an X25519 age identity that opens and an Ed25519 key that signs, together in a [`Bundle`].

use std::str::FromStr;

use age::x25519;
use age_core::secrecy::{ExposeSecret, SecretString};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::secret::derive;
use super::{CryptoError, Key32, Plain, Sealed, random};

/// The public half of a mailbox: what others seal to and check signatures with.
#[derive(Clone)]
pub struct MailboxPublic {
    recipient: x25519::Recipient,
    verifying: [u8; 32],
}

/// As it is stored: the age recipient string and the 32 bytes of the verifying key.
#[derive(Serialize, Deserialize)]
struct StoredPublic {
    recipient: String,
    #[serde(with = "super::secret::bytes")]
    verifying: [u8; 32],
}

impl Serialize for MailboxPublic {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        StoredPublic { recipient: self.recipient.to_string(), verifying: self.verifying }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for MailboxPublic {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = StoredPublic::deserialize(from)?;
        let recipient = x25519::Recipient::from_str(&stored.recipient).map_err(serde::de::Error::custom)?;
        Ok(Self { recipient, verifying: stored.verifying })
    }
}

impl std::fmt::Debug for MailboxPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MailboxPublic({})", self.recipient)
    }
}

impl PartialEq for MailboxPublic {
    fn eq(&self, other: &Self) -> bool {
        self.recipient.to_string() == other.recipient.to_string() && self.verifying == other.verifying
    }
}

impl MailboxPublic {
    /// The age recipient.
    pub fn recipient(&self) -> &x25519::Recipient {
        &self.recipient
    }

    /// Whether `signature` (64 bytes, RFC 8032) is this mailbox's over `message`. Strict verification: weak keys and
    /// malleable signatures are refused.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        VerifyingKey::from_bytes(&self.verifying).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// The age identity of a mailbox.
#[derive(Clone)]
pub struct MailboxSecret(x25519::Identity);

impl std::fmt::Debug for MailboxSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailboxSecret(…)")
    }
}

impl MailboxSecret {
    /// The age identity.
    pub fn identity(&self) -> &x25519::Identity {
        &self.0
    }

    /// A symmetric key for one purpose of this mailbox alone: HKDF-SHA256 of the identity with `label`.
    pub fn key(&self, label: &str) -> Key32 {
        derive(self.to_age().expose_secret().as_bytes(), label, b"")
    }

    /// As an `AGE-SECRET-KEY-1…` line for the `age` command.
    pub fn to_age(&self) -> SecretString {
        self.0.to_string()
    }
}

/// A mailbox secret alone, from an `AGE-SECRET-KEY-1…` line: the recovery identity has no signing key.
impl FromStr for MailboxSecret {
    type Err = CryptoError;

    fn from_str(text: &str) -> Result<Self, CryptoError> {
        x25519::Identity::from_str(text.trim()).map(Self).map_err(|_| CryptoError::Damaged("an age identity"))
    }
}

impl MailboxSecret {
    /// A fresh age identity.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Its public half, which seals but has nothing to verify signatures with.
    pub fn public(&self) -> MailboxPublic {
        MailboxPublic { recipient: self.0.to_public(), verifying: [0; 32] }
    }
}

/// Everything that a signed-in person's mailbox needs to open and sign.
#[derive(Clone)]
pub struct Bundle {
    secret: MailboxSecret,
    signing: SigningKey,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredBundle {
    identity: String,
    #[serde(with = "super::secret::bytes")]
    signing: [u8; 32],
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bundle(…)")
    }
}

impl Bundle {
    /// A fresh identity and signing key.
    pub fn generate() -> Self {
        Self { secret: MailboxSecret(x25519::Identity::generate()), signing: SigningKey::from_bytes(&random()) }
    }

    /// The public half.
    pub fn public(&self) -> MailboxPublic {
        MailboxPublic { recipient: self.secret.0.to_public(), verifying: self.signing.verifying_key().to_bytes() }
    }

    /// The age identity.
    pub fn secret(&self) -> &MailboxSecret {
        &self.secret
    }

    /// Signs `message` (Ed25519, RFC 8032); 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signing.sign(message).to_bytes().to_vec()
    }

    /// The bundle with the same signing key and a fresh age identity: after a recovery.
    pub fn with_fresh_identity(&self) -> Self {
        Self { secret: MailboxSecret(x25519::Identity::generate()), signing: self.signing.clone() }
    }

    /// The bundle as bytes, to be sealed.
    pub fn to_plain(&self) -> Result<Plain, CryptoError> {
        let stored = StoredBundle {
            identity: self.secret.0.to_string().expose_secret().to_owned(),
            signing: self.signing.to_bytes(),
        };
        rmp_serde::to_vec_named(&stored).map(Plain::new).map_err(|_| CryptoError::Damaged("a key bundle"))
    }

    /// The bundle in `plain`.
    pub fn from_plain(plain: &Plain) -> Result<Self, CryptoError> {
        let stored: StoredBundle =
            rmp_serde::from_slice(plain.as_bytes()).map_err(|_| CryptoError::Damaged("a key bundle"))?;
        let identity =
            x25519::Identity::from_str(&stored.identity).map_err(|_| CryptoError::Damaged("a key bundle"))?;
        Ok(Self { secret: MailboxSecret(identity), signing: SigningKey::from_bytes(&stored.signing) })
    }

    /// Seals the bundle under a symmetric key (password and slot, or session).
    pub fn seal(&self, key: &Key32, context: &[u8]) -> Result<Sealed, CryptoError> {
        key.seal(context, self.to_plain()?.as_bytes())
    }

    /// Opens a bundle sealed under a symmetric key.
    pub fn open(key: &Key32, context: &[u8], sealed: &Sealed) -> Result<Self, CryptoError> {
        Self::from_plain(&key.open(context, sealed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_survives_sealing_and_signs_the_same() {
        let bundle = Bundle::generate();
        let key = Key32::generate();
        let sealed = bundle.seal(&key, b"account").unwrap();
        let opened = Bundle::open(&key, b"account", &sealed).unwrap();
        assert_eq!(opened.public(), bundle.public());
        assert!(bundle.public().verifies(b"hello", &opened.sign(b"hello")));
        assert!(!bundle.public().verifies(b"hullo", &opened.sign(b"hello")));
        assert!(Bundle::open(&key, b"another account", &sealed).is_err());
    }

    #[test]
    fn the_recovery_identity_verifies_nothing() {
        let recovery = MailboxSecret::generate();
        assert!(!recovery.public().verifies(b"", &[0; 64]));
    }
}
