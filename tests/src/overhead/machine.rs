//! What everybody on the machine has used of its one processor.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What is looked at to say how much is done at rest: longer than a collector lets lie what is not urgent, and than it keeps
/// an answer.
const WINDOW: Duration = Duration::from_millis(1_200);
/// So many of them until it must have come to rest.
const WINDOWS: u32 = 50;

/// What the others have used, and when.
pub(super) struct Look {
    used_ns: u64,
    at: Instant,
}

/// What all processes have used but ourselves and one more; the kernel's own threads are among them.
pub(super) fn look(but: u32) -> Result<Look> {
    let mut used_ns = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if pid == std::process::id() || pid == but {
            continue;
        }
        // One that ended meanwhile has no clock.
        if let Ok(used) = used(pid) {
            used_ns += used;
        }
    }
    Ok(Look { used_ns, at: Instant::now() })
}

/// What a process has used of processors, all its threads, ns.
///
/// # Errors
/// Where it is gone.
pub fn used(pid: u32) -> Result<u64> {
    let time = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid.try_into()?))?)?;
    Ok(u64::try_from(time.tv_sec())? * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
}

/// The share of the processor that is used at rest, in millionths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest(pub(super) u64);

/// Waits until nobody has anything to do but what is done again and again: until two windows in a row are alike, or one is
/// empty but for a hundredth.
pub(super) fn rest(but: u32) -> Result<Rest> {
    let mut before = None;
    for _ in 0..WINDOWS {
        let start = look(but)?;
        while let Some(left) = WINDOW.checked_sub(start.at.elapsed()) {
            std::thread::park_timeout(left + Duration::from_millis(1));
        }
        let share = start.share(&look(but)?);
        if at_rest(before, share) {
            return Ok(Rest(share));
        }
        before = Some(share);
    }
    ensure!(false, "the machine does not come to rest: {before:?} millionths are used");
    Ok(Rest(0))
}

/// Whether a window is one of a machine at rest, by the one before.
fn at_rest(before: Option<u64>, share: u64) -> bool {
    let alike = before.is_some_and(|before| share + share / 4 + 2_000 >= before);
    share < 10_000 || (share < 400_000 && alike)
}

impl Look {
    fn passed(&self, later: &Self) -> (u64, u64) {
        let ns = later.at.saturating_duration_since(self.at).as_nanos();
        (later.used_ns.saturating_sub(self.used_ns), u64::try_from(ns).unwrap_or(u64::MAX))
    }

    fn share(&self, later: &Self) -> u64 {
        let (used, passed) = self.passed(later);
        used.saturating_mul(1_000_000) / passed.max(1)
    }

    /// What was used until then beyond what is used at rest.
    pub(super) fn beyond(&self, later: &Self, rest: Rest) -> i64 {
        let (used, passed) = self.passed(later);
        let at_rest = passed / 1_000 * rest.0 / 1_000;
        i64::try_from(used).unwrap_or(i64::MAX) - i64::try_from(at_rest).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_no_rest_however_steady() {
        assert!(at_rest(None, 9_000), "as good as nothing");
        assert!(!at_rest(None, 30_000), "it may still be falling");
        assert!(!at_rest(Some(200_000), 30_000), "it is");
        assert!(at_rest(Some(31_000), 30_000));
        assert!(!at_rest(Some(990_000), 990_000));
    }

    #[test]
    fn what_is_done_at_rest_is_taken_off() {
        let at = Instant::now();
        let start = Look { used_ns: 5_000, at };
        let later = Look { used_ns: 5_000 + 30_000_000, at: at + Duration::from_secs(2) };
        assert_eq!(start.share(&later), 15_000);
        assert_eq!(start.beyond(&later, Rest(10_000)), 10_000_000);
        assert_eq!(start.beyond(&later, Rest(20_000)), -10_000_000);
    }
}
