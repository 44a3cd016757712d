use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::diagnostic::Report;
use super::keys::{KEYS, Key, SECTIONS, Type};
use super::*;

const SHIPPED: &str = include_str!("../../../deploy/spoor.toml");

fn codes(text: &str) -> Vec<&'static str> {
    match parse("t", text) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.list.iter().map(|one| one.code.as_str()).collect(),
    }
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(parse("t", "").unwrap(), Config::default());
    let all = SECTIONS.iter().filter(|section| !section.many);
    let text = all.map(|section| format!("[{}]\n", section.name)).collect::<String>();
    assert_eq!(parse("t", &text).unwrap(), Config::default());
}

#[test]
fn the_shipped_file_changes_nothing_and_names_every_key() {
    assert_eq!(parse("spoor.toml", SHIPPED).unwrap(), Config::default());
    for section in SECTIONS {
        let head = if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let (_, rest) =
            SHIPPED.split_once(&head).unwrap_or_else(|| panic!("{head} is not in the shipped file"));
        let own = rest.split("\n[").next().unwrap();
        for key in KEYS.iter().filter(|key| key.section == section.name) {
            let line = format!("# {} = ", key.name);
            assert!(own.contains(&line), "`{line}` is not under {head}");
            if let (Some(default), false) = (key.default, section.many) {
                assert!(own.contains(&format!("{line}{default}")), "{} has another default", key.name);
            }
        }
    }
}

/// The commented keys, switched on, parse as well: examples that are wrong are worse than none.
#[test]
fn the_shipped_file_uncommented_is_a_config() {
    let mut text = String::new();
    for line in SHIPPED.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let is_key = KEYS.iter().any(|key| bare.starts_with(&format!("{} = ", key.name)));
        text.push_str(if is_key || bare.starts_with("[[") { bare } else { line });
        text.push('\n');
    }
    let config = parse("t", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.store, StoreConfig::default());
    assert_eq!(config.credentials.catalogue, Some(PathBuf::from("/etc/spoor/credentials.toml")));
    assert_eq!(config.sinks.len(), 8);
    let syslog = SyslogTo::Tls(
        "logs.example.com:6514".into(),
        TlsFiles {
            ca: Some("/etc/spoor/ca.pem".into()),
            own: Some(("/etc/spoor/own.pem".into(), "/etc/spoor/own.key".into())),
        },
    );
    assert!(
        config.sinks.iter().any(|sink| matches!(&sink.kind, SinkKind::Syslog(found) if found.to == syslog))
    );
}

#[test]
fn the_table_tells_the_real_defaults() {
    for key in KEYS.iter().filter(|key| key.section != "sink") {
        if let Some(default) = key.default {
            let text = format!("[{}]\n{} = {default}\n", key.section, key.name);
            assert_eq!(parse("t", &text).unwrap(), Config::default(), "{text}");
        }
    }
}

