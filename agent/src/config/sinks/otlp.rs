//! What an OpenTelemetry collector is told beside what every receiver over HTTP is.

use super::keys::PROTOCOLS;
use super::read::{http, known_word};
use super::{Auth, Otlp, OtlpProtocol};
use crate::config::diagnostic::{Code, Report};
use crate::config::raw::Table;
use crate::config::validate::size;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

pub(super) fn otlp(table: &Table, report: &mut Report) -> Option<Otlp> {
    let protocol = match known_word(table, "protocol", PROTOCOLS, report) {
        Some("grpc") => OtlpProtocol::Grpc,
        Some("http/json") => OtlpProtocol::HttpJson,
        _ => OtlpProtocol::HttpProtobuf,
    };
    let max_request = size(table, "max_request", 64 * KIB..=64 * MIB, report).unwrap_or(4 * MIB);
    let max_request = usize::try_from(max_request).unwrap_or(usize::MAX);
    let http = http(table, Auth::Bearer, report)?;
    if protocol == OtlpProtocol::Grpc && !bare(&http.url) {
        let at = table.mentions("url").unwrap_or_else(|| table.span.clone());
        let help = "as in \"https://collector.example.com:4317\"";
        report.add_help(
            Code::BadAddress,
            at,
            "over gRPC this `url` is a host and a port, without a path",
            help,
        );
        return None;
    }
    Some(Otlp { http, protocol, max_request })
}

/// A URL of a host and perhaps a port, and nothing more.
fn bare(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let whole = uri.authority().is_some_and(|at| at.as_str() == at.host() || at.port_u16().is_some());
    whole && uri.path() == "/" && uri.query().is_none() && !url.contains('#')
}
