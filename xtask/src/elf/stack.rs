//! How deep the stacks of a BPF object get: verifiers refuse more than 512 bytes, of a program and what it calls together, and
//! where another tier takes over nobody may notice for long.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Call, calls, number, sections, text};

const SHT_SYMTAB: u64 = 2;
const STT_FUNC: u64 = 2;
/// The register that points to the end of the stack.
const FRAME: u8 = 10;
/// Verifiers count frames in pieces of so many bytes.
const PIECE: u32 = 32;

/// A function of the object.
#[derive(Debug, Default)]
struct Function {
    name: String,
    section: usize,
    start: u64,
    end: u64,
    own: u32,
    calls: Vec<String>,
}

/// The deepest stack of all, and the program that has it.
pub(crate) fn deepest(bytes: &[u8]) -> Result<(u32, String)> {
    let all = functions(bytes)?;
    let by_name: BTreeMap<&str, &Function> = all.iter().map(|one| (one.name.as_str(), one)).collect();
    let depths = all.iter().map(|one| (total(one, &by_name, 0), one.name.clone()));
    depths.max().context("an object without functions")
}

/// No verifier takes functions that call themselves, or more than eight deep.
fn total(of: &Function, all: &BTreeMap<&str, &Function>, deep: u32) -> u32 {
    let below = of.calls.iter().filter(|_| deep < 8).filter_map(|name| all.get(name.as_str()));
    let below = below.map(|one| total(one, all, deep + 1)).max().unwrap_or(0);
    of.own.max(1).next_multiple_of(PIECE) + below
}

fn functions(bytes: &[u8]) -> Result<Vec<Function>> {
    let all = sections(bytes)?;
    let mut found = Vec::new();
    for symbols in all.iter().filter(|section| section.kind == SHT_SYMTAB) {
        let names = all.get(symbols.link).context("symbols without names")?;
        for symbol in symbols.range.clone().step_by(24) {
            if number(bytes, symbol + 4, 1)? & 0xf != STT_FUNC {
                continue;
            }
            let section = usize::try_from(number(bytes, symbol + 6, 2)?)?;
            let (start, size) = (number(bytes, symbol + 8, 8)?, number(bytes, symbol + 16, 8)?);
            let at =
                all.get(section).context("a function in no section")?.range.start + usize::try_from(start)?;
            let code = bytes.get(at..at + usize::try_from(size)?).context("the ELF file is cut short")?;
            let name = text(bytes, names.range.start + usize::try_from(number(bytes, symbol, 4)?)?)?;
            let end = start + size;
            found.push(Function { name, section, start, end, own: own(code), calls: Vec::new() });
        }
    }
    for Call { section, at, to } in calls(bytes, &all)? {
        let caller =
            found.iter_mut().find(|one| one.section == section && (one.start..one.end).contains(&at));
        caller.context("a call in no function")?.calls.push(to);
    }
    Ok(found)
}

/// How far below the end of its stack a function reaches, by its loads, its stores, and the addresses it makes.
fn own(code: &[u8]) -> u32 {
    let mut depth = 0_i64;
    let mut ends = [false; 16];
    let mut instructions = code.chunks_exact(8);
    while let Some(&[opcode, registers, low, high, ref value @ ..]) = instructions.next() {
        let (to, from) = (registers & 0xf, registers >> 4);
        let offset = i64::from(i16::from_le_bytes([low, high]));
        let value = i64::from(i32::from_le_bytes(value.try_into().unwrap_or_default()));
        let is_end = opcode == 0xbf && from == FRAME;
        match opcode {
            // Two in one.
            0x18 => drop(instructions.next()),
            0x07 if ends[usize::from(to)] => depth = depth.min(value),
            _ => {}
        }
        match opcode & 7 {
            1 if from == FRAME => depth = depth.min(offset),
            2 | 3 if to == FRAME => depth = depth.min(offset),
            _ => {}
        }
        if matches!(opcode & 7, 0 | 1 | 4 | 7) {
            ends[usize::from(to)] = is_end;
        }
    }
    u32::try_from(-depth).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_as_deep_as_what_is_done_to_it() {
        let one = |opcode: u8, registers: u8, offset: i16, value: i32| {
            let mut code = vec![opcode, registers];
            code.extend(offset.to_le_bytes());
            code.extend(value.to_le_bytes());
            code
        };
        assert_eq!(own(&one(0x95, 0, 0, 0)), 0, "exit");
        assert_eq!(own(&one(0x7b, 0x1a, -24, 0)), 24, "a register is stored");
        assert_eq!(own(&one(0x62, 0x0a, -40, 7)), 40, "a number is stored");
        assert_eq!(own(&one(0x79, 0xa1, -16, 0)), 16, "a load");
        assert_eq!(own(&one(0x7b, 0x12, -240, 0)), 0, "of another place");
        let address = [one(0xbf, 0xa2, 0, 0), one(0x07, 0x02, 0, -96)].concat();
        assert_eq!(own(&address), 96, "an address of it is made");
        let other = [one(0xbf, 0xa2, 0, 0), one(0xb7, 0x02, 0, 5), one(0x07, 0x02, 0, -96)].concat();
        assert_eq!(own(&other), 0, "the register has something else by then");
        let wide = [one(0x18, 0x01, 0, 1), one(0x7b, 0x1a, -480, 0), one(0x95, 0, 0, 0)].concat();
        assert_eq!(own(&wide), 0, "the second half of a wide number is no store");
    }

    #[test]
    fn frames_add_up_along_the_deepest_way() {
        let function = |name: &str, own: u32, calls: &[&str]| Function {
            name: name.to_owned(),
            own,
            calls: calls.iter().map(|call| (*call).to_owned()).collect(),
            ..Function::default()
        };
        let all = [
            function("open", 152, &["emit", "roll"]),
            function("emit", 264, &["share"]),
            function("share", 96, &[]),
            function("roll", 64, &[]),
        ];
        let by_name: BTreeMap<&str, &Function> = all.iter().map(|one| (one.name.as_str(), one)).collect();
        assert_eq!(total(&all[0], &by_name, 0), 160 + 288 + 96);
        assert_eq!(total(&all[3], &by_name, 0), 64);
    }
}
