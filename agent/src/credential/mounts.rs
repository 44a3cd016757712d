//! The mount table, and device numbers as the kernel's probes know them.

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// One line of a mountinfo file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    /// The kernel's `s_dev`.
    pub(super) dev: u32,
    /// Where.
    pub(super) point: Vec<u8>,
    /// `stat` tells another device than the kernel keeps.
    pub(super) btrfs: bool,
    /// In memory, where secrets are mounted; data volumes are not.
    pub(super) memory: bool,
}

/// Longest mount table that is read.
const TABLE_MAX: u64 = 16 << 20;

/// Mounts as a process sees them (`self` or a number).
pub(super) fn of(process: &str) -> Vec<Mount> {
    use std::io::Read as _;
    let mut table = Vec::new();
    let file = File::open(format!("/proc/{process}/mountinfo"));
    match file.and_then(|file| file.take(TABLE_MAX).read_to_end(&mut table)) {
        Ok(_) => parse(&table),
        Err(_) => Vec::new(),
    }
}

pub(super) fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let dev = fields.nth(1)?;
    let colon = dev.iter().position(|byte| *byte == b':')?;
    let major = number(dev.get(..colon)?)?;
    let minor = number(dev.get(colon + 1..)?)?;
    let point = unescape(fields.nth(1)?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount {
        id,
        dev: kernel_dev(major, minor),
        point,
        btrfs: kind == b"btrfs",
        memory: matches!(kind, b"tmpfs" | b"ramfs"),
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `\040` and the like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *byte == b'\\');
        let value = octal.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        out.push(value.unwrap_or(*byte));
        rest = after.get(if value.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    out
}

/// `major << 20 | minor`; numbers that do not fit belong to no device.
fn kernel_dev(major: u64, minor: u64) -> u32 {
    u32::try_from(major << 20 | minor).unwrap_or(u32::MAX)
}

/// From `st_dev`.
pub(super) fn s_dev(st_dev: u64) -> u32 {
    kernel_dev(nix::sys::stat::major(st_dev), nix::sys::stat::minor(st_dev))
}

/// Device of an open file as the kernel keeps it. On btrfs `stat` tells a number of the subvolume, so the mount is asked;
/// `process` is whose mounts the file was opened through.
pub(super) fn dev_of(file: &File, st_dev: u64, process: &str) -> u32 {
    let plain = s_dev(st_dev);
    let kind = nix::sys::statfs::fstatfs(file).map(|stat| stat.filesystem_type());
    if kind != Ok(nix::sys::statfs::BTRFS_SUPER_MAGIC) {
        return plain;
    }
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()));
    let info = info.unwrap_or_default();
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let Some(id) = id.and_then(|id| id.trim().parse::<u64>().ok()) else {
        return plain;
    };
    let mounts = of(process);
    let mount = mounts.iter().find(|mount| mount.id == id && mount.btrfs);
    mount.map_or(plain, |mount| mount.dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let table = b"36 35 98:2 /mnt1 /mnt\\040a rw,noatime master:1 - ext3 /dev/root rw\n\
            40 35 0:35 / / rw - btrfs /dev/sda1 rw\n41 40 0:36 / /s rw - tmpfs t rw\nshort line\n\n";
        let mounts = parse(table);
        assert_eq!(mounts.len(), 3);
        assert_eq!(
            mounts[0],
            Mount { id: 36, dev: 98 << 20 | 2, point: b"/mnt a".to_vec(), btrfs: false, memory: false }
        );
        assert!(mounts[1].btrfs && !mounts[1].memory && mounts[2].memory);
    }

    #[test]
    fn this_process_has_a_root() {
        assert!(of("self").iter().any(|mount| mount.point == b"/"));
        let file = File::open("/").unwrap();
        let meta = file.metadata().unwrap();
        let dev = dev_of(&file, std::os::unix::fs::MetadataExt::dev(&meta), "self");
        assert_ne!(dev, 0);
    }

    proptest::proptest! {
        #[test]
        fn any_table(table in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&table);
            let _ = unescape(&table);
        }
    }
}
