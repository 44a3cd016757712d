//! Loads the probe object and attaches its programs. The object is one for all kernels; which of its programs are
//! loaded is decided by [`super::coverage`].

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;

use aya::maps::{MapData, ProgramArray};
use aya::programs::{Program as AyaProgram, ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use flate2::read::GzDecoder;
use spoor_wire::Settings;
use spoor_wire::control::names;

use super::attach::{Link, Why, attach, is_loaded, load, unload};
use super::btf::Btf;
use super::cgroups::Cgroups;
use super::keys;
use super::load_error::{Lack, LoadError};
use super::offsets;
use super::parallel;
use super::passed::Passed;
use super::pod::AsPod;
use super::preflight::Host;
use super::probes::{Attach, Program, Way};

/// The object, as the build script packed it.
static PACKED: &[u8] = include_bytes!(env!("SPOOR_PROBE_OBJECT"));
/// How its parser wants it aligned.
const ALIGN: usize = 8;

/// The object, and where in these bytes it begins.
fn unpack(packed: &[u8]) -> io::Result<(Vec<u8>, usize)> {
    let mut object = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut object)?;
    if object.as_ptr().align_offset(ALIGN) == 0 {
        return Ok((object, 0));
    }
    let mut room = vec![0; object.len() + ALIGN];
    let first = room.as_ptr().align_offset(ALIGN);
    for (to, from) in room.iter_mut().skip(first).zip(&object) {
        *to = *from;
    }
    Ok((room, first))
}

/// The program at the return of system calls.
const DISPATCHER: &str = "sys_exit";
/// The program that sees processes being made.
const FORK: &str = "tp_fork";

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Watch only the cgroups of the scope table.
    pub scoped: bool,
    /// Level of the probes' debug messages, 0 for none, as `log::Level` counts.
    pub log_level: u8,
}

/// The loaded object.
pub struct Kernel {
    /// Given up when every program is in its place.
    making: Option<Making>,
    /// What holds programs in their places, by their names.
    links: BTreeMap<String, Link>,
    /// The programs themselves, since what they were made of is given up.
    programs: Vec<(String, ProgramFd)>,
    /// Programs behind the one at the return of system calls.
    syscalls: ProgramArray<MapData>,
    /// That one is attached.
    dispatching: bool,
    /// Root of the v2 hierarchy, for programs that see packets.
    cgroups: Option<PathBuf>,
    lacks: Vec<Lack>,
    /// Programs on functions have twins.
    twins: bool,
    /// What the verifier refused ahead, until it is asked for.
    refused: BTreeMap<String, ProgramError>,
    /// What passes programs by, where somebody looks at that.
    passed: Arc<Passed>,
}

/// What programs are made of.
struct Making {
    /// The object: all programs' instructions, in what ways ever they may be loaded, 1.8 MiB.
    ebpf: Ebpf,
    /// The kernel's type description, several times the 5 MiB that it is parsed from.
    btf: aya::Btf,
}

