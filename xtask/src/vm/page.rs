//! docs/ROUTES.md: the committed results as tables.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::matrix::{Matrix, System};
use super::results::{Found, Results};
use crate::paths;

/// The rows: as much of tests/routes.toml as readers see. The tests read the rest.
#[derive(Deserialize)]
struct Rows {
    #[serde(rename = "route")]
    routes: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    group: String,
    what: String,
}

/// A column: a cell of the matrix.
struct Column {
    cell: String,
    kernel: String,
    /// The tier of `secret.open`, and that of `connect` where it is another.
    tier: String,
}

/// Groups of rows, as in tests/routes.toml, and their headings.
const GROUPS: [(&str, &str, &str); 7] = [
    (
        "files",
        "To a credential's bytes",
        "Another program does the same to a file that is no credential, and leaves no record.",
    ),
    (
        "execution",
        "To an execution",
        "The program holds a credential; another, which holds none, does the same and leaves no record.",
    ),
    (
        "identity",
        "To another identity",
        "The program holds a credential; another, which holds none, does the same and leaves no record.",
    ),
    (
        "network",
        "To a peer",
        "The program holds a credential; the act of another, which holds none, is linked with none.",
    ),
    (
        "memory",
        "To what another process holds",
        "Another program does the same to a process that holds no credential, and leaves no record.",
    ),
    (
        "keys",
        "To a key of the kernel's key rings",
        "Another program makes and reads key rings, which hold keys and are no secrets, and leaves no record.",
    ),
    (
        "environment",
        "Into an environment",
        "Another program is started with variables that only look like secrets, and leaves no record.",
    ),
];

const HEAD: &str = "# Routes

Every way by which a credential is reached, a program executed or a connection made, and what spoor sees of it, per kernel and tier.
*Generated* by `cargo xtask docs` out of `tests/golden/routes.json`: do not edit it. That file holds what the test `routes` found
(`tests/src/suite/routes`), in which a real program takes each route; `cargo xtask vm` runs it on every kernel of the matrix and fails
where it finds anything else. What is expected, and why it is not more, is in `tests/routes.toml`.

- **seen**: one record, with what there is to say.
- **partial**: a record, from which something is missing.
- **not seen**: no record. The route is a blind spot of this tier.
- **not there**: this kernel has no such route.
- **?**: not run yet.
";