#[test]
fn everything_said_arrives() {
    let text = r#"
        [scope]
        cgroups = ["/system.slice/backup.service"]
        [credentials]
        paths = ["/srv/app/secrets/**", "/etc/backup/token"]
        catalogue = "/etc/spoor/more.toml"
        fingerprint_key = "/etc/spoor/key"
        environment = false
        [store]
        path = "/data"
        keep = "2w"
        max_bytes = "500MB"
        [kubernetes]
        pods = "https://127.0.0.1:10250/pods"
        token = "/run/token"
        ca = "/run/ca.crt"
        trust_domain = "example.org"
        [chain]
        quiet = "90s"
        max_actions = 1_000
        max_open = 0x100
        [canary]
        every = "1h"
        [findings]
        learn = "2w"
        off = ["fan-out"]
        [inventory]
        first = "1m"
        every = "12h"
        [purposes]
        path = "/srv/purposes"
        [[sink]]
        name = "local"
        type = "file"
        path = "/var/log/spoor/records.jsonl"
        [[sink]]
        name = "out"
        type = "stdout"
        format = "native"
        [telemetry]
        listen = "127.0.0.1:9464"
        [log]
        level = "debug"
        probes = "warn"
    "#;
    let expected = Config {
        scope: Scope { cgroups: vec!["/system.slice/backup.service".into()] },
        credentials: Credentials {
            paths: vec!["/srv/app/secrets/**".into(), "/etc/backup/token".into()],
            catalogue: Some("/etc/spoor/more.toml".into()),
            fingerprint_key: Some("/etc/spoor/key".into()),
            environment: false,
        },
        kubernetes: Kubernetes {
            pods: Some(PodsSource::Url("https://127.0.0.1:10250/pods".into())),
            token: Some("/run/token".into()),
            ca: Some("/run/ca.crt".into()),
            trust_domain: Some("example.org".into()),
        },
        store: StoreConfig {
            path: "/data".into(),
            keep: Duration::from_secs(1_209_600),
            max_bytes: 500_000_000,
        },
        chain: ChainConfig { quiet: Duration::from_secs(90), max_actions: 1000, max_open: 256 },
        findings: FindingsConfig { learn: Duration::from_secs(14 * 86_400), off: vec!["fan-out".into()] },
        canary: CanaryConfig { every: Duration::from_secs(3_600) },
        inventory: InventoryConfig { first: Duration::from_secs(60), every: Duration::from_secs(43_200) },
        purposes: PurposesConfig { path: "/srv/purposes".into() },
        sinks: vec![
            SinkConfig::plain(
                "local",
                SinkKind::File { path: "/var/log/spoor/records.jsonl".into(), rotate: None },
            ),
            SinkConfig::plain("out", SinkKind::Stdout),
        ],
        telemetry: TelemetryConfig { listen: Some(Listen::Tcp(([127, 0, 0, 1], 9464).into())) },
        log: LogConfig { level: Level::Debug, probes: Some(Level::Warn) },
    };
    assert_eq!(parse("t", text).unwrap(), expected);
}

