//! Every capture in tests/golden/replay gives the records beside it, on whatever host this runs. `BLESS=1` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use spoor::app::replay::{Outcome, To, run};
use spoor::store::Reader;

/// Where lines are collected.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn captures() -> Vec<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/replay");
    let all = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let mut captures: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|end| end == "spoor")).collect();
    captures.sort();
    captures
}

fn replayed(capture: &Path) -> (Outcome, String) {
    let lines = Lines::default();
    let outcome = run(capture, To::Lines(Box::new(lines.clone()))).unwrap();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (outcome, text)
}

#[test]
fn every_capture_gives_the_records_beside_it() {
    assert!(!captures().is_empty());
    for capture in captures() {
        let (outcome, records) = replayed(&capture);
        assert!(outcome.whole(), "{}:\n{}", capture.display(), outcome.text());
        let golden = capture.with_extension("jsonl");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &records).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap();
        let differs = expected.lines().zip(records.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{}", capture.display());
        assert_eq!(expected.lines().count(), records.lines().count(), "{}", capture.display());
        assert_eq!(replayed(&capture).1, records, "a second time");
    }
}

#[test]
fn a_store_of_a_replay_holds_the_same_lines_and_is_never_one_that_is_there() {
    for capture in captures() {
        let (outcome, records) = replayed(&capture);
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("store");
        run(&capture, To::Store(directory.clone())).unwrap();
        let stored = Reader::open(&directory).unwrap().after(0, usize::MAX).unwrap();
        let lines: String =
            stored.into_iter().map(|one| String::from_utf8(one.body).unwrap() + "\n").collect();
        if outcome.header.before == [0; 32] {
            assert_eq!(lines, records);
        }
        let again = run(&capture, To::Store(directory)).unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
        assert_eq!(again.code(), 1);
    }
}

#[test]
fn what_is_no_capture_is_refused_with_its_name() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("x.spoor");
    for (bytes, why) in [(&b"hello"[..], "no capture"), (b"spoor capture\n", "ends before its header")] {
        fs::write(&file, bytes).unwrap();
        let error = run(&file, To::Lines(Box::new(std::io::sink()))).unwrap_err();
        assert!(error.to_string().contains(why) && error.to_string().contains("x.spoor"), "{error}");
        assert_eq!(error.code(), 1);
    }
    let error = run(&home.path().join("none"), To::Lines(Box::new(std::io::sink()))).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
