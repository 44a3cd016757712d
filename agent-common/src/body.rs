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
pub const PATH_DEPTH_MAX: u32 = 24;
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
    /// Hard links of the program's file: 0 where it was deleted, or never had a name.
    pub links: u32,
    /// 0
    pub pad: u32,
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

/// A credential was opened, received, read, or (a unix socket that stands for one) connected to: the kind says which. Of one
/// that was opened, `flags` say whether it was only to be written, or was not opened and put there under that name.
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
    /// `f_flags`; or [`FLAG_RENAMED`] alone
    pub flags: u32,
    /// `i_mode`
    pub mode: u32,
    /// Owner of the file.
    pub owner: u32,
    /// Hard links.
    pub links: u32,
    /// Of a read [`READ_CALL`] or [`READ_MAP`]; of a unix socket the errno with which the kernel refused the connection, or
    /// 0; of openings and reads also [`HOW_BACKING`].
    pub how: u32,
    /// 0
    pub pad: u32,
    /// The path as a leaf-first list of names, each ended by NUL: `credentials\0.aws\0backup\0home\0`. Mounts are
    /// crossed; a walk that ends before the root is flagged [`SPAN_TRUNCATED`]. Of a read it is empty: the file was told of
    /// before.
    pub path: Span,
}

/// [`Open::flags`]: not opened. The file was renamed, and gets the name that `path` tells. No open call knows the bit.
pub const FLAG_RENAMED: u32 = 1 << 31;

/// [`Open::matched`]: by device and inode.
pub const MATCH_INODE: u32 = 1;
/// [`Open::matched`]: by a name in a directory.
pub const MATCH_ENTRY: u32 = 2;
/// [`Open::matched`]: below a marked directory.
pub const MATCH_DIR: u32 = 3;
/// [`Open::matched`]: by the names of the path.
pub const MATCH_NAME: u32 = 4;

/// [`Open::how`], a bit beside the rest: the file is one that a stacked file system (overlayfs) opened for itself, in the
/// course of an opening on top of it.
pub const HOW_BACKING: u32 = 0x100;
/// [`Open::how`]: by a call that copies bytes.
pub const READ_CALL: u32 = 1;
/// [`Open::how`]: mapped into memory.
pub const READ_MAP: u32 = 2;

/// The memory or environment of a process that holds a credential was opened to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Memory {
    /// Start of the process whose memory it is, ns of `CLOCK_BOOTTIME`.
    pub target_start_ns: u64,
    /// Its thread group.
    pub target_tgid: u32,
    /// [`MEMORY_ATTACH`], [`MEMORY_ENVIRON`]
    pub how: u32,
}

/// [`Memory::how`]: the right to read and write it, by `ptrace`, `process_vm_readv`, `/proc/PID/mem` and the like.
pub const MEMORY_ATTACH: u32 = 1;
/// [`Memory::how`]: `/proc/PID/environ` was opened.
pub const MEMORY_ENVIRON: u32 = 2;
/// [`Memory::how`]: `/proc/PID/mem` was opened.
pub const MEMORY_FILE: u32 = 3;
/// [`Memory::how`]: one of its descriptors was taken (`pidfd_getfd`); not told apart from [`MEMORY_ATTACH`] where the hook
/// cannot.
pub const MEMORY_DESCRIPTOR: u32 = 4;

/// A process tried to take a new program, and did not get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ExecFailed {
    /// Why.
    pub errno: u32,
    /// 0
    pub pad: u32,
    /// What the caller named, as it lies in the caller's memory.
    pub filename: Span,
}

/// Users, capabilities and namespaces of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Ids {
    /// Capabilities in force, one bit each.
    pub effective: u64,
    /// Capabilities that can be taken up.
    pub permitted: u64,
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Saved user.
    pub suid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
    /// Inode number of the user namespace; of these five, [`ABSENT_ID`] where it was not looked at.
    pub user_ns: u32,
    /// Of the mount namespace.
    pub mnt_ns: u32,
    /// Of the network namespace.
    pub net_ns: u32,
    /// Of the pid namespace of children.
    pub pid_ns: u32,
    /// [`TOLD_CAPABILITIES`]
    pub told: u32,
}

/// [`Ids::told`]: the capabilities are.
pub const TOLD_CAPABILITIES: u32 = 1;
/// A field of [`Ids`] that this attach point does not tell.
pub const ABSENT_ID: u32 = u32::MAX;

