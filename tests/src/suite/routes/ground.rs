//! What a route stands on: its two files, its programs, and the processes that take it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::records::text;
use crate::{PATIENCE, Place};

/// How the acting program says that this kernel does not have a way.
const NOT_THERE: i32 = 77;
const NOT_THERE_MARK: &str = "not there: ";

/// What became of an act.
pub(super) enum Ran {
    /// It was done.
    Done,
    /// This kernel has no such route; the reason.
    NotThere(String),
}

/// A route's own place. Everything in `secrets/` is a credential, and nothing in `plain/`, which is made alike.
pub(super) struct Ground<'a> {
    pub(super) place: &'a Place,
    root: PathBuf,
    id: &'static str,
    /// What the judge must know of the act, as `port`.
    notes: RefCell<Vec<(&'static str, String)>>,
    /// What must stay open until the last act, as a listening socket.
    kept: RefCell<Vec<OwnedFd>>,
    /// Programs that go on while others act.
    left: RefCell<Vec<(&'static str, Child)>>,
}

/// Below the root of all: see [`lay`].
pub(super) const SINGLE: &str = "single";
pub(super) const WATCHED: &str = "watched";

/// Makes what all routes share: one copy of the acting program, to which each route has its names.
pub(super) fn lay(place: &Place, root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("bin"))?;
    fs::create_dir_all(root.join("said"))?;
    // A file that is a credential by itself, and a directory that is one as a whole.
    fs::write(root.join(SINGLE), "a secret, for the test\n")?;
    fs::create_dir_all(root.join(WATCHED))?;
    fs::write(root.join(WATCHED).join("token"), "a secret, for the test\n")?;
    place.program(&root.join("act")).context("the acting program")
}

impl<'a> Ground<'a> {
    /// Makes the two files and the two programs of a route.
    pub(super) fn new(place: &'a Place, root: &Path, id: &'static str) -> Result<Self> {
        let ground = Ground {
            place,
            root: root.into(),
            id,
            notes: RefCell::new(Vec::new()),
            kept: RefCell::new(Vec::new()),
            left: RefCell::new(Vec::new()),
        };
        for (directory, content) in
            [(ground.secrets(), "a secret, for the test\n"), (ground.plain(), "no secret\n")]
        {
            fs::create_dir_all(&directory)?;
            fs::write(directory.join("token"), content)?;
        }
        ground.program("")?;
        ground.program("-twin")?;
        Ok(ground)
    }

