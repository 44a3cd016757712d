//! `toolchain`: a compiler that can build the probes, and the linker that goes with it.
//!
//! The BPF target is a tier 3 target: rustup ships no `core` for it. Debian does, for its stable compiler, which is why
//! no nightly is needed there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::sh::{Cmd, is_root, step, which};
use crate::{apt, paths};

pub(crate) const ABOUT: &str = "Finds or installs the compiler and the linker of the probes, and says which\n\n\
    In this order: a rustc on PATH whose sysroot has the BPF target; Debian's (packages rustc-web and\n\
    libstd-rust-web-dev-bpf, or rustc and libstd-rust-dev-bpf); a rustup nightly with rust-src. Where none is there,\n\
    Debian's is installed if we are root and apt is there; else the exact commands are printed.\n\
    bpf-linker goes to target/tools. Every verb that needs them calls this one.";

/// The BPF target of a little-endian machine.
pub(crate) const BPF_TRIPLE: &str = "bpfel-unknown-none";
/// Reads LLVM 22 bitcode; the next one wants the next LLVM.
const BPF_LINKER: &str = "0.13.0";
/// What a Debian 12 needs; 1.96 and LLVM 22 at the time of writing.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "rust-web-llvm"];

/// A compiler for the probes.
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// `+nightly`, where rustup's proxies are used.
    selector: Option<&'static str>,
    /// `-Z build-std=core`, where the target has no prebuilt core.
    build_std: bool,
    /// The major version of its LLVM, which bpf-linker's must not be older than.
    llvm: u32,
    why: String,
}

impl Toolchain {
    /// cargo of this toolchain, with bpf-linker on PATH and nothing of the host's toolchain in the environment.
    pub(crate) fn cargo(&self, verb: &str) -> Cmd {
        self.aim(Cmd::new(&self.cargo), verb)
    }

    /// The program that takes sections out of objects, of the LLVM that the linker is built with.
    pub(crate) fn objcopy(&self) -> PathBuf {
        llvm_prefix(self.llvm).join("bin/llvm-objcopy")
    }

    /// `cargo clippy` of this toolchain, if there is one. Its cargo-clippy is started directly: through rustup it would
    /// find the driver of another compiler, and a driver is tied to its exact compiler.
    pub(crate) fn clippy(&self) -> Option<Cmd> {
        let folder = self.rustc.parent()?;
        let there = |name: &str| folder.join(name).is_file();
        if self.selector.is_some() || !there("clippy-driver") || !there("cargo-clippy") {
            return None;
        }
        Some(self.aim(Cmd::new(folder.join("cargo-clippy")), "clippy").env("CARGO", &self.cargo))
    }

    fn aim(&self, cmd: Cmd, verb: &str) -> Cmd {
        let mut cmd = cmd.clean().path_first(&paths::tools().join("bin"));
        match self.selector {
            Some(selector) => cmd = cmd.env_remove("RUSTUP_TOOLCHAIN").arg(selector),
            None => cmd = cmd.env("RUSTC", &self.rustc),
        }
        cmd = cmd.arg(verb).args(["--target", BPF_TRIPLE]);
        if self.build_std { cmd.args(["-Z", "build-std=core"]) } else { cmd }
            // aya-ebpf enables `asm_experimental_arch`: on a stable compiler this is the door to it.
            .env("RUSTC_BOOTSTRAP", "1")
    }

    /// The Debian package with this compiler's clippy, where the compiler is Debian's.
    pub(crate) fn clippy_package(&self) -> Option<&'static str> {
        let debian = self.selector.is_none()
            && self.rustc == Path::new("/usr/bin/rustc")
            && which("apt-get").is_some();
        debian.then(|| if apt::installed("rustc-web") { "rust-web-clippy" } else { "rust-clippy" })
    }
}

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("toolchain", args)?;
    let toolchain = ensure()?;
    println!("compiler: {} ({}), LLVM {}", toolchain.rustc.display(), toolchain.why, toolchain.llvm);
    println!("linker: {}", paths::tools().join("bin/bpf-linker").display());
    Ok(ExitCode::SUCCESS)
}

/// The compiler and the linker; both there when this returns.
pub(crate) fn ensure() -> Result<Toolchain> {
    let toolchain = match find() {
        Some(toolchain) => toolchain,
        None => install()?,
    };
    ensure_linker(&toolchain)?;
    Ok(toolchain)
}

