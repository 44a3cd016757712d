//! Ways to run a program, and to end.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use serde_json::Value;

use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use super::{Route, Verdict, nothing};
use crate::records::{at, text};

pub(super) const ROUTES: &[Route] = &[
    Route { id: "exec", prepare: children, act: exec, judge: executed },
    Route { id: "exec-at", prepare: children, act: exec_at, judge: executed },
    Route { id: "exec-descriptor", prepare: children, act: exec_descriptor, judge: executed },
    Route { id: "exec-memory", prepare: children, act: exec_memory, judge: nameless },
    Route { id: "exec-deleted", prepare: children, act: exec_deleted, judge: nameless },
    Route { id: "exec-thread", prepare: children, act: exec_thread, judge: executed },
    Route { id: "exec-script", prepare: scripts, act: exec_script, judge: interpreted },
    Route {
        id: "exec-script-of-script",
        prepare: scripts,
        act: exec_second_script,
        judge: interpreted_twice,
    },
    Route { id: "exec-failed", prepare: nothing, act: exec_failed, judge: failed },
    Route { id: "arguments-long", prepare: nothing, act: long_arguments, judge: whole_arguments },
    Route { id: "arguments-too-long", prepare: nothing, act: longer_arguments, judge: whole_arguments },
    Route { id: "exit-code", prepare: children, act: exit_code, judge: exited_3 },
    Route { id: "exit-signal", prepare: children, act: exit_signal, judge: killed },
    Route { id: "exit-last-thread", prepare: children, act: exit_thread, judge: exited_3 },
    Route { id: "fork-sibling", prepare: children, act: sibling, judge: executed },
    Route { id: "fork-daemon", prepare: children, act: daemon, judge: executed },
];

/// What the route's program and its twin are to run.
pub(super) fn children(ground: &Ground<'_>) -> Result<()> {
    ground.program("-child")?;
    ground.program("-twin-child")?;
    Ok(())
}

/// The route's program reads the credential, its twin what is none; then both do the same, each with a child of its own.
pub(super) fn after_reading(ground: &Ground<'_>, steps: impl Fn(&str) -> Vec<String>) -> Result<Ran> {
    let both = [("-child", ground.secret()), ("-twin-child", ground.innocent())].map(|(child, file)| {
        let mut all = vec!["read".to_owned(), file];
        all.extend(steps(&ground.exe(child)));
        all
    });
    let [real, twin] = both.each_ref().map(|steps| steps.iter().map(String::as_str).collect::<Vec<_>>());
    ground.both(&real, &twin)
}

fn words(steps: &[&str]) -> Vec<String> {
    steps.iter().map(|&step| step.to_owned()).collect()
}

fn exec(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["spawn", child, "[", "]"]))
}

fn exec_at(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| {
        let (directory, name) = child.rsplit_once('/').unwrap_or_default();
        words(&["fork", "[", "exec-at", directory, name, "[", "]", "]"])
    })
}

fn exec_descriptor(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "exec-fd", child, "[", "]", "]"]))
}

fn exec_memory(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "exec-memfd", child, "[", "]", "]"]))
}

fn exec_deleted(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "exec-deleted", child, "[", "]", "]"]))
}

fn exec_thread(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "exec-thread", child, "[", "]", "]"]))
}

/// Two scripts of each: one that the child interprets, one that the first interprets.
fn scripts(ground: &Ground<'_>) -> Result<()> {
    children(ground)?;
    for child in ["-child", "-twin-child"] {
        let child = ground.exe(child);
        let script = |name: &str, interpreter: &str| -> Result<()> {
            let path = format!("{child}-{name}");
            fs::write(&path, format!("#!{interpreter}\n"))?;
            Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
        };
        script("script", &format!("{child} nothing"))?;
        script("second", &format!("{child}-script"))?;
    }
    Ok(())
}

fn exec_script(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["spawn", &format!("{child}-script"), "[", "]"]))
}

fn exec_second_script(ground: &Ground<'_>) -> Result<Ran> {
    // Its interpreter is given one argument more than it understands, and fails.
    after_reading(ground, |child| words(&["fork", "[", "become", &format!("{child}-second"), "[", "]", "]"]))
}

fn exec_failed(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |_| words(&["exec-fail", "/no/such/program"]))
}

