//! Opens a credential a second time and says what it is, without its secret.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::HashMap;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::catalogue::{Catalogue, DECLARED, without_link_dirs};
use super::environment::Environments;
use super::fingerprint::FingerprintKey;
use super::kind::Kind;
use super::parse::{self, Facts, Parser};
use super::{Credential, Describe, Handed, mounts, redact};
use crate::event::{KernelKey, OpenedFile, ProcessKey};

/// Most bytes of a file that are read. A longer file is not read at all: half a format is none.
const READ_MAX: u64 = 64 << 10;
/// Most descriptions remembered.
const CACHE_MAX: usize = 4096;

/// Describes opened files.
#[derive(Debug)]
pub struct Describer {
    catalogue: Arc<Catalogue>,
    key: FingerprintKey,
    /// `None` where environments are not to be read.
    environments: Option<Environments>,
    /// What was found when each file was read last.
    cache: HashMap<Known, Seen>,
    /// Oldest first.
    order: VecDeque<Known>,
}

/// A file under a certain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    dev: u32,
    ino: u64,
    generation: u32,
    rule: u32,
    path: Vec<u8>,
}

impl Known {
    fn of(file: &OpenedFile) -> Known {
        Known {
            dev: file.dev,
            ino: file.ino,
            generation: file.generation,
            rule: file.rule,
            path: file.path.bytes.clone(),
        }
    }
}

/// What was found in a file, and in which state of it.
#[derive(Debug)]
struct Seen {
    mtime_ns: i128,
    size: u64,
    /// [`None`]: no secret is in it.
    credential: Option<Arc<Credential>>,
}

impl Seen {
    /// Of a file that is gone by now. What it was called holds; what it held may have been written anew since.
    fn remembered(&self) -> Option<Arc<Credential>> {
        let seen = self.credential.as_ref()?;
        Some(Arc::new(Credential {
            fingerprints: Vec::new(),
            version: None,
            written: None,
            expires: None,
            ..Credential::clone(seen)
        }))
    }
}

impl Describer {
    /// With an empty memory.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, key: FingerprintKey) -> Describer {
        Describer { catalogue, key, environments: None, cache: HashMap::default(), order: VecDeque::new() }
    }

    /// One that reads environments, or does not.
    #[must_use]
    pub fn reading_environments(mut self, yes: bool) -> Describer {
        self.environments = yes.then(|| Environments::new(Arc::clone(&self.catalogue)));
        self
    }

    fn remember(&mut self, known: Known, seen: Seen) {
        if let Some(before) = self.cache.get_mut(&known) {
            *before = seen;
            return;
        }
        if self.order.len() >= CACHE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.cache.remove(&oldest);
        }
        self.order.push_back(known.clone());
        self.cache.insert(known, seen);
    }

    /// What is in a file, as far as it is no secret. `None` where no secret is.
    fn look(&mut self, kind: &Kind, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let path = &file.path.bytes;
        let known = Known::of(file);
        // Most files are as they were when they were read: then nobody has to open them.
        if let Some(seen) = self.cache.get(&known)
            && is_as_seen(seen, file, by)
        {
            return seen.credential.clone();
        }
        let Some((opened, meta)) = open_same(file, by) else {
            // A client that keeps its store replaces the file in the moment after it was opened.
            let remembered = self.cache.get(&known).and_then(Seen::remembered);
            return remembered.or_else(|| Some(Arc::new(credential(kind, path, Facts::default()))));
        };
        let (mtime_ns, size) = version(&meta);
        if let Some(seen) = self.cache.get(&known)
            && (seen.mtime_ns, seen.size) == (mtime_ns, size)
        {
            return seen.credential.clone();
        }
        let mut facts =
            read(&opened, &meta).map(|bytes| parse::parse(kind.parser, &bytes)).unwrap_or_default();
        // What the config names is meant whatever is in it.
        let found = (!facts.public || kind.id == DECLARED).then(|| {
            parse::tell_place(&kind.id, path, &mut facts);
            let (fingerprints, version) = self.key.of(&facts.secrets);
            let written = Some(meta.mtime());
            Arc::new(Credential { fingerprints, version, written, ..credential(kind, path, facts) })
        });
        self.remember(known, Seen { mtime_ns, size, credential: found.clone() });
        found
    }
}

