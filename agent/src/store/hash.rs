//! The chain of hashes.

/// Hash of a record and, through it, of all before it.
pub type Hash = [u8; 32];

/// Hash before the first record of all.
pub(super) const NONE: Hash = [0; 32];

/// Separates these hashes from all others ever made with BLAKE3. Never changes; another rule gets another context.
pub(super) const CONTEXT: &str = "spoor 2026-01-01 record chain v1";

/// The hash of a record after `before`.
pub(super) fn next(before: &Hash, body: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(before);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}
