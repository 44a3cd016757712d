//! Counting tests: out of what `cargo test` prints, and over the tiers.

/// How many passed and how many did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Counts {
    /// Something ran, and nothing failed. That nothing ran is never green.
    pub(crate) fn green(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Takes in a line of `cargo test`: `test result: ok. 3 passed; 1 failed; 0 ignored; ...`. Other lines are not ours.
    pub(crate) fn take(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, numbers)) = result.split_once(". ") else {
            return;
        };
        for part in numbers.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test tests::a ... ok",
            "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 10 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            counts.take(line);
        }
        assert_eq!(counts, Counts { passed: 13, failed: 1 });
        assert!(!counts.green());
    }

    #[test]
    fn nothing_is_not_green() {
        assert!(!Counts::default().green());
        assert!(Counts { passed: 1, failed: 0 }.green());
    }

    #[test]
    fn a_test_that_prints_the_words_is_not_counted() {
        let mut counts = Counts::default();
        counts.take("he said: test result: ok. 3 passed; 0 failed;");
        counts.take("3 passed; 2 failed");
        assert_eq!(counts, Counts::default());
    }
}
