//! Paths with and without wildcards, held against bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::GlobMatcher;

use crate::config::{path_fault, pattern};
use crate::purpose::Fault;

/// A path. With a wildcard: `*`, `?` and `[]` do not cross a `/`, `**` does.
#[derive(Clone, Debug)]
pub(in crate::purpose) enum PathPattern {
    Exact(String),
    Glob(String, Box<GlobMatcher>),
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(fault) = path_fault(text) {
            return Err(fault.into());
        }
        if text.contains(|letter: char| letter.is_control() || letter == '\\') {
            return Err("has a backslash or a control character in it".into());
        }
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(PathPattern::Exact(text.to_owned()));
        }
        let first = text.trim_start_matches('/').split('/').next().unwrap_or_default();
        if first.contains(['*', '?', '{']) {
            return Err("is too wide: its first directory must be a plain name".into());
        }
        let glob = pattern::glob(text).map_err(|_| "is not a pattern: look at its brackets")?;
        Ok(PathPattern::Glob(text.to_owned(), Box::new(glob.compile_matcher())))
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match self {
            PathPattern::Exact(exact) => exact.as_bytes() == path,
            // The bytes of a path are those of a name of the system: nothing is asked of it.
            PathPattern::Glob(_, glob) => path.starts_with(b"/") && glob.is_match(OsStr::from_bytes(path)),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            PathPattern::Exact(text) | PathPattern::Glob(text, _) => text,
        }
    }
}

/// A path as the pattern that matches it and nothing else; `None` where there is no way to write that.
pub(in crate::purpose) fn literal(path: &str) -> Option<String> {
    let mut text = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '*' | '?' | '[' | ']' | '{' | '}' => {
                text.push('[');
                text.push(letter);
                text.push(']');
            }
            letter => text.push(letter),
        }
    }
    let parsed = PathPattern::parse(&text).ok()?;
    parsed.matches(path.as_bytes()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_in_their_directory() {
        let matches =
            |pattern: &str, path: &str| PathPattern::parse(pattern).unwrap().matches(path.as_bytes());
        assert!(
            matches("/usr/bin/restic", "/usr/bin/restic") && !matches("/usr/bin/restic", "/usr/bin/restic2")
        );
        assert!(matches("/opt/app/*", "/opt/app/x") && !matches("/opt/app/*", "/opt/app/x/y"));
        assert!(matches("/opt/app/**", "/opt/app/x/y") && !matches("/opt/app/**", "/opt/application"));
        assert!(matches("/srv/{a,b}/t", "/srv/b/t") && !matches("/srv/{a,b}/t", "/srv/c/t"));
        for bad in ["", "x", "/*", "/**", "/a/../b", "/a//b", "/a/", "/a/[", "/a\\b", "/a/\u{1b}", "~/x"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_literal_matches_its_path_only() {
        for path in ["/a/b", "/a/[x]", "/a/*.{y}", "/a/w?t"] {
            let parsed = PathPattern::parse(&literal(path).unwrap()).unwrap();
            assert!(parsed.matches(path.as_bytes()), "{path}");
            assert!(!parsed.matches(b"/a/zzz"), "{path}");
        }
        for path in ["relative", "/a\\x1b", "/*/x"] {
            assert_eq!(literal(path), None, "{path}");
        }
    }
}