fn find() -> Option<Toolchain> {
    let on_path = which("rustc").zip(which("cargo"));
    if let Some((rustc, cargo)) = on_path
        && has_core(&rustc)
    {
        return describe(rustc, cargo, "rustc on PATH has the BPF target");
    }
    let (rustc, cargo) = (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo"));
    if cargo.is_file() && has_core(&rustc) {
        return describe(rustc, cargo, "the distribution's compiler, with its BPF library");
    }
    nightly()
}

fn describe(rustc: PathBuf, cargo: PathBuf, why: &str) -> Option<Toolchain> {
    let version = Cmd::new(&rustc).clean().arg("-vV").read().ok()?;
    let llvm = llvm_major(&version)?;
    let name = version.lines().next().unwrap_or_default();
    Some(Toolchain { cargo, rustc, selector: None, build_std: false, llvm, why: format!("{why}; {name}") })
}

/// Whether the compiler brings `core` for the BPF target.
fn has_core(rustc: &Path) -> bool {
    let args = ["--print", "target-libdir", "--target", BPF_TRIPLE];
    let Ok(folder) = Cmd::new(rustc).clean().args(args).read() else {
        return false;
    };
    let Ok(entries) = fs::read_dir(folder.trim()) else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// A rustup nightly that can build `core` itself.
fn nightly() -> Option<Toolchain> {
    let cargo = which("rustup").and(which("cargo"))?;
    let ask = |what: &str| {
        Cmd::new("rustc")
            .clean()
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTUP_AUTO_INSTALL", "0")
            .args(["+nightly"])
            .args(what.split(' '))
            .read()
            .ok()
    };
    let sysroot = ask("--print sysroot")?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file() {
        return None;
    }
    let version = ask("-vV")?;
    let why =
        format!("rustup's nightly builds core from rust-src; {}", version.lines().next().unwrap_or_default());
    let rustc = Path::new(sysroot.trim()).join("bin/rustc");
    Some(Toolchain {
        cargo,
        rustc,
        selector: Some("+nightly"),
        build_std: true,
        llvm: llvm_major(&version)?,
        why,
    })
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

fn install() -> Result<Toolchain> {
    let by_hand = format!(
        "no compiler here can build for {BPF_TRIPLE}. One of these gives you one:\n  \
         Debian 12:          sudo apt-get update && sudo apt-get install -y {} llvm-22-dev\n  \
         Debian 14:          sudo apt-get update && sudo apt-get install -y rustc cargo libstd-rust-dev-bpf\n  \
         anywhere (rustup):  rustup toolchain install nightly --profile minimal --component rust-src",
        DEBIAN.join(" ")
    );
    if !(is_root() && which("apt-get").is_some()) {
        bail!("{by_hand}");
    }
    step!("toolchain: no compiler with the BPF target yet, installing Debian's");
    apt::install(DEBIAN, "building the probes").context(by_hand.clone())?;
    find().context(by_hand)
}

/// bpf-linker in the one version and for the one LLVM that fit; installed when it is not.
fn ensure_linker(toolchain: &Toolchain) -> Result<()> {
    let tools = paths::tools();
    let feature = format!("llvm-{}", toolchain.llvm);
    let receipt = fs::read_to_string(tools.join(".crates2.json")).unwrap_or_default();
    if tools.join("bin/bpf-linker").is_file() && has_linker(&receipt, &feature) {
        return Ok(());
    }
    // Without LLVM_PREFIX its build script settles on the wrong library folder ("unable to find library -lLLVM").
    let prefix = llvm_prefix(toolchain.llvm);
    if !prefix.join("include/llvm-c/Core.h").exists() {
        let package = format!("llvm-{}-dev", toolchain.llvm);
        apt::install(&[&package], "bpf-linker")
            .context("bpf-linker links against the LLVM of the compiler that builds the probes")?;
    }
    step!(
        "toolchain: building bpf-linker {BPF_LINKER} for LLVM {} into {} (a minute or two, once)",
        toolchain.llvm,
        tools.display()
    );
    Cmd::cargo()
        .args([
            "install",
            "bpf-linker",
            "--version",
            BPF_LINKER,
            "--locked",
            "--force",
            "--no-default-features",
        ])
        .args(["--features", &feature])
        .arg("--root")
        .arg(&tools)
        .env("LLVM_PREFIX", &prefix)
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .advice(format!("it wants the headers and libraries in {}", prefix.display()))
        .run()?;
    // 200 MB that nothing reads again.
    fs::remove_dir_all(tools.join("build")).context("cannot remove bpf-linker's build folder")
}

/// Where Debian's packages put an LLVM.
fn llvm_prefix(major: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{major}"))
}

/// Whether cargo's own receipt of what it installed holds our linker.
fn has_linker(receipt: &str, feature: &str) -> bool {
    let Ok(receipt) = serde_json::from_str::<serde_json::Value>(receipt) else {
        return false;
    };
    let Some(installs) = receipt["installs"].as_object() else {
        return false;
    };
    let key = format!("bpf-linker {BPF_LINKER} ");
    installs.iter().any(|(name, what)| {
        name.starts_with(&key)
            && what["features"].as_array().is_some_and(|all| all.iter().any(|one| one == feature))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_a_compiler_is_read() {
        assert_eq!(llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }

    #[test]
    fn the_receipt_must_hold_version_and_feature() {
        let receipt = |version: &str, feature: &str| {
            format!(r#"{{"installs":{{"bpf-linker {version} (registry)":{{"features":["{feature}"]}}}}}}"#)
        };
        assert!(has_linker(&receipt(BPF_LINKER, "llvm-22"), "llvm-22"));
        assert!(!has_linker(&receipt(BPF_LINKER, "llvm-21"), "llvm-22"));
        assert!(!has_linker(&receipt("0.12.0", "llvm-22"), "llvm-22"));
        assert!(!has_linker("", "llvm-22"));
    }
}
