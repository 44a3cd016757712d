//! What the agent itself does on this host, for its first record: who reads records knows by that which process, files and
//! connections were its own, and that these are missing on purpose.

use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use http::Uri;

use crate::config::{Config, Http, PodsSource, SinkConfig, SinkKind, SyslogTo};
use crate::kernel::process_key;
use crate::record::{Own, OwnSink};
use crate::status::socket;

pub(super) fn own(config: &Config) -> Own {
    let pid = std::process::id();
    let key = process_key(pid).inspect_err(|error| tracing::warn!("when this process started: {error}"));
    let exe = std::env::current_exe().inspect_err(|error| tracing::warn!("which program this is: {error}"));
    Own {
        pid,
        start_ns: key.ok().map(|key| key.start_ns),
        exe: exe.map(bytes).unwrap_or_default(),
        store: bytes(&config.store.path),
        status: bytes(config.store.path.join(socket::FILE)),
        listen: config.telemetry.listen.as_ref().map(ToString::to_string),
        pods: config.kubernetes.pods.as_ref().map(|pods| match pods {
            PodsSource::File(path) => shown(path),
            PodsSource::Url(url) => server(url),
        }),
        sinks: config.sinks.iter().map(sink).collect(),
    }
}

fn sink(sink: &SinkConfig) -> OwnSink {
    let http = |kind, http: &Http| (kind, vec![server(&http.url)]);
    let (kind, to) = match &sink.kind {
        SinkKind::Stdout => ("stdout", Vec::new()),
        SinkKind::File { path, .. } => ("file", vec![shown(path)]),
        SinkKind::Syslog(syslog) => ("syslog", vec![receiver(&syslog.to)]),
        SinkKind::Webhook(to) => http("webhook", to),
        SinkKind::Elasticsearch { http: to, .. } => http("elasticsearch", to),
        SinkKind::Splunk { http: to, .. } => http("splunk", to),
        SinkKind::Otlp(otlp) => http("otlp", &otlp.http),
        SinkKind::Kafka(kafka) => ("kafka", kafka.brokers.clone()),
    };
    OwnSink { name: sink.name.clone(), kind: kind.to_owned(), to }
}

fn receiver(to: &SyslogTo) -> String {
    match to {
        SyslogTo::Tcp(address) | SyslogTo::Tls(address, _) | SyslogTo::Udp(address) => address.clone(),
        SyslogTo::Local(path) => shown(path),
    }
}

/// Host and port of a URL. Its path may be a secret, as those of many webhooks are.
fn server(url: &str) -> String {
    let Ok(url) = url.parse::<Uri>() else {
        return String::new();
    };
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    format!("{}:{port}", url.host().unwrap_or_default())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    path.as_ref().to_owned().into_os_string().into_vec()
}

#[cfg(test)]
mod tests {
    use super::{own, server};
    use crate::config::parse;

    #[test]
    fn of_a_url_only_host_and_port_are_told() {
        for (url, told) in [
            ("https://hooks.example.com/services/T0/B0/secret?token=secret#secret", "hooks.example.com:443"),
            ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
            ("http://[::1]/", "[::1]:80"),
            ("https://user:secret@siem.example.com:8443/", "siem.example.com:8443"),
            ("no url", ""),
        ] {
            assert_eq!(server(url), told);
        }
    }

    #[test]
    fn each_way_out_is_told() {
        let config = parse(
            "own.toml",
            r#"
            [telemetry]
            listen = "127.0.0.1:9464"
            [store]
            path = "/srv/spoor"
            [[sink]]
            name = "a"
            type = "file"
            path = "/var/log/spoor.jsonl"
            [[sink]]
            name = "b"
            type = "webhook"
            url = "https://hooks.example.com/secret"
            [[sink]]
            name = "c"
            type = "kafka"
            brokers = ["127.0.0.1:9092", "localhost:9093"]
            topic = "spoor"
            "#,
        )
        .unwrap();
        let own = own(&config);
        assert_eq!((own.pid, own.start_ns.is_some()), (std::process::id(), true));
        assert_eq!(
            (own.store.as_slice(), own.status.as_slice()),
            (&b"/srv/spoor"[..], &b"/srv/spoor/status.sock"[..])
        );
        assert_eq!(own.listen.as_deref(), Some("127.0.0.1:9464"));
        let sinks: Vec<String> = own
            .sinks
            .iter()
            .map(|sink| format!("{} {} {}", sink.name, sink.kind, sink.to.join(",")))
            .collect();
        assert_eq!(
            sinks,
            [
                "a file /var/log/spoor.jsonl",
                "b webhook hooks.example.com:443",
                "c kafka 127.0.0.1:9092,localhost:9093",
            ]
        );
    }
}
