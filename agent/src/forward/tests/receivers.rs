//! Real receivers: rsyslog and syslog-ng, unpacked by `cargo xtask test` and started here on ports of this host.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use super::servers::free_port;
use super::sinks_syslog::syslog;
use super::*;
use crate::config::{OtlpProtocol, SyslogTo};

/// Where Debian's packages were unpacked. Without it the test says so and does nothing, unless it must not.
fn unpacked() -> Option<PathBuf> {
    let named = std::env::var_os("SPOOR_RECEIVERS").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers");
    let must = named.is_some();
    let found = named.unwrap_or(usual);
    if found.join("usr/sbin/rsyslogd").exists() {
        return Some(found);
    }
    assert!(!must, "SPOOR_RECEIVERS names {}, and no receiver is there", found.display());
    eprintln!("SKIP: no receivers are unpacked; `cargo xtask test unit` does it");
    None
}

/// The OpenTelemetry collector of the package `rotel`, which says all that it got.
#[tokio::test]
async fn a_real_collector_takes_every_record_over_otlp() {
    use crate::config::OtlpProtocol::{Grpc, HttpJson, HttpProtobuf};
    let Some(collector) = std::env::var_os("SPOOR_COLLECTOR") else {
        eprintln!("SKIP: there is no collector; `cargo xtask test unit` gets one");
        return;
    };
    let (grpc, port) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out.log");
    let arguments =
        ["start", "--exporter", "blackhole", "--debug-log", "logs", "--debug-log-verbosity", "detailed"];
    let file = fs::File::create(&out).unwrap();
    let child = Command::new(collector)
        .args(arguments)
        .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &port])
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let _collector = Receiver(child);
    for (protocol, address) in [(Grpc, &grpc), (HttpProtobuf, &port), (HttpJson, &port)] {
        for gzip in [false, true] {
            let before = fs::metadata(&out).unwrap().len();
            collected(protocol, address, gzip, &out, usize::try_from(before).unwrap()).await;
        }
    }
}

/// Three nights, of which the collector says each record by its id.
async fn collected(protocol: OtlpProtocol, address: &str, gzip: bool, out: &Path, before: usize) {
    use crate::config::{Auth, Http, Otlp, TlsFiles};
    let mut bench = Bench::new();
    bench.night();
    let (url, tls) = (format!("http://{address}"), TlsFiles::default());
    let http = Http { url, tls, auth: Auth::Bearer, secret: None, gzip };
    let otlp = Otlp { http, protocol, max_request: 4 << 20 };
    let plain = SinkConfig::plain("test", SinkKind::Otlp(otlp));
    let sink = tokio::spawn(bench.sink_of(SinkConfig { format: protocol.format(), ..plain }).run());
    for _ in 0..2 {
        let last = bench.store.last_seq();
        until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
        bench.night();
    }
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let all = bench.store.last_seq();
    let state = &crate::store::sinks(&bench.dir.path().join("store")).unwrap()[0];
    assert_eq!((state.taken, state.set_aside), (all, 0), "{protocol:?}, gzip: {gzip}");
    until("every record in the collector's words", || {
        let text = fs::read_to_string(out).unwrap();
        let text = &text[before..];
        (1..=all).all(|seq| {
            let id = format!("6f1d2c9e0b7a4f3f9d4c2a1b0e9f8d7c-{seq}");
            let ends = |at: usize| !text[at + id.len()..].starts_with(|next: char| next.is_ascii_digit());
            text.match_indices(&id).any(|(at, _)| ends(at))
        })
    })
    .await;
}

/// A receiver, ended with the test.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(root: &Path, program: &str, arguments: &[String]) -> Receiver {
    let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/syslog-ng", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|path| root.join(path).display().to_string()).join(":");
    let child = Command::new(root.join("usr/sbin").join(program))
        .args(arguments)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Receiver(child)
}

