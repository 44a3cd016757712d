//! The status of the running agent, on one screen.

use std::time::Duration;

use super::style::{Line, Paint, Style, head};
use super::words;
use crate::record::rfc3339;
use crate::status::{Sink, Status};

/// Most reasons that are shown.
const REASONS_MAX: usize = 8;
/// Where the second column begins.
const COLUMN: usize = 13;

struct Page<'a> {
    style: &'a Style,
    out: String,
}

impl Page<'_> {
    /// A name and what there is to say, over as many lines as it takes.
    fn tell(&mut self, name: &str, paint: Paint, text: &str) {
        let wide = if self.style.width == 0 { usize::MAX } else { self.style.width.max(60) - COLUMN };
        let mut name = name;
        for line in wrapped(text, wide) {
            let row = Line::new().plain("  ").faint(name).to(COLUMN);
            row.put(paint, &line).end(self.style, &mut self.out);
            name = "";
        }
    }
}

/// The status, for people.
#[must_use]
pub fn status(status: &Status, style: &Style) -> String {
    let mut page = Page { style, out: String::new() };
    let agent = &status.agent;
    let (word, paint) =
        if status.degraded.is_empty() { ("running", Paint::Good) } else { ("DEGRADED", Paint::Bad) };
    let line =
        Line::new().put(Paint::Strong, &format!("spoor {}", agent.version)).plain(" on ").plain(&agent.host);
    let line = line.plain(&format!(", kernel {}: ", agent.kernel)).put(paint, word);
    let uptime =
        words::distance(i64::try_from(agent.uptime_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
    line.plain(&format!(" for {uptime}, pid {}", agent.pid)).end(style, &mut page.out);
    for reason in status.degraded.iter().take(REASONS_MAX) {
        page.tell("why", Paint::Bad, reason);
    }
    let more = status.degraded.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        page.tell("", Paint::Bad, &format!("and {more} more; --json tells all"));
    }
    page.tell("watches", Paint::Plain, &watched(status));
    page.tell("signals", Paint::Plain, &signals(status));
    seen(status, &mut page);
    chains(status, &mut page);
    page.tell("store", Paint::Plain, &store(status));
    for sink in &status.sinks {
        let (paint, text) = sink_line(sink);
        page.tell("sink", paint, &text);
    }
    declared(status, &mut page);
    page.tell("itself", Paint::Plain, &own(status));
    page.out
}

fn watched(status: &Status) -> String {
    let config = status.agent.config.as_deref().unwrap_or("no config");
    match status.scope.as_slice() {
        [] => format!("the whole host ({config})"),
        scope => format!("{} ({config})", scope.join(", ")),
    }
}

/// How many signals each tier shows, and which are not shown.
fn signals(status: &Status) -> String {
    let mut tiers: Vec<(&str, usize)> = Vec::new();
    for tier in
        status.signals.iter().filter(|signal| signal.proven).filter_map(|signal| signal.tier.as_deref())
    {
        match tiers.iter_mut().find(|(known, _)| *known == tier) {
            Some((_, count)) => *count += 1,
            None => tiers.push((tier, 1)),
        }
    }
    let proven: usize = tiers.iter().map(|(_, count)| count).sum();
    let by = tiers.iter().map(|(tier, count)| format!("{count} by {tier}")).collect::<Vec<_>>();
    format!("{proven} of {} proven: {}", status.signals.len(), by.join(", "))
}

fn seen(status: &Status, page: &mut Page<'_>) {
    let list = |of: fn(&crate::status::Sample) -> u64| {
        let some = status.samples.iter().filter(|sample| of(sample) != 0);
        some.map(|sample| format!("{} {}", sample.kind, of(sample))).collect::<Vec<_>>().join(", ")
    };
    let (read, lost) = (list(|sample| sample.read), list(|sample| sample.dropped));
    let repeated = list(|sample| sample.repeated);
    page.tell("seen", Paint::Plain, if read.is_empty() { "nothing yet" } else { &read });
    match lost.is_empty() {
        true => page.tell("lost", Paint::Good, "nothing"),
        false => page.tell("lost", Paint::Bad, &lost),
    }
    if !repeated.is_empty() {
        page.tell("repeated", Paint::Doubt, &format!("{repeated}: told once, and counted since"));
    }
    let faults =
        status.faults.iter().map(|fault| format!("{} {} {}", fault.source, fault.fault, fault.count));
    let faults = faults.collect::<Vec<_>>();
    if !faults.is_empty() {
        page.tell("faults", Paint::Doubt, &faults.join(", "));
    }
}

fn chains(status: &Status, page: &mut Page<'_>) {
    let count = |name: &str| status.counters.get(name).copied().unwrap_or(0);
    let some = |name: &str, what: &str| match count(name) {
        0 => String::new(),
        some => format!(", {some} {what}"),
    };
    let text = format!(
        "{} open, {} processes; {} actions so far{}{}, {} findings",
        status.chains_open,
        status.processes,
        count("actions_chained"),
        some("actions_together", "of them told with others"),
        some("actions_folded", "more only counted"),
        count("findings")
    );
    page.tell("chains", Paint::Plain, &text);
    if count("pod_lists_failed") > 0 {
        let text = format!(
            "their list was had {} times and not had {} times, the log says why: pods may lack names",
            count("pod_lists"),
            count("pod_lists_failed")
        );
        page.tell("pods", Paint::Doubt, &text);
    }
    if count("log_lines_left_out") > 0 {
        page.tell("log", Paint::Doubt, &format!("{} lines were left out", count("log_lines_left_out")));
    }
}

fn store(status: &Status) -> String {
    let store = &status.store;
    let reach = store.oldest_ns.map_or("empty".to_owned(), |oldest| {
        format!("since {}, up to record {}", words::moment(&rfc3339(oldest)), store.last_seq)
    });
    format!(
        "{}: {} of {}, kept {}; {reach}",
        store.path,
        bytes(store.bytes),
        bytes(store.max_bytes),
        days(Duration::from_secs(store.keep_seconds))
    )
}

fn sink_line(sink: &Sink) -> (Paint, String) {
    let waiting = || {
        let over = words::distance(i64::try_from(sink.lag_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX));
        format!("{} records wait, over {over}", sink.lag_records)
    };
    let aside = if sink.set_aside > 0 { format!("; {} set aside", sink.set_aside) } else { String::new() };
    match (&sink.error, sink.lag_records) {
        (Some(error), _) => {
            (Paint::Bad, format!("{}: failing, {}{aside}: {}", sink.name, waiting(), head(error, 200)))
        }
        (None, 0) => (Paint::Good, format!("{}: up to date, {} taken{aside}", sink.name, sink.taken)),
        (None, _) => (Paint::Plain, format!("{}: {}{aside}", sink.name, waiting())),
    }
}

fn declared(status: &Status, page: &mut Page<'_>) {
    match &status.purposes {
        None => page.tell("purposes", Paint::Faint, "none declared"),
        Some(purposes) => {
            let set = purposes.set.as_deref().map(|set| format!(", set {set}")).unwrap_or_default();
            page.tell("purposes", Paint::Plain, &format!("{} in force{set}", purposes.count));
            if let Some(first) = purposes.refused.first() {
                page.tell("", Paint::Bad, &format!("newer ones refused: {first}"));
            }
        }
    }
    let Some(config) = &status.config else { return };
    if let Some(first) = config.refused.first() {
        page.tell("config", Paint::Bad, &format!("the newer one was refused: {first}"));
    }
    if !config.waiting.is_empty() {
        page.tell("config", Paint::Doubt, &format!("holds after a restart: {}", config.waiting.join(", ")));
    }
}

fn own(status: &Status) -> String {
    let own = &status.own;
    let cpu_ms = own.cpu_user_ms + own.cpu_system_ms;
    let share = cpu_ms.saturating_mul(10_000) / status.agent.uptime_ms.max(1);
    format!(
        "{} of memory (at most {}), {}.{:02} % of one CPU, {} threads, {} descriptors",
        bytes(own.memory_bytes),
        bytes(own.memory_peak_bytes),
        share / 100,
        share % 100,
        own.threads,
        own.descriptors
    )
}

fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x400 => return format!("{bytes} B"),
        0x400..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        _ => (1 << 30, "GiB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

fn days(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds => format!("{seconds}s"),
    }
}

/// Lines of at most that many letters, cut at blanks where there are any.
fn wrapped(text: &str, wide: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > wide {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::testing::full;

    #[test]
    fn the_status_is_one_screen() {
        let text = status(&full(), &Style { width: 80, colour: false });
        assert_eq!(text, SCREEN);
        assert!(text.lines().count() <= 24 && text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn a_list_of_pods_that_is_not_had_is_said() {
        let mut told = full();
        for (name, count) in [("pod_lists", 3), ("pod_lists_failed", 2)] {
            told.counters.insert(name.to_owned(), count);
        }
        let style = Style { width: 0, colour: false };
        let line = "  pods       their list was had 3 times and not had 2 times, the log says why: pods may lack names\n";
        assert!(status(&told, &style).contains(line), "{}", status(&told, &style));
        told.counters.insert("pod_lists_failed".to_owned(), 0);
        assert!(!status(&told, &style).contains("pods "));
    }

    #[test]
    fn what_was_told_already_is_no_loss() {
        let style = Style { width: 0, colour: false };
        let mut told = full();
        assert!(!status(&told, &style).contains("repeated"));
        told.samples[0].repeated = 9;
        let line = "  repeated   fork 9: told once, and counted since\n";
        assert!(status(&told, &style).contains(line), "{}", status(&told, &style));
    }

    #[test]
    fn what_another_wrote_moves_no_cursor() {
        let mut told = full();
        told.sinks[1].error = Some("\u{1b}[2J".to_owned());
        assert!(!status(&told, &Style { width: 0, colour: true }).contains("\u{1b}[2J"));
    }

    const SCREEN: &str = "\
spoor 0.1.0 on db7, kernel 6.1.0: DEGRADED for 2h 03m, pid 812
  why        sink siem: connection refused
  watches    the whole host (/etc/spoor/spoor.toml)
  signals    2 of 3 proven: 1 by lsm, 1 by tracepoint
  seen       fork 60, exec 44
  lost       exec 3
  faults     lsm/file_open path-cut 2
  chains     5 open, 230 processes; 17 actions so far, 5 of them told with
             others, 2 more only counted, 1 findings
  store      /var/lib/spoor: 12.0 MiB of 2.0 GiB, kept 14d; since 2025-12-29
             09:20:00, up to record 1842
  sink       local: up to date, 1842 taken
  sink       siem: failing, 12 records wait, over 1m 01s; 1 set aside:
             connection refused
  purposes   12 in force, set ps1:abc
  config     holds after a restart: scope.cgroups
  itself     40.0 MiB of memory (at most 48.0 MiB), 0.06 % of one CPU, 9
             threads, 80 descriptors
";
}
