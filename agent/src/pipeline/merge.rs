//! One act, one action: a stacked file system (overlayfs) opens and reads a file of its own beneath the one that was asked
//! for, and probes see both.

use std::collections::VecDeque;

use crate::event::{Deed, OpenedFile, Seen};

/// Longest time between an act and the one beneath it, ns. They happen in one call, which takes microseconds, and a tenth of
/// a second on an emulated kernel that others press.
const TOGETHER_NS: u64 = 200_000_000;
/// Most acts remembered. More than these do not happen within that time on any host that could look at them.
const REMEMBERED_MAX: usize = 256;

/// Acts on files of late.
#[derive(Debug, Default)]
pub(super) struct Merge {
    late: VecDeque<Act>,
}

#[derive(Debug, PartialEq, Eq)]
struct Act {
    time_ns: u64,
    tid: u32,
    way: Way,
    leaf: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Opened,
    Written,
    Read,
}

fn leaf(file: &OpenedFile) -> &[u8] {
    file.path.bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

impl Merge {
    /// Whether this is what a stacked file system did for an act that was seen already.
    pub(super) fn is_beneath(&mut self, time_ns: u64, seen: &Seen, file: &OpenedFile) -> bool {
        if file.renamed() {
            // That is asked of the file system on top alone.
            return false;
        }
        let way = if matches!(seen.deed, Deed::Read { .. }) {
            Way::Read
        } else if file.only_written() {
            Way::Written
        } else {
            Way::Opened
        };
        let tid = seen.process.tid;
        while self.late.front().is_some_and(|act| act.time_ns.saturating_add(TOGETHER_NS) < time_ns) {
            self.late.pop_front();
        }
        if file.backing {
            let mut late = self.late.iter();
            return late.any(|act| act.tid == tid && act.way == way && act.leaf == leaf(file));
        }
        if self.late.len() == REMEMBERED_MAX {
            self.late.pop_front();
        }
        self.late.push_back(Act { time_ns, tid, way, leaf: leaf(file).to_vec() });
        false
    }
}
