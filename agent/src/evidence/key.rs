//! The key that signs heads, and the one that comes after it.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use zeroize::Zeroizing;

use super::head::Head;
use super::note::{self, PublicKey};
use crate::keyfile::{self, KeyFileError};

/// The key in use, beside the store.
const KEY: &str = "signing.key";
/// The key to be used next.
const NEXT: &str = "signing.next.key";

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file.
    #[error("evidence: {0}")]
    File(#[from] KeyFileError),
    /// What is in it.
    #[error("evidence: {} holds no Ed25519 key in PKCS#8 PEM", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
    /// One is waiting already.
    #[error("evidence: {} waits already for the agent to take it over", path.display())]
    Waiting {
        /// Which.
        path: PathBuf,
    },
}

/// Signs heads with the key of a store.
pub struct Signer {
    directory: PathBuf,
    name: String,
    key: SigningKey,
    /// The key that waits for its turn, once it was seen.
    next: Option<SigningKey>,
}

/// Nothing of the key.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key of a store's directory, which is made where there is none. `host` is the `host.id` of its records.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn open(directory: &Path, host: &str) -> Result<Self, KeyError> {
        let path = directory.join(KEY);
        let key = if path.exists() { read(&path)? } else { make(&path)? };
        Ok(Self { directory: directory.to_owned(), name: format!("spoor/{host}"), key, next: None })
    }

    /// By what its signatures are checked.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::new(&self.name, self.key.verifying_key())
    }

    /// Signs a head. Where it names the key that comes next, that one signs too.
    #[must_use]
    pub fn sign(&self, head: &Head) -> String {
        let next = self.next.as_ref().filter(|_| head.next.is_some());
        let keys: Vec<_> =
            [Some(&self.key), next].into_iter().flatten().map(|key| (&*self.name, key)).collect();
        note::sign(&head.text(), &keys)
    }

    /// The key that waits for its turn; read when it is seen first.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn waiting(&mut self) -> Result<Option<PublicKey>, KeyError> {
        let path = self.directory.join(NEXT);
        if self.next.is_none() && path.exists() {
            self.next = Some(read(&path)?);
        }
        Ok(self.next.as_ref().map(|key| PublicKey::new(&self.name, key.verifying_key())))
    }

    /// The key that waits takes the place of this one, which is gone after that. A head must have said so before.
    ///
    /// # Errors
    /// [`KeyError`]; then this one goes on.
    pub fn turn(&mut self) -> Result<(), KeyError> {
        let Some(key) = self.next.take() else { return Ok(()) };
        let path = self.directory.join(KEY);
        let moved =
            fs::rename(self.directory.join(NEXT), &path).and_then(|()| keyfile::sync_directory(&path));
        moved.map_err(|io| KeyFileError::File { what: "replace", path, io })?;
        self.key = key;
        Ok(())
    }
}

/// Makes the key that comes next. The agent takes it over with its next head.
///
/// # Errors
/// [`KeyError::Waiting`] where there is one.
pub fn make_next(directory: &Path) -> Result<(), KeyError> {
    let path = directory.join(NEXT);
    if path.exists() {
        return Err(KeyError::Waiting { path });
    }
    make(&path).map(drop)
}

/// Whether a key waits for its turn.
#[must_use]
pub fn is_waiting(directory: &Path) -> bool {
    directory.join(NEXT).exists()
}

fn make(path: &Path) -> Result<SigningKey, KeyError> {
    let seed = keyfile::random::<32>(path)?;
    let key = SigningKey::from_bytes(&seed);
    let form = |_| KeyError::Form { path: path.to_owned() };
    // The form of 1996, without the public key: every tool reads it.
    let document = ed25519_dalek::pkcs8::KeypairBytes { secret_key: *seed, public_key: None };
    let pem = document.to_pkcs8_pem(LineEnding::LF).map_err(form)?;
    keyfile::write(path, pem.as_bytes())?;
    Ok(key)
}

fn read(path: &Path) -> Result<SigningKey, KeyError> {
    let form = || KeyError::Form { path: path.to_owned() };
    let text = keyfile::read(path)?;
    let text = Zeroizing::new(String::from_utf8(text.to_vec()).map_err(|_| form())?);
    SigningKey::from_pkcs8_pem(&text).map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::super::{Head, Mark, SignedHead};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn head(next: Option<PublicKey>) -> Head {
        Head { host: "3f".into(), end: Mark::NONE, since: Mark::NONE, records: 0, time_ns: 0, next }
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = Signer::open(dir.path(), "3f").unwrap();
        let path = dir.path().join(KEY);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Signer::open(dir.path(), "3f").unwrap().public(), made.public());
        assert!(!format!("{made:?}").contains("key:"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Signer::open(dir.path(), "3f").unwrap_err().to_string().contains("0644"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key\n").unwrap();
        assert!(matches!(Signer::open(dir.path(), "3f"), Err(KeyError::Form { .. })));
    }

    #[test]
    fn the_next_key_signs_with_the_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = Signer::open(dir.path(), "3f").unwrap();
        let first = signer.public();
        assert_eq!(signer.waiting().unwrap(), None);
        make_next(dir.path()).unwrap();
        assert!(matches!(make_next(dir.path()), Err(KeyError::Waiting { .. })));
        let next = signer.waiting().unwrap().unwrap();
        let note = signer.sign(&head(Some(next.clone())));
        let signed = SignedHead::parse(&note).unwrap();
        assert!(signed.note.is_by(&first) && signed.note.is_by(&next));
        signer.turn().unwrap();
        assert!(!is_waiting(dir.path()));
        assert_eq!(signer.public(), next);
        assert_eq!(Signer::open(dir.path(), "3f").unwrap().public(), next);
        let note = signer.sign(&head(None));
        assert!(!SignedHead::parse(&note).unwrap().note.is_by(&first));
    }

    #[test]
    fn another_library_reads_what_is_signed() {
        use signed_note::{Note, StandardVerifier, VerifierList};
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::open(dir.path(), "6f1d2c9e0b7a4f3f9d4c2a1b0e9f8d7c").unwrap();
        let signed = signer.sign(&head(None));
        let verifier = StandardVerifier::new(&signer.public().to_string()).unwrap();
        let verifiers = VerifierList::new(vec![Box::new(verifier)]);
        let note = Note::from_bytes(signed.as_bytes()).unwrap();
        assert_eq!(note.text(), head(None).text().as_bytes());
        let (verified, unverified) = note.verify(&verifiers).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
        let changed = signed.replacen("records 0", "records 1", 1);
        assert!(Note::from_bytes(changed.as_bytes()).unwrap().verify(&verifiers).is_err());
    }
}
