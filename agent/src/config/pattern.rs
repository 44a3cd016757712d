//! Path patterns: braces, components, and whether one can be watched at all. Shared by the config and the catalogue.

use globset::{Glob, GlobBuilder};

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
    use super::*;

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
