//! The catalogue: kinds of credentials, their globs, and the rules the kernel is given.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobSet, GlobSetBuilder};
use serde::Deserialize;
use spoor_wire::rule::NameKey;

use super::endpoint::{self, Endpoint};
use super::parse::{Facts, Parser};
use super::watch::{self, Named, Watch};
use super::{Credential, describe};
use crate::config::{Credentials, pattern};

const BUILTIN: &str = include_str!("../../../deploy/credentials.toml");
/// Longest catalogue that is read.
const TEXT_MAX: u64 = 4 << 20;
/// Begins a path whose beginning is missing.
const CUT: &[u8] = "…".as_bytes();

/// Id of the kind of what the config names.
pub const DECLARED: &str = "declared";

/// A kind of credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable name: `aws-access-key`, `declared`, …
    pub id: String,
    /// What it is, for people.
    pub about: String,
    /// How its identifiers are read.
    pub parser: Parser,
    /// 3 gives a host, a cluster or other identities away; 2 an identity; 1 little.
    pub sensitivity: u8,
    /// What its globs name are unix sockets: connecting to one counts, and nothing that is opened.
    pub socket: bool,
    /// Where it is handed out over the network.
    pub endpoints: Vec<Endpoint>,
    pub(super) mounts: Vec<String>,
    pub(super) watches: Vec<Watch>,
    /// Files that a scan can look for.
    pub(super) named: Vec<Named>,
    globs: Vec<String>,
    except: Vec<String>,
}

