//! How each sort of program gets to its place, and away from it.

use std::fs::File;
use std::path::Path;

use aya::maps::{MapData, MapError, ProgramArray};
use aya::programs::CgroupSkbAttachType::{Egress, Ingress};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, FEntry, FExit, KProbe, Lsm, Program as AyaProgram,
    ProgramError,
};

use super::loader::LoadError;
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
    /// As the loader tells it.
    pub(super) fn of(self, program: &'static str) -> LoadError {
        match self {
            Why::Program(error) => LoadError::Program { program, error },
            Why::Slot(error) => LoadError::Map { name: spoor_wire::control::names::SYSCALLS, error },
            Why::Cgroup(why) => LoadError::Cgroup { program, why },
        }
    }
}

/// Unloads a program, which detaches it. One that is not loaded is as it should be.
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

/// Loads a program and puts it in its place.
pub(super) fn attach(
    program: &mut AyaProgram,
    to: Attach,
    (btf, syscalls, cgroups): (&aya::Btf, &mut ProgramArray<MapData>, Option<&Path>),
) -> Result<(), Why> {
    match to {
        Attach::Lsm(hook) => {
            let program = <&mut Lsm>::try_from(program)?;
            program.load(hook, btf)?;
            program.attach()?;
        }
        Attach::Fentry(function) => {
            let program = <&mut FEntry>::try_from(program)?;
            program.load(function, btf)?;
            program.attach()?;
        }
        Attach::Fexit(function) => {
            let program = <&mut FExit>::try_from(program)?;
            program.load(function, btf)?;
            program.attach()?;
        }
        Attach::Kprobe(function) | Attach::Kretprobe(function) => {
            let program = <&mut KProbe>::try_from(program)?;
            program.load()?;
            program.attach(function, 0)?;
        }
        Attach::TpBtf(tracepoint) => {
            let program = <&mut BtfTracePoint>::try_from(program)?;
            program.load(tracepoint, btf)?;
            program.attach()?;
        }
        Attach::SysExit(slot) => {
            let program = <&mut BtfTracePoint>::try_from(program)?;
            program.load("sys_exit", btf)?;
            let program = program.fd()?;
            syscalls.set(slot as u32, program, 0).map_err(Why::Slot)?;
        }
        Attach::SkbIngress | Attach::SkbEgress => {
            let root = cgroups.ok_or_else(|| Why::Cgroup("no cgroup v2 hierarchy is mounted".into()))?;
            let root =
                File::open(root).map_err(|error| Why::Cgroup(format!("{}: {error}", root.display())))?;
            let program = <&mut CgroupSkb>::try_from(program)?;
            program.load()?;
            let way = if to == Attach::SkbIngress { Ingress } else { Egress };
            // Others may have programs there, too.
            program.attach(root, way, CgroupAttachMode::AllowMultiple)?;
        }
    }
    Ok(())
}
