//! What the guest says on its serial console, and what it means.
//!
//! One line per test, `spoor-guest: PASS name`, `spoor-guest: FAIL name: why` or `spoor-guest: SKIP name: why`, and
//! `spoor-guest: DONE` at the end, so that a guest that stopped half way is not taken for one that had less to say.
//! Between them what is no verdict: `KERNEL release`, `ROUTE name verdict`, `VERIFIED program instructions` and `TOOK name seconds`.

use super::matrix::Skip;

const MARK: &str = "spoor-guest: ";

/// Before lines that go on with a failure.
const INDENT: &str = "    ";

/// What is kept of the lines that follow a failure: as many records as most cases make, each with its head.
const MORE_LINES: usize = 40;
const MORE_CHARACTERS: usize = 1_200;

/// How the machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It powered off or rebooted by itself.
    Exited,
    /// It was stopped when its time was over.
    TimedOut,
}

/// What came out of one boot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: Vec<String>,
    /// Test and reason.
    pub(crate) failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
    /// Route and verdict, with its reason.
    pub(super) routes: Vec<(String, String)>,
    /// Program, and how many instructions the verifier walked.
    pub(super) verified: Vec<(String, String)>,
    /// The kernel's release.
    pub(super) kernel: Option<String>,
    done: bool,
    panicked: bool,
    end: End,
}

impl Report {
    pub(super) fn parse(log: &str, end: End) -> Self {
        let mut report = Self {
            passed: Vec::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
            routes: Vec::new(),
            verified: Vec::new(),
            kernel: None,
            done: false,
            panicked: log.contains("Kernel panic - not syncing"),
            end,
        };
        let mut told = None;
        for line in log.lines() {
            // The kernel's own messages may stand before ours on the same line.
            if let Some(at) = line.find(MARK) {
                report.line(line[at + MARK.len()..].trim());
                told = line[at + MARK.len()..].starts_with("FAIL ").then_some(MORE_LINES);
            } else if let (true, Some(left @ 1..)) = (line.starts_with(INDENT), told.as_mut()) {
                *left -= 1;
                report.more(line.trim_end());
            }
        }
        report
    }

    /// A line that goes on with why the last test failed. Whoever reads only what CI prints has nothing else.
    fn more(&mut self, line: &str) {
        if let Some((_, why)) = self.failed.last_mut() {
            why.push('\n');
            why.extend(line.chars().filter(|c| !c.is_control()).take(MORE_CHARACTERS));
        }
    }

    /// The report of a guest that powered off by itself.
    #[cfg(test)]
    pub(crate) fn exited(log: &str) -> Self {
        Self::parse(log, End::Exited)
    }

    fn line(&mut self, said: &str) {
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        let pair = || (name.to_owned(), why.to_owned());
        match word {
            "PASS" => self.passed.push(rest.to_owned()),
            "FAIL" => self.failed.push(pair()),
            "SKIP" => self.skipped.push(pair()),
            "ROUTE" | "VERIFIED" if rest.contains(' ') => {
                let (name, what) = rest.split_once(' ').unwrap_or((rest, ""));
                let list = if word == "ROUTE" { &mut self.routes } else { &mut self.verified };
                list.push((name.to_owned(), what.to_owned()));
            }
            // For whoever reads the log.
            "TOOK" => {}
            "KERNEL" => self.kernel = Some(rest.to_owned()),
            "DONE" => self.done = true,
            // A line that was garbled or a word we do not know must not pass for silence.
            _ => self.failed.push((said.to_owned(), "is not a line the guest may say".to_owned())),
        }
    }

    /// Every reason why the cell is red; none when it is green.
    pub(super) fn reasons(&self, declared: &[Skip]) -> Vec<String> {
        let mut reasons = self.broken();
        reasons.extend(self.failed.iter().map(|(name, why)| format!("FAIL {name}: {why}")));
        let undeclared =
            self.skipped.iter().filter(|(name, _)| declared.iter().all(|skip| skip.test != *name));
        reasons.extend(
            undeclared.map(|(name, why)| format!("SKIP {name}: {why} (not declared in tests/kernels.toml)")),
        );
        if self.passed.is_empty() && reasons.is_empty() {
            reasons.push("no test passed".to_owned());
        }
        reasons
    }

