//! Whether tasks are preempted while they are in the kernel: there a program on a function can be interrupted at work, and what
//! passes it by meanwhile is its twin's ([`Settings::preempted`](spoor_wire::Settings)).

use std::fs;

/// Where it is asked, all of it in files.
#[derive(Debug, Default)]
struct Said {
    /// `/proc/sys/kernel/version`: how the kernel was built.
    version: Option<String>,
    /// What was chosen of a kernel that can do each, the one in force in brackets. Root's, and of debugfs.
    chosen: Option<String>,
    /// `/proc/cmdline`
    cmdline: Option<String>,
}

/// Since this version there is a lazy mode, which distributions choose, and from which later ones leave no way.
const LAZY_SINCE: (u32, u32) = (6, 13);

/// Of the running kernel, whose version is known.
pub(super) fn preempted(version: Option<(u32, u32)>) -> bool {
    let read = |path| fs::read_to_string(path).ok();
    Said {
        version: read("/proc/sys/kernel/version"),
        chosen: read("/sys/kernel/debug/sched/preempt"),
        cmdline: read("/proc/cmdline"),
    }
    .preempted(version)
}

impl Said {
    fn preempted(&self, version: Option<(u32, u32)>) -> bool {
        let words = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
        };
        let built = words(&self.version);
        let is_built = |how: &str| built.iter().any(|word| word == how);
        // `PREEMPT_RT` says so beside one of the others.
        if is_built("PREEMPT_RT") || is_built("PREEMPT") {
            return true;
        }
        let modes = words(&self.chosen);
        let chosen = modes.iter().find_map(|mode| mode.strip_prefix('(')?.strip_suffix(')'));
        let cmdline = words(&self.cmdline);
        // The last one counts.
        let asked = cmdline.iter().rev().find_map(|word| word.strip_prefix("preempt="));
        match chosen.or(asked) {
            Some(mode) => mode == "full" || mode == "lazy",
            // Not said: a twin too many costs little, one that is missing costs an event.
            None => is_built("PREEMPT_DYNAMIC") && version.is_none_or(|version| version >= LAZY_SINCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preempted(version: &str, chosen: &str, cmdline: &str, of: (u32, u32)) -> bool {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Said { version: said(version), chosen: said(chosen), cmdline: said(cmdline) }.preempted(Some(of))
    }

    #[test]
    fn each_way_a_kernel_says_it() {
        const DYNAMIC: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-08-02)\n";
        for (version, chosen, cmdline, of, is) in [
            ("#1 SMP PREEMPT Debian", "", "", (5, 10), true),
            ("#1 SMP PREEMPT_RT Debian", "", "preempt=none", (6, 1), true),
            ("#1 SMP Debian 5.10.259-1", "", "", (5, 10), false),
            ("#1 SMP Debian, which is not PREEMPT_ANYTHING", "", "preempt=", (5, 10), false),
            (DYNAMIC, "none (voluntary) full\n", "", (6, 1), false),
            (DYNAMIC, "none voluntary (full)\n", "", (6, 1), true),
            (DYNAMIC, "full (lazy)\n", "", (7, 2), true),
            (DYNAMIC, "(none) voluntary full\n", "preempt=full", (6, 1), false),
            (DYNAMIC, "", "quiet preempt=none preempt=full", (6, 1), true),
            (DYNAMIC, "", "preempt=voluntary", (7, 2), false),
            (DYNAMIC, "", "quiet", (6, 1), false),
            (DYNAMIC, "", "", (6, 12), false),
            (DYNAMIC, "", "", (6, 13), true),
            (DYNAMIC, "", "", (7, 2), true),
            ("", "", "", (7, 2), false),
        ] {
            assert_eq!(preempted(version, chosen, cmdline, of), is, "{version} {chosen} {cmdline} {of:?}");
        }
        let unknown = Said { version: Some(DYNAMIC.to_owned()), ..Said::default() };
        assert!(unknown.preempted(None));
    }
}
