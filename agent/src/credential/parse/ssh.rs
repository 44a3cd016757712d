//! Binary formats: SSH keys and Kerberos keytabs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Facts;

/// The public half stands in clear before the private one (openssh, PROTOCOL.key). Older forms have none, so nothing is
/// told of them.
pub(super) fn key(text: &str, facts: &mut Facts) {
    let Some((_, rest)) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else {
        return;
    };
    let Some((body, _)) = rest.split_once("-----END") else {
        return;
    };
    let body = body.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let body = Zeroizing::new(body);
    let Ok(bytes) = STANDARD.decode(body.as_bytes()) else {
        return;
    };
    let bytes = Zeroizing::new(bytes);
    let _ = read_key(&bytes, facts);
}

fn read_key(bytes: &[u8], facts: &mut Facts) -> Option<()> {
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let cipher = string(&mut rest)?;
    let _kdf = string(&mut rest)?;
    let _kdf_options = string(&mut rest)?;
    if integer(&mut rest)? == 0 {
        return None;
    }
    let public = string(&mut rest)?;
    let mut inner = public;
    let kind = std::str::from_utf8(string(&mut inner)?).ok()?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'@' | b'.');
    if kind.is_empty() || kind.len() > 64 || !kind.bytes().all(known) {
        return None;
    }
    let fingerprint = STANDARD_NO_PAD.encode(Sha256::digest(public));
    facts.push("fingerprint", &format!("SHA256:{fingerprint}"));
    facts.push("type", kind);
    facts.push("encrypted", if cipher == b"none" { "no" } else { "yes" });
    Some(())
}

fn integer(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn short(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(integer(rest)?).ok()?;
    take(rest, length)
}

/// MIT keytab, version 2: principals, key versions and types, never keys.
pub(super) fn keytab(bytes: &[u8], facts: &mut Facts) {
    let Some(mut rest) = bytes.strip_prefix(&[5, 2]) else {
        return;
    };
    while let Some(size) = integer(&mut rest) {
        // Negative: a hole of that size.
        let size = size.cast_signed();
        let Some(entry) = usize::try_from(size.unsigned_abs()).ok().and_then(|size| take(&mut rest, size))
        else {
            return;
        };
        if size > 0 {
            let _ = keytab_entry(entry, facts);
        }
    }
}

fn keytab_entry(mut entry: &[u8], facts: &mut Facts) -> Option<()> {
    let rest = &mut entry;
    let count = short(rest)?;
    let mut counted = || -> Option<String> {
        let length = usize::from(short(rest)?);
        Some(std::str::from_utf8(take(rest, length)?).ok()?.to_owned())
    };
    let realm = counted()?;
    let mut names = Vec::new();
    for _ in 0..count.min(8) {
        names.push(counted()?);
    }
    let _name_type = integer(rest)?;
    let _time = integer(rest)?;
    let version = *take(rest, 1)?.first()?;
    let kind = short(rest)?;
    facts.push("principal", &format!("{}@{realm}", names.join("/")));
    facts.push("kvno", &version.to_string());
    facts.push("enctype", &kind.to_string());
    Some(())
}
