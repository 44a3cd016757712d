//! `bench overhead`: what the agent costs the programs it watches, beside nobody, beside auditd, and beside itself without a technique.
//!
//! The guest measures and says so on its console, a line of JSON a block (tests/src/overhead); here it becomes tables.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::vm::Asked;
use crate::{ablation, vm};

/// Who watches nothing: what all others are compared with, and itself for the noise.
const NOBODY: &str = "nobody";
/// The agent as it ships: what those without a technique are compared with.
const SPOOR: &str = "spoor";
/// What their names begin with.
const WITHOUT: &str = "without-";

pub(super) fn main(args: &[String]) -> Result<ExitCode> {
    let consoles = match args {
        [from, cell, log] if from == "--from" => {
            let said = fs::read_to_string(log).with_context(|| format!("cannot read {log}"))?;
            vec![(cell.clone(), said)]
        }
        args => {
            let (cells, asked) = parse(args)?;
            vm::measured(&cells, false, &asked)?
        }
    };
    for (cell, said) in consoles {
        let run = Run::parse(&said).with_context(|| format!("what {cell} said"))?;
        println!("{}", table::page(&cell, &run));
    }
    Ok(ExitCode::SUCCESS)
}

/// Cells, and what is asked of them.
fn parse(args: &[String]) -> Result<(Vec<String>, Asked)> {
    let (mut cells, mut asked) = (Vec::new(), Asked::default());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value =
            || rest.next().with_context(|| format!("{arg} says nothing; see `cargo xtask help bench`"));
        match arg.as_str() {
            "--without" => asked.without = ablation::parse(value()?)?,
            "--collectors" => asked.collectors = Some(value()?.clone()),
            "--work" => asked.work = Some(value()?.clone()),
            "--visits" => asked.visits = Some(value()?.parse().context("--visits wants a number")?),
            flag if flag.starts_with('-') => {
                bail!("`bench overhead` has no option {flag}; see `cargo xtask help bench`")
            }
            cell => cells.push(cell.to_owned()),
        }
    }
    Ok((cells, asked))
}

/// All that was measured in one boot.
#[derive(Debug, Default)]
pub(super) struct Run {
    blocks: Vec<Block>,
    programs: Vec<Program>,
    ends: Vec<End>,
    pub(super) grown: Vec<Grown>,
}

/// One piece of work in one visit of a collector.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Block {
    visit: usize,
    collector: String,
    load: String,
    pub(super) times: u32,
    elapsed_ns: u64,
    own_ns: u64,
    /// Beyond what is used at rest, which may be a little less than nothing.
    others_ns: i64,
    /// What everybody else uses at rest, in millionths of the processor.
    rest: u64,
    /// Samples that it is to be told in, by kind.
    made: BTreeMap<String, u64>,
    told: Told,
}

/// What a collector had of it, and what it says that it lost.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Told {
    read: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    repeated: BTreeMap<String, u64>,
}

/// A probe in one piece of work.
#[derive(Debug, Clone, Deserialize)]
struct Program {
    load: String,
    times: u32,
    program: String,
    runs: u64,
    ns: u64,
}

/// What a collector said at the end of its visit.
#[derive(Debug, Clone, Deserialize)]
struct End {
    collector: String,
    told: BTreeMap<String, u64>,
}

/// How many there were of what grows, and what the agent was then.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Grown {
    pub(super) growth: String,
    pub(super) many: u32,
    pub(super) visit: usize,
    /// What it had used of the processor when it was ready.
    pub(super) start_ns: u64,
    pub(super) resident: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Block(Block),
    Grown(Grown),
    Program(Program),
    End(End),
}

impl Run {
    pub(super) fn parse(console: &str) -> Result<Self> {
        let mut run = Self::default();
        for figure in super::figures(console) {
            match figure? {
                Line::Block(block) => run.blocks.push(block),
                Line::Grown(grown) => run.grown.push(grown),
                Line::Program(program) => run.programs.push(program),
                Line::End(end) => run.ends.push(end),
            }
        }
        ensure!(!run.blocks.is_empty(), "nothing was measured");
        Ok(run)
    }

