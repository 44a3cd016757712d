//! The terminal: taken, drawn on, and given back as it was, however this ends.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _, stdin, stdout};

use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::report::watch::{Watch, draw};

/// Bytes of a whole screen that are written at once.
const BUFFER: usize = 64 * 1024;

/// Whether there is somebody who sees and types, on something that moves a cursor.
pub(super) fn is_terminal() -> bool {
    let moves = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    stdin().is_terminal() && stdout().is_terminal() && moves
}

/// The terminal, for as long as this lives.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let before = std::panic::take_hook();
        // The release build ends at a panic without cleaning up: so the hook does.
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        take()?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, stdout()));
        Ok(Screen { terminal: Terminal::new(backend).inspect_err(|_| give_back())? })
    }

    pub(super) fn draw(&mut self, watch: &mut Watch, colour: bool) -> io::Result<()> {
        self.terminal.draw(|frame| draw(watch, frame, colour))?;
        Ok(())
    }

    /// Stops, as any program does at Ctrl-Z, until somebody lets it go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        raise(Signal::SIGTSTP)?;
        take()?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide).inspect_err(|_| give_back())
}

/// Gives it back. A terminal that is gone needs nothing.
pub(super) fn give_back() {
    let _ = execute!(stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}
