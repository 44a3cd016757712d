//! `probes`: the eBPF object, built by its own compiler for its own target.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::elf;
use crate::paths;
use crate::sh::{Cmd, step};
use crate::slim;
use crate::toolchain::{self, BPF_TRIPLE};

pub(crate) const ABOUT: &str = "Builds the probes into target/bpf/spoor-ebpf\n\n\
    The object is replaced only when its bytes change, so that the agent is not rebuilt for nothing. With SPOOR_MUTE=NAME\n\
    in the environment, the probe of that name does nothing and the object is target/bpf-muted/NAME/spoor-ebpf. With\n\
    SPOOR_WITHOUT=NAME it does without a technique (`cargo xtask help bench`) and is target/bpf-without/NAME/spoor-ebpf.";

/// How the functions are called that verifiers take by themselves.
const ALONE: &str = "spoor_";

/// What a program and all it calls may have of the stack.
const STACK_MAX: u32 = 512;

/// Names the probe that is to be built deaf; `spoor-ebpf` reads it with `option_env!`.
const MUTE_ENV: &str = "SPOOR_MUTE";
/// Names the technique that it is to do without: a feature of `spoor-ebpf`.
const WITHOUT_ENV: &str = "SPOOR_WITHOUT";

/// What is left out of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeftOut<'a> {
    Nothing,
    /// What a probe does.
    Probe(&'a str),
    /// A technique.
    Technique(&'a str),
}

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("probes", args)?;
    let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let object = match (named(MUTE_ENV), named(WITHOUT_ENV)) {
        (Some(_), Some(_)) => bail!("{MUTE_ENV} and {WITHOUT_ENV}: one at a time"),
        (Some(probe), None) => build(LeftOut::Probe(&probe))?,
        (None, Some(technique)) => build(LeftOut::Technique(&technique))?,
        (None, None) => build(LeftOut::Nothing)?,
    };
    println!("{}", object.display());
    Ok(ExitCode::SUCCESS)
}

/// The object with all that is in it.
pub(crate) fn ensure() -> Result<PathBuf> {
    build(LeftOut::Nothing)
}

/// Builds the object, with one probe muted, without one technique or with all, and returns where it is.
pub(crate) fn build(left_out: LeftOut<'_>) -> Result<PathBuf> {
    let toolchain = toolchain::ensure()?;
    let apart = |folder: &str, name: &str| {
        let all = paths::target().join(folder);
        (all.join("build"), all.join(name).join("spoor-ebpf"))
    };
    let (build, object) = match left_out {
        LeftOut::Nothing => (paths::target().join("bpf-build"), paths::target().join("bpf/spoor-ebpf")),
        LeftOut::Probe(probe) => apart("bpf-muted", probe),
        LeftOut::Technique(technique) => apart("bpf-without", technique),
    };
    let cmd = package(toolchain.cargo("build"), &build, "")
        .advice("`cargo xtask toolchain` says which compiler this is");
    let cmd = match left_out {
        LeftOut::Nothing => {
            step!("probes: building");
            cmd
        }
        LeftOut::Probe(probe) => {
            step!("probes: building with {probe} muted");
            cmd.env(MUTE_ENV, probe)
        }
        LeftOut::Technique(technique) => {
            step!("probes: building without {technique}");
            cmd.args(["--features", &format!("without-{technique}")])
        }
    };
    cmd.run()?;
    let built = build.join(BPF_TRIPLE).join("release/spoor-ebpf");
    let slim = build.join("spoor-ebpf.slim");
    slim::slim(&toolchain.objcopy(), &built, &slim)?;
    let content = fs::read(&slim).with_context(|| format!("no object at {}", slim.display()))?;
    let calls = elf::bpf_calls(&content).with_context(|| format!("{} is not to be read", slim.display()))?;
    let unknown: Vec<&String> = calls.iter().filter(|call| !call.starts_with(ALONE)).collect();
    ensure!(
        unknown.is_empty(),
        "the probes call what no verifier takes by itself (docs/adr/0027): {unknown:?}; inline it. What has no name is a closure, \
         or a copy that became a `memset`"
    );
    let (deepest, program) = elf::deepest(&content)?;
    ensure!(
        deepest <= STACK_MAX,
        "{program} and what it calls take {deepest} bytes of the stack, and verifiers refuse more than {STACK_MAX}"
    );
    if paths::write_if_changed(&object, &content)? {
        step!("probes: {} bytes in {}", content.len(), object.display());
    }
    Ok(object)
}

/// Aims a command of the BPF toolchain at the probes' package. The flags are the same for every verb.
pub(crate) fn package(cmd: Cmd, target: &Path, flags: &str) -> Cmd {
    cmd.args(["--package", "spoor-ebpf", "--release"])
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", format!("{} -C link-arg=--btf{flags}", remap()))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove(MUTE_ENV)
}

/// Paths end up in panic locations: map the two folders they can begin with, so that the same sources give the same
/// bytes wherever they lie.
fn remap() -> String {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let mut flags = format!("--remap-path-prefix={}=.", paths::root().display());
    if let Some(home) = home {
        flags += &format!(" --remap-path-prefix={}=cargo", home.display());
    }
    flags
}
