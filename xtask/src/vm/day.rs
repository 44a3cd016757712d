//! `vm --day`: an ordinary day of a Debian is recorded anew.

use std::fs;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;

use super::matrix::Matrix;
use super::{archive, boot, debian, pack, prepare, remove};
use crate::sh::step;
use crate::{build, paths, probes};

/// What the test `day` replays.
const COMMITTED: &str = "tests/captures/day.spoor.gz";
/// So that nobody commits a heap.
const MOST: usize = 1 << 20;

pub(super) fn record() -> Result<ExitCode> {
    let boot = Matrix::read()?.day()?;
    debian::possible(boot.cell.system, "--day")?;
    let boots = [boot];
    prepare(&boots, false)?;
    let object = probes::ensure()?;
    let agent = build::agent_with(&object, &paths::static_target())?;
    let name = "initramfs-day";
    let packed = pack(&boots, (&agent, &[]), &object, name)?;
    let [boot] = &boots;
    step!("vm: {} is recorded; it takes some minutes", boot.name());
    let outcome = boot::boot(boot, &archive(name, boot), "");
    remove(&packed)?;
    let outcome = outcome?;
    let reasons = outcome.report.reasons(&boot.cell.skips);
    if !reasons.is_empty() {
        bail!("{}: {}\n{}", boot.name(), reasons.join("\n"), boot::tail(&outcome.log));
    }
    let from = boot::capture_file();
    let bytes = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
    ensure!(bytes.len() <= MOST, "the capture has {} bytes, and {MOST} are room enough", bytes.len());
    let mut capture = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut capture).context("the capture did not come out whole")?;
    let to = paths::root().join(COMMITTED);
    let folder = to.parent().context("it has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(&to, &bytes).with_context(|| format!("cannot write {}", to.display()))?;
    step!("vm: {COMMITTED}: {} bytes, {} unpacked, in {:.0} s", bytes.len(), capture.len(), outcome.seconds);
    println!("what comes of it: cargo test -p spoor --lib tests::day -- --nocapture");
    Ok(ExitCode::SUCCESS)
}
