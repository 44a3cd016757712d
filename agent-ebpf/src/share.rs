//! What one process and one cgroup may have of a ring that fills, so that the noise of one does not cost the others their
//! samples (docs/adr/0034).
//!
//! Up to [`FREE`] bytes nobody is asked. Beyond, each process and each cgroup may add so many until the reader has passed the
//! place up to which the ring was filled when that was last counted from. So of what waits to be read, [`FREE`] and twice its
//! share is one's own, and never the whole ring. What none of the waiting samples tells goes beyond that (docs/adr/0043).

use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use spoor_wire::Kind;
use spoor_wire::control::{Owner, Share};

use crate::count::add;
use crate::gate::current_tgid;
use crate::maps::SHARES;
use crate::task::started;

/// Bytes waiting in a ring up to which anybody may add to them: a quarter.
const FREE: u64 = 512 << 10;
/// The same where who is there is at stake, which is told of as long as there is room for two that flood: three quarters.
const FREE_OF_LIFE: u64 = 1_536 << 10;
/// The same for what is not told yet: more than who floods with repetitions fills, however many processes he has of a cgroup;
/// and so little that there is room for it for certain.
const FREE_OF_FIRST: u64 = 1_280 << 10;
/// What one process may add: some forty openings or four hundred connections.
const OF_PROCESS: u32 = 96 << 10;
/// What all processes of a cgroup may add.
const OF_CGROUP: u32 = 256 << 10;

/// How far a ring is read, and begun.
#[derive(Clone, Copy)]
pub struct Filled {
    pub read: u64,
    pub begun: u64,
}

impl Filled {
    #[inline(always)]
    fn waiting(self) -> u64 {
        self.begun.wrapping_sub(self.read)
    }

    /// Whether anybody is asked what he adds.
    #[inline(always)]
    pub fn is_filling(self) -> bool {
        self.waiting() > FREE
    }

    /// Of what is told once, so that no other tells it.
    #[inline(always)]
    pub fn first(self) -> Touch {
        if self.waiting() <= FREE_OF_FIRST { Touch::First } else { Touch::Any }
    }
}

/// Whether a sample tells what none tells that waits to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Nobody asked, or there is no room any more that is kept for it.
    Any,
    /// It does, and there is room for it.
    First,
    /// Another tells it.
    Again,
}

/// Who adds to a ring, and what.
#[derive(Clone, Copy)]
pub struct Adding {
    pub kind: Kind,
    pub len: u32,
    /// Thread group and start of the process; none: the current one.
    pub process: Option<(u32, u64)>,
    pub touch: Touch,
}

impl Adding {
    /// Something that the current process does.
    #[inline(always)]
    pub fn of(kind: Kind, len: u32) -> Self {
        Adding { kind, len, process: None, touch: Touch::Any }
    }
}

/// Whether it may, where a ring was filled that far.
#[inline(always)]
pub fn may(adding: Adding, place: u32, filled: Filled) -> bool {
    if !filled.is_filling() {
        return true;
    }
    let waiting = filled.waiting();
    let of_life = matches!(adding.kind, Kind::Fork | Kind::Exec | Kind::Exit);
    let spared = (of_life && waiting <= FREE_OF_LIFE) || adding.touch == Touch::First;
    let again = adding.touch == Touch::Again;
    let what =
        u64::from(adding.len) | u64::from(place) << 32 | u64::from(spared) << 40 | u64::from(again) << 48;
    let (tgid, start_ns) = adding.process.unwrap_or((0, 0));
    spoor_share(filled.read, filled.begun, what, u64::from(tgid), start_ns) != 0
}

/// The same for a ring beyond [`FREE`], in numbers, which is what such a function may take. `what` is the length and, above it,
/// a byte each of the ring, of whether it may in any case, and of whether it repeats another.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_share(read: u64, begun: u64, what: u64, tgid: u64, start_ns: u64) -> u64 {
    let place = u32::from((what >> 32) as u8);
    let asked = Asked { len: what as u32, spared: (what >> 40) as u8 != 0, again: what >> 48 != 0 };
    let current = tgid == 0;
    let (who, start_ns) = if current { (u64::from(current_tgid()), started()) } else { (tgid, start_ns) };
    // One after the other in the same place: whoever calls this has used most of the stack already.
    let mut owner = Owner { who, start_ns, place, pad: 0 };
    if !fits(&owner, (read, begun), OF_PROCESS, asked) {
        return 0;
    }
    if !current {
        return 1;
    }
    // SAFETY: no arguments.
    owner.who = unsafe { bpf_get_current_cgroup_id() };
    owner.start_ns = 0;
    u64::from(fits(&owner, (read, begun), OF_CGROUP, asked))
}

/// What somebody has who had nothing: whatever he adds first begins to count.
static NOTHING: Share = Share { from: 0, refused: 0, repeated: 0, taken: 0, pad: 0 };

/// What is to be added.
#[derive(Clone, Copy)]
struct Asked {
    len: u32,
    /// It may in any case.
    spared: bool,
    /// Another tells it.
    again: bool,
}

/// Takes it from what an owner may add; where that is too little, counts the refusal. Two CPUs at once may take a little more.
#[inline(always)]
fn fits(owner: &Owner, (read, begun): (u64, u64), most: u32, asked: Asked) -> bool {
    let Some(share) = SHARES.get_ptr_mut(owner) else {
        // Where there is no room, nothing is refused. By reference: a copy would be on the stack.
        let nothing: &Share = &NOTHING;
        let _ = SHARES.insert(owner, nothing, 0);
        return true;
    };
    // SAFETY: a value of the map, which stays memory of the map; what another CPU writes meanwhile is as good.
    let share = unsafe { &mut *share };
    if read >= share.from {
        share.from = begun;
        share.taken = 0;
    }
    let taken = share.taken.saturating_add(asked.len);
    if taken > most && !asked.spared {
        add(if asked.again { &raw mut share.repeated } else { &raw mut share.refused });
        return false;
    }
    share.taken = taken;
    true
}
