//! Two questions about ELF files: does one ask for a dynamic loader, and do probes call one another?

use anyhow::{Context, Result, ensure};

const PT_INTERP: u32 = 3;
const SHT_REL: u32 = 9;
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

/// How many calls of one function by another a BPF object holds.
pub(crate) fn bpf_calls(bytes: &[u8]) -> Result<usize> {
    identify(bytes)?;
    let offset = usize::try_from(number(bytes, 0x28, 8)?)?;
    let size = usize::try_from(number(bytes, 0x3a, 2)?)?;
    let count = usize::try_from(number(bytes, 0x3c, 2)?)?;
    let mut calls = 0;
    for section in (0..count).map(|index| offset + index * size) {
        if number(bytes, section + 4, 4)? != u64::from(SHT_REL) {
            continue;
        }
        let start = usize::try_from(number(bytes, section + 0x18, 8)?)?;
        let length = usize::try_from(number(bytes, section + 0x20, 8)?)?;
        for entry in (start..start + length).step_by(16) {
            calls += usize::from(number(bytes, entry + 8, 4)? == R_BPF_64_32);
        }
    }
    Ok(calls)
}

fn identify(bytes: &[u8]) -> Result<()> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    Ok(())
}

/// A little-endian number of `len` bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64> {
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

    #[test]
    fn a_call_is_counted_and_nothing_else() {
        let object = |kinds: [u8; 2]| {
            let mut bytes = vec![0; 0x40 + 0x40 + 32];
            bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            (bytes[0x28], bytes[0x3a], bytes[0x3c]) = (0x40, 0x40, 1);
            (bytes[0x44], bytes[0x58], bytes[0x60]) = (9, 0x80, 32);
            (bytes[0x88], bytes[0x98]) = (kinds[0], kinds[1]);
            bytes
        };
        assert_eq!(bpf_calls(&object([1, 1])).unwrap(), 0);
        assert_eq!(bpf_calls(&object([1, 10])).unwrap(), 1);
        assert!(bpf_calls(&object([1, 1])[..0x90]).is_err());
    }

    #[test]
    fn what_is_no_elf_or_cut_short_is_an_error() {
        assert!(is_static(b"#!/bin/sh\n").is_err());
        assert!(is_static(&elf(1)[..0x40]).is_err());
    }
}
