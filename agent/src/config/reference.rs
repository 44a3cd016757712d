//! The table of keys, as a page.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, SECTIONS, Section};

/// The reference page, Markdown: what `docs/CONFIG.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# The config file\n\n\
         Generated from the table the config is checked with. TOML; every key is optional unless it says otherwise. \
         Unknown keys are mistakes; `spoor check FILE` tells all mistakes of a file at once.\n",
    );
    tables(&mut page, SECTIONS, &KEYS);
    page
}

/// The sections and their keys, as a page lists them.
pub(crate) fn tables(page: &mut String, sections: &[Section], keys: &[Key]) {
    for section in sections {
        let title =
            if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `{title}`\n\n{}\n\n", section.about);
        page.push_str("| key | type | default | meaning | since |\n|---|---|---|---|---|\n");
        for key in keys.iter().filter(|key| key.section == section.name) {
            let default = key.default.map_or("none".to_owned(), |default| format!("`{default}`"));
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} | {} |",
                key.name,
                key.kind.label(),
                key.meaning,
                key.since
            );
        }
    }
}
