//! The tables, as Markdown.

use std::fmt::Write as _;

use super::{Block, NOBODY, Run, SPOOR, WITHOUT};
use crate::bench::number;
use crate::bench::statistics::{Interval, median, ratio};

/// What of a block is looked at.
struct Figure {
    title: &'static str,
    of: fn(&Block) -> u64,
}

const FIGURES: [Figure; 3] = [
    Figure { title: "what the program itself needs", of: |block| block.own_ns },
    Figure {
        title: "what the whole machine needs, until all is quiet again",
        of: |block| block.own_ns.saturating_add_signed(block.others_ns),
    },
    Figure { title: "from the first to the last, on the one processor", of: |block| block.elapsed_ns },
];

pub(super) fn page(cell: &str, run: &Run) -> String {
    let mut page = format!("### {cell}\n");
    for figure in &FIGURES {
        let _ = write!(page, "\n**{cell}: {}**\n\n{}", figure.title, ratios(run, figure));
    }
    if run.names(|block| &block.collector).iter().any(|name| name.starts_with(WITHOUT)) {
        for figure in &FIGURES {
            let title = figure.title;
            let _ = write!(
                page,
                "\n**{cell}: {title}, without a technique beside with all**\n\n{}",
                brought(run, figure)
            );
        }
    }
    let _ = write!(page, "\n**{cell}: told and lost**\n\n{}", account(run));
    let _ = write!(page, "\n**{cell}: each program of the agent**\n\n{}", programs(run));
    page
}

fn each(count: f64, block: &Block) -> f64 {
    count / f64::from(block.times)
}

/// A row for each work: what it takes alone, how far nobody differs from nobody, and what each collector makes of it.
fn ratios(run: &Run, figure: &Figure) -> String {
    let mut text = String::from("| work | alone, instructions each | smallest effect |");
    let who: Vec<&str> =
        run.names(|block| &block.collector).into_iter().filter(|name| *name != NOBODY).collect();
    for name in &who {
        let _ = write!(text, " {name} | adds each |");
    }
    let _ = write!(text, "\n|---|---|---|{}\n", "---|---|".repeat(who.len()));
    for load in run.names(|block| &block.load) {
        let alone: Vec<f64> = run
            .blocks
            .iter()
            .filter(|block| block.load == load && block.collector == NOBODY)
            .map(|block| each(number((figure.of)(block)), block))
            .collect();
        let noise = interval(run, figure, NOBODY, load).map_or(f64::INFINITY, |noise| noise.reach());
        let _ =
            write!(text, "| `{load}` | {} | {:.2} % |", whole(median(&alone).unwrap_or(0.0)), noise * 100.0);
        for name in &who {
            let shown =
                interval(run, figure, name, load).map_or("–".to_owned(), |found| shown(&found, noise));
            let _ = write!(text, " {shown} | {} |", whole(added(run, figure, name, load)));
        }
        text.push('\n');
    }
    text
}

fn interval(run: &Run, figure: &Figure, collector: &str, load: &str) -> Option<Interval> {
    Interval::of(&visits(run, figure, collector, load))
}

/// Each visit against its neighbours.
fn visits(run: &Run, figure: &Figure, collector: &str, load: &str) -> Vec<f64> {
    let ratios = run.triples(collector, load).into_iter().filter_map(|triple| {
        let [before, visit, after] = triple.map(|block| number((figure.of)(block)));
        ratio(before, visit, after)
    });
    ratios.collect()
}

/// Instructions more, each time, in each visit.
fn more(run: &Run, figure: &Figure, collector: &str, load: &str) -> Vec<f64> {
    let more = run.triples(collector, load).into_iter().map(|triple| {
        let [before, visit, after] = triple.map(|block| each(number((figure.of)(block)), block));
        visit - f64::midpoint(before, after)
    });
    more.collect()
}

fn added(run: &Run, figure: &Figure, collector: &str, load: &str) -> f64 {
    median(&more(run, figure, collector, load)).unwrap_or(0.0)
}

/// A row for each work: what the agent adds, and what the one without a technique adds beyond that; a visit against that of the
/// same round, each against its own neighbours.
fn brought(run: &Run, figure: &Figure) -> String {
    let who: Vec<&str> =
        run.names(|block| &block.collector).into_iter().filter(|name| name.starts_with(WITHOUT)).collect();
    let mut text = String::from("| work | smallest effect | spoor adds each |");
    for name in &who {
        let _ = write!(text, " {name} | adds more each |");
    }
    let _ = write!(text, "\n|---|---|---|{}\n", "---|---|".repeat(who.len()));
    for load in run.names(|block| &block.load) {
        let noise = interval(run, figure, NOBODY, load).map_or(f64::INFINITY, |noise| noise.reach());
        let spoor = whole(added(run, figure, SPOOR, load));
        let _ = write!(text, "| `{load}` | {:.2} % | {spoor} |", noise * 100.0);
        for name in &who {
            let of = |name| visits(run, figure, name, load).into_iter();
            let beside: Vec<f64> = of(name).zip(of(SPOOR)).map(|(without, with)| without / with).collect();
            let shown = Interval::of(&beside).map_or("–".to_owned(), |found| shown(&found, noise));
            let of = |name| more(run, figure, name, load).into_iter();
            let beyond: Vec<f64> = of(name).zip(of(SPOOR)).map(|(without, with)| without - with).collect();
            let _ = write!(text, " {shown} | {} |", whole(median(&beyond).unwrap_or(0.0)));
        }
        text.push('\n');
    }
    text
}

/// In brackets where it is not told from noise.
fn shown(found: &Interval, noise: f64) -> String {
    let text = format!("{:.3} ({:.3} to {:.3})", found.median, found.low, found.high);
    if (found.median - 1.0).abs() <= noise { format!("[{text}]") } else { text }
}

