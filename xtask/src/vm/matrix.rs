//! `tests/kernels.toml`: which kernels, and what is expected on each.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::paths;

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    #[serde(rename = "kernel")]
    pub(super) kernels: Vec<Kernel>,
}

/// A kernel: where it comes from, and the ways to boot it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) suite: String,
    pub(super) package: String,
    pub(super) image: String,
    /// Modules for the guest to load, each after those it needs.
    #[serde(default)]
    pub(super) modules: Vec<String>,
    /// The package they are in, where it is not the image's.
    pub(super) modules_package: Option<String>,
    #[serde(rename = "cell")]
    cells: Vec<Cell>,
}

/// One boot of one kernel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cell {
    name: String,
    lsm: String,
    tiers: Option<Tier>,
    open: Tier,
    connect: Tier,
    /// What is booted into.
    #[serde(default)]
    pub(super) system: System,
    /// More words of the kernel's command line.
    boot: Option<String>,
    /// Whether it runs the tests, too, that no kernel has a part in.
    #[serde(default)]
    whole: bool,
    #[serde(default, rename = "skip")]
    pub(super) skips: Vec<Skip>,
}

/// What a guest boots into: the suite alone, or a Debian under systemd, each with a suite of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum System {
    #[default]
    Bare,
    /// In memory: who acts.
    Debian,
    /// The same system, with the package to install: the package's life.
    Package,
    /// The same on the Debian after that one.
    #[serde(rename = "package-trixie")]
    PackageTrixie,
    /// From a disk: who acts in a container.
    Containers,
    /// From a disk: which credential real clients use, and where to.
    Clients,
    /// In memory, without systemd, beside auditd: what the agent costs. No test: `cargo xtask bench overhead` alone boots it.
    Overhead,
    /// The suite's own guest, in which the agent is measured over time. No test: `cargo xtask bench soak` alone boots it.
    Measured,
    /// From a disk of its own: an ordinary day is recorded. No test: `cargo xtask vm --day` alone boots it.
    Day,
}

impl System {
    /// The suite that the guest runs.
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::PackageTrixie => "package",
            Self::Bare
            | Self::Debian
            | Self::Package
            | Self::Containers
            | Self::Clients
            | Self::Overhead
            | Self::Measured
            | Self::Day => self.name(),
        }
    }

    /// The word for it in kernels.toml.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Debian => "debian",
            Self::Package => "package",
            Self::PackageTrixie => "package-trixie",
            Self::Containers => "containers",
            Self::Clients => "clients",
            Self::Overhead => "overhead",
            Self::Measured => "measured",
            Self::Day => "day",
        }
    }

    /// Whether it lies on a disk: too large to be unpacked into memory, and containers ask for a root they can turn over.
    pub(super) fn on_disk(self) -> bool {
        matches!(self, Self::Containers | Self::Clients | Self::Day)
    }

    /// Whether something is found out in it, and nothing tested.
    fn is_no_test(self) -> bool {
        matches!(self, Self::Overhead | Self::Measured | Self::Day)
    }
}

/// A test that may be skipped in a cell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    pub(super) test: String,
    pub(super) why: String,
}

/// How a signal is observed, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tier {
    Lsm,
    Fentry,
    Kprobe,
    Tracepoint,
}

impl Tier {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lsm => "lsm",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

#[cfg(test)]
impl Kernel {
    /// A kernel of which only the suite matters.
    pub(super) fn for_test(suite: &str) -> Self {
        let text = String::new;
        Self {
            name: text(),
            suite: suite.to_owned(),
            package: text(),
            image: text(),
            modules: Vec::new(),
            modules_package: None,
            cells: Vec::new(),
        }
    }
}

/// A cell with its kernel: what one boot needs to know.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub(super) kernel: Kernel,
    pub(super) cell: Cell,
    /// One failure says it all: the guest stops at the first.
    pub(super) until_red: bool,
    /// Of a bare guest's tests only this one, so many times.
    pub(super) only: Option<(String, u32)>,
    /// How long is measured, where that is over time.
    pub(super) minutes: Option<u32>,
    /// More words of the command line, where something else is measured than always, each behind a space.
    pub(super) asked: String,
}

