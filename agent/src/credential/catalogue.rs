//! The catalogue: all kinds of credentials, which of them a path is, and the rules the kernel is given.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spoor_wire::rule::NameKey;

use super::carried::Variables;
use super::endpoint::{self, Endpoint};
use super::form::{self, Form};
use super::globs::Globs;
use super::kind::Kind;
use super::parse::Facts;
use super::watch::{self, Watch};
use super::{Credential, describe};
use crate::config::{ConfigError, Credentials, Diagnostics, text};

pub(super) const BUILTIN: &str = include_str!("../../../deploy/credentials.toml");
/// Begins a path whose beginning is missing.
const CUT: &[u8] = "…".as_bytes();

/// Id of the kind of what the config names.
pub const DECLARED: &str = "declared";

/// All kinds, and the decision which of them a path is.
///
/// A rule number is twice the kind's number; odd where the kernel's match is enough (an inode, a name in its directory,
/// a directory that belongs to the kind as a whole), even where the path has the last word.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// In the order in which they claim a path.
    pub(super) kinds: Vec<Kind>,
    /// Of each kind, the number of its rules. The kernel holds rules for as long as it runs, so a kind keeps its number in a
    /// newer catalogue, and no number is given twice.
    numbers: Vec<u32>,
    next_number: u32,
    pub(super) endpoints: HashMap<Endpoint, usize>,
    pub(super) variables: Variables,
    globs: Globs,
    except: Globs,
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
    /// The file has mistakes.
    #[error("{0}")]
    Mistakes(Diagnostics),
    /// A path of the config cannot be watched.
    #[error("`{path}` {fault}")]
    Path {
        /// Which.
        path: String,
        /// Why.
        fault: &'static str,
    },
    /// A glob's brackets are none.
    #[error("a glob cannot be read: {0}")]
    Globs(#[from] globset::Error),
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
        kinds.extend(forms(config.catalogue.as_deref())?.into_iter().map(Kind::new));
        let globs = Globs::new(&kinds, |kind| &kind.globs)?;
        let except = Globs::new(&kinds, |kind| &kind.except)?;
        let (endpoints, variables) = (endpoint::owners(&kinds), Variables::of(&kinds));
        // The catalogue's length is bounded by its file's.
        let next_number = u32::try_from(kinds.len()).unwrap_or(u32::MAX);
        let numbers = (0..next_number).collect();
        Ok(Catalogue { kinds, numbers, next_number, endpoints, variables, globs, except })
    }

    /// The same, for a kernel that holds rules of `before`.
    #[must_use]
    pub fn after(mut self, before: &Catalogue) -> Catalogue {
        let mut next = before.next_number;
        let number = |kind: &Kind| {
            let known = before.kinds.iter().zip(&before.numbers).find(|(known, _)| known.id == kind.id);
            known.map_or_else(
                || {
                    next += 1;
                    next - 1
                },
                |(_, number)| *number,
            )
        };
        self.numbers = self.kinds.iter().map(number).collect();
        self.next_number = next;
        self
    }

    /// Whether it decides everything as the other one does.
    #[must_use]
    pub fn same(&self, other: &Catalogue) -> bool {
        self.kinds == other.kinds
    }

    /// The number of a kind's rules.
    pub(super) fn number(&self, index: usize) -> u32 {
        self.numbers.get(index).copied().unwrap_or(u32::MAX / 2)
    }

    /// The kind that a rule is of.
    pub(super) fn place(&self, rule: u32) -> Option<usize> {
        self.numbers.iter().position(|number| *number == rule / 2)
    }

    /// Checks the text of one's own catalogue; `name` is what the diagnostics call it.
    ///
    /// # Errors
    /// Where the text has any mistake; all of them are told.
    pub fn check(name: &str, text: &str) -> Result<(), Diagnostics> {
        let builtin = form::read("the built-in catalogue", BUILTIN, &[])?;
        form::read(name, text, &builtin).map(drop)
    }

    /// All kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// Rules by the names of a path, each key once; with the hash of its last name, where that is a file's.
    #[must_use]
    pub fn names(&self) -> Vec<(NameKey, Option<u64>, u32)> {
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for (index, kind) in self.kinds.iter().enumerate() {
            for watch in &kind.watches {
                if let Watch::Name { key, leaf } = watch
                    && seen.insert(*key)
                {
                    names.push((*key, *leaf, rule(self.number(index), false)));
                }
            }
            let keys = kind.keys.rules(rule(self.number(index), false));
            names.extend(keys.filter(|(key, _)| seen.insert(*key)).map(|(key, rule)| (key, None, rule)));
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
        Some(rule(self.number(index), false))
    }

    fn decide(&self, rule: u32, path: &[u8], socket: bool) -> Option<&Kind> {
        let own = self.place(rule)?;
        // What the config names is meant whatever it is; it is the first kind.
        let is_form =
            |index: usize| index == 0 || self.kinds.get(index).is_some_and(|kind| kind.socket == socket);
        let sure = rule % 2 == 1 && is_form(own);
        let without_links = without_link_dirs(path);
        let both = || [Some(path), without_links.as_deref()].into_iter().flatten();
        let hits = |globs: &Globs| both().flat_map(|path| globs.kinds(path)).collect::<BTreeSet<_>>();
        let mut fits = hits(&self.globs);
        if path.starts_with(CUT) && self.tail_fits(own, path) {
            fits.insert(own);
        }
        fits.retain(|index| is_form(*index));
        for except in hits(&self.except) {
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

/// A rule of the kind of that number.
pub(super) fn rule(number: u32, sure: bool) -> u32 {
    number.saturating_mul(2).saturating_add(u32::from(sure))
}

/// Kubernetes writes volumes as `..data -> ..2024_05_01`, and a file's real path has that directory in it.
pub(super) fn without_link_dirs(path: &[u8]) -> Option<Vec<u8>> {
    let linked = |name: &&[u8]| name.len() > 2 && name.starts_with(b"..");
    let names = || path.split(|byte| *byte == b'/');
    names().any(|name| linked(&name)).then(|| {
        let kept = names().filter(|name| !linked(name)).collect::<Vec<_>>();
        kept.join(&b'/')
    })
}

/// The entries of one's own catalogue and the built-in one, in the order in which they claim a path. Who changes a
/// built-in kind changes it where it is, but for where it lies: that comes first, as all that is one's own.
fn forms(own: Option<&Path>) -> Result<Vec<Form>, CatalogueError> {
    let mistakes = CatalogueError::Mistakes;
    let mut builtin = form::read("the built-in catalogue", BUILTIN, &[]).map_err(mistakes)?;
    let Some(path) = own else {
        return Ok(builtin);
    };
    let (name, text) = read(path)?;
    let mut first = Vec::new();
    for form in form::read(&name, &text, &builtin).map_err(mistakes)? {
        match builtin.iter().position(|known| known.id == form.id) {
            Some(at) if form.off => drop(builtin.remove(at)),
            Some(at) if form.places() => {
                let base = builtin.remove(at);
                first.push(form.over(&base));
            }
            Some(at) => {
                if let Some(known) = builtin.get_mut(at) {
                    *known = form.over(known);
                }
            }
            None => first.push(form),
        }
    }
    first.extend(builtin);
    Ok(first)
}

fn read(path: &Path) -> Result<(String, String), CatalogueError> {
    text(path, form::TEXT_MAX).map_err(|error| match error {
        ConfigError::Unreadable { path, io } => CatalogueError::Unreadable { path, io },
        ConfigError::Invalid(mistakes) => CatalogueError::Mistakes(mistakes),
    })
}

fn declared(paths: &[String]) -> Result<Kind, CatalogueError> {
    let mut kind = Kind {
        id: DECLARED.to_owned(),
        about: "Named in the config".to_owned(),
        sensitivity: 2,
        ..Kind::default()
    };
    for path in paths {
        let fault = |fault| CatalogueError::Path { path: path.clone(), fault };
        kind.add(watch::declared(path).map_err(fault)?);
    }
    Ok(kind)
}