impl Kernel {
    /// Loads the object: maps are made, programs are not yet in the kernel.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load(host: &Host, options: Options) -> Result<Self, LoadError> {
        keys::anchor();
        let offsets = AsPod(offsets::resolve(&Btf::parse(&host.btf)?)?);
        let settings = AsPod(Settings {
            agent_tgid: std::process::id(),
            scoped: options.scoped.into(),
            preempted: host.preempted.into(),
        });
        let btf = aya::Btf::parse(&host.btf, aya::Endianness::default())?;
        let (object, first) = unpack(PACKED).map_err(LoadError::Packed)?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global(names::OFFSETS, &offsets, true)
            .override_global(names::SETTINGS, &settings, true)
            .override_global(aya_log::LEVEL, &options.log_level, false)
            .load(object.get(first..).unwrap_or_default())?;
        let syscalls = ebpf.take_map(names::SYSCALLS).ok_or(LoadError::Absent(names::SYSCALLS))?;
        let syscalls = ProgramArray::try_from(syscalls)
            .map_err(|error| LoadError::Map { name: names::SYSCALLS, error })?;
        let cgroups = Cgroups::find().ok().map(|cgroups| cgroups.directory(""));
        let inactive = host.lsms.as_ref().is_some_and(|active| active.iter().all(|name| name != "bpf"));
        let lacks = [(Lack::Lsm, inactive), (Lack::Kprobes, !host.kprobes)];
        let lacks = lacks.into_iter().filter_map(|(lack, lacking)| lacking.then_some(lack)).collect();
        let (twins, refused) = (host.preempted, BTreeMap::new());
        let passed = Arc::default();
        Ok(Kernel {
            making: Some(Making { ebpf, btf }),
            links: BTreeMap::new(),
            programs: Vec::new(),
            syscalls,
            dispatching: false,
            cgroups,
            lacks,
            twins,
            refused,
            passed,
        })
    }

    /// Takes a map out of the object.
    pub(super) fn take<T>(&mut self, name: &'static str) -> Result<T, LoadError>
    where
        T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
    {
        let map = self.making.as_mut().and_then(|making| making.ebpf.take_map(name));
        let map = map.ok_or(LoadError::Absent(name))?;
        T::try_from(map).map_err(|error| LoadError::Map { name, error })
    }

    /// Carries the probes' messages into the daemon's log. `None` where they are off, or once it is settled.
    #[must_use]
    pub fn logger(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        EbpfLogger::init(&mut self.making.as_mut()?.ebpf).ok()
    }

    /// Gives up what programs are made of: no more will be loaded. Those that are stay where they are.
    ///
    /// # Errors
    /// Where the process may have no more descriptors.
    pub fn settle(&mut self) -> io::Result<()> {
        let Some(making) = &self.making else { return Ok(()) };
        let loaded = making.ebpf.programs().filter_map(|(name, program)| Some((name, program.fd().ok()?)));
        let kept = loaded.map(|(name, fd)| Ok((name.to_owned(), fd.try_clone()?)));
        self.programs = kept.collect::<io::Result<_>>()?;
        let numbers = self.programs.iter().map(|(name, fd)| (name.clone(), fd.as_fd().as_raw_fd()));
        self.passed = Arc::new(Passed::of(numbers));
        self.making = None;
        Ok(())
    }

    /// What passes programs by, to be asked of the kernel later; of none before it is settled.
    #[must_use]
    pub fn passed(&self) -> Arc<Passed> {
        Arc::clone(&self.passed)
    }

    /// What the kernel has nothing for, so that a way need not be tried.
    pub(super) fn lacks(&self, way: &Way) -> bool {
        way.programs.iter().any(|program| self.lack(program).is_some())
    }

    fn lack(&self, program: &Program) -> Option<Lack> {
        let lack = match program.attach {
            Attach::Lsm(_) => Lack::Lsm,
            Attach::Kprobe(_) | Attach::Kretprobe(_) => Lack::Kprobes,
            Attach::Fentry(_) | Attach::Fexit(_) => Lack::Functions,
            Attach::TpBtf(_) | Attach::SysExit(_) | Attach::SkbIngress | Attach::SkbEgress => return None,
        };
        self.lacks.contains(&lack).then_some(lack)
    }

    /// Loads what some ways consist of, on several CPUs: the verifier takes most of a start. What it refuses is told by
    /// [`Kernel::attach`].
    pub(super) fn load_ahead(&mut self, ways: impl Iterator<Item = &'static Way>) {
        let Some(Making { ebpf, btf }) = &mut self.making else { return };
        let mut wanted = BTreeMap::new();
        for program in ways.flat_map(|way| way.programs) {
            wanted.insert(program.name.to_owned(), program.attach);
            if matches!(program.attach, Attach::SysExit(_)) {
                wanted.insert(DISPATCHER.to_owned(), Attach::TpBtf("sys_exit"));
            }
            if self.twins && program.attach.is_function() {
                wanted.insert(program.twin(), program.attach);
            }
        }
        let programs = ebpf.programs_mut().filter(|(_, program)| !is_loaded(program));
        let jobs = programs.filter_map(|(name, program)| Some((name, program, *wanted.get(name)?))).collect();
        // The verifier takes no lock for whom the kernel trusts.
        let refused = parallel::all(parallel::cpus(), jobs, |(name, program, to)| {
            load(program, to, btf).err().map(|error| (name.to_owned(), error))
        });
        self.refused.extend(refused.into_iter().flatten());
    }

    /// Loads and attaches all programs of a way; on failure none of them stays.
    ///
    /// # Errors
    /// [`LoadError::Program`] of the first that was refused.
    pub fn attach(&mut self, way: &Way) -> Result<(), LoadError> {
        for program in way.programs {
            if let Err(error) = self.attach_one(program) {
                self.detach(way);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Detaches and unloads all programs of a way that are loaded.
    pub(super) fn detach(&mut self, way: &Way) {
        for program in way.programs {
            if let Attach::SysExit(slot) = program.attach {
                // An empty slot is what is wanted.
                drop(self.syscalls.clear_index(&(slot as u32)));
            }
            for name in [program.name, &program.twin()] {
                self.links.remove(name);
                if let Some(program) = self.making.as_mut().and_then(|making| making.ebpf.program_mut(name)) {
                    unload(program);
                }
            }
        }
    }

    /// Detaches everything: from here on the rings only empty.
    pub fn detach_all(&mut self) {
        self.passed.remember();
        // Forks last: they carry the marks by which the others tell whose deeds they see.
        self.links.retain(|name, _| name == FORK);
        self.links.clear();
        self.programs.clear();
        self.making = None;
    }

    /// Instructions the verifier went through, by program, for those that are loaded (from Linux 5.16 on). Of none once it is
    /// settled.
    #[must_use]
    pub fn verified(&self) -> Vec<(String, u32)> {
        let count = |program: &AyaProgram| program.info().ok()?.verified_instruction_count();
        let programs = self.making.iter().flat_map(|making| making.ebpf.programs());
        programs.filter_map(|(name, program)| Some((name.to_owned(), count(program)?))).collect()
    }

    fn attach_one(&mut self, program: &Program) -> Result<(), LoadError> {
        if let Some(lack) = self.lack(program) {
            return Err(LoadError::Lacking { program: program.name, lack });
        }
        if matches!(program.attach, Attach::SysExit(_)) && !self.dispatching {
            self.put(DISPATCHER, DISPATCHER, Attach::TpBtf("sys_exit"))?;
            self.dispatching = true;
        }
        // Before the first: of two on a function the later comes first.
        if self.twins
            && program.attach.is_function()
            && self.making.as_ref().is_some_and(|making| making.ebpf.program(&program.twin()).is_some())
            && let Err(why) = self.put(&program.twin(), program.name, program.attach)
        {
            if let Some(lack) = self.lack(program) {
                return Err(LoadError::Lacking { program: program.name, lack });
            }
            // What passes the first by is counted then, and a gap says so.
            tracing::warn!(program = program.name, error = %why, "a probe has no twin");
        }
        self.put(program.name, program.name, program.attach)
    }

    /// Loads the program of that name, where that is not done yet, and puts it in its place. An error names what it is for.
    fn put(&mut self, name: &str, of: &'static str, to: Attach) -> Result<(), LoadError> {
        let Kernel { making, links, syscalls, cgroups, refused, lacks, .. } = self;
        let Making { ebpf, btf } = making.as_mut().ok_or(LoadError::Absent("programs any more"))?;
        let program = ebpf.program_mut(name).ok_or(LoadError::Absent(of))?;
        let loaded = match refused.remove(name) {
            Some(error) => Err(error),
            None if is_loaded(program) => Ok(()),
            None => load(program, to, btf),
        };
        let put = loaded.map_err(Why::Program);
        let put = put.and_then(|()| attach(program, to, (syscalls, cgroups.as_deref())));
        let link = put.map_err(|why| {
            if to.is_function() && why.is_forbidden() {
                lacks.push(Lack::Functions);
            }
            why.of(of)
        })?;
        links.extend(link.map(|link| (name.to_owned(), link)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_comes_out_as_it_went_in() {
        let (object, first) = unpack(PACKED).unwrap();
        let object = &object[first..];
        assert!(object.starts_with(b"\x7fELF") && object.as_ptr().align_offset(ALIGN) == 0);
        assert!(object.len() > 4 * PACKED.len(), "it is packed");
        for cut in [0, 1, PACKED.len() / 2, PACKED.len() - 1] {
            assert!(unpack(&PACKED[..cut]).is_err(), "{cut}");
        }
    }
}
