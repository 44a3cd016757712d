use proptest::prelude::*;

use super::*;

fn run(line: &[&str]) -> Vec<String> {
    argv(&line.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>())
}

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";

/// Arguments, and how they are recorded.
const CASES: &[(&[&str], &[&str])] = &[
    (&["app", "--password=hunter2"], &["app", "--password=[redacted:password]"]),
    (&["app", "--password=a b&c"], &["app", "--password=[redacted:password]"]),
    (&["app", "--password", "hunter2", "x"], &["app", "--password", "[redacted:password]", "x"]),
    (&["app", "--db-passwd", "hunter2"], &["app", "--db-passwd", "[redacted:password]"]),
    (&["app", "--password", "--host", "db"], &["app", "--password", "--host", "db"]),
    (&["mysql", "-uroot", "-phunter2"], &["mysql", "-uroot", "-p[redacted:password]"]),
    (&["/usr/bin/mariadb-dump", "-phunter2"], &["/usr/bin/mariadb-dump", "-p[redacted:password]"]),
    (&["mysql", "-p", "db"], &["mysql", "-p", "db"]),
    (&["sshpass", "-p", "hunter2", "ssh"], &["sshpass", "-p", "[redacted:password]", "ssh"]),
    (
        &["docker", "login", "-u", "a", "-p", "hunter2"],
        &["docker", "login", "-u", "a", "-p", "[redacted:password]"],
    ),
    (&["docker", "run", "-p", "80:80"], &["docker", "run", "-p", "80:80"]),
    (&["curl", "-u", "me:hunter2"], &["curl", "-u", "me:[redacted:password]"]),
    (&["curl", "-ume:hunter2"], &["curl", "-ume:[redacted:password]"]),
    (&["curl", "--user=me:hunter2"], &["curl", "--user=me:[redacted:password]"]),
    (
        &["curl", "-H", "Authorization: Bearer hunter2"],
        &["curl", "-H", "Authorization: Bearer [redacted:authorization]"],
    ),
    (&["curl", "-HX-Vault-Token: hunter2"], &["curl", "-HX-Vault-Token: [redacted:authorization]"]),
    (&["curl", "-H", "PRIVATE-TOKEN: hunter2"], &["curl", "-H", "PRIVATE-TOKEN: [redacted:authorization]"]),
    (
        &["git", "clone", "https://me:hunter2@git.example/x"],
        &["git", "clone", "https://me:[redacted:url-password]@git.example/x"],
    ),
    (&["psql", "postgres://u:p@ss@db/x"], &["psql", "postgres://u:[redacted:url-password]@db/x"]),
    (&["env", "GITHUB_TOKEN=hunter2", "make"], &["env", "GITHUB_TOKEN=[redacted:token]", "make"]),
    (&["env", "X_SECRET=hunter2"], &["env", "X_SECRET=[redacted:secret]"]),
    (
        &["sh", "-c", "export PGPASSWORD='hunter 2'; psql -h db"],
        &["sh", "-c", "export PGPASSWORD='[redacted:password]'; psql -h db"],
    ),
    (
        &["sh", "-c", "cd /; mysql -u root -phunter2 db | gzip"],
        &["sh", "-c", "cd /; mysql -u root -p[redacted:password] db | gzip"],
    ),
    (
        &["sh", "-c", "x=$(/usr/bin/curl -u me:hunter2 https://h)\nsshpass -p hunter2 ssh -p 22 h"],
        &[
            "sh",
            "-c",
            "x=$(/usr/bin/curl -u me:[redacted:password] https://h)\\nsshpass -p [redacted:password] ssh -p [redacted:password] h",
        ],
    ),
    (
        &["kubectl", "create", "secret", "generic", "x", "--from-literal=password=hunter2"],
        &["kubectl", "create", "secret", "generic", "x", "--from-literal=password=[redacted:password]"],
    ),
    (&["docker", "run", "-ePGPASSWORD=hunter2"], &["docker", "run", "-ePGPASSWORD=[redacted:password]"]),
    (&["ssh-keygen", "-N", "hunter2"], &["ssh-keygen", "-N", "[redacted:password]"]),
    (&["sh", "-c", "app --token hunter2 --host db"], &["sh", "-c", "app --token [redacted:token] --host db"]),
    (
        &["curl", "https://h/?access_token=hunter2&a=1"],
        &["curl", "https://h/?access_token=[redacted:token]&a=1"],
    ),
    (
        &["curl", "-d", r#"{"password": "hunter2"}"#],
        &["curl", "-d", r#"{"password": "[redacted:password]"}"#],
    ),
    (&["x", "ghp_0123456789abcdefghij"], &["x", "[redacted:github-token]"]),
    (&["x", "a=glpat-0123456789abcdef"], &["x", "a=[redacted:gitlab-token]"]),
    (&["x", "xoxb-123456789012-abc"], &["x", "[redacted:slack-token]"]),
    (&["x", "sk-ant-api03-abcdefghij"], &["x", "[redacted:anthropic-key]"]),
    (&["x", "hvs.CAESIJabcdefghijk"], &["x", "[redacted:vault-token]"]),
    (&["x", JWT], &["x", "[redacted:jwt]"]),
    (&["x", "AKIAIOSFODNN7EXAMPLE"], &["x", "AKIAIOSFODNN7EXAMPLE"]),
    (&["x", "--access-key", "AKIAIOSFODNN7EXAMPLE"], &["x", "--access-key", "AKIAIOSFODNN7EXAMPLE"]),
    (
        &["aws", "configure", "set", "aws_secret_access_key", "hunter2"],
        &["aws", "configure", "set", "aws_secret_access_key", "[redacted:secret]"],
    ),
    (
        &["x", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\nrest"],
        &["x", "[redacted:private-key]\\nrest"],
    ),
    (&["x", "-----BEGIN PRIVATE KEY-----\nhunter2"], &["x", "[redacted:private-key]"]),
    (&["x", "--key", "9fK2mQ7xLw0ZpV4tR8sB"], &["x", "--key", "[redacted:value]"]),
    (&["x", "--key=9fK2mQ7xLw0ZpV4tR8sB"], &["x", "--key=[redacted:value]"]),
    (&["x", "--key", "/etc/ssl/private/x.key"], &["x", "--key", "/etc/ssl/private/x.key"]),
    (
        &["openssl", "rsa", "-passin", "pass:hunter2"],
        &["openssl", "rsa", "-passin", "pass:[redacted:password]"],
    ),
];

#[test]
fn table() {
    for (line, expected) in CASES {
        assert_eq!(run(line), *expected, "{line:?}");
    }
}

#[test]
fn ordinary_arguments_stay() {
    let lines: &[&[&str]] = &[
        &["ls", "-la", "/var/lib"],
        &["ssh", "-p", "2222", "user@host"],
        &["tar", "-czpf", "x.tgz", "--exclude=*.o", "."],
        &["psql", "-h", "db", "-U", "backup", "-d", "app", "-c", "select 1"],
        &["restic", "--password-file", "/etc/restic/pw", "backup", "/srv"],
        &["docker", "login", "--password-stdin", "registry.example:5000"],
        &["kubectl", "get", "secret", "-n", "kube-system", "-o", "yaml"],
        &["curl", "-sS", "https://example.com:8443/a?b=c&d=e", "-o", "/dev/null"],
        &["env", "PWD=/root", "OLDPWD=/", "PATH=/usr/bin:/bin", "LANG=C"],
        &["llama", "--max-tokens=100", "--tokenizer", "x"],
        &["git", "clone", "git@github.com:a/b.git"],
        &["mkdir", "-p", "/a/b"],
        &["sh", "-c", "cd /srv && mkdir -p a/b && ssh -p 22 h 'ls -l' | docker run -p 80:80 x"],
        &["node", "npm_config_user_agent=npm"],
        &["find", ".", "-name", "*.rs", "(", "-print", ")"],
    ];
    for line in lines {
        assert_eq!(run(line), *line);
    }
}

#[test]
fn bytes_are_shown_without_loss() {
    assert_eq!(argv(&[b"a".to_vec(), b"\xff\xfe x".to_vec()]), ["a", "\\xff\\xfe x"]);
    assert_eq!(printable(b"\\xff"), "\\\\xff");
    assert_eq!(printable(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    assert_eq!(printable("é\u{202e}x\u{9b}".as_bytes()), "é\\u{202e}x\\u{9b}");
}

/// Forms a secret comes in; `@` stands for it.
const FORMS: &[&[&str]] = &[
    &["app", "--password=@"],
    &["app", "--password", "@"],
    &["mysql", "-p@"],
    &["mysqldump", "--password=@"],
    &["curl", "-H", "Authorization: Bearer @"],
    &["curl", "-H", "authorization: @"],
    &["curl", "https://user:@@host.example/path"],
    &["curl", "-u", "user:@"],
    &["env", "MY_TOKEN=@", "x"],
    &["env", "A_SECRET_B=@", "x"],
    &["sh", "-c", "export X_PASSWORD=@; run"],
    &["sh", "-c", "run\n--api-key \"@\" more"],
    &["x", "ghp_@"],
    &["x", "token is glpat-@."],
    &["x", "github_pat_@"],
    &["x", "xoxb-@"],
    &["x", "sk-ant-@"],
    &["x", "hvs.@"],
    &["x", "npm_@"],
    &["x", "eyJhbGciOiJub25lIn0.eyJ@.@"],
    &["x", "-----BEGIN OPENSSH PRIVATE KEY-----\n@\n-----END OPENSSH PRIVATE KEY-----"],
    &["aws", "configure", "set", "aws_secret_access_key", "@"],
    &["redis-cli", "-a", "@"],
    &["curl", "-d", "{\"client_secret\":\"@\"}"],
];

proptest! {
    #[test]
    fn a_planted_secret_never_survives(form in 0..FORMS.len(), secret in "[A-Za-z0-9]{24,40}") {
        let line = FORMS[form].iter().map(|arg| arg.replacen("@@", "\u{1}@", 1).replace('@', &secret).replace('\u{1}', ""));
        let line = line.map(|arg| if arg.contains("user:") && arg.contains("host.example") {
            arg.replace(&format!("{secret}host"), &format!("{secret}@host"))
        } else { arg });
        let args = line.map(String::into_bytes).collect::<Vec<_>>();
        for shown in argv(&args) {
            prop_assert!(!shown.contains(&secret), "{shown}");
        }
    }

    #[test]
    fn any_bytes(args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)) {
        let shown = argv(&args);
        prop_assert_eq!(shown.len(), args.len());
        for arg in shown {
            prop_assert!(!arg.chars().any(char::is_control));
        }
    }

    #[test]
    fn almost_secrets(arg in "(--)?(password|token|key|://|Authorization: |eyJ|-----BEGIN |PRIVATE KEY-----|[ =:@'\"a-z0-9é]){0,8}") {
        let _ = argv(&[b"mysql".to_vec(), arg.clone().into_bytes(), arg.into_bytes()]);
    }

    #[test]
    fn plain_words_stay(words in proptest::collection::vec("[a-z]{1,8}(=[a-z/]{0,6})?", 1..6)) {
        prop_assume!(!words.iter().any(|word| name::judge(word.split('=').next().unwrap().as_bytes()) != Name::Plain));
        let args = words.iter().map(|word| word.clone().into_bytes()).collect::<Vec<_>>();
        prop_assert_eq!(argv(&args), words);
    }
}

/// What is kept in a capture says the same as what was there.
fn kept_says_the_same(args: &[Vec<u8>]) {
    let kept = kept(args);
    assert_eq!(argv(&kept), argv(args), "{args:?} is kept as {kept:?}");
    assert_eq!(secret_in(&kept), secret_in(args), "{args:?} is kept as {kept:?}");
}

#[test]
fn what_is_kept_says_the_same_and_holds_no_secret() {
    let more: &[&[&str]] = &[
        &["sh", "-c", "PGPASSWORD=$PW psql"],
        &["app", "--token=/run/secrets/token"],
        &["app", "--password=xxxxxxxx"],
        &["app", "--password=ab"],
        &["a\\b", "\u{1b}[2J", "--password=a\nb"],
    ];
    for line in CASES.iter().map(|(line, _)| *line).chain(more.iter().copied()) {
        let args: Vec<Vec<u8>> = line.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        kept_says_the_same(&args);
        let kept = kept(&args).concat();
        assert!(!kept.windows(7).any(|part| part == b"hunter2"), "{line:?}");
    }
}