impl Boot {
    /// The name by which a cell is called everywhere.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.kernel.name, self.cell.name)
    }

    /// The kernel's command line; the guest reads the `spoor.` parameters out of /proc/cmdline.
    pub(super) fn command_line(&self) -> String {
        let Cell { name: _, lsm, tiers, open, connect, system, boot, whole, skips: _ } = &self.cell;
        let tiers = tiers.map(|tier| format!(" spoor.tiers={}", tier.name())).unwrap_or_default();
        let system = match system {
            System::Bare => String::new(),
            System::Debian
            | System::Package
            | System::PackageTrixie
            | System::Containers
            | System::Clients
            | System::Overhead
            | System::Measured
            | System::Day => format!(" spoor.system={}", system.suite()),
        };
        let boot = boot.as_ref().map(|words| format!(" {words}")).unwrap_or_default();
        let until = if self.until_red { " spoor.until=red" } else { "" };
        let whole = if *whole { " spoor.whole=yes" } else { "" };
        let only = self.only.as_ref();
        let only =
            only.map(|(test, times)| format!(" spoor.only={test} spoor.times={times}")).unwrap_or_default();
        let minutes = self.minutes.map(|minutes| format!(" spoor.minutes={minutes}")).unwrap_or_default();
        // An emulated timer that a busy machine keeps waiting is not broken.
        format!(
            "console=ttyS0 quiet panic=-1 no_timer_check lsm={lsm} spoor.cell={} spoor.open={} spoor.connect={}{tiers}{system}{whole}{until}{only}{minutes}{}{boot}",
            self.name(),
            open.name(),
            connect.name(),
            self.asked,
        )
    }

    /// Whether something grows in it while it is measured.
    pub(super) fn grows(&self) -> bool {
        self.cell
            .boot
            .as_ref()
            .is_some_and(|words| words.split(' ').any(|word| word == "spoor.measure=growth"))
    }

    /// The tier that opens are seen in, and that of connections where it is another.
    pub(super) fn tier(&self) -> String {
        let (open, connect) = (self.cell.open, self.cell.connect);
        if open == connect { open.name().to_owned() } else { format!("{}, {}", open.name(), connect.name()) }
    }

    /// For `--list`.
    pub(super) fn line(&self) -> String {
        let Cell { name: _, lsm, tiers, open, connect, system, boot, whole, skips } = &self.cell;
        let boot = boot.as_ref().map(|words| format!(", {words}")).unwrap_or_default();
        let system = match system {
            System::Bare => "",
            System::Debian => ", a Debian under systemd",
            System::Package => ", a Debian that installs the package",
            System::PackageTrixie => ", the next Debian, which installs the package",
            System::Containers => ", a Debian with containers",
            System::Clients => ", a Debian with clients",
            System::Overhead => ", a Debian with auditd, measured",
            System::Measured => ", measured over time",
            System::Day => ", a Debian whose day is recorded",
        };
        let whole = if *whole { ", and what no kernel has a part in" } else { "" };
        let tiers = tiers.map(|tier| format!(", tiers={}", tier.name())).unwrap_or_default();
        let skips = skips.iter().map(|skip| format!("\n{:18}may skip {}: {}", "", skip.test, skip.why));
        format!(
            "{:<18}open={}, connect={}{tiers}, lsm={lsm}{boot}{system}{whole}{}",
            self.name(),
            open.name(),
            connect.name(),
            skips.collect::<String>()
        )
    }
}

