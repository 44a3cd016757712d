//! Every map, in one place, with its size and the reason for it.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use spoor_wire::control::{Mark, Offsets, Owner, SCOPE_MAX, Settings, Share};
use spoor_wire::rule::{EntryKey, FOUND_SLOTS, InodeKey, NameKey, RULES_MAX, SIEVE_WORDS};
use spoor_wire::{Fault, Kind, Lane, Source};

use crate::again::{AtWork, Twins};

/// Field offsets of the running kernel. Filled in before the programs are loaded; read only through `off!`.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = {
    // SAFETY: `Offsets` is `u32`s all through, and any bytes make a `u32`. All ones is `ABSENT`: an object that was
    // loaded without offsets reads nothing.
    unsafe { core::mem::transmute([u32::MAX; Offsets::COUNT]) }
};

/// Filled in before the programs are loaded; read only through `gate`.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings { agent_tgid: 0, scoped: 0, preempted: 0 };

/// Lifecycle and credentials. 2 MiB hold some ten thousand forks or nine hundred credential openings.
#[map]
pub static RING_VITAL: RingBuf = RingBuf::with_byte_size(2 << 20, 0);

/// The rest. 2 MiB hold some ten thousand connections.
#[map]
pub static RING_BULK: RingBuf = RingBuf::with_byte_size(2 << 20, 0);

/// As far as each ring was filled when its reader was last woken.
#[map]
pub static WOKEN: Array<u64> = Array::with_max_entries(2, 0);

/// What each had of a ring that is filling. An LRU: whom it pushes out begins anew, and what was refused him is nobody's.
#[map]
pub static SHARES: LruHashMap<Owner, Share> = LruHashMap::with_max_entries(1_024, 0);

/// A thread, the program it runs, and what it did with what.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Doing {
    pub pid_tgid: u64,
    /// Where its memory is: another after an execution.
    pub mm: u64,
    /// Number of an inode or a key, or start of a process.
    pub what: u64,
    /// Device and generation of the inode, or number of the process.
    pub which: u64,
    /// Kind, and above it how.
    pub way: u64,
}

/// As far as a ring was filled when that was told, where rings fill. An LRU: what it pushes out is told once more. More
/// openings than fit into the ring.
#[map]
pub static DONE: LruHashMap<Doing, u64> = LruHashMap::with_max_entries(2_048, 0);

/// Samples numbered, by lane.
#[map]
pub static PRODUCED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Lane::COUNT, 0);

/// Samples refused by a full ring, by kind, and behind them those of which another tells the same. One value: the agent asks
/// for it twice a second, and so all at once.
#[map]
pub static DROPPED: PerCpuArray<[u64; 2 * Kind::SLOTS as usize]> = PerCpuArray::with_max_entries(1, 0);

/// Failures, by fault, of all sources in one value: the agent asks for some faults again and again.
#[map]
pub static FAULTS: PerCpuArray<[u64; Source::SLOTS as usize]> =
    PerCpuArray::with_max_entries(Fault::SLOTS, 0);

/// Processes that matter, by thread group. Not an LRU: a mark that is pushed out would be a credential that is
/// forgotten. Preallocated, since tracing programs may not allocate on old kernels.
#[map]
pub static MARKS: HashMap<u32, Mark> = HashMap::with_max_entries(65_536, 0);

/// Not 0 while the agent's next child is its canary.
#[map]
pub static ARMED: Array<u32> = Array::with_max_entries(1, 0);

/// Ids of the cgroups that are watched, with all below them, where not the whole host is.
#[map]
pub static SCOPE: HashMap<u64, u32> = HashMap::with_max_entries(SCOPE_MAX as u32, 0);

/// Single files.
#[map]
pub static RULE_INODE: HashMap<InodeKey, u32> = HashMap::with_max_entries(RULES_MAX, 0);

/// Names in directories.
#[map]
pub static RULE_ENTRY: HashMap<EntryKey, u32> = HashMap::with_max_entries(RULES_MAX, 0);

/// Directories with all that lies below them.
#[map]
pub static RULE_DIR: HashMap<InodeKey, u32> = HashMap::with_max_entries(RULES_MAX, 0);

/// Names of a path, from its leaf.
#[map]
pub static RULE_NAME: HashMap<NameKey, u32> = HashMap::with_max_entries(4_096, 0);

/// A bit for each rule of a file, by leaf, directory and inode: what has none is no credential. One value, so that it is
/// looked up once for all bits that are asked for.
#[map]
pub static SIEVE: Array<[u64; SIEVE_WORDS as usize]> = Array::with_max_entries(1, 0);

