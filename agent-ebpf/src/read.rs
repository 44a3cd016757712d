//! All reads of kernel and user memory. They cannot fault: the helpers check every address and fail instead.

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user, generated};
use spoor_wire::control::ABSENT;

/// An address that could not be read, or a field this kernel does not have.
pub struct Unreadable;

/// The offset of a kernel field, e.g. `off!(task__tgid)`.
macro_rules! off {
    ($field:ident) => {
        // SAFETY: a static of plain integers. Volatile, since the loader fills it in after the compiler has seen it.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$field) }
    };
}
pub(crate) use off;

/// Reads a value at `base + offset`.
#[inline(always)]
pub fn field<T>(base: u64, offset: u32) -> Result<T, Unreadable> {
    if offset == ABSENT {
        return Err(Unreadable);
    }
    kernel(base.wrapping_add(u64::from(offset)))
}

/// How a field of kernel memory is read. What is asked in both ways is written once, for any of them.
pub trait Read {
    const IS_PLAIN: bool;

    /// Reads a value at `base + offset`.
    fn get<T: Copy>(base: u64, offset: u32) -> Result<T, Unreadable>;

    /// Reads two words.
    fn pair(base: u64, offset: u32) -> Result<[u64; 2], Unreadable>;

    /// An address as a number: functions that are verified by themselves take no typed pointer.
    fn number(at: u64) -> u64;
}

/// By a helper, of any address.
pub enum Guarded {}

/// By a load, of a typed pointer: an argument of an LSM, fentry or `tp_btf` program, the current task, and what fields of
/// these point to. A load is a tenth of what the helper costs.
pub enum Plain {}

impl Read for Guarded {
    const IS_PLAIN: bool = false;

    #[inline(always)]
    fn pair(base: u64, offset: u32) -> Result<[u64; 2], Unreadable> {
        field(base, offset)
    }

    #[inline(always)]
    fn get<T: Copy>(base: u64, offset: u32) -> Result<T, Unreadable> {
        field(base, offset)
    }

    #[inline(always)]
    fn number(at: u64) -> u64 {
        at
    }
}

impl Read for Plain {
    const IS_PLAIN: bool = true;

    #[inline(always)]
    fn pair(base: u64, offset: u32) -> Result<[u64; 2], Unreadable> {
        Ok([Self::get(base, offset)?, Self::get(base, offset.wrapping_add(8))?])
    }

    #[inline(always)]
    fn get<T: Copy>(base: u64, offset: u32) -> Result<T, Unreadable> {
        // What points nowhere would be read as zeros.
        if base == 0 || offset == ABSENT { Err(Unreadable) } else { Ok(load(base, offset)) }
    }

    #[inline(always)]
    fn number(mut at: u64) -> u64 {
        // Verifiers take what was negated for a number, whatever it was.
        // SAFETY: two arithmetic instructions on a register.
        unsafe { core::arch::asm!("{at} = -{at}", "{at} = -{at}", at = inout(reg) at) };
        at
    }
}

/// A field of what a typed pointer points to; 0 where it points to nothing.
#[inline(always)]
pub fn load<T: Copy>(base: u64, offset: u32) -> T {
    // SAFETY: the verifier lets this be a load of exactly that field, and a load that faults gives 0. Volatile, since two
    // loads that become one, wider, would be of no field.
    unsafe { (base.wrapping_add(u64::from(offset)) as *const T).read_volatile() }
}

/// Reads a value of kernel memory.
#[inline(always)]
pub fn kernel<T>(at: u64) -> Result<T, Unreadable> {
    // SAFETY: the helper checks the address; `T` is only ever an integer or an array of integers.
    unsafe { bpf_probe_read_kernel(at as *const T) }.map_err(|_| Unreadable)
}

/// An argument of an LSM or fentry program as a number, where the verifier does not know its type well enough to load it.
#[inline(always)]
pub fn number_of<C: EbpfContext>(ctx: &C, index: u64) -> Result<u64, Unreadable> {
    kernel((ctx.as_ptr() as u64).wrapping_add(index * 8))
}

/// What a function that is verified by itself found: 0 is nothing.
#[inline(always)]
pub fn some(found: u64) -> Result<u64, Unreadable> {
    if found == 0 { Err(Unreadable) } else { Ok(found) }
}

/// Reads a value in the memory of the current process.
#[inline(always)]
pub fn user<T>(at: u64) -> Result<T, Unreadable> {
    // SAFETY: as above, for an address of the process.
    unsafe { bpf_probe_read_user(at as *const T) }.map_err(|_| Unreadable)
}

/// What a directory entry says, read at once where the kernel keeps it together, which is where nobody shuffled it.
pub struct Entry {
    pub parent: u64,
    pub len: u32,
    pub name: u64,
}

