//! Requests with log records of one host, which are encoded already: they are put between what goes before and behind.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::messages::{self, AnyValue, KeyValue, Kind, Resource, Scope};
use crate::schema::PRODUCT;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn resource(host_id: &str, host_name: &str) -> Resource {
    let text =
        |(name, value): (&str, &str)| KeyValue::new(name, AnyValue::from(Kind::Text(value.to_owned())));
    let attributes = [
        ("host.id", host_id),
        ("host.name", host_name),
        ("os.type", "linux"),
        ("service.instance.id", host_id),
        ("service.name", PRODUCT),
        ("service.version", VERSION),
    ];
    Resource { attributes: attributes.map(text).to_vec() }
}

fn scope() -> Scope {
    Scope { name: PRODUCT.to_owned(), version: VERSION.to_owned() }
}

/// In JSON.
#[must_use]
pub fn json<'a>(host_id: &str, host_name: &str, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (resource, scope) = (messages::json(&resource(host_id, host_name)), messages::json(&scope()));
    let parts: [&[u8]; 5] = [
        br#"{"resourceLogs":[{"resource":"#,
        &resource,
        br#","scopeLogs":[{"scope":"#,
        &scope,
        br#","logRecords":["#,
    ];
    let mut body = parts.concat();
    for (number, record) in records.enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record);
    }
    body.extend_from_slice(b"]}]}]}");
    body
}

/// As `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`, from the inside out: a message stands behind
/// its length.
#[must_use]
pub fn protobuf<'a>(host_id: &str, host_name: &str, records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut of_scope = Vec::new();
    field(1, &scope().encode_to_vec(), &mut of_scope);
    for record in records {
        field(2, record, &mut of_scope);
    }
    let mut of_resource = Vec::with_capacity(of_scope.len() + 512);
    field(1, &resource(host_id, host_name).encode_to_vec(), &mut of_resource);
    field(2, &of_scope, &mut of_resource);
    let mut request = Vec::with_capacity(of_resource.len() + 16);
    field(1, &of_resource, &mut request);
    request
}

/// A message as a field of another.
fn field(number: u32, message: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}
