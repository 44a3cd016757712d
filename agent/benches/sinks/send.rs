//! spoor's side: what encodes, and what sends, each in a process of its own.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::CpuSet;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use spoor::config::{
    Auth, Compression, Format, Http, Kafka, OcsfVersion, Otlp, OtlpProtocol, PartitionBy, SinkConfig,
    SinkKind, Syslog, SyslogTo, TlsFiles,
};
use spoor::forward::{Around, Encodings, Filters, Sink, SinkEnd, Stop};
use spoor::record::{Room, View};
use spoor::store::{Reader, Store};
use spoor::telemetry::Ledger;
use tokio::sync::watch;

use super::receive::{self, Framing};
use super::{Contender, KEEP, Material, Took};

const FORMATS: [(&str, Format); 7] = [
    ("native", Format::Native),
    ("ocsf", Format::Ocsf(OcsfVersion::V1_8)),
    ("ecs", Format::Ecs),
    ("otel", Format::Otel),
    ("otel-protobuf", Format::OtelProtobuf),
    ("cef", Format::Cef),
    ("leef", Format::Leef),
];

/// A sink, the schema it is measured with, and who receives.
const SINKS: [(&str, &str, Option<Framing>); 9] = [
    ("file", "native", None),
    ("syslog-tcp", "native", Some(Framing::Counted)),
    ("syslog-tls", "native", Some(Framing::Tls)),
    ("webhook", "native", Some(Framing::Http)),
    ("elasticsearch", "ecs", Some(Framing::Http)),
    ("splunk", "native", Some(Framing::Http)),
    ("otlp", "otel", Some(Framing::Http)),
    ("otlp-grpc", "otel-protobuf", Some(Framing::Grpc)),
    ("kafka", "native", Some(Framing::Kafka)),
];

pub(super) fn contenders() -> Vec<Contender> {
    let mut all = Vec::new();
    for (name, _) in FORMATS {
        let run = move |material: &Material, cpu: &CpuSet| {
            child(&["encode".into(), material.store().display().to_string(), name.to_owned()], cpu)
        };
        all.push(Contender { name: format!("encoder `{name}`"), run: Box::new(run) });
    }
    for (kind, format, framing) in SINKS {
        let run = move |material: &Material, cpu: &CpuSet| {
            let receiver = framing.map(receive::start).transpose()?;
            let dir = material.dir.path().display().to_string();
            let mut port = 0;
            if let Some(receiver) = &receiver {
                fs::write(material.dir.path().join("ca.pem"), &receiver.certificate)?;
                port = receiver.port;
            }
            child(&["send".into(), dir, kind.to_owned(), port.to_string()], cpu)
        };
        all.push(Contender { name: format!("sink `{kind}`, `{format}`"), run: Box::new(run) });
    }
    all
}