    /// Names, in the order in which they first come.
    fn names<'a>(&'a self, of: impl Fn(&'a Block) -> &'a str) -> Vec<&'a str> {
        let mut names = Vec::new();
        for block in &self.blocks {
            let name = of(block);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Each work, in the order in which it first comes.
    pub(super) fn loads(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names(|block| &block.load).into_iter()
    }

    /// A block with those of the same work right before and right after it.
    pub(super) fn triple(&self, visit: usize, load: &str) -> Option<[&Block; 3]> {
        let at = |visit: usize| self.blocks.iter().find(|block| block.visit == visit && block.load == load);
        Some([at(visit.checked_sub(1)?)?, at(visit)?, at(visit + 1)?])
    }

    /// Each block of a collector's visits with those of the same work right before and right after it. A visit stands
    /// between two of nobody's; of those that are compared with themselves, every other one does: what stands at an odd place.
    fn triples<'a>(&'a self, collector: &str, load: &str) -> Vec<[&'a Block; 3]> {
        let visits = self.blocks.iter().filter(|block| {
            block.load == load && block.collector == collector && !block.visit.is_multiple_of(2)
        });
        visits.filter_map(|block| self.triple(block.visit, load)).collect()
    }
}

impl Block {
    /// What the program itself needed.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(super) fn own(&self) -> f64 {
        self.own_ns as f64
    }

    /// What everybody needed until all was quiet again.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(super) fn everybody(&self) -> f64 {
        self.own_ns.saturating_add_signed(self.others_ns) as f64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn line(visit: usize, collector: &str, own: u64) -> String {
        format!(
            "x spoor-bench: {{\"visit\":{visit},\"collector\":\"{collector}\",\"load\":\"fork\",\"times\":10,\
             \"elapsed_ns\":{own},\"own_ns\":{own},\"others_ns\":5,\"rest\":700,\"made\":{{\"fork\":10}},\
             \"told\":{{\"read\":{{\"fork\":9}},\"dropped\":{{\"fork\":1}}}}}}\r\n"
        )
    }

    pub(in crate::bench) fn console() -> String {
        let visits = [
            (0, "nobody", 100),
            (1, "spoor", 150),
            (2, "nobody", 100),
            (3, "nobody", 101),
            (4, "nobody", 100),
        ];
        let blocks: String = visits.iter().map(|(visit, who, own)| line(*visit, who, *own)).collect();
        format!(
            "{blocks}spoor-bench: {{\"load\":\"fork\",\"times\":10,\"program\":\"tp_fork\",\"runs\":10,\"ns\":5000}}\n\
             spoor-bench: {{\"visit\":1,\"collector\":\"spoor\",\"told\":{{\"samples_read\":9}}}}\nspoor-guest: DONE\n"
        )
    }

    /// The same, and a visit of an agent without a technique.
    pub(in crate::bench) fn ablated() -> String {
        format!("{}{}{}", console(), line(5, "without-sieve", 180), line(6, "nobody", 100))
    }

    #[test]
    fn a_visit_is_compared_with_its_neighbours() {
        let run = Run::parse(&console()).unwrap();
        assert_eq!((run.blocks.len(), run.programs.len(), run.ends.len()), (5, 1, 1));
        let visits = |collector: &str| -> Vec<[usize; 3]> {
            run.triples(collector, "fork").iter().map(|triple| triple.map(|block| block.visit)).collect()
        };
        assert_eq!(visits("spoor"), [[0, 1, 2]]);
        assert_eq!(visits("nobody"), [[2, 3, 4]], "what is between two others is one of nobody's visits");
        assert_eq!(visits("auditd"), [[0; 3]; 0]);
    }

    #[test]
    fn what_is_asked_may_stand_anywhere() {
        let parse = |args: &[&str]| parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        let (cells, asked) = parse(&[
            "--without",
            "sieve,lanes",
            "6.1-overhead",
            "--work",
            "exec",
            "--collectors",
            "nobody,spoor",
        ])
        .unwrap();
        assert_eq!((cells, asked.without), (vec!["6.1-overhead".to_owned()], vec!["sieve", "lanes"]));
        assert_eq!(
            (asked.work.as_deref(), asked.collectors.as_deref()),
            (Some("exec"), Some("nobody,spoor"))
        );
        assert_eq!(parse(&["6.1"]).unwrap(), (vec!["6.1".to_owned()], Asked::default()));
        for wrong in [
            &["--without"][..],
            &["--without", "sive"],
            &["--work"],
            &["--visits", "few"],
            &["--wrok", "exec"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_garbled_line_and_silence_are_errors() {
        assert!(Run::parse("spoor-bench: {\"visit\":").is_err());
        assert!(Run::parse("spoor-guest: DONE\n").is_err());
    }
}
