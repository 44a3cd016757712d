//! `bench growth`: what the agent costs as what it watches grows, as tables and as the plots of docs/performance.
//!
//! What it costs the programs that are watched, and itself, is measured in a guest whose clock counts instructions
//! (`tests/src/overhead/growth.rs`); the stages by themselves under valgrind, which counts them too, so that no load of the
//! measuring machine is in a figure.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::overhead::{Grown, Run};
use super::plot::{Line, Plot, Scale};
use crate::sh::{Cmd, step};
use crate::{apt, build, paths, probes, vm};

const PROCESSES: [u32; 4] = [100, 1_000, 10_000, 100_000];
const CPUS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Deeds of the shorter and of the longer run: what the longer one takes more is theirs alone.
const DEEDS: [u32; 2] = [1_000, 3_000];
/// Events of a deed (`deeds` of agent/benches/stages).
const EVENTS: u32 = 6;

/// What was measured as something grew.
struct Measured {
    /// How many.
    many: u32,
    /// Instructions for an event.
    each: f64,
    /// Bytes for one of the many.
    bytes: f64,
}

pub(super) fn main(args: &[String]) -> Result<ExitCode> {
    let folder = paths::root().join("docs/performance");
    fs::create_dir_all(&folder)?;
    let consoles = match args {
        [from, log] if from == "--from" => {
            vec![(String::new(), fs::read_to_string(log).with_context(|| format!("cannot read {log}"))?)]
        }
        [only] if only == "stages" => Vec::new(),
        _ => vm::measured(args, true, &vm::Asked::default())?,
    };
    for (cell, said) in consoles {
        let run = Run::parse(&said).with_context(|| format!("what {cell} said"))?;
        println!("{}", guest(&run, &folder)?);
    }
    println!("{}", stages(&folder)?);
    Ok(ExitCode::SUCCESS)
}

/// What the guest measured.
fn guest(run: &Run, folder: &Path) -> Result<String> {
    let mut page = String::new();
    for (what, title) in [("credentials", "watched credentials"), ("processes", "processes on the host")] {
        let grown: Vec<&Grown> = run.grown.iter().filter(|one| one.growth == what).collect();
        ensure!(!grown.is_empty(), "nothing was measured of {what}");
        let _ = writeln!(
            page,
            "| {title} | {} | start, million instructions | resident, MiB |\n|---|{}---|---|",
            run.loads()
                .map(|load| format!("`{load}` adds, the program / everybody"))
                .collect::<Vec<_>>()
                .join(" | "),
            "---|".repeat(run.loads().count()),
        );
        let mut lines: Vec<Line> =
            run.loads().map(|load| Line { name: load.to_owned(), points: Vec::new() }).collect();
        for one in &grown {
            let _ = write!(page, "| {} |", one.many);
            for line in &mut lines {
                let (own, all) = added(run, one.visit, &line.name)?;
                let _ = write!(page, " {own:.0} / {all:.0} |");
                line.points.push((f64::from(one.many), own));
            }
            let _ = writeln!(page, " {} | {:.1} |", one.start_ns / 1_000_000, mebibytes(one.resident));
        }
        page.push('\n');
        let plot = Plot {
            title: &format!("Instructions that the program itself needs more, beside {title}"),
            across: title,
            up: "instructions",
            scale: Scale::Orders,
            lines,
        };
        plot.draw(&folder.join(format!("guest-{what}.svg")))?;
    }
    Ok(page)
}

