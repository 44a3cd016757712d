//! Who else has programs in this kernel: for `spoor doctor`, since two who watch the same may be in each other's way.
//! Asks and attaches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use aya::programs::{ProgramInfo, loaded_programs};

use super::facts::read;

/// Most programs that are told.
const PROGRAMS_MAX: usize = 4_096;
/// Most entries of bpffs, and descriptors of processes, that are looked at.
const PINS_MAX: usize = 4_096;
const DESCRIPTORS_MAX: usize = 262_144;
/// Deepest folder of bpffs that is looked into.
const DEPTH_MAX: usize = 6;

/// A program in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherProgram {
    /// Its number.
    pub id: u32,
    /// Its type, as `cgroup_device`.
    pub kind: String,
    /// Its name, of at most 15 bytes, by whoever loaded it.
    pub name: String,
    /// Where it is pinned.
    pub pins: Vec<PathBuf>,
    /// Who holds it or its attachment: number and name of the process.
    pub holders: BTreeSet<(u32, String)>,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Programs, by number.
    pub programs: Vec<OtherProgram>,
    /// Why they, or some, are not known.
    pub unknown: Option<String>,
}

impl Others {
    /// Asks the kernel, and looks who holds what. Before our own are loaded.
    #[must_use]
    pub fn ask(root: &Path) -> Self {
        let mut found = Others::default();
        for program in loaded_programs().take(PROGRAMS_MAX) {
            match program {
                Ok(info) => found.programs.push(OtherProgram {
                    id: info.id(),
                    kind: kind(&format!("{:?}", info.program_type())),
                    name: String::from_utf8_lossy(info.name()).escape_default().to_string(),
                    ..OtherProgram::default()
                }),
                // One may go while they are counted; that the kernel does not say is told once.
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    found.unknown.get_or_insert(format!("{error}{}", cause.unwrap_or_default()));
                }
            }
        }
        if !found.programs.is_empty() {
            let pinned = pins(&root.join("sys/fs/bpf"));
            let pinned =
                pinned.into_iter().filter_map(|path| Some((ProgramInfo::from_pin(&path).ok()?.id(), path)));
            found.know(pinned.collect(), &holders(root));
        }
        found
    }

    fn know(&mut self, pinned: Vec<(u32, PathBuf)>, held: &BTreeMap<u32, BTreeSet<(u32, String)>>) {
        for program in &mut self.programs {
            program.holders = held.get(&program.id).cloned().unwrap_or_default();
        }
        for (id, path) in pinned {
            if let Some(program) = self.programs.iter_mut().find(|program| program.id == id) {
                program.pins.push(path);
            }
        }
    }
}

/// `BPF_PROG_TYPE_CGROUP_DEVICE` is `cgroup_device`; one that is younger than this program is `unknown`.
fn kind(kernel: &str) -> String {
    kernel.strip_prefix("BPF_PROG_TYPE_").map_or_else(|| "unknown".to_owned(), str::to_lowercase)
}

/// What is pinned below a folder, whatever it is.
fn pins(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > PINS_MAX {
                return found;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => folders.push((entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// By number of the program, the processes that have a descriptor of it or of its attachment.
fn holders(root: &Path) -> BTreeMap<u32, BTreeSet<(u32, String)>> {
    let mut found: BTreeMap<u32, BTreeSet<(u32, String)>> = BTreeMap::new();
    let mut left = DESCRIPTORS_MAX;
    for process in fs::read_dir(root.join("proc")).into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if left == 0 {
                return found;
            }
            left -= 1;
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            if !target.to_string_lossy().starts_with("anon_inode:bpf") {
                continue;
            }
            let info = read(&process.path().join("fdinfo").join(descriptor.file_name())).unwrap_or_default();
            if let Some(id) = info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
            {
                let name = read(&process.path().join("comm")).unwrap_or_default();
                found.entry(id).or_default().insert((pid, name.trim().escape_default().to_string()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_program_is_found_by_its_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/812");
        for folder in ["fd", "fdinfo"] {
            fs::create_dir_all(process.join(folder)).unwrap();
        }
        fs::write(process.join("comm"), "falco\n").unwrap();
        let descriptors = [
            ("3", "anon_inode:bpf-prog", "flags:\t02\nprog_type:\t2\nprog_id:\t41\n"),
            ("4", "anon_inode:bpf_link", "link_type:\ttracing\nlink_id:\t9\nprog_id:\t42\n"),
            ("5", "anon_inode:bpf-map", "map_type:\t27\nmap_id:\t7\n"),
            ("6", "/etc/passwd", "prog_id:\t43\n"),
        ];
        for (number, target, info) in descriptors {
            std::os::unix::fs::symlink(target, process.join("fd").join(number)).unwrap();
            fs::write(process.join("fdinfo").join(number), info).unwrap();
        }
        let held = holders(root.path());
        assert_eq!(held.keys().copied().collect::<Vec<_>>(), [41, 42]);
        let program = |id| OtherProgram { id, ..OtherProgram::default() };
        let mut others = Others { programs: vec![program(41), program(50)], unknown: None };
        others.know(vec![(50, "/sys/fs/bpf/cilium/x".into()), (99, "/sys/fs/bpf/gone".into())], &held);
        assert_eq!(others.programs[0].holders.iter().next().unwrap(), &(812, "falco".to_owned()));
        assert_eq!(others.programs[1].pins, [PathBuf::from("/sys/fs/bpf/cilium/x")]);
        assert!(others.programs[1].holders.is_empty());
    }

    #[test]
    fn types_have_the_names_that_tools_give_them() {
        assert_eq!(kind("BPF_PROG_TYPE_CGROUP_DEVICE"), "cgroup_device");
        assert_eq!(kind("__MAX_BPF_PROG_TYPE"), "unknown");
    }
}
