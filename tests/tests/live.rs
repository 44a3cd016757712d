//! The suite on the running kernel, in a cgroup of its own: whoever else works on this host is not watched.
#![cfg(feature = "live")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use spoor_tests::{Place, Scope, suite};

/// A cgroup that goes when the test does.
struct OwnCgroup(PathBuf);

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // Refused only while a process is in it, and then it must stay.
        drop(fs::remove_dir(&self.0));
    }
}

fn hierarchy() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let line =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a cgroup v2 hierarchy is mounted");
    line.split(' ').nth(4).expect("a mount has a place").into()
}

fn run(name: &str) {
    let (_, case) = suite::CASES.iter().find(|(case, _)| *case == name).expect("the case exists");
    let work = tempfile::Builder::new().prefix("spoor-live-").tempdir().expect("a directory for the test");
    // Other users act in it.
    fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("its own directory");
    let path = format!("/spoor-live-{}-{name}", std::process::id());
    let group = OwnCgroup(hierarchy().join(path.trim_start_matches('/')));
    fs::create_dir(&group.0).expect("root may make a cgroup");
    let place = Place {
        spoor: std::env::var_os("SPOOR_BIN").map_or_else(default_binary, PathBuf::from),
        act: env!("CARGO_BIN_EXE_spoor-act").into(),
        work: work.path().into(),
        cell: None,
        scope: Some(Scope { directory: group.0.clone(), path }),
        tiers: (expected("SPOOR_OPEN_TIER"), expected("SPOOR_CONNECT_TIER")),
        forced: Vec::new(),
    };
    if let Err(error) = case(&place) {
        panic!("{name}: {error:#}");
    }
}

fn default_binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/spoor")
}

/// What this kernel should allow: trampolines where it has them, unless the environment says otherwise.
fn expected(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| spoor_tests::tier_of_this_kernel().to_owned())
}

macro_rules! live {
    ($($test:ident => $name:literal),+ $(,)?) => { $(#[test] fn $test() { run($name); })+
        #[test]
        fn every_case_is_run() {
            let here = [$($name),+];
            let missing: Vec<&str> = suite::CASES.iter().map(|(name, _)| *name).filter(|name| !here.contains(name)).collect();
            assert!(missing.is_empty(), "not run here: {missing:?}");
        }
    };
}

live! {
    scenario => "scenario",
    tiers => "tiers",
    outcomes => "outcomes",
    rename_over => "rename-over",
    own_kind => "own-kind",
    written => "written",
    threads => "threads",
    daemon => "daemon",
    crowd => "crowd",
    signal => "signal",
    script => "script",
    inventory => "inventory",
    findings => "findings",
    status => "status",
    reload => "reload",
    handover => "handover",
    replay => "replay",
    balance => "balance",
    flood => "flood",
    ceiling => "ceiling",
    noisy => "noisy",
    together => "together",
    doctor => "doctor",
    second_instance => "second-instance",
    evidence => "evidence",
    killed => "killed",
    purposes => "purposes",
    refused_hosts => "refused-hosts",
    refused_words => "refused-words",
    full_disk => "full-disk",
    disk_fills => "disk-fills",
    secrets => "secrets",
    uses => "uses",
    twins => "twins",
    silence => "silence",
    routes => "routes",
    verifier => "verifier",
}
