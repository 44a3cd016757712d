//! Finds the probe object that `cargo xtask probes` built, and has it embedded.

use std::path::{Path, PathBuf};

fn main() {
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
        return;
    }
    println!("cargo::rustc-env=SPOOR_PROBE_OBJECT={}", object.display());
}
