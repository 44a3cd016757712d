//! One life of the pod: podman in a kubelet's place.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::pod::Pod;
use crate::PATIENCE;
use crate::records::{at, text};
use crate::suite::house::shell;

/// As the guest finds it.
pub(super) const IMAGE: &str = "/spoor/deployed/image.tar";
/// containerd's own filter of system calls for what is granted.
const FILTER: &str = "/run/suite-filter.json";

/// One life of the pod.
pub(super) struct Running {
    podman: Child,
    log: PathBuf,
    grace: u32,
}

impl Running {
    /// Starts it and waits until what the kubelet asks says that it is ready. `Err` where it ends before: with its exit code.
    pub(super) fn start(pod: &Pod, round: &str) -> Result<Result<Self, ExitStatus>> {
        let log = PathBuf::from(format!("/run/suite-{round}.log"));
        let out = fs::File::create(&log)?;
        let mut podman = Command::new("podman");
        podman.arg("run").args(pod.podman(Path::new(FILTER))?).stdout(out.try_clone()?).stderr(out);
        let mut podman = podman.spawn().context("podman cannot be started")?;
        let deadline = Instant::now() + PATIENCE * 2;
        while !answers(&pod.ready()?) {
            if let Some(status) = podman.try_wait()? {
                println!("{round}: {status}: {}", fs::read_to_string(&log)?);
                return Ok(Err(status));
            }
            if Instant::now() > deadline {
                drop(Self { podman, log: log.clone(), grace: 0 });
                bail!("{round}: not ready: {}", fs::read_to_string(&log)?);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(Ok(Self { podman, log, grace: pod.grace() }))
    }

    /// One that has to start.
    pub(super) fn well(pod: &Pod, round: &str) -> Result<Self> {
        let started = Self::start(pod, round)?;
        started.map_err(|status| anyhow::anyhow!("{round}: the agent ended with {status}"))
    }

    /// The agent's number, which is the host's, too.
    pub(super) fn pid(&self) -> Result<u32> {
        let said = Command::new("podman").args(["inspect", "--format={{.State.Pid}}", "spoor"]).output()?;
        Ok(String::from_utf8(said.stdout)?.trim().parse()?)
    }

    /// Ends it as a kubelet does.
    pub(super) fn stop(mut self) -> Result<()> {
        shell(&format!("podman stop --time={} spoor >/dev/null", self.grace))?;
        let status = self.podman.wait()?;
        ensure!(status.success(), "the agent ended with {status}: {}", fs::read_to_string(&self.log)?);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.podman.try_wait() {
            // A test that failed leaves nothing behind.
            drop(shell("podman rm --force --time=0 spoor >/dev/null"));
            drop(self.podman.wait());
        }
    }
}

/// Whether somebody there says 200.
fn answers((address, path): &(String, String)) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.starts_with("HTTP/1.1 200"))
}

/// Asks containerd for the filter of `RuntimeDefault`: most nodes have that runtime, and podman's own of this age knows of
/// CAP_BPF nothing yet.
pub(super) fn filter(pod: &Pod) -> Result<()> {
    let added: Vec<String> = pod.capabilities()?.iter().map(|one| format!("--cap-add={one}")).collect();
    shell(&format!(
        "ctr images import {IMAGE} >/dev/null && \
        ctr containers create --seccomp {} docker.io/library/spoor:0.1.0 filter",
        added.join(" ")
    ))?;
    let said = Command::new("ctr").args(["containers", "info", "--spec", "filter"]).output()?;
    shell("ctr containers delete filter")?;
    let spec: Value = serde_json::from_slice(&said.stdout).context("what containerd would run")?;
    let filter = at(&spec, "linux.seccomp");
    ensure!(text(filter, "defaultAction") == "SCMP_ACT_ERRNO", "no filter: {spec}");
    Ok(fs::write(FILTER, filter.to_string())?)
}
