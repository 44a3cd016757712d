use proptest::prelude::*;

use super::*;

/// Stands for the secret, in every fixture.
const CANARY: &str = "c4n4ryS3cret";

fn facts(parser: Parser, text: &str) -> Facts {
    let facts = parse(parser, text.as_bytes());
    assert!(!format!("{facts:?}").contains(CANARY), "{parser:?} tells the secret");
    facts
}

fn pairs(facts: &Facts) -> Vec<(&str, &str)> {
    facts.identifiers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn expects(facts: &Facts) -> Vec<(&str, Option<u16>)> {
    facts.expects.iter().map(|(host, port)| (host.as_str(), *port)).collect()
}

#[test]
fn aws() {
    let text = format!(
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {CANARY}\n\
         [other]\naws_access_key_id=ASIAQNZGKIQY56JQ7WML\naws_session_token={CANARY}\n[bad]\naws_access_key_id={CANARY}\n"
    );
    assert_eq!(
        pairs(&facts(Parser::AwsIni, &text)),
        [
            ("key_id", "AKIAIOSFODNN7EXAMPLE"),
            ("account_id", "581039954779"),
            ("profile", "default"),
            ("key_id", "ASIAQNZGKIQY56JQ7WML"),
            ("account_id", "029608264753"),
            ("profile", "other"),
        ]
    );
    assert_eq!(facts(Parser::Guess, &text), facts(Parser::AwsIni, &text));
}

#[test]
fn pgpass() {
    let text = format!(
        "# comment:a:b:c:{CANARY}\ndb7:5432:app:backup:{CANARY}\n*:*:*:a\\:b:{CANARY}:x\n::1\n\
         fe80\\:\\:1:*:app:u:{CANARY}\nshort:5432:app:{CANARY}\n/run/pg:5432:a:u:{CANARY}"
    );
    let found = facts(Parser::Pgpass, &text);
    assert_eq!(pairs(&found)[0], ("entry", "backup@db7:5432/app"));
    assert!(pairs(&found).contains(&("user", "a:b")));
    assert_eq!(expects(&found), [("db7", Some(5432)), ("fe80::1", None)]);
}

#[test]
fn netrc() {
    let text = format!(
        "machine a.example login me password {CANARY} account {CANARY}\n\
         machine b.example:8080/x\n  login \"you two\"\n  password \"x login {CANARY}\"\n# login {CANARY}\n\
         machine c.example password #{CANARY} login c\n\
         default login anonymous password {CANARY}\nmacdef init\nlogin {CANARY}\n"
    );
    let found = facts(Parser::Netrc, &text);
    assert_eq!(
        pairs(&found),
        [
            ("entry", "me@a.example"),
            ("host", "a.example"),
            ("user", "me"),
            ("entry", "you two@b.example"),
            ("host", "b.example"),
            ("user", "you two"),
            ("entry", "c@c.example"),
            ("host", "c.example"),
            ("user", "c"),
        ]
    );
    assert_eq!(expects(&found), [("a.example", None), ("b.example", Some(8080)), ("c.example", None)]);
}

#[test]
fn kubeconfig() {
    let text = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {CANARY}\n    server: https://10.0.0.1:6443\n  \
         name: prod\ncontexts:\n- context:\n    cluster: prod\n    user: admin\n  name: admin@prod\n\
         current-context: \"admin@prod\"\nkind: Config\nusers:\n- name: admin\n  user:\n    token: {CANARY}\n    \
         client-key-data: {CANARY}\n- name: ci\n  user:\n    exec:\n      command: aws\n      env:\n      - name: X\n        \
         value: {CANARY}\n    password: {CANARY}\n"
    );
    let found = facts(Parser::Kubeconfig, &text);
    assert_eq!(
        pairs(&found),
        [
            ("context", "admin@prod"),
            ("server", "10.0.0.1"),
            ("user", "admin"),
            ("user", "ci"),
            ("exec", "aws")
        ]
    );
    assert_eq!(expects(&found), [("10.0.0.1", Some(6443))]);
    let json = format!(
        r#"{{"current-context":"c","clusters":[{{"name":"x","cluster":{{"server":"https://k.example"}}}}],
        "users":[{{"name":"u","user":{{"token":"{CANARY}"}}}}]}}"#
    );
    let found = facts(Parser::Kubeconfig, &json);
    assert_eq!(pairs(&found), [("context", "c"), ("server", "k.example"), ("user", "u")]);
    assert_eq!(expects(&found), [("k.example", Some(443))]);
}

