//! Where kernels keep their fields: the description of each kernel in `tests/btf/` gives the offsets that stand beside it.
//!
//! `BLESS=1 cargo test -p spoor --test btf` writes the offsets anew; how the descriptions are made is told in
//! `tests/src/bin/trim_btf.rs`.

#[path = "../../tests/src/bin/trim_btf.rs"]
#[expect(dead_code, reason = "its `main` is for the command line")]
mod trim_btf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use spoor::kernel::btf::{Btf, BtfError};
use spoor::kernel::offsets::{Missing, resolve};
use spoor_wire::Offsets;
use spoor_wire::control::ABSENT;

const RUNNING: &str = "/sys/kernel/btf/vmlinux";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/btf")
}

/// Files of the folder with that ending, by what stands before it.
fn files(ending: &str) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let named = entries.filter(|path| path.extension().is_some_and(|found| found == ending));
    named.filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path))).collect()
}

/// Kernel version, as its file is named, and its BTF.
fn fixtures() -> Vec<((u32, u32), Vec<u8>)> {
    let parsed = files("btf").into_iter().filter_map(|(name, path)| {
        let (major, minor) = name.split_once('.')?;
        Some(((major.parse().ok()?, minor.parse().ok()?), std::fs::read(path).ok()?))
    });
    parsed.collect()
}

/// The newest kernel's: what hostile bytes are made of.
fn newest() -> Vec<u8> {
    fixtures().into_iter().max().map(|(_, bytes)| bytes).unwrap_or_default()
}

/// A line a field, from the derived `Debug`, which knows them all.
fn text(offsets: &Offsets) -> String {
    let absent = ABSENT.to_string();
    let lines = format!("{offsets:#?}");
    let fields = lines.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
    fields
        .map(|(name, value)| format!("{name} = {}\n", if value == absent { "absent" } else { value }))
        .collect()
}

fn resolved(bytes: &[u8]) -> Result<Offsets, String> {
    let btf = Btf::parse(bytes).map_err(|error| error.to_string())?;
    resolve(&btf).map_err(|error| error.to_string())
}

/// The same with a name replaced by another of its length, wherever it stands.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "names of one length");
    let (from, to) = (format!("\0{from}\0"), format!("\0{to}\0"));
    let at = bytes.windows(from.len()).rposition(|window| window == from.as_bytes());
    let mut out = bytes.to_vec();
    let at = at.unwrap_or_else(|| unreachable!("{from:?} is a name"));
    out[at..at + to.len()].copy_from_slice(to.as_bytes());
    out
}

/// Parses and resolves whatever it is; gives how long that took.
fn endured(bytes: &[u8]) -> Duration {
    let start = Instant::now();
    if let Ok(btf) = Btf::parse(bytes) {
        drop(resolve(&btf));
    }
    start.elapsed()
}

/// Far more than any needs, far less than a walk that does not end.
const QUICK: Duration = Duration::from_secs(5);

#[test]
fn every_kernel_has_its_golden_offsets() {
    let (kernels, mut goldens) = (files("btf"), files("offsets"));
    assert!(!kernels.is_empty(), "no fixtures in {}", folder().display());
    let mut wrong = Vec::new();
    for (kernel, path) in kernels {
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() < 100_000, "{kernel} is not trimmed: {} bytes", bytes.len());
        let offsets = text(&resolved(&bytes).unwrap_or_else(|error| panic!("{kernel}: {error}")));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path.with_extension("offsets"), &offsets).unwrap();
        }
        let golden = goldens.remove(&kernel).or_else(|| files("offsets").remove(&kernel));
        let golden = golden.map(|golden| std::fs::read_to_string(golden).unwrap());
        if golden.as_deref() != Some(&offsets) {
            wrong.push(format!("{kernel}:\n{offsets}"));
        }
    }
    assert!(wrong.is_empty(), "other than the golden ones (BLESS=1 writes them): {}", wrong.join("\n"));
    assert!(goldens.is_empty(), "offsets of no kernel: {:?}", goldens.keys());
}

