//! Many patterns against one path: which kinds have one that fits. They are held as they are written, some hundreds of short
//! texts, and found by a plain name that the path must have at its place; as automata they were a third of what an agent at
//! rest has.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::BuildHasher as _;
use std::os::unix::ffi::OsStrExt as _;

use foldhash::fast::FixedState;

use super::kind::Kind;
use crate::config::pattern::{self, Names};

/// Any number of directories; at the end, everything below.
const DEEP: &str = "**";
/// What is no plain name has one of these in it.
const WILD: [char; 3] = ['*', '?', '['];

/// Patterns of kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    /// Those that end with a plain name.
    leaf: Named,
    /// Those whose last directory is a plain name.
    dir: Named,
    /// Those whose first directory is.
    root: Named,
    /// Those that begin anywhere with one that is.
    any: Named,
    /// The others.
    wild: Vec<Owned>,
    /// Names that are more than `*` and `?`, compiled.
    classes: HashMap<String, globset::GlobMatcher>,
}

/// Patterns by one of their names: sorted by its hash. Of two names with one hash, the rest of the pattern tells.
#[derive(Clone, Debug, Default)]
struct Named(Vec<(u64, Owned)>);

impl Named {
    fn of(&self, name: &[u8]) -> impl Iterator<Item = &Owned> {
        let hash = hash(name);
        let first = self.0.partition_point(|(known, _)| *known < hash);
        let same = self.0.iter().skip(first).take_while(move |(known, _)| *known == hash);
        same.map(|(_, owned)| owned)
    }

    fn push(&mut self, name: &str, owned: Owned) {
        self.0.push((hash(name.as_bytes()), owned));
    }
}

fn hash(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}

#[derive(Clone, Debug)]
struct Owned {
    glob: Box<str>,
    /// Bytes of it that are plain at its beginning, and at its end.
    plain: (usize, usize),
    kind: usize,
}

impl Owned {
    fn new(glob: &str, kind: usize) -> Self {
        let before = glob.find(WILD).unwrap_or(glob.len());
        let end = glob.rfind(WILD).map_or(glob, |last| glob.get(last + 1..).unwrap_or_default());
        // A `**/` may stand for nothing, and the bracket that ends a class is not plain.
        let end = if glob.contains('[') { "" } else { end.strip_prefix('/').unwrap_or(end) };
        Owned { glob: glob.into(), plain: (before, end.len()), kind }
    }

    /// Whether a path begins and ends as it does: most do not.
    fn may_fit(&self, path: &[u8]) -> bool {
        let glob = self.glob.as_bytes();
        let (before, after) = self.plain;
        let begins = glob.get(..before).is_some_and(|plain| path.starts_with(plain));
        begins && glob.get(glob.len() - after..).is_some_and(|plain| path.ends_with(plain))
    }
}

impl Globs {
    /// Of all kinds, what `of` says are their patterns.
    ///
    /// # Errors
    /// Where one's brackets are none.
    pub(super) fn new(kinds: &[Kind], of: impl Fn(&Kind) -> &Vec<String>) -> Result<Self, globset::Error> {
        let mut globs = Globs::default();
        for (at, kind) in kinds.iter().enumerate() {
            for glob in of(kind) {
                globs.add(glob, at)?;
            }
        }
        for Named(sorted) in [&mut globs.leaf, &mut globs.dir, &mut globs.root, &mut globs.any] {
            sorted.sort_by_key(|(hash, _)| *hash);
        }
        Ok(globs)
    }

    fn add(&mut self, glob: &str, kind: usize) -> Result<(), globset::Error> {
        for name in glob.split('/') {
            if let Names::Glob(matcher) = Names::of(name)? {
                self.classes.insert(name.to_owned(), matcher);
            }
        }
        let owned = Owned::new(glob, kind);
        let is_plain = |name: &&str| !name.contains(WILD);
        let (mut last, mut first) = (glob.rsplit('/'), glob.split('/'));
        let leaf = last.next().unwrap_or_default();
        // Below a `**` there is any number of names.
        let dir = last.next().filter(|_| leaf != DEEP);
        let (begin, second) = (first.next().unwrap_or_default(), first.next().filter(is_plain));
        match (dir.filter(is_plain), second) {
            _ if is_plain(&leaf) => self.leaf.push(leaf, owned),
            (Some(dir), _) => self.dir.push(dir, owned),
            (None, Some(root)) if begin.is_empty() => self.root.push(root, owned),
            (None, Some(name)) if begin == DEEP => self.any.push(name, owned),
            (None, _) => self.wild.push(owned),
        }
        Ok(())
    }

