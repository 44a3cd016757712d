//! SSH keys and certificates. No library: what we want is in clear before the private half, also of encrypted keys, and
//! a library would decode that half as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::{Facts, decode, x509};

/// Most principals of a certificate that are told.
const PRINCIPALS_MAX: usize = 16;
/// How a certificate says that it never ends.
const FOREVER: u64 = u64::MAX;

/// What stands between the lines of `OPENSSH PRIVATE KEY` (openssh, PROTOCOL.key).
pub(super) fn private(body: &str, facts: &mut Facts) {
    let Some(bytes) = decode::base64(body) else {
        return facts.secret(body);
    };
    facts.secrets.push(&bytes);
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
    fingerprint(kind(&mut inner)?, public, facts);
    facts.push("encrypted", if cipher == b"none" { "no" } else { "yes" });
    Some(())
}

/// The name of a type of keys.
fn kind<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let kind = std::str::from_utf8(string(rest)?).ok()?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'@' | b'.');
    (!kind.is_empty() && kind.len() <= 64 && kind.bytes().all(known)).then_some(kind)
}

/// As `ssh-keygen -l` tells it, and the server's log.
fn fingerprint(kind: &str, public: &[u8], facts: &mut Facts) {
    let fingerprint = STANDARD_NO_PAD.encode(Sha256::digest(public));
    facts.push("fingerprint", &format!("SHA256:{fingerprint}"));
    facts.push("type", kind);
}

/// Of a key in another form.
pub(super) fn tell(spki: &[u8], facts: &mut Facts) {
    if let Some((kind, public)) = x509::as_ssh(spki) {
        fingerprint(kind, &public, facts);
    }
}

/// Whether a file holds public keys, one a line, and nothing else.
pub(super) fn is_public(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is = |line: &str| {
        let mut words = line.split_whitespace();
        let (Some(name), Some(body)) = (words.next(), words.next()) else {
            return false;
        };
        let bytes = decode::base64(body);
        bytes.is_some_and(|bytes| kind(&mut bytes.as_slice()) == Some(name))
    };
    let first = lines.next();
    first.is_some_and(is) && lines.all(is)
}

/// A certificate: `TYPE-cert-v01@openssh.com BASE64 COMMENT` (openssh, PROTOCOL.certkeys). It is public; what names it
/// is told where a file holds one.
pub(super) fn certificate(text: &str, facts: &mut Facts) -> Option<()> {
    let line = text.lines().find(|line| line.contains("-cert-v01@openssh.com "))?;
    let body = line.split_once("-cert-v01@openssh.com ")?.1.split_whitespace().next()?;
    let bytes = decode::base64(body)?;
    let mut rest = bytes.as_slice();
    let parts = match kind(&mut rest)?.strip_suffix("-cert-v01@openssh.com")? {
        "ssh-ed25519" => 1,
        "ssh-rsa" | "sk-ssh-ed25519" => 2,
        "sk-ecdsa-sha2-nistp256" => 3,
        "ssh-dss" => 4,
        curve if curve.starts_with("ecdsa-sha2-") => 2,
        _ => return None,
    };
    let _nonce = string(&mut rest)?;
    for _ in 0..parts {
        string(&mut rest)?;
    }
    let serial = long(&mut rest)?;
    let role = integer(&mut rest)?;
    let key_id = std::str::from_utf8(string(&mut rest)?).ok()?;
    let mut principals = string(&mut rest)?;
    let _after = long(&mut rest)?;
    let before = long(&mut rest)?;
    facts.push("key_id", key_id);
    facts.push("serial", &serial.to_string());
    facts.push("role", if role == 2 { "host" } else { "user" });
    for _ in 0..PRINCIPALS_MAX {
        let Some(Ok(principal)) = string(&mut principals).map(std::str::from_utf8) else {
            break;
        };
        facts.push("principal", principal);
    }
    if before != FOREVER {
        facts.ends(i64::try_from(before).ok()?);
    }
    Some(())
}

pub(super) fn integer(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn long(rest: &mut &[u8]) -> Option<u64> {
    let (head, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(u64::from_be_bytes(*head))
}

pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

/// Bytes with their number in front.
pub(super) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(integer(rest)?).ok()?;
    take(rest, length)
}
