//! OTLP over HTTP, in protobuf and in JSON, against servers that hold to the protocol strictly. Messages are read by
//! OpenTelemetry's own library.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use prost::Message as _;
use serde_json::Value;

use super::collector::{records, seq};
use super::servers::{Request, Response, http};
use super::sinks_http::{Script, drain, plain, scripted, state};
use super::*;
use crate::config::{Http, Otlp, OtlpProtocol, Secret};

const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";

fn config(http: Http, protocol: OtlpProtocol) -> SinkConfig {
    let otlp = Otlp { http, protocol, max_request: 4 << 20 };
    SinkConfig { format: protocol.format(), ..SinkConfig::plain("test", SinkKind::Otlp(otlp)) }
}

/// An answer in protobuf. What is short and plain is text, too.
fn protobuf(status: u16, message: &impl prost::Message) -> Response {
    (status, PROTOBUF, String::from_utf8(message.encode_to_vec()).unwrap())
}

fn read(request: &Request) -> ExportLogsServiceRequest {
    assert_eq!(request.target, "/v1/logs");
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    ExportLogsServiceRequest::decode(request.body.as_slice()).expect("a message of the protocol")
}

#[tokio::test]
async fn otlp_is_json_of_the_protocol_and_partial_success_is_not_sent_again() {
    let mut bench = Bench::new();
    bench.night();
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let theirs = Arc::clone(&got);
    let script: Script = Arc::new(Mutex::new(vec![(429, "Retry-After: 0\r\n", "")]));
    let server = http(None, move |request| {
        if let Some(answer) = scripted(&script) {
            return answer;
        }
        assert_eq!(request.target, "/v1/logs");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let resource = &body["resourceLogs"][0];
        assert!(resource["resource"]["attributes"].as_array().unwrap().len() >= 5);
        let records = resource["scopeLogs"][0]["logRecords"].as_array().unwrap().clone();
        for record in &records {
            assert!(record["timeUnixNano"].as_str().unwrap().parse::<u64>().is_ok());
            assert!(record["severityNumber"].is_u64() && record["body"]["stringValue"].is_string());
        }
        let mut got = theirs.lock().unwrap();
        let first = got.is_empty();
        got.extend(records);
        let partial = r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#;
        (200, "", if first { partial.to_owned() } else { "{}".to_owned() })
    });
    let config = config(plain(&server), OtlpProtocol::HttpJson);
    drain(&bench, config.clone()).await;
    let night = bench.store.last_seq();
    let first = state(&bench);
    assert_eq!((first.taken, first.set_aside), (0, night));
    assert_eq!(first.listed[0].reason, format!("one of {night}, of which 2 rejected: too old"));
    bench.night();
    drain(&bench, config).await;
    assert_eq!(state(&bench).taken, night);
    assert_eq!(got.lock().unwrap().len() as u64, 2 * night, "nothing was sent twice");
}

#[tokio::test]
async fn otlp_in_protobuf_with_and_without_compression() {
    for gzip in [false, true] {
        let mut bench = Bench::new();
        bench.night();
        let got: Arc<Mutex<Vec<u64>>> = Arc::default();
        let theirs = Arc::clone(&got);
        let partial_success = Some(ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "too old, says sesame".to_owned(),
        });
        let partial = protobuf(200, &ExportLogsServiceResponse { partial_success }).2;
        let first = Mutex::new(Some(partial));
        let script: Script = Arc::new(Mutex::new(vec![
            (503, "Retry-After: 0\r\n", ""),
            (502, "", ""),
            (429, "", ""),
            // A page of somebody who is no collector takes nothing.
            (200, "Content-Type: text/html\r\n", "<html>welcome</html>"),
            (0, "", ""),
        ]));
        let server = http(None, move |request| {
            assert_eq!(request.header("content-encoding").is_some(), gzip);
            let message = read(request);
            if let Some(answer) = scripted(&script) {
                return answer;
            }
            theirs.lock().unwrap().extend(records(&message).map(seq));
            (200, PROTOBUF, first.lock().unwrap().take().unwrap_or_default())
        });
        let token = bench.dir.path().join("token");
        fs::write(&token, "sesame").unwrap();
        let http = Http { gzip, secret: Some(Secret::File(token)), ..plain(&server) };
        let config = config(http, OtlpProtocol::HttpProtobuf);
        let sink = tokio::spawn(bench.sink_of(config.clone()).run());
        let night = bench.store.last_seq();
        until("everything settled", || bench.store.cursor("test").unwrap() == night).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let first = state(&bench);
        assert_eq!((first.taken, first.set_aside, first.retries), (0, night, 5));
        let reason = format!("one of {night}, of which 2 rejected: too old, says ******");
        assert_eq!(first.listed[0].reason, reason);
        bench.night();
        drain(&bench, config).await;
        assert_eq!(state(&bench).taken, night);
        assert_eq!(*got.lock().unwrap(), (1..=2 * night).collect::<Vec<_>>(), "nothing was sent twice");
    }
}

/// The body of an error.
#[derive(Clone, PartialEq, prost::Message)]
struct Problem {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[tokio::test]
async fn a_record_that_a_collector_refuses_is_found_and_its_reason_is_readable() {
    let mut bench = Bench::new();
    bench.night();
    let got: Arc<Mutex<Vec<u64>>> = Arc::default();
    let theirs = Arc::clone(&got);
    let server = http(None, move |request| {
        let seqs: Vec<u64> = records(&read(request)).map(seq).collect();
        if seqs.contains(&5) {
            return protobuf(400, &Problem { code: 3, message: "5 is not for us".to_owned() });
        }
        theirs.lock().unwrap().extend(seqs);
        protobuf(200, &ExportLogsServiceResponse::default())
    });
    drain(&bench, config(plain(&server), OtlpProtocol::HttpProtobuf)).await;
    let last = bench.store.last_seq();
    assert_eq!(*got.lock().unwrap(), (1..=last).filter(|seq| *seq != 5).collect::<Vec<_>>());
    let state = state(&bench);
    assert_eq!((state.taken, state.set_aside, state.retries), (last - 1, 1, 0));
    assert_eq!((state.listed[0].seq, state.listed[0].reason.as_str()), (5, "400: 5 is not for us"));
}
