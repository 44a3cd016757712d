//! What parsers and fingerprints leave behind in the heap: no block that is given back has a secret in it.
#![expect(unsafe_code, reason = "an allocator that looks into what it is given back")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spoor::config::Credentials;
use spoor::credential::{Catalogue, Describe as _, Describer, FingerprintKey, Parser, told};
use spoor::event::{Matched, OpenedFile, ProcessKey, Text};

/// What stands for the secret in the corpus: as it is, in base64, and in base64 behind `me:`.
const SECRETS: [&[u8]; 3] = [b"s3cretValue9", b"czNjcmV0VmFsdWU5", b"bWU6czNjcmV0VmFsdWU5"];

/// Blocks that were given back with a secret in them.
static LEFT: AtomicUsize = AtomicUsize::new(0);

struct Looking;

/// Only then blocks are looked at.
static LOOKS: AtomicBool = AtomicBool::new(false);

fn has_secret(block: &[u8]) -> bool {
    SECRETS.iter().any(|secret| {
        let (block, length) = (block.as_ptr().cast(), block.len());
        // SAFETY: both are slices, given with their lengths.
        !unsafe { nix::libc::memmem(block, length, secret.as_ptr().cast(), secret.len()) }.is_null()
    })
}

// SAFETY: all is the system's work; a block is looked at before it goes back.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as we were asked. Zeroed, so that all of it may be looked at.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is ours until it goes back, and was zeroed when it was made.
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        if LOOKS.load(Ordering::Relaxed) && has_secret(bytes) {
            LEFT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as we were asked.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Looking = Looking;

fn left_by(work: impl FnOnce()) -> usize {
    let before = LEFT.load(Ordering::Relaxed);
    LOOKS.store(true, Ordering::Relaxed);
    work();
    LOOKS.store(false, Ordering::Relaxed);
    LEFT.load(Ordering::Relaxed) - before
}

/// One test, because others would allocate meanwhile.
#[test]
fn nothing_is_left_behind() {
    let seen = left_by(|| drop(b"a s3cretValue9".to_vec()));
    assert_eq!(seen, 1, "a secret is noticed");
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/credential");
    let (mut files, mut leaks) = (0, Vec::new());
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        // Never given back: the test's own copy.
        let bytes: &'static [u8] = fs::read(&path).unwrap().leak();
        if !has_secret(bytes) {
            continue;
        }
        files += 1;
        for (name, parser) in Parser::ALL {
            let left = left_by(|| drop(told(parser, bytes)));
            if left > 0 {
                leaks.push(format!("{name} leaves {left} of {}", path.display()));
            }
        }
        let left = describe(&path, bytes);
        if left > 0 {
            leaks.push(format!("describing leaves {left} of {}", path.display()));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(files > 25);
}

/// From the opening to the fingerprints.
fn describe(path: &Path, bytes: &'static [u8]) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("file");
    fs::write(&file, bytes).unwrap();
    let paths = vec![file.to_str().unwrap().to_owned()];
    let catalogue = Catalogue::new(&Credentials { paths, ..Credentials::default() }).unwrap();
    let key = FingerprintKey::of_host(&dir.path().join("key")).unwrap();
    let mut describer = Describer::new(catalogue.into(), key);
    let meta = fs::metadata(&file).unwrap();
    let opened = OpenedFile {
        path: Text { bytes: file.as_os_str().as_encoded_bytes().to_vec(), truncated: false },
        dev: u32::try_from(nix::sys::stat::major(meta.dev()) << 20 | nix::sys::stat::minor(meta.dev()))
            .unwrap(),
        ino: meta.ino(),
        generation: 0,
        rule: 1,
        matched: Matched::Inode,
        flags: 0,
        mode: 0o100_600,
        owner: 0,
        links: 1,
        backing: false,
    };
    let mut prints = 0;
    let left = left_by(|| {
        let found = describer.describe(&opened, ProcessKey { tgid: u32::MAX, start_ns: 0 });
        prints = found.map_or(0, |found| found.fingerprints.len());
    });
    assert!(prints > 0, "{} was not read", path.display());
    left
}