#[test]
fn trimming_changes_no_offset() {
    if !Path::new(RUNNING).exists() {
        println!("this kernel does not describe itself: only the fixtures are compared");
        return;
    }
    let full = std::fs::read(RUNNING).unwrap();
    let trimmed = trim_btf::trim(&full).unwrap();
    assert!(trimmed.len() < 100_000, "{} bytes are left", trimmed.len());
    assert_eq!(resolved(&full), resolved(&trimmed));
    assert!(resolved(&full).is_ok(), "{:?}", resolved(&full));
    for (kernel, bytes) in fixtures() {
        assert_eq!(trim_btf::trim(&bytes).unwrap(), bytes, "{kernel:?}: nothing is left to trim");
    }
}

#[test]
fn kernels_differ_where_they_are_known_to() {
    let has = |btf: &Btf<'_>, strukt: &str, member: &str| btf.offset(strukt, member).is_ok();
    for (kernel, bytes) in fixtures() {
        let btf = Btf::parse(&bytes).unwrap();
        let since_6_15 = kernel >= (6, 15);
        assert_eq!(has(&btf, "kernfs_node", "__parent"), since_6_15, "{kernel:?}");
        assert_eq!(has(&btf, "kernfs_node", "parent"), !since_6_15, "{kernel:?}");
        // Wrapped in a union: one place, a constant name and another.
        for (strukt, plain, wrapped) in
            [("file", "f_path.dentry", "__f_path.dentry"), ("dentry", "d_name.name", "__d_name.name")]
        {
            let place = btf.offset(strukt, plain).unwrap();
            let other = btf.offset(strukt, wrapped);
            assert_eq!(other.is_ok(), kernel >= (6, 18), "{kernel:?} {wrapped}");
            assert_eq!(other.unwrap_or(place), place, "{kernel:?} {wrapped}");
        }
        assert!(has(&btf, "task_struct", "start_boottime"), "{kernel:?}: renamed before any of these");
        // Distributions build with audit, IPv6 and the pids controller.
        let absent: Vec<String> = text(&resolve(&btf).unwrap())
            .lines()
            .filter_map(|line| line.strip_suffix(" = absent").map(str::to_owned))
            .collect();
        let expected: &[&str] = if kernel < (5, 12) { &["task__bpf_storage"] } else { &[] };
        assert_eq!(absent, expected, "{kernel:?}");
    }
}

#[test]
fn fields_that_may_be_absent() {
    let bytes = newest();
    let optional = [
        ("loginuid", "loginuix"),
        ("sessionid", "sessionix"),
        ("skc_v6_daddr", "skc_v6_daddx"),
        ("skc_v6_rcv_saddr", "skc_v6_rcv_saddx"),
        ("pids_cgrp_id", "pids_cgrp_ix"),
        ("session_keyring", "session_keyrinx"),
        ("user_keyring_register", "user_keyring_registex"),
    ];
    let bytes = optional.iter().fold(bytes, |bytes, (from, to)| renamed(&bytes, from, to));
    let offsets = resolve(&Btf::parse(&bytes).unwrap()).unwrap();
    let absent = [
        offsets.task__loginuid,
        offsets.task__sessionid,
        offsets.sock__skc_v6_daddr,
        offsets.sock__skc_v6_rcv_saddr,
        offsets.css_set__subsys_pids,
        offsets.cred__session_keyring,
        offsets.user_namespace__user_keyring_register,
    ];
    assert_eq!(absent, [ABSENT; 7]);
    assert_eq!(text(&offsets).matches("absent").count(), 7, "and no other is");
}

