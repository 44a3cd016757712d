//! Path patterns: braces, components, and whether one can be watched at all. Shared by the config and the catalogue.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use globset::{Glob, GlobBuilder, GlobMatcher};

/// Most patterns one may stand for.
const EXPANDED_MAX: usize = 256;

/// One component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A name.
    Literal(String),
    /// A name with `*`, `?` or `[]` in it.
    Wild(String),
    /// `**`: any number of directories; at the end, everything below.
    Deep,
}

/// Splits a pattern without braces into its components.
pub(crate) fn parts(pattern: &str) -> Vec<Part> {
    let names = pattern.split('/').filter(|name| !name.is_empty());
    names
        .map(|name| match name {
            "**" => Part::Deep,
            name if name.contains(['*', '?', '[']) => Part::Wild(name.to_owned()),
            name => Part::Literal(name.to_owned()),
        })
        .collect()
}

/// Expands `{a,b}`, also nested.
pub(crate) fn expand(pattern: &str) -> Result<Vec<String>, &'static str> {
    let mut todo = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(next) = todo.pop() {
        if todo.len() + done.len() > EXPANDED_MAX {
            return Err("stands for too many paths: at most 256");
        }
        let Some((before, rest)) = next.split_once('{') else {
            if next.contains('}') {
                return Err("has a `}` without a `{`");
            }
            done.push(next);
            continue;
        };
        let (choices, after) = alternatives(rest).ok_or("has a `{` without a `}`")?;
        for choice in choices.iter().rev() {
            todo.push(format!("{before}{choice}{after}"));
        }
    }
    Ok(done)
}

/// What stands between the brace that was just opened and its end, and what follows.
fn alternatives(text: &str) -> Option<(Vec<&str>, &str)> {
    let mut depth = 0_u32;
    let mut choices = Vec::new();
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                choices.push(text.get(start..at)?);
                return Some((choices, text.get(at + 1..)?));
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                choices.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

/// The one way patterns are read: `*` does not cross a `/`.
pub(crate) fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(false).build()
}

/// What names of one directory are held against.
pub(crate) enum Names<'a> {
    /// Only `*` and `?`: to make a regular expression of it costs more than to list a directory.
    Plain(&'a [u8]),
    /// Anything else.
    Glob(GlobMatcher),
}

impl<'a> Names<'a> {
    /// Of one component of a pattern.
    pub(crate) fn of(wild: &'a str) -> Result<Self, globset::Error> {
        if wild.contains(['[', ']', '{', '}', '\\', ',']) {
            return glob(wild).map(|glob| Names::Glob(glob.compile_matcher()));
        }
        Ok(Names::Plain(wild.as_bytes()))
    }

    /// Whether a name is meant.
    pub(crate) fn is_match(&self, name: &OsStr) -> bool {
        match self {
            Names::Plain(wild) => is_like(wild, name.as_bytes()),
            Names::Glob(glob) => glob.is_match(Path::new(name)),
        }
    }
}

/// Whether a name is one component of a pattern that has nothing but `*` and `?` in it. The last `*` takes as little as it can,
/// and one byte more each time that what follows does not fit.
pub(crate) fn is_like(wild: &[u8], name: &[u8]) -> bool {
    let (mut at, mut done, mut star) = (0, 0, None);
    while let Some(byte) = name.get(done) {
        match wild.get(at) {
            Some(b'*') => {
                star = Some((at, done));
                at += 1;
            }
            Some(b'?') => (at, done) = (at + 1, done + 1),
            Some(literal) if literal == byte => (at, done) = (at + 1, done + 1),
            Some(_) | None => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, done) = (place + 1, taken + 1);
            }
        }
    }
    wild.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Why an absolute pattern cannot be watched.
pub(crate) fn fault(pattern: &str) -> Option<&'static str> {
    if pattern.contains('\\') {
        return Some("has a backslash in it, which patterns do not know");
    }
    let expanded = match expand(pattern) {
        Ok(expanded) => expanded,
        Err(fault) => return Some(fault),
    };
    for pattern in &expanded {
        let parts = parts(pattern);
        if !matches!(parts.first(), Some(Part::Literal(_))) {
            return Some("is too wide: its first directory must be a plain name");
        }
        let wild = parts.iter().all(|part| match part {
            Part::Wild(name) => glob(name).is_ok(),
            Part::Literal(_) | Part::Deep => true,
        });
        if !wild || glob(pattern).is_err() {
            return Some("is not a pattern: look at its brackets");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Of a name, a pattern says the same whichever way it is read.
        #[test]
        fn names_are_matched_as_paths_are(wild in "[ab.*?]{1,7}", name in "[ab.*\n\u{e9}]{1,9}") {
            let path = glob(&wild).unwrap().compile_matcher();
            prop_assert!(matches!(Names::of(&wild), Ok(Names::Plain(_))));
            let said = Names::of(&wild).unwrap().is_match(OsStr::new(&name));
            prop_assert_eq!(said, path.is_match(Path::new(&name)));
        }
    }

    #[test]
    fn a_class_is_matched_as_in_paths() {
        let names = Names::of("id_[a-c]*").unwrap();
        assert!(matches!(names, Names::Glob(_)));
        assert!(names.is_match(OsStr::new("id_box")) && !names.is_match(OsStr::new("id_x")));
        assert!(Names::of("id_[").is_err());
    }

    #[test]
    fn braces() {
        assert_eq!(expand("/a").unwrap(), ["/a"]);
        assert_eq!(expand("/{a,b}/c{,d}").unwrap(), ["/a/c", "/a/cd", "/b/c", "/b/cd"]);
        assert_eq!(expand("/{a{x,y},b}").unwrap(), ["/ax", "/ay", "/b"]);
        assert!(expand("/{a").is_err());
        assert!(expand("/a}").is_err());
        assert!(expand(&"{a,b}".repeat(9)).is_err());
        assert_eq!(expand(&"{a}".repeat(2000)).unwrap().len(), 1);
    }

    #[test]
    fn faults() {
        for good in ["/a", "/a/*", "/srv/app/**", "/srv/*/token", "/a/[0-9]x", "/x{a,b}"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["/**", "/*/a", "/{a,*}/b", "/a/[", "/a\\b", "/{a"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[/a*?{},\\[\\]\\\\é]{0,40}") {
            let _ = fault(&text);
        }
    }
}
