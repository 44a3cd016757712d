//! Many patterns against one path: which kinds have one that fits. They are held as they are written, some hundreds of short
//! texts, and those that end with a plain name are found by it; as automata they were a third of what an agent at rest has.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::kind::Kind;
use crate::config::pattern::{self, Names};

/// Any number of directories; at the end, everything below.
const DEEP: &str = "**";

/// Patterns of kinds.
#[derive(Clone, Debug)]
pub(super) struct Globs {
    /// Those that end with a plain name, in the order of that name.
    plain: Vec<Owned>,
    /// The others.
    wild: Vec<Owned>,
    /// Names that are more than `*` and `?`, compiled.
    classes: HashMap<String, globset::GlobMatcher>,
}

#[derive(Clone, Debug)]
struct Owned {
    glob: Box<str>,
    kind: usize,
}

impl Owned {
    fn leaf(&self) -> &[u8] {
        self.glob.rsplit('/').next().unwrap_or_default().as_bytes()
    }
}

impl Globs {
    /// Of all kinds, what `of` says are their patterns.
    ///
    /// # Errors
    /// Where one's brackets are none.
    pub(super) fn new(kinds: &[Kind], of: impl Fn(&Kind) -> &Vec<String>) -> Result<Self, globset::Error> {
        let (mut plain, mut wild, mut classes) = (Vec::new(), Vec::new(), HashMap::new());
        for (kind, glob) in
            kinds.iter().enumerate().flat_map(|(at, kind)| of(kind).iter().map(move |glob| (at, glob)))
        {
            for name in glob.split('/') {
                if let Names::Glob(matcher) = Names::of(name)? {
                    classes.insert(name.to_owned(), matcher);
                }
            }
            let owned = Owned { glob: glob.as_str().into(), kind };
            let is_plain = owned.leaf().iter().all(|byte| !b"*?[".contains(byte));
            if is_plain { &mut plain } else { &mut wild }.push(owned);
        }
        plain.sort_by(|one: &Owned, other: &Owned| one.leaf().cmp(other.leaf()));
        Ok(Globs { plain, wild, classes })
    }

    /// The kinds that have a pattern which fits, a kind for each of them.
    pub(super) fn kinds<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let leaf = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let first = self.plain.partition_point(|owned| owned.leaf() < leaf);
        let same = self.plain.iter().skip(first).take_while(move |owned| owned.leaf() == leaf);
        same.chain(&self.wild).filter(|owned| self.fits(&owned.glob, path)).map(|owned| owned.kind)
    }

    /// The last `**` takes as few names as it can, and one more each time that what follows does not fit. An absolute pattern
    /// begins with an empty name, and so does an absolute path.
    fn fits(&self, glob: &str, path: &[u8]) -> bool {
        let (mut parts, mut names) = (glob.split('/'), path.split(|byte| *byte == b'/'));
        let mut deep = None;
        loop {
            let (part, after) = (parts.clone().next(), names.clone().next());
            match (part, after) {
                (Some(DEEP), _) => {
                    parts.next();
                    // At the end it is something below, and not the directory itself.
                    if parts.clone().next().is_none() {
                        return after.is_some();
                    }
                    deep = Some((parts.clone(), names.clone()));
                }
                (None, None) => return true,
                (Some(part), Some(name)) if self.is_name(part, name) => {
                    parts.next();
                    names.next();
                }
                (Some(_) | None, _) => {
                    let Some((place, taken)) = &mut deep else { return false };
                    if taken.next().is_none() {
                        return false;
                    }
                    (parts, names) = (place.clone(), taken.clone());
                }
            }
        }
    }

    fn is_name(&self, part: &str, name: &[u8]) -> bool {
        let class = || self.classes.get(part).is_some_and(|class| class.is_match(OsStr::from_bytes(name)));
        match pattern::plain(part) {
            Some(wild) => pattern::is_like(wild, name),
            None => class(),
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