/// A process changed its users, capabilities or namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Identity {
    /// Before; where the attach point does not know, as after.
    pub from: Ids,
    /// After.
    pub to: Ids,
}

/// Something was sent without a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Send {
    /// Destination; IPv4 in the first four bytes.
    pub daddr: [u8; 16],
    /// `AF_INET` or `AF_INET6`
    pub family: u16,
    /// Destination port, host byte order.
    pub dport: u16,
    /// `IPPROTO_UDP` and its like.
    pub protocol: u32,
    /// 0 where the kernel took it, else the errno; [`ERRNO_NONE`] where the attach point does not tell.
    pub errno: u32,
    /// 0
    pub pad: u32,
}

/// A connection from outside was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Accept {
    /// Whoever connected; IPv4 in the first four bytes.
    pub raddr: [u8; 16],
    /// Own address.
    pub laddr: [u8; 16],
    /// Port of whoever connected, host byte order.
    pub rport: u16,
    /// Own port, host byte order.
    pub lport: u16,
    /// `AF_INET` or `AF_INET6`
    pub family: u16,
    /// 0
    pub pad: u16,
    /// `IPPROTO_TCP` and its like.
    pub protocol: u32,
    /// 0
    pub pad2: u32,
    /// Number of the connection, drawn at random: what [`AcceptEnd::conn_id`] refers to.
    pub conn_id: u64,
}

/// A connection that was accepted is closed by whoever serves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AcceptEnd {
    /// [`Accept::conn_id`] of what this ends.
    pub conn_id: u64,
}

/// Bytes from the network, as they were: of an answer the UDP payload, of a hello what the first segment carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Payload {
    /// Of a hello the connection's [`Connect::conn_id`]; of an answer 0.
    pub conn_id: u64,
    /// The bytes.
    pub data: Span,
}

/// Most bytes of a payload a sample carries.
pub const PAYLOAD_MAX: u32 = 2048;

/// A key of the kernel's key rings was found, read, or put there. Its payload is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Key {
    /// Its number.
    pub serial: u32,
    /// Whose it is.
    pub owner: u32,
    /// The rule that matched, as userspace numbered it.
    pub rule: u32,
    /// [`KEY_READ`] and its like.
    pub how: u32,
    /// Name of its type.
    pub kind: Span,
    /// What it is called. Written by whoever made it.
    pub description: Span,
}

/// [`Key::how`]: its payload was copied to the process.
pub const KEY_READ: u32 = 1;
/// [`Key::how`]: it was found by its name.
pub const KEY_FIND: u32 = 2;
/// [`Key::how`]: the process made it, or gave it its first payload.
pub const KEY_ADD: u32 = 3;
/// [`Key::how`]: the process gave it another payload.
pub const KEY_UPDATE: u32 = 4;
/// Most bytes of a type's name, its NUL among them; the kernel's own bound.
pub const KEY_TYPE_MAX: u32 = 32;
/// Most bytes of a description a sample carries, its NUL among them.
pub const KEY_DESCRIPTION_MAX: u32 = 256;

/// A connection was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Connect {
    /// Number of the connection, drawn at random: what [`ConnectEnd::conn_id`] refers to.
    pub conn_id: u64,
    /// Destination; IPv4 in the first four bytes; of `AF_VSOCK` the context id in the first four bytes and the port in the
    /// next four, both in the host's byte order.
    pub daddr: [u8; 16],
    /// `AF_INET`, `AF_INET6` or `AF_VSOCK`
    pub family: u16,
    /// Destination port, host byte order; of `AF_VSOCK` 0.
    pub dport: u16,
    /// `IPPROTO_TCP` and its like; of `AF_VSOCK` 0.
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
const _: () = assert!(size_of::<Exec>() == 56);
const _: () = assert!(size_of::<Exit>() == 8);
const _: () = assert!(size_of::<Open>() == 56);
const _: () = assert!(size_of::<Connect>() == 32);
const _: () = assert!(size_of::<ConnectEnd>() == 32);
const _: () = assert!(size_of::<Memory>() == 16);
const _: () = assert!(size_of::<ExecFailed>() == 16);
const _: () = assert!(size_of::<Ids>() == 56);
const _: () = assert!(size_of::<Identity>() == 112);
const _: () = assert!(size_of::<Send>() == 32);
const _: () = assert!(size_of::<Accept>() == 56);
const _: () = assert!(size_of::<AcceptEnd>() == 8);
const _: () = assert!(size_of::<Payload>() == 16);
const _: () = assert!(size_of::<Key>() == 32);