impl Describe for Describer {
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let catalogue = Arc::clone(&self.catalogue);
        let kind = catalogue.kind(file.rule, &file.path.bytes)?;
        let found = self.look(kind, file, by)?;
        if !file.only_written() {
            return Some(found);
        }
        // What lies there is what was written by now, half of it, or what is about to be replaced: it may tell that no secret
        // belongs there, as in a certificate alone, and no more.
        let mut facts = Facts::default();
        parse::tell_place(&kind.id, &file.path.bytes, &mut facts);
        Some(Arc::new(credential(kind, &file.path.bytes, facts)))
    }

    fn socket(&mut self, file: &OpenedFile, _by: ProcessKey) -> Option<Arc<Credential>> {
        self.catalogue.socket(file.rule, &file.path.bytes)
    }

    fn key(&mut self, key: &KernelKey) -> Option<Arc<Credential>> {
        self.catalogue.key(key)
    }

    fn environment(&mut self, of: ProcessKey, program: &[u8]) -> Option<Handed> {
        match &mut self.environments {
            Some(environments) => environments.of(of, program),
            None => Some(Handed::default()),
        }
    }

    fn go_by(&mut self, catalogue: &Arc<Catalogue>, environment: bool) {
        if environment != self.environments.is_some() || !Arc::ptr_eq(&self.catalogue, catalogue) {
            self.environments = environment.then(|| Environments::new(Arc::clone(catalogue)));
        }
        if !Arc::ptr_eq(&self.catalogue, catalogue) {
            self.catalogue = Arc::clone(catalogue);
            // What was found there was found by the old one's word.
            self.cache.clear();
            self.order.clear();
        }
    }

    fn endpoint(&self, ip: IpAddr, port: u16) -> Option<Arc<Credential>> {
        self.catalogue.endpoint(ip, port)
    }
}

pub(super) fn credential(kind: &Kind, path: &[u8], facts: Facts) -> Credential {
    let name = match facts.name() {
        Some(name) => name.to_owned(),
        // Without what another rotation writes anew.
        None => redact::printable(without_link_dirs(path).as_deref().unwrap_or(path)),
    };
    Credential {
        path: path.to_vec(),
        identifiers: facts.identifiers,
        expects: facts.expects,
        expires: facts.expires,
        ..kind.credential(&name)
    }
}

/// What a parser tells of the bytes of a file, as a credential that lies nowhere. The agent has a [`Describer`]; this is for
/// who wants to hold a parser to its word.
#[must_use]
pub fn told(parser: Parser, bytes: &[u8]) -> Credential {
    credential(&Kind::default(), b"", parse::parse(parser, bytes))
}

/// What changes when a file is written to.
fn version(meta: &Metadata) -> (i128, u64) {
    (i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()), meta.size())
}

/// Where to look for the file the kernel spoke of, and whose mounts that is through: a path in the opener's own mounts, while
/// it lives; else in ours.
fn places(file: &OpenedFile, by: ProcessKey) -> Option<[(PathBuf, String); 2]> {
    let path = Path::new(OsStr::from_bytes(&file.path.bytes));
    if file.path.truncated || !path.is_absolute() {
        return None;
    }
    let mut inside = PathBuf::from(format!("/proc/{}/root", by.tgid));
    inside.as_mut_os_string().push(path);
    Some([(inside, by.tgid.to_string()), (path.to_owned(), "self".to_owned())])
}

/// Whether the file the kernel spoke of lies there as it was when it was read. One look; where `stat` tells another device than
/// the kernel keeps, it is to be opened to know.
fn is_as_seen(seen: &Seen, file: &OpenedFile, by: ProcessKey) -> bool {
    let mut places = places(file, by).into_iter().flatten();
    let found = places.find_map(|(path, _)| {
        let meta = std::fs::symlink_metadata(path).ok()?;
        let same = meta.is_file() && meta.ino() == file.ino && mounts::s_dev(meta.dev()) == file.dev;
        same.then_some(meta)
    });
    found.is_some_and(|meta| version(&meta) == (seen.mtime_ns, seen.size))
}

