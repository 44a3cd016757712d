//! Agents that do without a technique, each without one, for `bench overhead --without`, which shows what each technique brings.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::probes::LeftOut;
use crate::{build, paths, probes};

/// Techniques that the probes can be built without (features of agent-ebpf).
pub(crate) const TECHNIQUES: [&str; 5] = ["batching", "filter", "sieve", "lanes", "told-once"];

/// Techniques by their names, with commas between them.
pub(crate) fn parse(names: &str) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in names.split(',') {
        let known = TECHNIQUES.into_iter().find(|technique| *technique == name);
        let known = known.with_context(|| {
            format!("there is no technique {name:?}; there are {}", TECHNIQUES.join(", "))
        })?;
        ensure!(!found.contains(&known), "{known} is named twice");
        found.push(known);
    }
    Ok(found)
}

/// Builds an agent without each; gives how it is called in a guest, and where it is. All are built as the one that ships, and
/// before it, in the same folder, so that it is what remains there.
pub(crate) fn agents(without: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let agent = |technique: &&str| {
        let object = probes::build(LeftOut::Technique(technique))?;
        let built = build::agent_with(&object, &paths::static_target())?;
        let called = format!("spoor-without-{technique}");
        let kept = paths::target().join("without").join(&called);
        fs::create_dir_all(paths::target().join("without"))?;
        fs::copy(&built, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
        Ok((called, kept))
    };
    without.iter().map(agent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_known_and_named_once() {
        assert_eq!(parse("sieve").unwrap(), ["sieve"]);
        assert_eq!(parse("told-once,lanes").unwrap(), ["told-once", "lanes"]);
        for wrong in ["", "siev", "sieve,", "sieve,sieve"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_probes_can_be_built_without_each() {
        let manifest = fs::read_to_string(paths::root().join("agent-ebpf/Cargo.toml")).unwrap();
        let features =
            manifest.lines().filter_map(|line| line.strip_prefix("without-")?.strip_suffix(" = []"));
        assert_eq!(features.collect::<Vec<_>>(), TECHNIQUES);
    }
}
