//! Running other programs: shown before they run, streamed while they run, and named with their exit code when they fail.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Says what happens next, in one line, and when that is. On standard error: standard output belongs to results.
macro_rules! step {
    ($($text:tt)*) => { eprintln!("==> {} {}", $crate::sh::since_start(), format_args!($($text)*)) };
}
pub(crate) use step;

/// Minutes and seconds since the first step: a run that takes too long tells where.
pub(crate) fn since_start() -> String {
    static START: OnceLock<Instant> = OnceLock::new();
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// What cargo and rustup set for the program they run (us), and a cargo we start must not inherit: the compiler it
/// picks is our choice, and our own package's facts are not the other package's.
const INHERITED: &[&str] =
    &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_RUSTC_"];
const INHERITED_EXACT: &[&str] = &["CARGO", "LD_LIBRARY_PATH", "OUT_DIR", "RUST_RECURSION_COUNT"];

/// A program with its arguments, ready to run in the workspace's root.
pub(crate) struct Cmd {
    command: Command,
    /// What to try when it fails; part of the error.
    advice: Option<String>,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(crate::paths::root());
        Self { command, advice: None }
    }

    /// The cargo that runs us, without what it told us about ourselves.
    pub(crate) fn cargo() -> Self {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo).clean()
    }

    /// Drops what cargo and rustup set for us.
    pub(crate) fn clean(mut self) -> Self {
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if INHERITED_EXACT.contains(&&*text) || INHERITED.iter().any(|prefix| text.starts_with(prefix)) {
                self.command.env_remove(&name);
            }
        }
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Chooses packages, for a cargo command.
    pub(crate) fn packages(self, names: &[&str]) -> Self {
        names.iter().fold(self, |cmd, name| cmd.args(["-p", name]))
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Puts a folder in front of PATH.
    pub(crate) fn path_first(self, folder: &Path) -> Self {
        let mut path = folder.as_os_str().to_owned();
        if let Some(rest) = env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        self.env("PATH", path)
    }

    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What to do when the command fails.
    pub(crate) fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(text.into());
        self
    }

    /// The command as one could type it.
    pub(crate) fn text(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Runs with our own standard streams; a failure is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.text()))?;
        self.demand(status)
    }

    /// Runs with standard output shown on standard error, line by line, each line given to `see`. The exit status is
    /// returned, not judged.
    pub(crate) fn tee(mut self, mut see: impl FnMut(&str)) -> Result<ExitStatus> {
        self.command.stdout(Stdio::piped());
        let mut child = self.command.spawn().with_context(|| format!("cannot start `{}`", self.text()))?;
        let stdout = child.stdout.take().context("standard output was asked for")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.with_context(|| format!("cannot read what `{}` prints", self.text()))?;
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            see(&line);
        }
        child.wait().with_context(|| format!("cannot wait for `{}`", self.text()))
    }

    /// Runs, and returns standard output as text; a failure is an error, with what the program said.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("cannot start `{}`", self.text()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return self.demand(output.status).map(|()| String::new()).context(said.trim().to_owned());
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", self.text()))
    }

    /// The command itself, for the one caller that must watch over its child.
    pub(crate) fn into_inner(self) -> Command {
        self.command
    }

    fn demand(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let advice = self.advice.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
        bail!("`{}` failed ({}){advice}", self.text(), status_text(status));
    }
}

/// "exit code 101" or "signal 9".
pub(crate) fn status_text(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The full path of a program on PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether we are root: who may install packages and load probes.
pub(crate) fn is_root() -> bool {
    // /proc/self belongs to the effective user; no system call wrapper is needed for this one question.
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_command_code_and_advice() {
        let error = Cmd::new("sh").args(["-c", "exit 3"]).advice("try again").run().unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'exit 3'` failed (exit code 3); try again");
        let error = Cmd::new("no-such-program-here").run().unwrap_err().to_string();
        assert_eq!(error, "cannot start `no-such-program-here`");
    }

    #[test]
    fn a_signal_is_told_from_an_exit_code() {
        let error = Cmd::new("sh").args(["-c", "kill -9 $$"]).run().unwrap_err().to_string();
        assert!(error.ends_with("failed (signal 9)"), "{error}");
    }

    #[test]
    fn output_is_read_and_teed() {
        assert_eq!(Cmd::new("echo").arg("hello").read().unwrap(), "hello\n");
        let mut seen = Vec::new();
        let status = Cmd::new("printf").arg("a\\nb").tee(|line| seen.push(line.to_owned())).unwrap();
        assert!(status.success());
        assert_eq!(seen, ["a", "b"]);
    }
}