/// What the receiver wrote: one line a message, number and message apart.
fn received(path: &Path) -> Vec<(u64, String)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let (head, message) = line.split_once("|msg=")?;
        let seq = head.split(" seq=\"").nth(1)?.split('"').next()?.parse().ok()?;
        Some((seq, message.trim_start().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Two nights over TCP and two over TLS; in between the receiver is started anew.
async fn both(bench: &mut Bench, mut restart: impl FnMut() -> Receiver, out: &Path, ports: (u16, u16)) {
    let authority_files = {
        let tls = bench.dir.path().join("tls");
        crate::config::TlsFiles { ca: Some(tls.join("ca.pem")), own: None }
    };
    let to = |name: &str, to| SinkConfig::plain(name, syslog(to));
    let tcp = to("tcp", SyslogTo::Tcp(format!("127.0.0.1:{}", ports.0)));
    let tls = to("tls", SyslogTo::Tls(format!("127.0.0.1:{}", ports.1), authority_files));
    for config in [tcp, tls] {
        let _ = fs::remove_file(out);
        let first = restart();
        if bench.made.is_empty() {
            bench.night();
        }
        let sink = tokio::spawn(bench.sink_of(config).run());
        let has = |last: u64| received(out).iter().any(|(seq, _)| *seq == last);
        let last = bench.store.last_seq();
        until("the first night", || has(last)).await;
        drop(first);
        bench.night();
        let _second = restart();
        let last = bench.store.last_seq();
        until("the night after the restart", || has(last)).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let mut seen = std::collections::BTreeSet::new();
        let mut came = received(out);
        came.retain(|(seq, _)| seen.insert(*seq));
        let expected: Vec<(u64, String)> = bench
            .made
            .iter()
            .map(|record| (record.seq, String::from_utf8(record.body.clone()).unwrap()))
            .collect();
        assert_eq!(came.len(), expected.len());
        for (came, expected) in came.iter().zip(&expected) {
            assert_eq!(came, expected);
        }
    }
}

fn bench_with_certificates() -> Bench {
    let bench = Bench::new();
    fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    bench.authority();
    bench
}

#[tokio::test]
async fn a_real_rsyslog_reads_every_record_over_tcp_and_tls() {
    let Some(root) = unpacked() else { return };
    let mut bench = bench_with_certificates();
    let dir = bench.dir.path().to_path_buf();
    let (ports, out) = ((free_port(), free_port()), dir.join("out.log"));
    let tls = dir.join("tls");
    let config = format!(
        r#"global(workDirectory="{dir}" DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{tls}/ca.pem"
            DefaultNetstreamDriverCertFile="{tls}/server.pem" DefaultNetstreamDriverKeyFile="{tls}/server.key"
            maxMessageSize="256k")
        module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.Authmode="anon")
        module(load="imptcp")
        template(name="raw" type="string" string="ver=%protocol-version% host=%hostname% sd=%structured-data%|msg=%msg%\n")
        ruleset(name="r"){{ action(type="omfile" file="{out}" template="raw" asyncWriting="off" flushOnTXEnd="on") }}
        input(type="imptcp" port="{plain}" address="127.0.0.1" ruleset="r" SupportOctetCountedFraming="on")
        input(type="imtcp" port="{secure}" address="127.0.0.1" ruleset="r" SupportOctetCountedFraming="on")
        "#,
        dir = dir.display(),
        tls = tls.display(),
        out = out.display(),
        plain = ports.0,
        secure = ports.1,
    );
    let file = dir.join("rsyslog.conf");
    fs::write(&file, config).unwrap();
    let modules = root.join("usr/lib/x86_64-linux-gnu/rsyslog").display().to_string();
    let arguments: Vec<String> =
        ["-n", "-f", file.to_str().unwrap(), "-i", "none", "-M", &modules].map(str::to_owned).to_vec();
    both(&mut bench, || start(&root, "rsyslogd", &arguments), &out, ports).await;
}

#[tokio::test]
async fn a_real_syslog_ng_reads_every_record_over_tcp_and_tls() {
    let Some(root) = unpacked() else { return };
    let mut bench = bench_with_certificates();
    let dir = bench.dir.path().to_path_buf();
    let (ports, out) = ((free_port(), free_port()), dir.join("out.log"));
    let config = format!(
        r#"@version: 3.38
        options {{ log-msg-size(262144); flush-lines(0); keep-hostname(yes); stats-freq(0); }};
        source s {{
            syslog(ip("127.0.0.1") port({plain}) transport("tcp"));
            syslog(ip("127.0.0.1") port({secure}) transport("tls") tls(key-file("{tls}/server.key")
                cert-file("{tls}/server.pem") peer-verify(optional-untrusted)));
        }};
        destination d {{ file("{out}" template("host=$HOST sd=$SDATA|msg=$MSG\n")); }};
        log {{ source(s); destination(d); }};
        "#,
        tls = dir.join("tls").display(),
        out = out.display(),
        plain = ports.0,
        secure = ports.1,
    );
    let file = dir.join("syslog-ng.conf");
    fs::write(&file, config).unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    let modules = root.join("usr/lib/syslog-ng/3.38").display().to_string();
    let arguments: Vec<String> = [
        "-F".to_owned(),
        "--no-caps".to_owned(),
        format!("--cfgfile={}", file.display()),
        format!("--persist-file={}", at("persist")),
        format!("--pidfile={}", at("pid")),
        format!("--control={}", at("ctl")),
        format!("--module-path={modules}"),
    ]
    .to_vec();
    both(&mut bench, || start(&root, "syslog-ng", &arguments), &out, ports).await;
}