#[test]
fn all_mistakes_at_once() {
    let text = "\
[store]
keep = \"2 fortnights\"
max_byte = \"1GiB\"

[scope]
cgroups = [\"/\", 3]

[[sink]]
name = \"Local\"
type = \"file\"

[sotre]
[log]
level = \"loud\"
\tprobes = true
";
    let expected = "\
error[C007]: `2 fortnights` is not a duration
 --> spoor.toml:2:8
  |
2 | keep = \"2 fortnights\"
  |        ^^^^^^^^^^^^^^
  = a whole number and s, m, h, d or w, as in \"15m\"

error[C003]: unknown key `max_byte` in [store]
 --> spoor.toml:3:1
  |
3 | max_byte = \"1GiB\"
  | ^^^^^^^^
  = did you mean `max_bytes`?

error[C011]: `/` is the whole host: leave the scope away for that
 --> spoor.toml:6:12
  |
6 | cgroups = [\"/\", 3]
  |            ^^^

error[C005]: `cgroups` must list texts, and has a whole number
 --> spoor.toml:6:17
  |
6 | cgroups = [\"/\", 3]
  |                 ^

error[C006]: this sink has no `path`
 --> spoor.toml:8:1
  |
8 | [[sink]]
  | ^^^^^^^^

error[C014]: `Local` is not a name for a sink
 --> spoor.toml:9:8
  |
9 | name = \"Local\"
  |        ^^^^^^^
  = 1 to 64 of a-z, 0-9 and -

error[C003]: unknown section `sotre`
  --> spoor.toml:12:2
   |
12 | [sotre]
   |  ^^^^^
   = did you mean `store`?

error[C013]: `loud` is not known here
  --> spoor.toml:14:9
   |
14 | level = \"loud\"
   |         ^^^^^^
   = one of: error, warn, info, debug, trace

error[C005]: `probes` must be a text, and is true or false
  --> spoor.toml:15:11
   |
15 |  probes = true
   |           ^^^^
   = for example: probes = \"off\"

spoor.toml: 9 mistakes";
    assert_eq!(parse("spoor.toml", text).unwrap_err().to_string(), expected);
}

/// What a sink says is wrong: codes, in their order.
fn sink_codes(keys: &str) -> Vec<&'static str> {
    codes(&format!("[[sink]]\nname = \"a\"\n{keys}"))
}

#[test]
fn each_type_of_sink_has_its_keys() {
    for good in [
        "type = \"syslog\"\ntransport = \"local\"",
        "type = \"syslog\"\ntransport = \"udp\"\naddress = \"[::1]:514\"\nmax_record = \"480B\"",
        "type = \"webhook\"\nurl = \"https://a/b\"\ntoken_credential = \"hook\"",
        "type = \"webhook\"\nurl = \"http://127.0.0.1:80\"\ntoken_file = \"/t\"",
        "type = \"otlp\"\nurl = \"http://collector:4318\"",
        "type = \"otlp\"\nurl = \"https://a:4317\"\nprotocol = \"grpc\"\ncompression = \"gzip\"\nformat = \"otel\"",
        "type = \"otlp\"\nurl = \"https://[::1]/\"\nprotocol = \"grpc\"\nmax_request = \"64MiB\"",
        "type = \"otlp\"\nurl = \"https://a/v1/logs\"\nprotocol = \"http/json\"",
        "type = \"splunk\"\nurl = \"https://a\"\ncompression = \"gzip\"",
        "type = \"kafka\"\nbrokers = [\"a:9093\", \"[::1]:9093\"]\ntopic = \"spoor.records\"\nformat = \"cef\"",
        "type = \"kafka\"\nbrokers = [\"localhost:1\"]\ntopic = \"T\"\ntls = false\nsasl = \"plain\"\nuser = \"u\"\ntoken_file = \"/t\"",
        "type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"T\"\ntls = false\nsasl = \"scram-sha-512\"\nuser = \"u\"\ntoken_credential = \"t\"",
        "type = \"stdout\"\nformat = \"ocsf\"\nocsf_version = \"1.1.0\"\nactors = [\"systemd:*\"]",
    ] {
        assert_eq!(sink_codes(good), [""; 0], "{good}");
    }
    for (bad, codes) in [
        ("type = \"syslog\"\ntransport = \"tcp\"", "C006"),
        ("type = \"syslog\"\ntransport = \"tcp\"\naddress = \"here\"", "C021"),
        ("type = \"syslog\"\ntransport = \"udp\"\naddress = \"a:1\"\nmax_record = \"64KiB\"", "C009"),
        ("type = \"webhook\"", "C006"),
        ("type = \"webhook\"\nurl = \"ftp://a\"", "C021"),
        ("type = \"webhook\"\nurl = \"https://me:sesame@a\"", "C021"),
        ("type = \"webhook\"\nurl = \"http://a\"\ntoken_file = \"/t\"", "C021"),
        ("type = \"webhook\"\nurl = \"https://a\"\ncertificate = \"/c\"", "C006"),
        ("type = \"webhook\"\nurl = \"https://a\"\ntoken_credential = \"../x\"", "C014"),
        ("type = \"elasticsearch\"\nurl = \"https://a\"", "C006"),
        ("type = \"elasticsearch\"\nurl = \"https://a\"\nindex = \"Logs\"", "C014"),
        ("type = \"elasticsearch\"\nurl = \"https://a\"\nindex = \"l\"\nformat = \"cef\"", "C016"),
        ("type = \"otlp\"\nurl = \"https://a\"\nformat = \"ecs\"", "C016"),
        ("type = \"otlp\"\nurl = \"https://a\"\nprotocol = \"http\"", "C013"),
        ("type = \"otlp\"\nurl = \"https://a/v1/logs\"\nprotocol = \"grpc\"", "C021"),
        ("type = \"otlp\"\nurl = \"https://a:b\"\nprotocol = \"grpc\"", "C021"),
        ("type = \"otlp\"\nprotocol = \"grpc\"", "C006"),
        ("type = \"otlp\"\nurl = \"http://a:4317\"\nprotocol = \"grpc\"\ntoken_file = \"/t\"", "C021"),
        ("type = \"otlp\"\nurl = \"https://a\"\nmax_request = \"1KiB\"", "C009"),
        ("type = \"otlp\"\nurl = \"https://a\"\ncompression = \"zstd\"", "C013"),
        ("type = \"webhook\"\nurl = \"https://a\"\nprotocol = \"grpc\"", "C016"),
        ("type = \"webhook\"\nurl = \"https://a\"\nmax_request = \"1MiB\"", "C016"),
        ("type = \"file\"\npath = \"/a\"\ncompression = \"gzip\"", "C016"),
        ("type = \"stdout\"\nurl = \"https://a\"", "C016"),
        ("type = \"stdout\"\nocsf_version = \"1.1.0\"", "C016"),
        ("type = \"stdout\"\nactors = [\"[\"]", "C017"),
        ("type = \"stdout\"\nmin_severity = \"loud\"", "C013"),
        ("type = \"file\"\npath = \"/a\"\nrotate_bytes = \"1KiB\"", "C009"),
        ("type = \"file\"\npath = \"/a\"\nrotate_keep = 3", "C006"),
        ("type = \"splunk\"\nurl = \"https://a\"\nacknowledge = \"yes\"", "C005"),
        ("type = \"kafka\"\ntopic = \"t\"", "C006"),
        ("type = \"kafka\"\nbrokers = []\ntopic = \"t\"", "C021"),
        ("type = \"kafka\"\nbrokers = [\"a:1\", \"here\"]\ntopic = \"t\"", "C021"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]", "C006"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"a/b\"", "C014"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\ncompression = \"zip\"", "C013"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\nmax_record = \"1GiB\"", "C009"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\ntls = false\nca = \"/c\"", "C016"),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\nuser = \"u\"", "C006"),
        (
            "type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\nsasl = \"plain\"\ntoken_file = \"/t\"",
            "C006",
        ),
        ("type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\nsasl = \"plain\"\nuser = \"u\"", "C006"),
        (
            "type = \"kafka\"\nbrokers = [\"a:1\"]\ntopic = \"t\"\ntls = false\nsasl = \"plain\"\nuser = \"u\"\ntoken_file = \"/t\"",
            "C021",
        ),
        ("type = \"stdout\"\ntls = true", "C016"),
    ] {
        assert_eq!(sink_codes(bad), [codes], "{bad}");
    }
}