impl Matrix {
    pub(super) fn read() -> Result<Self> {
        let path = paths::root().join("tests/kernels.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not sound", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let matrix: Self = toml::from_str(text)?;
        let mut names = BTreeSet::new();
        for kernel in &matrix.kernels {
            for package in [Some(&kernel.package), kernel.modules_package.as_ref()].into_iter().flatten() {
                ensure!(package.matches("{}").count() == 1, "{package} of {} needs one {{}}", kernel.name);
            }
            ensure!(!kernel.cells.is_empty(), "kernel {} has no cell", kernel.name);
        }
        for boot in matrix.boots() {
            ensure!(names.insert(boot.name()), "there are two cells {}", boot.name());
            for skip in &boot.cell.skips {
                ensure!(!skip.why.trim().is_empty(), "{} skips {} without a reason", boot.name(), skip.test);
            }
        }
        Ok(matrix)
    }

    /// Every cell, in the order of the file.
    pub(super) fn boots(&self) -> impl Iterator<Item = Boot> {
        self.kernels.iter().flat_map(|kernel| {
            kernel.cells.iter().map(|cell| Boot {
                kernel: kernel.clone(),
                cell: cell.clone(),
                until_red: false,
                minutes: None,
                asked: String::new(),
                only: None,
            })
        })
    }

    /// The cell in which a day is recorded.
    pub(super) fn day(&self) -> Result<Boot> {
        let mut days = self.chosen(&[], |boot| boot.cell.system == System::Day)?;
        ensure!(days.len() == 1, "{} cells record a day, and one should", days.len());
        days.pop().context("no cell records a day")
    }

    /// The cells that are measured in and no tests, of those names; all when none was given. `growth`: those in which something
    /// grows.
    pub(super) fn measured(&self, names: &[String], growth: bool) -> Result<Vec<Boot>> {
        self.chosen(names, |boot| boot.cell.system == System::Overhead && boot.grows() == growth)
    }

    /// The cells that are measured in over time.
    pub(super) fn soaked(&self) -> Result<Vec<Boot>> {
        self.chosen(&[], |boot| boot.cell.system == System::Measured)
    }

    /// The tests' cells that were asked for by name (a kernel's name stands for all of its cells); all when none was.
    pub(super) fn select(&self, names: &[String]) -> Result<Vec<Boot>> {
        self.chosen(names, |boot| !boot.cell.system.is_no_test())
    }

    fn chosen(&self, names: &[String], of: impl Fn(&Boot) -> bool) -> Result<Vec<Boot>> {
        let fits = |boot: &Boot, name: &String| boot.name() == *name || boot.kernel.name == *name;
        let boots: Vec<Boot> = self.boots().filter(of).collect();
        for name in names {
            if !boots.iter().any(|boot| fits(boot, name)) {
                bail!("there is no cell {name} here; `cargo xtask vm --list` lists those of tests");
            }
        }
        let wanted = |boot: &Boot| names.is_empty() || names.iter().any(|name| fits(boot, name));
        Ok(boots.into_iter().filter(wanted).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: &str =
        "[[kernel]]\nname='6.1'\nsuite='bookworm'\npackage='linux-{}'\nimage='boot/vmlinuz-*'\n";
    const CELL: &str = "[[kernel.cell]]\nname='lsm'\nlsm='lockdown,bpf'\nopen='lsm'\nconnect='fentry'\n";

    #[test]
    fn the_matrix_of_the_repository_is_sound() {
        let matrix = Matrix::read().unwrap();
        let names: Vec<_> = matrix.boots().map(|boot| boot.name()).collect();
        assert!(names.contains(&"6.12-lsm".to_owned()), "{names:?}: `sabotage` boots that one");
        let whole = matrix.boots().filter(|boot| boot.cell.whole && boot.cell.system == System::Bare);
        assert_eq!(whole.count(), 1, "tests that no kernel has a part in run once");
    }

    #[test]
    fn the_command_line_carries_what_the_guest_must_know() {
        let matrix = Matrix::parse(&format!("{KERNEL}{CELL}tiers='kprobe'\n")).unwrap();
        let mut boot = matrix.boots().next().unwrap();
        assert_eq!(
            boot.command_line(),
            "console=ttyS0 quiet panic=-1 no_timer_check lsm=lockdown,bpf spoor.cell=6.1-lsm spoor.open=lsm \
             spoor.connect=fentry spoor.tiers=kprobe"
        );
        boot.cell.whole = true;
        boot.only = Some(("twins".to_owned(), 9));
        boot.asked = " spoor.without=sieve".to_owned();
        assert!(
            boot.command_line()
                .ends_with(" spoor.whole=yes spoor.only=twins spoor.times=9 spoor.without=sieve")
        );
        let more = "system='containers'\nboot='systemd.unified_cgroup_hierarchy=0'\n";
        let matrix = Matrix::parse(&format!("{KERNEL}{CELL}{more}")).unwrap();
        let line = matrix.boots().next().unwrap().command_line();
        assert!(
            line.ends_with(" spoor.system=containers systemd.unified_cgroup_hierarchy=0"),
            "the guest is told its system, and systemd what is its: {line}"
        );
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}system='container'\n")).is_err(), "no such system");
    }

    #[test]
    fn a_system_is_called_as_in_the_file() {
        for system in [
            System::Bare,
            System::Debian,
            System::Package,
            System::PackageTrixie,
            System::Containers,
            System::Clients,
            System::Overhead,
            System::Measured,
            System::Day,
        ] {
            let matrix = Matrix::parse(&format!("{KERNEL}{CELL}system='{}'\n", system.name())).unwrap();
            assert_eq!(matrix.boots().next().unwrap().cell.system, system);
        }
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}")).is_ok());
        assert!(Matrix::parse(KERNEL).is_err(), "no cell");
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}{CELL}")).is_err(), "one name twice");
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}opne='lsm'\n")).is_err(), "unknown key");
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}").replace("{}", "9")).is_err(), "nothing moves");
        assert!(Matrix::parse(&format!("{KERNEL}{CELL}skip=[{{test='a',why=' '}}]\n")).is_err(), "no reason");
    }

    #[test]
    fn cells_are_chosen_by_name_or_kernel() {
        let matrix = Matrix::parse(&format!("{KERNEL}{CELL}")).unwrap();
        for names in [vec![], vec!["6.1".to_owned()], vec!["6.1-lsm".to_owned()]] {
            assert_eq!(matrix.select(&names).unwrap().len(), 1, "{names:?}");
        }
        assert!(matrix.select(&["6.1-lms".to_owned()]).is_err());
        let measured = Matrix::parse(&format!("{KERNEL}{CELL}system='overhead'\n")).unwrap();
        assert!(measured.select(&[]).unwrap().is_empty(), "no test boots it");
        assert!(measured.select(&["6.1-lsm".to_owned()]).is_err(), "not by name either");
        assert_eq!(measured.measured(&[], false).unwrap().len(), 1);
        assert!(matrix.measured(&["6.1-lsm".to_owned()], false).is_err());
    }
}
