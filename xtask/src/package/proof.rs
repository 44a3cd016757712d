//! What can be said about packages without installing them on a running system: they are the same bytes each time, hold the
//! same files, and rpm's own tools install, check and remove theirs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{deb, folder, fresh, rpm};
use crate::sh::{Cmd, is_root, step, which};

/// Makes both packages twice and compares.
pub(crate) fn prove(agent: &Path) -> Result<()> {
    let debian = twice(|| deb(agent, 1))?;
    let redhat = twice(|| rpm(agent, 1))?;
    let (debian, redhat) = (files_of_deb(&debian)?, (files_of_rpm(&redhat)?, redhat));
    ensure!(
        debian == redhat.0,
        "the packages hold other files: {:?}",
        debian.symmetric_difference(&redhat.0).collect::<Vec<_>>()
    );
    // rpm changes its root, which root may.
    if is_root() {
        install(&redhat.1)?;
    } else {
        step!("package: not root, so the rpm is not installed anywhere");
    }
    Ok(())
}

fn twice(make: impl Fn() -> Result<PathBuf>) -> Result<PathBuf> {
    let first = fs::read(make()?)?;
    let path = make()?;
    if fs::read(&path)? != first {
        bail!("{} is not the same bytes when it is made again", path.display());
    }
    Ok(path)
}

/// The files of a package, in one spelling for both families.
fn files(list: &str) -> BTreeSet<String> {
    let paths = list.lines().map(|line| line.trim_start_matches(['.', '/']));
    let paths = paths.map(|path| {
        path.strip_prefix("usr/lib/").map_or_else(|| path.to_owned(), |rest| format!("lib/{rest}"))
    });
    paths.map(|path| path.replace("zsh/vendor-completions", "zsh/site-functions")).collect()
}

fn files_of_deb(package: &Path) -> Result<BTreeSet<String>> {
    // Directories end in a slash.
    let list =
        Cmd::new("sh").args(["-c", "dpkg-deb --fsys-tarfile \"$0\" | tar --list"]).arg(package).read()?;
    let list: Vec<&str> = list.lines().filter(|line| !line.ends_with('/')).collect();
    Ok(files(&list.join("\n")))
}

fn files_of_rpm(package: &Path) -> Result<BTreeSet<String>> {
    let list = query(package, "[%{FILEMODES:perms} %{FILENAMES}\n]")?;
    let list: Vec<&str> = list
        .lines()
        .filter(|line| !line.starts_with('d'))
        .filter_map(|line| line.split_once(' '))
        .map(|l| l.1)
        .collect();
    Ok(files(&list.join("\n")))
}

fn query(package: &Path, format: &str) -> Result<String> {
    Cmd::new("rpm")
        .args(["--query", "--package", "--nosignature", "--queryformat", format])
        .arg(package)
        .read()
}

/// By rpm's own tools, into an empty root with a shell in it for the scriptlets.
fn install(package: &Path) -> Result<()> {
    let root = fresh("rpm-root")?;
    let busybox = which("busybox").context("the scriptlets need a static busybox for their shell")?;
    fs::create_dir_all(root.join("bin"))?;
    fs::copy(busybox, root.join("bin/sh"))?;
    let rpm = |words: &[&str]| {
        Cmd::new("rpm").arg("--root").arg(&root).args(["--nosignature", "--nodeps"]).args(words)
    };
    let path = package.display().to_string();
    rpm(&["--install", &path]).read()?;
    rpm(&["--verify", "spoor"]).advice("what was installed is not what the package says").read()?;
    ensure!(root.join("usr/lib/systemd/system/spoor.service").is_file(), "no unit was installed");
    // A config that was changed is kept when the package goes.
    let config = root.join("etc/spoor/spoor.toml");
    let changed = fs::read_to_string(&config)? + "# ours\n";
    fs::write(&config, &changed)?;
    rpm(&["--upgrade", "--replacepkgs", &path]).read()?;
    ensure!(fs::read_to_string(&config)? == changed, "installing again overwrote the config");
    rpm(&["--erase", "spoor"]).read()?;
    ensure!(!root.join("usr/bin/spoor").exists(), "the program is still there");
    let kept = fs::read_to_string(config.with_extension("toml.rpmsave"))?;
    ensure!(kept == changed, "the changed config is gone");
    fs::remove_dir_all(folder().join("rpm-root")).context("cannot remove the root of the rpm's test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_both_families_are_compared_as_one() {
        let debian = files("./lib/systemd/system/a\n./usr/share/zsh/vendor-completions/_a\n./usr/bin/a");
        let redhat = files("/usr/lib/systemd/system/a\n/usr/share/zsh/site-functions/_a\n/usr/bin/a");
        assert_eq!(debian, redhat);
        assert_ne!(debian, files("/usr/bin/a"));
    }
}
