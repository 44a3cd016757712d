//! Whom a purpose claims.

use crate::purpose::Fault;

/// An actor's id, in which `*` stands for any letters but `:` and `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::purpose) struct ActorPattern {
    text: String,
}

/// Longest id.
const BYTES_MAX: usize = 4_096;

impl ActorPattern {
    pub(in crate::purpose) fn parse(text: &str) -> Result<Self, Fault> {
        let (kind, rest) =
            text.split_once(':').ok_or("is not the id of an actor, as in `systemd:backup.service`")?;
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
            return Err("begins with no kind of actor: what is before the `:` has no wildcard".into());
        }
        if rest.is_empty() {
            return Err("says nothing behind its kind".into());
        }
        if text.len() > BYTES_MAX || text.contains(char::is_control) {
            return Err("is too long, or has control characters in it".into());
        }
        if text.contains("**") {
            return Err("has `**` in it: one `*` is any letters but `:` and `/`".into());
        }
        Ok(ActorPattern { text: text.to_owned() })
    }

    /// As it was written.
    pub(in crate::purpose) fn text(&self) -> &str {
        &self.text
    }

    /// The id, where it has no wildcard.
    pub(in crate::purpose) fn exact(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(&self.text)
    }

    /// What is before the first `:`, of the pattern and of every id it matches.
    pub(in crate::purpose) fn kind(&self) -> &str {
        self.text.split_once(':').map_or(&self.text, |(kind, _)| kind)
    }

    /// Whether there is an id, among those that are written out, that both match. Of two with wildcards, only where they are
    /// the same.
    pub(in crate::purpose) fn meets(&self, other: &Self) -> bool {
        self.text == other.text
            || self.exact().is_some_and(|id| other.matches(id))
            || other.exact().is_some_and(|id| self.matches(id))
    }

    pub(in crate::purpose) fn matches(&self, id: &str) -> bool {
        let mut pieces = self.text.split('*');
        let Some(mut rest) = pieces.next().and_then(|first| id.strip_prefix(first)) else {
            return false;
        };
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            // The wildcard ends at the first place where what follows fits; the last piece, at the end of the id.
            let at = if pieces.peek().is_none() {
                rest.len().checked_sub(piece.len()).filter(|at| rest.get(*at..) == Some(piece))
            } else {
                rest.find(piece)
            };
            let Some((wild, after)) = at.and_then(|at| rest.split_at_checked(at)) else {
                return false;
            };
            if wild.contains([':', '/']) {
                return false;
            }
            rest = after.get(piece.len()..).unwrap_or_default();
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_claims_and_what_not() {
        for (pattern, yes, no) in [
            (
                "systemd:backup.service",
                &["systemd:backup.service"][..],
                &["systemd:backup.service2", "x", ""][..],
            ),
            (
                "systemd:backup@*.service",
                &["systemd:backup@a.service", "systemd:backup@.service"],
                &["systemd:backup.service", "systemd:backup@a.timer", "systemd:backup@a/b.service"],
            ),
            ("kubernetes:prod:*", &["kubernetes:prod:web"], &["kubernetes:prod:web:x", "kubernetes:dev:web"]),
            ("kubernetes:*:web", &["kubernetes:prod:web"], &["kubernetes:a:b:web", "kubernetes:prod:webx"]),
            (
                "user:*:/opt/jobs/*",
                &["user:svc:/opt/jobs/x"],
                &["user:svc:/opt/jobs/x/y", "user:a:b:/opt/jobs/x"],
            ),
            (
                "container:docker:*a*",
                &["container:docker:bab"],
                &["container:docker:bb", "container:docker:/a"],
            ),
        ] {
            let parsed = ActorPattern::parse(pattern).unwrap();
            yes.iter().for_each(|id| assert!(parsed.matches(id), "{pattern} {id}"));
            no.iter().for_each(|id| assert!(!parsed.matches(id), "{pattern} {id}"));
            assert_eq!(parsed.exact().is_some(), !pattern.contains('*'));
        }
    }

    #[test]
    fn what_claims_everybody_is_refused() {
        for bad in
            ["", "*", "*:x", "sys*:x", "systemd", "systemd:", "systemd:**", "systemd:a\nb", ":x", "Systemd:x"]
        {
            assert!(ActorPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
