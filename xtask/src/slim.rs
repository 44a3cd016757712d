//! What of its debug info a probe object keeps: the kinds of its functions, which verifiers ask for before they take one by
//! itself (docs/adr/0027), and not the lines of its sources, which are ten times the code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::elf;
use crate::sh::Cmd;

const SECTION: &str = ".BTF.ext";
const MAGIC: u64 = 0xeb9f;
/// Where the header has its own length, and where and how long the two parts are, each counted from behind it.
const HEADER_LEN: usize = 4;
const FUNCTIONS: (usize, usize) = (8, 12);
const LINES: (usize, usize) = (16, 20);

/// Takes the debug info out of an object.
pub(crate) fn slim(objcopy: &Path, object: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(object).with_context(|| format!("no object at {}", object.display()))?;
    let section =
        elf::section(&bytes, SECTION)?.with_context(|| format!("{} has no {SECTION}", object.display()))?;
    let kept = to.with_extension("btf-ext");
    fs::write(&kept, without_lines(section)?).with_context(|| format!("cannot write {}", kept.display()))?;
    // The relocations of both sections say what their numbers say already.
    Cmd::new(objcopy)
        .args(["--strip-debug", "--remove-section=.rel.BTF", "--remove-section=.rel.BTF.ext"])
        .arg(format!("--update-section={SECTION}={}", kept.display()))
        .arg(object)
        .arg(to)
        .run()?;
    fs::remove_file(&kept).with_context(|| format!("cannot remove {}", kept.display()))
}

/// The section with its functions and no lines.
fn without_lines(section: &[u8]) -> Result<Vec<u8>> {
    let number = |at: usize| elf::number(section, at, 4).and_then(|number| Ok(usize::try_from(number)?));
    ensure!(elf::number(section, 0, 2)? == MAGIC, "{SECTION} begins otherwise than it should");
    let (header, start, len) = (number(HEADER_LEN)?, number(FUNCTIONS.0)?, number(FUNCTIONS.1)?);
    ensure!(start == 0 && header > LINES.1, "{SECTION} is laid out otherwise than it should be");
    let mut kept = section.get(..header + len).context("the section is cut short")?.to_vec();
    // Both parts behind the functions, lines and relocations, are empty and begin where those end.
    let end = u32::try_from(len)?.to_le_bytes();
    for (offset, length) in [LINES, (24, 28)] {
        if length + 4 <= header {
            kept[offset..offset + 4].copy_from_slice(&end);
            kept[length..length + 4].fill(0);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_stay_and_lines_go() {
        let mut section = vec![0x9f, 0xeb, 1, 0, 32, 0, 0, 0];
        for number in [0_u32, 8, 8, 4, 12, 0] {
            section.extend(number.to_le_bytes());
        }
        section.extend([7; 8]);
        section.extend([9; 4]);
        let kept = without_lines(&section).unwrap();
        assert_eq!(kept.len(), 40);
        assert_eq!(kept[32..], [7; 8]);
        assert_eq!((kept[12], kept[16], kept[20], kept[24], kept[28]), (8, 8, 0, 8, 0));
        assert!(without_lines(&section[..36]).is_err(), "cut short");
        assert!(without_lines(&section[1..]).is_err(), "another section");
    }
}
