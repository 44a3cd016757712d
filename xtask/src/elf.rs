//! Questions about ELF files: does one ask for a dynamic loader, what do probes call, and what is in a section?

mod stack;

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result, ensure};

pub(crate) use stack::deepest;

const PT_INTERP: u32 = 3;
const SHT_REL: u64 = 9;
const STB_GLOBAL: u64 = 1;
/// The relocation of a call, in BPF objects.
const R_BPF_64_32: u64 = 10;

/// Whether a 64-bit little-endian ELF names no interpreter. (`static-pie` is dynamic by type and static by this.)
pub(crate) fn is_static(bytes: &[u8]) -> Result<bool> {
    identify(bytes)?;
    let offset = usize::try_from(number(bytes, 0x20, 8)?)?;
    let size = usize::try_from(number(bytes, 0x36, 2)?)?;
    let count = usize::try_from(number(bytes, 0x38, 2)?)?;
    for index in 0..count {
        if number(bytes, offset + index * size, 4)? == u64::from(PT_INTERP) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The functions that a BPF object calls, by name, each once. A call without a name is one that nobody but the compiler made.
pub(crate) fn bpf_calls(bytes: &[u8]) -> Result<BTreeSet<String>> {
    Ok(calls(bytes, &sections(bytes)?)?.into_iter().map(|call| call.to).collect())
}

/// A call of a BPF object.
struct Call {
    /// In which section, and where there.
    section: usize,
    at: u64,
    /// Whom; empty where only the object itself knows it.
    to: String,
}

fn calls(bytes: &[u8], all: &[Section]) -> Result<Vec<Call>> {
    let mut found = Vec::new();
    for section in all.iter().filter(|section| section.kind == SHT_REL) {
        let symbols = all.get(section.link).context("relocations without symbols")?;
        let names = all.get(symbols.link).context("symbols without names")?;
        for entry in section.range.clone().step_by(16) {
            if number(bytes, entry + 8, 4)? != R_BPF_64_32 {
                continue;
            }
            let symbol = usize::try_from(number(bytes, entry + 12, 4)?)?;
            let symbol = symbols.range.start + symbol * 24;
            let name = names.range.start + usize::try_from(number(bytes, symbol, 4)?)?;
            let global = number(bytes, symbol + 4, 1)? >> 4 == STB_GLOBAL;
            let to = if global { text(bytes, name)? } else { String::new() };
            found.push(Call { section: section.of, at: number(bytes, entry, 8)?, to });
        }
    }
    Ok(found)
}

/// The content of a section.
pub(crate) fn section<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let all = sections(bytes)?;
    let names = all.get(usize::try_from(number(bytes, 0x3e, 2)?)?).context("sections without names")?;
    for section in &all {
        if text(bytes, names.range.start + section.name)? == name {
            return bytes.get(section.range.clone()).map(Some).context("the ELF file is cut short");
        }
    }
    Ok(None)
}

struct Section {
    name: usize,
    kind: u64,
    range: Range<usize>,
    link: usize,
    /// Of relocations, the section they are of.
    of: usize,
}

fn sections(bytes: &[u8]) -> Result<Vec<Section>> {
    identify(bytes)?;
    let offset = usize::try_from(number(bytes, 0x28, 8)?)?;
    let size = usize::try_from(number(bytes, 0x3a, 2)?)?;
    let count = usize::try_from(number(bytes, 0x3c, 2)?)?;
    let section = |at: usize| {
        let start = usize::try_from(number(bytes, at + 0x18, 8)?)?;
        let length = usize::try_from(number(bytes, at + 0x20, 8)?)?;
        Ok(Section {
            name: usize::try_from(number(bytes, at, 4)?)?,
            kind: number(bytes, at + 4, 4)?,
            range: start..start + length,
            link: usize::try_from(number(bytes, at + 0x28, 4)?)?,
            of: usize::try_from(number(bytes, at + 0x2c, 4)?)?,
        })
    };
    (0..count).map(|index| section(offset + index * size)).collect()
}

/// A name that is ended by NUL.
fn text(bytes: &[u8], at: usize) -> Result<String> {
    let rest = bytes.get(at..).context("the ELF file is cut short")?;
    let end = rest.iter().position(|byte| *byte == 0).context("a name without an end")?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn identify(bytes: &[u8]) -> Result<()> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    Ok(())
}

/// A little-endian number of `len` bytes.
pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64> {
    let field = bytes.get(at..at + len).context("the ELF file is cut short")?;
    Ok(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and one program header of the given type.
    fn elf(kind: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x40 + 0x38];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x20] = 0x40;
        bytes[0x36] = 0x38;
        bytes[0x38] = 1;
        bytes[0x40..0x44].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn an_interpreter_makes_it_dynamic() {
        assert!(is_static(&elf(1)).unwrap());
        assert!(!is_static(&elf(PT_INTERP)).unwrap());
    }

    /// Relocations, symbols and names, in this order, and an entry of each.
    fn object(kinds: [u8; 2], binding: u8) -> Vec<u8> {
        let mut bytes = vec![0; 0x40 + 3 * 0x40 + 32 + 24 + 8];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[0x28], bytes[0x3a], bytes[0x3c], bytes[0x3e]) = (0x40, 0x40, 3, 2);
        let mut section = |index: usize, kind: u8, start: usize, len: u8, link: u8| {
            let at = 0x40 + index * 0x40;
            (bytes[at + 4], bytes[at + 0x20], bytes[at + 0x28]) = (kind, len, link);
            bytes[at + 0x18..at + 0x1a].copy_from_slice(&u16::try_from(start).unwrap().to_le_bytes());
        };
        section(0, 9, 0x100, 32, 1);
        section(1, 2, 0x120, 24, 2);
        section(2, 3, 0x138, 8, 0);
        (bytes[0x108], bytes[0x118]) = (kinds[0], kinds[1]);
        bytes[0x124] = binding << 4;
        bytes[0x138..0x13c].copy_from_slice(b"roll");
        bytes
    }

    #[test]
    fn a_call_is_found_by_the_name_it_has() {
        assert!(bpf_calls(&object([1, 1], 1)).unwrap().is_empty());
        assert_eq!(bpf_calls(&object([1, 10], 1)).unwrap(), BTreeSet::from(["roll".to_owned()]));
        let nameless = BTreeSet::from([String::new()]);
        assert_eq!(bpf_calls(&object([10, 1], 0)).unwrap(), nameless, "one that the compiler made");
        assert!(bpf_calls(&object([1, 1], 1)[..0xd0]).is_err());
        assert_eq!(section(&object([1, 1], 1), "roll").unwrap().map(<[u8]>::len), Some(32));
        assert!(section(&object([1, 1], 1), "maps").unwrap().is_none());
    }

    #[test]
    fn what_is_no_elf_or_cut_short_is_an_error() {
        assert!(is_static(b"#!/bin/sh\n").is_err());
        assert!(is_static(&elf(1)[..0x40]).is_err());
    }
}
