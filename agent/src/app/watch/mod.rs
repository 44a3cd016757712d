//! `spoor watch`: follows a store from its last number, asks the agent how it is, and shows both until told to stop.
//!
//! One loop waits for whatever comes first: a key, a change in the store's directory, the agent's answer, a signal, the
//! terminal's end. Where nothing happens it wakes once in [`LOOK`]. The store is read at most five times a second and the screen
//! drawn at most ten times: what comes meanwhile waits in the store.

mod follow;
mod screen;
mod wakes;

use std::path::Path;
use std::time::{Duration, Instant};

use follow::Follow;
use screen::Screen;
use wakes::{Wake, Wakes};

use super::{Failure, style};
use crate::record::now_ns;
use crate::report::watch::{Answer, Watch, Wish};
use crate::status::socket::AskError;

/// Between two drawings.
const DRAW: Duration = Duration::from_millis(100);
/// From a change in the store to the reading, so that what is being written is whole by then.
const SETTLE: Duration = Duration::from_millis(50);
/// Between two readings.
const READ: Duration = Duration::from_millis(200);
/// The store is looked at so often even where nothing told of a change, and the agent is asked as often.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// Shows the store of a directory until somebody quits, or a signal or the terminal's end says so.
///
/// # Errors
/// [`Failure::NoTerminal`] where there is none; else why the store or the terminal do not work.
pub fn watch(directory: &Path) -> Result<(), Failure> {
    if !screen::is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let mut watch = Watch::new();
    let mut follow = Follow::start(directory, &mut watch)?;
    // Before there are threads: they all leave signals to the one that waits for them.
    let mut wakes = Wakes::start(directory).map_err(Failure::system("wait for signals"))?;
    let screen = Screen::enter().map_err(Failure::system("take the terminal"))?;
    let outcome = Turns { watch, screen, due: Some(Instant::now()), read: None, drawn: None }
        .run(&mut follow, &mut wakes);
    // The terminal is what it was by now, so that this is read.
    outcome.map_err(Failure::system("write to the terminal"))
}

struct Turns {
    watch: Watch,
    screen: Screen,
    /// When the store is to be read.
    due: Option<Instant>,
    /// When it was read last.
    read: Option<Instant>,
    /// When the screen was drawn last.
    drawn: Option<Instant>,
}

impl Turns {
    fn run(mut self, follow: &mut Follow, wakes: &mut Wakes) -> std::io::Result<()> {
        let colour = style().colour;
        loop {
            self.watch.now(now_ns());
            if self.watch.has_changed() && self.wait_to_draw().is_zero() {
                self.screen.draw(&mut self.watch, colour)?;
                self.drawn = Some(Instant::now());
            }
            let until_drawn = if self.watch.has_changed() { self.wait_to_draw() } else { LOOK };
            let now = Instant::now();
            let until_read = self.due.map_or(LOOK, |due| due.saturating_duration_since(now));
            let mut changed = false;
            for wake in wakes.wait(until_drawn.min(until_read)) {
                match wake {
                    Wake::Stop => return Ok(()),
                    Wake::Resized => self.watch.redraw(),
                    Wake::Suspend => self.suspend()?,
                    Wake::Stored => changed = true,
                    Wake::Answered(answer) => {
                        self.answered(&answer);
                        // The agent is asked as often as the store is looked at.
                        self.due.get_or_insert_with(Instant::now);
                    }
                    Wake::Key(key) => match self.watch.key(key) {
                        Some(Wish::Quit) => return Ok(()),
                        Some(wish) => follow.grant(&wish, &mut self.watch),
                        // What was held back is due.
                        None => changed |= follow.was_held(&self.watch),
                    },
                }
            }
            self.read(follow, changed);
        }
    }

    fn wait_to_draw(&self) -> Duration {
        self.drawn.map_or(Duration::ZERO, |drawn| DRAW.saturating_sub(drawn.elapsed()))
    }

    /// Reads where it is time to. What changed while that was waited for is read once more.
    fn read(&mut self, follow: &mut Follow, changed: bool) {
        let now = Instant::now();
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            let more = follow.read(&mut self.watch);
            self.read = Some(now);
            // Behind, it goes on at once, and keys and the screen have their turn between.
            self.due = more.then_some(now);
        }
        if changed && self.due.is_none() {
            let settled = now + SETTLE;
            self.due = Some(self.read.map_or(settled, |read| settled.max(read + READ)));
        }
    }

    fn answered(&mut self, answer: &wakes::Asked) {
        match answer {
            Ok(status) => self.watch.agent(Answer::Status(status)),
            Err(AskError::NotRunning(_)) => self.watch.agent(Answer::NotRunning),
            Err(error) => self.watch.agent(Answer::Silent(&error.to_string())),
        }
    }

    fn suspend(&mut self) -> std::io::Result<()> {
        self.screen.suspend()?;
        self.watch.redraw();
        Ok(())
    }
}
