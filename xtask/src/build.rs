//! `build`: the one static binary that ships.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::paths::{self, HOST_TRIPLE};
use crate::sh::{Cmd, step};
use crate::{elf, probes};

pub(crate) const ABOUT: &str = "Builds the probes, then the static agent binary with the probes in it\n\n\
    The last line of standard output is the binary's path.";

/// The crates that are built for the host, and tested and linted together.
pub(crate) const HOST_CRATES: &[&str] = &["spoor", "spoor-wire", "xtask", "spoor-tests"];

/// Tells the agent's build script where the object to embed lies (absolute).
pub(crate) const PROBES_ENV: &str = "SPOOR_PROBES";

/// Tells the tests from outside which binary to run (absolute).
pub(crate) const BINARY_ENV: &str = "SPOOR_BIN";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("build", args)?;
    println!("{}", agent()?.display());
    Ok(ExitCode::SUCCESS)
}

/// The static agent, with every probe awake.
pub(crate) fn agent() -> Result<PathBuf> {
    let object = probes::ensure()?;
    agent_with(&object, &paths::static_target())
}

/// The static agent with a given object in it, built in a given target folder.
pub(crate) fn agent_with(object: &Path, target: &Path) -> Result<PathBuf> {
    step!("build: the static agent");
    static_cargo(SHIP, target).args(["-p", "spoor", "--bin", "spoor"]).env(PROBES_ENV, object).run()?;
    static_binary(target, SHIP, "spoor")
}

/// The profile of what ships.
const SHIP: &str = "ship";
/// That of the programs that test it in a guest.
pub(crate) const GUEST: &str = "guest";

/// Static, and relocations packed into bits: a static binary of this size has 28,000 that only add where it was loaded.
const STATIC: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// No tables for unwinding: a panic aborts, and without symbols they name nothing. Linkers run in the workspace's root.
const NO_UNWINDING: &str = "-C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,xtask/no-unwinding.ld";

/// `cargo build` of static binaries. The flags go through the target's own variable: plain RUSTFLAGS would also
/// hit what a caller has set for the host.
pub(crate) fn static_cargo(profile: &str, target: &Path) -> Cmd {
    as_static(Cmd::cargo().args(["build", "--profile", profile]), target, &format!("{STATIC} {NO_UNWINDING}"))
}

/// `cargo bench` with what [`static_cargo`] has built of dependencies.
pub(crate) fn static_bench(target: &Path) -> Cmd {
    // These unwind, whatever the profile says.
    as_static(Cmd::cargo().args(["bench", "--quiet", "--profile", SHIP]), target, STATIC)
}

fn as_static(cmd: Cmd, target: &Path, flags: &str) -> Cmd {
    cmd.args(["--target", HOST_TRIPLE])
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
}

/// Where `static_cargo` put a binary; demands that it really is static, as an old host or an empty initramfs has no
/// dynamic loader that would fit.
pub(crate) fn static_binary(target: &Path, profile: &str, name: &str) -> Result<PathBuf> {
    let binary = target.join(HOST_TRIPLE).join(profile).join(name);
    let bytes = std::fs::read(&binary).with_context(|| format!("no binary at {}", binary.display()))?;
    if !elf::is_static(&bytes)? {
        bail!("{} asks for a dynamic loader; it must be static", binary.display());
    }
    Ok(binary)
}
