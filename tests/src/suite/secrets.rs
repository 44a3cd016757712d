//! Canary secrets: planted in a file of every format the agent reads, in an argument, an environment and a key of the
//! kernel's, and looked for in everything it wrote and in its memory.

mod contents;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, chown};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use serde_json::Value;

use self::contents::contents;
use super::{BACKUP, acting, is_action, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// Bytes every canary begins with.
const MARK: usize = 15;
/// Memory is read in pieces of so many bytes.
const PIECE: usize = 1 << 20;
/// A variable of a name that no kind but the test's own has.
const VARIABLE: &str = "SPOOR_CANARY";

/// What is looked for: the beginning of every canary, in each form in which somebody may keep it.
struct Marks {
    plain: String,
    forms: Vec<Vec<u8>>,
}

impl Marks {
    fn new() -> Result<Self> {
        let mut random = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut plain = String::new();
        for byte in random {
            write!(plain, "{byte:02x}")?;
        }
        plain.truncate(MARK);
        let mut hex = String::new();
        for byte in plain.bytes() {
            write!(hex, "{byte:02x}")?;
        }
        let wide = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut forms = vec![plain.clone().into_bytes(), plain.to_uppercase().into_bytes(), hex.into(), wide];
        forms.extend((0..3).map(|before| base64_after(before, &plain)));
        Ok(Self { plain, forms })
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|mark| memmem::find(bytes, mark).is_some())
    }
}

/// Base64 of a text that stands behind so many other bytes: the characters that are of it alone.
fn base64_after(before: usize, text: &str) -> Vec<u8> {
    let whole = STANDARD_NO_PAD.encode([&vec![0; before], text.as_bytes()].concat());
    let (from, to) = ((before * 8).div_ceil(6), (before + text.len()) * 8 / 6);
    whole.as_bytes().get(from..to).unwrap_or_default().to_vec()
}

/// A credential of every format, each with a canary where its secret belongs: opened by a service account, written anew,
/// opened again. Each has a fingerprint, the new one another version. The same canary is an argument, a variable and the
/// payload of a key. None is in the store, in the records, in the log or in the agent's memory; but an argument, which every
/// user of the host may read, is in the ring and in the process table as the kernel gave it, and has marks of its own.
pub(super) fn secrets(place: &Place) -> Result<()> {
    let directory = place.directory("secrets")?;
    let (marks, of_argument) = (Marks::new()?, Marks::new()?);
    let catalogue = directory.join("catalogue-of-canaries.toml");
    let parsers = plant(&directory, &marks, "first")?;
    let (known, planted) =
        (formats(place, &directory)?, parsers.iter().copied().map(str::to_owned).collect());
    ensure!(known == planted, "the agent reads {known:?}, and canaries are in {planted:?}");
    fs::write(&catalogue, kinds(&directory, &parsers)?)?;
    let program = directory.join("opener");
    place.program(&program)?;
    let mut agent = Agent::start(place, "secrets", &format!("[credentials]\ncatalogue = {catalogue:?}\n"))?;
    let mut versions: Vec<Vec<String>> = Vec::new();
    for round in ["first", "second"] {
        plant(&directory, &marks, round)?;
        let mut opener = open(place, &program, &directory, (&parsers, round), [&marks, &of_argument])?;
        let mut these = Vec::new();
        for parser in &parsers {
            let version = agent.records.wait(&format!("{parser}, {round}"), |record| {
                let version = version_of(record, parser);
                version.is_some_and(|version| !versions.iter().flatten().any(|known| *known == version))
            })?;
            these.extend(version_of(&version, parser));
        }
        versions.push(these);
        seen_elsewhere(&mut agent, opener.id())?;
        fs::write(directory.join(end_of(round)), "")?;
        let status = opener.wait()?;
        ensure!(status.success(), "the acting program ended with {status}");
    }
    let own = directory.join("agent/spoor.toml");
    unmarked_memory(agent.pid(), &marks, catalogue.display().to_string().as_bytes())?;
    ensure!(in_memory(std::process::id(), |piece| marks.are_in(piece))?, "the marks are not even found here");
    let log = agent.log();
    let (status, _records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}:\n{log}");
    ensure!(own.exists(), "what is walked is not where the agent writes");
    unmarked_files(&directory.join("agent"), &[&marks, &of_argument])
}

/// Every format the agent reads, as it tells who asks for one that it does not.
fn formats(place: &Place, directory: &Path) -> Result<BTreeSet<String>> {
    let (catalogue, config) = (directory.join("no-format.toml"), directory.join("check.toml"));
    let kind = "version = 1\n[[credential]]\nid = \"canary\"\nparser = \"?\"\nglobs = [\"/srv/canary\"]\n";
    fs::write(&catalogue, kind)?;
    fs::write(&config, format!("[credentials]\ncatalogue = {catalogue:?}\n"))?;
    let output = Command::new(&place.spoor).arg("check").arg(&config).output()?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    let (_, names) =
        told.split_once("there are: ").with_context(|| format!("no formats are told: {told}"))?;
    let names = names.lines().next().unwrap_or_default();
    Ok(names.split(',').map(|name| name.trim().to_owned()).collect())
}

