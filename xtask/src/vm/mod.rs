//! `vm`: the kernel matrix. Each cell boots one kernel in one way, with the agent and its tests as the only programs.

mod boot;
mod cpio;
mod day;
mod debian;
mod guest;
mod kernels;
mod matrix;
mod measure;
mod modules;
mod page;
mod results;
mod serial;
mod unsteady;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::sh::{step, which};
use crate::summary::Counts;
use crate::{apt, build, package, paths, probes};
use matrix::{Boot, Matrix, System};
pub(crate) use measure::{Asked, beside_auditd, measured, soaked};
pub(crate) use page::page;
use results::{Found, Results};
pub(crate) use serial::Report;

pub(crate) const ABOUT: &str = "Boots the agent and its tests on the kernels of tests/kernels.toml, under QEMU\n\n\
    CELL is a cell's name (6.12-lsm) or a kernel's (6.12); none means all. Needs no KVM, and root only\n\
    to make the Debians of some cells, once.\n  \
    --list     prints the cells and stops\n  \
    --keep     keeps the initramfs and prints each boot's command, to repeat it by hand\n  \
    --refresh  asks for newer kernels; without it a kernel that is there is used, and no network\n  \
    --only TEST        of the bare cells' tests this one alone\n  \
    --times N  with --only: N times in one boot, for what goes wrong now and then\n  \
    --day      records an ordinary day of a Debian anew, for the test `day`, and stops: tests/captures/day.spoor.gz\n  \
    --bless    writes what was found of routes into tests/golden/routes.json and docs/ROUTES.md\n\
    Without --bless, a run of all cells fails where routes are found to be otherwise than committed.\n\
    The console of each boot stays in target/vm/logs/CELL.log.";

