//! docs/RECORDS.md, from one table. A test holds the table against the golden records, both ways.

mod fields;

use std::fmt::Write as _;

#[cfg(test)]
pub(super) use fields::SAME;
pub(super) use fields::fields;
use fields::{ACTIONS, ALL, CHAINED, COVERAGE, FOUND, IDENTIFIED, LINED, LISTED};

const HEAD: &str = "\
# Records

Generated from the table in `agent/src/record/reference/fields.rs`, which a test holds against the records
themselves. Do not edit.

A record is one JSON object on one line. Keys stand in the order given here. What is absent is left out, never null, but for
`process.auid`. Bytes that are not printable are escaped. Types and fields will be added: pass over those you do not know.

A **chain** tells of one run of an actor's job: which credentials it opened, inherited or held, and what it then executed and
reached. `link` says that an action was *observed after* credential openings, how the process came by them and how far
apart they are. It does not say that the credential was used for the action: the kernel does not show that.

Behind the name of each field stands where it occurs: everywhere, or in the types listed, with the action or the status.
";

/// Every field there is, as the page names it.
#[cfg(test)]
pub(crate) fn field_paths() -> impl Iterator<Item = &'static str> {
    fields().map(|field| field.path)
}

/// docs/RECORDS.md.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    let sections: [(&str, &[&str]); 9] = [
        ("In every record", ALL),
        ("In actions, chains, findings and the inventory", IDENTIFIED),
        ("In actions, chains and findings", LINED),
        ("In actions and chains", CHAINED),
        ("In actions", ACTIONS),
        ("In findings", FOUND),
        ("In inventory records", LISTED),
        ("In coverage records", COVERAGE),
        ("In some records", &[]),
    ];
    for (title, records) in sections {
        let in_section = |field: &&'static fields::Field| match records {
            [] => !sections.iter().any(|(_, records)| *records == field.records),
            records => records == field.records,
        };
        // Writing to a String does not fail.
        let _ = write!(text, "\n## {title}\n\n");
        let named = records.is_empty();
        text.push_str(if named {
            "| field | in | shape | meaning |\n|---|---|---|---|\n"
        } else {
            "| field | shape | meaning |\n|---|---|---|\n"
        });
        for field in fields().filter(in_section) {
            let place = if named { format!(" {} |", field.records.join(", ")) } else { String::new() };
            let _ = writeln!(text, "| `{}` |{place} {} | {} |", field.path, field.shape, field.meaning);
        }
    }
    text.push('\n');
    text.push_str(crate::actor::GRAMMAR);
    text
}
