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
        let own = rest.split("\n[").next().unwrap().split("\n# [[").next().unwrap();
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
    assert_eq!(config.sinks.len(), 1);
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
        [store]
        path = "/data"
        keep = "2w"
        max_bytes = "500MB"
        [kubernetes]
        pods = "https://127.0.0.1:10250/pods"
        token = "/run/token"
        ca = "/run/ca.crt"
        [chain]
        quiet = "90s"
        max_actions = 1_000
        max_open = 0x100
        [canary]
        every = "1h"
        [[sink]]
        name = "local"
        type = "file"
        path = "/var/log/spoor/records.jsonl"
        [[sink]]
        name = "out"
        type = "stdout"
        format = "native"
        [log]
        level = "debug"
        probes = "warn"
    "#;
    let expected = Config {
        scope: Scope { cgroups: vec!["/system.slice/backup.service".into()] },
        credentials: Credentials {
            paths: vec!["/srv/app/secrets/**".into(), "/etc/backup/token".into()],
            catalogue: Some("/etc/spoor/more.toml".into()),
        },
        kubernetes: Kubernetes {
            pods: Some(PodsSource::Url("https://127.0.0.1:10250/pods".into())),
            token: Some("/run/token".into()),
            ca: Some("/run/ca.crt".into()),
        },
        store: StoreConfig {
            path: "/data".into(),
            keep: Duration::from_secs(1_209_600),
            max_bytes: 500_000_000,
        },
        chain: ChainConfig { quiet: Duration::from_secs(90), max_actions: 1000, max_open: 256 },
        canary: CanaryConfig { every: Duration::from_secs(3_600) },
        sinks: vec![
            SinkConfig {
                name: "local".into(),
                kind: SinkKind::File { path: "/var/log/spoor/records.jsonl".into() },
                format: Format::Native,
            },
            SinkConfig { name: "out".into(), kind: SinkKind::Stdout, format: Format::Native },
        ],
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
        ("[[sink]]\nname = \"a\"\ntype = \"kafka\"", "C013"),
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
        C020 TooLong";
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
    raw::read(text, TABLE, &mut report);
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
    for key in KEYS {
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
