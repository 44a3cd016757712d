//! From a glob to what the kernel can match: exactly, or slightly wider, so that userspace decides.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use spoor_wire::rule::{ANCHORED, ANYWHERE, DEPTH_MAX, HASH_START, MOUNTED, NameKey, hash_bytes};

use crate::config::pattern::{self, Names, Part};

/// What one pattern asks of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Names of a path, leaf first.
    Name {
        /// Names, rolled.
        key: NameKey,
        /// Hash of the last of them alone, where that is a file's: files of other names are not asked about.
        leaf: Option<u64>,
    },
    /// A plain absolute path: its name in its directory.
    Entry(String),
    /// The directories a pattern's files lie in.
    Below {
        /// The directories are below each home directory, else below the root.
        home: bool,
        /// The directories.
        base: Vec<Part>,
        /// All that is below belongs to the pattern.
        whole: bool,
    },
}

/// Files a pattern names, for the scan to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Below each home directory, else below the root.
    pub(super) home: bool,
    /// Directories, and the file last.
    pub(super) parts: Vec<Part>,
}

/// A pattern, ready for both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compiled {
    /// What decides in userspace.
    pub(super) globs: Vec<String>,
    /// What is asked of the kernel.
    pub(super) watches: Vec<Watch>,
    /// What the scan looks for.
    pub(super) named: Vec<Named>,
}

/// Where a pattern begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Root,
    Home,
    Anywhere,
}

/// Compiles a glob of the catalogue.
pub(super) fn compile(glob: &str) -> Result<Compiled, &'static str> {
    let (origin, rest) = if let Some(rest) = glob.strip_prefix("{home}/") {
        (Origin::Home, rest)
    } else if let Some(rest) = glob.strip_prefix("**/") {
        (Origin::Anywhere, rest)
    } else if glob.starts_with('/') {
        (Origin::Root, glob)
    } else {
        return Err("begins with neither `/`, `**/` nor `{home}/`");
    };
    if glob.contains('\\') {
        return Err("has a backslash in it, which patterns do not know");
    }
    let mut compiled = Compiled { globs: Vec::new(), watches: Vec::new(), named: Vec::new() };
    for one in pattern::expand(rest)? {
        let parts = pattern::parts(&one);
        if parts.is_empty() {
            return Err("names nothing");
        }
        let text = text(&parts);
        let literal = literals(&parts);
        let glob = match (origin, literal.len() == parts.len()) {
            // The root of a container, or of an image that is mounted somewhere, is a root as well.
            (Origin::Home | Origin::Anywhere, _) | (Origin::Root, true) => format!("**/{text}"),
            (Origin::Root, false) => format!("/{text}"),
        };
        if pattern::glob(&glob).is_err() {
            return Err("is not a pattern: look at its brackets");
        }
        compiled.globs.push(glob);
        watches(origin, &parts, &literal, &mut compiled.watches)?;
        if origin != Origin::Anywhere {
            compiled.named.push(Named { home: origin == Origin::Home, parts });
        }
    }
    Ok(compiled)
}

fn watches(
    origin: Origin,
    parts: &[Part],
    literal: &[&str],
    watches: &mut Vec<Watch>,
) -> Result<(), &'static str> {
    if literal.len() == parts.len() {
        watches.push(by_name(literal, origin == Origin::Root)?);
        if origin == Origin::Root {
            watches.push(Watch::Entry(format!("/{}", literal.join("/"))));
        }
        return Ok(());
    }
    // Plain names behind the last wildcard are looked for everywhere: what appears later is then seen at once.
    // One name alone is not: a `token` or a `config` is anywhere, and mostly no secret.
    if literal.len() > 1 || origin == Origin::Anywhere && !literal.is_empty() {
        watches.push(by_name(literal, false)?);
    }
    let base = base(parts);
    if origin == Origin::Anywhere || base.is_empty() {
        if literal.is_empty() {
            return Err("cannot be watched: a wildcard needs a directory in front of it");
        }
        return Ok(());
    }
    if origin == Origin::Root && !matches!(base.first(), Some(Part::Literal(_))) {
        return Err("is too wide: its first directory must be a plain name");
    }
    // A new entry of /tmp is found by the next scan: a mark on a directory of the root would cover half the host.
    let top = if origin == Origin::Home { 1 } else { 2 };
    push_below(origin == Origin::Home, parts, base, top, watches);
    Ok(())
}

