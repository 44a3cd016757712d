//! What went wrong once. A guest is emulated beside whatever else the machine does, and a test in it meets moments that no
//! other run had. A test that failed is asked again, as often as [`TIMES`], each time in a boot of its own (not every test can be
//! taken twice in one): if it fails there, too, its cell is red.
//! If not, it is *unsteady*: told in full, with its log, and no less a defect of the agent or of the test.

use super::matrix::{Boot, System};
use super::serial::Report;
use super::{Verdict, archive, boot};
use crate::sh::step;

/// How often it must pass then.
const TIMES: u32 = 3;
/// More tests than that do not fail by chance.
const FAILED_MAX: usize = 2;

/// The tests to ask again; none where that would say nothing: the boot itself went wrong, or all of this was asked for.
pub(super) fn worth_asking(boot: &Boot, report: &Report, reasons: &[String]) -> Vec<String> {
    let bare = boot.cell.system == System::Bare && boot.only.is_none() && !boot.until_red;
    // Every reason is a test that failed.
    let whole = report.broken().is_empty() && reasons.len() == report.failed.len();
    let names = report.failed.iter().map(|(name, _)| name.clone());
    if bare && whole && report.failed.len() <= FAILED_MAX { names.collect() } else { Vec::new() }
}

/// What was said each time, where each of them passes each time.
pub(super) fn pass(of: &Boot, name: &str, tests: &[String]) -> Option<Vec<Report>> {
    let mut answers = Vec::new();
    for test in tests {
        step!("vm: {:<18} asks {test} again, {TIMES} times", of.name());
        let again = Boot { only: Some((test.clone(), 1)), ..of.clone() };
        for time in 1..=TIMES {
            let outcome = boot::boot(&again, &archive(name, of), &format!("-{test}-again-{time}")).ok()?;
            if !outcome.report.reasons(&of.cell.skips).is_empty() {
                return None;
            }
            answers.push(outcome.report);
        }
    }
    Some(answers)
}

/// Says so, where one is.
pub(super) fn tell(verdict: &Verdict) {
    if let (Some(log), [_, ..]) = (&verdict.log, verdict.unsteady.as_slice()) {
        eprintln!(
            "\n{} is unsteady: what failed passed when it was asked again. See {}",
            verdict.cell,
            log.display()
        );
        verdict.unsteady.iter().for_each(|reason| eprintln!("  {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Matrix;
    use super::*;

    #[test]
    fn only_a_few_tests_that_failed_are_asked_again() {
        let matrix = Matrix::read().unwrap();
        let boot = |name: &str| matrix.boots().find(|boot| boot.name() == name).unwrap();
        let asked = |boot: &Boot, log: &str| {
            let report = Report::exited(log);
            worth_asking(boot, &report, &report.reasons(&boot.cell.skips))
        };
        let bare = boot("6.12-nolsm");
        let one = "spoor-guest: PASS daemon\nspoor-guest: FAIL twins: not seen\nspoor-guest: DONE\n";
        assert_eq!(asked(&bare, one), ["twins"]);
        assert!(asked(&boot("6.1-debian"), one).is_empty(), "there is no boot of one test");
        assert!(asked(&Boot { only: Some(("twins".to_owned(), 9)), ..bare.clone() }, one).is_empty());
        assert!(asked(&Boot { until_red: true, ..bare.clone() }, one).is_empty(), "sabotage wants the red");
        for broken in [
            "spoor-guest: FAIL twins: not seen\n",
            "spoor-guest: FAIL twins: not seen\nspoor-guest: DONE\nKernel panic - not syncing\n",
            "spoor-guest: FAIL twins: not seen\nspoor-guest: SKIP routes: no\nspoor-guest: DONE\n",
            "spoor-guest: FAIL a: b\nspoor-guest: FAIL c: d\nspoor-guest: FAIL e: f\nspoor-guest: DONE\n",
        ] {
            assert!(asked(&bare, broken).is_empty(), "{broken}");
        }
    }
}
