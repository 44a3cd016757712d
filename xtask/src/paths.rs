//! Where things are: the workspace, and the folders of `target/` that the verbs use.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The target triple of the binary that ships.
pub(crate) const HOST_TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The workspace's root. cargo says where the package is when it runs it; a binary started by hand remembers.
pub(crate) fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// cargo's target folder, below which everything made lies. Absolute, as child processes run elsewhere.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Programs the build needs and no package manager has.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// The static binaries' own target folder: their flags differ from the host's, and sharing one would rebuild both.
pub(crate) fn static_target() -> PathBuf {
    target().join("static")
}

/// Writes a file under a temporary name and renames it, and only when the content differs: what depends on the file
/// by its time is then not rebuilt for nothing, and nobody ever sees half of it. True when it wrote.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = path.file_name().context("a file has a name")?.to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, content).with_context(|| format!("cannot write {}", temporary.display()))?;
    fs::rename(&temporary, path).with_context(|| format!("cannot put {} in its place", path.display()))?;
    Ok(true)
}

/// A folder for a test, removed when it goes out of scope.
#[cfg(test)]
pub(crate) struct Scratch(pub(crate) PathBuf);

#[cfg(test)]
impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("spoor-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_per_content() {
        let scratch = Scratch::new("write");
        let file = scratch.0.join("deep/er/file");
        assert!(write_if_changed(&file, b"one").unwrap());
        assert!(!write_if_changed(&file, b"one").unwrap());
        assert!(write_if_changed(&file, b"two").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }
}
