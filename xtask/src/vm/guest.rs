//! What goes into the guest: the agent, the tests, busybox, and nothing else.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use crate::build::{GUEST, PROBES_ENV, static_binary, static_cargo};
use crate::sh::{Cmd, step, which};
use crate::{apt, elf, paths};

/// The program of the test crate that is the guest's /init.
const INIT: &str = "guest-init";

/// Builds the test crate's programs and packs them with the given agent.
pub(super) fn pack(agent: &Path, object: &Path, archive: &Path) -> Result<()> {
    let bins = test_programs()?;
    ensure!(
        bins.iter().any(|bin| bin == INIT),
        "package spoor-tests has no program {INIT}; the guest boots into it"
    );
    step!("vm: building the guest's programs: {}", bins.join(", "));
    let target = paths::static_target();
    static_cargo(GUEST, &target).args(["-p", "spoor-tests", "--bins"]).env(PROBES_ENV, object).run()?;
    let folder = archive.parent().context("the initramfs has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let temporary = archive.with_extension("new");
    write(&temporary, agent, &bins, &target)?;
    fs::rename(&temporary, archive).with_context(|| format!("cannot put {} in its place", archive.display()))
}

fn write(path: &Path, agent: &Path, bins: &[String], target: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for folder in ["/bin", "/dev", "/proc", "/sys", "/tmp", "/etc", "/run", "/root", "/var"] {
        archive.directory(folder)?;
    }
    archive.device("/dev/console", 5, 1)?;
    archive.device("/dev/null", 1, 3)?;
    for bin in bins {
        let place = if bin == INIT { "/init".to_owned() } else { format!("/bin/{bin}") };
        archive.program(&place, &static_binary(target, GUEST, bin)?)?;
    }
    archive.program("/bin/spoor", agent)?;
    archive.program("/bin/busybox", &busybox()?)?;
    archive.symlink("/bin/sh", "busybox")?;
    if let Some(sqlite) = which("sqlite3").filter(|path| is_static(path)) {
        archive.program("/bin/sqlite3", &sqlite)?;
    }
    archive.finish()?;
    Ok(())
}

/// Where a guest with containers finds what is deployed as one.
const DEPLOYED: &str = "/deployed";

/// The same, and behind it the image, and the manifest that says what it is run with.
pub(super) fn deployed(bare: &Path, image: &Path, to: &Path) -> Result<()> {
    fs::copy(bare, to).with_context(|| format!("cannot write {}", to.display()))?;
    let mut archive = Archive::new(BufWriter::new(File::options().append(true).open(to)?));
    archive.directory(DEPLOYED)?;
    archive.program(&format!("{DEPLOYED}/image.tar"), image)?;
    for file in ["kubernetes/spoor.yaml", "container/Containerfile"] {
        let from = paths::root().join("deploy").join(file);
        let name = from.file_name().context("a file has a name")?.to_string_lossy();
        archive.program(&format!("{DEPLOYED}/{name}"), &from)?;
    }
    archive.finish().map(drop)
}

fn busybox() -> Result<PathBuf> {
    let found = || which("busybox").filter(|path| is_static(path));
    if let Some(path) = found() {
        return Ok(path);
    }
    apt::install(&["busybox-static"], "the guest's shell")?;
    found().context("no static busybox on PATH")
}

fn is_static(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| elf::is_static(&bytes).unwrap_or(false))
}

/// The programs of the test crate that need no feature, so that `--bins` really builds them.
fn test_programs() -> Result<Vec<String>> {
    let text = Cmd::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
    programs(&serde_json::from_str(&text).context("cargo metadata printed no JSON")?)
}

fn programs(metadata: &serde_json::Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let tests =
        packages.iter().find(|package| package["name"] == "spoor-tests").context("no package spoor-tests")?;
    let targets = tests["targets"].as_array().context("spoor-tests has no targets")?;
    let wanted = targets.iter().filter(|target| {
        let is_bin = target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"));
        is_bin && target["required-features"].as_array().is_none_or(Vec::is_empty)
    });
    Ok(wanted.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_want_a_feature_stay_out() {
        let metadata = serde_json::json!({"packages": [
            {"name": "spoor", "targets": [{"name": "spoor", "kind": ["bin"]}]},
            {"name": "spoor-tests", "targets": [
                {"name": "spoor_tests", "kind": ["lib"]},
                {"name": "guest-init", "kind": ["bin"]},
                {"name": "bench", "kind": ["bin"], "required-features": ["live"]},
            ]},
        ]});
        assert_eq!(programs(&metadata).unwrap(), ["guest-init"]);
        assert!(programs(&serde_json::json!({"packages": []})).is_err());
    }
}
