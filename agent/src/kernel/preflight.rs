//! What this host can do: answered by looking, before anything is loaded. Never guesses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Oldest kernel whose BPF has what the probes need (ring buffers; `CAP_BPF`).
const KERNEL_MIN: (u32, u32) = (5, 8);
const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
/// Where the kernel says how breakpoints of functions are asked for, if it has them; the loader looks there, too.
const KPROBES_PATH: &str = "/sys/bus/event_source/devices/kprobe/type";
/// Inode number of the initial pid namespace, a constant of the kernel.
const INIT_PID_NS: u64 = 0xEFFF_FFFC;
pub(super) const CAP_SYS_ADMIN: u32 = 21;
pub(super) const CAP_PERFMON: u32 = 38;
pub(super) const CAP_BPF: u32 = 39;

/// Why spoor cannot run here. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// Not privileged.
    #[error(
        "not permitted: loading probes takes CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), and this process has neither; \
         run it as root or by its systemd unit"
    )]
    NotPermitted,
    /// Kernel too old.
    #[error(
        "this kernel ({release}) is too old: spoor needs 5.8 or newer; an enterprise kernel of an older number may carry \
         what is needed, and was never tried"
    )]
    KernelTooOld {
        /// `uname -r`
        release: String,
    },
    /// No type description.
    #[error(
        "this kernel ({release}) has no readable BTF at {}: {error}; it must be built with CONFIG_DEBUG_INFO_BTF=y \
         (Debian from 11, Ubuntu from 20.10, RHEL from 9 are), and /sys must be mounted",
        path.display()
    )]
    NoBtf {
        /// `uname -r`
        release: String,
        /// Where it should be.
        path: PathBuf,
        /// Why it could not be read.
        error: io::Error,
    },
    /// Locked down too far.
    #[error(
        "the kernel is locked down to `confidentiality`, which forbids probes to read kernel memory; boot with \
         `lockdown=integrity` (what Secure Boot sets by default) to allow it"
    )]
    Lockdown,
    /// In a pid namespace.
    #[error(
        "this process lives in a pid namespace of its own and would mistake the host's processes; run it on the host, \
         or with the host's pid namespace (`--pid=host`, `hostPID: true`)"
    )]
    PidNamespace,
    /// `/proc` cannot be read.
    #[error("{} cannot be read: {error}; mount /proc", path.display())]
    Proc {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Lockdown state of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// None, or the kernel has no such thing.
    None,
    /// Nobody may change the running kernel.
    Integrity,
    /// Nobody may read its memory either.
    Confidentiality,
    /// Security files are not mounted.
    Unknown,
}

impl Lockdown {
    /// The name used by the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
            Lockdown::Unknown => "unknown (securityfs is not mounted)",
        }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Host {
    /// `uname -r`
    pub release: String,
    /// Lockdown state.
    pub lockdown: Lockdown,
    /// Active security modules, in order; `None` where securityfs is not mounted.
    pub lsms: Option<Vec<String>>,
    /// Id of this boot.
    pub boot_id: [u8; 16],
    /// The kernel's type description.
    pub btf: Vec<u8>,
    /// Tasks in the kernel are preempted.
    pub preempted: bool,
    /// Functions can have breakpoints.
    pub kprobes: bool,
}

/// Looks.
///
/// # Errors
/// [`PreflightError`], the first that holds, in the order in which a person would mend them.
pub fn inspect() -> Result<Host, PreflightError> {
    let release = read("/proc/sys/kernel/osrelease")?;
    if version(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(PreflightError::KernelTooOld { release });
    }
    if !privileged(&read("/proc/self/status")?) {
        return Err(PreflightError::NotPermitted);
    }
    if let Ok(namespace) = fs::metadata("/proc/self/ns/pid") {
        use std::os::unix::fs::MetadataExt;
        if namespace.ino() != INIT_PID_NS {
            return Err(PreflightError::PidNamespace);
        }
    }
    let lockdown = lockdown(fs::read_to_string("/sys/kernel/security/lockdown").ok().as_deref());
    if lockdown == Lockdown::Confidentiality {
        return Err(PreflightError::Lockdown);
    }
    let btf = fs::read(BTF_PATH).map_err(|error| PreflightError::NoBtf {
        release: release.clone(),
        path: BTF_PATH.into(),
        error,
    })?;
    let lsms = fs::read_to_string("/sys/kernel/security/lsm").ok();
    let lsms = lsms.map(|list| list.trim().split(',').map(str::to_owned).collect());
    let preempted = super::preemption::preempted(version(&release));
    let kprobes = Path::new(KPROBES_PATH).exists();
    Ok(Host { release, lockdown, lsms, boot_id: boot_id()?, btf, preempted, kprobes })
}

fn read(path: &str) -> Result<String, PreflightError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) => Err(PreflightError::Proc { path: Path::new(path).into(), error }),
    }
}

/// Id of this boot.
///
/// # Errors
/// [`PreflightError::Proc`]
pub fn boot_id() -> Result<[u8; 16], PreflightError> {
    let text = read("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(|digit| *digit != '-').collect();
    let value = u128::from_str_radix(&digits, 16).unwrap_or(0);
    Ok(value.to_be_bytes())
}

/// Major and minor number of a release such as `5.10.0-44-cloud-amd64`; `None` where it does not start with one.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn privileged(status: &str) -> bool {
    let set = super::facts::capabilities(status);
    let has = |capability: u32| set >> capability & 1 == 1;
    has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))
}

pub(super) fn lockdown(file: Option<&str>) -> Lockdown {
    match file.and_then(|text| text.split(['[', ']']).nth(1)) {
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        Some(_) => Lockdown::None,
        None => Lockdown::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_many_makers() {
        assert_eq!(version("5.10.0-44-cloud-amd64"), Some((5, 10)));
        assert_eq!(version("4.18.0-553.el8.x86_64"), Some((4, 18)));
        assert_eq!(version("6.12.1+deb13-amd64"), Some((6, 12)));
        assert_eq!(version("mine"), None);
        assert!(version("5.7.19") < Some(KERNEL_MIN));
        assert!(version("5.8") >= Some(KERNEL_MIN));
    }

    #[test]
    fn capabilities_that_suffice() {
        assert!(privileged("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(privileged("CapEff:\t000000c000000000\n"), "bpf and perfmon");
        assert!(!privileged("CapEff:\t0000008000000000\n"), "bpf alone");
        assert!(!privileged("CapEff:\t0000000000000000\n"));
        assert!(!privileged(""));
    }

    #[test]
    fn lockdown_as_the_kernel_writes_it() {
        assert_eq!(lockdown(Some("none [integrity] confidentiality\n")), Lockdown::Integrity);
        assert_eq!(lockdown(Some("none integrity [confidentiality]\n")), Lockdown::Confidentiality);
        assert_eq!(lockdown(Some("[none] integrity confidentiality\n")), Lockdown::None);
        assert_eq!(lockdown(None), Lockdown::Unknown);
    }
}