#[test]
fn docker() {
    let auth = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("me:{CANARY}"));
    let only = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, CANARY);
    let text = format!(
        r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"r.example:5000":{{"auth":"{only}"}},
        "z.example":{{"identitytoken":"{CANARY}"}}}},"credsStore":"pass","credHelpers":{{"gcr.io":"gcloud"}}}}"#
    );
    let found = facts(Parser::DockerCfg, &text);
    assert_eq!(pairs(&found)[0], ("entry", "me@index.docker.io"));
    assert!(!format!("{found:?}").contains(&auth));
    assert_eq!(
        expects(&found),
        [
            ("index.docker.io", Some(443)),
            ("r.example", Some(5000)),
            ("z.example", Some(443)),
            ("gcr.io", Some(443))
        ]
    );
    let old = format!(r#"{{"quay.io":{{"auth":"{auth}"}}}}"#);
    assert_eq!(pairs(&facts(Parser::DockerCfg, &old))[0], ("entry", "me@quay.io"));
}

#[test]
fn jwt() {
    let encode = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    let claims = r#"{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:prod:backup",
        "aud":["https://sts.example:8443","x"],"exp":1700000000,"iat":1699996400,
        "kubernetes.io":{"namespace":"prod","serviceaccount":{"name":"backup"},"pod":{"name":"backup-1","uid":"u-1"},
        "node":{"name":"n-1"}}}"#;
    let text = format!("{}.{}.{CANARY}\n", encode("{\"alg\":\"RS256\",\"kid\":\"k-1\"}"), encode(claims));
    let found = facts(Parser::Jwt, &text);
    assert_eq!(pairs(&found)[0], ("sub", "system:serviceaccount:prod:backup"));
    for pair in [
        ("exp", "1700000000"),
        ("iat", "1699996400"),
        ("kid", "k-1"),
        ("namespace", "prod"),
        ("serviceaccount", "backup"),
        ("pod", "backup-1"),
        ("pod_uid", "u-1"),
        ("node", "n-1"),
    ] {
        assert!(pairs(&found).contains(&pair), "{pair:?}");
    }
    assert_eq!(found.expires, Some(1_700_000_000));
    assert_eq!(expects(&found), [("sts.example", Some(8443))]);
    assert_eq!(facts(Parser::Guess, &text), found);
    assert!(facts(Parser::Jwt, CANARY).identifiers.is_empty());
}

#[test]
fn gcp() {
    let text = format!(
        r#"{{"type":"service_account","project_id":"p","private_key_id":"0123456789abcdef","private_key":"{CANARY}",
        "client_email":"b@p.iam.gserviceaccount.com","refresh_token":"{CANARY}","client_secret":"{CANARY}"}}"#
    );
    let found = facts(Parser::GcpJson, &text);
    assert_eq!(pairs(&found)[0], ("client_email", "b@p.iam.gserviceaccount.com"));
    assert!(pairs(&found).contains(&("private_key_id", "0123456789abcdef")));
    assert_eq!(facts(Parser::Guess, &text), found);
}

#[test]
fn other_json() {
    let text = format!(
        r#"{{"claudeAiOauth":{{"accessToken":"{CANARY}","refreshToken":"{CANARY}","expiresAt":17,"subscriptionType":"max"}},
        "RefreshToken":{{"k":{{"secret":"{CANARY}","home_account_id":"u.t"}}}},"startUrl":"https://sso.example/start",
        "credentials":{{"app.terraform.io":{{"token":"{CANARY}"}}}}}}"#
    );
    let found = facts(Parser::Json, &text);
    for pair in [
        ("expiresAt", "17"),
        ("subscriptionType", "max"),
        ("home_account_id", "u.t"),
        ("host", "app.terraform.io"),
    ] {
        assert!(pairs(&found).contains(&pair), "{pair:?}");
    }
    assert_eq!(expects(&found).len(), 2);
}

