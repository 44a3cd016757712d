//! Walks up trees of names: the path of a file, the path of a cgroup.

use spoor_wire::body::{CGROUP_DEPTH_MAX, NAME_MAX, PATH_DEPTH_MAX, SPAN_TRUNCATED, SPAN_UNREADABLE};

use crate::read::{
    Entry, Plain, Read, Unreadable, entry, field, kernel_bytes, kernel_str, masked, mount, off,
};
use crate::task::cgroup_node;

/// Where names are written, one after the other, each ended by NUL.
///
/// The buffer must have `MASK + 1 + 256` bytes behind `base`: offsets are masked to `MASK`, and a name is at most 255.
/// How far it is filled is kept in memory and not in a register: of a register the verifier knows a range, another one in
/// each round of a loop, and so takes no round for a repetition of the one before.
pub struct Out<const MASK: u32> {
    base: *mut u8,
    at: *mut u32,
    limit: u32,
    pub flags: u16,
}

impl<const MASK: u32> Out<MASK> {
    /// # Safety
    /// `base` must be good for `MASK + 257` bytes and `at` for one value, in memory the verifier knows (not the stack).
    #[inline(always)]
    pub unsafe fn new(base: *mut u8, at: *mut u32, start: u32, room: u32) -> Self {
        let out = Out { base, at, limit: start + room, flags: 0 };
        out.set(start);
        out
    }

    /// Offset of the first byte that is not written.
    #[inline(always)]
    pub fn end(&self) -> u32 {
        // SAFETY: as `new` was promised.
        masked::<MASK>(unsafe { self.at.read_volatile() })
    }

    #[inline(always)]
    fn set(&self, at: u32) {
        // SAFETY: as `new` was promised.
        unsafe { self.at.write_volatile(at) };
    }

    /// Appends a name. False where there is no room for it.
    #[inline(always)]
    fn push(&mut self, name: u64, len: u32) -> Result<bool, Unreadable> {
        let len = if len > NAME_MAX { NAME_MAX } else { len };
        let at = self.end();
        if at + len >= self.limit {
            self.flags |= SPAN_TRUNCATED;
            return Ok(false);
        }
        let len = masked::<{ NAME_MAX }>(len);
        let to = self.base.wrapping_add(masked::<MASK>(at) as usize);
        // SAFETY: an offset up to `MASK` and at most 255 bytes from there, as `new` was promised.
        unsafe { kernel_bytes(to, len, name) }?;
        self.finish(at + len);
        Ok(true)
    }

    /// Appends a name that is ended by NUL where it lies.
    #[inline(always)]
    fn push_str(&mut self, name: u64) -> Result<bool, Unreadable> {
        let at = self.end();
        if at + NAME_MAX >= self.limit {
            self.flags |= SPAN_TRUNCATED;
            return Ok(false);
        }
        let to = self.base.wrapping_add(masked::<MASK>(at) as usize);
        // SAFETY: as in `push`; the helper writes at most `NAME_MAX` bytes, the NUL among them.
        let len = unsafe { kernel_str(to, NAME_MAX, name) }?;
        self.finish(at + masked::<{ NAME_MAX }>(len));
        Ok(true)
    }

    /// Ends a name with NUL.
    #[inline(always)]
    fn finish(&mut self, at: u32) {
        let to = self.base.wrapping_add(masked::<MASK>(at) as usize);
        // SAFETY: as in `push`.
        unsafe { to.write(0) };
        self.set(at + 1);
    }
}

/// Writes the path of a file, leaf first, over mounts up to the root of the mount tree.
#[inline(always)]
pub fn path<R: Read, const MASK: u32>(out: &mut Out<MASK>, file: u64) {
    match place_of::<R>(file) {
        Ok((dentry, vfsmount)) => path_of(out, dentry, vfsmount),
        Err(Unreadable) => out.flags |= SPAN_UNREADABLE,
    }
}

/// Directory entry and mount of an open file.
#[inline(always)]
pub fn place_of<R: Read>(file: u64) -> Result<(u64, u64), Unreadable> {
    let (dentry, vfsmount) =
        (R::get(file, off!(file__f_path_dentry))?, R::get(file, off!(file__f_path_mnt))?);
    Ok((R::number(dentry), R::number(vfsmount)))
}

/// The same for a `struct path` taken apart.
#[inline(always)]
pub fn path_of<const MASK: u32>(out: &mut Out<MASK>, dentry: u64, vfsmount: u64) {
    if walk_path(out, dentry, vfsmount).is_err() {
        out.flags |= SPAN_UNREADABLE;
    }
}

#[inline(always)]
fn walk_path<const MASK: u32>(out: &mut Out<MASK>, mut dentry: u64, vfsmount: u64) -> Result<(), Unreadable> {
    let mut at = vfsmount.wrapping_sub(u64::from(off!(mount__mnt)));
    let mut below = mount(at)?;
    for _ in 0..PATH_DEPTH_MAX {
        if dentry == below.root {
            if below.parent == at {
                return Ok(());
            }
            dentry = below.point;
            at = below.parent;
            below = mount(at)?;
            continue;
        }
        let Entry { parent, len, name } = entry(dentry)?;
        // The root of a file system that is mounted nowhere, or no longer (a memfd, a pipe, a lazily unmounted tree): its
        // own name, where it has one, is all there is.
        if !out.push(name, len)? || parent == dentry {
            return Ok(());
        }
        dentry = parent;
    }
    out.flags |= SPAN_TRUNCATED;
    Ok(())
}

/// Writes the names of a task's cgroup, leaf first: in the default hierarchy, or where that is the root there, in that
/// of the pids controller, which has the units on hosts of cgroup v1.
#[inline(always)]
pub fn cgroup<const MASK: u32>(out: &mut Out<MASK>, task: u64) {
    if walk_cgroup(out, task).is_err() {
        out.flags |= SPAN_UNREADABLE;
    }
}

#[inline(always)]
fn walk_cgroup<const MASK: u32>(out: &mut Out<MASK>, task: u64) -> Result<(), Unreadable> {
    let mut node = Plain::number(cgroup_node::<Plain>(task)?);
    let mut parent = field::<u64>(node, off!(kernfs_node__parent))?;
    if parent == 0 {
        let set = Plain::number(Plain::get(task, off!(task__cgroups))?);
        let controller = field::<u64>(set, off!(css_set__subsys_pids));
        let other = controller.and_then(|state| field::<u64>(state, off!(css__cgroup)));
        if let Ok(other) = other {
            node = field(other, off!(cgroup__kn))?;
            parent = field(node, off!(kernfs_node__parent))?;
        }
    }
    for _ in 0..CGROUP_DEPTH_MAX {
        if parent == 0 {
            return Ok(());
        }
        let name = field::<u64>(node, off!(kernfs_node__name))?;
        if !out.push_str(name)? {
            return Ok(());
        }
        node = parent;
        parent = field(node, off!(kernfs_node__parent))?;
    }
    out.flags |= SPAN_TRUNCATED;
    Ok(())
}
