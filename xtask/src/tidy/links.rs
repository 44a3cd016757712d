//! Links of pages: each relative one leads somewhere, and the book has every page.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;

/// The order to read in.
pub(super) const BOOK: &str = "docs/BOOK.md";

/// Texts that are shown as part of another page: their links are that page's.
const SHOWN_IN: &[(&str, &str)] = &[("agent/src/purpose/guide.md", "docs/PURPOSES.md")];

/// Every relative link of a page leads to a file that is tracked, and to a heading of it. Code is no text.
pub(super) fn resolve(files: &[(String, String)]) -> Vec<Violation> {
    let tracked: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let pages = || files.iter().filter(|(path, _)| path.ends_with(".md"));
    let headings: BTreeMap<&str, BTreeSet<String>> =
        pages().map(|(path, text)| (path.as_str(), anchors(text))).collect();
    let folder = |path: &str| tracked.iter().any(|file| file.starts_with(&format!("{path}/")));
    let mut found = Vec::new();
    for (path, text) in pages() {
        let shown = SHOWN_IN.iter().find(|(from, _)| from == path).map_or(path.as_str(), |(_, page)| page);
        for (line, link) in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { shown.to_owned() } else { joined(shown, file) };
            let red = if !tracked.contains(target.as_str()) && !folder(&target) {
                Some(format!("`{link}` leads nowhere"))
            } else if anchor.is_empty()
                || headings.get(target.as_str()).is_none_or(|all| all.contains(anchor))
            {
                None
            } else {
                Some(format!("`{link}`: {target} has no such heading"))
            };
            found.extend(red.map(|text| Violation { rule: "links", path: path.clone(), line, text }));
        }
    }
    found
}

/// Every page is in the book, which is there.
pub(super) fn bound(files: &[(String, String)]) -> Vec<Violation> {
    let pages: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).filter(|path| is_page(path)).collect();
    if pages.is_empty() {
        return Vec::new();
    }
    let book = files.iter().find(|(path, _)| path == BOOK).map(|(_, text)| links(text)).unwrap_or_default();
    let has =
        |page: &str| book.iter().any(|(_, link)| joined(BOOK, link.split('#').next().unwrap_or("")) == page);
    let red = pages.iter().filter(|page| **page != BOOK && !has(page));
    let text = || format!("{BOOK} does not name this page");
    red.map(|page| Violation { rule: "book", path: (*page).to_owned(), line: 1, text: text() }).collect()
}

/// A page of the book, decisions and their like not among them.
pub(super) fn is_page(path: &str) -> bool {
    path.strip_prefix("docs/").is_some_and(|rest| rest.ends_with(".md") && !rest.contains('/'))
}

/// Where a link leads, from the root of the tree.
fn joined(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Lines that are no code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((n + 1, line))
    })
}

/// Relative links, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in prose(text) {
        // What stands between backticks shows a link, and is none.
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for part in outside.split("](").skip(1) {
            let Some(link) = part.split(')').next() else { continue };
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            if !link.is_empty() && !elsewhere && !link.contains(' ') {
                found.push((n, link.to_owned()));
            }
        }
    }
    found
}

/// Headings as links name them: lower case, words joined, punctuation gone; one that comes again has a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let mut name = slug.clone();
        let mut again = 0;
        while !found.insert(name.clone()) {
            again += 1;
            name = format!("{slug}-{again}");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    fn red(found: Vec<Violation>) -> Vec<String> {
        found
            .into_iter()
            .map(|violation| format!("{}:{}: {}", violation.path, violation.line, violation.text))
            .collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_red() {
        let tree = files(&[
            (
                "README.md",
                "[a](docs/A.md) [b](docs/B.md#no-more) [c](https://example.com/x) [d](docs) [e](#here)\n# Here\n",
            ),
            (
                "docs/A.md",
                "x\n[back](../README.md#here) [gone](C.md)\n```\n[code](nothing.md)\n```\n`[code](nothing.md)`\n",
            ),
            (
                "docs/B.md",
                "# One: two, `three`\n## One\n## One\n[1](#one-two-three) [2](#one-1) [3](#one-2) [adr](adr/1.md)\n",
            ),
            ("docs/adr/1.md", "[up](../B.md)\n"),
        ]);
        assert_eq!(
            red(resolve(&tree)),
            [
                "README.md:1: `docs/B.md#no-more`: docs/B.md has no such heading",
                "docs/A.md:2: `C.md` leads nowhere",
                "docs/B.md:4: `#one-2`: docs/B.md has no such heading",
            ]
        );
    }

    #[test]
    fn a_page_that_is_not_in_the_book_is_red() {
        let tree = files(&[
            (BOOK, "[a](A.md)\n"),
            ("docs/A.md", ""),
            ("docs/LOST.md", ""),
            ("docs/adr/1.md", ""),
            ("README.md", "[l](docs/LOST.md)"),
        ]);
        assert_eq!(red(bound(&tree)), ["docs/LOST.md:1: docs/BOOK.md does not name this page"]);
        assert_eq!(red(bound(&files(&[("docs/A.md", "")]))).len(), 1, "no book at all");
        assert_eq!(red(bound(&files(&[("a.rs", "")]))), [""; 0]);
    }
}