    /// The directory of the route whose files are credentials.
    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("secrets").join(self.id)
    }

    /// The one whose files are none.
    pub(super) fn plain(&self) -> PathBuf {
        self.root.join("plain").join(self.id)
    }

    /// The credential of the route.
    pub(super) fn secret(&self) -> String {
        self.secrets().join("token").display().to_string()
    }

    /// What its twin opens.
    pub(super) fn innocent(&self) -> String {
        self.plain().join("token").display().to_string()
    }

    /// A credential that the config names by its whole path.
    pub(super) fn single(&self) -> PathBuf {
        self.root.join(SINGLE)
    }

    /// A directory all of which is named in the config.
    pub(super) fn watched(&self) -> PathBuf {
        self.root.join(WATCHED)
    }

    /// Starts a program that goes on while others act.
    pub(super) fn leave(&self, suffix: &'static str, steps: &[&str]) -> Result<()> {
        let child = self.start(suffix, steps)?;
        self.left.borrow_mut().push((suffix, child));
        Ok(())
    }

    /// Acts while another program of the route holds the credential open. The act is given the file that tells which
    /// process that is, and which descriptor.
    pub(super) fn while_held(&self, suffix: &str, act: impl FnOnce(&str) -> Result<Ran>) -> Result<Ran> {
        let place = |name: &str| self.plain().join(name).display().to_string();
        let (numbers, until) = (place("numbers"), place("until"));
        let mut holder = self.start(suffix, &["hold", &self.secret(), &numbers, &until])?;
        let ran = act(&numbers);
        fs::write(&until, "")?;
        finish(&mut holder)?;
        ran
    }

    /// Takes it back.
    pub(super) fn left(&self, suffix: &str) -> Option<Child> {
        let mut left = self.left.borrow_mut();
        let at = left.iter().position(|(known, _)| *known == suffix)?;
        Some(left.remove(at).1)
    }

    /// The path of a program of the route: the one that takes it (``), its twin (`-twin`), and what `program` made.
    pub(super) fn exe(&self, suffix: &str) -> String {
        self.root.join("bin").join(format!("{}{suffix}", self.id)).display().to_string()
    }

    /// The acting program under one more name.
    pub(super) fn program(&self, suffix: &str) -> Result<String> {
        let exe = self.exe(suffix);
        fs::hard_link(self.root.join("act"), &exe).with_context(|| exe.clone())?;
        Ok(exe)
    }

    /// Whether an action is that of a program of the route.
    pub(super) fn is_program(&self, suffix: &str, record: &Value) -> bool {
        text(record, "type") == "action" && text(record, "process.exe") == self.exe(suffix)
    }

    /// Remembers something for the judge.
    pub(super) fn note(&self, name: &'static str, what: &impl ToString) {
        self.notes.borrow_mut().push((name, what.to_string()));
    }

    /// What was remembered.
    pub(super) fn noted(&self, name: &str) -> Result<String> {
        let notes = self.notes.borrow();
        let found = notes.iter().find(|(known, _)| *known == name);
        found.map(|(_, what)| what.clone()).with_context(|| format!("{} noted no {name}", self.id))
    }

    /// Keeps something open until every route was judged.
    pub(super) fn keep(&self, what: impl Into<OwnedFd>) {
        self.kept.borrow_mut().push(what.into());
    }

    /// The program that takes the route does these steps.
    pub(super) fn real(&self, steps: &[&str]) -> Result<Ran> {
        self.run("", steps)
    }

    /// The same by the route's program, and by its twin. Where the twin finds no way, the other had none.
    pub(super) fn both(&self, real: &[&str], twin: &[&str]) -> Result<Ran> {
        match self.run("", real)? {
            Ran::Done => self.run("-twin", twin).context("the twin"),
            Ran::NotThere(reason) => Ok(Ran::NotThere(reason)),
        }
    }

    /// Steps of a program of the route, to their end.
    pub(super) fn run(&self, suffix: &str, steps: &[&str]) -> Result<Ran> {
        let child = self.start(suffix, steps)?;
        self.end(suffix, child)
    }

    /// What became of a program that was started.
    pub(super) fn end(&self, suffix: &str, mut child: Child) -> Result<Ran> {
        let status = finish(&mut child).with_context(|| self.said(suffix))?;
        if status.code() == Some(NOT_THERE) {
            let said = self.said(suffix);
            let reason = said.lines().rev().find_map(|line| line.split_once(NOT_THERE_MARK));
            return Ok(Ran::NotThere(
                reason.map_or_else(|| "no reason".to_owned(), |(_, why)| why.to_owned()),
            ));
        }
        ensure!(status.success(), "{} ended with {status}: {}", self.exe(suffix), self.said(suffix));
        Ok(Ran::Done)
    }

    /// Starts them; for routes that two programs take together.
    pub(super) fn start(&self, suffix: &str, steps: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.place.act);
        if let Some(scope) = &self.place.scope {
            command.arg("cgroup").arg(&scope.directory);
        }
        let exe = self.exe(suffix);
        command.args(["become", &exe, "["]).args(steps).arg("]");
        // A file, not a pipe: a child that outlives the act would hold it open.
        let said = File::create(self.said_in(suffix))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).current_dir(&self.root);
        command.spawn().with_context(|| format!("{exe} cannot be started"))
    }

    fn said_in(&self, suffix: &str) -> PathBuf {
        self.root.join("said").join(format!("{}{suffix}", self.id))
    }

    fn said(&self, suffix: &str) -> String {
        fs::read_to_string(self.said_in(suffix)).unwrap_or_default().trim().replace('\n', "; ")
    }
}

/// Waits until something is so.
pub(super) fn until(so: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !so()? {
        ensure!(Instant::now() < deadline, "it did not come about");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits for the end of an act.
pub(super) fn finish(child: &mut Child) -> Result<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the act did not end");
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
