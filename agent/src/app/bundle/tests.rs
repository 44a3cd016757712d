use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use flate2::read::GzDecoder;

use super::*;
use crate::record::testing::goldens;
use crate::store::{Retention, Store};

const CONFIG: &str = r#"
# alice asked for this: hunter2
[store]
path = "STORE"
[credentials]
paths = ["/srv/payroll/db.token"]
[[sink]]
name = "frankfurt"
type = "splunk"
url = "https://collector.corp.example:8088"
token_file = "/etc/spoor/hec-hunter2"
"#;

/// A host with a store of every record there is, and a config.
fn host(home: &Path) -> Options {
    let store_path = home.join("store");
    let config_path = home.join("spoor.toml");
    fs::write(&config_path, CONFIG.replace("STORE", &store_path.display().to_string())).unwrap();
    let config = crate::config::load(&config_path).unwrap();
    let keep = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    let mut store = Store::open(&store_path, keep).unwrap();
    let mut seq = 0;
    for mut record in goldens().into_iter().flat_map(|(_, records)| records) {
        seq += 1;
        record.seq = seq;
        store.append(&[record]).unwrap();
    }
    let out = home.join("bundle.tar.gz");
    Options { out, config, config_path: Some(config_path), mask: false, doctor: false }
}

fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(name, text);
    }
    files
}

#[test]
fn what_there_is_is_in_it_and_what_is_missing_is_named() {
    let home = tempfile::tempdir().unwrap();
    let options = host(home.path());
    let manifest = run(&options).unwrap();
    assert_eq!(fs::metadata(&options.out).unwrap().permissions().mode() & 0o777, 0o600);
    let files = unpacked(&options.out);
    assert_eq!(files["spoor-bundle/MANIFEST"], manifest);
    for part in [
        "host.json",
        "config.toml",
        "store.json",
        "sinks.json",
        "coverage.jsonl",
        "gaps.jsonl",
        "heartbeats.jsonl",
    ] {
        let content = &files[&format!("spoor-bundle/{part}")];
        assert!(manifest.contains(part), "{part}");
        assert!(!content.is_empty() || part == "sinks.json", "{part} is empty");
    }
    assert!(manifest.contains("status.json") && manifest.contains("no agent runs"), "{manifest}");
    assert!(manifest.contains("doctor.json") && manifest.contains("MISSING"), "{manifest}");
    assert!(files["spoor-bundle/gaps.jsonl"].lines().all(|line| line.contains("\"gap\"")));
    let config = &files["spoor-bundle/config.toml"];
    assert!(
        config.contains("/srv/payroll/db.token") && config.contains("token_file = \"[masked]\""),
        "{config}"
    );
    assert!(files.values().all(|text| !text.contains("hunter2")), "a comment, or the way to a secret");
    // Nothing is overwritten.
    assert_eq!(run(&options).unwrap_err().code(), 19);
}

#[test]
fn masked_no_name_path_or_address_of_the_host_is_left() {
    let home = tempfile::tempdir().unwrap();
    let options = Options { mask: true, ..host(home.path()) };
    let manifest = run(&options).unwrap();
    let files = unpacked(&options.out);
    let originals = [
        "db7",
        "6f1d2c9e0b7a4f3f9d4c2a1b0e9f8d7c",
        "payroll",
        "frankfurt",
        "corp.example",
        "collector",
        "hec",
        "hunter2",
        "alice",
        "/srv/",
        "/var/",
        "/etc/spoor",
        &home.path().display().to_string(),
    ];
    let machine = nix::unistd::gethostname().unwrap().into_string().unwrap();
    for (name, text) in &files {
        // Letters of a pseudonym may spell a short name: what counts is where it is none of them.
        let hex = |c: char| c.is_ascii_hexdigit();
        for original in originals.iter().copied().chain([machine.as_str()]) {
            let spelt = |at: usize| {
                let before = text[..at].trim_end_matches(hex);
                let after = text[at..].trim_start_matches(hex);
                let whole = &text[before.len()..text.len() - after.len()];
                before.ends_with('-') && whole.len() == 10 && original.chars().all(hex)
            };
            let found = text.match_indices(original).find(|(at, _)| !spelt(*at));
            assert_eq!(found, None, "{original} is in {name}:\n{text}");
        }
        // Four numbers between dots are an address; a version has three at most.
        let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_address = |word: &str| word.split('.').count() == 4 && word.split('.').all(digits);
        let found = text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|word| is_address(word));
        assert_eq!(found, None, "{name}");
    }
    assert!(files["spoor-bundle/gaps.jsonl"].contains("\"type\":\"gap\""));
    assert!(manifest.contains("pseudonyms"));
    // The same name, wherever it stands, is called the same; in another bundle it is not.
    let named = |files: &BTreeMap<String, String>| {
        let first = |file: &str| {
            let text = files[file].lines().next().unwrap().to_owned();
            let value: Value = serde_json::from_str(&text).unwrap();
            value["host"]["name"].as_str().unwrap().to_owned()
        };
        (first("spoor-bundle/gaps.jsonl"), first("spoor-bundle/heartbeats.jsonl"))
    };
    let (one, other) = named(&files);
    assert_eq!(one, other);
    let again = Options { out: home.path().join("again.tar.gz"), ..options };
    run(&again).unwrap();
    assert_ne!(named(&unpacked(&again.out)).0, one);
}

#[test]
fn without_a_store_and_with_a_broken_config_it_says_so() {
    let home = tempfile::tempdir().unwrap();
    let config_path = home.path().join("spoor.toml");
    fs::write(&config_path, "not = toml = hunter2").unwrap();
    let mut config = Config::default();
    config.store.path = home.path().join("none");
    let out = home.path().join("bundle.tar.gz");
    let manifest = run(&Options { out, config, config_path: Some(config_path), mask: false, doctor: false });
    let manifest = manifest.unwrap();
    assert!(manifest.contains("it is no TOML") && manifest.contains("there is no store"), "{manifest}");
    assert!(!manifest.contains("hunter2"));
}
