//! Signed notes, as the C2SP specification `signed-note` has them: text, an empty line, and one line a signature. Keys are
//! written as its verifier keys, `NAME+HASH+KEY`. Whatever else reads such notes reads ours.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::hex;

/// Ed25519, by the specification.
const ED25519: u8 = 1;
/// Begins a line with a signature.
const DASH: &str = "\u{2014} ";
/// No note has more signatures: a key, and the one that comes after it.
const SIGNATURES_MAX: usize = 8;

/// A key by which signatures are checked, with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key of the form NAME+HASH+KEY, as `spoor keys show` prints it")]
pub struct NoKey;

impl PublicKey {
    pub(super) fn new(name: &str, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), key }
    }

    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`NoKey`]
    pub fn parse(text: &str) -> Result<Self, NoKey> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoKey);
        };
        let bytes = BASE64.decode(bytes).map_err(|_| NoKey)?;
        let Some((&ED25519, bytes)) = bytes.split_first() else { return Err(NoKey) };
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NoKey)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NoKey)?;
        let found = Self::new(name, key);
        let fits = is_name(name) && !key.is_weak() && hex::encode(&found.id()) == hash;
        if fits { Ok(found) } else { Err(NoKey) }
    }

    /// What tells it from other keys of the same name in a signature.
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        let mut id = [0; 4];
        id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        id
    }

    /// The bare key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

/// As a verifier key.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(&self.id()), BASE64.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|letter| letter.is_whitespace() || letter == '+')
}

/// Signs a text, which ends with a newline. `name` is that of the key.
pub(super) fn sign(text: &str, keys: &[(&str, &SigningKey)]) -> String {
    let mut note = format!("{text}\n");
    for (name, key) in keys {
        let mut bytes = PublicKey::new(name, key.verifying_key()).id().to_vec();
        bytes.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
        note.push_str(&format!("{DASH}{name} {}\n", BASE64.encode(bytes)));
    }
    note
}

/// A note that was taken apart; nothing of it is proven yet.
#[derive(Clone, Debug)]
pub(super) struct Note<'a> {
    /// What is signed, with the newline at its end.
    pub(super) text: &'a str,
    /// Name and id of the key, and the bytes, which of a kind of key that we do not know are no signature to us.
    signatures: Vec<(&'a str, [u8; 4], Vec<u8>)>,
}

impl<'a> Note<'a> {
    /// `None`: it is no signed note.
    pub(super) fn parse(note: &'a str) -> Option<Self> {
        let at = note.rfind("\n\n")?;
        let (text, lines) = (note.get(..=at)?, note.get(at + 2..)?.strip_suffix('\n')?);
        if text.chars().any(|letter| letter.is_control() && letter != '\n') {
            return None;
        }
        let signatures: Option<Vec<_>> = lines.split('\n').take(SIGNATURES_MAX + 1).map(signature).collect();
        let signatures = signatures.filter(|all| all.len() <= SIGNATURES_MAX)?;
        Some(Self { text, signatures })
    }

    /// Whether that key signed it. The first signature that says to be its decides.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        let id = key.id();
        let named = self.signatures.iter().find(|(name, of, _)| *name == key.name && *of == id);
        let signature = named.and_then(|(.., bytes)| Signature::from_slice(bytes).ok());
        signature.is_some_and(|signature| key.key.verify_strict(self.text.as_bytes(), &signature).is_ok())
    }
}

fn signature(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = BASE64.decode(bytes).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    is_name(name).then(|| (name, *id, signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn notes_and_keys_of_others_are_read() {
        let known = [
            (
                "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
                "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
            ),
            (
                "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
                "This is an example message.\n",
                "example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=",
            ),
        ];
        for (written, text, line) in known {
            let key = PublicKey::parse(written).unwrap();
            assert_eq!(key.to_string(), written);
            let note = format!("{text}\n{DASH}{line}\n");
            assert!(Note::parse(&note).unwrap().is_by(&key), "{text}");
            assert!(!Note::parse(&note.replace(" is", " was")).unwrap().is_by(&key));
        }
    }

    #[test]
    fn two_keys_may_sign_and_a_third_did_not() {
        let note = sign("a\n\nb\n", &[("x", &key(1)), ("x", &key(2))]);
        let parsed = Note::parse(&note).unwrap();
        assert_eq!(parsed.text, "a\n\nb\n");
        let public = |name, seed| PublicKey::new(name, key(seed).verifying_key());
        assert!(parsed.is_by(&public("x", 1)) && parsed.is_by(&public("x", 2)));
        assert!(!parsed.is_by(&public("x", 3)) && !parsed.is_by(&public("y", 1)));
    }

    #[test]
    fn what_is_no_note_and_no_key() {
        for text in ["", "\n\n", "a\n", "a\n\n", "a\n\nb\n", "a\n\n\u{2014} x\n", "a\n\n\u{2014} x AAA\n"] {
            assert!(Note::parse(text).is_none(), "{text:?}");
        }
        let many = format!("a\n\n{}", sign("a\n", &[("x", &key(1)); 9]).split_once("\n\n").unwrap().1);
        assert!(Note::parse(&many).is_none());
        let good = PublicKey::new("x", key(1).verifying_key()).to_string();
        assert!(PublicKey::parse(&good).is_ok());
        for bad in ["", "x", "x+y+z", &good.replace("x+", "y+"), &good.replace('A', "B"), &format!("{good}A")]
        {
            assert_eq!(PublicKey::parse(bad), Err(NoKey), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[a\u{2014} \n+/A-Za-z0-9=]{0,200}", tail in ".{0,80}") {
            let _ = PublicKey::parse(&text);
            if let Some(note) = Note::parse(&format!("{text}{tail}")) {
                proptest::prop_assert!(note.text.ends_with('\n'));
            }
        }
    }
}
