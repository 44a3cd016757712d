//! Rules about every tracked text file.

use super::Violation;
use super::lexer::words;

/// Written in two halves, so that this file does not break its own rules.
const UNFINISHED: &[&str] = &[concat!("todo", "!"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders of one developer's machine.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Archives are found through the machine's own package managers: a name in the tree would break every mirror.
const HOSTS: &[&str] = &[
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("snapshot.", "debian.org"),
];

/// The one registry a dependency may come from, as Cargo.lock spells it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn violations<'a>(
    rule: &'static str,
    path: &'a str,
    text: &'a str,
    judge: impl Fn(&str) -> Option<String> + 'a,
) -> Vec<Violation> {
    let lines = text.lines().enumerate();
    let red = lines.filter_map(|(n, line)| judge(line).map(|text| (n + 1, text)));
    red.map(|(line, text)| Violation { rule, path: path.to_owned(), line, text }).collect()
}

/// What is unfinished is an issue, not a comment.
pub(super) fn unfinished(path: &str, text: &str) -> Vec<Violation> {
    violations("unfinished", path, text, |line| {
        let word = UNFINISHED.iter().find(|word| words(line, word).next().is_some())?;
        Some(format!("`{word}`: finish it, or say plainly what is not done and why"))
    })
}

/// Nothing of the machine it was written on.
pub(super) fn machine(path: &str, text: &str) -> Vec<Violation> {
    violations("machine", path, text, |line| {
        let folder = MACHINE
            .iter()
            .find(|folder| line.match_indices(*folder).any(|(at, _)| is_own(line, at, folder)))?;
        Some(format!("`{folder}` is a folder of one machine"))
    })
}

/// Whether the path that begins here is one developer's. What spoor watches lies in root's home too (`.ssh`, `.aws`), but
/// a toolchain there is somebody's own.
fn is_own(line: &str, at: usize, folder: &str) -> bool {
    let starts = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"-_./*~".contains(c));
    let rest = &line[at + folder.len()..];
    let watched = folder == MACHINE[1]
        && rest.starts_with('.')
        && !rest.starts_with(".cargo/registry")
        && !rest.starts_with(".rustup");
    starts && !watched
}

/// No archive by name, and no crate from anywhere but the one registry.
pub(super) fn hosts(path: &str, text: &str) -> Vec<Violation> {
    violations("host", path, text, |line| {
        if path.ends_with("Cargo.lock") {
            let source = line.strip_prefix("source = \"")?.trim_end_matches('"');
            return (source != REGISTRY).then(|| format!("a dependency comes from {source}"));
        }
        if path.starts_with(".cargo/") && (line.contains("replace-with") || line.starts_with("[source")) {
            return Some("a registry's replacement belongs in the machine's own cargo config".to_owned());
        }
        let host = HOSTS.iter().find(|host| line.contains(**host))?;
        Some(format!("`{host}`: archives are found through the machine's package managers"))
    })
}

/// Every page can be reached from the front door.
pub(super) fn linked(pages: &[&str], readme: Option<&str>, map: Option<&str>) -> Vec<Violation> {
    let reached = |page: &str| {
        let beside = page.strip_prefix("docs/").unwrap_or(page);
        let from = |text: Option<&str>, link: &str| {
            text.is_some_and(|text| {
                text.contains(&format!("({link}")) || text.contains(&format!("(./{link}"))
            })
        };
        from(readme, page) || (page != MAP && from(map, beside))
    };
    let red = pages.iter().filter(|page| !reached(page));
    let text = || format!("no link leads here from README.md or {MAP}");
    red.map(|page| Violation { rule: "docs", path: (*page).to_owned(), line: 1, text: text() }).collect()
}

/// The map of the code, where most pages are linked.
pub(super) const MAP: &str = "docs/ARCHITECTURE.md";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&str, &str) -> Vec<Violation>, path: &str, text: &str) -> Vec<usize> {
        rule(path, text).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn unfinished_work_is_red() {
        for word in UNFINISHED {
            assert_eq!(lines(unfinished, "a.rs", &format!("fine\n// {word}: later\n")), [2], "{word}");
            assert_eq!(lines(unfinished, "a.rs", &format!("fine AKIA{word}XXXX\n")), [0; 0], "{word}");
        }
    }

    #[test]
    fn folders_of_a_machine_are_red() {
        let [work, root] = MACHINE else { panic!("two folders") };
        assert_eq!(lines(machine, "a.md", &format!("see {work}notes\n")), [1]);
        assert_eq!(lines(machine, "a.md", &format!("({root}project)\n")), [1]);
        assert_eq!(lines(machine, "a.md", &format!("{root}.rustup/toolchains\n")), [1]);
        assert_eq!(
            lines(machine, "a.md", &format!("{root}.ssh/id_ed25519, /srv{work}x, /home/*{root}y\n")),
            [0; 0]
        );
    }

    #[test]
    fn archives_have_no_name_here() {
        assert_eq!(lines(hosts, "a.sh", &format!("curl http://{}/x\n", HOSTS[2])), [1]);
        assert_eq!(lines(hosts, "a.sh", "curl https://example.com/x\n"), [0; 0]);
        assert_eq!(lines(hosts, ".cargo/config.toml", "[source.mirror]\n"), [1]);
        assert_eq!(lines(hosts, "Cargo.lock", &format!("source = \"{REGISTRY}\"\n")), [0; 0]);
        assert_eq!(lines(hosts, "Cargo.lock", "source = \"git+https://example.com/fork\"\n"), [1]);
    }

    #[test]
    fn a_page_without_a_link_is_red() {
        let pages = [MAP, "docs/RECORDS.md", "docs/adr/1.md", "docs/LOST.md"];
        let red =
            linked(&pages, Some("[map](docs/ARCHITECTURE.md)"), Some("[r](RECORDS.md) [a](./adr/1.md)"));
        assert_eq!(red.iter().map(|violation| violation.path.as_str()).collect::<Vec<_>>(), ["docs/LOST.md"]);
    }
}