/// Files that were found to be credentials, with their rule. An LRU: what it pushes out is matched anew at its next opening.
#[map]
pub static KNOWN: LruHashMap<InodeKey, u32> = LruHashMap::with_max_entries(16_384, 0);

/// Not 0 where a file of [`KNOWN`] may have its place, by its inode number. A place each, and not a bit: it is set here and by the
/// agent, and of two bits of one word that are set at a time one would be lost. Never taken back: a file that has a place for no
/// reason is looked up in [`KNOWN`].
#[map]
pub static FOUND: Array<u32> = Array::with_max_entries(FOUND_SLOTS, 0);

/// A process that has read a file.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Reading {
    pub ino: u64,
    pub dev: u32,
    pub generation: u32,
    pub tgid: u32,
    /// Start of the process, in ticks: its number may be used again.
    pub tick: u32,
    pub how: u32,
    pub pad: u32,
}

/// Readings that were told. An LRU: what it pushes out is told again.
#[map]
pub static READS: LruHashMap<Reading, u32> = LruHashMap::with_max_entries(16_384, 0);

/// A connection whose end is awaited.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Pending {
    pub conn_id: u64,
    pub start_ns: u64,
    pub tgid: u32,
    pub state: u32,
}

/// [`Pending::state`]: the call that asked has not returned.
pub const IN_CALL: u32 = 1;
/// [`Pending::state`]: the first packet is on its way.
pub const SENT: u32 = 2;
/// [`Pending::state`]: nobody answers; the call's return is the end.
pub const DATAGRAM: u32 = 4;
/// [`Pending::state`]: what speaks to the other end is another socket, a subflow, made in the same call.
pub const MULTIPATH: u32 = 8;
/// [`Pending::state`]: the socket's state is not traced, or not all of it: a later call may tell the end.
pub const UNTRACED: u32 = 16;

/// Awaited connections, by socket. A socket that is asked to connect anew overwrites what it left behind.
#[map]
pub static PENDING: HashMap<u64, Pending> = HashMap::with_max_entries(16_384, 0);

/// Connections going on whose end no tracepoint tells. The oldest makes room: its end may never be asked for.
#[map]
pub static LATER: LruHashMap<u64, Pending> = LruHashMap::with_max_entries(1_024, 0);

/// The socket a thread is connecting, from the call's entry to its return, where the return does not tell it.
#[map]
pub static CALLS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4_096, 0);

/// An accepted connection, and who accepted it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Served {
    pub conn_id: u64,
    pub start_ns: u64,
    pub tgid: u32,
    pub pad: u32,
}

/// Accepted connections, by socket, until they are closed. The oldest makes room: its end is not told.
#[map]
pub static SERVED: LruHashMap<u64, Served> = LruHashMap::with_max_entries(16_384, 0);

/// Somebody who sent something somewhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SentKey {
    pub start_tick: u64,
    pub daddr: [u8; 16],
    pub tgid: u32,
    pub family: u16,
    pub dport: u16,
    pub protocol: u32,
    /// 1 where the kernel refused it: that is told apart from the first that it took.
    pub failed: u32,
}

/// What has been told, so that it is told once. The oldest makes room: then it is told once more.
#[map]
pub static SENT_TO: LruHashMap<SentKey, u32> = LruHashMap::with_max_entries(16_384, 0);

/// The two ends of a connection, as the socket has them.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Ends {
    pub saddr: [u64; 2],
    pub daddr: [u64; 2],
    pub sport: u32,
    pub dport: u32,
    pub family: u64,
}

/// Established connections whose client has said nothing yet, and their numbers. The oldest makes room: its name stays
/// unknown.
#[map]
pub static HELLOS: LruHashMap<Ends, u64> = LruHashMap::with_max_entries(8_192, 0);

/// The registers with which a thread came to execute a program or to use a key, where the return of the call does not tell.
#[map]
pub static ENTRIES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1_024, 0);

/// The programs that look after system calls, by slot.
#[map]
pub static SYSCALLS: ProgramArray = ProgramArray::with_max_entries(16, 0);

/// Room for one exec event: fixed part, tail, and what the last read may write beyond the tail's end.
pub const SCRATCH_LEN: usize = 20 * 1024;

/// Scratch of the exec probe, too large for the stack.
#[repr(C, align(8))]
pub struct Scratch {
    pub bytes: [u8; SCRATCH_LEN],
    pub at: u32,
    pub pad: u32,
}

/// One a CPU for the exec probe, and one for its twin. Only for programs on tracepoints, which the kernel does not run twice
/// on a CPU at a time; LSM programs it does, when it is preemptible.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);

/// Which programs are at work, by twins.
#[map]
pub static AT_WORK: PerCpuArray<AtWork> = PerCpuArray::with_max_entries(Twins::COUNT, 0);
