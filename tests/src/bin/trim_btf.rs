//! Cuts a kernel's BTF down to what `agent/src/kernel/offsets.rs` asks for: `trim-btf FULL TRIMMED`.
//!
//! What is left is valid BTF of some tens of kilobytes: the structs named below with all their members, whatever they
//! hold by value, and the enum of the cgroup controllers. Pointers point to `void`. So the fixtures in `tests/btf/` stand
//! for kernels that are not running here.
//!
//! `/sys/kernel/btf/vmlinux` is the full description of the running kernel. That of another comes out of its boot image:
//! find the compressed kernel in it (the magic number of lz4, xz, zstd or gzip; the kernel's `scripts/extract-vmlinux`
//! does that), unpack it, then `objcopy --dump-section .BTF=FULL vmlinux /dev/null`. After a new fixture, `BLESS=1 cargo
//! test -p spoor --test btf` writes the offsets beside it.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, bail, ensure};

/// Every struct the agent asks for.
const STRUCTS: [&str; 33] = [
    "task_struct",
    "signal_struct",
    "cred",
    "pid",
    "upid",
    "pid_namespace",
    "nsproxy",
    "mnt_namespace",
    "css_set",
    "cgroup_subsys_state",
    "cgroup",
    "kernfs_node",
    "mm_struct",
    "linux_binprm",
    "file",
    "dentry",
    "inode",
    "super_block",
    "mount",
    "vfsmount",
    "files_struct",
    "fdtable",
    "socket",
    "sock",
    "pt_regs",
    "proc_inode",
    "user_namespace",
    "net",
    "unix_sock",
    "msghdr",
    "key",
    "key_type",
    "rb_node",
];
/// The enum that has this value.
const VALUE: &str = "pids_cgrp_id";

const HEADER_LEN: u32 = 24;
const MAGIC: u32 = 0xeb9f;
const VERSION: u32 = 1;

const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [full, trimmed] = args.as_slice() else { bail!("usage: trim-btf FULL TRIMMED") };
    let bytes = std::fs::read(full).with_context(|| format!("reading {full}"))?;
    let out = trim(&bytes)?;
    std::fs::write(trimmed, &out).with_context(|| format!("writing {trimmed}"))?;
    println!("{full}: {} bytes, {trimmed}: {}", bytes.len(), out.len());
    Ok(())
}

