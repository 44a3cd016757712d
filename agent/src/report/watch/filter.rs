//! Which rows are shown: the words of `spoor chains`.

use super::rows::Names;

/// Longest filter line, in letters.
pub(super) const LINE_MAX: usize = 128;

/// What is asked of a row. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// As it was typed.
    pub(super) line: String,
    words: Vec<Word>,
    /// Only with an action outside its purposes.
    pub(super) outside: bool,
    /// Only with a finding.
    pub(super) findings: bool,
}

/// One word of the line, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// A part of the actor's id or user.
    Actor(String),
    /// A part of a credential's id, path or identifier.
    Credential(String),
    /// A part of anything.
    Text(String),
}

impl Filter {
    /// Takes a line as it is typed.
    pub(super) fn set(&mut self, line: &str) {
        self.line = line.chars().filter(|letter| !letter.is_control()).take(LINE_MAX).collect();
        let small = self.line.to_lowercase();
        let word = |word: &str| match word.split_once('=') {
            Some(("actor", rest)) => Word::Actor(rest.to_owned()),
            Some(("credential", rest)) => Word::Credential(rest.to_owned()),
            _ => Word::Text(word.to_owned()),
        };
        self.words = small.split_whitespace().map(word).collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && !self.outside && !self.findings
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a row is shown.
    pub(super) fn lets(&self, names: &Names<'_>) -> bool {
        let has =
            |names: &[&str], wanted: &str| names.iter().any(|name| name.to_lowercase().contains(wanted));
        let word = |word: &Word| match word {
            Word::Actor(wanted) => has(&names.actors, wanted),
            Word::Credential(wanted) => has(&names.credentials, wanted),
            Word::Text(wanted) => {
                [&names.actors, &names.credentials, &names.rest].into_iter().any(|names| has(names, wanted))
            }
        };
        (!self.outside || names.outside) && (!self.findings || names.found) && self.words.iter().all(word)
    }

    /// What is asked, for the line above the list.
    pub(super) fn told(&self) -> String {
        let switches = [(self.outside, "outside"), (self.findings, "findings")];
        let on = switches.into_iter().filter_map(|(on, name)| on.then_some(name));
        on.chain((!self.words.is_empty()).then_some(self.line.trim())).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_must_be_there() {
        let names = Names {
            actors: vec!["systemd:backup.service", "backup"],
            credentials: vec!["aws-access-key:AKIA1", "/home/backup/.aws/credentials"],
            rest: vec!["10.0.0.9:443"],
            outside: true,
            found: false,
        };
        let lets = |line: &str, outside: bool, findings: bool| {
            let mut filter = Filter { outside, findings, ..Filter::default() };
            filter.set(line);
            filter.lets(&names)
        };
        for line in
            ["", "  ", "actor=backup", "ACTOR=Systemd:backup.service credential=akia1 10.0.0.9", "aws"]
        {
            assert!(lets(line, false, false) && lets(line, true, false), "{line}");
            assert!(!lets(line, false, true), "{line}");
        }
        for line in ["actor=akia", "credential=10.0.0.9", "aws nowhere", "since=2h"] {
            assert!(!lets(line, false, false), "{line}");
        }
    }

    #[test]
    fn a_line_is_bounded_and_holds_nothing_a_terminal_obeys() {
        let mut filter = Filter::default();
        filter.set(&format!("\u{1b}[2J{}", "x".repeat(1_000)));
        assert!(filter.line.starts_with("[2Jx") && filter.line.chars().count() == LINE_MAX);
    }
}