    /// Reasons that say the boot itself went wrong, so that its verdicts are not to be trusted.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.end == End::TimedOut {
            reasons.push("timed out".to_owned());
        }
        if self.panicked {
            reasons.push("the kernel panicked".to_owned());
        }
        if !self.done {
            reasons.push("the guest never said DONE".to_owned());
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEN: &str = "Booting\r\nspoor-guest: PASS open is seen\r\nspoor-guest: DONE\r\n";

    fn reasons(log: &str, end: End, declared: &[Skip]) -> Vec<String> {
        Report::parse(log, end).reasons(declared)
    }

    #[test]
    fn a_guest_that_passes_and_is_done_is_green() {
        assert_eq!(reasons(GREEN, End::Exited, &[]), [""; 0]);
        assert_eq!(Report::parse(GREEN, End::Exited).passed, ["open is seen"]);
    }

    #[test]
    fn what_is_no_verdict_is_kept() {
        let log = format!(
            "spoor-guest: KERNEL 6.1.0\nspoor-guest: ROUTE a not-seen: b: c\nspoor-guest: VERIFIED d 9\n{GREEN}"
        );
        let report = Report::exited(&log);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(report.kernel.as_deref(), Some("6.1.0"));
        assert_eq!(report.routes, [pair("a", "not-seen: b: c")]);
        assert_eq!(report.verified, [pair("d", "9")]);
        assert_eq!(report.reasons(&[]), [""; 0]);
        assert_eq!(Report::exited(&format!("spoor-guest: ROUTE a\n{GREEN}")).reasons(&[]).len(), 1);
    }

    #[test]
    fn a_failure_is_red_with_its_reason() {
        let log = format!("spoor-guest: FAIL connect: nothing: seen\n{GREEN}");
        assert_eq!(reasons(&log, End::Exited, &[]), ["FAIL connect: nothing: seen"]);
        let long = "spoor-guest: FAIL connect: what came:\n    {\"a\": 1}\x1b[2J\r\n";
        let log = format!("{long}{GREEN}");
        assert_eq!(reasons(&log, End::Exited, &[]), ["FAIL connect: what came:\n    {\"a\": 1}[2J"]);
    }

    #[test]
    fn a_skip_must_be_declared() {
        let log = format!("spoor-guest: SKIP ipv6: no module\n{GREEN}");
        assert_eq!(
            reasons(&log, End::Exited, &[]),
            ["SKIP ipv6: no module (not declared in tests/kernels.toml)"]
        );
        let declared = [Skip { test: "ipv6".to_owned(), why: "cloud kernels have no module".to_owned() }];
        assert_eq!(reasons(&log, End::Exited, &declared), [""; 0]);
    }

    #[test]
    fn silence_panic_and_timeout_are_red() {
        assert_eq!(reasons("spoor-guest: PASS a\n", End::Exited, &[]), ["the guest never said DONE"]);
        assert_eq!(reasons("spoor-guest: DONE\n", End::Exited, &[]), ["no test passed"]);
        assert_eq!(reasons(GREEN, End::TimedOut, &[]), ["timed out"]);
        let log = format!("{GREEN}[    3.1] Kernel panic - not syncing: Attempted to kill init!\n");
        assert_eq!(reasons(&log, End::Exited, &[]), ["the kernel panicked"]);
    }

    #[test]
    fn a_garbled_line_is_red_and_kernel_noise_before_it_is_not() {
        assert_eq!(
            reasons(&format!("[ 1.0] usb: x spoor-guest: PASS b\n{GREEN}"), End::Exited, &[]),
            [""; 0]
        );
        assert_eq!(reasons(&format!("spoor-guest: PSAS b\n{GREEN}"), End::Exited, &[]).len(), 1);
    }
}
