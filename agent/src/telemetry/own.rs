//! What the agent itself takes of the host.

use nix::sys::resource::{UsageWho, getrusage};
use procfs::process::Process;
use serde::{Deserialize, Serialize};

/// Memory, processor time and handles of this process, as the kernel counts them. What could not be read is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Resident memory, bytes.
    pub memory_bytes: u64,
    /// The most it ever was, bytes.
    pub memory_peak_bytes: u64,
    /// Processor time in user mode, ms.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel, ms.
    pub cpu_system_ms: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl Own {
    /// As it is now.
    #[must_use]
    pub fn now() -> Self {
        let (mut own, kib) = (Self::default(), |kib: Option<u64>| kib.unwrap_or(0).saturating_mul(1_024));
        if let Ok(me) = Process::myself() {
            if let Ok(status) = me.status() {
                own.memory_bytes = kib(status.vmrss);
                own.memory_peak_bytes = kib(status.vmhwm);
                own.threads = status.threads;
            }
            own.descriptors = me.fd_count().map_or(0, |count| u64::try_from(count).unwrap_or(u64::MAX));
        }
        (own.cpu_user_ms, own.cpu_system_ms) = Self::cpu_ms();
        own
    }

    /// Processor time so far, in user mode and in the kernel, ms.
    #[must_use]
    pub fn cpu_ms() -> (u64, u64) {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
            return (0, 0);
        };
        let ms = |time: nix::sys::time::TimeVal| {
            let ms = time.tv_sec().saturating_mul(1_000).saturating_add(time.tv_usec() / 1_000);
            u64::try_from(ms).unwrap_or(0)
        };
        (ms(usage.user_time()), ms(usage.system_time()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_takes_something() {
        let own = Own::now();
        assert!(own.memory_bytes > 100_000 && own.memory_peak_bytes >= own.memory_bytes, "{own:?}");
        assert!(own.threads >= 1 && own.descriptors >= 3, "{own:?}");
    }
}
