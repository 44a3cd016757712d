//! Credentials and programs that a purpose allows.

use super::ANY;
use super::path::PathPattern;
use crate::credential::Credential;
use crate::hex;
use crate::purpose::{Digest, Fault, Program};

/// A credential.
#[derive(Clone, Debug)]
pub(in crate::purpose) enum CredentialPattern {
    Any,
    Path(PathPattern),
    Kind(String),
    Id(String),
    Identifier(String, String),
}

impl CredentialPattern {
    pub(in crate::purpose) fn parse(text: &str) -> Result<Self, Fault> {
        if text == ANY {
            return Ok(CredentialPattern::Any);
        }
        if text.starts_with('/') {
            return PathPattern::parse(text).map(CredentialPattern::Path);
        }
        let (form, rest) = text.split_once(':').unwrap_or_default();
        match form {
            "kind" | "id" | "identifier" if rest.is_empty() => Err("says nothing behind the `:`".into()),
            "kind" => Ok(CredentialPattern::Kind(rest.to_owned())),
            "id" => Ok(CredentialPattern::Id(rest.to_owned())),
            "identifier" => match rest.split_once('=') {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                    Ok(CredentialPattern::Identifier(name.to_owned(), value.to_owned()))
                }
                _ => Err("names no identifier, as in `identifier:key_id=AKIA…`".into()),
            },
            _ => Err("is neither a path, nor `kind:…`, `id:…`, `identifier:name=value` or `any`".into()),
        }
    }

    pub(in crate::purpose) fn matches(&self, credential: &Credential) -> bool {
        match self {
            CredentialPattern::Any => true,
            CredentialPattern::Path(path) => path.matches(&credential.path),
            CredentialPattern::Kind(kind) => *kind == credential.kind,
            CredentialPattern::Id(id) => *id == credential.id,
            CredentialPattern::Identifier(name, value) => {
                credential.identifiers.iter().any(|(known, there)| known == name && there == value)
            }
        }
    }

    pub(in crate::purpose) fn text(&self) -> String {
        match self {
            CredentialPattern::Any => ANY.to_owned(),
            CredentialPattern::Path(path) => path.text().to_owned(),
            CredentialPattern::Kind(kind) => format!("kind:{kind}"),
            CredentialPattern::Id(id) => format!("id:{id}"),
            CredentialPattern::Identifier(name, value) => format!("identifier:{name}={value}"),
        }
    }
}

/// A program.
#[derive(Clone, Debug)]
pub(in crate::purpose) enum ProgramPattern {
    Any,
    Path(PathPattern, Option<Digest>),
}

/// How a program fits; what is greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::purpose) enum Fit {
    No,
    /// Its path does; whether its digest does, nobody knows.
    DigestUnknown,
    Yes,
}

impl ProgramPattern {
    pub(in crate::purpose) fn parse(text: &str) -> Result<Self, Fault> {
        if text == ANY {
            return Ok(ProgramPattern::Any);
        }
        let (path, digest) = match text.split_once(" sha256:") {
            None => (text, None),
            Some((path, digits)) => {
                (path, Some(digest(digits).ok_or("has no digest of 64 hexadecimal digits at its end")?))
            }
        };
        PathPattern::parse(path).map(|path| ProgramPattern::Path(path, digest))
    }

    pub(in crate::purpose) fn fit(&self, program: &Program<'_>) -> Fit {
        let (pattern, wanted) = match self {
            ProgramPattern::Any => return Fit::Yes,
            ProgramPattern::Path(pattern, wanted) => (pattern, wanted),
        };
        if !program.path().is_some_and(|path| pattern.matches(path)) {
            return Fit::No;
        }
        // The digest is of the executable, which for a script is its interpreter.
        match (wanted, program.digest.filter(|_| !program.is_script())) {
            (None, _) => Fit::Yes,
            (Some(_), None) => Fit::DigestUnknown,
            (Some(wanted), Some(is)) if *wanted == is => Fit::Yes,
            (Some(_), Some(_)) => Fit::No,
        }
    }

    pub(in crate::purpose) fn has_digest(&self) -> bool {
        matches!(self, ProgramPattern::Path(_, Some(_)))
    }