/// More at once than there are processors to emulate on only makes each slower.
const AT_ONCE: usize = 2;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    cells: Vec<String>,
    list: bool,
    keep: bool,
    refresh: bool,
    bless: bool,
    day: bool,
    only: Option<String>,
    times: u32,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { times: 1, ..Self::default() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--keep" => options.keep = true,
                "--refresh" => options.refresh = true,
                "--bless" => options.bless = true,
                "--day" => options.day = true,
                "--only" => options.only = Some(args.next().context("--only wants a test's name")?.clone()),
                "--times" => {
                    options.times =
                        args.next().and_then(|times| times.parse().ok()).context("--times wants a number")?;
                }
                flag if flag.starts_with('-') => {
                    bail!("`vm` has no option {flag}; see `cargo xtask help vm`")
                }
                cell => options.cells.push(cell.to_owned()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    if options.list {
        for boot in Matrix::read()?.select(&options.cells)? {
            println!("{}", boot.line());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if options.day {
        return day::record();
    }
    let counts = cells(&options)?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(if counts.green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole matrix, for `test`.
pub(crate) fn all() -> Result<Counts> {
    cells(&Options::default())
}

fn cells(options: &Options) -> Result<Counts> {
    let (mut boots, refused) = possible(Matrix::read()?.select(&options.cells)?);
    if let Some(test) = &options.only {
        boots.retain(|boot| boot.cell.system == System::Bare);
        boots.iter_mut().for_each(|boot| boot.only = Some((test.clone(), options.times)));
    }
    prepare(&boots, options.refresh)?;
    let object = probes::ensure()?;
    let agent = build::agent_with(&object, &paths::static_target())?;
    let name = "initramfs";
    let packed = pack(&boots, (&agent, &[]), &object, name)?;
    if options.keep {
        for boot in &boots {
            step!("vm: {}: {}", boot.name(), boot::command(boot, &archive(name, boot))?.text());
        }
    }
    step!("vm: booting {} cells, {AT_ONCE} at once", boots.len());
    let mut verdicts = boot_all(boots, name);
    verdicts.extend(refused);
    if !options.keep {
        remove(&packed)?;
    }
    let mut counts = judge(&verdicts);
    if options.only.is_none() {
        counts.failed += settle(&verdicts, options)?;
    }
    Ok(counts)
}

/// Cells that this user can boot, and verdicts on the others: one that cannot be booted is red, and holds up none.
fn possible(boots: Vec<Boot>) -> (Vec<Boot>, Vec<Verdict>) {
    let (mut ours, mut refused) = (Vec::new(), Vec::new());
    for boot in boots {
        match debian::possible(boot.cell.system, &boot.name()) {
            Ok(()) => ours.push(boot),
            Err(error) => refused.push(Verdict::refused(boot.name(), &error)),
        }
    }
    (ours, refused)
}

/// Keeps what green cells found of routes, and writes or compares what is committed. The number of failures: comparing is
/// one test.
fn settle(verdicts: &[Verdict], options: &Options) -> Result<u32> {
    let found = || {
        let green = verdicts.iter().filter(|verdict| verdict.reasons.is_empty());
        Results(green.filter_map(|verdict| Some((verdict.cell.clone(), verdict.found.clone()?))).collect())
    };
    let whole = options.cells.is_empty();
    let mut latest = Results::read(&results::latest())?;
    latest.update(found());
    latest.write(&results::latest())?;
    let mut committed = Results::committed()?;
    if options.bless {
        if whole && verdicts.iter().all(|verdict| verdict.reasons.is_empty()) {
            committed = Results::default(); // cells that are no more
        }
        committed.update(found());
        let changed = committed.write(&results::committed())?;
        step!("vm: {} {}", results::COMMITTED, if changed { "written" } else { "was up to date" });
        crate::docs::routes()?;
        return Ok(0);
    }
    let differences = committed.differences(&found());
    if !whole || differences.is_empty() {
        return Ok(0);
    }
    eprintln!("\nroutes are not as {} has them:\n  {}", results::COMMITTED, differences.join("\n  "));
    eprintln!("where that is right: cargo xtask vm --bless, and the diff is the review");
    Ok(1)
}

/// The archive a cell boots.
fn archive(name: &str, boot: &Boot) -> PathBuf {
    match boot.cell.system {
        System::Bare | System::Clients | System::Measured | System::Day => initramfs(name, &boot.kernel.name),
        System::Debian | System::Package | System::PackageTrixie | System::Containers | System::Overhead => {
            initramfs(name, &format!("{}-{}", boot.kernel.name, boot.cell.system.name()))
        }
    }
}

fn initramfs(name: &str, of: &str) -> PathBuf {
    paths::target().join("vm").join(format!("{name}-{of}.cpio"))
}

/// Packs an archive per kernel and system: those of kernels differ in their modules only. Where is measured, there are other
/// agents beside the one, by name.
fn pack(
    boots: &[Boot],
    (agent, beside): (&Path, &[(String, PathBuf)]),
    object: &Path,
    name: &str,
) -> Result<Vec<PathBuf>> {
    let common = |system: System| initramfs(name, &format!("common-{}", system.name()));
    let bare = common(System::Bare);
    guest::pack(agent, object, &bare)?;
    let mut made = vec![bare.clone()];
    let booted = |system| boots.iter().any(|boot| boot.cell.system == system);
    let packaged = [System::Package, System::PackageTrixie];
    let built = if packaged.into_iter().any(booted) {
        package::prove(agent)?;
        let named = |name: &str, package| (name.to_owned(), package);
        vec![
            named("spoor_1.deb", package::deb(agent, 1)?),
            named("spoor_2.deb", package::deb(agent, 2)?),
            named("spoor_1.rpm", package::rpm(agent, 1)?),
            named("spoor_2.rpm", package::rpm(agent, 2)?),
        ]
    } else {
        Vec::new()
    };
    let in_memory = [System::Debian, System::Package, System::PackageTrixie, System::Overhead];
    for system in in_memory.into_iter().filter(|one| booted(*one)) {
        let measured = if system == System::Overhead { beside } else { &[] };
        let more = if packaged.contains(&system) { &built } else { measured };
        debian::pack(system, agent, &paths::static_target(), &common(system), more)?;
        made.push(common(system));
    }
    if booted(System::Containers) {
        let image = package::image(agent, 1)?;
        guest::deployed(&bare, &image, &common(System::Containers))?;
        made.push(common(System::Containers));
    }
    for boot in boots.iter().filter(|boot| boot.cell.system.on_disk()) {
        debian::disk(boot.cell.system)?;
    }
    let mut packed: Vec<PathBuf> = Vec::new();
    for boot in boots {
        let archive = archive(name, boot);
        if !packed.contains(&archive) {
            let common = match boot.cell.system {
                System::Bare | System::Clients | System::Measured | System::Day => bare.clone(),
                system @ (System::Debian
                | System::Package
                | System::PackageTrixie
                | System::Containers
                | System::Overhead) => common(system),
            };
            modules::append(&common, &kernels::modules(&boot.kernel), &archive)?;
            packed.push(archive);
        }
    }
    remove(&made)?;
    Ok(packed)
}

fn remove(archives: &[PathBuf]) -> Result<()> {
    for archive in archives {
        fs::remove_file(archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    }
    Ok(())
}

/// QEMU and the kernels.
fn prepare(boots: &[Boot], refresh: bool) -> Result<()> {
    if which(boot::QEMU).is_none() {
        apt::install(&["qemu-system-x86"], "booting the test kernels")?;
    }
    let mut kernels: Vec<_> = boots.iter().map(|boot| boot.kernel.clone()).collect();
    kernels.dedup_by(|a, b| a.name == b.name);
    kernels::fetch(&kernels, refresh)
}

/// A cell's verdict: its name, why it is red, and where its log is.
struct Verdict {
    cell: String,
    reasons: Vec<String>,
    log: Option<PathBuf>,
    found: Option<Found>,
    /// What failed once, and passed when it was asked again.
    unsteady: Vec<String>,
}

impl Verdict {
    /// On a cell that could not be booted.
    fn refused(cell: String, error: &anyhow::Error) -> Self {
        let reasons = vec![format!("{error:#}")];
        Self { cell, reasons, log: None, found: None, unsteady: Vec::new() }
    }
}

fn boot_all(boots: Vec<Boot>, name: &str) -> Vec<Verdict> {
    let queue = Mutex::new(VecDeque::from(boots));
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(boot) = next else { break };
                    let verdict = boot_one(&boot, name);
                    verdicts.lock().unwrap_or_else(PoisonError::into_inner).push(verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn boot_one(boot: &Boot, name: &str) -> Verdict {
    let cell = boot.name();
    match boot::boot(boot, &archive(name, boot), "") {
        Ok(outcome) => {
            let mut reasons = outcome.report.reasons(&boot.cell.skips);
            // Routes are taken in bare guests only.
            let mut found = (boot.cell.system == System::Bare).then(|| Found::of(&outcome.report));
            let again = unsteady::worth_asking(boot, &outcome.report, &reasons);
            let mut unsteady = Vec::new();
            if !again.is_empty()
                && let Some(answers) = unsteady::pass(boot, name, &again)
            {
                unsteady.append(&mut reasons);
                // What is compared with the committed table is what was found three times, and not what was missed once.
                answers.iter().for_each(|answer| found.iter_mut().for_each(|found| found.correct(answer)));
            }
            let word = match (unsteady.is_empty(), reasons.is_empty()) {
                (false, _) => "UNSTEADY",
                (true, true) => "ok",
                (true, false) => "RED",
            };
            step!(
                "vm: {cell:<18} {word:<4} {} passed in {:.1} s",
                outcome.report.passed.len(),
                outcome.seconds
            );
            // At once, and not only at the end: a run that is cut off there has told what it knew.
            reasons.iter().chain(&unsteady).for_each(|reason| eprintln!("  {reason}"));
            Verdict { cell, reasons, log: Some(outcome.log), found, unsteady }
        }
        Err(error) => {
            step!("vm: {cell:<18} RED  {error:#}");
            Verdict::refused(cell, &error)
        }
    }
}

/// Reports every red cell together, after the last boot, and counts.
fn judge(verdicts: &[Verdict]) -> Counts {
    let mut counts = Counts::default();
    verdicts.iter().for_each(unsteady::tell);
    for Verdict { cell, reasons, log, found: _, unsteady: _ } in verdicts {
        if reasons.is_empty() {
            counts.passed += 1;
            continue;
        }
        counts.failed += 1;
        eprintln!("\n{cell} is red:");
        for reason in reasons {
            eprintln!("  {reason}");
        }
        if let Some(log) = log {
            eprintln!("  the end of {}:\n{}", log.display(), boot::tail(log));
        }
    }
    counts
}

/// Boots one cell with an agent whose probes are not the good ones, for `sabotage`.
pub(crate) fn with_agent(cell: &str, agent: &Path, object: &Path, label: &str) -> Result<(Report, f32)> {
    let mut boots = Matrix::read()?.select(&[cell.to_owned()])?;
    boots.iter_mut().for_each(|boot| boot.until_red = true);
    let [boot] = boots.as_slice() else {
        bail!("`{cell}` is not one cell; `cargo xtask vm --list` lists them")
    };
    prepare(&boots, false)?;
    let name = format!("initramfs-{label}");
    let packed = pack(std::slice::from_ref(boot), (agent, &[]), object, &name)?;
    let outcome = boot::boot(boot, &archive(&name, boot), &format!("-{label}"));
    remove(&packed)?;
    outcome.map(|outcome| (outcome.report, outcome.seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_cells_may_be_mixed() {
        let args = ["6.1", "--keep", "6.12-lsm"].map(str::to_owned);
        let options = Options::parse(&args).unwrap();
        assert_eq!(options.cells, ["6.1", "6.12-lsm"]);
        assert!(options.keep && !options.list && !options.refresh);
        assert!(Options::parse(&["--kepe".to_owned()]).is_err());
        let args = ["--only", "twins", "7.2-lsm", "--times", "9"].map(str::to_owned);
        let options = Options::parse(&args).unwrap();
        assert_eq!((options.only.as_deref(), options.times), (Some("twins"), 9));
        assert_eq!(options.cells, ["7.2-lsm"]);
        for wrong in [&["--only"][..], &["--times"], &["--times", "often"]] {
            assert!(Options::parse(&wrong.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>()).is_err());
        }
    }

    #[test]
    fn a_verdict_with_a_reason_is_a_failure() {
        let verdict = |reasons: &[&str]| Verdict {
            cell: "6.1-lsm".to_owned(),
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            log: None,
            found: None,
            unsteady: Vec::new(),
        };
        let counts = judge(&[verdict(&[]), verdict(&["timed out"])]);
        assert_eq!((counts.passed, counts.failed), (1, 1));
    }
}