/// Runs this program anew on one CPU, and reads what it took.
fn child(args: &[String], cpu: &CpuSet) -> Result<Took> {
    let output = bound(&std::env::current_exe()?, cpu).args(args).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match (output.status.success(), numbers.as_slice()) {
        (true, [cpu, wall, memory_kib]) => Ok(Took {
            cpu: Duration::from_micros(*cpu),
            wall: Duration::from_micros(*wall),
            memory_kib: *memory_kib,
        }),
        _ => Err(Error::other(format!("{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}

/// A command that runs on one CPU.
pub(super) fn bound(program: &Path, cpu: &CpuSet) -> Command {
    let is_set = |one: &usize| cpu.is_set(*one).unwrap_or(false);
    let list: Vec<String> = (0..CpuSet::count()).filter(is_set).map(|one| one.to_string()).collect();
    let mut command = Command::new("taskset");
    command.args(["-c", &list.join(",")]).arg(program);
    command
}

fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

fn tell(cpu_before: Duration, started: Instant) -> Result<()> {
    let (wall, cpu) = (started.elapsed(), cpu()? - cpu_before);
    // Not of getrusage: that one remembers the parent, whose memory this process was before it took its own program.
    let status = procfs::process::Process::myself().and_then(|me| me.status()).map_err(Error::other)?;
    let memory = status.vmhwm.unwrap_or(0);
    println!("{} {} {memory}", cpu.as_micros(), wall.as_micros());
    Ok(())
}

fn format(name: &str) -> Result<Format> {
    let found = FORMATS.iter().find(|(known, _)| *known == name);
    found.map(|(_, format)| *format).ok_or_else(|| Error::other("no such schema"))
}

/// Reads a record's bytes and makes those of a schema; all are read from the store before.
pub(super) fn encode(store: &Path, name: &str) -> Result<()> {
    let format = format(name)?;
    let stored = Reader::open(store).and_then(|reader| reader.after(0, usize::MAX)).map_err(Error::other)?;
    let (before, started) = (cpu()?, Instant::now());
    let (mut bytes, mut room) = (0, Room::new());
    for record in &stored {
        let view = View::borrow(&record.body, &mut room).map_err(Error::other)?;
        bytes += spoor::schema::encode(format, &view, &record.body).len();
    }
    std::hint::black_box(bytes);
    tell(before, started)
}

fn kind(dir: &Path, name: &str, port: &str) -> Result<SinkKind> {
    let address = format!("127.0.0.1:{port}");
    let tls = TlsFiles { ca: Some(dir.join("ca.pem")), own: None };
    let syslog = |to| SinkKind::Syslog(Syslog { to, facility: 13, max_record: 1 << 20 });
    let http = |path: &str| Http {
        url: format!("http://{address}{path}"),
        tls: TlsFiles::default(),
        auth: Auth::Bearer,
        secret: None,
        gzip: false,
    };
    Ok(match name {
        "file" => SinkKind::File { path: dir.join("out"), rotate: None },
        "syslog-tcp" => syslog(SyslogTo::Tcp(address)),
        "syslog-tls" => syslog(SyslogTo::Tls(address, tls)),
        "webhook" => SinkKind::Webhook(http("/in")),
        "elasticsearch" => SinkKind::Elasticsearch { http: http(""), index: "logs-spoor".to_owned() },
        "splunk" => SinkKind::Splunk { http: http(""), index: None, acknowledge: false },
        "otlp-grpc" => {
            let protocol = OtlpProtocol::Grpc;
            SinkKind::Otlp(Otlp { http: http(""), protocol, max_request: 4 << 20 })
        }
        "kafka" => SinkKind::Kafka(Kafka {
            brokers: vec![address],
            topic: "spoor".to_owned(),
            partition_by: PartitionBy::Chain,
            compression: Compression::None,
            tls: None,
            sasl: None,
            max_record: 1_000_000,
        }),
        "otlp" => {
            SinkKind::Otlp(Otlp { http: http(""), protocol: OtlpProtocol::HttpJson, max_request: 4 << 20 })
        }
        _ => return Err(Error::other("no such sink")),
    })
}

/// Runs a sink from the first record of the store to the last: reading, encoding, sending, and keeping its cursor.
pub(super) fn send(dir: &Path, name: &str, port: &str) -> Result<()> {
    let schema = SINKS.iter().find(|(known, _, _)| *known == name).map_or("native", |(_, schema, _)| schema);
    let out: PathBuf = dir.join("out");
    if out.exists() {
        fs::remove_file(out)?;
    }
    let store = Store::open(&dir.join("store"), KEEP).map_err(Error::other)?;
    let reader = Reader::open(&dir.join("store")).map_err(Error::other)?;
    // Each run begins at the first record.
    let own = format!("{name}-{}", std::process::id());
    let config = SinkConfig { format: format(schema)?, ..SinkConfig::plain(&own, kind(dir, name, port)?) };
    let (_stored, stored) = watch::channel(store.last_seq());
    let (_stop, stop) = watch::channel(Some(Stop::drained(Duration::from_secs(600))));
    let ledger = Arc::new(Ledger::default());
    let (_filters, filters) = watch::channel(Filters::default());
    let encodings = Arc::new(Encodings::default());
    let around = Around { stored, stop, ledger: Arc::clone(&ledger), encodings, filters };
    let sink = Sink::new(config, &store, reader, around).map_err(Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (before, started) = (cpu()?, Instant::now());
    let end = runtime.block_on(sink.run());
    if end != SinkEnd::Drained || ledger.records_forwarded.get() != store.last_seq() {
        let (forwarded, tries) = (ledger.records_forwarded.get(), ledger.forward_retries.get());
        return Err(Error::other(format!("{end:?}: {forwarded} records, {tries} tries")));
    }
    tell(before, started)
}