    /// The kinds that have a pattern which fits, a kind for each of them.
    pub(super) fn kinds<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let names = || path.split(|byte| *byte == b'/');
        let mut last = names().rev();
        let (leaf, dir) = (last.next().unwrap_or_default(), last.next().unwrap_or_default());
        let root = names().nth(1).unwrap_or_default();
        let named = self.leaf.of(leaf).chain(self.dir.of(dir)).chain(self.root.of(root));
        let named = named.chain(names().flat_map(|name| self.any.of(name)));
        let fit = named.chain(&self.wild).filter(|owned| owned.may_fit(path) && self.fits(&owned.glob, path));
        fit.map(|owned| owned.kind)
    }

    /// From the last name to the first, since the last differ most. A `**` takes as few names as it can, and one more each time
    /// that what stands before it does not fit. An absolute pattern begins with an empty name, and so does an absolute path.
    fn fits(&self, glob: &str, path: &[u8]) -> bool {
        let (mut parts, mut names) = (glob.rsplit('/'), path.rsplit(|byte| *byte == b'/'));
        let mut deep = None;
        if glob.ends_with("/**") {
            // Something below, and not the directory itself.
            names.next();
        }
        loop {
            match parts.next() {
                Some(DEEP) if parts.clone().next().is_none() => return true,
                Some(DEEP) => {
                    deep = Some((parts.clone(), names.clone()));
                    continue;
                }
                Some(part) if names.next().is_some_and(|name| self.is_name(part, name)) => continue,
                None if names.next().is_none() => return true,
                Some(_) | None => {}
            }
            let Some((place, taken)) = &mut deep else { return false };
            if taken.next().is_none() {
                return false;
            }
            (parts, names) = (place.clone(), taken.clone());
        }
    }

    fn is_name(&self, part: &str, name: &[u8]) -> bool {
        match self.classes.get(part) {
            Some(class) => class.is_match(OsStr::from_bytes(name)),
            None => pattern::is_like(part.as_bytes(), name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn globs(globs: &[String]) -> Globs {
        let kinds: Vec<Kind> =
            globs.iter().map(|glob| Kind { globs: vec![glob.clone()], ..Kind::default() }).collect();
        Globs::new(&kinds, |kind| &kind.globs).unwrap()
    }

    fn glob() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            4 => "[ab]{1,2}",
            3 => Just("**".to_owned()),
            2 => "[ab*?]{1,3}",
            1 => Just("[ab]b".to_owned()),
        ];
        let start = prop_oneof![Just("/"), Just("**/")];
        (start, prop::collection::vec(name, 1..5))
            .prop_map(|(start, names)| format!("{start}{}", names.join("/")))
    }

    fn path() -> impl Strategy<Value = String> {
        let start = prop_oneof![9 => Just("/"), 1 => Just(""), 1 => Just("…b/")];
        (start, prop::collection::vec("[ab\n]{1,3}", 1..6))
            .prop_map(|(start, names)| format!("{start}{}", names.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// A path is of the kinds that it is of by the library's reading of all patterns.
        #[test]
        fn as_the_library_reads_them(patterns in prop::collection::vec(glob(), 1..6), path in path()) {
            let mut builder = globset::GlobSetBuilder::new();
            for glob in &patterns {
                builder.add(pattern::glob(glob).unwrap());
            }
            let expected: BTreeSet<usize> = builder.build().unwrap().matches(&path).into_iter().collect();
            let found: BTreeSet<usize> = globs(&patterns).kinds(path.as_bytes()).collect();
            prop_assert_eq!(found, expected, "{:?} {:?}", patterns, path);
        }
    }

    #[test]
    fn names_need_not_be_text() {
        let globs = globs(&["**/.ssh/id_*".to_owned(), "/a/**".to_owned()]);
        assert_eq!(globs.kinds(b"/home/\xff/.ssh/id_\xfe").collect::<Vec<_>>(), [0]);
        assert_eq!(globs.kinds(b"/a/\xff").collect::<Vec<_>>(), [1]);
        assert_eq!(globs.kinds(b"").count() + globs.kinds(b"/a").count(), 0);
    }

    #[test]
    fn a_long_path_takes_no_long_time() {
        let patterns: Vec<String> = (0..40).map(|n| format!("**/{}b{n}", "a*/**/".repeat(20))).collect();
        let path = "/aaa".repeat(1_000) + "/b";
        assert_eq!(globs(&patterns).kinds(path.as_bytes()).count(), 0);
    }
}
