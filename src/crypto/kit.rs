//! The recovery kit: the practice's recovery identity on paper.
//!
//! The kit shows the identity twice: as the `AGE-SECRET-KEY-1…` line that the ordinary `age` command takes, and as 24
//! English words (BIP 39, the 32 bytes of the X25519 secret as entropy), which a person can type without a mistake
//! going unnoticed.

use age_core::secrecy::ExposeSecret;
use bech32::{Bech32, Hrp};
use bip39::{Language, Mnemonic};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::CryptoError;
use super::identity::MailboxPublic;
use super::identity::MailboxSecret;
use super::secret::sha256;

/// Words on a kit.
pub const KIT_WORDS: usize = 24;
/// Human-readable part of an age secret key.
const SECRET_HRP: &str = "age-secret-key-";

/// The recovery identity, ready to be printed.
pub struct Kit {
    secret: MailboxSecret,
    words: Zeroizing<Vec<String>>,
}

impl Kit {
    /// The kit for `secret`.
    pub fn of(secret: MailboxSecret) -> Result<Self, CryptoError> {
        let damaged = || CryptoError::Damaged("the recovery identity");
        let (_, bytes) = bech32::decode(secret.to_age().expose_secret()).map_err(|_| damaged())?;
        let bytes = Zeroizing::new(bytes);
        let words = Mnemonic::from_entropy_in(Language::English, &bytes).map_err(|_| damaged())?;
        Ok(Self { secret, words: Zeroizing::new(words.words().map(str::to_owned).collect()) })
    }

    /// Reads a kit back from what a person typed: the words or the `AGE-SECRET-KEY-1…` line.
    pub fn parse(typed: &str) -> Result<Self, CryptoError> {
        let typed = Zeroizing::new(typed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        if typed.starts_with(SECRET_HRP) {
            return Self::of(typed.to_uppercase().parse()?);
        }
        let damaged = |_| CryptoError::Damaged("the recovery kit: a word is missing or mistyped; it");
        let words = Mnemonic::parse_in_normalized(Language::English, &typed).map_err(damaged)?;
        let entropy = Zeroizing::new(words.to_entropy());
        let hrp = Hrp::parse(SECRET_HRP).map_err(|_| CryptoError::Damaged("the recovery kit"))?;
        let line = Zeroizing::new(
            bech32::encode_upper::<Bech32>(hrp, &entropy).map_err(|_| CryptoError::Damaged("the recovery kit"))?,
        );
        Self::of(line.parse()?)
    }

    /// The 24 words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The identity.
    pub fn secret(&self) -> &MailboxSecret {
        &self.secret
    }

    /// The `AGE-SECRET-KEY-1…` line.
    pub fn age_identity(&self) -> Zeroizing<String> {
        Zeroizing::new(self.secret.to_age().expose_secret().to_owned())
    }

    /// Eight hexadecimal digits that tell one kit from another: the start of the SHA-256 of the public key.
    pub fn checksum(&self) -> String {
        checksum(&self.secret.public())
    }

    /// The identity as a QR code, an SVG element without style or script.
    pub fn qr_svg(&self) -> Result<String, CryptoError> {
        let damaged = |_| CryptoError::Damaged("the recovery identity");
        let code = qrcode::QrCode::new(self.age_identity().as_bytes()).map_err(damaged)?;
        let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(200, 200).build();
        Ok(svg.trim_start_matches("<?xml version=\"1.0\" standalone=\"yes\"?>").to_owned())
    }
}

/// The check digits of a recovery identity's public half.
pub fn checksum(public: &MailboxPublic) -> String {
    let digest = sha256(&[public.recipient().to_string().as_bytes()]);
    HEXLOWER.encode(digest.get(..4).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_line_bring_back_the_same_identity() {
        let kit = Kit::of(MailboxSecret::generate()).unwrap();
        assert_eq!(kit.words().len(), KIT_WORDS);
        for typed in [kit.words().join("  ").to_uppercase(), kit.age_identity().to_string()] {
            let read = Kit::parse(&typed).unwrap();
            assert_eq!(*read.age_identity(), *kit.age_identity());
            assert_eq!(read.checksum(), kit.checksum());
        }
    }

    #[test]
    fn a_mistyped_word_is_noticed() {
        let kit = Kit::of(MailboxSecret::generate()).unwrap();
        let mut words = kit.words().to_vec();
        words[3] = if words[3] == "zoo" { "zone".into() } else { "zoo".into() };
        words.swap(0, 1);
        assert!(Kit::parse("zebra").is_err());
        assert!(Kit::parse(&words[1..].join(" ")).is_err());
    }
}
