//! The agent's own log, on standard error.
//!
//! Under systemd standard error is the journal: then each line has its priority in front (`<4>`, see `sd-daemon(3)`), and no
//! time, for the journal has its own. One place of the code says at most 64 lines a minute (those for debugging are not
//! counted): a host with a thousand broken files is told of some and of how many more there were, and a journal is not
//! filled by one sink that is down.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Lines that one place of the code may say in a [`WINDOW`].
const BURST: u64 = 64;
/// How long that is counted.
const WINDOW: Duration = Duration::from_mins(1);

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Lines that were left out because the same place of the code had said too many.
#[must_use]
pub fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// The loader's own chatter is not ours.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("{level},aya=warn,aya_obj=warn"))
}

/// Starts the log; for the one who starts the process. A second start is none.
pub fn start(level: &str) {
    let journal = is_journal();
    let lines = Lines { journal, bounds: Bounds::default() };
    let (filter, handle) = reload::Layer::new(filter(level));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(!journal && io::stderr().is_terminal())
        .event_format(lines);
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_ok() {
        // Set once, as the log is started once.
        drop(LEVEL.set(handle));
    }
}

/// Says less or more from now on. `false`: there is no log whose level could change.
pub fn set_level(level: &str) -> bool {
    LEVEL.get().is_some_and(|handle| handle.reload(filter(level)).is_ok())
}

/// Whether standard error is the journal's: systemd names the device and inode of what it has connected.
fn is_journal() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else {
        return false;
    };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| named == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// How a line is written.
struct Lines {
    journal: bool,
    bounds: Bounds,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let level = *event.metadata().level();
        // Who asked for debugging wants all of it; and what the probes say there comes from one place.
        let admitted = if level > Level::INFO {
            Some(0)
        } else {
            self.bounds.admit(&event.metadata().callsite(), Instant::now())
        };
        let Some(skipped) = admitted else {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
            // What is not written is no line.
            return Ok(());
        };
        let format: Format<Compact> = Format::default().with_target(false).compact();
        if !self.journal {
            format.format_event(context, writer.by_ref(), event)?;
            return note(skipped, |note| writeln!(writer, "{note}"));
        }
        let mut text = String::new();
        format.without_time().with_level(false).with_ansi(false).format_event(
            context,
            Writer::new(&mut text),
            event,
        )?;
        note(skipped, |note| writeln!(text, "{note}"))?;
        let priority = priority(level);
        // Each line is an entry of its own there, and one without a priority would lose that of its beginning.
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{line}"))
    }
}

fn note(skipped: u64, write: impl FnOnce(String) -> std::fmt::Result) -> std::fmt::Result {
    if skipped == 0 {
        return Ok(());
    }
    write(format!("({skipped} more like this were left out before it)"))
}

/// Priorities of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// How often each place of the code has spoken lately. There are as many as the code has: it cannot grow.
#[derive(Default)]
struct Bounds(Mutex<HashMap<Identifier, Said>>);

struct Said {
    since: Instant,
    lines: u64,
    skipped: u64,
}

impl Bounds {
    /// Whether one more line may be said; if so, how many were not since the last one that was.
    fn admit(&self, place: &Identifier, now: Instant) -> Option<u64> {
        // Numbers only: whoever panicked in between left them whole.
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(place.clone()).or_insert(Said { since: now, lines: 0, skipped: 0 });
        if now.duration_since(said.since) >= WINDOW {
            (said.since, said.lines) = (now, 0);
        }
        if said.lines >= BURST {
            said.skipped += 1;
            return None;
        }
        said.lines += 1;
        Some(std::mem::take(&mut said.skipped))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::subscriber::with_default;

    use super::*;

    /// What a piece of code logs.
    fn logged(journal: bool, speak: impl FnOnce()) -> String {
        let text = Arc::new(Mutex::new(Vec::<u8>::new()));
        let layer = tracing_subscriber::fmt::layer()
            .with_writer({
                let text = Arc::clone(&text);
                move || Into(Arc::clone(&text))
            })
            .with_ansi(false)
            .event_format(Lines { journal, bounds: Bounds::default() });
        with_default(tracing_subscriber::registry().with(layer), speak);
        let bytes = text.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    struct Into(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_journal_gets_a_priority_on_every_line() {
        let text = logged(true, || {
            tracing::warn!("two\nlines");
            tracing::error!(sink = "a", "broken");
            tracing::info!("well");
            tracing::debug!("fine");
        });
        assert_eq!(text, "<4>two\n<4>lines\n<3>broken sink=\"a\"\n<6>well\n<7>fine\n");
    }

    #[test]
    fn elsewhere_a_line_has_its_time_and_level() {
        let text = logged(false, || tracing::warn!("careful"));
        assert!(text.ends_with("Z  WARN careful\n") && !text.starts_with('<'), "{text:?}");
    }

    #[test]
    fn one_place_does_not_fill_the_journal() {
        let before = left_out();
        let text = logged(true, || {
            for number in 0..BURST + 10 {
                tracing::warn!("again {number}");
            }
            tracing::warn!("another place");
        });
        assert_eq!(text.lines().count() as u64, BURST + 1);
        assert!(text.ends_with("<4>another place\n"), "{text}");
        assert!(left_out() >= before + 10);
    }

    #[test]
    fn what_was_left_out_is_told_when_there_is_room_again() {
        let bounds = Bounds::default();
        // Any place will do.
        let place = Identifier(&PLACE);
        let start = Instant::now();
        for _ in 0..BURST {
            assert_eq!(bounds.admit(&place, start), Some(0));
        }
        assert_eq!(bounds.admit(&place, start), None);
        assert_eq!(bounds.admit(&place, start + WINDOW / 2), None);
        assert_eq!(bounds.admit(&place, start + WINDOW), Some(2));
        assert_eq!(bounds.admit(&place, start + WINDOW), Some(0));
    }

    struct Place;
    static PLACE: Place = Place;
    impl tracing::callsite::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &tracing::Metadata<'_> {
            unreachable!("nobody asks")
        }
    }
}
