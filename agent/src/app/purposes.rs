//! Purposes: read from their files, all or none.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Diagnostics, Refused};
use crate::purpose::{self, Purposes};

/// Most mistakes that a record carries.
pub(super) const TOLD_MAX: usize = 32;

/// A set that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The set.
    pub purposes: Purposes,
    /// Names of the files it was read from, and what these say.
    pub texts: Arc<[(String, String)]>,
    /// What owners should look at, though it is no mistake.
    pub warnings: Vec<String>,
    /// Files it was read from; `None` where there is nothing at the path.
    pub files: Option<usize>,
}

/// Why there is no set: everything that is wrong, in all files.
#[derive(Debug, thiserror::Error)]
pub struct PurposesError {
    /// What was not even read.
    pub refused: Vec<Refused>,
    /// What was, and has mistakes.
    pub invalid: Vec<Diagnostics>,
}

impl fmt::Display for PurposesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.refused.iter().map(ToString::to_string);
        let all: Vec<String> = refused.chain(self.invalid.iter().map(ToString::to_string)).collect();
        f.write_str(&all.join("\n\n"))
    }
}

/// One line for each mistake of a file.
pub(super) fn lines(file: &Diagnostics) -> impl Iterator<Item = String> {
    file.list.iter().map(|one| {
        format!("{}:{}:{}: {} {}", file.name, one.line, one.column, one.code.as_str(), one.message)
    })
}

impl PurposesError {
    /// One line for each mistake, as many as a record carries.
    pub(super) fn lines(&self) -> Vec<String> {
        let refused = self.refused.iter().map(ToString::to_string);
        refused.chain(self.invalid.iter().flat_map(lines)).take(TOLD_MAX).collect()
    }
}

/// Reads a file of purposes, or a directory of such files.
///
/// # Errors
/// All mistakes of all files.
pub fn load(path: &Path) -> Result<Loaded, PurposesError> {
    let Some(sources) = config::sources(path) else {
        return Ok(Loaded {
            purposes: Purposes::default(),
            texts: Arc::default(),
            warnings: Vec::new(),
            files: None,
        });
    };
    let (mut files, mut invalid) = (Vec::new(), Vec::new());
    for source in sources.files {
        match config::decode(&source.name, source.bytes) {
            Ok(text) => files.push((source.name, text)),
            Err(mistakes) => invalid.push(mistakes),
        }
    }
    let texts: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let read = purpose::read(&texts).map_err(|more| invalid.extend(more.0));
    match read {
        Ok(read) if invalid.is_empty() && sources.refused.is_empty() => {
            let (purposes, warnings, count) = (read.purposes, read.warnings, Some(files.len()));
            Ok(Loaded { purposes, texts: files.into(), warnings, files: count })
        }
        _ => Err(PurposesError { refused: sources.refused, invalid }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str =
        "[[purpose]]\nname = \"a\"\nactor = \"systemd:a.service\"\nowner = \"x\"\nprograms = [\"any\"]\n";

    #[test]
    fn a_directory_is_one_set_and_one_mistake_refuses_it_all() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(&dir.path().join("none")).unwrap().files, None);
        let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
        write("a.toml", GOOD.as_bytes());
        let loaded = load(dir.path()).unwrap();
        assert_eq!((loaded.purposes.len(), loaded.files), (1, Some(1)));
        write("b.toml", GOOD.replace("\"any\"", "\"bin\"").as_bytes());
        write("c.toml", b"name = \xff");
        let error = load(dir.path()).unwrap_err();
        let text = error.to_string();
        for part in ["b.toml:2:8", "already", "a.toml:1", "b.toml:5:13", "`bin` is not absolute", "not UTF-8"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(error.lines().len(), 3, "{:?}", error.lines());
        assert!(error.lines().iter().any(|line| line.contains("b.toml:5:13: P003 `bin`")), "{error}");
    }
}
