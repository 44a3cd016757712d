//! What the cells found out about routes and programs: kept from run to run, and compared with what is committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::serial::Report;
use crate::paths;

/// What docs/ROUTES.md is made of.
pub(super) const COMMITTED: &str = "tests/golden/routes.json";

/// What one boot said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The kernel's release.
    pub(super) kernel: String,
    /// Route and verdict, with its reason.
    pub(super) routes: BTreeMap<String, String>,
    /// Program, and how many instructions the verifier walked.
    pub(super) verified: BTreeMap<String, String>,
}

impl Found {
    pub(super) fn of(report: &Report) -> Self {
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect();
        Self {
            kernel: report.kernel.clone().unwrap_or_default(),
            routes: map(&report.routes),
            verified: map(&report.verified),
        }
    }
}

impl Found {
    /// Takes what a later boot of the same cell found of routes.
    pub(super) fn correct(&mut self, later: &Report) {
        self.routes.extend(later.routes.iter().cloned());
    }
}

/// By cell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Results(pub(super) BTreeMap<String, Found>);

/// The file. Most cells agree, so that it names each answer once, with the cells that gave it: a diff is then read by
/// people. Name, answer, cells.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Cell and release.
    kernels: BTreeMap<String, String>,
    routes: Answers,
    verified: Answers,
}

type Answers = BTreeMap<String, BTreeMap<String, String>>;

impl Results {
    /// What a file holds; nothing where there is none.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not sound", path.display()))
    }

    pub(super) fn committed() -> Result<Self> {
        Self::read(&committed())
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = serde_json::from_str(text)?;
        let mut cells = BTreeMap::new();
        for (cell, kernel) in &file.kernels {
            let of = |answers| of_cell(answers, cell);
            let found =
                Found { kernel: kernel.clone(), routes: of(&file.routes), verified: of(&file.verified) };
            cells.insert(cell.clone(), found);
        }
        Ok(Self(cells))
    }

    fn text(&self) -> Result<String> {
        let file = File {
            kernels: self.0.iter().map(|(cell, found)| (cell.clone(), found.kernel.clone())).collect(),
            routes: self.answers(|found| &found.routes),
            verified: self.answers(|found| &found.verified),
        };
        Ok(serde_json::to_string_pretty(&file)? + "\n")
    }

    fn answers(&self, part: impl Fn(&Found) -> &BTreeMap<String, String>) -> Answers {
        let mut all = Answers::new();
        for (cell, found) in &self.0 {
            for (name, answer) in part(found) {
                let cells = all.entry(name.clone()).or_default().entry(answer.clone()).or_default();
                if !cells.is_empty() {
                    cells.push(' ');
                }
                cells.push_str(cell);
            }
        }
        all
    }

    pub(super) fn write(&self, path: &Path) -> Result<bool> {
        paths::write_if_changed(path, self.text()?.as_bytes())
    }

    /// Takes what cells of another run found in the place of what these found here.
    pub(super) fn update(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// What cells of a newer run tell otherwise of routes. Counts of the verifier are no matter of comparison: they move
    /// with every kernel and compiler, and have ceilings.
    pub(super) fn differences(&self, newer: &Self) -> Vec<String> {
        let none = Found::default();
        let mut all = Vec::new();
        for (cell, new) in &newer.0 {
            let old = self.0.get(cell).unwrap_or(&none);
            let names: std::collections::BTreeSet<&String> =
                old.routes.keys().chain(new.routes.keys()).collect();
            for name in names {
                let told = |found: &Found| {
                    found.routes.get(name).map_or_else(|| "nothing".to_owned(), |told| format!("`{told}`"))
                };
                if old.routes.get(name) != new.routes.get(name) {
                    all.push(format!("{cell}: {name}: committed is {}, found was {}", told(old), told(new)));
                }
            }
        }
        all
    }
}

/// The committed file.
pub(super) fn committed() -> PathBuf {
    paths::root().join(COMMITTED)
}

/// What the last run of each cell found.
pub(super) fn latest() -> PathBuf {
    paths::target().join("vm/routes.json")
}

fn of_cell(answers: &Answers, cell: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, answers) in answers {
        let gave = answers.iter().find(|(_, cells)| cells.split(' ').any(|one| one == cell));
        found.extend(gave.map(|(answer, _)| (name.clone(), answer.clone())));
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::vm) fn found(kernel: &str, routes: &[(&str, &str)], verified: &[(&str, &str)]) -> Found {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        Found { kernel: kernel.to_owned(), routes: map(routes), verified: map(verified) }
    }

    fn two() -> Results {
        let routes = [("open", "seen"), ("uring", "not-there: no io_uring: none")];
        Results(BTreeMap::from([
            ("5.10-lsm".to_owned(), found("5.10.0-46", &routes, &[])),
            ("6.1-lsm".to_owned(), found("6.1.0-50", &[("open", "seen")], &[("lsm_open", "120")])),
        ]))
    }

    #[test]
    fn what_is_written_is_read_back_and_names_each_answer_once() {
        let text = two().text().unwrap();
        assert!(text.contains(r#""seen": "5.10-lsm 6.1-lsm""#), "{text}");
        assert_eq!(Results::parse(&text).unwrap(), two());
        assert!(Results::parse(r#"{"kernels":{},"routes":{},"verified":{},"more":1}"#).is_err());
    }

    #[test]
    fn a_difference_names_cell_route_and_both_verdicts() {
        let mut newer = two();
        assert_eq!(two().differences(&newer), [""; 0]);
        newer.0.remove("5.10-lsm");
        assert_eq!(two().differences(&newer), [""; 0], "a cell that did not run says nothing");
        newer.0.insert("6.1-lsm".to_owned(), found("6.1.0-51", &[("open", "partial: a")], &[]));
        assert_eq!(two().differences(&newer), ["6.1-lsm: open: committed is `seen`, found was `partial: a`"]);
        newer.0.insert("6.1-lsm".to_owned(), found("6.1.0-51", &[], &[]));
        assert_eq!(two().differences(&newer), ["6.1-lsm: open: committed is `seen`, found was nothing"]);
    }

    #[test]
    fn what_was_missed_once_is_corrected_by_a_later_boot() {
        let mut once = found("7.2.1", &[("open", "seen"), ("exec", "seen")], &[("lsm_open", "120")]);
        let later = Report::exited(
            "spoor-guest: ROUTE memory seen\nspoor-guest: ROUTE exec partial: a\nspoor-guest: DONE\n",
        );
        once.correct(&later);
        let all = [("open", "seen"), ("exec", "partial: a"), ("memory", "seen")];
        assert_eq!(once, found("7.2.1", &all, &[("lsm_open", "120")]));
    }

    #[test]
    fn a_newer_run_of_a_cell_takes_its_place() {
        let mut results = two();
        let newer = found("6.1.0-51", &[("open", "seen")], &[]);
        results.update(Results(BTreeMap::from([("6.1-lsm".to_owned(), newer.clone())])));
        assert_eq!(results.0.len(), 2);
        assert_eq!(results.0.get("6.1-lsm"), Some(&newer));
    }
}
