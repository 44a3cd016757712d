//! How each sort of program gets to its place, and away from it.

use std::any::Any;
use std::fs::File;
use std::path::Path;

use aya::maps::{MapData, MapError, ProgramArray};
use aya::programs::CgroupSkbAttachType::{Egress, Ingress};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, FEntry, FExit, KProbe, Lsm, Program as AyaProgram,
    ProgramError,
};

use super::load_error::LoadError;
use super::probes::Attach;

/// Why a program is not attached.
pub(super) enum Why {
    Program(ProgramError),
    Slot(MapError),
    Cgroup(String),
}

impl From<ProgramError> for Why {
    fn from(error: ProgramError) -> Self {
        Why::Program(error)
    }
}

impl Why {
    /// Whether the kernel did not permit it: not what the program does, for which the verifier has other numbers, but to
    /// have one there.
    pub(super) fn is_forbidden(&self) -> bool {
        let error = match self {
            Why::Program(ProgramError::SyscallError(error)) => &error.io_error,
            Why::Program(ProgramError::LoadError { io_error, .. }) => io_error,
            Why::Program(_) | Why::Slot(_) | Why::Cgroup(_) => return false,
        };
        error.raw_os_error() == Some(nix::libc::EPERM)
    }

    /// As the loader tells it.
    pub(super) fn of(self, program: &'static str) -> LoadError {
        match self {
            Why::Program(error) => LoadError::Program { program, error },
            Why::Slot(error) => LoadError::Map { name: spoor_wire::control::names::SYSCALLS, error },
            Why::Cgroup(why) => LoadError::Cgroup { program, why },
        }
    }
}

/// Unloads a program, whose link is dropped before. One that is not loaded is as it should be.
#[expect(clippy::wildcard_enum_match_arm, reason = "aya has many types of programs, and we use these")]
pub(super) fn unload(program: &mut AyaProgram) {
    drop(match program {
        AyaProgram::Lsm(program) => program.unload(),
        AyaProgram::FEntry(program) => program.unload(),
        AyaProgram::FExit(program) => program.unload(),
        AyaProgram::KProbe(program) => program.unload(),
        AyaProgram::BtfTracePoint(program) => program.unload(),
        AyaProgram::CgroupSkb(program) => program.unload(),
        _ => Ok(()),
    });
}

/// Whether the kernel has a program.
pub(super) fn is_loaded(program: &AyaProgram) -> bool {
    program.fd().is_ok()
}

/// Has the kernel verify a program and take it.
pub(super) fn load(program: &mut AyaProgram, to: Attach, btf: &aya::Btf) -> Result<(), ProgramError> {
    match to {
        Attach::Lsm(hook) => <&mut Lsm>::try_from(program)?.load(hook, btf),
        Attach::Fentry(function) => <&mut FEntry>::try_from(program)?.load(function, btf),
        Attach::Fexit(function) => <&mut FExit>::try_from(program)?.load(function, btf),
        Attach::Kprobe(_) | Attach::Kretprobe(_) => <&mut KProbe>::try_from(program)?.load(),
        Attach::TpBtf(tracepoint) => <&mut BtfTracePoint>::try_from(program)?.load(tracepoint, btf),
        Attach::SysExit(_) => <&mut BtfTracePoint>::try_from(program)?.load("sys_exit", btf),
        Attach::SkbIngress | Attach::SkbEgress => <&mut CgroupSkb>::try_from(program)?.load(),
    }
}

/// What holds a program in its place: without it, it is in none.
pub(super) type Link = Box<dyn Any + Send + Sync>;

/// Puts a program that is loaded in its place. `None`: what holds it there is an entry of `syscalls`.
pub(super) fn attach(
    program: &mut AyaProgram,
    to: Attach,
    (syscalls, cgroups): (&mut ProgramArray<MapData>, Option<&Path>),
) -> Result<Option<Link>, Why> {
    /// Attaches it as its kind is, and takes the link from it.
    macro_rules! held {
        ($kind:ty, $($to:expr),*) => {{
            let program = <&mut $kind>::try_from(program)?;
            let link = program.attach($($to),*)?;
            Ok(Some(Box::new(program.take_link(link)?)))
        }};
    }
    match to {
        Attach::Lsm(_) => held!(Lsm,),
        Attach::Fentry(_) => held!(FEntry,),
        Attach::Fexit(_) => held!(FExit,),
        Attach::Kprobe(function) | Attach::Kretprobe(function) => held!(KProbe, function, 0),
        Attach::TpBtf(_) => held!(BtfTracePoint,),
        Attach::SysExit(slot) => {
            let program = <&mut BtfTracePoint>::try_from(program)?.fd()?;
            syscalls.set(slot as u32, program, 0).map_err(Why::Slot)?;
            Ok(None)
        }
        Attach::SkbIngress | Attach::SkbEgress => {
            let root = cgroups.ok_or_else(|| Why::Cgroup("no cgroup v2 hierarchy is mounted".into()))?;
            let root =
                File::open(root).map_err(|error| Why::Cgroup(format!("{}: {error}", root.display())))?;
            let way = if to == Attach::SkbIngress { Ingress } else { Egress };
            // A link, beside which others may have programs there, too: the kernel takes no other mode of it.
            held!(CgroupSkb, root, way, CgroupAttachMode::Single)
        }
    }
}
