//! The table of keys of a purpose: the reader accepts what stands here, the page prints it.

use crate::config::keys::{Key, Section, Type, key};
use crate::config::tables;

pub(super) const SECTIONS: &[Section] = &[Section {
    name: "purpose",
    many: true,
    about: "One purpose. May come more than once in a file; its name is the only one of that name in all files.",
}];

pub(super) const KEYS: &[Key] = &[
    key("purpose", "name", Type::Name, None, "Needed. Records and reports name the purpose by it."),
    key(
        "purpose",
        "actor",
        Type::Text,
        None,
        "Needed. Whom the purpose claims: the id of an actor, as `spoor actors` lists it. `*` stands for any letters but \
         `:` and `/`, anywhere behind the first `:`.",
    ),
    key("purpose", "owner", Type::Text, None, "Needed. Who answers for this."),
    key("purpose", "ticket", Type::Text, None, "Where it was agreed upon."),
    key(
        "purpose",
        "programs",
        Type::Items { of: "programs", example: "[\"/usr/bin/restic\"]" },
        None,
        "Needed. What may act: paths of executables, of scripts those of the scripts; globs; or `any`. With ` sha256:…` behind \
         the path, an executable must be that file.",
    ),
    key(
        "purpose",
        "credentials",
        Type::Items { of: "credentials", example: "[\"/etc/backup/token\", \"kind:pgpass\"]" },
        Some("[]"),
        "What may be used: a path or glob; `kind:…`; `id:…`; `identifier:name=value`, as `identifier:key_id=AKIA…`; or `any`. \
         Without it, none.",
    ),
    key(
        "purpose",
        "destinations",
        Type::Items { of: "destinations", example: "[\"db.example.com:5432\", \"10.0.0.0/8:443\"]" },
        Some("[]"),
        "Where to: a name, address or network, each with ports behind a `:` or with any; `unix:/path`; `vsock:CID:PORT`; or \
         `any`. Without it, nowhere.",
    ),
    key(
        "purpose",
        "times",
        Type::Items { of: "times", example: "[\"mon-fri 01:00-05:00 Europe/Amsterdam\"]" },
        None,
        "When: days (`mon`, `mon-fri`, `sat,sun`; without them daily), hours, time zone (without one UTC). Hours over midnight \
         belong to the day on which they begin. Without it, at any time.",
    ),
    key(
        "purpose",
        "expires",
        Type::Date,
        None,
        "The last day (UTC) on which it allows anything, or the moment at which that ends. It claims its actor also after.",
    ),
];

/// The how-to, which stands before the table.
const GUIDE: &str = include_str!("guide.md");

/// The page of purposes, Markdown: what `docs/PURPOSES.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut page = GUIDE.to_owned();
    page.push_str("\n## Every key\n");
    tables(&mut page, SECTIONS, KEYS);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page shows to be copied must be taken.
    #[test]
    fn the_examples_of_the_page_are_right() {
        let page = reference();
        let mut blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let first = blocks.next().unwrap();
        crate::purpose::read(&[("guide", first)]).unwrap();
        for block in blocks {
            crate::purpose::read(&[("guide", block)]).unwrap();
        }
    }
}
