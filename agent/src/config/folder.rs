//! Files that several owners put beside each other: found, held against what they may be, and read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::TEXT_MAX;

/// Most files of a directory.
const FILES_MAX: usize = 1_024;

/// A file, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it lies, as a person is told.
    pub name: String,
    /// What is in it; of a file that is too long, its beginning and one byte more than may be.
    pub bytes: Vec<u8>,
}

/// Something that was not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The system did not let us.
    #[error("cannot read {}: {io}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        io: io::Error,
    },
    /// Whoever may write it could declare anything to be right.
    #[error("{}: everybody may write it (mode {mode:04o}); chmod o-w", path.display())]
    WorldWritable {
        /// What.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A pipe, a device.
    #[error("{}: is not a file", path.display())]
    NoFile {
        /// What.
        path: PathBuf,
    },
    /// Too many.
    #[error("{}: has more than {FILES_MAX} files", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}

/// What was read, and what was not.
#[derive(Debug, Default)]
pub struct Sources {
    /// Files, in the order of their names.
    pub files: Vec<Source>,
    /// Everything that was refused.
    pub refused: Vec<Refused>,
}

/// Reads a file, or of a directory the files `*.toml` in the order of their names; those whose name begins with a dot
/// are nobody's yet. `None` where there is nothing at that path.
#[must_use]
pub fn sources(path: &Path) -> Option<Sources> {
    let mut found = Sources::default();
    let paths = match paths(path) {
        Ok(paths) => paths?,
        Err(refused) => {
            found.refused.push(refused);
            return Some(found);
        }
    };
    for path in &paths {
        match read(path) {
            Ok(source) => found.files.push(source),
            Err(refused) => found.refused.push(refused),
        }
    }
    Some(found)
}

fn paths(path: &Path) -> Result<Option<Vec<PathBuf>>, Refused> {
    let unreadable = |io| Refused::Unreadable { path: path.to_owned(), io };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !meta.is_dir() {
        return Ok(Some(vec![path.to_owned()]));
    }
    guarded(path, &meta)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            if paths.len() == FILES_MAX {
                return Err(Refused::TooMany { path: path.to_owned() });
            }
            paths.push(path.join(&name));
        }
    }
    paths.sort_unstable();
    Ok(Some(paths))
}

fn read(path: &Path) -> Result<Source, Refused> {
    let unreadable = |io| Refused::Unreadable { path: path.to_owned(), io };
    // A pipe must not hold the reader up: it is looked at before anything is read.
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file: File = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(Refused::NoFile { path: path.to_owned() });
    }
    guarded(path, &meta)?;
    let mut bytes = Vec::new();
    file.take(TEXT_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Source { name: path.display().to_string(), bytes })
}

/// The sticky bit does not help: it keeps others from removing a file, not from adding one.
fn guarded(path: &Path, meta: &fs::Metadata) -> Result<(), Refused> {
    const OTHERS_WRITE: u32 = 0o002;
    if meta.mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(Refused::WorldWritable { path: path.to_owned(), mode: meta.mode() & 0o7777 })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, mode: u32) {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn toml_files_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", ".c.toml", "d.toml~", "README"] {
            write(&dir.path().join(name), 0o644);
        }
        let names: Vec<String> =
            sources(dir.path()).unwrap().files.into_iter().map(|source| source.name).collect();
        let at = |name: &str| dir.path().join(name).display().to_string();
        assert_eq!(names, [at("a.toml"), at("b.toml")]);
        assert_eq!(sources(&dir.path().join("d.toml~")).unwrap().files.len(), 1, "a file that is named");
        assert!(sources(&dir.path().join("none")).is_none());
    }

    #[test]
    fn what_is_refused_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a.toml"), 0o666);
        write(&dir.path().join("b.toml"), 0o640);
        nix::unistd::mkfifo(&dir.path().join("c.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(dir.path().join("d.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("e.toml")).unwrap();
        let Sources { files, refused } = sources(dir.path()).unwrap();
        assert_eq!(files.len(), 1, "the good ones are read: their mistakes are told too");
        let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused.len(), 4, "{said:?}");
        assert!(said[0].ends_with("a.toml: everybody may write it (mode 0666); chmod o-w"), "{said:?}");
        assert!(said[1].ends_with("c.toml: is not a file") && said[2].ends_with("d.toml: is not a file"));
        assert!(said[3].contains("e.toml: No such file"), "{said:?}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let refused = sources(dir.path()).unwrap().refused;
        assert!(matches!(refused.as_slice(), [Refused::WorldWritable { mode: 0o1777, .. }]), "{refused:?}");
    }
}
