//! Secrets and their opposites: keys that zeroize and never print, sealed bytes, digests.
//!
//! Symmetric sealing is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce; derivation is
//! HKDF-SHA256 (RFC 5869); authentication is HMAC-SHA256 (RFC 2104).

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::CryptoError;

/// Bytes of an XChaCha20-Poly1305 nonce.
const NONCE_BYTES: usize = 24;

/// `N` bytes from the operating system's random number generator.
///
/// A system that cannot give random bytes cannot run Sealpost: the process stops rather than use weaker ones.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the operating system gives no random numbers");
        std::process::abort();
    }
    bytes
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A 32-byte symmetric secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key32([u8; 32]);

impl std::fmt::Debug for Key32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key32(…)")
    }
}

impl Key32 {
    /// A fresh random key.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key with the bytes of this slice; an error unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CryptoError> {
        bytes.try_into().map(Self).map_err(|_| CryptoError::Damaged("a key"))
    }

    /// The raw bytes, for sealing them under another key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose, derived from this one: HKDF-SHA256 with `label` and `context` as its info.
    pub fn derive(&self, label: &str, context: &[u8]) -> Self {
        derive(&self.0, label, context)
    }

    /// A key that needs both this one and `other`: either alone opens nothing.
    pub fn and(&self, other: &Self, label: &str, context: &[u8]) -> Self {
        let mut both = Zeroizing::new([0; 64]);
        let (left, right) = both.split_at_mut(32);
        left.copy_from_slice(&self.0);
        right.copy_from_slice(&other.0);
        derive(both.as_ref(), label, context)
    }

    /// Seals `plain`; `context` must be given again to open it.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Sealed, CryptoError> {
        let nonce = random::<NONCE_BYTES>();
        let sealed = XChaCha20Poly1305::new((&self.0).into())
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: context })
            .map_err(|_| CryptoError::Damaged("what was to be sealed"))?;
        Ok(Sealed([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Key32::seal`] made with the same context.
    pub fn open(&self, context: &[u8], sealed: &Sealed) -> Result<Plain, CryptoError> {
        let (nonce, body) = sealed.0.split_at_checked(NONCE_BYTES).ok_or(CryptoError::Damaged("a sealed value"))?;
        XChaCha20Poly1305::new((&self.0).into())
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: context })
            .map(Plain::new)
            .map_err(|_| CryptoError::WrongKey)
    }
}

pub(super) fn derive(secret: &[u8], label: &str, context: &[u8]) -> Key32 {
    let mut out = Key32([0; 32]);
    // The only failure of `expand_multi_info` is an output above 255 × 32 bytes; the zero key of that impossible
    // branch would open nothing.
    let _ = Hkdf::<Sha256>::new(None, secret).expand_multi_info(&[label.as_bytes(), &[0], context], &mut out.0);
    out
}

/// A key that authenticates: HMAC-SHA256.
#[derive(Clone, Debug)]
pub struct MacKey(Key32);

impl MacKey {
    /// A key for MACs from a symmetric key of its own.
    pub fn new(key: Key32) -> Self {
        Self(key)
    }

    /// The MAC of `parts`, each prefixed by its length so that no two lists collide.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.state(parts).finalize().into_bytes().into()
    }

    /// Whether `mac` is the MAC of `parts`, compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.state(parts).verify_slice(mac).is_ok()
    }

    fn state(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // HMAC pads a key shorter than its block with zeros (RFC 2104, section 2); the type wants the whole block.
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(32).0.copy_from_slice(self.0.expose());
        let mut state = <Hmac<Sha256> as Mac>::new((&*block).into());
        for part in parts {
            state.update(&(part.len() as u64).to_be_bytes());
            state.update(part);
        }
        state
    }
}

/// Plaintext: what somebody wrote. Zeroized when dropped, never printed, never taken by `store`.
pub struct Plain(Zeroizing<Vec<u8>>);

impl Plain {
    /// Takes these bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

/// Sealed bytes: nothing to be read in them without the key.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sealed(#[serde(with = "bytes")] pub(super) Vec<u8>);

impl Sealed {
    /// The bytes as they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that were stored as sealed.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A SHA-256 digest (FIPS 180-4).
pub type Digest = [u8; 32];

/// SHA-256 of `parts`, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

/// SHA-256 over a stream.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

/// Serde for byte strings, so that MessagePack stores them as such and not as lists of numbers.
pub mod bytes {
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::Serializer;

    /// Writes bytes.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    /// Reads bytes into anything that is made from a vector: a `Vec<u8>` or an array of the right length.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(from: D) -> Result<T, D::Error> {
        from.deserialize_byte_buf(Bytes).and_then(|bytes| T::try_from(bytes).map_err(|_| D::Error::custom("length")))
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_context() {
        let key = Key32::generate();
        let sealed = key.seal(b"row 1", b"hello").unwrap();
        assert_eq!(key.open(b"row 1", &sealed).unwrap().as_bytes(), b"hello");
        assert!(key.open(b"row 2", &sealed).is_err());
        assert!(Key32::generate().open(b"row 1", &sealed).is_err());
        for bit in 0..sealed.0.len() * 8 {
            let mut changed = sealed.clone();
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(b"row 1", &changed).is_err(), "bit {bit}");
        }
        assert!(key.open(b"", &Sealed(vec![1; 7])).is_err());
    }

    #[test]
    fn both_keys_are_needed() {
        let (a, b) = (Key32::generate(), Key32::generate());
        let sealed = a.and(&b, "test", b"").seal(b"", b"x").unwrap();
        assert!(a.and(&b, "test", b"").open(b"", &sealed).is_ok());
        assert!(a.and(&a, "test", b"").open(b"", &sealed).is_err());
        assert!(b.and(&a, "test", b"").open(b"", &sealed).is_err());
    }

    #[test]
    fn macs_do_not_confuse_lists_with_the_same_bytes() {
        let key = MacKey::new(Key32::generate());
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert!(key.verify(&[b"ab"], &key.mac(&[b"ab"])));
        assert!(!key.verify(&[b"ab"], &key.mac(&[b"ac"])));
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Key32::from_bytes([7; 32])), "Key32(…)");
        assert_eq!(format!("{:?}", Plain::new(b"tooth".to_vec())), "Plain(5 bytes)");
    }
}
