//! The live view: chains as they grow, a line a record. A slow terminal loses lines, never records.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::record::Record;
use crate::report::{Style, live_line};
use crate::telemetry::Ledger;

/// Lines that may wait for the terminal.
const WAITING_MAX: usize = 4_096;

/// How text is shown on standard output: as wide as the terminal, in colour where it is one and nobody objects.
#[must_use]
pub fn style() -> Style {
    let terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style { width: if terminal { terminal_width() } else { 0 }, colour: terminal && !plain }
}

fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(super::terminal::columns).unwrap_or(80)
}

/// The thread that prints, and the way to it.
pub(super) struct Live {
    pub(super) lines: SyncSender<String>,
    thread: JoinHandle<()>,
}

impl Live {
    /// Starts it.
    pub(super) fn start() -> std::io::Result<Self> {
        let (lines, printed) = sync_channel::<String>(WAITING_MAX);
        let thread = std::thread::Builder::new().name("spoor-live".into()).spawn(move || {
            let mut out = std::io::stdout().lock();
            for line in printed {
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    // The terminal is gone; what happens is stored.
                    return;
                }
            }
        })?;
        Ok(Live { lines, thread })
    }

    /// What shows a record.
    pub(super) fn shower(&self, style: Style, ledger: Arc<Ledger>) -> Box<dyn FnMut(&Record) + Send> {
        let lines = self.lines.clone();
        Box::new(move |record| {
            if let Some(line) = live_line(&record.body, &style)
                && lines.try_send(line).is_err()
            {
                ledger.lines_not_shown.one();
            }
        })
    }

    /// Prints what is left. Every shower must be gone.
    pub(super) fn finish(self) {
        drop(self.lines);
        // A thread that died printed what it could.
        let _ = self.thread.join();
    }
}
