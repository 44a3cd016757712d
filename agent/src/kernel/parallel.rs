//! Work that a start would wait for, on several CPUs at once.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Most CPUs that are taken for it: a host may start much else at that time.
const CPUS_MAX: usize = 4;

/// How many there are to be taken.
pub(super) fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(CPUS_MAX)
}

/// Does all jobs, each once, and gives what became of them, in no order.
pub(super) fn all<J: Send, R: Send>(cpus: usize, jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
    let cpus = cpus.min(jobs.len());
    let (jobs, done) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    let until_none_is_left = || {
        let mut mine = Vec::new();
        loop {
            // A statement of its own, so that the lock is given back before the work.
            let job = lock(&jobs).pop();
            let Some(job) = job else { break };
            mine.push(work(job));
        }
        lock(&done).append(&mut mine);
    };
    thread::scope(|scope| {
        for _ in 1..cpus {
            let name = "spoor-start".to_owned();
            // Where no thread is to be had, who is there does it alone.
            let made = thread::Builder::new().name(name).spawn_scoped(scope, until_none_is_left);
            drop(made.inspect_err(|error| tracing::debug!("one CPU less: {error}")));
        }
        until_none_is_left();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_done_once() {
        for (cpus, jobs) in [(0, 3), (1, 0), (1, 2), (4, 0), (4, 2), (4, 1_000)] {
            let mut done = all(cpus, (0..jobs).collect(), |job: u32| job * 2);
            done.sort_unstable();
            assert_eq!(done, (0..jobs).map(|job| job * 2).collect::<Vec<_>>(), "{jobs} on {cpus}");
        }
    }
}
