//! The only program of a bare test guest: makes a system out of a kernel, runs the suite, says how it went, powers off.
//! Where a Debian was packed beside it, it puts a service in that runs this program again, and becomes systemd.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use spoor_tests::{Place, suite};

fn main() {
    let all = || -> Result<()> {
        if std::process::id() != 1 {
            return house(&words()?);
        }
        prepare()?;
        let cell = words()?;
        if cell.get("spoor.system").is_some_and(|system| system == "debian") {
            return become_debian();
        }
        bare()?;
        run(&cell)
    };
    if let Err(error) = all() {
        println!("spoor-guest: FAIL guest: {error:#}");
    }
    println!("spoor-guest: DONE");
    // What was printed is out before the machine is gone: the console is synchronous.
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    println!("power off: {error}");
}

/// Mounts what a system has.
fn prepare() -> Result<()> {
    let places = [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
    ];
    for (kind, at) in places {
        fs::create_dir_all(at).ok();
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {at}"))?;
    }
    load_modules();
    Ok(())
}

/// The words of the kernel's command line.
fn words() -> Result<HashMap<String, String>> {
    let line = fs::read_to_string("/proc/cmdline")?;
    let words = line.split_whitespace().filter_map(|word| word.split_once('='));
    Ok(words.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What a system has, and a guest without one needs.
fn bare() -> Result<()> {
    fs::create_dir_all("/etc")?;
    fs::write(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbackup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n",
    )?;
    fs::write("/etc/hostname", "guest\n")?;
    raise_loopback().context("raise the loopback device")
}

/// Goes on as the system's own init, which starts the suite when it is up.
fn become_debian() -> Result<()> {
    const UNIT: &str = "[Unit]\nAfter=multi-user.target\n[Service]\nType=oneshot\nExecStart=/init\n\
        StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n";
    // What the system itself says would come between the suite's lines on the console.
    const QUIET: &str = "[Manager]\nShowStatus=no\nLogTarget=null\n";
    let units = Path::new("/etc/systemd/system");
    fs::create_dir_all(units.join("multi-user.target.wants"))?;
    fs::write(units.join("suite.service"), UNIT)?;
    std::os::unix::fs::symlink(
        "/etc/systemd/system/suite.service",
        units.join("multi-user.target.wants/suite.service"),
    )?;
    fs::create_dir_all("/etc/systemd/system.conf.d")?;
    fs::write("/etc/systemd/system.conf.d/quiet.conf", QUIET)?;
    suite::house::before_boot().context("prepare the house")?;
    Err(std::process::Command::new("/sbin/init").exec()).context("become /sbin/init")
}

/// Loads what was packed beside us, in its order. What a kernel does not have is said, and is no failure: the routes that
/// need it are "not there".
fn load_modules() {
    let list = fs::read_to_string("/modules/list").unwrap_or_default();
    for name in list.lines() {
        let loaded = fs::File::open(format!("/modules/{name}.ko"))
            .map_err(anyhow::Error::from)
            .and_then(|file| Ok(finit_module(&file, c"", ModuleInitFlags::empty())?));
        if let Err(error) = loaded {
            println!("module {name} is not loaded: {error}");
        }
    }
}

#[expect(unsafe_code, reason = "an ioctl that no wrapper has")]
fn raise_loopback() -> Result<()> {
    use std::os::fd::AsRawFd;
    nix::ioctl_write_ptr_bad!(set_flags, 0x8914, [u8; 40]);
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    // struct ifreq: name, then flags; IFF_UP | IFF_RUNNING.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&0x41u16.to_ne_bytes());
    // SAFETY: SIOCSIFFLAGS reads a struct ifreq, which is 40 bytes long.
    unsafe { set_flags(fd.as_raw_fd(), &raw const request) }?;
    Ok(())
}

/// The suite under systemd.
fn house(cell: &HashMap<String, String>) -> Result<()> {
    let place = Place {
        spoor: "/spoor/spoor".into(),
        act: "/spoor/spoor-act".into(),
        work: Path::new("/var/lib/suite").into(),
        ..place(cell)
    };
    fs::create_dir_all(&place.work)?;
    place.say(&format!("KERNEL {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()));
    suite::house::house(&place)
}

fn place(cell: &HashMap<String, String>) -> Place {
    let word = |name: &str| cell.get(name).cloned().unwrap_or_default();
    let forced = word("spoor.tiers");
    Place {
        spoor: "/bin/spoor".into(),
        act: "/bin/spoor-act".into(),
        work: Path::new("/tmp/suite").into(),
        scope: None,
        cell: Some(word("spoor.cell")),
        tiers: (word("spoor.open"), word("spoor.connect")),
        forced: forced.split(',').filter(|tier| !tier.is_empty()).map(str::to_owned).collect(),
    }
}

fn run(cell: &HashMap<String, String>) -> Result<()> {
    let word = |name: &str| cell.get(name).cloned().unwrap_or_default();
    let place = place(cell);
    fs::create_dir_all(&place.work)?;
    place.say(&format!("KERNEL {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()));
    let whole = word("spoor.cell").ends_with("-lsm");
    for (name, case) in suite::CASES {
        if suite::ONCE.contains(&name) && !whole {
            continue;
        }
        match case(&place) {
            Ok(()) => println!("spoor-guest: PASS {name}"),
            Err(error) => {
                println!("spoor-guest: FAIL {name}: {}", format!("{error:#}").replace('\n', "\n    "));
                if word("spoor.until") == "red" {
                    break;
                }
            }
        }
    }
    Ok(())
}
