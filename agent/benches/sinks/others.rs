//! rsyslog and syslog-ng, as Debian packages them, with what a file to TCP forwarding needs and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{Error, Result, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::CpuSet;

use super::receive::{self, Framing, Receiver};
use super::send::bound;
use super::{Contender, Material, Took};

/// How long a logger may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a process's times in /proc are counted in: `USER_HZ`, which is the same everywhere.
const TICK: Duration = Duration::from_millis(10);

/// Ended with the measurement.
struct Logger(Child);

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Start = fn(&Path, &Path, u16, &CpuSet) -> Result<Logger>;

pub(super) fn contenders(root: &Path) -> Vec<Contender> {
    let all: [(&str, Start); 2] = [("rsyslog", rsyslog), ("syslog-ng", syslog_ng)];
    let contender = |(name, start): (&str, Start)| {
        let root = root.to_path_buf();
        let run = move |material: &Material, cpu: &CpuSet| forward(&root, material, cpu, start);
        Contender { name: format!("{name}, file to tcp"), run: Box::new(run) }
    };
    all.into_iter().map(contender).collect()
}

/// Has a logger forward the lines. Its start is not counted: a first line tells that it is at work.
fn forward(root: &Path, material: &Material, cpu: &CpuSet, start: Start) -> Result<Took> {
    let dir = tempfile::tempdir_in(material.dir.path())?;
    let receiver = receive::start(Framing::Counted)?;
    let input = dir.path().join("in.log");
    fs::write(&input, "first\n")?;
    let logger = start(root, dir.path(), receiver.port, cpu)?;
    let pid = logger.0.id();
    wait(&receiver, 1)?;
    let (before, started) = (cpu_of(pid)?, Instant::now());
    let lines = fs::read(material.lines())?;
    OpenOptions::new().append(true).open(&input)?.write_all(&lines)?;
    wait(&receiver, 1 + material.records as u64)?;
    Ok(Took { cpu: cpu_of(pid)? - before, wall: started.elapsed(), memory_kib: memory_of(pid)? })
}

fn wait(receiver: &Receiver, count: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while receiver.count.load(Ordering::Relaxed) < count {
        if Instant::now() > deadline {
            let came = receiver.count.load(Ordering::Relaxed);
            return Err(Error::other(format!("{came} of {count} messages came")));
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}

/// User and system time of a process.
fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold anything: the state is the first, the times are the twelfth and thirteenth.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u32 =
        rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

fn memory_of(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0))
}

fn spawn(root: &Path, program: &str, arguments: &[String], cpu: &CpuSet) -> Result<Logger> {
    let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/syslog-ng", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|path| root.join(path).display().to_string()).join(":");
    let mut command = bound(&root.join("usr/sbin").join(program), cpu);
    command.args(arguments).env("LD_LIBRARY_PATH", libraries);
    Ok(Logger(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
}

fn rsyslog(root: &Path, dir: &Path, port: u16, cpu: &CpuSet) -> Result<Logger> {
    let config = format!(
        r#"global(workDirectory="{dir}" maxMessageSize="256k")
        module(load="imfile" mode="inotify")
        input(type="imfile" file="{dir}/in.log" tag="spoor:")
        action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
            template="RSYSLOG_SyslogProtocol23Format")
        "#,
        dir = dir.display(),
    );
    let file = dir.join("rsyslog.conf");
    fs::write(&file, config)?;
    let modules = root.join("usr/lib/x86_64-linux-gnu/rsyslog");
    let path = |path: &PathBuf| path.display().to_string();
    let arguments =
        ["-n".into(), "-f".into(), path(&file), "-i".into(), "none".into(), "-M".into(), path(&modules)];
    spawn(root, "rsyslogd", &arguments, cpu)
}

fn syslog_ng(root: &Path, dir: &Path, port: u16, cpu: &CpuSet) -> Result<Logger> {
    let config = format!(
        r#"@version: 3.38
        options {{ log-msg-size(262144); stats-freq(0); }};
        source s {{ file("{dir}/in.log" follow-freq(0.1) flags(no-parse)); }};
        destination d {{ syslog("127.0.0.1" port({port}) transport("tcp")); }};
        log {{ source(s); destination(d); flags(flow-control); }};
        "#,
        dir = dir.display(),
    );
    let file = dir.join("syslog-ng.conf");
    fs::write(&file, config)?;
    let at = |name: &str| dir.join(name).display().to_string();
    let modules = root.join("usr/lib/syslog-ng/3.38").display().to_string();
    let arguments = [
        "-F".to_owned(),
        "--no-caps".to_owned(),
        format!("--cfgfile={}", file.display()),
        format!("--persist-file={}", at("persist")),
        format!("--pidfile={}", at("pid")),
        format!("--control={}", at("ctl")),
        format!("--module-path={modules}"),
    ];
    spawn(root, "syslog-ng", &arguments, cpu)
}
