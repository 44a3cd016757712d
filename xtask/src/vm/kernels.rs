//! Getting the test kernels: from Debian, unpacked, never installed, kept in target/vm/kernels.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::matrix::Kernel;
use super::modules;
use crate::apt::{Mirrors, PrivateApt};
use crate::paths;
use crate::sh::{Cmd, step};

/// Fetches what is not there yet, or everything that has become newer when `refresh` is set.
pub(super) fn fetch(kernels: &[Kernel], refresh: bool) -> Result<()> {
    let wanted: Vec<&Kernel> = kernels.iter().filter(|kernel| refresh || !complete(kernel)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    step!("vm: reading the package lists of the suites that have the kernels");
    let mirrors = Mirrors::find()?;
    let apt = PrivateApt::new(&folder().with_file_name("apt"), &sources(&wanted, &mirrors))?;
    apt.update()?;
    for kernel in wanted {
        fetch_one(kernel, &apt).with_context(|| format!("cannot get kernel {}", kernel.name))?;
    }
    Ok(())
}

/// The image of a kernel that was fetched before.
pub(super) fn image(kernel: &Kernel) -> Result<PathBuf> {
    let folder = folder().join(&kernel.name);
    let mut entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.find(|path| path.is_file()).with_context(|| format!("no kernel in {}", folder.display()))
}

/// Where the modules of a kernel lie that were fetched with it.
pub(super) fn modules(kernel: &Kernel) -> PathBuf {
    folder().join(&kernel.name).join("modules")
}

fn complete(kernel: &Kernel) -> bool {
    image(kernel).is_ok() && modules::complete(&modules(kernel), kernel)
}

fn folder() -> PathBuf {
    paths::target().join("vm/kernels")
}

fn sources(kernels: &[&Kernel], mirrors: &Mirrors) -> String {
    let mut suites: Vec<&str> = kernels.iter().map(|kernel| kernel.suite.as_str()).collect();
    suites.sort_unstable();
    suites.dedup();
    let line = |suite: &str| {
        let mirror = if suite.ends_with("-security") { &mirrors.security } else { &mirrors.main };
        format!("deb [arch=amd64] {mirror} {suite} main\n")
    };
    suites.into_iter().map(line).collect()
}

/// Unpacks beside the final place and renames the folder, which then holds one file named by package and version, and the
/// modules.
fn fetch_one(kernel: &Kernel, apt: &PrivateApt) -> Result<()> {
    let package = apt.newest(&kernel.package)?;
    let name = format!("{package}_{}", apt.version(&package)?.replace(':', "_"));
    let place = folder().join(&kernel.name);
    if place.join(&name).is_file() && complete(kernel) {
        return Ok(());
    }
    step!("vm: fetching {name}");
    let work = folder().with_file_name(format!("fetch-{}", kernel.name));
    drop(fs::remove_dir_all(&work)); // what an interrupted run left
    let (download, tree, ready) = (work.join("download"), work.join("tree"), work.join("ready"));
    for folder in [&download, &tree, &ready] {
        fs::create_dir_all(folder)?;
    }
    unpack(apt, &package, &download, &tree)?;
    if let (Some(pattern), false) = (&kernel.modules_package, kernel.modules.is_empty()) {
        unpack(apt, &companion(&kernel.package, &package, pattern)?, &work.join("more"), &tree)?;
    }
    let found = find(&tree, &kernel.image).with_context(|| format!("{package} has no {}", kernel.image))?;
    fs::rename(&found, ready.join(&name))?;
    modules::take(&tree, kernel, &ready.join("modules"))?;
    fs::create_dir_all(folder())?;
    drop(fs::remove_dir_all(&place)); // the older version, if any
    fs::rename(&ready, &place)?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))
}

/// Downloads a package into a folder of its own and unpacks it into a tree.
fn unpack(apt: &PrivateApt, package: &str, download: &Path, tree: &Path) -> Result<()> {
    fs::create_dir_all(download)?;
    let deb = apt.download(package, download)?;
    Cmd::new("dpkg-deb").arg("-x").arg(&deb).arg(tree).advice("is the download whole?").run()
}

/// The package of the same number as one that fits another pattern.
fn companion(pattern: &str, package: &str, wanted: &str) -> Result<String> {
    let (prefix, suffix) =
        pattern.split_once("{}").context("a package pattern has {} where the number moves")?;
    let number = package.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
    Ok(wanted.replace("{}", number.with_context(|| format!("{package} does not fit {pattern}"))?))
}

/// The first file below a folder that fits a path with at most one `*` in each component.
fn find(tree: &Path, pattern: &str) -> Option<PathBuf> {
    let Some((first, rest)) = pattern.split_once('/') else {
        return children(tree, pattern).find(|path| path.is_file());
    };
    children(tree, first).find_map(|path| find(&path, rest))
}

fn children(folder: &Path, pattern: &str) -> impl Iterator<Item = PathBuf> {
    let fits = move |name: &str| match pattern.split_once('*') {
        Some((prefix, suffix)) => {
            name.len() >= prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix)
        }
        None => name == pattern,
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(move |entry| fits(&entry.file_name().to_string_lossy())).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_found_by_its_pattern() {
        let scratch = paths::Scratch::new("kernels");
        let modules = scratch.0.join("usr/lib/modules/7.2.1+deb14-cloud-amd64");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("vmlinuz"), b"kernel").unwrap();
        assert_eq!(find(&scratch.0, "usr/lib/modules/*/vmlinuz"), Some(modules.join("vmlinuz")));
        assert_eq!(find(&scratch.0, "boot/vmlinuz-*"), None);
    }

    #[test]
    fn modules_come_from_the_package_of_the_same_number() {
        let found = companion("binary-7.2.{}+deb14", "binary-7.2.12+deb14", "modules-7.2.{}+deb14-cloud");
        assert_eq!(found.unwrap(), "modules-7.2.12+deb14-cloud");
        assert!(companion("binary-{}", "image-1", "modules-{}").is_err());
    }

    #[test]
    fn security_suites_come_from_the_security_archive() {
        let kernel = |suite: &str| Kernel::for_test(suite);
        let (old, new, again) = (kernel("bullseye-security"), kernel("forky"), kernel("forky"));
        let mirrors = Mirrors {
            main: "http://m.example/debian".to_owned(),
            security: "http://s.example/sec".to_owned(),
        };
        assert_eq!(
            sources(&[&old, &new, &again], &mirrors),
            "deb [arch=amd64] http://s.example/sec bullseye-security main\n\
             deb [arch=amd64] http://m.example/debian forky main\n"
        );
    }
}