/// The public half was made by `ssh-keygen`, which also told the fingerprint; there is no private one.
#[test]
fn ssh_key() {
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let public = "AAAAC3NzaC1lZDI1NTE5AAAAIBlMIxrS7XZLN40qqfSooyVEF2bAV9YSU6znKDy0N5S8";
    let public = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, public).unwrap();
    let body = [
        b"openssh-key-v1\0".to_vec(),
        string(b"none"),
        string(b"none"),
        string(b""),
        1_u32.to_be_bytes().to_vec(),
        string(&public),
        string(CANARY.as_bytes()),
    ]
    .concat();
    let armour = |body: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n")
    };
    let found = facts(Parser::SshKey, &armour(&body));
    assert_eq!(pairs(&found)[0], ("fingerprint", "SHA256:puveTSxhmjBygDffl2ExZBR3dOHwxwV0VlFqFNY2Kcc"));
    assert_eq!(pairs(&found)[1..], [("type", "ssh-ed25519"), ("encrypted", "no")]);
    for length in 0..body.len() {
        let _ = facts(Parser::SshKey, &armour(&body[..length]));
    }
    let old = format!("-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----");
    assert_eq!(pairs(&facts(Parser::SshKey, &old)), [("encrypted", "no")]);
}

#[test]
fn line_formats() {
    let text = format!(
        "https://me:{CANARY}@git.example\nhttps://{CANARY}@b.example/x\nhttps://{CANARY}:x-oauth-basic@c.example:8443\n{CANARY}\n"
    );
    let found = facts(Parser::GitCredentials, &text);
    assert_eq!(pairs(&found)[0], ("entry", "me@git.example"));
    assert_eq!(
        expects(&found),
        [("git.example", Some(443)), ("b.example", Some(443)), ("c.example", Some(8443))]
    );

    let text =
        format!("//r.example/x/:_authToken={CANARY}\n_password={CANARY}\nregistry=https://n.example:4873/\n");
    let found = facts(Parser::Npmrc, &text);
    assert_eq!(pairs(&found), [("registry", "r.example"), ("registry", "n.example")]);
    assert_eq!(expects(&found), [("r.example", Some(443)), ("n.example", Some(4873))]);

    let found = facts(Parser::Age, &format!("# public key: age1abc\nAGE-SECRET-KEY-1{CANARY}\n"));
    assert_eq!(pairs(&found), [("public_key", "age1abc")]);

    let text = format!("github.com:\n    user: me\n    oauth_token: {CANARY}\n    git_protocol: https\n");
    let found = facts(Parser::GhHosts, &text);
    assert_eq!(pairs(&found), [("host", "github.com"), ("user", "me")]);
}

#[test]
fn tables_and_elements() {
    let found = facts(
        Parser::Csv,
        &format!("{CANARY},admin,1,\"system:masters\"\n\"{CANARY}2\",\"ci\",2\n{CANARY}3,x\n"),
    );
    assert_eq!(pairs(&found), [("user", "admin"), ("user", "ci")]);
    assert_eq!(found.secrets.iter().count(), 2);

    let text = format!(
        "<server><id>nexus</id><username>ci</username><password>{CANARY}</password></server><id><b/></id>"
    );
    let found = facts(Parser::Xml, &text);
    assert_eq!(pairs(&found), [("id", "nexus"), ("username", "ci")]);
    assert_eq!(found.secrets.iter().count(), 1);

    let text = format!("bucket:AKIAIOSFODNN7EXAMPLE:{CANARY}\n[relay.example]:587 me:{CANARY}\n");
    let found = facts(Parser::Colon, &text);
    assert_eq!(pairs(&found)[..2], [("key_id", "AKIAIOSFODNN7EXAMPLE"), ("entry", "me@relay.example")]);
    assert_eq!(expects(&found), [("relay.example", Some(587))]);
}

#[test]
fn settings_of_any_syntax() {
    for (text, told) in [
        (format!("[registries.ours]\ntoken = \"{CANARY}\"\n"), vec![("section", "registries.ours")]),
        (
            format!("[[runners]]\n  url = \"https://ci.example/\"\n  token = \"{CANARY}\""),
            vec![("section", "runners"), ("host", "ci.example")],
        ),
        (
            format!(
                "clouds:\n  a:\n    auth:\n      auth_url: https://k.example:5000/v3\n      username: \"me\"\n      password: {CANARY}\n"
            ),
            vec![("host", "k.example"), ("username", "me")],
        ),
        (
            format!("credentials \"tf.example\" {{\n  token = \"{CANARY}\"\n}}\n"),
            vec![("host", "tf.example")],
        ),
        (
            format!("{{\"AccountTag\":\"a\",\"TunnelID\":\"t\",\"TunnelSecret\":\"{CANARY}\"}}"),
            vec![("AccountTag", "a"), ("TunnelID", "t")],
        ),
    ] {
        let found = facts(Parser::Settings, &text);
        assert_eq!(pairs(&found), told, "{text}");
        assert_eq!(found.secrets.iter().collect::<Vec<_>>(), [CANARY.as_bytes()], "{text}");
    }
}

