//! Modules of the test kernels: taken out of their packages, kept beside the image, and packed for the guest's init to load.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use super::matrix::Kernel;
use crate::apt;
use crate::sh::{Cmd, step, which};

/// Which modules were looked for when the folder was made: a name a line, in the order of loading.
const LIST: &str = "list";

/// Where a guest finds them.
const GUEST: &str = "/modules";

/// Whether the folder of a kernel holds what its entry asks for.
pub(super) fn complete(folder: &Path, kernel: &Kernel) -> bool {
    let list = fs::read_to_string(folder.join(LIST));
    list.map_or(kernel.modules.is_empty(), |list| list == lines(kernel))
}

fn lines(kernel: &Kernel) -> String {
    kernel.modules.iter().map(|name| format!("{name}\n")).collect()
}

/// Takes the modules of a kernel out of its unpacked package. One that is not there is left out: a route that needs it is
/// "not there" then, and says so in the table.
pub(super) fn take(tree: &Path, kernel: &Kernel, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in &kernel.modules {
        let Some(found) = find(tree, name) else {
            step!("vm: kernel {} has no module {name}", kernel.name);
            continue;
        };
        let file = found.file_name().context("a file has a name")?;
        let place = folder.join(file);
        fs::copy(&found, &place).with_context(|| format!("cannot copy {}", found.display()))?;
        unpack(&place)?;
        ensure!(
            folder.join(format!("{name}.ko")).is_file(),
            "{} is packed in a way unknown",
            place.display()
        );
    }
    fs::write(folder.join(LIST), lines(kernel)).context("cannot write the list of modules")
}

/// In place: the tools take the suffix off. The guest has none of them, and kernels before 5.17 do not do it themselves.
fn unpack(file: &Path) -> Result<()> {
    let (program, package) = match file.extension().and_then(|suffix| suffix.to_str()) {
        Some("xz") => ("xz", "xz-utils"),
        Some("zst") => ("zstd", "zstd"),
        _ => return Ok(()),
    };
    if which(program).is_none() {
        apt::install(&[package], "unpacking modules of the test kernels")?;
    }
    Cmd::new(program).args(["-d", "-q", "-f"]).arg(file).run()
}

/// The file of a module, under whatever folder of the tree and however packed.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() && !path.is_symlink() {
            return find(&path, name);
        }
        let file = path.file_name()?.to_str()?;
        let rest = file.strip_prefix(name)?;
        [".ko", ".ko.xz", ".ko.zst"].contains(&rest).then(|| path.clone())
    })
}

/// The initramfs of a kernel: that of all kernels, and an archive of the modules behind it, which the kernel unpacks too.
pub(super) fn append(common: &Path, folder: &Path, to: &Path) -> Result<()> {
    fs::copy(common, to).with_context(|| format!("cannot write {}", to.display()))?;
    let Ok(list) = fs::read_to_string(folder.join(LIST)) else { return Ok(()) };
    let file = File::options().append(true).open(to)?;
    let mut archive = Archive::new(BufWriter::new(file));
    archive.directory(GUEST)?;
    archive.program(&format!("{GUEST}/{LIST}"), &folder.join(LIST))?;
    for name in list.lines() {
        let module = folder.join(format!("{name}.ko"));
        if module.is_file() {
            archive.program(&format!("{GUEST}/{name}.ko"), &module)?;
        }
    }
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_and_what_is_kept_is_known() {
        let scratch = crate::paths::Scratch::new("modules");
        let deep = scratch.0.join("tree/lib/modules/6.1.0/kernel/net/vmw_vsock");
        fs::create_dir_all(&deep).unwrap();
        for file in ["vsock.ko", "vsock_loopback.ko"] {
            fs::write(deep.join(file), b"module").unwrap();
        }
        let mut kernel = Kernel::for_test("bookworm");
        let folder = scratch.0.join("kept");
        assert!(complete(&folder, &kernel), "none asked for");
        kernel.modules = ["vsock", "overlay"].map(str::to_owned).to_vec();
        assert!(!complete(&folder, &kernel));
        take(&scratch.0.join("tree"), &kernel, &folder).unwrap();
        assert!(complete(&folder, &kernel), "one that is not in the package is not looked for again");
        assert!(folder.join("vsock.ko").is_file());
        assert!(!folder.join("vsock_loopback.ko").exists());
        kernel.modules.push("more".to_owned());
        assert!(!complete(&folder, &kernel));
    }

    #[test]
    fn the_archive_of_modules_follows_the_common_one() {
        let scratch = crate::paths::Scratch::new("append");
        let (common, to, folder) = (scratch.0.join("common"), scratch.0.join("to"), scratch.0.join("kept"));
        fs::write(&common, b"0707").unwrap();
        append(&common, &folder, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"0707", "no modules, nothing behind");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(LIST), "a\nb\n").unwrap();
        fs::write(folder.join("b.ko"), "module b").unwrap();
        append(&common, &folder, &to).unwrap();
        let text = String::from_utf8_lossy(&fs::read(&to).unwrap()).into_owned();
        assert!(text.starts_with("0707070701"), "the second archive follows the first");
        assert!(text.contains("modules/b.ko") && !text.contains("modules/a.ko"));
        assert!(text.contains("a\nb\n") && text.contains("module b"));
    }
}
