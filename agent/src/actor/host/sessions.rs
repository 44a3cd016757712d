//! What systemd-logind says of a login session: `/run/systemd/sessions/<id>`, a file in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// What is known of a login session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Whose it is.
    pub uid: Option<u32>,
    /// Made by a daemon for what it starts: cron, a user's systemd.
    pub is_background: bool,
    /// Where the person came from, as the daemon that let them in said.
    pub from: Option<String>,
}

/// Sessions that were asked for.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<String, (u64, Option<Arc<Login>>)>);

impl Sessions {
    const MAX: usize = 1024;
    /// How long an answer holds, ns; and that there is none, for a session is written after its first process began.
    const KNOWN_NS: u64 = 60_000_000_000;
    const UNKNOWN_NS: u64 = 1_000_000_000;

    /// What is known of a session; `root` is `/` but for tests.
    pub(super) fn login(&mut self, root: &Path, session: &str, now_ns: u64) -> Option<Arc<Login>> {
        let digits = session.strip_prefix('c').unwrap_or(session);
        if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Some((asked_ns, login)) = self.0.get(session) {
            let holds_ns = if login.is_some() { Self::KNOWN_NS } else { Self::UNKNOWN_NS };
            if now_ns < asked_ns.saturating_add(holds_ns) {
                return login.clone();
            }
        }
        let login = read(&root.join("run/systemd/sessions").join(session)).map(Arc::new);
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(session.to_owned(), (now_ns, login.clone()));
        login
    }
}

fn read(path: &Path) -> Option<Login> {
    const TEXT_MAX: u64 = 16 << 10;
    let mut text = String::new();
    File::open(path).ok()?.take(TEXT_MAX).read_to_string(&mut text).ok()?;
    Some(parse(&text))
}

fn parse(text: &str) -> Login {
    let mut login = Login::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim_matches('"');
        match key {
            "UID" => login.uid = value.parse().ok(),
            // `background`, `background-light`, `manager`, `manager-early`
            "CLASS" => login.is_background = value.starts_with("background") || value.starts_with("manager"),
            "REMOTE_HOST" => login.from = Some(value.to_owned()).filter(|host| is_host(host)),
            _ => {}
        }
    }
    login
}

/// A name or an address: what is neither is not told.
fn is_host(text: &str) -> bool {
    const HOST_MAX: usize = 255;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'_' | b'%');
    !text.is_empty() && text.len() <= HOST_MAX && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::{Sessions, parse};

    const SSH: &str = "# This is private data. Do not parse.\nUID=1000\nUSER=alice\nACTIVE=1\nSTATE=active\nREMOTE=1\n\
        TYPE=tty\nCLASS=user\nSCOPE=session-3.scope\nREMOTE_HOST=10.0.0.5\nSERVICE=sshd\nLEADER=812\nAUDIT=3\n";

    #[test]
    fn a_session_over_ssh_and_others() {
        let login = parse(SSH);
        assert_eq!(
            (login.uid, login.is_background, login.from.as_deref()),
            (Some(1000), false, Some("10.0.0.5"))
        );
        for (text, background, from) in [
            ("UID=34\nCLASS=background\nSERVICE=cron\n", true, None),
            ("UID=1000\nCLASS=manager\n", true, None),
            ("UID=1000\nCLASS=user\nTTY=tty1\n", false, None),
            ("REMOTE_HOST=\"fe80::1%eth0\"\n", false, Some("fe80::1%eth0")),
            ("REMOTE_HOST=a b\n", false, None),
            ("REMOTE_HOST=\n", false, None),
        ] {
            let login = parse(text);
            assert_eq!((login.is_background, login.from.as_deref()), (background, from), "{text}");
        }
    }

    #[test]
    fn a_session_that_is_written_late_is_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run/systemd/sessions");
        fs::create_dir_all(&folder).unwrap();
        let mut sessions = Sessions::default();
        assert_eq!(sessions.login(root.path(), "3", 0), None);
        fs::write(folder.join("3"), SSH).unwrap();
        fs::write(root.path().join("run/systemd/secret"), SSH).unwrap();
        assert_eq!(sessions.login(root.path(), "3", 999_999_999), None, "asked again within a second");
        assert!(sessions.login(root.path(), "3", 1_000_000_000).is_some());
        fs::remove_file(folder.join("3")).unwrap();
        assert!(
            sessions.login(root.path(), "3", 60_000_000_000).is_some(),
            "it is not read for each process"
        );
        for odd in ["../secret", "", "c", "3/../3", "12345678901"] {
            assert_eq!(sessions.login(root.path(), odd, 2_000_000_000), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_there_is_endured(text in "\\PC{0,200}", lines in "([A-Z_]{0,12}=[^\\x00]{0,20}\n){0,8}") {
            for text in [text, lines] {
                let login = parse(&text);
                let plain = login.from.is_none_or(|from| !from.contains([' ', '\u{1b}']));
                prop_assert!(plain);
            }
        }
    }
}
