//! An administrator at a terminal, who comes in by ssh and types a line when she is asked for one.

use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::PATIENCE;

/// What her shell asks with.
pub(super) const PROMPT: &str = "shop1> ";
/// Nothing that she does takes longer.
const LINE: Duration = PATIENCE.saturating_mul(3);

/// `%DAY%` is the day's number.
const LINES: [&str; 15] = [
    "uptime; who; df -h /",
    "sudo tail -n 5 /var/log/nginx/access.log",
    "sudo journalctl --no-pager -n 5 -u shop",
    "sudo DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet /srv/upgrades/day%DAY%/*.deb",
    "sudo sed -i 's/worker_connections .*/worker_connections 70%DAY%;/' /etc/nginx/nginx.conf",
    "sudo nginx -t && sudo systemctl reload nginx",
    "sudo systemctl restart shop",
    "psql --host=127.0.0.1 --username=alice --dbname=shop --command='select count(*) from orders' | cat",
    "sudo -u postgres psql --command='select count(*) from pg_stat_activity' | cat",
    "sudo chage -l alice",
    "sudo useradd --create-home guest%DAY%",
    "crontab -l",
    "sudo systemctl --no-pager --failed",
    "less -EX /etc/nginx/nginx.conf | cat",
    "dpkg-query --show nginx | grep -q day%DAY% && systemctl --quiet is-active nginx shop && echo all is w''ell",
];

/// What stands on her terminal.
#[derive(Default)]
struct Terminal(Mutex<(Vec<u8>, bool)>, Condvar);

impl Terminal {
    fn shows(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.extend_from_slice(bytes);
        self.1.notify_all();
    }

    fn over(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.1.notify_all();
    }

    /// What stands there when she was asked so often.
    fn asked(&self, times: usize) -> Result<String> {
        let so_far = |bytes: &[u8]| memchr::memmem::find_iter(bytes, PROMPT).count();
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |(bytes, over): &mut (Vec<u8>, bool)| so_far(bytes) < times && !*over;
        let (shown, _) =
            self.1.wait_timeout_while(shown, LINE, waits).unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&shown.0).into_owned();
        ensure!(so_far(&shown.0) >= times, "she was not asked for line {times}:\n{text}");
        Ok(text)
    }
}

/// Her work of a day.
pub(super) fn works(day: usize) -> Result<()> {
    let mut ssh = Command::new("ssh")
        .args(["-tt", "-i", "/srv/day/workstation-key", "alice@127.0.0.1"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("ssh cannot be started")?;
    let mut keys = ssh.stdin.take().context("ssh has an input")?;
    let mut out = ssh.stdout.take().context("ssh has an output")?;
    let terminal = Arc::new(Terminal::default());
    let shows = Arc::clone(&terminal);
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = out.read(&mut bytes) {
            shows.shows(&bytes[..length]);
        }
        shows.over();
    });
    let worked = (|| {
        for (number, line) in LINES.iter().enumerate() {
            terminal.asked(number + 1)?;
            writeln!(keys, "{}", line.replace("%DAY%", &day.to_string()))?;
        }
        let text = terminal.asked(LINES.len() + 1)?;
        ensure!(text.contains("all is well"), "not all is well:\n{text}");
        writeln!(keys, "exit").map_err(anyhow::Error::from)
    })();
    drop(keys);
    if worked.is_err() {
        ssh.kill()?;
    }
    ssh.wait()?;
    // It ends with what it reads from.
    let _ = reader.join();
    worked
}
