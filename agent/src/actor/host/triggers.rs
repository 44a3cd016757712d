//! What starts a unit: its timer, socket or path unit, by the files of systemd.
//!
//! A file says what is set up to start the unit, not what did. So a socket and a path count only where they are enabled
//! and the unit itself is not: else it was started at boot as well.

use std::path::Path;

const FOLDERS: [&str; 4] =
    ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
/// Targets that start services at boot.
const TARGETS: [&str; 5] =
    ["multi-user.target", "graphical.target", "basic.target", "sysinit.target", "default.target"];

/// The unit that starts a service, by its file name; `root` is `/` but for tests.
pub(super) fn trigger(root: &Path, unit: &str) -> Option<String> {
    let base = unit.strip_suffix(".service").filter(|base| !base.contains('/'))?;
    let template = base.split_once('@');
    let there = |name: &str| FOLDERS.iter().any(|folder| root.join(folder).join(name).exists());
    // `logrotate@a.timer` is a link or runs from its template; the unit's own name is the timer's either way.
    let timers = [Some(format!("{base}.timer")), template.map(|(name, _)| format!("{name}@.timer"))];
    if timers.iter().flatten().any(|timer| there(timer)) {
        return Some(format!("{base}.timer"));
    }
    // With `Accept=yes` each connection has an instance, named by number and ends.
    if let Some((name, instance)) = template {
        let socket = format!("{name}.socket");
        let counted = instance.split_once('-').is_some_and(|(number, _)| number.parse::<u64>().is_ok());
        if counted && there(&socket) {
            return Some(socket);
        }
    }
    let wanted = |by: &str, name: &str| there(&format!("{by}.wants/{name}"));
    if TARGETS.iter().any(|target| wanted(target, unit)) {
        return None;
    }
    [("sockets.target", "socket"), ("paths.target", "path")].into_iter().find_map(|(target, kind)| {
        let name = format!("{base}.{kind}");
        // A path unit is mostly enabled for the same target as services are.
        let enabled = wanted(target, &name) || kind == "path" && TARGETS.iter().any(|by| wanted(by, &name));
        enabled.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::trigger;

    #[test]
    fn what_starts_a_unit_lies_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("etc/systemd/system");
        let shipped = root.path().join("usr/lib/systemd/system");
        for wants in ["sockets.target.wants", "paths.target.wants", "multi-user.target.wants"] {
            fs::create_dir_all(units.join(wants)).unwrap();
        }
        fs::create_dir_all(&shipped).unwrap();
        for unit in [
            "backup.timer",
            "dump@.timer",
            "sockets.target.wants/web.socket",
            "sockets.target.wants/docker.socket",
        ] {
            fs::write(units.join(unit), "").unwrap();
        }
        for unit in ["multi-user.target.wants/docker.service", "multi-user.target.wants/spool.path"] {
            fs::write(units.join(unit), "").unwrap();
        }
        for unit in ["ssh.socket", "sshd.socket", "idle.path"] {
            fs::write(shipped.join(unit), "").unwrap();
        }
        for (unit, expected) in [
            ("backup.service", Some("backup.timer")),
            ("dump@a.service", Some("dump@a.timer")),
            ("web.service", Some("web.socket")),
            ("spool.service", Some("spool.path")),
            ("sshd@3-10.0.0.1:22-10.0.0.2:40112.service", Some("sshd.socket")),
            // Shipped and not enabled; enabled and started at boot all the same; no instance of a connection.
            ("ssh.service", None),
            ("idle.service", None),
            ("docker.service", None),
            ("sshd@admin.service", None),
            ("nginx.service", None),
            ("../x.service", None),
        ] {
            assert_eq!(trigger(root.path(), unit).as_deref(), expected, "{unit}");
        }
    }
}
