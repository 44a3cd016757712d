//! The licences of what is linked into the binary. All of them ask that their text goes along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::licences::{self, Package};
use crate::paths::HOST_TRIPLE;
use crate::sh::Cmd;
use anyhow::{Context, Result, bail};

/// How licences, and what must be kept of notices, are called.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "COPYRIGHT"];

/// One text: each package that is linked, with its licence, then each licence's words once with the packages they came with.
pub(super) fn texts() -> Result<String> {
    let linked = linked()?;
    let mut list = BTreeSet::new();
    // Words, and what they came with.
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in licences::tree()? {
        let Package { name, version, licence, folder, ours } = package;
        if ours || !linked.contains(&(name.clone(), version.clone())) {
            continue;
        }
        let name = format!("{name} {version}");
        list.insert(format!("{name}: {}", licence.unwrap_or_default()));
        for found in beside(&folder)? {
            words.entry(found).or_default().insert(name.clone());
        }
    }
    if list.len() < 10 {
        bail!("only {} packages are said to be linked: what `cargo tree` prints was misread", list.len());
    }
    let mut out = "What the spoor binary holds of other makers, and under which licences.\n\n".to_owned();
    out.extend(list.iter().map(|line| format!("{line}\n")));
    // By the first package, so that a reader finds them.
    let mut words: Vec<(BTreeSet<String>, String)> = words.into_iter().map(|(text, of)| (of, text)).collect();
    words.sort();
    for (of, text) in words {
        let of: Vec<String> = of.into_iter().collect();
        out += &format!("\n{}\n{}\n\n{}\n", "-".repeat(80), of.join(", "), text.trim_end());
    }
    Ok(out)
}

/// Name and version of every package that is linked into the agent; those that only build it are not.
fn linked() -> Result<BTreeSet<(String, String)>> {
    let tree = Cmd::cargo()
        .args(["tree", "--locked", "-p", "spoor", "-e", "normal", "--target", HOST_TRIPLE])
        .args(["--prefix", "none", "--format", "{p}"])
        .read()?;
    Ok(tree.lines().filter_map(name_and_version).collect())
}

/// Out of "name v1.2.3 (more)".
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

/// The texts that lie beside a manifest.
fn beside(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|known| name.starts_with(known)) {
            let bytes = fs::read(entry.path())?;
            found.push(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_a_tree() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(name_and_version("clap v4.6.9"), pair("clap", "4.6.9"));
        assert_eq!(name_and_version("clap_derive v4.6.1 (proc-macro) (*)"), pair("clap_derive", "4.6.1"));
        assert_eq!(name_and_version(""), None);
    }

    #[test]
    fn a_library_that_is_linked_is_listed_with_its_words() {
        let texts = texts().unwrap();
        assert!(texts.contains("\nclap 4") && texts.contains("Permission is hereby granted"));
        assert!(!texts.contains("\nproptest "), "what only tests use is not in the binary");
        assert!(!texts.contains("spoor-wire"), "ours is not another's");
    }
}
