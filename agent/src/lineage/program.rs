//! What an exec says of a program beside its path.

use crate::event::Text;

/// Where the kernel may have put the name of a script among the arguments: after the interpreter and its one optional
/// argument, for as many interpreters as it nests.
const SCRIPT_ARGUMENTS: std::ops::RangeInclusive<usize> = 1..=8;

/// The script, where the program is its interpreter.
///
/// That the caller named another file than the one that runs is not enough: `/bin/sh` is named and `/usr/bin/dash` runs.
/// Of a script (and of `binfmt_misc`), the kernel itself rewrites the arguments to interpreter path, its optional
/// argument, then the name the caller gave. So it is a script where the name differs from the program in its last
/// component, stands among the first arguments, and the zeroth is a path, as in the `#!` line, and not that name.
pub(super) fn script(exe: &Text, filename: &Text, argv: &[Vec<u8>]) -> Option<Text> {
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
    rewritten.then(|| filename.clone())
}

/// Last component of a path.
pub(crate) fn basename(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::script;
    use crate::event::Text;

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
            let found = script(&text(exe), &text(filename), &argv);
            assert_eq!(found.is_some(), expected, "{exe} {filename}");
        }
    }
}
