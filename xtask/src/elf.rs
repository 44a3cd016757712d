//! One question about an ELF file: does it ask for a dynamic loader?

use anyhow::{Context, Result, ensure};

const PT_INTERP: u32 = 3;

/// Whether a 64-bit little-endian ELF names no interpreter. (`static-pie` is dynamic by type and static by this.)
pub(crate) fn is_static(bytes: &[u8]) -> Result<bool> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
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
    fn what_is_no_elf_or_cut_short_is_an_error() {
        assert!(is_static(b"#!/bin/sh\n").is_err());
        assert!(is_static(&elf(1)[..0x40]).is_err());
    }
}