/// The marks of a declared path: what the config names is searched on this host, not by name in any container.
pub(super) fn declared(path: &str) -> Result<Compiled, &'static str> {
    if let Some(fault) = pattern::fault(path) {
        return Err(fault);
    }
    let mut compiled = Compiled { globs: Vec::new(), watches: Vec::new(), named: Vec::new() };
    for one in pattern::expand(path)? {
        let parts = pattern::parts(&one);
        let literal = literals(&parts);
        let text = text(&parts);
        compiled.globs.push(format!("/{text}"));
        if literal.len() == parts.len() {
            compiled.watches.push(Watch::Entry(format!("/{text}")));
            // Should it be a directory, then all that is in it.
            compiled.globs.push(format!("/{text}/**"));
            continue;
        }
        if !literal.is_empty() {
            compiled.watches.push(by_name(&literal, false)?);
        }
        push_below(false, &parts, base(&parts), 1, &mut compiled.watches);
    }
    Ok(compiled)
}

/// `top`: how deep a directory must lie to be marked for what may appear in it later.
fn push_below(home: bool, parts: &[Part], base: &[Part], top: usize, watches: &mut Vec<Watch>) {
    let rest = parts.get(base.len()..).unwrap_or_default();
    let whole = matches!(rest, [Part::Deep]);
    watches.push(Watch::Below { home, base: base.to_vec(), whole });
    // `/run/credentials/*/*`: directories that appear later are covered by a mark on the one that holds them. Not where
    // plain names follow: that would be a mark on /home, or on all volumes of all pods.
    let plain = parts.iter().take_while(|part| matches!(part, Part::Literal(_))).count();
    let after = parts.get(plain..).unwrap_or_default();
    let all_wild = after.iter().all(|part| !matches!(part, Part::Literal(_)));
    if plain < base.len() && plain >= top && all_wild {
        let base = parts.get(..plain).unwrap_or_default().to_vec();
        watches.push(Watch::Below { home, base, whole: false });
    }
}

/// The directories: all before the first `**`, but never the last component.
fn base(parts: &[Part]) -> &[Part] {
    let deep = parts.iter().position(|part| *part == Part::Deep);
    let end = deep.unwrap_or(parts.len()).min(parts.len().saturating_sub(1));
    parts.get(..end).unwrap_or_default()
}

/// The plain names at the end.
fn literals(parts: &[Part]) -> Vec<&str> {
    let mut names = Vec::new();
    for part in parts.iter().rev() {
        match part {
            Part::Literal(name) => names.push(name.as_str()),
            Part::Wild(_) | Part::Deep => break,
        }
    }
    names.reverse();
    names
}

fn text(parts: &[Part]) -> String {
    let names = parts.iter().map(|part| match part {
        Part::Literal(name) | Part::Wild(name) => name.as_str(),
        Part::Deep => "**",
    });
    names.collect::<Vec<_>>().join("/")
}

/// What is recognised by its last names.
fn by_name(names: &[&str], anchored: bool) -> Result<Watch, &'static str> {
    let leaf = names.last().map(|leaf| hash_bytes(HASH_START, leaf.as_bytes()));
    Ok(Watch::Name { key: name_key(names, anchored)?, leaf })
}

/// Rolls names from the leaf up. Of too many, the last are enough: userspace sees the rest.
pub(super) fn name_key(names: &[&str], anchored: bool) -> Result<NameKey, &'static str> {
    let mut key = NameKey { hash: HASH_START, depth: 0, anchored: ANYWHERE };
    for name in names.iter().rev() {
        if key.depth == DEPTH_MAX {
            return Ok(key);
        }
        key.hash = hash_bytes(key.hash, name.as_bytes());
        key.depth += 1;
    }
    if key.depth == 0 {
        return Err("names nothing");
    }
    key.anchored = if anchored { ANCHORED } else { ANYWHERE };
    Ok(key)
}

/// What file systems in memory are recognised by that are mounted right below a directory of that name. None of a text
/// that does not end with a whole name.
pub(super) fn mounted_in(text: &str) -> Option<Watch> {
    let name = text.strip_suffix('/')?.rsplit('/').next().filter(|name| !name.is_empty())?;
    let key = NameKey { hash: hash_bytes(HASH_START, name.as_bytes()), depth: 1, anchored: MOUNTED };
    Some(Watch::Name { key, leaf: None })
}