/// Reads a directory entry.
#[inline(always)]
pub fn entry(dentry: u64) -> Result<Entry, Unreadable> {
    let together = off!(dentry__together);
    if together != ABSENT {
        let [parent, hash_len, name] = field::<[u64; 3]>(dentry, together)?;
        return Ok(Entry { parent, len: (hash_len >> 32) as u32, name });
    }
    Ok(Entry {
        parent: field(dentry, off!(dentry__d_parent))?,
        len: field(dentry, off!(dentry__d_name_len))?,
        name: field(dentry, off!(dentry__d_name_name))?,
    })
}

/// A mount, read in the same way.
pub struct Mount {
    pub parent: u64,
    pub point: u64,
    pub root: u64,
}

/// Reads a mount.
#[inline(always)]
pub fn mount(at: u64) -> Result<Mount, Unreadable> {
    let together = off!(mount__together);
    if together != ABSENT {
        let [parent, point, root] = field::<[u64; 3]>(at, together)?;
        return Ok(Mount { parent, point, root });
    }
    Ok(Mount {
        parent: field(at, off!(mount__mnt_parent))?,
        point: field(at, off!(mount__mnt_mountpoint))?,
        root: field(at, off!(mount__mnt).wrapping_add(off!(vfsmount__mnt_root)))?,
    })
}

/// Copies `len` bytes of kernel memory.
///
/// # Safety
/// `to` must be good for `len` bytes, by bounds that the verifier can follow.
#[inline(always)]
pub unsafe fn kernel_bytes(to: *mut u8, len: u32, from: u64) -> Result<(), Unreadable> {
    // SAFETY: the caller's promise; the helper checks `from`.
    match unsafe { generated::bpf_probe_read_kernel(to.cast(), len, from as *const _) } {
        0 => Ok(()),
        _ => Err(Unreadable),
    }
}

/// Copies `len` bytes of the current process.
///
/// # Safety
/// As [`kernel_bytes`].
#[inline(always)]
pub unsafe fn user_bytes(to: *mut u8, len: u32, from: u64) -> Result<(), Unreadable> {
    // SAFETY: the caller's promise; the helper checks `from`.
    match unsafe { generated::bpf_probe_read_user(to.cast(), len, from as *const _) } {
        0 => Ok(()),
        _ => Err(Unreadable),
    }
}

/// Copies a NUL-ended string of kernel memory; gives its length without the NUL.
///
/// # Safety
/// As [`kernel_bytes`].
#[inline(always)]
pub unsafe fn kernel_str(to: *mut u8, len: u32, from: u64) -> Result<u32, Unreadable> {
    // SAFETY: the caller's promise; the helper checks `from`.
    let read = unsafe { generated::bpf_probe_read_kernel_str(to.cast(), len, from as *const _) };
    if read > 0 { Ok(read.cast_unsigned() as u32 - 1) } else { Err(Unreadable) }
}

/// The same of the current process.
///
/// # Safety
/// As [`kernel_bytes`].
#[inline(always)]
pub unsafe fn user_str(to: *mut u8, len: u32, from: u64) -> Result<u32, Unreadable> {
    // SAFETY: the caller's promise; the helper checks `from`.
    let read = unsafe { generated::bpf_probe_read_user_str(to.cast(), len, from as *const _) };
    if read > 0 { Ok(read.cast_unsigned() as u32 - 1) } else { Err(Unreadable) }
}

/// `value & MASK` that the compiler cannot reason away: the verifier must see the bound right before its use.
#[inline(always)]
pub fn masked<const MASK: u32>(value: u32) -> u32 {
    const { assert!((MASK + 1).is_power_of_two(), "a mask without holes") };
    let mut bounded = u64::from(value);
    // SAFETY: one arithmetic instruction on a register.
    unsafe {
        core::arch::asm!("{value} &= {mask}", value = inout(reg) bounded, mask = const MASK);
    }
    bounded as u32
}

/// Sixteen bytes of two words, as they lie in memory.
#[inline(always)]
pub fn bytes16(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: two arrays of plain integers of one size.
    unsafe { core::mem::transmute(words) }
}

/// Clears words by volatile writes: of plain ones the compiler makes a call of `memset`, and in a program with calls the
/// verifier of kernels before 6.3 holds every number for precise, takes no state for a repetition of another, and does not
/// end.
///
/// # Safety
/// `to` must be good for so many words.
#[inline(always)]
pub unsafe fn clear<const WORDS: usize>(to: *mut u64) {
    for index in 0..WORDS {
        // SAFETY: the caller's promise.
        unsafe { to.add(index).write_volatile(0) };
    }
}

/// Two cleared words.
#[inline(always)]
pub fn cleared() -> [u64; 2] {
    let mut words = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: two words.
    unsafe { clear::<2>(words.as_mut_ptr().cast()) };
    // SAFETY: both have been written.
    unsafe { words.assume_init() }
}