#[test]
fn the_way_to_a_collector_says_how_records_are_encoded() {
    for (word, protocol, format) in [
        ("", OtlpProtocol::HttpProtobuf, Format::OtelProtobuf),
        ("protocol = \"grpc\"", OtlpProtocol::Grpc, Format::OtelProtobuf),
        ("protocol = \"http/protobuf\"", OtlpProtocol::HttpProtobuf, Format::OtelProtobuf),
        ("protocol = \"http/json\"", OtlpProtocol::HttpJson, Format::Otel),
    ] {
        let text = format!("[[sink]]\nname = \"a\"\ntype = \"otlp\"\nurl = \"http://a:1\"\n{word}");
        let sink = parse("t", &text).unwrap().sinks.remove(0);
        assert_eq!(sink.format, format, "{word}");
        let SinkKind::Otlp(otlp) = sink.kind else { panic!("{word}") };
        assert_eq!((otlp.protocol, otlp.max_request, otlp.http.gzip), (protocol, 4 << 20, false));
    }
}

#[test]
fn a_secret_in_a_url_is_not_printed() {
    let text = "[[sink]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"https://me:sesame@a\"";
    let told = parse("t", text).unwrap_err();
    let message = told.to_string().lines().next().unwrap().to_owned();
    assert!(message.contains("has a user or password") && !message.contains("sesame"), "{message}");
}

#[test]
fn two_sinks_may_share_a_receiver_and_not_a_file() {
    let two = |keys: &str, more: &str| {
        codes(&format!("[[sink]]\nname = \"a\"\n{keys}\n[[sink]]\nname = \"b\"\n{keys}\n{more}"))
    };
    let hook = "type = \"webhook\"\nurl = \"https://a\"";
    assert_eq!(two(hook, ""), ["C015"]);
    assert_eq!(two(hook, "format = \"ecs\""), [""; 0]);
    assert_eq!(two(hook, "types = [\"gap\"]"), [""; 0]);
    let file = "type = \"file\"\npath = \"/a\"";
    assert_eq!(two(file, "format = \"ecs\"\nrotate_bytes = \"1MiB\""), ["C015"]);
}

#[test]
fn a_syntax_error_does_not_hide_the_others() {
    let found = codes("[store]\nkeep = \nkeeep = \"1d\"\n[log]\nlevel = \"loud\"\n");
    assert_eq!(found, ["C001", "C003", "C013"]);
}