fn long_arguments(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |_| words(&["long-argv", "3000"]))
}

fn longer_arguments(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |_| words(&["long-argv", "9000"]))
}

fn exit_code(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "become", child, "[", "exit", "3", "]", "]"]))
}

fn exit_signal(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "become", child, "[", "raise", "9", "]", "]"]))
}

fn exit_thread(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["fork", "[", "become", child, "[", "exit-thread", "3", "]", "]"]))
}

fn sibling(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| words(&["clone-parent", "[", "become", child, "[", "]", "]"]))
}

fn daemon(ground: &Ground<'_>) -> Result<Ran> {
    after_reading(ground, |child| {
        let done = format!("{child}-done");
        words(&["daemon", "[", "become", child, "[", "touch", &done, "]", "]", "wait-for", &done])
    })
}

/// Neither the twin nor its child left a record.
fn twins_are_silent(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<()> {
    evidence.twin_is_silent(ground)?;
    evidence.silent(ground, "-twin-child")
}

/// The child's execution is in the chain of the one that held the credential; the twin's child is nowhere.
fn executed(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    twins_are_silent(ground, evidence)?;
    Evidence::one(&evidence.actions(ground, "-child", "exec"), inherited)
}

fn inherited(exec: &Value) -> Option<String> {
    let basis = text(exec, "link.basis");
    (basis != "inherited").then(|| format!("its link is {basis:?}"))
}

/// Programs without a name: told as such, in the chain of whoever ran them.
fn nameless(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let chain = evidence.chain(ground)?;
    let found: Vec<&Value> = evidence
        .records
        .iter()
        .filter(|record| text(record, "action") == "exec" && text(record, "chain") == chain)
        .filter(|record| at(record, "process.exe_nameless") == true)
        .collect();
    Evidence::one(&found, |exec| {
        let exe = text(exec, "process.exe");
        let told = exe.starts_with("/memfd:") || exe.ends_with("/gone");
        if told { inherited(exec) } else { Some(format!("its program is told as {exe:?}")) }
    })
}

fn interpreted(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    twins_are_silent(ground, evidence)?;
    Evidence::one(&evidence.actions(ground, "-child", "exec"), |exec| {
        let script = text(exec, "process.script");
        let expected = format!("{}-script", ground.exe("-child"));
        (script != expected).then(|| format!("its script is told as {script:?}"))
    })
}

/// The script that was named is told, and the one between stands in the arguments, where the kernel put it.
fn interpreted_twice(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    twins_are_silent(ground, evidence)?;
    Evidence::one(&evidence.actions(ground, "-child", "exec"), |exec| {
        let script = text(exec, "process.script");
        let child = ground.exe("-child");
        let between = at(exec, "process.argv").as_array().into_iter().flatten();
        let told = between.filter_map(Value::as_str).any(|word| word == format!("{child}-script"));
        (script != format!("{child}-second") || !told).then(|| format!("its scripts are told as {script:?}"))
    })
}

fn failed(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "exec.failed"), |record| {
        let told = (text(record, "program"), at(record, "errno").as_u64());
        (told != ("/no/such/program", Some(2))).then(|| format!("told as {told:?}"))
    })
}

/// The arguments of the program's second start, after it held the credential.
fn whole_arguments(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "exec"), |exec| {
        let argv = at(exec, "process.argv").as_array().into_iter().flatten();
        let long: usize = argv.filter_map(Value::as_str).map(str::len).sum();
        let cut = at(exec, "process.argv_truncated") == true;
        (cut || long < 3_000)
            .then(|| format!("{long} bytes of them{}", if cut { ", and said so" } else { "" }))
    })
}

fn exited_3(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    twins_are_silent(ground, evidence)?;
    Evidence::one(&evidence.actions(ground, "-child", "exit"), |exit| {
        let code = at(exit, "exit.code").as_u64();
        (code != Some(3)).then(|| format!("its end is told as {}", at(exit, "exit")))
    })
}

fn killed(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    twins_are_silent(ground, evidence)?;
    Evidence::one(&evidence.actions(ground, "-child", "exit"), |exit| {
        let signal = at(exit, "exit.signal").as_u64();
        (signal != Some(9)).then(|| format!("its end is told as {}", at(exit, "exit")))
    })
}
