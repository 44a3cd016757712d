//! The chain of hashes: what a record says of the one before it, and what it is worth with all before it.

use std::sync::LazyLock;

use crate::hex;

/// Hash of a record and, through it, of all before it.
pub type Hash = [u8; 32];

/// Hash before the first record of all.
pub const NONE: Hash = [0; 32];

/// Separates these hashes from all others ever made with BLAKE3. Never changes; another rule gets another context.
const CONTEXT: &str = "spoor 2026-01-01 record chain v1";

/// Comes last in a record, so that it is found without reading JSON.
const STAMP: &str = ",\"prev\":\"";

/// The context, hashed once.
static OF_CONTEXT: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));

/// The hash of a record after `before`.
pub(crate) fn next_hash(before: &Hash, body: &[u8]) -> Hash {
    let mut hasher = OF_CONTEXT.clone();
    hasher.update(before);
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

/// A record that says what came before it. One that is no object stays as it is.
pub(crate) fn stamp(body: &[u8], before: &Hash) -> Vec<u8> {
    let Some(open) = body.strip_suffix(b"}") else { return body.to_vec() };
    let mut stamped = Vec::with_capacity(body.len() + STAMP.len() + 66);
    stamped.extend_from_slice(open);
    put_stamp(&mut stamped, before);
    stamped
}

/// What [`stamp`] puts behind a record that is open at its end.
pub(crate) fn put_stamp(open: &mut Vec<u8>, before: &Hash) {
    open.extend_from_slice(STAMP.as_bytes());
    open.extend_from_slice(hex::encode(before).as_bytes());
    open.extend_from_slice(b"\"}");
}

/// A record without that. `None` where it says anything else of what came before it.
pub(crate) fn without_stamp<'a>(body: &'a [u8], before: &Hash) -> Option<&'a [u8]> {
    (stamped(body)? == *before).then_some(())?;
    body.get(..body.len().checked_sub(STAMP.len() + 64 + 2)?)
}

/// The hash before a record, by its own word.
pub(crate) fn stamped(body: &[u8]) -> Option<Hash> {
    let rest = body.strip_suffix(b"\"}")?;
    let (head, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    head.ends_with(STAMP.as_bytes()).then_some(())?;
    unhex(std::str::from_utf8(digits).ok()?)
}

/// The hash of 64 small digits: one hash has one spelling.
pub(crate) fn unhex(digits: &str) -> Option<Hash> {
    let mut hash = NONE;
    let small = !digits.bytes().any(|digit| digit.is_ascii_uppercase());
    (small && hex::decode(digits.as_bytes(), &mut hash)).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_nothing_else_is() {
        let before = next_hash(&NONE, b"{}");
        let stamped_body = stamp(br#"{"v":1,"seq":2}"#, &before);
        assert_eq!(stamped(&stamped_body), Some(before));
        let open = without_stamp(&stamped_body, &before).unwrap();
        assert_eq!(open, br#"{"v":1,"seq":2"#);
        assert_eq!(without_stamp(&stamped_body, &NONE), None, "it says another");
        let mut again = open.to_vec();
        put_stamp(&mut again, &before);
        assert_eq!(again, stamped_body);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&stamped_body).unwrap()["prev"],
            hex::encode(&before)
        );
        for other in [&b"{}"[..], b"", b"\"}", br#"{"v":1,"seq":2}"#] {
            assert_eq!(stamped(other), None);
        }
        let upper = String::from_utf8(stamped_body)
            .unwrap()
            .replace(&hex::encode(&before), &hex::encode(&before).to_uppercase());
        assert_eq!(stamped(upper.as_bytes()), None, "one hash has one spelling");
    }
}