#[test]
fn each_mistake_has_its_code() {
    let sink = "[[sink]]\nname = \"a\"\ntype = \"stdout\"\n";
    let most = spoor_wire::control::SCOPE_MAX;
    let long =
        format!("[scope]\ncgroups = [{}]", (0..=most).map(|n| format!("\"/a{n}\",")).collect::<String>());
    let cases = [
        ("[store", "C001"),
        ("[store]\nkeep = \"1d\"\nkeep = \"1d\"", "C002"),
        ("[store]\n[store]", "C002"),
        ("stor = 1", "C003"),
        ("keep = \"1d\"", "C003"),
        ("[[store]]", "C005"),
        ("[sink]", "C005"),
        ("sink = [1]", "C005"),
        ("store = 1", "C005"),
        ("[chain]\nmax_open = 1.5", "C005"),
        ("[[sink]]\nname = \"a\"", "C006"),
        ("[[sink]]\ntype = \"stdout\"", "C006"),
        ("[chain]\nquiet = \"soon\"", "C007"),
        ("[store]\nmax_bytes = \"lots\"", "C008"),
        ("[store]\nmax_bytes = \"1KiB\"", "C009"),
        ("[store]\nmax_bytes = \"16777215TiB\"", "C009"),
        ("[store]\nkeep = \"0s\"", "C009"),
        ("[chain]\nquiet = \"2w\"", "C009"),
        ("[chain]\nmax_open = -1", "C009"),
        ("[chain]\nmax_open = 4294967296", "C009"),
        ("[store]\npath = \"var\"", "C010"),
        ("[store]\npath = \"/a/../b\"", "C010"),
        ("[store]\npath = \"~/b\"", "C010"),
        ("[credentials]\npaths = [\"a\"]", "C010"),
        ("[scope]\ncgroups = [\"/sys/fs/cgroup/a\"]", "C011"),
        (&long, "C012"),
        ("[log]\nlevel = \"off\"", "C013"),
        ("[findings]\noff = [\"fun-out\"]", "C013"),
        ("[findings]\noff = [\"fan-out\", \"fan-out\"]", "C018"),
        ("[findings]\noff = \"fan-out\"", "C005"),
        ("[findings]\nlearn = \"53w\"", "C009"),
        ("[[sink]]\nname = \"a\"\ntype = \"pigeon\"", "C013"),
        ("[[sink]]\nname = \"\"\ntype = \"stdout\"", "C014"),
        (&format!("{sink}[[sink]]\nname = \"a\"\ntype = \"file\"\npath = \"/a\""), "C015"),
        (&format!("{sink}[[sink]]\nname = \"b\"\ntype = \"stdout\""), "C015"),
        (&format!("{sink}path = \"/a\""), "C016"),
        ("[credentials]\npaths = [\"/**\"]", "C017"),
        ("[credentials]\npaths = [\"/a\", \"/a\"]", "C018"),
        (&" ".repeat(2 << 20), "C020"),
    ];
    for (text, code) in cases {
        let short = text.chars().take(200).collect::<String>();
        assert_eq!(codes(text), [code], "{short}");
    }
    assert_eq!(codes(&sink.repeat(40).replace("\"a\"", "\"b\"")).last(), Some(&"C012"));
}

#[test]
fn codes_stay() {
    let list = Code::ALL.map(|(code, number)| format!("{number} {code:?}")).join("\n");
    let expected = "C001 Syntax\nC002 DuplicateKey\nC003 UnknownKey\nC004 RetiredKey\nC005 WrongType\nC006 MissingKey\n\
        C007 BadDuration\nC008 BadSize\nC009 OutOfRange\nC010 BadPath\nC011 BadCgroup\nC012 TooMany\nC013 BadWord\n\
        C014 BadName\nC015 DuplicateSink\nC016 NotForThisType\nC017 BadGlob\nC018 DuplicateItem\nC019 NotUtf8\n\
        C020 TooLong\nC021 BadAddress\n\
        P001 BadActor\nP002 BadCredential\nP003 BadProgram\nP004 BadDestination\nP005 BadTime\n\
        P006 BadDate\nP007 DuplicatePurpose";
    assert_eq!(list, expected);
    for (code, number) in Code::ALL {
        assert_eq!(code.as_str(), number);
    }
}

