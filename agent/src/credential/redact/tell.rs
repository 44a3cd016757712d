//! Whether arguments hold a secret, without telling it.

use super::{argv, printable, scrubbed};

/// What the first secret among arguments is (`password`, `github-token`, …), where it is surely one.
///
/// Redaction takes out too much rather than too little; here it is the other way round, since somebody may be asked about
/// it: a variable that a shell fills in, the name of a file, a word that stands for a secret are none, and neither is
/// what was taken out for its looks only.
#[must_use]
pub fn secret_in(args: &[Vec<u8>]) -> Option<String> {
    argv(args).iter().zip(args).find_map(|(shown, argument)| surely(shown, argument))
}

const MARK: &str = "[redacted:";

/// What the first secret of an argument is, as it is shown, where it is surely one.
fn surely(shown: &str, argument: &[u8]) -> Option<String> {
    let (before, rest) = shown.split_once(MARK)?;
    let (what, _) = rest.split_once(']')?;
    let spelt = printable(argument);
    // What was taken out begins where both cease to be the same. Of a whole argument that is its beginning.
    let value = spelt.strip_prefix(before)?;
    // A key in full begins with dashes, as an option does.
    (what == "private-key" || what != "value" && !stands_for_one(value)).then(|| what.to_owned())
}

/// Arguments to keep in their place: without secrets, and yet [`argv`] and [`secret_in`] say the same of them. What only stands
/// for a secret is replaced by what does so, too: a variable of a shell.
#[must_use]
pub fn kept(args: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let keep = |(shown, argument): (Vec<u8>, &Vec<u8>)| {
        let text = printable(&shown);
        if shown == *argument || surely(&text, argument).is_some() {
            return shown;
        }
        let mark = MARK.as_bytes();
        let Some(at) = shown.windows(mark.len()).position(|part| part == mark) else { return shown };
        let (before, rest) = shown.split_at(at);
        [before, b"$", rest].concat()
    };
    let kept: Vec<Vec<u8>> = scrubbed(args).into_iter().zip(args).map(keep).collect();
    // Where the stand-in would be seen, what is shown matters more.
    if argv(&kept) == argv(args) { kept } else { scrubbed(args) }
}

/// Whether a value is no secret, but says where one is, or that there is none.
fn stands_for_one(value: &str) -> bool {
    const WORDS: [&str; 7] = ["true", "false", "none", "null", "prompt", "stdin", "redacted"];
    let value = value.trim_start_matches(['"', '\'']);
    let end = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '@'));
    let word = value.get(..end.unwrap_or(value.len())).unwrap_or(value);
    let begins = |start: char| word.starts_with(start);
    word.chars().count() < 4
        || ['$', '%', '{', '<', '/', '*', '@', '`', '-', '.'].into_iter().any(begins)
        || ["file:", "env:", "fd:"].iter().any(|start| word.starts_with(start))
        || word.bytes().all(|byte| byte.eq_ignore_ascii_case(&b'x'))
        || WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surely_a_secret_or_not() {
        let cases: [(&[&str], Option<&str>); 17] = [
            (&["restic", "backup"], None),
            (&["app", "--password=hunter2"], Some("password")),
            (&["app", "--password", "hunter2"], Some("password")),
            (&["mysqldump", "-phunter2", "orders"], Some("password")),
            (&["git", "clone", "https://me:hunter2@git.example/x"], Some("url-password")),
            (&["curl", "-H", "Authorization: Bearer abcdefgh"], Some("authorization")),
            (&["sh", "-c", "PGPASSWORD=$PW psql"], None),
            (&["sh", "-c", "PGPASSWORD=\"$PW\" psql"], None),
            (&["sh", "-c", "PGPASSWORD='hunter2' psql"], Some("password")),
            (&["app", "--password-file=/etc/x"], None),
            (&["app", "--token=/run/secrets/token"], None),
            (&["app", "--token", "$(cat /run/token)"], None),
            (&["app", "--password=true"], None),
            (&["app", "--password="], None),
            (&["app", "--password=xxxxxxxx"], None),
            (&["app", "--cookie=d41d8cd98f00b204e9800998ecf8427e"], None),
            (&[], None),
        ];
        for (args, expected) in cases {
            let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
            assert_eq!(secret_in(&args).as_deref(), expected, "{args:?}");
        }
    }
}