    /// Whether it is a pattern for this path.
    pub(in crate::purpose) fn is_at(&self, path: &[u8]) -> bool {
        matches!(self, ProgramPattern::Path(pattern, _) if pattern.matches(path))
    }

    /// Its path, where that has no wildcard.
    pub(in crate::purpose) fn exact(&self) -> Option<&str> {
        match self {
            ProgramPattern::Path(PathPattern::Exact(path), _) => Some(path),
            ProgramPattern::Path(PathPattern::Glob(..), _) | ProgramPattern::Any => None,
        }
    }
}

fn digest(digits: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    hex::decode(digits.as_bytes(), &mut digest).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Credential {
        Credential {
            id: "aws-access-key:AKIA1".to_owned(),
            kind: "aws-access-key".to_owned(),
            path: b"/home/backup/.aws/credentials".to_vec(),
            identifiers: vec![("key_id".to_owned(), "AKIA1".to_owned())],
            ..Credential::default()
        }
    }

    #[test]
    fn credentials() {
        for (text, is) in [
            ("any", true),
            ("/home/backup/.aws/credentials", true),
            ("/home/*/.aws/credentials", true),
            ("/home/backup/*", false),
            ("kind:aws-access-key", true),
            ("kind:aws", false),
            ("id:aws-access-key:AKIA1", true),
            ("id:AKIA1", false),
            ("identifier:key_id=AKIA1", true),
            ("identifier:user=AKIA1", false),
        ] {
            let parsed = CredentialPattern::parse(text).unwrap();
            assert_eq!(parsed.matches(&key()), is, "{text}");
            assert_eq!(parsed.text(), text);
        }
        for bad in ["", "aws", "kind:", "identifier:x", "identifier:=x", "identifier:x=", "file:/x", "*"] {
            assert!(CredentialPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn programs() {
        let runs = |exe: &'static str| Program { exe: exe.as_bytes(), ..Program::default() };
        let fit = |text: &str, program: &Program<'_>| ProgramPattern::parse(text).unwrap().fit(program);
        assert_eq!(fit("/usr/bin/restic", &runs("/usr/bin/restic")), Fit::Yes);
        assert_eq!(fit("/usr/bin/restic", &runs("/tmp/usr/bin/restic")), Fit::No);
        assert_eq!(fit("/usr/bin/*", &runs("/usr/bin/restic")), Fit::Yes);
        let script = Program { script: Some(b"/usr/local/bin/job"), ..runs("/usr/bin/bash") };
        assert_eq!(fit("/usr/local/bin/job", &script), Fit::Yes);
        assert_eq!(fit("/usr/bin/bash", &script), Fit::No, "an interpreter is not its scripts");
        let relative = Program { script: Some(b"./job"), ..runs("/usr/bin/bash") };
        assert_eq!(
            fit("/usr/bin/bash", &relative),
            Fit::Yes,
            "a script without a whole path is its interpreter's"
        );
        let unsure = Program { unsure: true, ..runs("/usr/bin/restic") };
        assert_eq!(fit("/usr/bin/restic", &unsure), Fit::No, "nameless, or cut");
        assert_eq!(fit("any", &unsure), Fit::Yes);
        assert_eq!(fit("any", &Program::default()), Fit::Yes);
    }

    #[test]
    fn digests() {
        let text = format!("/usr/bin/restic sha256:{}", "ab".repeat(32));
        let wants = ProgramPattern::parse(&text).unwrap();
        let mut program = Program { exe: b"/usr/bin/restic", ..Program::default() };
        assert_eq!(wants.fit(&program), Fit::DigestUnknown);
        program.digest = Some([0xab; 32]);
        assert_eq!(wants.fit(&program), Fit::Yes);
        program.digest = Some([0xac; 32]);
        assert_eq!(wants.fit(&program), Fit::No);
        let script = Program {
            exe: b"/bin/sh",
            script: Some(b"/usr/bin/restic"),
            digest: Some([0xab; 32]),
            unsure: false,
        };
        assert_eq!(wants.fit(&script), Fit::DigestUnknown, "that is the digest of the interpreter");
        assert!(wants.has_digest() && wants.is_at(b"/usr/bin/restic") && !wants.is_at(b"/usr/bin/other"));
        for bad in ["/x sha256:", "/x sha256:abc", "/x sha256:+b"] {
            assert!(ProgramPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
