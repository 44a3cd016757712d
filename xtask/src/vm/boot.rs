//! One boot under QEMU, by software emulation: no KVM, no root, no disk, no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::matrix::{Boot, System};
use super::serial::{End, Report};
use super::{debian, kernels};
use crate::paths;
use crate::sh::{Cmd, status_text};

pub(super) const QEMU: &str = "qemu-system-x86_64";

/// A cell takes one or two minutes on an idle machine, and many where others work too; what is not done by then hangs.
const TIMEOUT: Duration = Duration::from_secs(1_500);

/// Where the guest that records a day leaves it.
pub(super) fn capture_file() -> PathBuf {
    paths::target().join("vm/day.spoor.gz")
}

/// What one boot came to.
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) seconds: f32,
    pub(super) log: PathBuf,
}

/// The QEMU command of a boot.
pub(super) fn command(boot: &Boot, initramfs: &Path) -> Result<Cmd> {
    // One emulation thread: with several, a busy guest once panicked inside a patched jump label.
    let machine = "-M q35 -cpu max -accel tcg,thread=single -nographic -no-reboot -net none";
    // One nanosecond of the guest is one instruction, and its idle time is skipped: no load of this machine shows in it.
    let counted: &[&str] = &["-smp", "1", "-icount", "shift=0,sleep=off"];
    let processors: &[&str] = if boot.cell.system == System::Overhead { counted } else { &["-smp", "2"] };
    // What the guest writes to the disk is thrown away.
    // Where costs are measured there is an empty one beside the system's files, which are in memory.
    let empty = boot.cell.system == System::Overhead && !boot.grows();
    let disk = if empty { Some(empty_disk()?) } else { debian::disk_file(boot.cell.system) };
    let disk = disk.map(|file| format!("file={},format=raw,if=none,id=disk,snapshot=on", file.display()));
    // A second serial line beside the console takes out what is no text.
    let capture = format!("file:{}", capture_file().display());
    let capture: &[&str] =
        if boot.cell.system == System::Day { &["-serial", "mon:stdio", "-serial", &capture] } else { &[] };
    // Its files are in memory, those of two packages of each family among them.
    let memory = match boot.cell.system.suite() {
        // Ten thousand processes.
        _ if boot.grows() => "4096",
        "measured" => "2048",
        "package" => "1536",
        _ => "1024",
    };
    let more = match &disk {
        Some(disk) => vec!["-m", "2048", "-drive", disk, "-device", "nvme,serial=disk,drive=disk"],
        None => vec!["-m", memory],
    };
    Ok(Cmd::new(QEMU)
        .args(machine.split(' '))
        .args(processors)
        .args(more)
        .args(capture)
        .arg("-kernel")
        .arg(kernels::image(&boot.kernel)?)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &boot.command_line()]))
}

/// A disk with nothing on it, which takes no room.
fn empty_disk() -> Result<PathBuf> {
    let path = paths::target().join("vm/empty.img");
    let shown = || format!("cannot make {}", path.display());
    File::create(&path).and_then(|file| file.set_len(256 << 20)).with_context(shown)?;
    Ok(path)
}

/// Boots, waits for the guest to power off, and reads what it said. The console goes to target/vm/logs/CELL.log, where
/// it stays.
pub(super) fn boot(boot: &Boot, initramfs: &Path, suffix: &str) -> Result<Outcome> {
    let logs = paths::target().join("vm/logs");
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let path = logs.join(format!("{}{suffix}.log", boot.name()));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let cmd = command(boot, initramfs)?;
    let text = cmd.text();
    let start = Instant::now();
    let mut child = cmd
        .into_inner()
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start `{text}`"))?;
    let timeout = if matches!(boot.cell.system, System::Overhead | System::Measured | System::Day) {
        TIMEOUT * 4
    } else {
        TIMEOUT
    };
    let end = wait(&mut child, timeout, &text, &path)?;
    let said = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let report = Report::parse(&String::from_utf8_lossy(&said), end);
    Ok(Outcome { report, seconds: start.elapsed().as_secs_f32(), log: path })
}

fn wait(child: &mut Child, timeout: Duration, text: &str, log: &Path) -> Result<End> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for QEMU")? {
            if status.success() {
                return Ok(End::Exited);
            }
            bail!("`{text}` failed ({}); it said why in {}", status_text(status), log.display());
        }
        if start.elapsed() > timeout {
            child.kill().context("cannot stop QEMU")?;
            child.wait().context("cannot wait for QEMU")?;
            return Ok(End::TimedOut);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The last lines of a log, for whoever reads only CI's output. Without control characters: the firmware clears the
/// screen, and would clear the reader's.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&bytes), 40)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
    last.iter().map(|line| format!("    {}\n", plain(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_does_nothing_to_the_terminal() {
        assert_eq!(last_lines("a\r\nb\r\n\x1b[2Jc\r\n", 2), "    b\n    [2Jc\n");
        assert_eq!(last_lines("", 2), "");
    }
}
