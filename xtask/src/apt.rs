//! Debian packages: installing them where that is allowed, and reading other suites without touching the machine.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::sh::{Cmd, is_root, step, which};

/// Sees to it that packages are installed: installs them as root on a machine with apt, else says what to type.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let command = format!("apt-get update && apt-get install -y --no-install-recommends {list}");
    if which("apt-get").is_none() {
        bail!(
            "{why} needs {list} (the names of Debian packages), and there is no apt-get here; install what your distribution calls them"
        );
    }
    if !is_root() {
        bail!("{why} needs packages that are not installed; run: sudo sh -c '{command}'");
    }
    update_once()?;
    step!("apt: installing {list} ({why})");
    Cmd::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .advice(format!("{why} needs them; try by hand: {command}"))
        .run()
}

pub(crate) fn installed(package: &str) -> bool {
    Cmd::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", package])
        .read()
        .is_ok_and(|status| status == "installed")
}

/// A fresh machine's package lists are empty or stale; once per run is enough.
fn update_once() -> Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_none() {
        step!("apt: reading the package lists");
        Cmd::new("apt-get").args(["update", "-qq"]).advice("is the network there?").run()?;
        DONE.get_or_init(|| ());
    }
    Ok(())
}

/// Where this machine gets Debian from: other suites lie beside it. Mirrors differ from machine to machine, so the
/// machine is asked; the two variables answer for a machine that is not Debian.
pub(crate) struct Mirrors {
    pub(crate) main: String,
    pub(crate) security: String,
}

impl Mirrors {
    pub(crate) fn find() -> Result<Self> {
        let of = |name: &str| std::env::var(name).ok();
        let known = Cmd::new("apt-get")
            .args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"])
            .read()
            .context("the test kernels come from Debian, through apt")?;
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename =
            release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
        let main = of("SPOOR_DEBIAN_MIRROR").or_else(|| repository(&known, codename));
        let security = of("SPOOR_DEBIAN_SECURITY_MIRROR")
            .or_else(|| repository(&known, &format!("{codename}-security")));
        match (main, security) {
            (Some(main), Some(security)) => Ok(Self { main, security }),
            (main, _) => bail!(
                "apt here knows no Debian {} archive to take test kernels from; name one in {}",
                if main.is_none() { "main" } else { "security" },
                if main.is_none() { "SPOOR_DEBIAN_MIRROR" } else { "SPOOR_DEBIAN_SECURITY_MIRROR" },
            ),
        }
    }
}

/// The address of the repository that holds a release, out of lines of "address release".
fn repository(known: &str, release: &str) -> Option<String> {
    known
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, of)| *of == release)
        .map(|(uri, _)| uri.to_owned())
}

/// An apt of our own: other suites, own lists and cache, nothing of the machine's changed. Needs no root.
pub(crate) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// `sources` are lines of sources.list(5).
    pub(crate) fn new(folder: &Path, sources: &str) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        crate::paths::write_if_changed(&folder.join("sources.list"), sources.as_bytes())?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn command(&self, program: &str) -> Cmd {
        let set = |name: &str, path: &str| format!("{name}={}", self.folder.join(path).display());
        let options = [
            set("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            set("Dir::State::Lists", "lists"),
            set("Dir::Cache", "cache"),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=".to_owned(), // our folder is not the _apt user's to write
            "Acquire::Languages=none".to_owned(),
            "Acquire::Check-Valid-Until=false".to_owned(), // suites that get no more updates stay useful
        ];
        options.iter().fold(Cmd::new(program), |cmd, option| cmd.args(["-o", option]))
    }

    pub(crate) fn update(&self) -> Result<()> {
        self.command("apt-get").args(["update", "-qq"]).advice("is the network there?").run()
    }

    /// The newest package whose name fits a pattern with `{}` in the place of the number that moves.
    pub(crate) fn newest(&self, pattern: &str) -> Result<String> {
        let (prefix, _) =
            pattern.split_once("{}").context("a package pattern has {} where the number moves")?;
        let names = self.command("apt-cache").args(["pkgnames", prefix]).read()?;
        newest(pattern, names.lines())
            .with_context(|| format!("no package is called {pattern}; has the suite moved on?"))
    }

    /// The version apt would download.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        let shown = self.command("apt-cache").args(["show", "--no-all-versions", package]).read()?;
        let version = shown.lines().find_map(|line| line.strip_prefix("Version: "));
        version.map(str::to_owned).with_context(|| format!("apt shows no version of {package}"))
    }

    /// Downloads a package into an empty folder and returns the file.
    pub(crate) fn download(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        self.command("apt-get").args(["download", "-qq", package]).current_dir(folder).run()?;
        let mut files = fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        files
            .find(|file| file.extension().is_some_and(|e| e == "deb"))
            .context("apt-get download left no package")
    }
}

fn newest<'a>(pattern: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let (prefix, suffix) = pattern.split_once("{}")?;
    let moving = |name: &'a str| {
        let number = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let sound = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        sound.then_some((number, name))
    };
    names.filter_map(moving).max_by(|(a, _), (b, _)| by_number(a, b)).map(|(_, name)| name.to_owned())
}

/// Compares dotted numbers as numbers: 9 comes before 10.
fn by_number(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| text.split('.').map(|part| part.parse::<u64>().unwrap_or(0)).collect::<Vec<_>>();
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_number_not_by_letter() {
        let names = [
            "linux-image-5.10.0-9-cloud-amd64",
            "linux-image-5.10.0-36-cloud-amd64",
            "linux-image-5.10.0-35-cloud-amd64-dbg",
            "linux-image-5.10.0-99-amd64",
            "linux-image-5.10.0-99-cloud-amd64-unsigned",
        ];
        let found = newest("linux-image-5.10.0-{}-cloud-amd64", names.into_iter());
        assert_eq!(found.as_deref(), Some("linux-image-5.10.0-36-cloud-amd64"));
    }

    #[test]
    fn a_dotted_number_moves_too() {
        let names = [
            "linux-binary-7.2.9+deb14-cloud-amd64",
            "linux-binary-7.2.10+deb14-cloud-amd64",
            "linux-binary-7.2.x+deb14-cloud-amd64",
        ];
        let found = newest("linux-binary-7.2.{}+deb14-cloud-amd64", names.into_iter());
        assert_eq!(found.as_deref(), Some("linux-binary-7.2.10+deb14-cloud-amd64"));
        assert_eq!(newest("linux-binary-7.3.{}+deb14-cloud-amd64", names.into_iter()), None);
    }

    #[test]
    fn the_repository_is_the_one_of_that_release() {
        let known = "http://a.example/debian/ bookworm\nhttp://b.example/other all\nhttp://a.example/security/ bookworm-security\n";
        assert_eq!(repository(known, "bookworm").as_deref(), Some("http://a.example/debian/"));
        assert_eq!(repository(known, "bookworm-security").as_deref(), Some("http://a.example/security/"));
        assert_eq!(repository(known, "forky"), None);
    }
}