#[test]
fn tokens_that_are_one_word() {
    let hash = "0f".repeat(32);
    for (text, name, value) in [
        (format!("hvs.{CANARY}CAESIJ0123456789"), "type", "vault-service-token"),
        (format!("hvb.{CANARY}AAAAAQ0123456789"), "type", "vault-batch-token"),
        (format!("glpat-{CANARY}0123"), "type", "gitlab-token"),
        (format!("K10{hash}::server:{CANARY}"), "ca_sha256", hash.as_str()),
    ] {
        let found = facts(Parser::Token, &(text.clone() + "\n"));
        assert_eq!(pairs(&found), [(name, value)]);
        assert_eq!(facts(Parser::Guess, &text), found);
    }
    assert!(facts(Parser::Token, &format!("two {CANARY}")).identifiers.is_empty());
    assert!(facts(Parser::Token, CANARY).identifiers.is_empty());
}

#[test]
fn wireguard() {
    let text = format!(
        "[Interface]\nPrivateKey = {CANARY}\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = vpn.example:51820\n"
    );
    let found = facts(Parser::Wireguard, &text);
    assert_eq!(pairs(&found), [("peer", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")]);
    assert_eq!(expects(&found), [("vpn.example", Some(51820))]);
}

#[test]
fn ends_are_told_in_seconds() {
    for (text, end) in [
        (r#"{"expiresAt":1767326400000}"#, Some(1_767_326_400)),
        (
            r#"{"Credentials":{"Expiration":"2026-01-02T04:00:00Z"},"expiresAt":"2027-01-02T04:00:00Z"}"#,
            Some(1_767_326_400),
        ),
        (r#"{"expiry_date":1767326400}"#, Some(1_767_326_400)),
        (r#"{"expiresAt":"soon"}"#, None),
        (r#"{"expiresAt":1e300}"#, None),
    ] {
        assert_eq!(facts(Parser::Json, text).expires, end, "{text}");
    }
}

#[test]
fn what_a_path_says() {
    let tell = |kind: &str, path: &str, text: &str| {
        let mut facts = parse(Parser::Guess, text.as_bytes());
        tell_place(kind, path.as_bytes(), &mut facts);
        facts
    };
    let found = tell("systemd-credential", "/run/credentials/backup.service/db", CANARY);
    assert_eq!(pairs(&found), [("entry", "backup.service/db"), ("unit", "backup.service"), ("name", "db")]);
    let found = tell(
        "k8s-secret-volume",
        "/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~secret/db/..2026_01/password",
        CANARY,
    );
    assert_eq!(pairs(&found), [("pod_uid", "u-1"), ("volume", "db"), ("key", "password")]);
    let grip = "0123456789ABCDEF0123456789ABCDEF01234567";
    assert_eq!(
        pairs(&tell("gpg-key", &format!("/root/.gnupg/private-keys-v1.d/{grip}.key"), "")),
        [("keygrip", grip)]
    );
    assert_eq!(
        pairs(&tell("tls-private-key", "/etc/letsencrypt/archive/a.example/privkey3.pem", "")),
        [("domain", "a.example")]
    );
    assert!(tell("tls-private-key", "/etc/ssl/private/x.key", "").identifiers.is_empty());
    assert_eq!(pairs(&tell("wireguard", "/etc/wireguard/wg0.conf", "")), [("interface", "wg0")]);
    assert!(tell("wireguard", "wg0.conf\u{0}", "").identifiers.len() == 1);
    let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    assert!(
        tell("docker-secret", &format!("/run/secrets/{token}"), "").identifiers.is_empty(),
        "a name may be one"
    );
}

#[test]
fn ini_formats() {
    let text = format!(
        "[client]\nuser = root\npassword=\"{CANARY}\"\nhost = db\nport=3307\n[other]\nuser={CANARY}\n"
    );
    let found = facts(Parser::MyCnf, &text);
    assert_eq!(pairs(&found), [("user", "root"), ("host", "db")]);
    assert_eq!(expects(&found), [("db", Some(3307))]);

    let text = format!(
        "[s3]\ntype = s3\naccess_key_id = AKIAIOSFODNN7EXAMPLE\nsecret_access_key = {CANARY}\npass = {CANARY}\n\
        endpoint = https://s3.example\nkey:{CANARY}\n"
    );
    let found = facts(Parser::Ini, &text);
    assert_eq!(pairs(&found)[0], ("section", "s3"));
    assert!(pairs(&found).contains(&("access_key_id", "AKIAIOSFODNN7EXAMPLE")));
    assert_eq!(expects(&found), [("s3.example", Some(443))]);
}

#[test]
fn keytab() {
    let counted = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let mut entry = 2_u16.to_be_bytes().to_vec();
    for name in ["REALM.EXAMPLE", "host", "db7"] {
        entry.extend(counted(name));
    }
    entry.extend([0; 8]);
    entry.push(3);
    entry.extend(18_u16.to_be_bytes());
    entry.extend(counted(CANARY));
    let mut file = vec![5, 2];
    file.extend((-4_i32).to_be_bytes());
    file.extend([0; 4]);
    file.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
    file.extend(&entry);
    let found = parse(Parser::Keytab, &file);
    assert!(!format!("{found:?}").contains(CANARY));
    assert_eq!(pairs(&found), [("principal", "host/db7@REALM.EXAMPLE"), ("kvno", "3"), ("enctype", "18")]);
    for length in 0..file.len() {
        let _ = parse(Parser::Keytab, &file[..length]);
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_told() {
    let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for (parser, text) in [
        (Parser::GitCredentials, format!("https://{token}:x@github.com")),
        (Parser::Netrc, format!("machine a login {token} password x")),
        (Parser::MyCnf, format!("[client]\nuser={token}")),
        (Parser::Pgpass, format!("h:1:{token}:u:p")),
    ] {
        assert!(!format!("{:?}", facts(parser, &text)).contains(token), "{parser:?}");
    }
}

#[test]
fn values_are_short_and_printable() {
    let found = facts(Parser::MyCnf, &format!("[client]\nuser=a\u{1b}[2J{}", "é".repeat(400)));
    let value = pairs(&found)[0].1;
    assert!(value.len() <= 256 && !value.chars().any(char::is_control));
    let many = (0..500).map(|n| format!("h{n}:1:d:u:p\n")).collect::<String>();
    let found = facts(Parser::Pgpass, &many);
    assert_eq!((found.identifiers.len(), found.expects.len()), (48, 48));
}

#[test]
fn hosts() {
    for (url, host, port) in [
        ("https://a.example/x", "a.example", Some(443)),
        ("http://u:p@A.example", "a.example", Some(80)),
        ("a.example:99", "a.example", Some(99)),
        ("https://[fe80::1]:6443/", "fe80::1", Some(6443)),
        ("//r/x", "r", None),
    ] {
        assert_eq!(host_of(url), Some((host.to_owned(), port)), "{url}");
    }
    for url in ["", "https://", "https://a b", "https://a:99999", "https://[::1"] {
        assert_eq!(host_of(url), None, "{url}");
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, parser) in Parser::ALL {
            let _ = parse(parser, &bytes);
        }
    }

    #[test]
    fn almost_files(text in "(\\[client\\]\n|user=|machine |login |password |- name: |server: |https://|//|:|\\\\|\"|\\{|\\}|@|eyJ|\\.|[a-z]{1,4}|\n| ){0,40}") {
        for (_, parser) in Parser::ALL {
            let _ = parse(parser, text.as_bytes());
        }
    }

    #[test]
    fn any_binary_tail(tail in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = parse(Parser::Keytab, &[&[5, 2], tail.as_slice()].concat());
        let body = [b"openssh-key-v1\0".as_slice(), &tail].concat();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
        let text = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n");
        let _ = parse(Parser::SshKey, text.as_bytes());
    }

    #[test]
    fn no_value_is_long_or_obeyed(text in "[\\PC\u{1}\n]{0,80}") {
        for (_, parser) in Parser::ALL {
            for (_, value) in parse(parser, text.as_bytes()).identifiers {
                prop_assert!(value.len() <= 256 && !value.chars().any(char::is_control));
            }
        }
    }
}
