//! The licences of what we link, and how often the same crate is in the tree in two versions.
//!
//! A check of our own over `cargo metadata`: building cargo-deny takes minutes on two cores, and all we ask of it is this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::paths;
use crate::sh::{Cmd, step};
use crate::spdx::Expression;

/// deny.toml, as far as we read it.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: BTreeSet<String>,
}

/// A package in the tree.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// Where its manifest lies.
    pub(crate) folder: PathBuf,
    /// Those without a source are our own.
    pub(crate) ours: bool,
}

/// Every package in the tree.
pub(crate) fn tree() -> Result<Vec<Package>> {
    let metadata = Cmd::cargo().args(["metadata", "--format-version", "1", "--locked"]).read()?;
    packages(&serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?)
}

pub(crate) fn check() -> Result<()> {
    let path = paths::root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rules: Rules = toml::from_str(&text).with_context(|| format!("{} is not sound", path.display()))?;
    let packages = tree()?;
    step!("licences: {} packages against deny.toml", packages.len());
    for line in duplicates(&packages) {
        eprintln!("warning: {line}");
    }
    let refused = refused(&packages, &rules.licenses.allow);
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow:\n  {}", refused.join("\n  "));
    }
    Ok(())
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let all = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |value: &Value| {
        let name = text(&value["name"]).context("a package has a name")?;
        let version = text(&value["version"]).context("a package has a version")?;
        let manifest = text(&value["manifest_path"]).context("a package has a manifest")?;
        let folder = Path::new(&manifest).parent().context("a manifest has a folder")?.to_owned();
        Ok(Package {
            name,
            version,
            licence: text(&value["license"]),
            folder,
            ours: value["source"].is_null(),
        })
    };
    all.iter().map(package).collect()
}

/// One line for each package whose licence we may not link.
fn refused(packages: &[Package], allow: &BTreeSet<String>) -> Vec<String> {
    let accept = |name: &str| allow.contains(name);
    let judge = |package: &Package| {
        let Package { name, version, licence, .. } = package;
        let Some(licence) = licence else {
            return Some(format!("{name} {version}: names no licence"));
        };
        match Expression::parse(licence) {
            Ok(expression) if expression.satisfied(&accept) => None,
            Ok(_) => Some(format!("{name} {version}: {licence}")),
            Err(error) => Some(format!("{name} {version}: cannot read `{licence}`: {error}")),
        }
    };
    packages.iter().filter_map(judge).collect()
}

/// Crates that are there in several versions: worth knowing, rarely ours to mend, hence a warning.
fn duplicates(packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| {
            format!("{name} is in the tree {} times: {}", versions.len(), versions.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, licence: Option<&str>) -> Package {
        let (name, version, licence) = (name.to_owned(), version.to_owned(), licence.map(str::to_owned));
        Package { name, version, licence, folder: PathBuf::new(), ours: false }
    }

    #[test]
    fn a_licence_that_is_not_listed_is_refused() {
        let allow = BTreeSet::from(["MIT".to_owned()]);
        assert!(refused(&[package("a", "1.0.0", Some("MIT OR GPL-2.0-only"))], &allow).is_empty());
        assert_eq!(
            refused(&[package("a", "1.0.0", Some("GPL-2.0-only"))], &allow),
            ["a 1.0.0: GPL-2.0-only"]
        );
        assert_eq!(refused(&[package("a", "1.0.0", None)], &allow), ["a 1.0.0: names no licence"]);
        assert_eq!(refused(&[package("a", "1.0.0", Some("see file"))], &allow).len(), 1);
    }

    #[test]
    fn two_versions_are_one_warning() {
        let packages =
            [package("syn", "1.0.0", None), package("syn", "2.0.0", None), package("log", "0.4.0", None)];
        assert_eq!(duplicates(&packages), ["syn is in the tree 2 times: 1.0.0, 2.0.0"]);
    }

    #[test]
    fn metadata_is_read() {
        let metadata = serde_json::json!({"packages": [
            {"name": "a", "version": "1.0.0", "license": "MIT", "manifest_path": "/a/Cargo.toml", "source": null}
        ]});
        let packages = packages(&metadata).unwrap();
        assert_eq!((packages[0].name.as_str(), packages[0].licence.as_deref()), ("a", Some("MIT")));
        assert_eq!((packages[0].folder.as_path(), packages[0].ours), (Path::new("/a"), true));
    }
}