fn whole(count: f64) -> String {
    let digits = format!("{:.0}", count.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count < 0.0 && text != "0" { format!("-{text}") } else { text }
}

/// What was made, and where it went: read, dropped and repeated must be what was made.
fn account(run: &Run) -> String {
    let mut text = String::from(
        "| work | samples | made | read | lost, counted | repeated, counted | not accounted for |\n|---|---|---|---|---|---|---|\n",
    );
    for load in run.names(|block| &block.load) {
        let blocks: Vec<&Block> =
            run.blocks.iter().filter(|block| block.load == load && block.collector == SPOOR).collect();
        let mut kinds: Vec<&String> = blocks.iter().flat_map(|block| block.made.keys()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let sum = |of: fn(&Block) -> &std::collections::BTreeMap<String, u64>| -> u64 {
                blocks.iter().filter_map(|block| of(block).get(kind)).sum()
            };
            let made = sum(|block| &block.made);
            let told = [
                sum(|block| &block.told.read),
                sum(|block| &block.told.dropped),
                sum(|block| &block.told.repeated),
            ];
            let missing = number(made) - told.iter().copied().map(number).sum::<f64>();
            let numbers: Vec<String> =
                std::iter::once(made).chain(told).map(|count| whole(number(count))).collect();
            let _ = writeln!(text, "| `{load}` | `{kind}` | {} | {} |", numbers.join(" | "), whole(missing));
        }
    }
    text + &lost(run)
}

/// What collectors say of all their visits.
fn lost(run: &Run) -> String {
    let mut text = String::new();
    for name in run.names(|block| &block.collector) {
        let blocks = run.blocks.iter().filter(|block| block.collector == name);
        let lost: u64 = blocks.flat_map(|block| block.told.dropped.values()).sum();
        let ends = run.ends.iter().filter(|end| end.collector == name);
        let mut sums = std::collections::BTreeMap::<&str, u64>::new();
        for (counter, count) in ends.flat_map(|end| &end.told) {
            *sums.entry(counter).or_default() += count;
        }
        let wanted = [
            "samples_produced",
            "samples_read",
            "samples_dropped",
            "samples_repeated",
            "records_stored",
            "actions_folded",
            "exec",
            "connect",
            "secret",
            "bytes",
        ];
        let said: Vec<String> = wanted
            .iter()
            .filter_map(|counter| Some((counter, *sums.get(counter)?)))
            // What has no log has told nothing that could be counted; of samples, none is an answer.
            .filter(|(counter, count)| *count > 0 || counter.starts_with("samples"))
            .map(|(counter, count)| format!("{counter} {}", whole(number(count))))
            .collect();
        let rests: Vec<f64> = run
            .blocks
            .iter()
            .filter(|block| block.collector == name)
            .map(|block| number(block.rest))
            .collect();
        let rest = median(&rests).unwrap_or(0.0) / 10_000.0;
        let _ = write!(text, "\n- {name}: everybody but the work uses {rest:.2} % of the processor at rest");
        if name != NOBODY {
            let _ = write!(text, "; lost {lost} while working");
            if !said.is_empty() {
                let _ = write!(text, "; of all visits {}", said.join(", "));
            }
        }
        text.push('.');
    }
    text + "\n"
}

/// Those that run at least once in two times.
fn programs(run: &Run) -> String {
    let mut text = String::from("| work | program | runs each | instructions a run |\n|---|---|---|---|\n");
    for load in run.names(|block| &block.load) {
        let mut of: Vec<_> = run
            .programs
            .iter()
            .filter(|one| one.load == load && one.runs * 2 >= u64::from(one.times))
            .collect();
        of.sort_by_key(|one| std::cmp::Reverse(one.ns));
        for one in of {
            let runs = number(one.runs) / f64::from(one.times);
            let _ = writeln!(
                text,
                "| `{load}` | `{}` | {runs:.2} | {} |",
                one.program,
                whole(number(one.ns) / number(one.runs))
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_ratios_losses_and_programs() {
        let page = page("6.1-x", &Run::parse(&super::super::tests::console()).unwrap());
        assert!(page.contains("| `fork` | 10 | 1.00 % | 1.500 (1.500 to 1.500) | 5 |"), "{page}");
        assert!(page.contains("| `fork` | `fork` | 10 | 9 | 1 | 0 |"), "{page}");
        assert!(page.contains("| `fork` | `tp_fork` | 1.00 | 500 |"), "{page}");
        assert!(page.contains("- spoor: everybody but the work uses 0.07 % of the processor at rest; lost 1 while working; of all visits samples_read 9."), "{page}");
    }

    #[test]
    fn what_a_technique_brings_is_told_beside_the_agent_with_all() {
        let page = page("6.1-x", &Run::parse(&super::super::tests::ablated()).unwrap());
        assert!(
            page.contains("| work | smallest effect | spoor adds each | without-sieve | adds more each |"),
            "{page}"
        );
        assert!(page.contains("| `fork` | 1.00 % | 5 | 1.200 (1.200 to 1.200) | 3 |"), "{page}");
    }

    #[test]
    fn what_is_within_the_noise_is_in_brackets() {
        let found = Interval { median: 1.004, low: 1.003, high: 1.005 };
        assert!(shown(&found, 0.005).starts_with('['));
        assert!(shown(&found, 0.003).starts_with("1.004"));
    }

    #[test]
    fn numbers_are_read_in_threes() {
        assert_eq!([-0.5, 999.0, 1_000.0, -1_234_567.0].map(whole), ["0", "999", "1,000", "-1,234,567"]);
    }
}
