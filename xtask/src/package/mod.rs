//! `package`: what a host installs. The files are staged once for each family of distributions, and that family's own tool
//! makes the package of them.

mod image;
mod licences;
mod proof;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::sh::{Cmd, step, which};
use crate::{apt, build, paths};
pub(crate) use image::image;
pub(crate) use proof::prove;
use stage::{DEBIAN, RPM, write};

pub(crate) const ABOUT: &str = "Builds the static agent, and a .deb, an .rpm and an image for containers of it, into target/package\n\n  \
    deb, rpm, image\n                 only that one\n  \
    --revision N   which build of this version it is, 1 if not said: 0.1.0-N\n\
    The same commit gives the same bytes (SOURCE_DATE_EPOCH; else the commit's time). The last lines of standard output\n\
    are the packages' paths.";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    deb: bool,
    rpm: bool,
    image: bool,
    revision: u32,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { deb: false, rpm: false, image: false, revision: 1 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "deb" => options.deb = true,
                "rpm" => options.rpm = true,
                "image" => options.image = true,
                "--revision" => {
                    let number = args.next().context("--revision takes a number")?;
                    options.revision =
                        number.parse().with_context(|| format!("a revision is a number, not {number}"))?;
                }
                other => bail!("`package` has no {other}; see `cargo xtask help package`"),
            }
        }
        if !options.deb && !options.rpm && !options.image {
            (options.deb, options.rpm, options.image) = (true, true, true);
        }
        Ok(options)
    }
}

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let agent = build::agent()?;
    let mut made = Vec::new();
    if options.deb {
        made.push(deb(&agent, options.revision)?);
    }
    if options.rpm {
        made.push(rpm(&agent, options.revision)?);
    }
    if options.image {
        made.push(image(&agent, options.revision)?);
    }
    for package in made {
        println!("{}", package.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The package for Debian and what comes of it.
pub(crate) fn deb(agent: &Path, revision: u32) -> Result<PathBuf> {
    for (program, package) in [("dpkg-deb", "dpkg"), ("md5sum", "coreutils")] {
        if which(program).is_none() {
            apt::install(&[package], "making a .deb")?;
        }
    }
    step!("package: spoor {VERSION}-{revision} for Debian");
    let root = fresh(&format!("deb-{revision}"))?;
    stage::files(&root, agent, &DEBIAN)?;
    let control = root.join("DEBIAN");
    let text = source("deploy/debian/control")?;
    let text = text.replace("@VERSION@", &format!("{VERSION}-{revision}"));
    write(&control.join("control"), 0o644, text.replace("@SIZE@", &stage::kilobytes(&root)?).as_bytes())?;
    write(&control.join("conffiles"), 0o644, b"/etc/spoor/spoor.toml\n")?;
    let sums = "find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -printf '%P\\0' | LC_ALL=C sort -z | \
        xargs -0 md5sum";
    let sums = Cmd::new("sh").args(["-c", sums]).current_dir(&root).read()?;
    write(&control.join("md5sums"), 0o644, sums.as_bytes())?;
    for script in ["postinst", "prerm", "postrm"] {
        write(&control.join(script), 0o755, source(&format!("deploy/debian/{script}"))?.as_bytes())?;
    }
    let package = folder().join(format!("spoor_{VERSION}-{revision}_amd64.deb"));
    Cmd::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&root)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", epoch()?)
        .read()?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    Ok(package)
}

/// The package for Fedora, RHEL, SUSE and what comes of them.
pub(crate) fn rpm(agent: &Path, revision: u32) -> Result<PathBuf> {
    if which("rpmbuild").is_none() {
        apt::install(&["rpm"], "making an .rpm")?;
    }
    step!("package: spoor {VERSION}-{revision} as an rpm");
    let root = fresh(&format!("rpm-{revision}"))?;
    let (staged, made) = (root.join("staged"), root.join("made"));
    stage::files(&staged, agent, &RPM)?;
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    Cmd::new("rpmbuild")
        .args(["-bb", "--quiet", "--nodeps", "--target", "x86_64"])
        .args(define("_topdir", &root.join("top").display().to_string()))
        .args(define("_rpmdir", &made.display().to_string()))
        .args(define("spoor_version", VERSION))
        .args(define("spoor_release", &revision.to_string()))
        .args(define("spoor_staged", &staged.display().to_string()))
        .arg("deploy/rpm/spoor.spec")
        .env("SOURCE_DATE_EPOCH", epoch()?)
        .read()?;
    let name = format!("spoor-{VERSION}-{revision}.x86_64.rpm");
    let package = folder().join(&name);
    let from = made.join("x86_64").join(&name);
    fs::rename(&from, &package).with_context(|| format!("rpmbuild left no {}", from.display()))?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    Ok(package)
}

fn folder() -> PathBuf {
    paths::target().join("package")
}

/// An empty folder for staging.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = folder().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// A file of the repository.
fn source(name: &str) -> Result<String> {
    let path = paths::root().join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The time that all files are given.
fn epoch() -> Result<String> {
    let told = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = match told {
        Some(told) => told,
        None => Cmd::new("git")
            .args(["log", "-1", "--format=%ct"])
            .read()
            .context("outside of a repository, SOURCE_DATE_EPOCH must say the time of the release")?,
    };
    let epoch = epoch.trim();
    ensure!(!epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()), "{epoch} is no time in seconds");
    Ok(epoch.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_made_if_none_is_named() {
        let parse =
            |args: &[&str]| Options::parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]).unwrap(), Options { deb: true, rpm: true, image: true, revision: 1 });
        assert_eq!(
            parse(&["rpm", "--revision", "3"]).unwrap(),
            Options { deb: false, rpm: true, image: false, revision: 3 }
        );
        for wrong in [&["--revision"][..], &["--revision", "a"], &["--revison", "2"], &["apk"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_the_spec_lists_is_what_is_staged() {
        let spec = source("deploy/rpm/spoor.spec").unwrap();
        let (_, files) = spec.split_once("%files\n").unwrap();
        for place in stage::places(&RPM) {
            let covered = |line: &str| {
                let path = line.rsplit(' ').next().unwrap_or_default().trim_end_matches('*');
                path.starts_with('/') && !line.starts_with("%dir") && place.starts_with(path)
            };
            assert!(files.lines().any(covered), "{place} is in no line of the spec");
        }
    }
}
