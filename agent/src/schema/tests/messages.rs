//! Messages of OpenTelemetry, as two libraries by other hands read them.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use super::*;

#[test]
fn messages_and_json_of_opentelemetry_are_the_same_to_its_own_library() {
    let mut kinds = BTreeSet::new();
    for view in views() {
        let message = of_body(Format::OtelProtobuf, view.value().to_string().as_bytes());
        let message = LogRecord::decode(message.as_slice()).unwrap();
        let mut json: Value = serde_json::from_str(&encoded(Format::Otel, &view)).unwrap();
        for value in json["attributes"].as_array().unwrap() {
            kinds.extend(value["value"].as_object().unwrap().keys().cloned());
        }
        // Fields that the library wants to see named, also where they say nothing.
        for name in ["traceId", "spanId"] {
            json.as_object_mut().unwrap().entry(name).or_insert(json!(""));
        }
        let read: LogRecord = serde_json::from_value(json).unwrap();
        assert_eq!(message, read);
    }
    let expected = ["arrayValue", "boolValue", "doubleValue", "intValue", "stringValue"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// Reads a request in protobuf and one in JSON, and demands that they say the same. An empty list is nothing in protobuf; bytes are in hexadecimal in the JSON of
/// this protocol, and in base64 in that of protobuf.
const COMPARE: &str = "
import base64, json, sys
from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
request = ExportLogsServiceRequest.FromString(open(sys.argv[1], 'rb').read())
ours = json.load(open(sys.argv[2]), object_hook=lambda of: {key: value for key, value in of.items() if value != []})
theirs = MessageToDict(request, use_integers_for_enums=True)
def records(request):
    return [one for of in request['resourceLogs'] for scope in of['scopeLogs'] for one in scope['logRecords']]
for one in records(theirs):
    for name in ('traceId', 'spanId'):
        if name in one:
            one[name] = base64.b64decode(one[name]).hex()
assert ours == theirs, [pair for pair in zip(records(ours), records(theirs)) if pair[0] != pair[1]][:1]
for of in request.resource_logs:
    for scope in of.scope_logs:
        assert all(len(UnknownFieldSet(one)) == 0 for one in scope.log_records)
print(len(records(theirs)))
";

#[test]
fn a_request_in_protobuf_says_what_the_one_in_json_says_to_another_hand() {
    let Some(run) = python("opentelemetry.proto.collector.logs.v1.logs_service_pb2") else { return };
    let bodies = bodies();
    let all = |format| bodies.iter().map(|body| of_body(format, body)).collect::<Vec<_>>();
    let dir = tempfile::TempDir::new().unwrap();
    let (protobuf, json) = (dir.path().join("request.bin"), dir.path().join("request.json"));
    let records = all(Format::OtelProtobuf);
    std::fs::write(&protobuf, otel_protobuf("6f1d", "db7", records.iter().map(Vec::as_slice))).unwrap();
    let records = all(Format::Otel);
    std::fs::write(&json, otel_json("6f1d", "db7", records.iter().map(Vec::as_slice))).unwrap();
    let said = run(&["-c", COMPARE, protobuf.to_str().unwrap(), json.to_str().unwrap()]);
    assert_eq!(said.trim(), bodies.len().to_string());
}
