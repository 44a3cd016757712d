//! Keyed fingerprints: the same secret is recognised in another file, under another actor, on another host that has the
//! key. Without the key they tell nothing, not even to who can guess the secret.

use std::path::{Path, PathBuf};

use zeroize::{Zeroize as _, Zeroizing};

use super::parse::Secrets;
use crate::hex;
use crate::keyfile::{self, KeyFileError};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a fingerprint: enough that no two secrets of a fleet share one.
const FINGERPRINT_BYTES: usize = 16;
/// Bytes of a version: it tells apart only what one credential held.
const VERSION_BYTES: usize = 8;
/// A fingerprint begins with the scheme it was made by.
const FINGERPRINT: &str = "cfp1:";
const VERSION: &str = "cv1:";

/// The key fingerprints are made with: one of the fleet, else one of this host.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; KEY_BYTES]>);

/// Nothing of it.
impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// Its file could not be read or made, or is open to others.
    #[error("fingerprints: {0}")]
    File(#[from] KeyFileError),
    /// It is no key.
    #[error("{} is no key: 64 hexadecimal digits, as `openssl rand -hex 32` makes them", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
}

impl FingerprintKey {
    /// Reads a key: 64 hexadecimal digits, in a file that only its owner may read.
    ///
    /// # Errors
    /// [`FingerprintError`]
    pub fn read(path: &Path) -> Result<Self, FingerprintError> {
        let text = keyfile::read(path)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if !hex::decode(text.trim_ascii(), key.as_mut()) {
            return Err(FingerprintError::Form { path: path.to_owned() });
        }
        Ok(Self(key))
    }

    /// The key of this host, which is made where there is none yet.
    ///
    /// # Errors
    /// [`FingerprintError`]
    pub fn of_host(path: &Path) -> Result<Self, FingerprintError> {
        if path.exists() {
            return Self::read(path);
        }
        let key = keyfile::random(path)?;
        keyfile::write(path, Zeroizing::new(hex::encode(key.as_slice()) + "\n").as_bytes())?;
        Ok(Self(key))
    }

    /// Of each secret its fingerprint, and of all together the version.
    pub(super) fn of(&self, secrets: &Secrets) -> (Vec<String>, Option<String>) {
        let mut all = blake3::Hasher::new_keyed(&self.0);
        let mut fingerprints = Vec::new();
        for secret in secrets.iter() {
            let mut hasher = blake3::Hasher::new_keyed(&self.0);
            hasher.update(secret);
            let print = hasher.finalize();
            // It keeps the last bytes that it was given.
            hasher.zeroize();
            all.update(print.as_bytes());
            fingerprints.push(format!("{FINGERPRINT}{}", hex::encode(head(&print, FINGERPRINT_BYTES))));
        }
        let version = format!("{VERSION}{}", hex::encode(head(&all.finalize(), VERSION_BYTES)));
        let version = (!fingerprints.is_empty()).then_some(version);
        (fingerprints, version)
    }
}

fn head(hash: &blake3::Hash, bytes: usize) -> &[u8] {
    hash.as_bytes().get(..bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{FingerprintError, FingerprintKey};
    use crate::credential::parse::{Parser, parse};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn key(dir: &Path, text: &str, mode: u32) -> Result<FingerprintKey, FingerprintError> {
        let path = dir.join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        FingerprintKey::read(&path)
    }

    fn prints(key: &FingerprintKey, parser: Parser, text: &str) -> (Vec<String>, Option<String>) {
        key.of(&parse(parser, text.as_bytes()).secrets)
    }

    #[test]
    fn one_secret_is_one_fingerprint_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let ours = key(dir.path(), &"0f".repeat(32), 0o600).unwrap();
        let theirs = key(dir.path(), &(("1F".repeat(32)) + "\n"), 0o400).unwrap();
        let pgpass = "db:5432:*:app:correct-horse-battery\n";
        let netrc = "machine other login app password correct-horse-battery\n";
        let (first, version) = prints(&ours, Parser::Pgpass, pgpass);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].len(), "cfp1:".len() + 32);
        assert_eq!(version.as_deref().map(str::len), Some("cv1:".len() + 16));
        assert_eq!(prints(&ours, Parser::Netrc, netrc).0, first);
        assert_eq!(prints(&ours, Parser::None, "  correct-horse-battery \n").0, first);
        assert_ne!(prints(&theirs, Parser::Pgpass, pgpass).0, first, "another key tells another fingerprint");
        assert_ne!(prints(&ours, Parser::Pgpass, &pgpass.replace("horse", "mouse")).0, first);
    }

    #[test]
    fn a_version_is_what_the_secrets_are_and_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path(), &"0f".repeat(32), 0o600).unwrap();
        let version = |text: &str| prints(&key, Parser::Pgpass, text).1;
        let first = version("db:5432:*:app:correct-horse-battery\n");
        assert_eq!(version("# moved\nother:1:*:app:correct-horse-battery\n"), first);
        assert_ne!(version("db:5432:*:app:correct-horse-staple\n"), first);
        assert_eq!(version(""), None);
        let short = version("db:5432:*:app:short\n");
        assert_ne!(version("db:5432:*:app:other\n"), short, "too short by itself: then it is the whole file");
    }

    #[test]
    fn a_host_makes_its_key_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fingerprint.key");
        let made = FingerprintKey::of_host(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = FingerprintKey::of_host(&path).unwrap();
        assert_eq!(made.0, again.0);
        let other = FingerprintKey::of_host(&dir.path().join("other.key")).unwrap();
        assert_ne!(made.0, other.0);
    }

    #[test]
    fn what_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "0f", &"0f".repeat(31), &"0f".repeat(33), &"0g".repeat(32), &"\u{e9}".repeat(32)] {
            assert!(matches!(key(dir.path(), text, 0o600), Err(FingerprintError::Form { .. })), "{text}");
        }
        let error = key(dir.path(), &"0f".repeat(32), 0o640).unwrap_err().to_string();
        assert!(error.contains("0640"), "{error}");
        assert!(FingerprintKey::read(&dir.path().join("none")).is_err());
        assert!(FingerprintKey::of_host(&dir.path().join("none/key")).is_err());
    }
}