/// Instructions more that the program needs each time, and everybody together, than with nobody before and after.
fn added(run: &Run, visit: usize, load: &str) -> Result<(f64, f64)> {
    let triple =
        run.triple(visit, load).with_context(|| format!("{load} of visit {visit} was not measured"))?;
    let more = |of: fn(&super::overhead::Block) -> f64| {
        let [before, at, after] = triple.map(of);
        (at - f64::midpoint(before, after)) / f64::from(triple[1].times)
    };
    Ok((more(super::overhead::Block::own), more(super::overhead::Block::everybody)))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The stages alone, by valgrind's count.
fn stages(folder: &Path) -> Result<String> {
    if crate::sh::which("valgrind").is_none() {
        apt::install(&["valgrind"], "counting instructions")?;
    }
    let bench = built()?;
    let mut page = parts(&bench)?;
    for (what, title, numbers) in
        [("processes", "processes known", &PROCESSES[..]), ("cpus", "CPUs", &CPUS[..])]
    {
        let measured: Vec<Measured> =
            numbers.iter().map(|many| measure(&bench, what, *many)).collect::<Result<_>>()?;
        let _ = writeln!(page, "| {title} | instructions an event | bytes each |\n|---|---|---|");
        for Measured { many, each, bytes } in &measured {
            let bytes = if *bytes > 0.0 { format!("{bytes:.0}") } else { "–".to_owned() };
            let _ = writeln!(page, "| {many} | {each:.0} | {bytes} |");
        }
        page.push('\n');
        let points = measured.iter().map(|one| (f64::from(one.many), one.each)).collect();
        let plot = Plot {
            title: &format!("Instructions of all stages for an event, by {title}"),
            across: title,
            up: "instructions",
            scale: Scale::Orders,
            lines: vec![Line { name: "all stages".to_owned(), points }],
        };
        plot.draw(&folder.join(format!("stages-{what}.svg")))?;
    }
    Ok(page)
}

/// What each part of the way of a sample takes.
fn parts(bench: &Path) -> Result<String> {
    const PROCESSES: u32 = 1_000;
    let (samples, stages) = (each(bench, "samples", EVENTS)?, each(bench, "processes", PROCESSES)?);
    let all = each(bench, "records", PROCESSES)?;
    let mut page = String::from("| part | instructions an event |\n|---|---|\n");
    for (part, cost) in [
        ("a sample to an event", samples),
        ("an event to the notes of chains", stages),
        ("the notes to records", all - stages),
    ] {
        let _ = writeln!(page, "| {part} | {cost:.0} |");
    }
    page.push('\n');
    Ok(page)
}

/// The benchmark, as an executable.
fn built() -> Result<PathBuf> {
    step!("bench: spoor, stages");
    let messages = Cmd::cargo()
        .args(["bench", "--quiet", "--no-run", "--message-format=json", "-p", "spoor", "--bench", "stages"])
        .env(build::PROBES_ENV, probes::ensure()?)
        .read()?;
    let mut made = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message.pointer("/target/name")? == "stages").then_some(())?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    made.next_back().context("cargo names no executable")
}

fn measure(bench: &Path, what: &str, many: u32) -> Result<Measured> {
    // Memory is the allocator's own business under valgrind.
    let said = Cmd::new(bench).args(arguments(what, many, DEEDS[0])).read()?;
    let bytes: f64 = said.trim().strip_prefix("bytes ").context("it says no bytes")?.parse()?;
    Ok(Measured { many, each: each(bench, what, many)?, bytes: bytes / f64::from(many) })
}

/// Instructions for an event.
fn each(bench: &Path, what: &str, many: u32) -> Result<f64> {
    step!("bench: {what} {many}");
    let [few, more] = DEEDS.map(|deeds| counted(bench, &arguments(what, many, deeds)));
    Ok((more? - few?) / f64::from((DEEDS[1] - DEEDS[0]) * EVENTS))
}

fn arguments(what: &str, many: u32, deeds: u32) -> [String; 4] {
    ["grown".to_owned(), what.to_owned(), many.to_string(), deeds.to_string()]
}

/// Instructions of a whole run.
fn counted(bench: &Path, arguments: &[String]) -> Result<f64> {
    let log = paths::target().join("valgrind.log");
    Cmd::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(bench)
        .args(arguments)
        .read()?;
    instructions(&fs::read_to_string(&log)?)
}

/// Out of valgrind's log: `==7== I   refs:      1,234`, or `I refs:` of later ones.
fn instructions(log: &str) -> Result<f64> {
    let count = log.lines().find_map(|line| {
        let (name, count) = line.split_once("refs:")?;
        name.trim_end().ends_with('I').then(|| count.trim().replace(',', ""))
    });
    count.context("valgrind counted nothing")?.parse().context("valgrind's count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_of_both_forms() {
        for line in ["==7== I   refs:      1,234,567", "==7== I refs:        1,234,567"] {
            assert_eq!(instructions(&format!("==7== Cachegrind\n{line}\n")).unwrap(), 1_234_567.0);
        }
        assert!(instructions("==7== D refs: 12\n").is_err());
    }

    #[test]
    fn what_a_visit_adds_is_each_time() {
        let run = Run::parse(&super::super::overhead::tests::console()).unwrap();
        assert_eq!(added(&run, 1, "fork").unwrap(), (5.0, 5.0));
        assert!(added(&run, 1, "exec").is_err());
    }
}
