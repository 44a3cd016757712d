//! The common id of a process follows from the boot, its start and its number, which stand beside it. Half of what cannot be
//! foreseen in a record are such ids, so they are left out: `"id":"=","pid":7,"start_ns":1`.

use memchr::memmem;

use super::super::Flaw;
use super::json::{UUID, uuid};
use crate::record::process_id;

/// What stands before an id, and behind it.
const ID: &[u8] = b"\"id\":\"";
const PID: &[u8] = b"\",\"pid\":";
const START: &[u8] = b",\"start_ns\":";
const BOOT: &[u8] = b"\"boot_id\":\"";
/// An id that follows from what stands behind it.
const FOLLOWS: &[u8] = b"\"id\":\"=\"";

/// A record without the ids that follow. `None`: it has something in it that is such an id.
pub(super) fn without(record: &[u8]) -> Option<Vec<u8>> {
    memmem::find(record, FOLLOWS).is_none().then_some(())?;
    let (mut short, mut from) = (Vec::with_capacity(record.len()), 0);
    if let Some(boot) = boot(record) {
        for id in memmem::find_iter(record, ID).map(|at| at + ID.len()) {
            let text = record.get(id..id + UUID).unwrap_or_default();
            let rest = record.get(id + UUID..).unwrap_or_default();
            if following(boot, rest).is_some_and(|id| id.as_bytes() == text) {
                short.extend_from_slice(record.get(from..id).unwrap_or_default());
                short.push(b'=');
                from = id + UUID;
            }
        }
    }
    short.extend_from_slice(record.get(from..).unwrap_or_default());
    Some(short)
}

/// Puts them back, behind what there is.
pub(super) fn with(short: &[u8], whole: &mut Vec<u8>) -> Result<(), Flaw> {
    let (mut from, mut of) = (0, None);
    for at in memmem::find_iter(short, FOLLOWS).map(|at| at + ID.len()) {
        of = of.or_else(|| boot(short));
        let rest = short.get(at + 1..).unwrap_or_default();
        let id = of.and_then(|boot| following(boot, rest)).ok_or(Flaw::Coded)?;
        whole.extend_from_slice(short.get(from..at).unwrap_or_default());
        whole.extend_from_slice(id.as_bytes());
        from = at + 1;
    }
    whole.extend_from_slice(short.get(from..).unwrap_or_default());
    Ok(())
}

/// The boot that a record is of.
fn boot(record: &[u8]) -> Option<[u8; 16]> {
    let at = memmem::find(record, BOOT)? + BOOT.len();
    uuid(record.get(at..at + UUID)?)
}

/// The id of the process that is told of there.
fn following(boot: [u8; 16], rest: &[u8]) -> Option<String> {
    let (pid, rest) = number(rest.strip_prefix(PID)?)?;
    let (start_ns, _) = number(rest.strip_prefix(START)?)?;
    Some(process_id(boot, start_ns, u32::try_from(pid).ok()?))
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let many = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(many)?;
    Some((str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT_ID: &str = r#""boot_id":"07070707-0707-0707-0707-070707070707""#;

    fn again(record: &str) -> usize {
        let short = without(record.as_bytes()).unwrap();
        let mut whole = b"before".to_vec();
        with(&short, &mut whole).unwrap();
        assert_eq!(whole, ["before", record].concat().as_bytes());
        short.len()
    }

    #[test]
    fn ids_that_follow_are_left_out_and_put_back() {
        let id = |pid, start_ns| process_id([7; 16], start_ns, pid);
        let process =
            |id: String, pid: u32| format!(r#"{{"id":"{id}","pid":{pid},"start_ns":123456789,"exe":"/x"}}"#);
        let of = |process: &str| {
            format!(r#"{{"host":{{"id":"h",{BOOT_ID}}},"process":{process},"root":{process}}}"#)
        };
        let fits = of(&process(id(9, 123_456_789), 9));
        assert_eq!(again(&fits), fits.len() - 2 * (UUID - 1));
        // Of another process, of another boot, and of a record that names none.
        let other = of(&process(id(8, 123_456_789), 9));
        assert_eq!(again(&other), other.len());
        for record in
            [fits.replace("0707-", "0708-"), fits.replace("boot_id", "boot"), "{}".to_owned(), String::new()]
        {
            assert_eq!(again(&record), record.len());
        }
    }

    #[test]
    fn what_follows_from_nothing_is_refused() {
        assert_eq!(without(br#"{"id":"="}"#), None);
        let refused = |short: String| with(short.as_bytes(), &mut Vec::new());
        let of = |rest: &str| format!(r#"{{{BOOT_ID},"id":"="{rest}}}"#);
        assert_eq!(refused(of(r#","pid":1,"start_ns":2"#)), Ok(()));
        for rest in [
            "",
            r#","pid":1"#,
            r#","pid":,"start_ns":2"#,
            r#","pid":4294967296,"start_ns":2"#,
            r#","pid":-1,"start_ns":2"#,
        ] {
            assert_eq!(refused(of(rest)), Err(Flaw::Coded), "{rest}");
        }
        assert_eq!(refused(r#"{"id":"=","pid":1,"start_ns":2}"#.to_owned()), Err(Flaw::Coded));
    }
}
