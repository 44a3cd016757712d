//! `bench soak`: whether anything of the agent grows or drifts where processes come and go.
//!
//! The guest works and says what it sees, a line of JSON every so often (tests/src/overhead/soak.rs); here that is judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::number;
use super::plot::{Line, Plot, Scale};
use crate::{paths, vm};

/// Where nobody says how long.
const MINUTES: u32 = 10;
/// What the agent's own memory may grow in the second half, KiB for 100,000 processes: a hundredth of what a row of the table of
/// processes for each would take.
const GROWTH_MAX: f64 = 2_048.0;
/// A table that is fuller than that fills.
const FULL_PERCENT: u64 = 80;

/// What was made so far.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Made {
    processes: u64,
    executed: u64,
    opened: u64,
    connected: u64,
    wrapped: u64,
}

/// A table of the kernel's.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Fill {
    entries: u64,
    most: u64,
    /// It makes room by itself.
    lru: bool,
}

/// What the agent was at a time.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    soak_seconds: u64,
    made: Made,
    resident_kib: u64,
    own_kib: u64,
    descriptors: u64,
    threads: u64,
    processes: u64,
    chains: u64,
    store_bytes: u64,
    counters: BTreeMap<String, u64>,
    maps: BTreeMap<String, Fill>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Told {
    read: u64,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Actions {
    opened: u64,
    connected: u64,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize)]
struct End {
    soaked: Made,
    told: BTreeMap<String, Told>,
    /// Processes that there were.
    there: u64,
    actions: Actions,
    records: u64,
    holes: u64,
    verified: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Row(Box<Row>),
    End(Box<End>),
}

/// All that a guest said.
struct Soak {
    rows: Vec<Row>,
    end: End,
}

