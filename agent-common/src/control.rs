//! What userspace writes into the kernel: offsets and settings (read-only there), marks.

use core::mem::size_of;

/// An offset the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Names of so many bytes, and none that are longer, lie in their directory entry.
pub const NAME_SHORT: u32 = 31;

/// Bytes of an inode that are read at once, where the kernel keeps there what is told of a file.
pub const INODE_HEAD: u32 = 80;

/// Byte offsets of kernel fields, resolved from the running kernel's BTF. [`ABSENT`] where the kernel has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[expect(
    missing_docs,
    non_snake_case,
    reason = "each field is named for the kernel's: struct, two underscores, member"
)]
pub struct Offsets {
    pub task__tgid: u32,
    pub task__flags: u32,
    pub task__comm: u32,
    pub task__start_boottime: u32,
    pub task__group_leader: u32,
    pub task__real_parent: u32,
    pub task__cred: u32,
    pub task__loginuid: u32,
    pub task__sessionid: u32,
    pub task__signal: u32,
    pub task__exit_code: u32,
    pub task__files: u32,
    pub task__mm: u32,
    pub task__nsproxy: u32,
    pub task__thread_pid: u32,
    pub task__cgroups: u32,
    pub task__thread_info_status: u32,
    pub task__pid_links: u32,
    pub signal__live: u32,
    pub signal__flags: u32,
    pub signal__group_exit_code: u32,
    pub cred__uid: u32,
    pub cred__euid: u32,
    pub cred__gid: u32,
    pub cred__suid: u32,
    pub cred__egid: u32,
    pub cred__cap_effective: u32,
    pub cred__cap_permitted: u32,
    pub cred__user_ns: u32,
    pub cred__session_keyring: u32,
    pub user_namespace__ns_inum: u32,
    pub user_namespace__parent: u32,
    pub user_namespace__user_keyring_register: u32,
    pub pid__level: u32,
    pub pid__numbers: u32,
    pub pid__tasks: u32,
    pub upid__size: u32,
    pub upid__nr: u32,
    pub upid__ns: u32,
    pub pid_namespace__ns_inum: u32,
    pub nsproxy__mnt_ns: u32,
    pub nsproxy__net_ns: u32,
    pub nsproxy__pid_ns_for_children: u32,
    pub net__ns_inum: u32,
    pub mnt_namespace__ns_inum: u32,
    pub css_set__dfl_cgrp: u32,
    /// `css_set.subsys` plus the slot of the pids controller: where a v1 host keeps the unit's cgroup.
    pub css_set__subsys_pids: u32,
    pub css__cgroup: u32,
    pub cgroup__kn: u32,
    pub kernfs_node__parent: u32,
    pub kernfs_node__name: u32,
    pub kernfs_node__id: u32,
    pub mm__arg_start: u32,
    pub mm__arg_end: u32,
    pub mm__exe_file: u32,
    pub bprm__filename: u32,
    pub file__f_inode: u32,
    pub file__f_mode: u32,
    pub file__f_flags: u32,
    pub file__f_path_mnt: u32,
    pub file__f_path_dentry: u32,
    pub file__private_data: u32,
    pub path__mnt: u32,
    pub dentry__d_parent: u32,
    pub dentry__d_inode: u32,
    pub dentry__d_name_name: u32,
    pub dentry__d_name_len: u32,
    /// Short names lie in the entry itself; [`ABSENT`] where there is no room there for [`NAME_SHORT`] bytes.
    pub dentry__d_iname: u32,
    pub inode__i_mode: u32,
    pub inode__i_uid: u32,
    pub inode__i_ino: u32,
    pub inode__i_nlink: u32,
    pub inode__i_generation: u32,
    pub inode__i_sb: u32,
    pub super_block__s_dev: u32,
    pub super_block__s_magic: u32,
    pub proc_inode__vfs_inode: u32,
    pub proc_inode__pid: u32,
    pub mount__mnt: u32,
    pub mount__mnt_parent: u32,
    pub mount__mnt_mountpoint: u32,
    pub vfsmount__mnt_root: u32,
    pub files_struct__fdt: u32,
    pub fdtable__max_fds: u32,
    pub fdtable__fd: u32,
    pub socket__sk: u32,
    pub sock__sk_protocol: u32,
    pub sock__sk_err: u32,
    pub sock__sk_type: u32,
    pub sock__skc_family: u32,
    pub sock__skc_state: u32,
    pub sock__skc_daddr: u32,
    pub sock__skc_dport: u32,
    pub sock__skc_num: u32,
    pub sock__skc_rcv_saddr: u32,
    pub sock__skc_v6_daddr: u32,
    pub sock__skc_v6_rcv_saddr: u32,
    pub pt_regs__orig_ax: u32,
    pub pt_regs__di: u32,
    pub pt_regs__si: u32,
    pub pt_regs__bx: u32,
    pub pt_regs__cx: u32,
    pub pt_regs__dx: u32,
    pub pt_regs__r8: u32,
    pub pt_regs__r10: u32,
    pub unix_sock__peer: u32,
    pub unix_sock__path_mnt: u32,
    pub unix_sock__path_dentry: u32,
    pub msghdr__msg_name: u32,
    pub msghdr__msg_namelen: u32,
    pub key__serial: u32,
    pub key__serial_node: u32,
    pub key__type: u32,
    pub key__description: u32,
    pub key__uid: u32,
    pub key_type__name: u32,
    pub rb_node__parent_color: u32,
    pub rb_node__rb_right: u32,
    pub rb_node__rb_left: u32,
    /// Where a directory entry keeps its parent and its name in a row.
    pub dentry__together: u32,
    /// Where a mount keeps the mount above it, the entry it is mounted on, and its root in a row.
    pub mount__together: u32,
    /// 0 where what is told of a file lies within the first [`INODE_HEAD`] bytes of its inode.
    pub inode__head: u32,
    /// Nobody reads it: kernels that have it have the helper that gives the current task as a typed pointer, which came one
    /// release before.
    pub task__bpf_storage: u32,
}

