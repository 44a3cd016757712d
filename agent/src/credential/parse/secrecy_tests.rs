//! A secret that nobody knows before is planted into each format, and is not told.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Facts, Parser, parse};

/// A file of each format; `{S}` stands for the secret, `{B}` for the same in base64, `{L}` for a login with it in base64,
/// `{U}` for the same with a name.
const FILES: &[(Parser, &str)] = &[
    (Parser::Age, "# created: now\n# public key: age1abc\nAGE-SECRET-KEY-1{S}\n"),
    (
        Parser::AwsIni,
        "[p]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key={S}\naws_session_token = {S}\n",
    ),
    (Parser::AwsIni, "[p]\naws_access_key_id={S}\n"),
    (
        Parser::Colon,
        "bucket:AKIAIOSFODNN7EXAMPLE:{S}\nAKIAIOSFODNN7EXAMPLE:{S}\n[relay.example]:587 me:{S}\n{S}\n",
    ),
    (Parser::Csv, "{S},admin,1,\"system:masters\"\n{S},backup,2\n{S}\n"),
    (
        Parser::DockerCfg,
        r#"{"auths":{"r.example":{"auth":"{L}"},"s.example":{"auth":"{B}"},"t.example":{"identitytoken":"{S}","username":"u","password":"{S}"}}}"#,
    ),
    (
        Parser::GcpJson,
        r#"{"type":"service_account","private_key_id":"0123","private_key":"-----BEGIN PRIVATE KEY-----\n{S}\n-----END PRIVATE KEY-----\n","client_email":"a@b.iam.gserviceaccount.com","refresh_token":"{S}"}"#,
    ),
    (
        Parser::GhHosts,
        "github.com:\n    users:\n        me:\n            oauth_token: {S}\n    user: me\n    oauth_token: {S}\n",
    ),
    (
        Parser::GitCredentials,
        "https://me:{S}@git.example\nhttps://{S}@git.example\nhttps://{S}:x-oauth-basic@git.example\n",
    ),
    (Parser::Guess, "{S}"),
    (Parser::Guess, "-----BEGIN PRIVATE KEY-----\n{B}\n-----END PRIVATE KEY-----\n"),
    (Parser::Guess, "password={S}\n"),
    (
        Parser::Ini,
        "[s3]\ntype = s3\naccess_key_id = AKIAIOSFODNN7EXAMPLE\nsecret_access_key = {S}\nurl = https://me:{S}@r.example/\npass = {S}\n",
    ),
    (
        Parser::Json,
        r#"{"accessToken":"{S}","a":[{"refreshToken":"{S}","clientId":"c"}],"credentials":{"h.example":{"token":"{S}"}},"startUrl":"https://me:{S}@s.example/"}"#,
    ),
    (Parser::Jwt, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.{B}"),
    (
        Parser::Kubeconfig,
        "kind: Config\nclusters:\n- cluster:\n    server: https://k.example\nusers:\n- name: u\n  user:\n    token: {S}\n    client-key-data: {B}\n    password: {S}\n    exec:\n      env:\n      - name: X\n        value: {S}\n",
    ),
    (
        Parser::Kubeconfig,
        r#"{"users":[{"name":"u","user":{"token":"{S}","password":"\u0041{S}","client-key-data":"{B}"}}]}"#,
    ),
    (Parser::MyCnf, "[client]\nuser=root\npassword={S}\nhost=db\n"),
    (
        Parser::Netrc,
        "machine a.example login me password {S} account {S}\ndefault login me password \"x\\\"{S}\"\n",
    ),
    (
        Parser::Npmrc,
        "//r.example/:_authToken={S}\n//r.example/:_password={B}\n//r.example/:username=me\n_auth={L}\nregistry=https://me:{S}@n.example/\n",
    ),
    (Parser::Pem, "-----BEGIN RSA PRIVATE KEY-----\n{B}\n-----END RSA PRIVATE KEY-----\n"),
    (Parser::Pem, "Bag Attributes\n friendlyName: {S}\n-----BEGIN X-----\n{S}\n-----END X-----\n"),
    (Parser::Pgpass, "db:5432:app:me:{S}\ndb:5432:app:{S}\n*:*:*:me:a\\:{S}\n"),
    (
        Parser::Settings,
        "[default]\nserver = https://me:{S}@s.example/\napi_token = \"{S}\"\ncredentials \"tf.example\" {\n  token = \"{S}\"\n}\n",
    ),
    (
        Parser::Settings,
        "current: a\ncontexts:\n- auth_url: https://k.example:5000\n  password: {S}\n  auth:\n    access-token: {S}\n",
    ),
    (
        Parser::Settings,
        r#"{"aliases":{"s3":{"url":"https://s3.example","accessKey":"me","secretKey":"{S}"}},"TunnelID":"t","TunnelSecret":"{B}"}"#,
    ),
    (Parser::SshKey, "-----BEGIN OPENSSH PRIVATE KEY-----\n{B}\n-----END OPENSSH PRIVATE KEY-----\n"),
    (Parser::Token, "{S}\n"),
    (Parser::Token, "hvs.{S}"),
    (Parser::Token, "K10{S}::server:{S}"),
    (
        Parser::Wireguard,
        "[Interface]\nPrivateKey = {B}\n[Peer]\nPublicKey = x\nPresharedKey = {B}\nEndpoint = p.example:51820\n",
    ),
    (
        Parser::Xml,
        "<s><server><id>r</id><username>me</username><password>{S}</password></server><privateKey>{S}</privateKey></s>",
    ),
];

/// Formats that a file may be taken for which it is not.
fn others() -> impl Iterator<Item = Parser> {
    Parser::ALL.into_iter().map(|(_, parser)| parser)
}

fn told(facts: &Facts) -> String {
    format!("{facts:?}")
}

fn encode(text: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
}

#[test]
fn every_format_has_a_file_here() {
    for (name, parser) in Parser::ALL {
        let binary = matches!(parser, Parser::Keytab | Parser::Ccache | Parser::None);
        assert!(binary || FILES.iter().any(|(known, _)| *known == parser), "{name}");
    }
}

/// As `kinit` writes it: one ticket, and a note of the cache's own.
pub(super) fn ccache(secret: &[u8]) -> Vec<u8> {
    let counted = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let principal = |names: &[&str], realm: &str| {
        let count = u32::try_from(names.len()).unwrap();
        let mut out = [1_u32.to_be_bytes(), count.to_be_bytes()].concat();
        out.extend(counted(realm.as_bytes()));
        names.iter().for_each(|name| out.extend(counted(name.as_bytes())));
        out
    };
    let ticket = |server: Vec<u8>, until: u32| {
        let mut out = [principal(&["backup"], "R.EXAMPLE"), server, vec![0, 18], counted(secret)].concat();
        [1_u32, 1, until, 0].iter().for_each(|time| out.extend(time.to_be_bytes()));
        out.extend([0; 5]);
        out.extend([0, 0, 0, 1, 0, 2]);
        out.extend(counted(b"addr"));
        out.extend([0; 4]);
        out.extend([counted(secret), counted(b"")].concat());
        out
    };
    [
        vec![5, 4, 0, 2, 9, 9],
        principal(&["backup"], "R.EXAMPLE"),
        ticket(principal(&["krb5_ccache_conf_data", "fast_avail"], "X-CACHECONF:"), 0),
        ticket(principal(&["krbtgt", "R.EXAMPLE"], "R.EXAMPLE"), 1_800_000_000),
        ticket(principal(&["nfs", "db7"], "R.EXAMPLE"), 1_700_000_000),
    ]
    .concat()
}

#[test]
fn tickets_name_whose_they_are() {
    let found = parse(Parser::Ccache, &ccache(b"correct-horse-battery"));
    let pairs =
        found.identifiers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>();
    assert_eq!(
        pairs,
        [
            ("principal", "backup@R.EXAMPLE"),
            ("server", "krbtgt/R.EXAMPLE@R.EXAMPLE"),
            ("server", "nfs/db7@R.EXAMPLE")
        ]
    );
    assert_eq!(found.expires, Some(1_700_000_000));
    assert_eq!(found.secrets.iter().count(), 1);
    assert!(!told(&found).contains("correct-horse"));
    let whole = ccache(b"correct-horse-battery");
    for length in 0..whole.len() {
        let _ = parse(Parser::Ccache, &whole[..length]);
    }
    assert_eq!(parse(Parser::Guess, &whole), found);
}

proptest! {
    #[test]
    fn a_planted_secret_is_not_told(secret in "[A-Za-z0-9]{12,40}") {
        // A secret that is a word of the format itself hides nothing.
        prop_assume!(secret.bytes().any(|byte| byte.is_ascii_digit()));
        let (base64, login) = (encode(&secret), encode(&format!("me:{secret}")));
        for (parser, file) in FILES {
            let text = file.replace("{S}", &secret).replace("{B}", &base64).replace("{L}", &login);
            for parser in [*parser, Parser::Guess].into_iter().chain(others()) {
                let found = parse(parser, text.as_bytes());
                let told = told(&found);
                prop_assert!(!told.contains(&secret), "{:?} tells {} of {}", parser, told, text);
                prop_assert!(!told.contains(base64.trim_end_matches('=')), "{:?} tells {}", parser, told);
                prop_assert!(!told.contains(&login));
            }
        }
        let found = parse(Parser::Ccache, &ccache(secret.as_bytes()));
        prop_assert!(!told(&found).contains(&secret));
    }

    /// Whatever lies at a path, by whatever parser: no panic, no flood, not long, and nothing that a terminal obeys.
    #[test]
    fn any_bytes_at_any_place(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            "\\PC{0,200}".prop_map(String::into_bytes),
            (0..FILES.len(), "\\PC{0,40}").prop_map(|(at, text)| FILES[at].1.replace("{S}", &text).into_bytes()),
        ],
    ) {
        for (_, parser) in Parser::ALL {
            let before = Instant::now();
            let found = parse(parser, &bytes);
            prop_assert!(before.elapsed() < Duration::from_secs(2));
            prop_assert!(found.identifiers.len() <= 48 && found.expects.len() <= 48);
            prop_assert!(found.secrets.iter().count() <= 16);
            for (name, value) in &found.identifiers {
                prop_assert!(name.len() <= 32 && value.len() <= 256 && !value.contains(char::is_control));
            }
        }
    }
}

/// The longest file that is read, of bytes that are slow to read.
#[test]
fn the_longest_files_do_not_take_long() {
    let fill = |piece: &str| piece.repeat((64 << 10) / piece.len());
    for piece in [
        "[",
        "{",
        "{\"a\":",
        "\"",
        "\\",
        "-----BEGIN ",
        "-----BEGIN A-----\n-----END A-----\n",
        ":",
        "<a>",
        "a=b\n",
        "[a]\n",
        "a: b\n",
        "- a\n",
        "machine a ",
        "\"a ",
        "eyJ.",
        "ssh-rsa AAAA\n",
        "{\"a\":[",
        "AKIA",
        "ghp_",
        "://@",
        "\u{e9}",
        "A",
        "\0",
    ] {
        let text = fill(piece);
        for (name, parser) in Parser::ALL {
            let before = Instant::now();
            let _ = parse(parser, text.as_bytes());
            assert!(
                before.elapsed() < Duration::from_secs(2),
                "{name} takes {:?} for {piece:?}",
                before.elapsed()
            );
        }
    }
}