#[test]
fn everything_missing_is_named_at_once() {
    let no_member =
        |strukt: &str, member: &str| BtfError::NoMember { strukt: strukt.into(), member: member.into() };
    let bytes = renamed(&newest(), "real_parent", "rexx_parent");
    let bytes = renamed(&bytes, "linux_binprm", "linux_binprx");
    // The old name too is looked for, and is what is told.
    let bytes = renamed(&bytes, "__parent", "__parexx");
    let missing = resolve(&Btf::parse(&bytes).unwrap()).unwrap_err();
    let expected = Missing(vec![
        no_member("task_struct", "real_parent"),
        no_member("kernfs_node", "__parent"),
        BtfError::NoStruct("linux_binprm".into()),
    ]);
    assert_eq!(missing, expected);
    assert_eq!(
        missing.to_string(),
        "this kernel's struct task_struct has no member real_parent; \
         this kernel's struct kernfs_node has no member __parent; this kernel describes no struct linux_binprm"
    );
}

#[test]
fn a_description_of_nothing() {
    let mut bytes = newest();
    bytes.truncate(24);
    bytes[8..24].fill(0);
    let btf = Btf::parse(&bytes).unwrap();
    let missing = resolve(&btf).unwrap_err();
    assert!(missing.0.iter().all(|error| matches!(error, BtfError::NoStruct(_))), "{missing}");
    // All but those that kernels may be built without.
    assert_eq!(missing.0.len(), Offsets::COUNT - 26, "{missing}");
    assert_eq!(btf.size("upid"), Err(BtfError::NoStruct("upid".into())));
    assert_eq!(btf.enum_value("pids_cgrp_id"), Err(BtfError::NoValue("pids_cgrp_id".into())));
}

/// Room for short names in the directory entry: under the newest name of it, and not under one that there is not, or in what is
/// no array.
#[test]
fn an_array_has_its_elements() {
    for ((major, minor), bytes) in fixtures() {
        let btf = Btf::parse(&bytes).unwrap();
        let member = if (major, minor) < (6, 14) { "d_iname" } else { "d_shortname.string" };
        assert!(btf.elements("dentry", member) >= Some(32), "{major}.{minor}");
        for none in ["d_inode", "d_name", "d_name.len", "d_short", ""] {
            assert_eq!(btf.elements("dentry", none), None, "{major}.{minor}: {none}");
        }
        assert_eq!(btf.elements("dentri", member), None);
        let other = renamed(
            &bytes,
            member.split('.').next().unwrap(),
            if member == "d_iname" { "d_inami" } else { "d_shortnamX" },
        );
        assert_eq!(resolve(&Btf::parse(&other).unwrap()).unwrap().dentry__d_iname, ABSENT);
    }
}

#[test]
fn a_bit_field_has_no_offset() {
    let bytes = newest();
    let btf = Btf::parse(&bytes).unwrap();
    let error = BtfError::BitField { strukt: "task_struct".into(), member: "in_iowait".into() };
    assert_eq!(btf.offset("task_struct", "in_iowait"), Err(error));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = newest();
    for len in 0..bytes.len() {
        let error = Btf::parse(&bytes[..len]).err();
        assert!(matches!(error, Some(BtfError::Malformed(_))), "{len} bytes of {}: {error:?}", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..600), headed: bool) {
        let header = [0xeb9f | 1 << 16, 24, 0, 400, 400, 100u32];
        let header: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        if headed {
            bytes.splice(0..0, header);
        }
        prop_assert!(endured(&bytes) < QUICK);
    }

    #[test]
    fn a_few_changed_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = newest();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        prop_assert!(endured(&bytes) < QUICK);
    }

    /// Members that lose their names, types that hold themselves, lengths that lie.
    #[test]
    fn a_few_changed_words(changes in prop::collection::vec((any::<prop::sample::Index>(), 0u32..3000), 1..60)) {
        let mut bytes = newest();
        let words = bytes.len() / 4;
        for (at, to) in changes {
            let at = 4 * at.index(words);
            bytes[at..at + 4].copy_from_slice(&to.to_ne_bytes());
        }
        prop_assert!(endured(&bytes) < QUICK);
    }
}
