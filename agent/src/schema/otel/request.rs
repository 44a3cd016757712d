//! Requests with log records of one host, which are encoded already: they are put between what goes before and behind.

use super::messages::{Form, Json, Protobuf, message};
use crate::record::comma;
use crate::schema::PRODUCT;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn resource<'a>(host_id: &'a str, host_name: &'a str) -> [(&'static str, &'a str); 6] {
    [
        ("host.id", host_id),
        ("host.name", host_name),
        ("os.type", "linux"),
        ("service.instance.id", host_id),
        ("service.name", PRODUCT),
        ("service.version", VERSION),
    ]
}

/// In JSON.
#[must_use]
pub fn json<'a>(host_id: &str, host_name: &str, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = br#"{"resourceLogs":[{"resource":"#.to_vec();
    Json::resource(resource(host_id, host_name).as_slice(), &mut body);
    body.extend_from_slice(br#","scopeLogs":[{"scope":"#);
    Json::scope(PRODUCT, VERSION, &mut body);
    body.extend_from_slice(br#","logRecords":["#);
    for record in records {
        comma(&mut body);
        body.extend_from_slice(record);
    }
    body.extend_from_slice(b"]}]}]}");
    body
}

/// As `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`.
#[must_use]
pub fn protobuf<'a>(host_id: &str, host_name: &str, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut request = Vec::new();
    message(1, &mut request, |of_resource| {
        message(1, of_resource, |out| Protobuf::resource(resource(host_id, host_name).as_slice(), out));
        message(2, of_resource, |of_scope| {
            message(1, of_scope, |out| Protobuf::scope(PRODUCT, VERSION, out));
            for record in records {
                message(2, of_scope, |out| out.extend_from_slice(record));
            }
        });
    });
    request
}