/// The file the kernel spoke of, or none: another file of that name tells nothing about it.
fn open_same(file: &OpenedFile, by: ProcessKey) -> Option<(File, Metadata)> {
    places(file, by)?.into_iter().find_map(|(path, process)| {
        let opened = open(&path)?;
        let meta = opened.metadata().ok()?;
        let dev = mounts::dev_of(&opened, meta.dev(), &process);
        (meta.is_file() && meta.ino() == file.ino && dev == file.dev).then_some((opened, meta))
    })
}

/// Opens a path only where a regular file lies; what else there is may do things when opened.
fn open(path: &Path) -> Option<File> {
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    // That the agent looked at it is nobody's use of it: `O_NOATIME`, which root may.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let open = |flags: OFlag| OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok();
    open(flags | OFlag::O_NOATIME).or_else(|| open(flags))
}

/// What is in the file; wiped when dropped.
fn read(file: &File, meta: &Metadata) -> Option<Zeroizing<Vec<u8>>> {
    if meta.size() > READ_MAX {
        return None;
    }
    // All room at once: a buffer that grows leaves its former selves behind.
    let room = usize::try_from(READ_MAX).ok()? + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(READ_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() < room).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;
    use crate::event::{Matched, Text};

    fn opened(path: &Path, rule: u32) -> OpenedFile {
        let meta = std::fs::metadata(path).unwrap();
        let file = File::open(path).unwrap();
        OpenedFile {
            path: Text { bytes: path.as_os_str().as_bytes().to_vec(), truncated: false },
            dev: mounts::dev_of(&file, meta.dev(), "self"),
            ino: meta.ino(),
            generation: 0,
            rule,
            matched: Matched::Inode,
            flags: 0,
            mode: 0o100_600,
            owner: 0,
            links: 1,
            backing: false,
        }
    }

    fn describer(path: &Path) -> Describer {
        let paths = vec![path.to_str().unwrap().to_owned()];
        let catalogue = Credentials { paths, ..Credentials::default() };
        let key = FingerprintKey::of_host(&tempfile::tempdir().unwrap().path().join("key")).unwrap();
        Describer::new(Arc::new(Catalogue::new(&catalogue).unwrap()), key)
    }

    const ME: ProcessKey = ProcessKey { tgid: u32::MAX, start_ns: 0 };
    const AWS: &str = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = CANARY\n";

    #[test]
    fn a_file_is_described_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(&path);
        let first = describer.describe(&opened(&path, 1), ME).unwrap();
        assert_eq!(first.id, "declared:AKIAIOSFODNN7EXAMPLE");
        assert_eq!(first.identifiers[1], ("account_id".to_owned(), "581039954779".to_owned()));
        let again = describer.describe(&opened(&path, 1), ME).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        std::fs::write(&path, AWS.replace("AKIA", "ASIA") + "\n").unwrap();
        let changed = describer.describe(&opened(&path, 1), ME).unwrap();
        assert_eq!(changed.id, "declared:ASIAIOSFODNN7EXAMPLE");
    }

    #[test]
    fn a_file_that_was_replaced_keeps_its_name_and_tells_no_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        let (lock, kept) = (path.with_extension("lock"), path.with_extension("kept"));
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(&path);
        let file = opened(&path, 1);
        let first = describer.describe(&file, ME).unwrap();
        // Else the other may get the inode that the first leaves.
        std::fs::hard_link(&path, &kept).unwrap();
        std::fs::write(&lock, AWS.replace("AKIA", "ASIA")).unwrap();
        std::fs::rename(&lock, &path).unwrap();
        let gone = describer.describe(&file, ME).unwrap();
        assert_eq!((&gone.id, &gone.identifiers), (&first.id, &first.identifiers));
        assert!(first.version.is_some() && gone.version.is_none() && gone.fingerprints.is_empty());
        assert_eq!(describer.describe(&opened(&path, 1), ME).unwrap().id, "declared:ASIAIOSFODNN7EXAMPLE");
        let later = OpenedFile { generation: 1, ..file };
        assert_eq!(describer.describe(&later, ME).unwrap().id, format!("declared:{}", path.display()));
    }

    #[test]
    fn of_what_is_only_written_the_kind_and_the_place_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(&path);
        let read = describer.describe(&opened(&path, 1), ME).unwrap();
        let written = OpenedFile { flags: OFlag::O_WRONLY.bits().cast_unsigned(), ..opened(&path, 1) };
        let placed = describer.describe(&written, ME).unwrap();
        assert_eq!(placed.id, format!("declared:{}", path.display()));
        assert_eq!((&placed.kind, &placed.path), (&read.kind, &read.path));
        assert!(placed.identifiers.is_empty() && placed.expects.is_empty() && placed.fingerprints.is_empty());
        assert_eq!((&placed.version, placed.written, placed.expires), (&None, None, None));
        // One that was renamed to be it is whole by then.
        let renamed = OpenedFile { flags: OpenedFile::RENAMED, ..opened(&path, 1) };
        assert_eq!(describer.describe(&renamed, ME).unwrap(), read);
        assert!(read.version.is_some());
        // Who may read it as well has it.
        let both = OpenedFile { flags: OFlag::O_RDWR.bits().cast_unsigned(), ..opened(&path, 1) };
        assert_eq!(describer.describe(&both, ME).unwrap(), read);
        // The next reading tells what lies there then.
        std::fs::write(&path, AWS.replace("AKIA", "ASIA")).unwrap();
        let next = describer.describe(&opened(&path, 1), ME).unwrap();
        assert!(next.id != read.id && next.version.is_some() && next.version != read.version);
        // Renamed to be it, and something else lies there: refused after all, or replaced since. Nothing of that is told.
        let refused = OpenedFile { ino: written.ino + 1, ..renamed };
        assert_eq!(describer.describe(&refused, ME).unwrap(), placed);
        // It was gone before it could be looked at.
        let gone = OpenedFile { ino: written.ino + 1, ..written };
        assert_eq!(describer.describe(&gone, ME).unwrap(), placed);
    }

    #[test]
    fn a_certificate_that_is_written_is_no_credential_and_a_key_is() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let path = dir.join("server.pem");
        let mut describer = of_keys(&dir);
        let written = || OpenedFile { flags: OFlag::O_WRONLY.bits().cast_unsigned(), ..opened(&path, 2) };
        std::fs::write(&path, CERTIFICATE).unwrap();
        assert_eq!(describer.describe(&written(), ME), None);
        for bytes in [KEY, b""] {
            std::fs::write(&path, bytes).unwrap();
            let found = describer.describe(&written(), ME).unwrap();
            assert_eq!(found.id, format!("our-key:{}", path.display()));
            assert!(found.version.is_none());
        }
    }

    #[test]
    fn the_openers_own_mounts_are_tried_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let me = ProcessKey { tgid: std::process::id(), start_ns: 0 };
        let found = describer(&path).describe(&opened(&path, 1), me).unwrap();
        assert_eq!(found.id, "declared:AKIAIOSFODNN7EXAMPLE");
    }

    #[test]
    fn another_file_of_that_name_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let (mut other_inode, mut other_device, mut cut) =
            (opened(&path, 1), opened(&path, 1), opened(&path, 1));
        other_inode.ino += 1;
        other_device.dev += 1;
        cut.path.truncated = true;
        for file in [other_inode, other_device, cut] {
            let found = describer(&path).describe(&file, ME).unwrap();
            assert_eq!(found.id, format!("declared:{}", path.display()));
            assert!(found.identifiers.is_empty());
        }
    }

    #[test]
    fn links_pipes_and_long_files_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (path, link, pipe) = (dir.join("key"), dir.join("link"), dir.join("pipe"));
        std::fs::write(&path, AWS).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(open(&path).is_some());
        assert!(open(&link).is_none());
        assert!(open(&pipe).is_none());
        std::fs::write(&path, AWS.to_owned() + &" ".repeat(70_000)).unwrap();
        let found = describer(&path).describe(&opened(&path, 1), ME).unwrap();
        assert!(found.identifiers.is_empty());
    }

    #[test]
    fn what_is_no_credential_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(Path::new("/some/where/else"));
        assert!(describer.describe(&opened(&path, 0), ME).is_none());
    }

    /// With a kind of keys in that directory, and in no other.
    fn of_keys(dir: &Path) -> Describer {
        let file = dir.join("catalogue.toml");
        let text = format!(
            "version = 1\n[[credential]]\nid = \"our-key\"\nparser = \"pem\"\nissuer = \"ca\"\nlifetime = \"rotated\"\n\
             human = \"finding\"\nglobs = [\"{0}/*.pem\", \"{0}/volume/**\"]\n",
            dir.display()
        );
        std::fs::write(&file, text).unwrap();
        let catalogue = Credentials { catalogue: Some(file), ..Credentials::default() };
        let key = FingerprintKey::of_host(&dir.join("key")).unwrap();
        Describer::new(Arc::new(Catalogue::new(&catalogue).unwrap()), key)
    }

    const KEY: &[u8] = include_bytes!("../../tests/keys/ec-pkcs8.pem");
    const OTHER_KEY: &[u8] = include_bytes!("../../tests/keys/rsa-pkcs8.pem");
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/keys/ec-cert.pem");

    #[test]
    fn certificates_alone_are_no_credential_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let path = dir.join("server.pem");
        let mut describer = of_keys(&dir);
        std::fs::write(&path, CERTIFICATE).unwrap();
        for _ in 0..2 {
            assert_eq!(describer.describe(&opened(&path, 2), ME), None);
        }
        std::fs::write(&path, [CERTIFICATE, KEY].concat()).unwrap();
        let found = describer.describe(&opened(&path, 2), ME).unwrap();
        assert_eq!(found.id, "our-key:spiffe://example/ns/prod/sa/backup");
        assert_eq!((found.issuer.as_str(), found.human), ("ca", crate::credential::Human::Finding));
        assert_eq!(found.expires, Some(2_110_988_525));
        // What the config names is meant, whatever is in it.
        std::fs::write(&path, CERTIFICATE).unwrap();
        assert!(self::describer(&path).describe(&opened(&path, 1), ME).is_some());
    }

    #[test]
    fn another_file_in_its_place_is_another_version_of_the_same_credential() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let path = dir.join("server.pem");
        let mut describer = of_keys(&dir);
        std::fs::write(&path, KEY).unwrap();
        let first = describer.describe(&opened(&path, 2), ME).unwrap();
        // A rename over it.
        std::fs::write(dir.join("new"), OTHER_KEY).unwrap();
        std::fs::rename(dir.join("new"), &path).unwrap();
        let second = describer.describe(&opened(&path, 2), ME).unwrap();
        assert_eq!(first.id, format!("our-key:{}", path.display()));
        assert_eq!(second.id, first.id);
        assert!(first.version.is_some() && second.version != first.version);
        // The first comes back.
        std::fs::write(dir.join("new"), KEY).unwrap();
        std::fs::rename(dir.join("new"), &path).unwrap();
        assert_eq!(describer.describe(&opened(&path, 2), ME).unwrap().version, first.version);
    }

    /// As the kubelet does it: a new directory with a time in its name, and a link that is renamed over the old one.
    #[test]
    fn a_swapped_volume_is_another_version_of_the_same_credential() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let volume = dir.join("volume");
        let mut describer = of_keys(&dir);
        let swap = |name: &str, key: &[u8]| {
            std::fs::create_dir_all(volume.join(name)).unwrap();
            std::fs::write(volume.join(name).join("tls.key"), key).unwrap();
            std::os::unix::fs::symlink(name, volume.join("..data_tmp")).unwrap();
            std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
            // The kernel tells the path without links.
            volume.join("..data/tls.key").canonicalize().unwrap()
        };
        let (old, new) = (swap("..2026_01_02_03", KEY), swap("..2026_01_02_04", OTHER_KEY));
        assert_ne!(old, new);
        let [first, second] = [old, new].map(|path| describer.describe(&opened(&path, 2), ME).unwrap());
        assert_eq!(first.id, format!("our-key:{}", volume.join("tls.key").display()));
        assert_eq!(second.id, first.id);
        assert!(first.version.is_some() && second.version != first.version);
        assert_ne!(first.path, second.path, "where it lay is told as it was");
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut describer = describer(Path::new("/a"));
        let one = Arc::new(Credential::default());
        for ino in 0..5000 {
            let known = Known { dev: 0, ino, generation: 0, rule: 0, path: Vec::new() };
            describer.remember(known, Seen { mtime_ns: 0, size: 0, credential: Some(Arc::clone(&one)) });
        }
        assert_eq!((describer.cache.len(), describer.order.len()), (CACHE_MAX, CACHE_MAX));
    }
}
