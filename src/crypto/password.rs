//! Passwords: one slow derivation gives the verifier and the key, and a judge says which passwords are good enough.
//!
//! argon2id (RFC 9106, second recommended choice: 64 MiB, three passes, one lane) over the peppered password; HKDF
//! splits its output. There is no second, cheaper hash.

use argon2::Params;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::host::HostKey;
use super::stretch::Stretcher;
use super::{CryptoError, Key32, random};
use crate::words::said::{Said, say};

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Most bytes of a password: enough for any sentence, small enough not to be a burden.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// zxcvbn score (0 to 4) that a password needs: "safely unguessable".
const SCORE_MIN: u8 = 3;

/// Cost and salt of one stored password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Salt.
    #[serde(with = "super::secret::bytes")]
    pub salt: [u8; 16],
}

/// What a password gives: something to compare and a key to open the account's bundle with.
#[derive(Debug)]
pub struct Derived {
    /// Stored, and compared at sign-in.
    pub verifier: Key32,
    /// Never stored; with the account's slot it opens the bundle.
    pub key: Key32,
}

/// Makes verifiers and keys of passwords.
pub struct PasswordHasher {
    pepper: super::MacKey,
    memory_kib: u32,
    passes: u32,
    stretcher: Stretcher,
}

impl PasswordHasher {
    /// A hasher with the cost of new passwords: `memory_kib` of memory and `passes` passes.
    ///
    /// # Errors
    /// [`CryptoError::Io`] when the system gives no threads.
    pub fn new(host: &HostKey, memory_kib: u32, passes: u32) -> Result<Self, CryptoError> {
        Ok(Self { pepper: host.pepper(), memory_kib, passes, stretcher: Stretcher::start()? })
    }

    /// Cost of a new password, with a fresh salt.
    pub fn stretch(&self) -> Stretch {
        Stretch { memory_kib: self.memory_kib, passes: self.passes, salt: random() }
    }

    /// Whether a stored password should be stretched anew because the cost has been raised since.
    pub fn is_outdated(&self, stretch: &Stretch) -> bool {
        stretch.memory_kib < self.memory_kib || stretch.passes < self.passes
    }

    /// Derives verifier and key. Blocks the calling thread for about 0.1 s, longer when others wait.
    ///
    /// # Errors
    /// [`CryptoError::Busy`] when too many are waiting; [`CryptoError::Damaged`] for an impossible cost.
    pub fn derive(&self, password: &SecretString, stretch: &Stretch) -> Result<Derived, CryptoError> {
        let peppered = Zeroizing::new(self.pepper.mac(&[password.expose_secret().as_bytes()]));
        let cost = Params::new(stretch.memory_kib, stretch.passes, 1, Some(32));
        let cost = cost.map_err(|_| CryptoError::Damaged("the cost of a password"))?;
        let stretched = self.stretcher.stretch(peppered, stretch.salt, cost)?;
        let out = Key32::from_bytes(*stretched);
        Ok(Derived { verifier: out.derive("sealpost verifier v1", b""), key: out.derive("sealpost account v1", b"") })
    }

    /// Spends the time of a derivation for nobody, so that an unknown user name costs the same as a known one.
    pub fn pretend(&self, password: &SecretString) -> Result<(), CryptoError> {
        self.derive(password, &self.stretch()).map(|_| ())
    }
}

/// What the judge says of a password.
#[derive(Debug, Serialize)]
pub struct Judgement {
    /// 0 (guessed at once) to 4 (very hard to guess).
    pub score: u8,
    /// Whether it may be used.
    pub ok: bool,
    /// One sentence for the person.
    pub text: Said,
}

/// Judges a password. `context` are words that an attacker knows: name, address, practice, product.
pub fn judge(password: &str, context: &[&str]) -> Judgement {
    if password.len() > PASSWORD_BYTES_MAX {
        return Judgement { score: 0, ok: false, text: say!("This is too long: 1,024 bytes at most.") };
    }
    let missing = PASSWORD_CHARS_MIN.saturating_sub(password.chars().count());
    if missing > 0 {
        let text =
            say!("At least {least} characters, please: {missing} more.", least = PASSWORD_CHARS_MIN, missing = missing);
        return Judgement { score: 0, ok: false, text };
    }
    let words: Vec<&str> = context
        .iter()
        .flat_map(|word| word.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.chars().count() > 2)
        // A name of several words is guessed as a whole, too.
        .chain(context.iter().copied())
        .chain(["sealpost"])
        .collect();
    let entropy = zxcvbn::zxcvbn(password, &words);
    let score = u8::from(entropy.score());
    let ok = score >= SCORE_MIN;
    let advice = entropy.feedback().map(ToString::to_string).unwrap_or_default();
    let text = match (ok, advice.trim()) {
        (true, _) if score == 4 => say!("Very good: hard to guess."),
        (true, _) => say!("Good."),
        (false, "") => say!("Too easy to guess. Three or four unrelated words make a good password."),
        (false, advice) => say!("Too easy to guess. {advice}", advice = Said::kept(advice.to_owned())),
    };
    Judgement { score, ok, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn the_same_password_and_salt_give_the_same_key_and_nothing_else_does() {
        let host = HostKey::generate();
        let hasher = PasswordHasher::new(&host, 256, 1).unwrap();
        let stretch = hasher.stretch();
        let first = hasher.derive(&secret("correct horse"), &stretch).unwrap();
        let again = hasher.derive(&secret("correct horse"), &stretch).unwrap();
        assert_eq!(first.key.expose(), again.key.expose());
        assert_ne!(first.key.expose(), first.verifier.expose());
        for other in ["correct horse ", "Correct horse", "correct\u{0}horse", ""] {
            assert_ne!(first.key.expose(), hasher.derive(&secret(other), &stretch).unwrap().key.expose());
        }
        let elsewhere = PasswordHasher::new(&HostKey::generate(), 256, 1).unwrap();
        assert_ne!(first.key.expose(), elsewhere.derive(&secret("correct horse"), &stretch).unwrap().key.expose());
    }

    #[test]
    fn the_judge_refuses_what_is_guessed_first() {
        for bad in [
            "short",
            "password1234",
            "123456789012",
            "qwertyuiop[]",
            "aaaaaaaaaaaaaaaa",
            "Sealpost2026",
            "Riverside1234",
            "Riverside Dental 1",
        ] {
            assert!(!judge(bad, &["Riverside Dental"]).ok, "{bad}");
        }
        for good in ["correct horse battery staple", "плавник-озеро-кедр", "tr0ub4dor & a small owl"] {
            assert!(judge(good, &["Riverside Dental"]).ok, "{good}: {:?}", judge(good, &[]));
        }
        assert!(!judge(&"x".repeat(1025), &[]).ok);
    }
}