/// Whether a path whose beginning is missing may be one of the pattern's: `names` are its last, from the leaf up.
pub(super) fn tail_fits<'a>(pattern: &str, names: impl Iterator<Item = &'a [u8]>) -> bool {
    let parts = pattern::parts(pattern);
    let mut parts = parts.iter().rev();
    let mut any = false;
    for name in names {
        let fits = match parts.next() {
            None => false,
            Some(Part::Deep) => return any,
            Some(Part::Literal(literal)) => literal.as_bytes() == name,
            Some(Part::Wild(wild)) => {
                Names::of(wild).is_ok_and(|names| names.is_match(OsStr::from_bytes(name)))
            }
        };
        if !fits {
            return false;
        }
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &[&str], anchored: bool) -> Watch {
        by_name(names, anchored).unwrap()
    }

    fn plain(names: &[&str]) -> Vec<Part> {
        names.iter().map(|name| Part::Literal((*name).to_owned())).collect()
    }

    #[test]
    fn plain_names_anywhere() {
        for glob in ["**/.aws/credentials", "{home}/.aws/credentials"] {
            let compiled = compile(glob).unwrap();
            assert_eq!(compiled.globs, ["**/.aws/credentials"]);
            assert_eq!(compiled.watches, [key(&[".aws", "credentials"], false)]);
        }
        let expected = hash_bytes(hash_bytes(HASH_START, b"credentials"), b".aws");
        let found = name_key(&[".aws", "credentials"], false).unwrap();
        assert_eq!(found, NameKey { hash: expected, depth: 2, anchored: 0 });
    }

    #[test]
    fn a_whole_path() {
        let compiled = compile("/etc/{shadow,gshadow}").unwrap();
        assert_eq!(
            compiled.watches,
            [
                key(&["etc", "shadow"], true),
                Watch::Entry("/etc/shadow".into()),
                key(&["etc", "gshadow"], true),
                Watch::Entry("/etc/gshadow".into()),
            ]
        );
    }

    #[test]
    fn wildcards_mark_directories() {
        let below = |home, base: &[&str], whole| Watch::Below { home, base: plain(base), whole };
        assert_eq!(
            compile("/etc/ssl/private/*").unwrap().watches,
            [below(false, &["etc", "ssl", "private"], false)]
        );
        assert_eq!(compile("/a/b/**").unwrap().watches, [below(false, &["a", "b"], true)]);
        assert_eq!(compile("/a/**/*.key").unwrap().watches, [below(false, &["a"], false)]);
        assert_eq!(compile("{home}/.ssh/id_*").unwrap().watches, [below(true, &[".ssh"], false)]);
        let credentials = compile("/run/credentials/*/*").unwrap().watches;
        assert!(credentials.contains(&below(false, &["run", "credentials"], false)));
        assert_eq!(
            compile("/tmp/ssh-*/agent.*").unwrap().watches,
            [Watch::Below {
                home: false,
                base: vec![Part::Literal("tmp".into()), Part::Wild("ssh-*".into())],
                whole: false
            }],
            "never all of /tmp"
        );
        assert!(declared("/data/*/*.key").unwrap().watches.contains(&below(false, &["data"], false)));
        let pods = compile("/var/pods/*/volumes/**").unwrap().watches;
        assert!(!pods.contains(&below(false, &["var", "pods"], false)));
        let auth = compile("/run/user/*/containers/auth.json").unwrap().watches;
        assert!(auth.contains(&key(&["containers", "auth.json"], false)));
    }

    #[test]
    fn what_cannot_be_watched() {
        for glob in ["**/*.pem", "/*/x/*", "/**", "{home}/*", "a/b", "{home}/", "**/", "/", "/a/[", "/{a"] {
            assert!(compile(glob).is_err(), "{glob}");
        }
    }

    #[test]
    fn tails() {
        let fits = |pattern, path: &str| tail_fits(pattern, path.rsplit('/').map(str::as_bytes));
        assert!(fits("**/.aws/credentials", "x/.aws/credentials"));
        assert!(fits("/srv/app/*.key", "app/a.key"));
        assert!(fits("/srv/app/*.key", "a.key"));
        assert!(!fits("/srv/app/*.key", "other/a.key"));
        assert!(!fits("/srv/app/*.key", "x/srv/app/a.key"));
        assert!(!fits("**/.aws/credentials", ".aws/config"));
    }

    proptest::proptest! {
        #[test]
        fn any_glob(glob in "(/|\\*\\*/|\\{home\\}/)?[/a*?{},\\[\\]é]{0,30}") {
            let _ = compile(&glob);
            let _ = declared(&glob);
        }
    }
}
