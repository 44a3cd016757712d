//! What follows the header, one struct a kind. Variable parts lie in the sample's tail and are found by [`Span`]s.

use core::mem::size_of;

/// A piece of the sample's tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// From the first byte of the sample.
    pub offset: u32,
    /// In bytes.
    pub len: u16,
    /// [`SPAN_TRUNCATED`], [`SPAN_UNREADABLE`]
    pub flags: u16,
}

/// The original was longer: only its beginning (of a path: its end) is here.
pub const SPAN_TRUNCATED: u16 = 1;
/// The original could not be read, or not to its end.
pub const SPAN_UNREADABLE: u16 = 2;

/// Most bytes of arguments a sample carries.
pub const ARGV_MAX: u32 = 4096;
/// Most bytes of a path a sample carries.
pub const PATH_MAX: u32 = 4096;
/// Most bytes of a cgroup path a sample carries.
pub const CGROUP_MAX: u32 = 1024;
/// Most path components walked up.
pub const PATH_DEPTH_MAX: u32 = 40;
/// Most cgroup levels walked up.
pub const CGROUP_DEPTH_MAX: u32 = 12;
/// Longest name of one path component.
pub const NAME_MAX: u32 = 255;

/// A process was made. The header tells its maker; the child is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fork {
    /// Start of the child, ns of `CLOCK_BOOTTIME`.
    pub child_start_ns: u64,
    /// Start of the child's parent, which is not its maker after `CLONE_PARENT`.
    pub parent_start_ns: u64,
    /// The child's cgroup in the default hierarchy (`clone3` can place it elsewhere than its maker).
    pub child_cgroup_id: u64,
    /// The child's thread group.
    pub child_tgid: u32,
    /// The same in the child's own pid namespace.
    pub child_ns_tgid: u32,
    /// Inode number of the child's pid namespace.
    pub child_pid_ns: u32,
    /// Thread group of the child's parent.
    pub parent_tgid: u32,
    /// Marks the child carries from its first instruction on.
    pub child_marks: u32,
    /// 0
    pub pad: u32,
}

/// A process took a new program.
///
/// `path` is a leaf-first list of names (see [`Open::path`]); `argv` and `filename` are bytes of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Exec {
    /// Inode of the program that runs (of a script: of its interpreter).
    pub ino: u64,
    /// Device of that inode, the kernel's `s_dev`.
    pub dev: u32,
    /// Thread id before the call: another than the thread group's when a non-leader called.
    pub old_tid: u32,
    /// The program's path.
    pub path: Span,
    /// What the caller named: of a script, the script.
    pub filename: Span,
    /// Arguments, NUL-separated, first [`ARGV_MAX`] bytes.
    pub argv: Span,
    /// Leaf-first list of cgroup names.
    pub cgroup: Span,
}

/// The last thread of a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Exit {
    /// As `wait(2)` reports it: exit code in bits 8 to 15, or signal in bits 0 to 6, bit 7 for a core dump.
    pub status: u32,
    /// 0
    pub pad: u32,
}

/// A credential was opened for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Open {
    /// Inode.
    pub ino: u64,
    /// Device, the kernel's `s_dev`.
    pub dev: u32,
    /// `i_generation`, which tells two lives of an inode number apart.
    pub generation: u32,
    /// The rule that matched, as userspace numbered it.
    pub rule: u32,
    /// [`MATCH_INODE`] and its like.
    pub matched: u32,
    /// `f_flags`
    pub flags: u32,
    /// `i_mode`
    pub mode: u32,
    /// Owner of the file.
    pub owner: u32,
    /// Hard links.
    pub links: u32,
    /// The path as a leaf-first list of names, each ended by NUL: `credentials\0.aws\0backup\0home\0`. Mounts are
    /// crossed; a walk that ends before the root is flagged [`SPAN_TRUNCATED`].
    pub path: Span,
}

/// [`Open::matched`]: by device and inode.
pub const MATCH_INODE: u32 = 1;
/// [`Open::matched`]: by a name in a directory.
pub const MATCH_ENTRY: u32 = 2;
/// [`Open::matched`]: below a marked directory.
pub const MATCH_DIR: u32 = 3;
/// [`Open::matched`]: by the names of the path.
pub const MATCH_NAME: u32 = 4;

/// A TCP connection was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Connect {
    /// Number of the connection, drawn at random: what [`ConnectEnd::conn_id`] refers to.
    pub conn_id: u64,
    /// Destination; IPv4 in the first four bytes.
    pub daddr: [u8; 16],
    /// `AF_INET` or `AF_INET6`
    pub family: u16,
    /// Destination port, host byte order.
    pub dport: u16,
    /// `IPPROTO_TCP`
    pub protocol: u32,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ConnectEnd {
    /// [`Connect::conn_id`] of what this ends.
    pub conn_id: u64,
    /// 0 where it was established, else the errno; [`ERRNO_NONE`] where the socket was closed with no answer.
    pub errno: u32,
    /// Source port, host byte order; 0 where there was none.
    pub sport: u16,
    /// `AF_INET` or `AF_INET6`
    pub family: u16,
    /// Source address; IPv4 in the first four bytes.
    pub saddr: [u8; 16],
}

/// [`ConnectEnd::errno`]: the process gave the socket up before there was an answer.
pub const ERRNO_NONE: u32 = u32::MAX;

const _: () = assert!(size_of::<Span>() == 8);
const _: () = assert!(size_of::<Fork>() == 48);
const _: () = assert!(size_of::<Exec>() == 48);
const _: () = assert!(size_of::<Exit>() == 8);
const _: () = assert!(size_of::<Open>() == 48);
const _: () = assert!(size_of::<Connect>() == 32);
const _: () = assert!(size_of::<ConnectEnd>() == 32);