/// All kinds, and the decision which of them a path is.
///
/// A rule number is twice the kind's place; odd where the kernel's match is enough (an inode, a name in its directory,
/// a directory that belongs to the kind as a whole), even where the path has the last word.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(super) kinds: Vec<Kind>,
    pub(super) endpoints: HashMap<Endpoint, usize>,
    globs: GlobSet,
    glob_kinds: Vec<usize>,
    except: GlobSet,
    except_kinds: Vec<usize>,
}

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file could not be read.
    #[error("cannot read {}: {io}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: std::io::Error,
    },
    /// The file is no catalogue.
    #[error("{name} is no catalogue: {error}")]
    Syntax {
        /// Which.
        name: String,
        /// Why, with line and column.
        error: Box<toml::de::Error>,
    },
    /// The file is of another version.
    #[error("{name} is of version {found}; this release reads version 1")]
    Version {
        /// Which.
        name: String,
        /// What it says.
        found: u32,
    },
    /// A kind is there twice, has a bad name, or takes the name of the config's own paths.
    #[error("`{id}` is not a name for a kind, or not the only one of that name")]
    Name {
        /// Which.
        id: String,
    },
    /// A glob cannot be watched.
    #[error("`{glob}` of {id} {fault}")]
    Glob {
        /// Kind.
        id: String,
        /// Which.
        glob: String,
        /// Why.
        fault: &'static str,
    },
    /// An endpoint is none.
    #[error("`{endpoint}` of {id} {fault}")]
    Endpoint {
        /// Kind.
        id: String,
        /// Which.
        endpoint: String,
        /// Why.
        fault: &'static str,
    },
    /// A kind does not say where it is. An empty list says so: nowhere.
    #[error("{id} names no place: it needs `globs`, `mounts` or `endpoints`")]
    Nowhere {
        /// Which.
        id: String,
    },
    /// All globs together are more than the matcher takes.
    #[error("the globs do not fit together: {0}")]
    Globs(#[from] globset::Error),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    version: u32,
    #[serde(default)]
    credential: Vec<KindForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindForm {
    id: String,
    about: String,
    sensitivity: u8,
    parser: Parser,
    globs: Option<Vec<String>>,
    #[serde(default)]
    except: Vec<String>,
    mounts: Option<Vec<String>>,
    endpoints: Option<Vec<String>>,
    #[serde(default)]
    socket: bool,
}

impl Catalogue {
    /// The catalogue that ships, alone.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the embedded file is a constant that a test reads")]
    pub fn builtin() -> Catalogue {
        Catalogue::new(&Credentials::default()).expect("the embedded catalogue is good")
    }

    /// What the config declares, its own catalogue, and the one that ships. Where two claim a path, the first has it.
    ///
    /// # Errors
    /// Where the config's catalogue or paths cannot be used.
    pub fn new(config: &Credentials) -> Result<Catalogue, CatalogueError> {
        let mut kinds = vec![declared(&config.paths)?];
        if let Some(path) = &config.catalogue {
            let text = read(path)?;
            kinds.extend(read_kinds(&path.display().to_string(), &text)?);
        }
        let own = kinds.iter().map(|kind| kind.id.clone()).collect::<HashSet<_>>();
        let builtin = read_kinds("the built-in catalogue", BUILTIN)?;
        kinds.extend(builtin.into_iter().filter(|kind| !own.contains(&kind.id)));
        let (globs, glob_kinds) = globset(&kinds, |kind| &kind.globs)?;
        let (except, except_kinds) = globset(&kinds, |kind| &kind.except)?;
        let endpoints = endpoint::owners(&kinds);
        Ok(Catalogue { kinds, endpoints, globs, glob_kinds, except, except_kinds })
    }

    /// All kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// Rules by the names of a path. Each key once.
    #[must_use]
    pub fn names(&self) -> Vec<(NameKey, u32)> {
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for (index, kind) in self.kinds.iter().enumerate() {
            for watch in &kind.watches {
                if let Watch::Name(key) = watch
                    && seen.insert(*key)
                {
                    names.push((*key, rule(index, false)));
                }
            }
        }
        names
    }

    /// The final word on a match of the kernel, of a file that was opened. [`None`]: it was wider than the catalogue.
    #[must_use]
    pub fn kind(&self, rule: u32, path: &[u8]) -> Option<&Kind> {
        self.decide(rule, path, false)
    }

    /// The final word on a match of the kernel, of a unix socket that was connected to: what it stands for.
    #[must_use]
    pub fn socket(&self, rule: u32, path: &[u8]) -> Option<Arc<Credential>> {
        let kind = self.decide(rule, path, true)?;
        Some(Arc::new(describe::credential(kind, path, Facts::default())))
    }

    /// The rule by which a file of that path would match, where its names alone say that it is a credential.
    #[must_use]
    pub fn rule_of(&self, path: &[u8]) -> Option<u32> {
        let kind = self.decide(0, path, false)?;
        let index = self.kinds.iter().position(|known| std::ptr::eq(known, kind))?;
        Some(rule(index, false))
    }

    fn decide(&self, rule: u32, path: &[u8], socket: bool) -> Option<&Kind> {
        let own = usize::try_from(rule / 2).ok().filter(|index| *index < self.kinds.len())?;
        // What the config names is meant whatever it is; it is the first kind.
        let is_form =
            |index: usize| index == 0 || self.kinds.get(index).is_some_and(|kind| kind.socket == socket);
        let sure = rule % 2 == 1 && is_form(own);
        let without_links = without_link_dirs(path);
        let path_of = |bytes| Path::new(OsStr::from_bytes(bytes));
        let both = [Some(path), without_links.as_deref()].map(|path| path.map(path_of));
        let hits = |set: &GlobSet, kinds: &[usize]| {
            let found = both.iter().flatten().flat_map(|path| set.matches(path));
            found.filter_map(|glob| kinds.get(glob).copied()).collect::<BTreeSet<_>>()
        };
        let mut fits = hits(&self.globs, &self.glob_kinds);
        if path.starts_with(CUT) && self.tail_fits(own, path) {
            fits.insert(own);
        }
        fits.retain(|index| is_form(*index));
        for except in hits(&self.except, &self.except_kinds) {
            fits.remove(&except);
            if except == own && fits.is_empty() {
                return None;
            }
        }
        // A directory may carry marks of two kinds, of which the kernel knows one: another kind's glob counts as well.
        let first = fits.first().copied();
        let index = if fits.contains(&own) { Some(own) } else { first.or(sure.then_some(own)) };
        self.kinds.get(index?)
    }

    fn tail_fits(&self, index: usize, path: &[u8]) -> bool {
        // The first name may be cut in its middle.
        let Some(slash) = path.iter().position(|byte| *byte == b'/') else {
            return false;
        };
        let tail = path.get(slash + 1..).unwrap_or_default();
        let names = || tail.rsplit(|byte| *byte == b'/');
        let globs = self.kinds.get(index).map(|kind| kind.globs.as_slice());
        globs.unwrap_or_default().iter().any(|glob| watch::tail_fits(glob, names()))
    }
}

/// Number of a kind's rule.
pub(super) fn rule(kind: usize, sure: bool) -> u32 {
    // The catalogue's length is bounded by its file's.
    u32::try_from(kind * 2 + usize::from(sure)).unwrap_or(u32::MAX)
}

/// Kubernetes writes volumes as `..data -> ..2024_05_01`, and a file's real path has that directory in it.
fn without_link_dirs(path: &[u8]) -> Option<Vec<u8>> {
    let linked = |name: &&[u8]| name.len() > 2 && name.starts_with(b"..");
    let names = || path.split(|byte| *byte == b'/');
    names().any(|name| linked(&name)).then(|| {
        let kept = names().filter(|name| !linked(name)).collect::<Vec<_>>();
        kept.join(&b'/')
    })
}

fn globset(
    kinds: &[Kind],
    of: impl Fn(&Kind) -> &Vec<String>,
) -> Result<(GlobSet, Vec<usize>), globset::Error> {
    let mut builder = GlobSetBuilder::new();
    let mut owners = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        for glob in of(kind) {
            builder.add(pattern::glob(glob)?);
            owners.push(index);
        }
    }
    Ok((builder.build()?, owners))
}

