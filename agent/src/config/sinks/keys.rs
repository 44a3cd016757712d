//! The keys of `[[sink]]`, and the words that may stand behind them.

use super::super::keys::{Key, Type, key};

/// Types of sinks.
pub(super) const TYPES: &[&str] =
    &["stdout", "file", "syslog", "webhook", "elasticsearch", "splunk", "otlp", "kafka"];
pub(super) const FORMATS: &[&str] = &["native", "ocsf", "ecs", "otel", "cef", "leef"];
pub(super) const OCSF_VERSIONS: &[&str] = &["1.8.0", "1.3.0", "1.1.0"];
pub(super) const TRANSPORTS: &[&str] = &["tcp", "tls", "udp", "local"];
pub(super) const FACILITIES: &[&str] = &[
    "daemon", "auth", "authpriv", "audit", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];
pub(super) const FACILITY_NUMBERS: &[u8] = &[3, 4, 10, 13, 16, 17, 18, 19, 20, 21, 22, 23];
pub(super) const AUTHS: &[&str] = &["bearer", "basic", "apikey", "splunk"];
/// Of sinks over HTTP and gRPC.
pub(super) const COMPRESSIONS: &[&str] = &["none", "gzip"];
pub(super) const KAFKA_COMPRESSIONS: &[&str] = &["none", "gzip", "lz4"];
pub(super) const PROTOCOLS: &[&str] = &["grpc", "http/protobuf", "http/json"];
pub(super) const PARTITION_BYS: &[&str] = &["chain", "host"];
pub(super) const MECHANISMS: &[&str] = &["plain", "scram-sha-256", "scram-sha-512"];
pub(super) const SEVERITIES: &[&str] = &["informational", "low", "medium", "high", "critical"];
/// Keys of `[[sink]]`, in the order of the page.
pub(in crate::config) const KEYS: &[Key] = &[
    key(
        "sink",
        "name",
        Type::Name,
        None,
        "Needed. Unique: what was already sent is remembered under this name.",
    ),
    key(
        "sink",
        "type",
        Type::Word(TYPES),
        None,
        "Needed. Where the records go; docs/SINKS.md says how each behaves.",
    ),
    key(
        "sink",
        "format",
        Type::Word(FORMATS),
        Some("\"native\""),
        "Schema of the records: `native` is spoor's own JSON (docs/RECORDS.md), the others are in docs/SCHEMAS.md. `otlp` carries `otel` only, and has it as its default; `elasticsearch` carries what is JSON.",
    ),
    key(
        "sink",
        "ocsf_version",
        Type::Word(OCSF_VERSIONS),
        Some("\"1.8.0\""),
        "Version of OCSF, for that `format`. What an older one does not know stands in `unmapped`.",
    ),
    key(
        "sink",
        "types",
        Type::Texts,
        Some("[]"),
        "Only records of these types, e.g. `action`, `chain`, and `head`, which passes every filter. Empty: all.",
    ),
    key(
        "sink",
        "actions",
        Type::Texts,
        Some("[]"),
        "Of the records of actions, only these, e.g. `connect`. Records of other types pass. Empty: all.",
    ),
    key(
        "sink",
        "actors",
        Type::Texts,
        Some("[]"),
        "Of the records with an actor, only those whose `actor.id` one of these patterns fits (`*`, `?`, `[]`). Records without an actor pass. Empty: all.",
    ),
    key(
        "sink",
        "min_severity",
        Type::Word(SEVERITIES),
        Some("\"informational\""),
        "Only records at least so severe. Where a record has no `severity` of its own, a gap and a signal that is not covered are `low`, all else is `informational`.",
    ),
    key(
        "sink",
        "path",
        Type::Path,
        None,
        "Needed for `file`, which is appended to; of a `syslog` with `transport = \"local\"` the socket, by default `/dev/log`.",
    ),
    key(
        "sink",
        "rotate_bytes",
        Type::Size,
        None,
        "Of a `file`: it is renamed to `….1` before it grows beyond this. At least 64KiB. Without it, rotating is left to others, which may do it at any time.",
    ),
    key(
        "sink",
        "rotate_keep",
        Type::Count,
        Some("5"),
        "How many rotated files are kept: `….1` is the newest. From 1 to 1000.",
    ),
    key(
        "sink",
        "transport",
        Type::Word(TRANSPORTS),
        None,
        "Needed for `syslog`: `tcp` and `tls` with octet counting (RFC 6587, RFC 5425), `udp`, or the socket of this host.",
    ),
    key("sink", "address", Type::Text, None, "Needed for `syslog` over `tcp`, `tls` and `udp`: `host:port`."),
    key("sink", "facility", Type::Word(FACILITIES), Some("\"audit\""), "Facility of `syslog`."),
    key(
        "sink",
        "max_record",
        Type::Size,
        Some("\"8KiB\""),
        "Of `syslog`: a longer message is not cut but set aside (`spoor sinks`). RFC 5425 asks receivers for 8 KiB; allow more where yours takes more. From 480B to 1MiB; over UDP at most 65507B. Of `kafka` the same of a record, by default 1MB; a batch is not longer either, so let it be a little less than the topic's `max.message.bytes`. From 480B to 16MiB.",
    ),
    key(
        "sink",
        "brokers",
        Type::Texts,
        None,
        "Needed for `kafka`: some of the cluster's brokers, each `host:port`. They tell of the others.",
    ),
    key("sink", "topic", Type::Text, None, "Needed for `kafka`: the topic. spoor creates none."),
    key(
        "sink",
        "partition_by",
        Type::Word(PARTITION_BYS),
        Some("\"chain\""),
        "Of `kafka`: the key of a record, and so what keeps its order. `chain`: its chain, of a record without one its host; `host`: its host.",
    ),
    key(
        "sink",
        "tls",
        Type::Flag,
        Some("true"),
        "Of `kafka`: whether brokers are spoken to over TLS. In the clear only where this says so.",
    ),
    key(
        "sink",
        "sasl",
        Type::Word(MECHANISMS),
        None,
        "Of `kafka`: how the brokers want to see who we are, with `user` and a secret. `plain` sends the secret itself, so it needs TLS.",
    ),
    key("sink", "user", Type::Text, None, "Of `kafka` with `sasl`: the user."),
    key(
        "sink",
        "url",
        Type::Text,
        None,
        "Needed for `webhook`, `elasticsearch`, `splunk` and `otlp`: `http://` or `https://`, without user and password. To `elasticsearch`, `splunk` and `otlp` over HTTP their own path is added where the URL has none; over gRPC it has none, and collectors usually listen on port 4317.",
    ),
    key(
        "sink",
        "protocol",
        Type::Word(PROTOCOLS),
        Some("\"http/protobuf\""),
        "Of `otlp`: which of its three ways. All carry the same.",
    ),
    key(
        "sink",
        "max_request",
        Type::Size,
        Some("\"4MiB\""),
        "Of `otlp`: no request is longer, before compression; a record that does not fit alone is set aside. 4 MiB is what collectors take over gRPC unless told otherwise. From 64KiB to 64MiB.",
    ),
    key(
        "sink",
        "compression",
        Type::Word(KAFKA_COMPRESSIONS),
        Some("\"none\""),
        "Of sinks over HTTP and gRPC: how requests are compressed, with `gzip` or not. Every receiver of OTLP, Splunk and Elasticsearch can read it; of a `webhook`, know that yours can. Of `kafka`: how batches are, `lz4` among the ways.",
    ),
    key(
        "sink",
        "index",
        Type::Text,
        None,
        "Needed for `elasticsearch`: index or data stream. Of `splunk`: the index, if not the token's own.",
    ),
    key(
        "sink",
        "acknowledge",
        Type::Flag,
        Some("false"),
        "Of `splunk`: records count as taken when an indexer has acknowledged them. The token must have indexer acknowledgement on.",
    ),
    key(
        "sink",
        "auth",
        Type::Word(AUTHS),
        None,
        "How the secret is sent: `bearer`, `basic` (the secret is `user:password`), `apikey`, `splunk`. Default: what the type usually takes.",
    ),
    key(
        "sink",
        "token_file",
        Type::Path,
        None,
        "File with the secret. Read anew for each request, of `kafka` for each connection.",
    ),
    key(
        "sink",
        "token_credential",
        Type::Text,
        None,
        "The same as a systemd credential: name of a file in `$CREDENTIALS_DIRECTORY`.",
    ),
    key(
        "sink",
        "ca",
        Type::Path,
        None,
        "File with the authorities (PEM) that may sign the receiver's certificate. Without it, the usual ones of the web. Files of TLS are read anew when they change.",
    ),
    key(
        "sink",
        "certificate",
        Type::Path,
        None,
        "File with our own certificate (PEM), where the receiver asks for one.",
    ),
    key("sink", "key", Type::Path, None, "File with its private key (PEM)."),
];
