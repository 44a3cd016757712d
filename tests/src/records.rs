//! Reads what a file sink wrote, as it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::PATIENCE;

/// Bytes of a store's files with records.
pub(crate) fn stored_bytes(store: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(store)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("records-") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// A growing file of records.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    read: u64,
    rest: Vec<u8>,
    /// Everything read so far.
    pub all: Vec<Value>,
}

impl Records {
    /// Of a file that may not exist yet.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Records { path: path.into(), read: 0, rest: Vec::new(), all: Vec::new() }
    }

    /// Reads on to the end.
    ///
    /// # Errors
    /// Where a line is no JSON.
    pub fn refresh(&mut self) -> Result<()> {
        let Ok(mut file) = File::open(&self.path) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.read))?;
        let mut more = Vec::new();
        self.read += u64::try_from(file.read_to_end(&mut more)?)?;
        self.rest.extend_from_slice(&more);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.all.push(serde_json::from_slice(&line).context("a record that is no JSON")?);
        }
        Ok(())
    }

    /// Waits for a record.
    ///
    /// # Errors
    /// When it does not come in time: then the error shows everything that did.
    pub fn wait(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut looked = 0;
        loop {
            self.refresh()?;
            if let Some(found) = self.all.iter().skip(looked).find(|record| wanted(record)) {
                return Ok(found.clone());
            }
            looked = self.all.len();
            if Instant::now() > deadline {
                bail!("{what} did not appear; what did:\n{}", self.shown());
            }
            // Not a fixed wait for an outcome: a pause between two looks.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Everything, a line each.
    #[must_use]
    pub fn shown(&self) -> String {
        self.all.iter().map(|record| format!("  {record}\n")).collect()
    }
}

/// A field by its path, e.g. `actor.id`.
#[must_use]
pub fn at<'a>(record: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(record, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A text field.
#[must_use]
pub fn text<'a>(record: &'a Value, path: &str) -> &'a str {
    at(record, path).as_str().unwrap_or_default()
}

/// Its number.
#[must_use]
pub fn seq(record: &Value) -> u64 {
    at(record, "seq").as_u64().unwrap_or(0)
}

/// The newest record in which the agent says that it is there, with its counters.
#[must_use]
pub fn last_heartbeat(records: &[Value]) -> Option<&Value> {
    records.iter().rfind(|record| text(record, "type") == "heartbeat")
}