pub(super) fn main(args: &[String]) -> Result<ExitCode> {
    let consoles = match args {
        [from, log] if from == "--from" => {
            vec![(String::new(), fs::read_to_string(log).with_context(|| format!("cannot read {log}"))?)]
        }
        [] => vm::soaked(MINUTES)?,
        [minutes] => vm::soaked(minutes.parse().context("MINUTES is a number")?)?,
        _ => anyhow::bail!("usage: bench soak [MINUTES | --from LOG]"),
    };
    let mut good = true;
    for (cell, said) in consoles {
        let soak = Soak::parse(&said).with_context(|| format!("what {cell} said"))?;
        let folder = paths::root().join("docs/performance");
        fs::create_dir_all(&folder)?;
        soak.draw(&folder)?;
        println!("{}", soak.page());
        for wrong in soak.wrong() {
            eprintln!("DRIFT {wrong}");
            good = false;
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// By how much that grows for each process, as the straight line of least squares has it.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = number(points.len() as u64);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (across, up) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|(x, y)| (x - across) * (y - up)).sum();
    let wide: f64 = points.iter().map(|(x, _)| (x - across).powi(2)).sum();
    if wide > 0.0 { both / wide } else { 0.0 }
}

impl Soak {
    fn parse(console: &str) -> Result<Self> {
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        for figure in super::figures(console) {
            match figure? {
                Said::Row(row) => rows.push(*row),
                Said::End(end) => ends.push(*end),
            }
        }
        ensure!(rows.len() >= 4, "{} rows are too few to say whether anything grows", rows.len());
        Ok(Self { rows, end: ends.pop().context("it did not come to its end")? })
    }

    /// What grows, fills, or does not add up.
    fn wrong(&self) -> Vec<String> {
        let Self { rows, end } = self;
        let mut wrong = Vec::new();
        let mut must = |is: bool, what: String| {
            if !is {
                wrong.push(what);
            }
        };
        let growth = self.growth();
        must(growth <= GROWTH_MAX, format!("memory grows by {growth:.0} KiB for 100,000 processes"));
        let told = |kind: &str| end.told.get(kind).copied().unwrap_or_default();
        // The program that makes them was made, too.
        let made = [
            ("fork", end.soaked.processes + 1),
            ("exec", end.soaked.executed + 1),
            ("exit", end.soaked.processes + 1),
        ];
        for (kind, made) in made {
            let Told { read, dropped } = told(kind);
            must(
                read + dropped == made,
                format!("{made} times {kind}, read {read}, counted as lost {dropped}"),
            );
        }
        let lost: u64 = end.told.values().map(|told| told.dropped).sum();
        must(lost == 0, format!("{lost} samples were lost"));
        let Actions { opened, connected } = end.actions;
        must(opened == end.soaked.opened, format!("{} openings, {opened} told", end.soaked.opened));
        must(
            connected == end.soaked.connected,
            format!("{} connections, {connected} told", end.soaked.connected),
        );
        must(end.holes == 0, format!("{} numbers of records are missing", end.holes));
        must(end.verified, "`spoor verify` does not hold".to_owned());
        must(end.soaked.wrapped > 0, "no number of a process was used again".to_owned());
        if let (Some(middle), Some(last)) = (rows.get(rows.len() / 2), rows.last()) {
            let alike = |of: fn(&Row) -> u64, room: u64| of(last) <= of(middle) + room;
            must(alike(|row| row.descriptors, 4), format!("{} descriptors", last.descriptors));
            must(alike(|row| row.threads, 2), format!("{} threads", last.threads));
            must(
                last.processes.abs_diff(end.there) <= 4,
                format!("{} processes known, {} there", last.processes, end.there),
            );
            for counter in ["state_evicted", "marks_refused", "rules_refused"] {
                let count = last.counters.get(counter).copied().unwrap_or(0);
                must(count == 0, format!("{counter} {count}"));
            }
            for (name, Fill { entries, most, lru }) in &last.maps {
                must(*lru || entries * 100 <= most * FULL_PERCENT, format!("{name} has {entries} of {most}"));
            }
        }
        wrong
    }

    /// KiB of the agent's own memory for 100,000 processes, in the second half: by then all that is bounded has filled.
    fn growth(&self) -> f64 {
        let half = self.rows.iter().skip(self.rows.len() / 2);
        let points: Vec<(f64, f64)> =
            half.map(|row| (number(row.made.processes), number(row.own_kib))).collect();
        slope(&points) * 100_000.0
    }

    fn page(&self) -> String {
        let mut page = String::from(
            "| s | processes | numbers began anew | resident, MiB | own, MiB | descriptors | processes known | chains open | store, MiB |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        // Ten rows are enough for a page; the plots have all of them.
        let every = self.rows.len().div_ceil(10);
        for (index, row) in self.rows.iter().enumerate() {
            if index % every != 0 && index + 1 != self.rows.len() {
                continue;
            }
            let mebi = |kib: u64| number(kib) / 1_024.0;
            let _ = writeln!(
                page,
                "| {} | {} | {} | {:.1} | {:.1} | {} | {} | {} | {:.1} |",
                row.soak_seconds,
                row.made.processes,
                row.made.wrapped,
                mebi(row.resident_kib),
                mebi(row.own_kib),
                row.descriptors,
                row.processes,
                row.chains,
                mebi(row.store_bytes >> 10),
            );
        }
        let End { soaked, actions, records, told, .. } = &self.end;
        let lost: u64 = told.values().map(|told| told.dropped).sum();
        let _ = writeln!(
            page,
            "\nGrowth of its own memory in the second half: {:.0} KiB for 100,000 processes. Made and told: {} openings and {}, {} \
             connections and {}; {records} records; {lost} samples lost.\n",
            self.growth(),
            soaked.opened,
            actions.opened,
            soaked.connected,
            actions.connected,
        );
        if let Some(last) = self.rows.last() {
            page.push_str("| table of the kernel's | most entries at a look | room | where it is full |\n|---|---|---|---|\n");
            for (name, fill) in &last.maps {
                let most =
                    self.rows.iter().filter_map(|row| row.maps.get(name)).map(|fill| fill.entries).max();
                let full = if fill.lru { "the oldest goes" } else { "refused, and counted" };
                let _ = writeln!(page, "| `{name}` | {} | {} | {full} |", most.unwrap_or(0), fill.most);
            }
        }
        page
    }

    fn draw(&self, folder: &Path) -> Result<()> {
        let line = |name: &str, of: &dyn Fn(&Row) -> f64| Line {
            name: name.to_owned(),
            points: self.rows.iter().map(|row| (number(row.made.processes), of(row))).collect(),
        };
        let entries =
            |name: &'static str| move |row: &Row| row.maps.get(name).map_or(0.0, |fill| number(fill.entries));
        let plot = |title, up, lines| Plot { title, across: "processes made", up, scale: Scale::Even, lines };
        let memory = vec![
            line("resident", &|row| number(row.resident_kib) / 1_024.0),
            line("its own", &|row| number(row.own_kib) / 1_024.0),
        ];
        plot("Memory of the agent while processes come and go", "MiB", memory)
            .draw(&folder.join("soak-memory.svg"))?;
        let tables = vec![
            line("processes known", &|row| number(row.processes)),
            line("chains open", &|row| number(row.chains)),
            line("marks in the kernel", &entries("MARKS")),
            line("connections awaited in the kernel", &entries("PENDING")),
        ];
        plot("Tables while processes come and go", "entries", tables).draw(&folder.join("soak-tables.svg"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(change: impl Fn(&mut serde_json::Value)) -> String {
        let made = |processes: u64| serde_json::json!({ "rounds": 1, "processes": processes, "executed": 5, "opened": 7, "connected": 7, "wrapped": 3 });
        let rows = (1..=8).map(|at| {
            serde_json::json!({
                "soak_seconds": at * 15, "made": made(at * 1_000), "resident_kib": 20_000, "own_kib": 5_000, "descriptors": 60,
                "threads": 6, "processes": 5, "chains": 1, "store_bytes": 1 << 20, "counters": { "state_evicted": 0 },
                "maps": { "MARKS": { "entries": 3, "most": 100, "lru": false }, "READS": { "entries": 99, "most": 100, "lru": true } },
            })
        });
        let end = serde_json::json!({
            "soaked": made(8_000), "there": 4, "actions": { "opened": 7, "connected": 7 }, "records": 50, "holes": 0, "verified": true,
            "told": { "fork": { "read": 8_001, "dropped": 0 }, "exec": { "read": 6, "dropped": 0 }, "exit": { "read": 8_001, "dropped": 0 } },
        });
        let lines = rows.chain([end]).map(|mut line| {
            change(&mut line);
            format!("x spoor-bench: {line}\r\n")
        });
        lines.collect()
    }

    fn wrong(change: impl Fn(&mut serde_json::Value)) -> Vec<String> {
        Soak::parse(&console(change)).unwrap().wrong()
    }

    /// Another number at a place that only rows or only the end has.
    fn other(place: &'static str, value: serde_json::Value) -> impl Fn(&mut serde_json::Value) {
        move |line| {
            if let Some(there) = line.pointer_mut(place) {
                *there = value.clone();
            }
        }
    }

    #[test]
    fn what_adds_up_is_good() {
        let soak = Soak::parse(&console(|_| {})).unwrap();
        assert_eq!(soak.wrong(), [""; 0]);
        assert!(soak.page().contains("| `MARKS` | 3 | 100 | refused, and counted |"), "{}", soak.page());
    }

    #[test]
    fn what_drifts_is_told() {
        for (place, value, word) in [
            ("/told/fork/read", 8_000.into(), "fork"),
            ("/told/exit/dropped", 1.into(), "lost"),
            ("/actions/opened", 6.into(), "openings"),
            ("/actions/connected", 8.into(), "connections"),
            ("/holes", 1.into(), "missing"),
            ("/verified", false.into(), "verify"),
            ("/there", 20.into(), "known"),
            ("/soaked/wrapped", 0.into(), "again"),
            ("/counters/state_evicted", 2.into(), "state_evicted"),
            ("/maps/MARKS/entries", 81.into(), "MARKS"),
        ] {
            let wrong = wrong(other(place, value));
            assert!(wrong.iter().any(|one| one.contains(word)), "{place}: {wrong:?}");
        }
    }

    #[test]
    fn what_grows_is_told() {
        let grows = |each: u64| {
            wrong(move |line| {
                let made = line.pointer("/made/processes").and_then(serde_json::Value::as_u64);
                if let Some(made) = made {
                    line["own_kib"] = (5_000 + made * each / 1_000).into();
                }
            })
        };
        assert_eq!(grows(5), [""; 0]);
        assert_eq!(grows(30).len(), 1);
    }

    #[test]
    fn silence_and_half_a_run_are_errors() {
        assert!(Soak::parse("").is_err());
        let half: String = console(|_| {}).lines().take(6).map(|line| format!("{line}\n")).collect();
        assert!(Soak::parse(&half).is_err());
    }
}