/// The page, as the repository's own files make it.
pub(crate) fn page() -> Result<String> {
    let path = paths::root().join("tests/routes.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Rows = toml::from_str(&text).with_context(|| format!("{} is not sound", path.display()))?;
    for Row { id, group, .. } in &rows.routes {
        let known = GROUPS.iter().any(|(name, _, _)| name == group);
        ensure!(known, "{id} is of group {group}, which has no heading in xtask/src/vm/page.rs");
    }
    let columns: Vec<Column> = Matrix::read()?
        .boots()
        .filter(|boot| boot.cell.system == System::Bare) // routes are taken in these only
        .map(|boot| Column { cell: boot.name(), tier: boot.tier(), kernel: boot.kernel.name })
        .collect();
    Ok(render(&rows.routes, &columns, &Results::committed()?))
}

fn render(rows: &[Row], columns: &[Column], results: &Results) -> String {
    let mut page = HEAD.to_owned();
    page += &kernels(columns, results);
    for (group, heading, twin) in GROUPS {
        let of: Vec<&Row> = rows.iter().filter(|row| row.group == group).collect();
        if !of.is_empty() {
            page += &section(heading, twin, &of, columns, results);
        }
    }
    page + &verifier(columns, results)
}

/// Which kernels the results are of.
fn kernels(columns: &[Column], results: &Results) -> String {
    let mut releases: Vec<String> = Vec::new();
    for found in columns.iter().filter_map(|column| results.0.get(&column.cell)) {
        let release = format!("`{}`", found.kernel);
        if !found.kernel.is_empty() && !releases.contains(&release) {
            releases.push(release);
        }
    }
    if releases.is_empty() { String::new() } else { format!("\nThe kernels: {}.\n", releases.join(", ")) }
}

fn section(heading: &str, twin: &str, rows: &[&Row], columns: &[Column], results: &Results) -> String {
    let heads = columns.iter().map(|column| format!("{}<br>{}", column.kernel, column.tier));
    let mut page = format!("\n## {heading}\n\n{twin}\n\n{}", head("route", heads));
    let mut reasons: Vec<&str> = Vec::new();
    for row in rows {
        let cells = columns.iter().map(|column| {
            let told = results.0.get(&column.cell).and_then(|found: &Found| found.routes.get(&row.id));
            told.map_or_else(|| "?".to_owned(), |told| cell(told, &mut reasons))
        });
        page += &line(&row.what, cells);
    }
    for (number, reason) in reasons.iter().enumerate() {
        let before = if number == 0 { "\n" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{before}{}. {reason}", number + 1);
    }
    page
}

/// A verdict and the number of its reason.
fn cell<'a>(told: &'a str, reasons: &mut Vec<&'a str>) -> String {
    let (word, reason) = told.split_once(": ").unwrap_or((told, ""));
    let word = word.replace('-', " ");
    if reason.is_empty() {
        return word;
    }
    let known = reasons.iter().position(|one| *one == reason);
    let number = known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    format!("**{word}** ({})", number + 1)
}

/// How many instructions the verifier walked, per program and kernel: the most of the kernel's cells.
fn verifier(columns: &[Column], results: &Results) -> String {
    let mut kernels: Vec<&str> = columns.iter().map(|column| column.kernel.as_str()).collect();
    kernels.dedup();
    let mut programs: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for column in columns {
        let Some(found) = results.0.get(&column.cell) else { continue };
        for (program, count) in &found.verified {
            let most = programs.entry(program).or_default().entry(&column.kernel).or_default();
            *most = (*most).max(count.parse().unwrap_or_default());
        }
    }
    if programs.is_empty() {
        return String::new();
    }
    let mut page = format!(
        "\n## What the verifier walks\n\nInstructions the kernel's verifier walked to accept a program. It gives up at a million; \
         our own ceilings are lower, and in `tests/budget.toml`. A dash: no cell of this kernel loads it, or the kernel does \
         not tell (before 5.16).\n\n{}",
        head("program", kernels.iter().map(|&kernel| kernel.to_owned()))
    );
    for (program, counts) in programs {
        let count = |kernel: &&str| counts.get(kernel).map_or_else(|| "–".to_owned(), u64::to_string);
        page += &line(&format!("`{program}`"), kernels.iter().map(count));
    }
    page
}

fn head(first: &str, columns: impl Iterator<Item = String> + Clone) -> String {
    let rule = columns.clone().map(|_| "---|".to_owned()).collect::<String>();
    format!("{}|---|{rule}\n", line(first, columns))
}

fn line(first: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {} |{}\n", first, cells.map(|cell| format!(" {cell} |")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::results::tests::found;

    fn column(kernel: &str, cell: &str, tier: &str) -> Column {
        let text = str::to_owned;
        Column { cell: format!("{kernel}-{cell}"), kernel: text(kernel), tier: text(tier) }
    }

    #[test]
    fn a_page_has_a_row_a_route_a_column_a_cell_and_a_reason_once() {
        let row = |id: &str, what: &str| Row {
            id: id.to_owned(),
            group: "files".to_owned(),
            what: what.to_owned(),
        };
        let columns =
            [column("5.10", "lsm", "lsm"), column("6.1", "lsm", "lsm"), column("6.1", "x", "fentry")];
        let results = Results(BTreeMap::from([
            ("5.10-lsm".to_owned(), found("5.10.9", &[("a", "seen"), ("b", "not-seen: why: so")], &[])),
            (
                "6.1-lsm".to_owned(),
                found("6.1.9", &[("a", "not-seen: why: so"), ("b", "seen")], &[("lsm_open", "12")]),
            ),
        ]));
        let page = render(&[row("a", "one"), row("b", "two")], &columns, &results);
        assert!(page.contains("| route | 5.10<br>lsm | 6.1<br>lsm | 6.1<br>fentry |\n|---|---|---|---|\n"));
        assert!(page.contains("| one | seen | **not seen** (1) | ? |\n"), "{page}");
        assert!(page.contains("| two | **not seen** (1) | seen | ? |\n\n1. why: so\n"), "{page}");
        assert!(page.contains("| `lsm_open` | – | 12 |\n"), "{page}");
        assert!(page.contains("The kernels: `5.10.9`, `6.1.9`."), "{page}");
    }

    #[test]
    fn the_page_of_the_repository_can_be_made() {
        assert!(page().unwrap().contains("## To a credential's bytes"));
    }
}