/// Opens them all, with a canary in the environment, in a key and in an argument; then it waits, for a process that is gone
/// has no environment to be read.
fn open(
    place: &Place,
    program: &Path,
    directory: &Path,
    (parsers, round): (&[&str], &str),
    [marks, of_argument]: [&Marks; 2],
) -> Result<Child> {
    let files: Vec<String> = parsers.iter().map(|parser| path(directory, parser)).collect();
    let (user, program, enough) =
        (BACKUP.to_string(), program.display().to_string(), path(directory, &end_of(round)));
    let (argument, payload) = (format!("--password={}", canary(of_argument, round)), format!("${VARIABLE}"));
    let mut steps = vec!["user", &user, "become", &program, "["];
    steps.extend(files.iter().flat_map(|file| ["read", file]));
    steps.extend(["key-add", "user", "spoor-canary", &payload, "key-read"]);
    steps.extend(["nothing", &argument, "wait-for", &enough, "]"]);
    Ok(acting(place, &steps).env(VARIABLE, canary(marks, round)).spawn()?)
}

/// The argument, the variable and the key were seen: no test would miss a canary that the agent never met.
fn seen_elsewhere(agent: &mut Agent, pid: u32) -> Result<()> {
    let of = |record: &Value, action: &str, kind: &str| {
        let ours = is_action(record, action) && at(record, "process.pid").as_u64() == Some(pid.into());
        let credentials = at(record, "credential").as_array();
        ours && credentials.is_some_and(|all| all.iter().any(|one| text(one, "kind") == kind))
    };
    let variable = kind_of("variable");
    let executed = agent.records.wait("a variable with a canary", |record| of(record, "exec", &variable))?;
    let arguments = at(&executed, "process.argv");
    ensure!(
        arguments.to_string().contains("--password=[redacted:password]"),
        "no argument of ours: {executed}"
    );
    agent.records.wait("a key with a canary", |record| of(record, "secret.read", "kernel-key"))?;
    Ok(())
}

fn end_of(round: &str) -> String {
    format!("end-of-{round}")
}

/// The version of a credential, in a record of one that was opened and has a fingerprint.
fn version_of(record: &Value, parser: &str) -> Option<String> {
    let mut credentials = at(record, "credential").as_array()?.iter();
    let found = credentials.find(|credential| text(credential, "kind") == kind_of(parser))?;
    let print = at(found, "fingerprints").as_array().is_some_and(|prints| !prints.is_empty());
    let version = text(found, "version").to_owned();
    (is_action(record, "secret.open") && print && !version.is_empty()).then_some(version)
}

fn canary(marks: &Marks, round: &str) -> String {
    format!("{}-{round}", marks.plain)
}

/// One file of each format, named for its parser.
fn plant(directory: &Path, marks: &Marks, round: &str) -> Result<Vec<&'static str>> {
    let files = contents(&canary(marks, round))?;
    for (parser, content) in &files {
        let file = directory.join(parser);
        fs::write(&file, content)?;
        chown(&file, Some(BACKUP), Some(BACKUP))?;
    }
    Ok(files.into_iter().map(|(parser, _)| parser).collect())
}

fn kind_of(parser: &str) -> String {
    format!("canary-{}", parser.replace('_', "-"))
}

fn kinds(directory: &Path, parsers: &[&str]) -> Result<String> {
    let mut out = "version = 1\n".to_owned();
    for parser in parsers {
        let glob = path(directory, parser);
        let kind = kind_of(parser);
        writeln!(out, "[[credential]]\nid = \"{kind}\"\nabout = \"a canary\"\nsensitivity = 1")?;
        writeln!(out, "parser = \"{parser}\"\nglobs = [{glob:?}]")?;
    }
    let kind = kind_of("variable");
    writeln!(out, "[[credential]]\nid = \"{kind}\"\nabout = \"a canary\"\nsensitivity = 1")?;
    writeln!(out, "env = [{VARIABLE:?}]")?;
    Ok(out)
}

fn unmarked_memory(pid: u32, marks: &Marks, known: &[u8]) -> Result<()> {
    ensure!(in_memory(pid, |piece| memmem::find(piece, known).is_some())?, "its memory cannot be searched");
    let mut where_found = Vec::new();
    in_memory(pid, |piece| {
        for mark in &marks.forms {
            for at in memmem::find_iter(piece, mark) {
                let from = at.saturating_sub(32);
                let around = piece.get(from..(at + 48).min(piece.len())).unwrap_or_default();
                where_found.push(around.escape_ascii().to_string());
            }
        }
        false
    })?;
    ensure!(where_found.is_empty(), "canaries in the agent's memory:\n{}", where_found.join("\n"));
    Ok(())
}

/// Whether some piece of what a process may read of its memory is the wanted one.
fn in_memory(pid: u32, mut wanted: impl FnMut(&[u8]) -> bool) -> Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut piece = vec![0; PIECE];
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (from, to) = range.split_once('-').context("a line of maps")?;
        let (mut from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        // Devices and the kernel's own pages refuse, and hold nothing of the agent's.
        while rights.starts_with('r') && from < to {
            let Ok(length @ 1..) = memory.read_at(&mut piece, from) else { break };
            let read = piece.get(..length).unwrap_or_default();
            if wanted(read.get(..usize::try_from(to - from)?.min(length)).unwrap_or_default()) {
                return Ok(true);
            }
            // Pieces overlap: nothing is cut in two.
            from += if length == PIECE { (PIECE - 64) as u64 } else { length as u64 };
        }
    }
    Ok(false)
}

fn unmarked_files(directory: &Path, marks: &[&Marks]) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unmarked_files(&entry.path(), marks)?;
        } else {
            let bytes = fs::read(entry.path())?;
            ensure!(
                !marks.iter().any(|marks| marks.are_in(&bytes)),
                "a canary is in {}",
                entry.path().display()
            );
        }
    }
    Ok(())
}
