//! How each sink stands.

use serde_json::json;

use super::style::{Line, Paint, Style, head};
use super::words;
use crate::record::{View, rfc3339};
use crate::store::{Reader, SetAside, SinkState, StoreError};

/// Most set aside records shown to people; programs get all that are listed.
const SHOWN_MAX: usize = 10;

/// How each sink stands, against the newest record there is.
#[derive(Debug)]
pub struct Standing {
    sinks: Vec<(SinkState, Lag)>,
}

/// What a sink has not settled yet.
#[derive(Debug, Default)]
struct Lag {
    records: u64,
    /// From the first of them to the newest record.
    ns: i64,
}

impl Standing {
    /// Looks at where each sink is in the store.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub fn read(reader: &Reader, sinks: Vec<SinkState>) -> Result<Self, StoreError> {
        let time = |body: &[u8]| View::parse(body).map_or(0, |view| view.time_ns());
        let newest = reader.newest()?;
        let mut standing = Vec::new();
        for sink in sinks {
            let mut lag = Lag::default();
            if let Some(newest) = newest.as_ref().filter(|newest| newest.seq > sink.cursor)
                && let Some(waiting) = reader.after(sink.cursor, 1)?.first()
            {
                // Numbers grow by one, but for what retention has dropped.
                lag.records = newest.seq - waiting.seq + 1;
                lag.ns = time(&newest.body).saturating_sub(time(&waiting.body)).max(0);
            }
            standing.push((sink, lag));
        }
        Ok(Self { sinks: standing })
    }

    /// Each sink, how many records it has not settled yet, and the time over which they lie, ns.
    pub fn each(&self) -> impl Iterator<Item = (&SinkState, u64, i64)> {
        self.sinks.iter().map(|(sink, lag)| (sink, lag.records, lag.ns))
    }

    /// Whether something is wrong now.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.sinks.iter().any(|(sink, _)| sink.error.is_some())
    }

    /// For programs: a sink a line.
    #[must_use]
    pub fn json(&self) -> String {
        let line = |(sink, lag): &(SinkState, Lag)| {
            let listed =
                |one: &SetAside| json!({"seq": one.seq, "time": rfc3339(one.time_ns), "reason": one.reason});
            let error = sink.error.as_ref().map(|(what, when)| json!({"what": what, "time": rfc3339(*when)}));
            let mut line = json!({
                "sink": sink.name,
                "cursor": sink.cursor,
                "lag": {"records": lag.records, "ms": lag.ns / 1_000_000},
                "taken": sink.taken,
                "retries": sink.retries,
                "set_aside": {"count": sink.set_aside, "listed": sink.listed.iter().map(listed).collect::<Vec<_>>()},
            });
            if let Some(error) = error {
                line["error"] = error;
            }
            format!("{line}\n")
        };
        self.sinks.iter().map(line).collect()
    }

    /// For people.
    #[must_use]
    pub fn text(&self, style: &Style) -> String {
        if self.sinks.is_empty() {
            return "no sink has run on this store\n".to_owned();
        }
        let wide = if style.width == 0 { usize::MAX } else { style.width.max(60) };
        let mut out = String::new();
        for (sink, lag) in &self.sinks {
            let line = Line::new().put(Paint::Strong, &sink.name).to(20);
            let line = match (&sink.error, lag.records) {
                (Some(_), _) => line.put(Paint::Bad, "failing"),
                (None, 0) => line.put(Paint::Good, "up to date"),
                (None, _) => line.plain("behind"),
            };
            line.end(style, &mut out);
            let mut tell = |name: &str, text: &str| {
                let line = Line::new().plain("  ").faint(name).to(14);
                line.plain(&head(text, wide.saturating_sub(14))).end(style, &mut out);
            };
            tell("taken", &format!("{}, up to record {}", sink.taken, sink.cursor));
            if lag.records > 0 {
                tell("waiting", &format!("{} records, over {}", lag.records, words::distance(lag.ns)));
            }
            if sink.retries > 0 {
                tell("retries", &sink.retries.to_string());
            }
            if let Some((what, when)) = &sink.error {
                tell("error", &format!("{}  {what}", words::moment(&rfc3339(*when))));
            }
            if sink.set_aside > 0 {
                tell("set aside", &format!("{}; the records are in the store", sink.set_aside));
            }
            for one in sink.listed.iter().take(SHOWN_MAX) {
                tell("", &format!("record {}  {}", one.seq, one.reason));
            }
            let more = sink.listed.len().saturating_sub(SHOWN_MAX);
            if more > 0 {
                tell("", &format!("and {more} more; --json lists them"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::testing::{backup, records};
    use crate::store::{Progress, Retention, Store, sinks};

    #[test]
    fn a_sink_tells_where_it_is_and_what_it_lacks() {
        let dir = tempfile::TempDir::new().unwrap();
        let keep = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
        let mut store = Store::open(dir.path(), keep).unwrap();
        let night = records(&backup());
        store.append(&night).unwrap();
        let (first, last) = (night[0].seq, night[night.len() - 1].seq);
        let cursors = store.cursors().unwrap();
        cursors.settle("fast", &Progress { seq: last, taken: 9, ..Progress::default() }).unwrap();
        let aside = SetAside { seq: first, time_ns: 1_767_323_045_000_000_000, reason: "400: no".to_owned() };
        cursors.settle("slow", &Progress { seq: first, taken: 0, set_aside: vec![aside] }).unwrap();
        cursors.failed("slow", "nobody there", 1_767_323_046_000_000_000).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let standing = Standing::read(&reader, sinks(dir.path()).unwrap()).unwrap();
        assert!(standing.failing());
        let text = standing.text(&Style { width: 80, colour: false });
        let waiting = last - first;
        let expected = format!(
            "fast                up to date\n  taken       9, up to record {last}\n\
             slow                failing\n  taken       0, up to record {first}\n  \
             waiting     {waiting} records, over 48.21 s\n  retries     1\n  \
             error       2026-01-02 03:04:06  nobody there\n  \
             set aside   1; the records are in the store\n              record {first}  400: no\n"
        );
        assert_eq!(text, expected);
        let json = standing.json();
        let slow: serde_json::Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
        assert_eq!(slow["lag"]["records"], waiting);
        assert_eq!(slow["set_aside"]["listed"][0]["reason"], "400: no");
        assert_eq!(slow["error"]["what"], "nobody there");
        assert!(!json.lines().next().unwrap().contains("error"));
    }
}