#[test]
fn a_retired_key_says_its_new_name() {
    static TABLE: &[Key] = &[Key {
        section: "store",
        name: "keep",
        kind: Type::Duration,
        default: None,
        meaning: "",
        since: "0.2.0",
        formerly: &["retention"],
    }];
    let text = "[store]\nretention = \"1d\"";
    let mut report = Report::default();
    raw::read(text, SECTIONS, TABLE, &mut report);
    let found = report.finish("t", text);
    assert_eq!(found.list[0].code, Code::RetiredKey);
    assert_eq!(found.list[0].message, "`retention` is called `keep` since 0.2.0");
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spoor.toml");
    assert!(matches!(load(&path), Err(ConfigError::Unreadable { .. })));
    std::fs::write(&path, "[log]\nlevel = \"warn\"").unwrap();
    assert_eq!(load(&path).unwrap().log.level, Level::Warn);
    std::fs::write(&path, b"[log]\n# \xff\n").unwrap();
    let Err(ConfigError::Invalid(found)) = load(&path) else { panic!() };
    assert_eq!((found.list[0].code, found.list[0].line, found.list[0].column), (Code::NotUtf8, 2, 3));
}

#[test]
fn a_terminal_obeys_nothing_in_a_diagnostic() {
    let shown = parse("\u{1b}[31m", "\"a\u{1b}[2J\" = 1\n").unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}'));
    let shown = parse("t", "[log]\nlevel = \"\\u001b[2J\"\n").unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn who_is_not_asked_who_they_are_is_on_this_host() {
    let listen =
        |text: &str| parse("t", &format!("[telemetry]\nlisten = \"{text}\"\n")).map(|c| c.telemetry.listen);
    for good in
        ["127.0.0.1:9464", "127.9.9.9:1", "[::1]:9464", "[::ffff:127.0.0.1]:80", "/run/spoor/metrics.sock"]
    {
        let found = listen(good).unwrap_or_else(|error| panic!("{error}")).unwrap();
        assert_eq!(found.to_string(), good);
    }
    let long = format!("/{}", "a".repeat(107));
    for (bad, why) in [
        ("0.0.0.0:9464", "error[C021]: `0.0.0.0:9464` is not of loopback"),
        ("[::]:9464", "not of loopback"),
        ("10.0.0.9:9464", "not of loopback"),
        ("localhost:9464", "error[C021]: `localhost:9464` is not an address with a port"),
        ("127.0.0.1", "not an address with a port"),
        ("127.0.0.1:0", "from 1 to 65535"),
        ("./metrics.sock", "C010"),
        (&long, "107 bytes"),
    ] {
        let said = listen(bad).unwrap_err().to_string();
        assert!(said.contains(why), "{bad}: {said}");
    }
}

#[test]
fn a_flood_of_mistakes_is_cut() {
    let text = (0..20_000).map(|n| format!("key{n} = 1\n")).collect::<String>();
    let found = parse("t", &text).unwrap_err();
    assert_eq!((found.list.len(), found.count), (200, 20_000));
    assert!(found.to_string().ends_with("… and 19800 more\n\nt: 20000 mistakes"));
}

#[test]
fn the_reference_names_every_key() {
    let page = reference();
    assert!(page.contains(&format!("; at most {}.", spoor_wire::control::SCOPE_MAX)), "the scope's bound");
    for key in KEYS.iter() {
        assert!(page.contains(&format!("| `{}` |", key.name)));
        assert!(SECTIONS.iter().any(|section| section.name == key.section));
    }
}

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        if let Err(found) = parse("t", &text) {
            let _ = found.to_string();
        }
    }

    #[test]
    fn any_almost_config(lines in proptest::collection::vec(
        "(\\[{0,2}(scope|store|chain|sink|log|credentials)\\]{0,2}|(cgroups|paths|path|keep|quiet|name|type|max_open|level)( = )(\"[/a-z*{},é]{0,9}\"|[0-9]{1,22}|\\[\"/[a*{},]{0,5}\"\\]|\\{\\}|\"\"\"|true))",
        0..12,
    )) {
        if let Err(found) = parse("t", &lines.join("\n")) {
            let _ = found.to_string();
        }
    }
}