/// The part of a full BTF that the agent asks for, as BTF.
pub(crate) fn trim(full: &[u8]) -> Result<Vec<u8>> {
    let word = |at| word(full, at).context("no header");
    ensure!(word(0)? & 0xffff == MAGIC, "no BTF of this machine's endianness");
    let part = |at: u32, len: u32| {
        let start = usize::try_from(word(4)?)? + usize::try_from(at)?;
        full.get(start..start + usize::try_from(len)?).context("a part lies outside")
    };
    let strings = part(word(16)?, word(20)?)?;
    let types = Types::read(part(word(8)?, word(12)?)?)?;
    let kept = types.closure(types.asked_for(strings)?)?;
    Writer::new(strings).write(&types, &kept)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn string(strings: &[u8], at: u32) -> Result<&[u8]> {
    let rest = strings.get(usize::try_from(at)?..).context("a name lies outside")?;
    rest.split(|byte| *byte == 0).next().context("a name lies outside")
}

/// A type as words: name, info, size or type, particulars.
struct Type(Vec<u32>);

impl Type {
    fn kind(&self) -> u32 {
        (self.0[1] >> 24) & 0x1f
    }

    /// Which of its words are names.
    fn names(&self) -> Vec<usize> {
        let each = match self.kind() {
            STRUCT | UNION | 19 => 3,
            ENUM => 2,
            _ => return vec![0],
        };
        std::iter::once(0).chain((3..self.0.len()).step_by(each)).collect()
    }

    /// Which of its words are types it is made of.
    fn references(&self) -> Vec<usize> {
        match self.kind() {
            ARRAY => vec![3, 4],
            STRUCT | UNION => (4..self.0.len()).step_by(3).collect(),
            8..=11 | 18 => vec![2],
            _ => Vec::new(),
        }
    }
}

/// All types; the first is number 1.
struct Types(Vec<Type>);

impl Types {
    fn read(mut bytes: &[u8]) -> Result<Self> {
        let mut types = Vec::new();
        while !bytes.is_empty() {
            let info = word(bytes, 4).context("a type is cut short")?;
            let vlen = usize::try_from(info & 0xffff)?;
            let more = match (info >> 24) & 0x1f {
                1 | 14 | 17 => 1,
                ARRAY => 3,
                STRUCT | UNION | 15 | 19 => 3 * vlen,
                ENUM | 13 => 2 * vlen,
                PTR | 7..=12 | 16 | 18 => 0,
                kind => bail!("a type of unknown kind {kind}"),
            };
            let (this, rest) = bytes.split_at_checked(4 * (3 + more)).context("a type is cut short")?;
            types.push(Type((0..3 + more).filter_map(|index| word(this, 4 * index)).collect()));
            bytes = rest;
        }
        Ok(Types(types))
    }

    fn get(&self, id: u32) -> Result<&Type> {
        let index = usize::try_from(id)?.checked_sub(1);
        index.and_then(|index| self.0.get(index)).with_context(|| format!("there is no type {id}"))
    }

    fn asked_for(&self, strings: &[u8]) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for (id, of) in (1..).zip(&self.0) {
            let wanted = match of.kind() {
                STRUCT => STRUCTS.iter().any(|name| string(strings, of.0[0]).ok() == Some(name.as_bytes())),
                ENUM => {
                    of.names().into_iter().any(|at| string(strings, of.0[at]).ok() == Some(VALUE.as_bytes()))
                }
                _ => false,
            };
            if wanted {
                found.push(id);
            }
        }
        ensure!(
            found.len() > STRUCTS.len(),
            "of {} structs and an enum only {} are there",
            STRUCTS.len(),
            found.len()
        );
        Ok(found)
    }

    /// The types, and all that they hold by value, in the order of the original.
    fn closure(&self, mut open: Vec<u32>) -> Result<BTreeSet<u32>> {
        let mut kept = BTreeSet::new();
        while let Some(id) = open.pop() {
            if id != 0 && kept.insert(id) {
                let of = self.get(id)?;
                open.extend(of.references().into_iter().map(|at| of.0[at]));
            }
        }
        Ok(kept)
    }
}

/// Gathers the strings that are still needed.
struct Writer<'a> {
    from: &'a [u8],
    strings: Vec<u8>,
    known: HashMap<&'a [u8], u32>,
}

impl<'a> Writer<'a> {
    fn new(from: &'a [u8]) -> Self {
        Writer { from, strings: vec![0], known: HashMap::from([(&b""[..], 0)]) }
    }

    fn name(&mut self, at: u32) -> Result<u32> {
        let name = string(self.from, at)?;
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let new = u32::try_from(self.strings.len())?;
        self.strings.extend(name);
        self.strings.push(0);
        self.known.insert(name, new);
        Ok(new)
    }

    fn write(mut self, types: &Types, kept: &BTreeSet<u32>) -> Result<Vec<u8>> {
        let numbers = numbers(types, kept)?;
        // Number 1 is the pointer that stands for all pointers.
        let mut words = vec![0, PTR << 24, 0];
        for id in kept {
            let of = types.get(*id)?;
            if of.kind() == PTR {
                continue;
            }
            let mut new = of.0.clone();
            for at in of.names() {
                new[at] = self.name(of.0[at])?;
            }
            for at in of.references() {
                new[at] = numbers.get(&of.0[at]).copied().context("a type that was not kept")?;
            }
            words.extend(new);
        }
        let (types_len, strings_len) = (u32::try_from(4 * words.len())?, u32::try_from(self.strings.len())?);
        let header = [MAGIC | VERSION << 16, HEADER_LEN, 0, types_len, types_len, strings_len];
        let words = header.iter().chain(&words);
        Ok(words.flat_map(|word| word.to_ne_bytes()).chain(self.strings).collect())
    }
}

/// New numbers of the types kept; `void` keeps its own.
fn numbers(types: &Types, kept: &BTreeSet<u32>) -> Result<HashMap<u32, u32>> {
    let mut numbers = HashMap::from([(0, 0)]);
    let mut next = 2;
    for id in kept {
        if types.get(*id)?.kind() == PTR {
            numbers.insert(*id, 1);
        } else {
            numbers.insert(*id, next);
            next += 1;
        }
    }
    Ok(numbers)
}
