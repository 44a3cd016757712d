//! Replays what the fuzz targets have been fed: every file in `tests/fuzz/corpus/TARGET/`.

#[path = "../../tests/fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "public in the package of the fuzz targets")]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 13] = [
    ("argv", targets::argv),
    ("btf", targets::btf),
    ("capture", targets::capture),
    ("catalogue", targets::catalogue),
    ("config", targets::config),
    ("credential", targets::credential),
    ("decode", targets::decode),
    ("dns", targets::dns),
    ("environ", targets::environ),
    ("evidence", targets::evidence),
    ("pack", targets::pack),
    ("purpose", targets::purpose),
    ("tls", targets::tls),
];

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    entries(folder).iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

#[test]
fn every_seed_is_endured() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&home.join("corpus")), known, "a corpus for every target, a target for every corpus");
    assert_eq!(names(&home.join("fuzz_targets")), known, "and every target is here");
    for (name, target) in TARGETS {
        let seeds = entries(&home.join("corpus").join(name));
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            println!("{}", seed.display());
            target(&fs::read(seed).unwrap());
        }
    }
}
