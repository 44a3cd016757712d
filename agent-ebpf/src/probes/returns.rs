//! Programs at the return of a call's entry point, which is given the registers of the caller: by trampoline, or by a pair
//! of breakpoints, since the second does not know the arguments.

/// `fexit` programs, with their twins, and `kretprobe` programs: `HANDLER; NAME (AGAIN by TWINS): KIND of FUNCTION, WHAT, SOURCE;…`,
/// each of which calls `HANDLER(regs, ret, WHAT, SOURCE)`.
macro_rules! ends {
    ($handler:ident; $($name:ident $(($again:ident by $twins:expr))?: $kind:ident of $function:literal, $what:expr, $source:expr;)+) => { $(
        crate::probes::returns::ends!(@$kind $handler, $name $($again by $twins)?, $function, $what, $source);
    )+ };
    (@fexit $handler:ident, $name:ident $again:ident by $twins:expr, $function:literal, $what:expr, $source:expr) => {
        crate::again::twins! {
            fexit of $function: $name, $again by $twins;
            // Read as memory: kernel 5.10 knows the argument of some of these calls by a type that it has only heard of, and
            // its verifier lets nobody load that.
            |ctx: FExitContext| {
                let regs = field::<u64>(ctx.as_ptr() as u64, 0).unwrap_or(0);
                $handler(regs, ctx.arg::<i64>(1), $what, $source);
            }
        }
    };
    (@kretprobe $handler:ident, $name:ident, $function:literal, $what:expr, $source:expr) => {
        #[doc = concat!("`kretprobe/", $function, "`")]
        #[kretprobe(function = $function)]
        pub fn $name(ctx: RetProbeContext) -> u32 {
            let thread = bpf_get_current_pid_tgid();
            // SAFETY: a number, copied at once.
            if let Some(regs) = unsafe { ENTRIES.get(thread) }.copied() {
                let _ = ENTRIES.remove(thread);
                $handler(regs, ctx.ret::<i64>(), $what, $source);
            }
            0
        }
    };
}
pub(crate) use ends;

/// The `kprobe` programs that remember the registers for them.
macro_rules! begins {
    ($($name:ident of $function:literal;)+) => { $(
        #[doc = concat!("`kprobe/", $function, "`: the return does not know the arguments")]
        #[kprobe(function = $function)]
        pub fn $name(ctx: ProbeContext) -> u32 {
            if let Some(regs) = ctx.arg::<u64>(0) {
                let _ = ENTRIES.insert(bpf_get_current_pid_tgid(), regs, 0);
            }
            0
        }
    )+ };
}
pub(crate) use begins;
