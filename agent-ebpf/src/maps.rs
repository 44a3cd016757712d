//! Every map, in one place, with its size and the reason for it.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use spoor_wire::control::{Mark, Offsets, SCOPE_MAX, Settings};
use spoor_wire::rule::{EntryKey, InodeKey, NameKey};
use spoor_wire::{Fault, Kind, Lane, Source};

/// Field offsets of the running kernel. Filled in before the programs are loaded; read only through `off!`.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = {
    // SAFETY: `Offsets` is `u32`s all through, and any bytes make a `u32`. All ones is `ABSENT`: an object that was
    // loaded without offsets reads nothing.
    unsafe { core::mem::transmute([u32::MAX; Offsets::COUNT]) }
};

/// Filled in before the programs are loaded; read only through `gate`.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings { agent_tgid: 0, scoped: 0 };

/// Lifecycle and credentials. 2 MiB hold some ten thousand forks or nine hundred credential openings.
#[map]
pub static RING_VITAL: RingBuf = RingBuf::with_byte_size(2 << 20, 0);

/// The rest. 2 MiB hold some ten thousand connections.
#[map]
pub static RING_BULK: RingBuf = RingBuf::with_byte_size(2 << 20, 0);

/// Samples numbered, by lane.
#[map]
pub static PRODUCED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Lane::COUNT, 0);

/// Samples refused by a full ring, by kind.
#[map]
pub static DROPPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Kind::SLOTS, 0);

/// Failures, by source and fault.
#[map]
pub static FAULTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Source::SLOTS * Fault::SLOTS, 0);

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
pub static RULE_INODE: HashMap<InodeKey, u32> = HashMap::with_max_entries(16_384, 0);

/// Names in directories.
#[map]
pub static RULE_ENTRY: HashMap<EntryKey, u32> = HashMap::with_max_entries(16_384, 0);

/// Directories with all that lies below them.
#[map]
pub static RULE_DIR: HashMap<InodeKey, u32> = HashMap::with_max_entries(16_384, 0);

/// Names of a path, from its leaf.
#[map]
pub static RULE_NAME: HashMap<NameKey, u32> = HashMap::with_max_entries(4_096, 0);

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

/// Awaited connections, by socket. A socket that is asked to connect anew overwrites what it left behind.
#[map]
pub static PENDING: HashMap<u64, Pending> = HashMap::with_max_entries(16_384, 0);

/// The socket a thread is connecting, from the call's entry to its return, where the return does not tell it.
#[map]
pub static CALLS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4_096, 0);

/// The registers with which a thread came to execute a program, where the return of the call does not tell.
#[map]
pub static EXECS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1_024, 0);

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

/// One a CPU. Only for programs on tracepoints, which the kernel does not run twice on a CPU at a time; LSM programs it
/// does, when it is preemptible.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