fn read(path: &Path) -> Result<String, CatalogueError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path);
    file.and_then(|file| file.take(TEXT_MAX).read_to_string(&mut text))
        .map_err(|io| CatalogueError::Unreadable { path: path.to_owned(), io })?;
    Ok(text)
}

fn read_kinds(name: &str, text: &str) -> Result<Vec<Kind>, CatalogueError> {
    let form: FileForm = toml::from_str(text)
        .map_err(|error| CatalogueError::Syntax { name: name.to_owned(), error: Box::new(error) })?;
    if form.version != 1 {
        return Err(CatalogueError::Version { name: name.to_owned(), found: form.version });
    }
    let mut seen = HashSet::from([DECLARED.to_owned()]);
    let mut kinds = Vec::new();
    for form in form.credential {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let named = !form.id.is_empty() && form.id.len() <= 64 && form.id.chars().all(fits);
        if !named || !seen.insert(form.id.clone()) {
            return Err(CatalogueError::Name { id: form.id });
        }
        kinds.push(kind(form)?);
    }
    Ok(kinds)
}

fn kind(form: KindForm) -> Result<Kind, CatalogueError> {
    let fault =
        |glob: &str, fault| CatalogueError::Glob { id: form.id.clone(), glob: glob.to_owned(), fault };
    let (mut globs, mut watches, mut named) = (Vec::new(), Vec::new(), Vec::new());
    if form.globs.is_none() && form.mounts.is_none() && form.endpoints.is_none() {
        return Err(CatalogueError::Nowhere { id: form.id });
    }
    for glob in form.globs.iter().flatten() {
        let compiled = watch::compile(glob).map_err(|why| fault(glob, why))?;
        globs.extend(compiled.globs);
        watches.extend(compiled.watches);
        named.extend(compiled.named);
    }
    watches.extend(form.mounts.iter().flatten().filter_map(|text| watch::mounted_in(text)));
    let endpoints = endpoint::parse_all(&form.id, &form.endpoints.unwrap_or_default())?;
    let mut except = Vec::new();
    for glob in &form.except {
        except.extend(pattern::expand(glob).map_err(|why| fault(glob, why))?);
    }
    Ok(Kind {
        id: form.id,
        about: form.about,
        parser: form.parser,
        sensitivity: form.sensitivity,
        socket: form.socket,
        endpoints,
        mounts: form.mounts.unwrap_or_default(),
        watches,
        named,
        globs,
        except,
    })
}

fn declared(paths: &[String]) -> Result<Kind, CatalogueError> {
    let mut kind = Kind {
        id: DECLARED.to_owned(),
        about: "Named in the config".to_owned(),
        parser: Parser::Guess,
        sensitivity: 2,
        socket: false,
        endpoints: Vec::new(),
        mounts: Vec::new(),
        watches: Vec::new(),
        named: Vec::new(),
        globs: Vec::new(),
        except: Vec::new(),
    };
    for path in paths {
        let compiled = watch::declared(path).map_err(|fault| CatalogueError::Glob {
            id: DECLARED.to_owned(),
            glob: path.clone(),
            fault,
        })?;
        kind.globs.extend(compiled.globs);
        kind.watches.extend(compiled.watches);
    }
    Ok(kind)
}
