//! The files of a package, in the places where the distribution has them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::licences;
use crate::paths;
use crate::sh::Cmd;

/// Where families of distributions differ.
pub(super) struct Layout {
    units: &'static str,
    zsh: &'static str,
}

/// Units below /lib: `deb-systemd-helper` of Debian 12 and older looks nowhere else, and on a merged /usr it is the same.
pub(super) const DEBIAN: Layout =
    Layout { units: "lib/systemd/system", zsh: "usr/share/zsh/vendor-completions" };
pub(super) const RPM: Layout =
    Layout { units: "usr/lib/systemd/system", zsh: "usr/share/zsh/site-functions" };

const DOC: &str = "usr/share/doc/spoor";
const MAN: &str = "usr/share/man/man1";

/// Files of the repository, and where they go.
const COPIED: &[(&str, &str)] = &[
    ("deploy/spoor.toml", "etc/spoor/spoor.toml"),
    // The agent has it built in; this one is for reading.
    ("deploy/credentials.toml", "usr/share/spoor/credentials.toml"),
    ("deploy/debian/copyright", "usr/share/doc/spoor/copyright"),
    ("LICENSE-APACHE", "usr/share/doc/spoor/LICENSE-APACHE"),
    ("LICENSE-MIT", "usr/share/doc/spoor/LICENSE-MIT"),
    ("CHANGELOG.md", "usr/share/doc/spoor/CHANGELOG.md"),
    // A picture of docs/LOOK.md.
    ("docs/look.png", "usr/share/doc/spoor/look.png"),
    // And the plots of docs/PERFORMANCE.md.
    ("docs/performance/guest-credentials.svg", "usr/share/doc/spoor/performance/guest-credentials.svg"),
    ("docs/performance/guest-processes.svg", "usr/share/doc/spoor/performance/guest-processes.svg"),
    ("docs/performance/stages-cpus.svg", "usr/share/doc/spoor/performance/stages-cpus.svg"),
    ("docs/performance/stages-processes.svg", "usr/share/doc/spoor/performance/stages-processes.svg"),
];

/// Pages of docs/ that an administrator reads.
const PAGES: &[&str] = &[
    "BOOK",
    "CHAINS",
    "COMPARISON",
    "CONCEPTS",
    "CONFIG",
    "EVIDENCE",
    "FINDINGS",
    "INSTALL",
    "LOOK",
    "OPERATE",
    "PERFORMANCE",
    "PRIVACY",
    "PURPOSES",
    "RECORDS",
    "REPLAY",
    "ROUTES",
    "SCHEMAS",
    "SIEM",
    "SINKS",
    "START",
    "THREATS",
    "TROUBLESHOOTING",
];

/// Puts everything below a root.
pub(super) fn files(root: &Path, agent: &Path, layout: &Layout) -> Result<()> {
    let binary = fs::read(agent).with_context(|| format!("cannot read {}", agent.display()))?;
    write(&root.join("usr/bin/spoor"), 0o755, &binary)?;
    for (from, to) in COPIED {
        copy(from, &root.join(to))?;
    }
    for page in PAGES {
        copy(&format!("docs/{page}.md"), &root.join(DOC).join(format!("{page}.md")))?;
    }
    copy("deploy/spoor.service", &root.join(layout.units).join("spoor.service"))?;
    write(&root.join(DOC).join("THIRD-PARTY.txt"), 0o644, licences::texts()?.as_bytes())?;
    generated(root, agent, layout)?;
    // Whatever the umask is here.
    for folder in folders(root)? {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What the image holds: the program, what it has built in for reading, licences, and a place for the host's root. No pages:
/// nobody reads in there.
pub(super) fn image(root: &Path, agent: &Path) -> Result<()> {
    let binary = fs::read(agent).with_context(|| format!("cannot read {}", agent.display()))?;
    write(&root.join("usr/bin/spoor"), 0o755, &binary)?;
    for (from, to) in COPIED.iter().filter(|(from, _)| !from.ends_with(".md")) {
        copy(from, &root.join(to))?;
    }
    write(&root.join(DOC).join("THIRD-PARTY.txt"), 0o644, licences::texts()?.as_bytes())?;
    fs::create_dir_all(root.join("host")).context("cannot make the place for the host's root")
}

/// What the agent prints of itself: manual pages and completions.
fn generated(root: &Path, agent: &Path, layout: &Layout) -> Result<()> {
    let work = root.with_extension("shipped");
    Cmd::new(agent).arg("shipped").arg(&work).read()?;
    let mut pages = 0;
    for page in fs::read_dir(work.join("man"))? {
        let page = page?;
        let to = root.join(MAN).join(page.file_name());
        write(&to, 0o644, &fs::read(page.path())?)?;
        // Without name and time, so that the bytes are the page's alone.
        Cmd::new("gzip").args(["-9", "-n", "-f"]).arg(&to).read()?;
        pages += 1;
    }
    ensure!(pages > 1, "the agent wrote no manual pages");
    for (from, to) in completions(layout) {
        let text = fs::read(work.join("completions").join(from))
            .with_context(|| format!("the agent wrote no {from}"))?;
        write(&root.join(to), 0o644, &text)?;
    }
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))
}

fn completions(layout: &Layout) -> [(&'static str, String); 3] {
    [
        ("spoor.bash", "usr/share/bash-completion/completions/spoor".to_owned()),
        ("_spoor", format!("{}/_spoor", layout.zsh)),
        ("spoor.fish", "usr/share/fish/vendor_completions.d/spoor.fish".to_owned()),
    ]
}

/// Where files lie that are staged whatever the agent's verbs are.
#[cfg(test)]
pub(super) fn places(layout: &Layout) -> Vec<String> {
    let mut all = vec!["/usr/bin/spoor".to_owned(), format!("/{}/spoor.service", layout.units)];
    all.extend(COPIED.iter().map(|(_, to)| format!("/{to}")));
    all.extend(PAGES.iter().map(|page| format!("/{DOC}/{page}.md")));
    all.extend(completions(layout).map(|(_, to)| format!("/{to}")));
    all.push(format!("/{MAN}/spoor.1.gz"));
    all
}

/// What is installed, in KiB, as packages tell it.
pub(super) fn kilobytes(root: &Path) -> Result<String> {
    let mut bytes = 0;
    for folder in folders(root)? {
        for entry in fs::read_dir(folder)? {
            let meta = entry?.metadata()?;
            bytes += if meta.is_file() { meta.len() } else { 0 };
        }
    }
    Ok(bytes.div_ceil(1024).to_string())
}

/// A folder and all below it.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        next += 1;
    }
    Ok(found)
}

fn copy(from: &str, to: &Path) -> Result<()> {
    let path = paths::root().join(from);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    write(to, 0o644, &bytes)
}

/// Writes a file, and the folders it lies in.
pub(super) fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_shipped_but_those_for_developers() {
        let pages = fs::read_dir(paths::root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
        let pages = pages.filter_map(|name| name.to_string_lossy().strip_suffix(".md").map(str::to_owned));
        let mut pages: Vec<String> =
            pages.filter(|page| !matches!(page.as_str(), "ARCHITECTURE" | "CONTRIBUTING")).collect();
        pages.sort();
        assert_eq!(pages, PAGES);
    }
}