/// Most cgroups a scope can name. A table and not a setting, since a unit gets a new cgroup with every start.
pub const SCOPE_MAX: usize = 64;
/// Most levels of cgroups between a process and the cgroup that puts it in scope.
pub const SCOPE_DEPTH_MAX: u32 = 12;

/// What the probes are told when they are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// The agent's own thread group: nothing it does becomes an event.
    pub agent_tgid: u32,
    /// 1 where only the cgroups of the scope table are watched, 0 where the whole host is.
    pub scoped: u32,
    /// 1 where tasks in the kernel are preempted, so that programs on functions have twins.
    pub preempted: u32,
}

/// What the kernel remembers of a process, keyed by thread group. A mark whose start is not the process's (within one
/// [`MARK_TICK_NS`], since userspace may know it from `/proc`) is of a former holder of the number, and counts as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mark {
    /// Start of the process it was made for, ns of `CLOCK_BOOTTIME`.
    pub start_ns: u64,
    /// [`MARK_HOLDS`], [`MARK_SERVICE`], [`MARK_CANARY`]
    pub flags: u32,
    /// 0
    pub pad: u32,
}

/// Whose share of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Owner {
    /// Thread group of a process, or id of a cgroup.
    pub who: u64,
    /// Start of the process, ns of `CLOCK_BOOTTIME`; 0 of a cgroup.
    pub start_ns: u64,
    /// Of which ring: 0 the vital one, 1 the other.
    pub place: u32,
    /// 0
    pub pad: u32,
}

/// What an owner had of a ring that is filling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Share {
    /// As far as the ring was filled when that was last counted from.
    pub from: u64,
    /// Samples refused, ever.
    pub refused: u64,
    /// Those beside them that would have told the same again as one that waits to be read, ever.
    pub repeated: u64,
    /// Bytes since then.
    pub taken: u32,
    /// 0
    pub pad: u32,
}

/// Length of the ticks in which `/proc` tells when a process started.
pub const MARK_TICK_NS: u64 = 10_000_000;

/// [`Mark::flags`]: opened or inherited a credential.
pub const MARK_HOLDS: u32 = 1;
/// [`Mark::flags`]: a service account although it has a login uid, as userspace found.
pub const MARK_SERVICE: u32 = 2;
/// [`Mark::flags`]: the agent's own canary: seen whatever the scope, and kept out of the records.
pub const MARK_CANARY: u32 = 4;

/// Names of the objects userspace looks up in the probe object.
pub mod names {
    /// Read-only global: [`super::Offsets`].
    pub const OFFSETS: &str = "OFFSETS";
    /// Read-only global: [`super::Settings`].
    pub const SETTINGS: &str = "SETTINGS";
    /// Ring buffer of the vital lane.
    pub const RING_VITAL: &str = "RING_VITAL";
    /// Ring buffer of the other lanes.
    pub const RING_BULK: &str = "RING_BULK";
    /// Hash, LRU: [`super::Owner`] to [`super::Share`].
    pub const SHARES: &str = "SHARES";
    /// Per-CPU `u64` by lane: samples numbered so far.
    pub const PRODUCED: &str = "PRODUCED";
    /// Per-CPU, one value, twice `Kind::SLOTS` `u64` by kind: samples refused by a full ring, and behind them those of which
    /// another tells the same.
    pub const DROPPED: &str = "DROPPED";
    /// Per-CPU by fault, `Source::SLOTS` `u64` each by source: failures.
    pub const FAULTS: &str = "FAULTS";
    /// Hash: tgid to [`super::Mark`].
    pub const MARKS: &str = "MARKS";
    /// Hash, LRU: `InodeKey` of a file that was found to be a credential, to its rule.
    pub const KNOWN: &str = "KNOWN";
    /// Array of `u32` by `found_slot`: not 0 where a file of [`KNOWN`] may have its place.
    pub const FOUND: &str = "FOUND";
    /// Programs that look after system calls, by slot.
    pub const SYSCALLS: &str = "SYSCALLS";
    /// Array of one `u32`: not 0 while the agent's next child is its canary.
    pub const ARMED: &str = "ARMED";
    /// Hash: id of a cgroup (the inode number of its directory in the default hierarchy) that is watched with everything
    /// below it, to 1.
    pub const SCOPE: &str = "SCOPE";
    /// Hash: `InodeKey` to rule.
    pub const RULE_INODE: &str = "RULE_INODE";
    /// Hash: `EntryKey` to rule.
    pub const RULE_ENTRY: &str = "RULE_ENTRY";
    /// Hash: `InodeKey` of a directory to rule.
    pub const RULE_DIR: &str = "RULE_DIR";
    /// Hash: `NameKey` to rule.
    pub const RULE_NAME: &str = "RULE_NAME";
    /// Array of `u64`: a bit for each rule of a file.
    pub const SIEVE: &str = "SIEVE";
}

const _: () = assert!(size_of::<Settings>() == 12);
const _: () = assert!(size_of::<Mark>() == 16);
const _: () = assert!(size_of::<Owner>() == 24);
const _: () = assert!(size_of::<Share>() == 32);
const _: () = assert!(size_of::<Offsets>().is_multiple_of(4));

impl Offsets {
    /// Number of offsets.
    pub const COUNT: usize = size_of::<Offsets>() / size_of::<u32>();
}
