//! The only program of a bare test guest: makes a system out of a kernel, runs the suite, says how it went, powers off.
//! Where a Debian was packed beside it, it puts a service in that runs this program again, and becomes systemd.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::chroot;
use spoor_tests::overhead::Asked;
use spoor_tests::{Place, suite};

fn main() {
    let all = || -> Result<()> {
        if std::process::id() != 1 {
            return house(&words()?);
        }
        prepare()?;
        let cell = words()?;
        match system(&cell) {
            "debian" => return become_debian(suite::house::before_boot),
            "package" => return become_debian(suite::package::before_boot),
            "containers" => return on_disk(suite::containers::before_boot),
            "clients" => return on_disk(suite::clients::before_boot),
            "day" => return on_disk(suite::day::before_boot),
            "overhead" => return measure(&cell),
            "measured" => return over_time(&cell),
            _ => bare()?,
        }
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

/// Which system this guest is.
fn system(cell: &HashMap<String, String>) -> &str {
    cell.get("spoor.system").map_or("bare", String::as_str)
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

/// A Debian's programs, and none of its services.
fn measure(cell: &HashMap<String, String>) -> Result<()> {
    raise_loopback().context("raise the loopback device")?;
    let place = Place {
        spoor: "/spoor/spoor".into(),
        act: "/spoor/spoor-act".into(),
        work: Path::new("/tmp/overhead").into(),
        ..place(cell)
    };
    fs::create_dir_all(&place.work)?;
    match cell.get("spoor.measure").map(String::as_str) {
        Some("growth") => spoor_tests::overhead::growth(&place)?,
        _ => {
            let word = |name: &str| cell.get(name).map(String::as_str);
            let asked = Asked {
                collectors: word("spoor.collectors"),
                without: word("spoor.without"),
                work: word("spoor.work"),
                visits: word("spoor.visits").map(str::parse).transpose()?,
            };
            spoor_tests::overhead::overhead(&place, asked)?;
        }
    }
    place.say("PASS overhead");
    Ok(())
}

/// The suite's guest, in which the agent is measured for a while.
fn over_time(cell: &HashMap<String, String>) -> Result<()> {
    bare()?;
    let place = Place { work: Path::new("/tmp/soak").into(), ..place(cell) };
    fs::create_dir_all(&place.work)?;
    let minutes = cell.get("spoor.minutes").context("for how long?")?.parse()?;
    spoor_tests::overhead::soak(&place, minutes)?;
    place.say("PASS soak");
    Ok(())
}

/// Goes on as the system's own init, which starts the suite when it is up.
fn become_debian(before_boot: fn() -> Result<()>) -> Result<()> {
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
    // It would wait for a device that nobody announces, and all that comes after it.
    std::os::unix::fs::symlink("/dev/null", units.join("serial-getty@ttyS0.service"))?;
    fs::create_dir_all("/etc/systemd/system.conf.d")?;
    fs::write("/etc/systemd/system.conf.d/quiet.conf", QUIET)?;
    before_boot().context("prepare the system")?;
    Err(std::process::Command::new("/sbin/init").exec()).context("become /sbin/init")
}

/// Moves from memory to the Debian on the disk, takes along what is ours, and goes on as its init. A container runtime
/// turns its root over, which the kernel refuses where that is the one it unpacked itself.
fn on_disk(before_boot: fn() -> Result<()>) -> Result<()> {
    const DISK: &str = "/dev/nvme0n1";
    let none = None::<&str>;
    let root = Path::new("/disk");
    wait_for(Path::new(DISK))?;
    fs::create_dir_all(root)?;
    mount(Some(DISK), root, Some("ext4"), MsFlags::MS_NOATIME, none).context("mount the disk")?;
    fs::create_dir_all(root.join("spoor"))?;
    for (from, to) in
        [("/init", "init"), ("/bin/spoor", "spoor/spoor"), ("/bin/spoor-act", "spoor/spoor-act")]
    {
        fs::copy(from, root.join(to)).with_context(|| format!("copy {from}"))?;
    }
    if let Ok(deployed) = fs::read_dir("/deployed") {
        fs::create_dir_all(root.join("spoor/deployed"))?;
        for file in deployed {
            let file = file?;
            fs::copy(file.path(), root.join("spoor/deployed").join(file.file_name()))?;
        }
    }
    // systemd mounts the cgroups it is told to.
    umount("/sys/fs/cgroup").context("umount the cgroups")?;
    for place in ["proc", "sys", "dev", "tmp", "run"] {
        let from = Path::new("/").join(place);
        mount(Some(&from), &root.join(place), none, MsFlags::MS_MOVE, none)
            .with_context(|| format!("move {place}"))?;
    }
    std::env::set_current_dir(root)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).context("move the root")?;
    chroot(".")?;
    std::env::set_current_dir("/")?;
    // Of what systemd does after an update of the system, nothing is to do.
    for stamp in ["/etc/.updated", "/var/.updated"] {
        fs::write(stamp, "")?;
    }
    become_debian(before_boot)
}

/// The kernel finds disks while we run already.
fn wait_for(path: &Path) -> Result<()> {
    let deadline = Instant::now() + spoor_tests::PATIENCE;
    while !path.exists() {
        ensure!(Instant::now() < deadline, "there is no {}", path.display());
        std::thread::park_timeout(Duration::from_millis(10));
    }
    Ok(())
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

/// The suite of a system under systemd.
fn house(cell: &HashMap<String, String>) -> Result<()> {
    let place = Place {
        spoor: "/spoor/spoor".into(),
        act: "/spoor/spoor-act".into(),
        work: Path::new("/var/lib/suite").into(),
        ..place(cell)
    };
    fs::create_dir_all(&place.work)?;
    place.say(&format!("KERNEL {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()));
    match system(cell) {
        "containers" => suite::containers::containers(&place),
        "package" => suite::package::package(&place),
        "clients" => suite::clients::clients(&place),
        "day" => suite::day::day(&place, cell.get("spoor.beside").is_some_and(|who| who == "auditd")),
        _ => suite::house::house(&place),
    }
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
    let (all, every_tier) = (word("spoor.whole") == "yes", word("spoor.cell").ends_with("-lsm"));
    let here = |name| match (suite::ANYWHERE.contains(&name), suite::ONCE.contains(&name)) {
        (true, _) => all,
        (_, true) => every_tier,
        _ => true,
    };
    let only = cell.get("spoor.only");
    let wanted = |name| only.map_or_else(|| here(name), |only| only == name);
    let times = word("spoor.times").parse().unwrap_or(1);
    for (name, case) in
        suite::CASES.iter().filter(|(name, _)| wanted(name)).flat_map(|case| vec![case; times])
    {
        let started = Instant::now();
        let outcome = case(&place);
        println!("spoor-guest: TOOK {name} {:.1} s", started.elapsed().as_secs_f32());
        match outcome {
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
