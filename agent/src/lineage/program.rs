//! Programs, as they were started.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::event::Text;

/// A program with its arguments, as an exec or `/proc` told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Path, root first. Empty until known.
    pub exe: Text,
    /// Of a script, the script as it was named.
    pub script: Option<Text>,
    /// Arguments, not redacted: they stay in memory and are redacted on their way into a record.
    pub argv: Vec<Vec<u8>>,
    /// Arguments are cut.
    pub argv_truncated: bool,
    /// The program's file has no name: it was deleted, or never had one.
    pub nameless: bool,
}

/// What an exec says of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Executed<'a> {
    pub(super) exe: &'a Text,
    /// What the caller named.
    pub(super) filename: &'a Text,
    pub(super) argv: &'a [Vec<u8>],
    pub(super) argv_truncated: bool,
    pub(super) nameless: bool,
}

impl Executed<'_> {
    fn is(&self, program: &Program, script: Option<&Text>) -> bool {
        program.exe == *self.exe
            && program.argv == self.argv
            && program.script.as_ref() == script
            && program.argv_truncated == self.argv_truncated
            && program.nameless == self.nameless
    }
}

/// Programs that were started lately. A host starts the same few again and again, and whoever runs the same shares it. A place
/// for each, by its hash: the last one there stays.
#[derive(Debug)]
pub(super) struct Programs {
    lately: Box<[Arc<Program>]>,
    hasher: RandomState,
    /// What is not known.
    pub(super) unknown: Arc<Program>,
}

impl Default for Programs {
    fn default() -> Self {
        let unknown = Arc::<Program>::default();
        let lately = (0..Self::PLACES).map(|_| Arc::clone(&unknown)).collect();
        Self { lately, hasher: RandomState::default(), unknown }
    }
}

impl Programs {
    /// Arguments have 4 KiB at most, so that these are a MiB and some at most.
    const PLACES: usize = 256;

    pub(super) fn of(&mut self, executed: &Executed<'_>) -> Arc<Program> {
        let script = script(executed.exe, executed.filename, executed.argv);
        let hash = self.hasher.hash_one((&executed.exe.bytes, executed.argv));
        let place = usize::try_from(hash).unwrap_or(0) % Self::PLACES;
        let Some(place) = self.lately.get_mut(place) else {
            return Arc::clone(&self.unknown);
        };
        if !executed.is(place, script) {
            *place = Arc::new(Program {
                exe: executed.exe.clone(),
                script: script.cloned(),
                argv: executed.argv.to_vec(),
                argv_truncated: executed.argv_truncated,
                nameless: executed.nameless,
            });
        }
        Arc::clone(place)
    }
}

/// Where the kernel may have put the name of a script among the arguments: after the interpreter and its one optional
/// argument, for as many interpreters as it nests.
const SCRIPT_ARGUMENTS: std::ops::RangeInclusive<usize> = 1..=8;

/// The script, where the program is its interpreter.
///
/// That the caller named another file than the one that runs is not enough: `/bin/sh` is named and `/usr/bin/dash` runs.
/// Of a script (and of `binfmt_misc`), the kernel itself rewrites the arguments to interpreter path, its optional
/// argument, then the name the caller gave. So it is a script where the name differs from the program in its last
/// component, stands among the first arguments, and the zeroth is a path, as in the `#!` line, and not that name.
fn script<'a>(exe: &Text, filename: &'a Text, argv: &[Vec<u8>]) -> Option<&'a Text> {
    let name = filename.bytes.as_slice();
    if name.is_empty() || filename.truncated || basename(name) == basename(&exe.bytes) {
        return None;
    }
    let interpreter = argv.first()?;
    let rewritten = interpreter.contains(&b'/')
        && interpreter.as_slice() != name
        && argv
            .iter()
            .take(SCRIPT_ARGUMENTS.end() + 1)
            .skip(*SCRIPT_ARGUMENTS.start())
            .any(|argument| argument.as_slice() == name);
    rewritten.then_some(filename)
}

/// Last component of a path.
pub(crate) fn basename(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Executed, Programs, script};
    use crate::event::Text;

    #[test]
    fn who_runs_the_same_shares_it() {
        let text = |path: &str| Text { bytes: path.as_bytes().to_vec(), truncated: false };
        let (exe, filename, other) = (text("/usr/bin/dash"), text("/bin/sh"), text("/opt/job.sh"));
        let argv = vec![b"/bin/sh".to_vec(), b"/opt/job.sh".to_vec()];
        let executed =
            Executed { exe: &exe, filename: &filename, argv: &argv, argv_truncated: false, nameless: false };
        let mut programs = Programs::default();
        let first = programs.of(&executed);
        assert_eq!((&first.exe, &first.argv, &first.script), (&exe, &argv, &None));
        assert!(Arc::ptr_eq(&first, &programs.of(&executed)));
        // Any difference makes another program, and what was told of the first stays.
        let others = [
            Executed { filename: &other, ..executed },
            Executed { exe: &other, ..executed },
            Executed { argv: &argv[..1], ..executed },
            Executed { argv_truncated: true, ..executed },
            Executed { nameless: true, ..executed },
        ];
        for other in &others {
            assert_ne!(programs.of(other), first, "{other:?}");
        }
        assert_eq!(programs.of(&others[0]).script, Some(other));
        assert_eq!(first.argv.len(), 2);
    }

    #[test]
    fn scripts_and_what_only_looks_like_one() {
        let cases: [(&str, &str, &[&str], bool); 8] = [
            ("/usr/bin/python3.11", "/opt/job.py", &["/usr/bin/python3", "/opt/job.py", "-v"], true),
            ("/usr/bin/dash", "./job.sh", &["/bin/sh", "-e", "./job.sh"], true),
            ("/usr/bin/env", "/opt/x", &["/usr/bin/env", "python3", "/opt/x"], true),
            ("/usr/bin/dash", "/bin/sh", &["/bin/sh", "/opt/job.sh"], false),
            ("/usr/bin/dash", "/bin/sh", &["sh", "/bin/sh"], false),
            ("/usr/bin/busybox", "/bin/ls", &["ls", "-l"], false),
            ("/usr/bin/restic", "/usr/bin/restic", &["restic", "backup"], false),
            ("/usr/bin/dash", "/opt/job.sh", &[], false),
        ];
        for (exe, filename, argv, expected) in cases {
            let text = |path: &str| Text { bytes: path.as_bytes().to_vec(), truncated: false };
            let argv: Vec<Vec<u8>> = argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
            let found = script(&text(exe), &text(filename), &argv).is_some();
            assert_eq!(found, expected, "{exe} {filename}");
        }
    }
}
