//! `spoor bundle`: what support needs of a host, in one file. It works without an agent, and says what it could not get.

mod mask;
mod parts;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use self::mask::Mask;
use super::Failure;
use crate::config::Config;
use crate::keyfile;

/// Longest part, in bytes.
const PART_MAX: usize = 4 << 20;

/// The first lines of every manifest.
const ABOUT: &str = "What spoor knows of its own state on one host, for support. No secret is in it: nothing here was read out of a credential,\n\
    and of the config everything that may be one is left out.\n";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file to make.
    pub out: PathBuf,
    /// The config in force, where there is a good one.
    pub config: Config,
    /// Where it was read.
    pub config_path: Option<PathBuf>,
    /// Replace what names somebody.
    pub mask: bool,
    /// Load the probes for a moment, to see what they can see.
    pub doctor: bool,
}

/// Something that goes in.
struct Part {
    name: &'static str,
    about: &'static str,
    /// What there is, or why there is nothing.
    content: Result<Content, String>,
}

enum Content {
    Text(String),
    /// One value a line.
    Json(Vec<Value>),
}

impl Content {
    fn bytes(&self, mask: Option<&Mask>) -> Vec<u8> {
        let line =
            |value: &Value| mask.map_or_else(|| value.to_string(), |mask| mask.json(value, "").to_string());
        let text = match (self, mask) {
            (Content::Text(text), None) => text.clone(),
            (Content::Text(text), Some(mask)) => mask.text(text),
            (Content::Json(values), _) => values.iter().map(|value| line(value) + "\n").collect(),
        };
        text.into_bytes()
    }
}

/// Collects, and writes the file, which is its owner's only. Gives the manifest.
///
/// # Errors
/// [`Failure`] where the file cannot be made: one that is there already is left alone.
pub fn run(options: &Options) -> Result<String, Failure> {
    let failed = |error| Failure::system(format!("write {}", options.out.display()))(error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&options.out);
    let file = file.map_err(failed)?;
    let mask = options.mask.then(|| fresh_mask(&options.out, &options.config)).transpose().map_err(failed)?;
    let parts = parts::all(options);
    let (manifest, files) = laid_out(&parts, mask.as_ref());
    pack(file, &files).map_err(failed)?;
    Ok(manifest)
}

fn fresh_mask(out: &Path, config: &Config) -> io::Result<Mask> {
    let key = keyfile::random::<32>(out).map_err(io::Error::other)?;
    Ok(Mask::new(*key, parts::names(config)))
}

/// The files by their names, the manifest first.
fn laid_out(parts: &[Part], mask: Option<&Mask>) -> (String, Vec<(String, Vec<u8>)>) {
    let mut manifest = ABOUT.to_owned();
    manifest += match mask {
        Some(_) => {
            "Names, paths and addresses are pseudonyms, the same for the same within this file; the key is thrown away.\n\
             Numbers (of processes, users, ports, records) and times are as they were.\n\n"
        }
        None => {
            "It names users, services, paths and addresses of the host as they are (--mask replaces them).\n\n"
        }
    };
    let mut files = Vec::new();
    for part in parts {
        let line = match &part.content {
            Ok(content) => {
                let mut bytes = content.bytes(mask);
                let cut = if bytes.len() > PART_MAX { ", CUT" } else { "" };
                bytes.truncate(PART_MAX);
                let line = format!("{:<18} {:>8} bytes{cut}: {}\n", part.name, bytes.len(), part.about);
                files.push((part.name.to_owned(), bytes));
                line
            }
            Err(why) => {
                let why = mask.map_or_else(|| why.clone(), |mask| mask.text(why));
                format!("{:<18}  MISSING: {} ({why})\n", part.name, part.about)
            }
        };
        manifest += &line;
    }
    files.insert(0, ("MANIFEST".to_owned(), manifest.clone().into_bytes()));
    (manifest, files)
}

fn pack(file: File, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_mtime(0);
        let path = Path::new("spoor-bundle").join(name);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests;
