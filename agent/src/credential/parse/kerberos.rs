//! Kerberos: keytabs and tickets, as MIT writes them.

use super::Facts;
use super::ssh::{integer, string, take};

/// Most parts of a principal's name.
const NAMES_MAX: u16 = 8;
/// Most tickets of a cache that are looked at.
const TICKETS_MAX: usize = 64;

fn short(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
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
    let mut counted = || -> Option<&str> {
        let length = usize::from(short(rest)?);
        std::str::from_utf8(take(rest, length)?).ok()
    };
    let realm = counted()?;
    let mut names = Vec::new();
    for _ in 0..count.min(NAMES_MAX) {
        names.push(counted()?);
    }
    let _name_type = integer(rest)?;
    let _time = integer(rest)?;
    let version = *take(rest, 1)?.first()?;
    let kind = short(rest)?;
    let length = usize::from(short(rest)?);
    facts.secrets.push(take(rest, length)?);
    facts.push("principal", &format!("{}@{realm}", names.join("/")));
    facts.push("kvno", &version.to_string());
    facts.push("enctype", &kind.to_string());
    Some(())
}

/// A cache of tickets, version 4: whose they are, for whom, and when they end; never session keys.
pub(super) fn ccache(bytes: &[u8], facts: &mut Facts) {
    let _ = read_ccache(bytes, facts);
}

fn read_ccache(bytes: &[u8], facts: &mut Facts) -> Option<()> {
    let mut rest = bytes.strip_prefix(&[5, 4])?;
    let header = usize::from(short(&mut rest)?);
    take(&mut rest, header)?;
    facts.push("principal", &principal(&mut rest)?);
    for _ in 0..TICKETS_MAX {
        ticket(&mut rest, facts)?;
    }
    Some(())
}

fn principal(rest: &mut &[u8]) -> Option<String> {
    let _name_type = integer(rest)?;
    let count = integer(rest)?;
    let realm = std::str::from_utf8(string(rest)?).ok()?;
    let mut names = Vec::new();
    for _ in 0..count {
        let name = std::str::from_utf8(string(rest)?).ok()?;
        if names.len() < usize::from(NAMES_MAX) {
            names.push(name);
        }
    }
    Some(format!("{}@{realm}", names.join("/")))
}

fn ticket(rest: &mut &[u8], facts: &mut Facts) -> Option<()> {
    let _client = principal(rest)?;
    let server = principal(rest)?;
    let _key_type = short(rest)?;
    let key = string(rest)?;
    let [_asked, _from, until, _renew] = [integer(rest)?, integer(rest)?, integer(rest)?, integer(rest)?];
    let _skey_and_flags = take(rest, 5)?;
    // Addresses, and data of authorisation.
    for _ in 0..2 {
        for _ in 0..integer(rest)? {
            let _kind = short(rest)?;
            string(rest)?;
        }
    }
    let (ticket, _second) = (string(rest)?, string(rest)?);
    // The cache's own notes are no tickets.
    if !server.ends_with("@X-CACHECONF:") {
        facts.secrets.push(key);
        facts.secrets.push(ticket);
        facts.push("server", &server);
        facts.ends(until.into());
    }
    Some(())
}
