//! Finds the probe object that `cargo xtask probes` built, and has it embedded. Packed: it is an eighth then, and read once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=SPOOR_PROBES");
    let object = std::env::var_os("SPOOR_PROBES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/spoor-ebpf"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    if !object.is_file() {
        println!(
            "cargo::error=there is no probe object at {}: run `cargo xtask probes` first",
            object.display()
        );
        return Ok(());
    }
    let place = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo says no OUT_DIR"))?;
    let packed = Path::new(&place).join("probes.gz");
    let mut pack = GzEncoder::new(fs::File::create(&packed)?, Compression::best());
    pack.write_all(&fs::read(&object)?)?;
    pack.finish()?;
    println!("cargo::rustc-env=SPOOR_PROBE_OBJECT={}", packed.display());
    Ok(())
}
