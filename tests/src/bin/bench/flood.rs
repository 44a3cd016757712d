//! `bench flood`: how much a running agent reads of what one process does without pause, and what becomes of the rest.
//!
//! Of each kind of act, the pace is doubled until something is refused, and the ceiling narrowed down between the last two. Then the
//! same is done at half of it, near it, at it and at twice it; what was made, read and refused must add up.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use spoor_tests::agent::{Agent, Samples};
use spoor_tests::{PATIENCE, Place, suite};

use super::{SETTLE, pass, quiet, say};

/// How long each pace is kept up, in which a ring fills that is not emptied fast enough.
const SECONDS: u32 = 4;
/// The first pace, acts a second, and how often the ceiling is halved in on.
const FIRST: u32 = 500;
const NARROWED: u32 = 3;
const PERCENTS: [u32; 4] = [50, 80, 100, 200];
/// What the acting process does of itself: it opens the credential that makes it one that is watched, and ends.
const OWN: [&str; 2] = ["secret.open", "exit"];

/// An act, and the samples of each, by kind.
struct Act {
    name: &'static str,
    told: &'static [&'static str],
}

const ACTS: [Act; 4] = [
    Act { name: "connections", told: &["connect", "connect.end"] },
    Act { name: "openings", told: &["secret.open"] },
    Act { name: "forks", told: &["fork", "exit"] },
    Act { name: "executions", told: &["fork", "exec", "exit"] },
];

impl Act {
    /// Samples of a kind of so many of it.
    fn samples(&self, kind: &str, times: u32) -> u64 {
        u64::from(self.told.contains(&kind)) * u64::from(times) + u64::from(OWN.contains(&kind))
    }
}

/// What became of one pace.
struct Outcome {
    /// Acts.
    made: u32,
    took: Duration,
    told: BTreeMap<&'static str, Samples>,
}

impl Outcome {
    /// Those that were not read, told by others or not.
    fn refused(&self) -> u64 {
        self.told.values().map(|samples| samples.dropped + samples.repeated).sum()
    }

    /// Acts a second, as they came.
    fn pace(&self) -> f64 {
        f64::from(self.made) / self.took.as_secs_f64()
    }
}

/// Of all acts, or of those that are named.
pub(crate) fn flood(place: &Place, named: &[&str]) -> Result<()> {
    let strange = named.iter().find(|name| ACTS.iter().all(|act| act.name != **name));
    ensure!(strange.is_none(), "no such acts: {strange:?}");
    let directory = place.directory("flood")?;
    fs::write(directory.join("0"), "no secret\n")?;
    say(format_args!(
        "| acts | pace asked for, a second | pace | samples | made | read | lost | repeated, counted | add up |"
    ))?;
    say(format_args!("|---|---|---|---|---|---|---|---|---|"))?;
    for act in ACTS.iter().filter(|act| named.is_empty() || named.contains(&act.name)) {
        let config = format!("[credentials]\npaths = [\"{}/0\"]\n", directory.display());
        let agent = Agent::start(place, &format!("flood-{}", act.name), &config)?;
        pass(SETTLE);
        let at = |pace: u32| outcome(place, &agent, act, pace, &directory);
        let (ceiling, reached) = ceiling(at)?;
        for percent in PERCENTS {
            let pace = ceiling / 100 * percent;
            tell(act, percent, (pace, reached), &at(pace)?)?;
        }
        let (status, _) = agent.stop()?;
        ensure!(status.success(), "the agent ended with {status}");
    }
    Ok(())
}

/// The greatest pace of which all was read; or the greatest that one process makes, where nothing of that is refused.
fn ceiling(at: impl Fn(u32) -> Result<Outcome>) -> Result<(u32, bool)> {
    let mut pace = FIRST;
    loop {
        let outcome = at(pace)?;
        if outcome.refused() > 0 {
            break;
        }
        if outcome.pace() < f64::from(pace) * 0.9 {
            return Ok((whole(outcome.pace()), false));
        }
        pace = pace.checked_mul(2).context("no end of it")?;
    }
    let (mut good, mut step) = (pace / 2, pace / 4);
    for _ in 0..NARROWED {
        if at(good + step)?.refused() == 0 {
            good += step;
        }
        step /= 2;
    }
    Ok((good, true))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace is small and positive")]
fn whole(pace: f64) -> u32 {
    pace as u32
}

/// One row for each kind of samples.
fn tell(act: &Act, percent: u32, (pace, reached): (u32, bool), outcome: &Outcome) -> Result<()> {
    let word = if reached { "" } else { " of what it makes" };
    for (kind, samples) in &outcome.told {
        let Samples { read, dropped, repeated } = samples;
        let made = act.samples(kind, outcome.made);
        say(format_args!(
            "| {} at {percent} %{word} | {pace} | {:.0} | `{kind}` | {made} | {read} | {dropped} | {repeated} | {} |",
            act.name,
            outcome.pace(),
            if made == samples.all() { "yes" } else { "**no**" },
        ))?;
    }
    Ok(())
}

/// Keeps up one pace, and waits until everything is read or refused.
fn outcome(place: &Place, agent: &Agent, act: &Act, pace: u32, directory: &Path) -> Result<Outcome> {
    let before = agent.samples()?;
    let made = pace * SECONDS;
    suite::act_well(
        place,
        &["flood", act.name, &pace.to_string(), &made.to_string(), &directory.display().to_string()],
    )?;
    let took = Duration::from_nanos(fs::read_to_string(directory.join("took"))?.parse()?);
    let deadline = Instant::now() + PATIENCE;
    let mut told: BTreeMap<&'static str, Samples>;
    loop {
        let now = agent.samples()?;
        let since = |kind: &'static str| Some((kind, now.get(kind)?.since(*before.get(kind)?)));
        told = act.told.iter().chain(&OWN).copied().filter_map(since).collect();
        if told.iter().all(|(kind, samples)| samples.all() >= act.samples(kind, made))
            || Instant::now() > deadline
        {
            break;
        }
        pass(Duration::from_millis(100));
    }
    quiet(agent.pid())?;
    Ok(Outcome { made, took, told })
}

/// The work, by a process that is watched: so many acts, at that pace as far as it can.
pub(crate) fn work_off(act: &str, pace: u32, made: u32, directory: &Path) -> Result<()> {
    let credential = directory.join("0");
    drop(fs::File::open(&credential)?);
    let (_refuser, port) = suite::refusing_port()?;
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let started = Instant::now();
    for turn in 0..made {
        let due = Duration::from_secs(1) * turn / pace;
        // What is late is made up for at once.
        if let Some(early) =
            due.checked_sub(started.elapsed()).filter(|early| *early > Duration::from_millis(1))
        {
            pass(early);
        }
        match act {
            "connections" => drop(TcpStream::connect(to)),
            "openings" => drop(fs::File::open(&credential)?),
            "forks" => forked()?,
            "executions" => ensure!(Command::new("/bin/true").status()?.success(), "/bin/true fails"),
            _ => bail!("no such act: {act}"),
        }
    }
    fs::write(directory.join("took"), started.elapsed().as_nanos().to_string())?;
    Ok(())
}

#[expect(unsafe_code, reason = "fork; this program has one thread")]
fn forked() -> Result<()> {
    // SAFETY: no other thread runs here, and the child does nothing but end.
    match unsafe { fork() }? {
        // SAFETY: ends at once.
        ForkResult::Child => unsafe { nix::libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None).map(drop).map_err(Into::into),
    }
}
