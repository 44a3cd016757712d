//! Receivers over HTTP, against servers that hold to the published protocols strictly: no registry we build from has the
//! real ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::servers::{Request, Response, Server, http};
use super::*;
use crate::config::{Auth, Format, Http, Secret, TlsFiles};
use crate::forward::http::Splunk;
use crate::store::{SinkState, sinks};

pub(super) fn plain(server: &Server) -> Http {
    let url = format!("http://{}", server.address());
    Http { url, tls: TlsFiles::default(), auth: Auth::Bearer, secret: None, gzip: false }
}

pub(super) fn state(bench: &Bench) -> SinkState {
    sinks(&bench.dir.path().join("store")).unwrap().into_iter().find(|sink| sink.name == "test").unwrap()
}

/// Runs a sink until it has everything, then to its end.
pub(super) async fn drain(bench: &Bench, config: SinkConfig) {
    let sink = tokio::spawn(bench.sink_of(config).run());
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
}

pub(super) type Script = Arc<Mutex<Vec<(u16, &'static str, &'static str)>>>;

/// The next scripted answer, if there is one left.
pub(super) fn scripted(script: &Script) -> Option<Response> {
    let mut script = script.lock().unwrap();
    let (status, headers, body) = if script.is_empty() { return None } else { script.remove(0) };
    Some((status, headers, body.to_owned()))
}

#[tokio::test]
async fn a_webhook_gets_lines_with_the_token_of_the_day_over_mutual_tls() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let token = bench.dir.path().join("token");
    fs::write(&token, "sesame\n").unwrap();
    let got: Arc<Mutex<(String, BTreeSet<String>)>> = Arc::default();
    let theirs = Arc::clone(&got);
    let server = http(Some(authority.server("server", true)), move |request| {
        assert_eq!(request.target, "/in");
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        let mut got = theirs.lock().unwrap();
        got.0.push_str(request.text());
        let encoding = request.header("content-encoding").unwrap_or("none");
        got.1.insert(format!("{}, {encoding}", request.header("authorization").unwrap()));
        (204, "", String::new())
    });
    let own = Some(authority.sign("client"));
    let config = Http {
        url: format!("https://{}/in", server.address()),
        tls: authority.files(own),
        auth: Auth::Bearer,
        secret: Some(Secret::File(token.clone())),
        gzip: false,
    };
    drain(&bench, SinkConfig::plain("test", SinkKind::Webhook(config.clone()))).await;
    // Both are rotated between two batches.
    fs::write(&token, "sesame2").unwrap();
    authority.sign("client");
    bench.night();
    let config = Http { gzip: true, ..config };
    drain(&bench, SinkConfig::plain("test", SinkKind::Webhook(config))).await;
    let got = got.lock().unwrap();
    assert_eq!(got.0, bench.lines());
    assert_eq!(got.1, BTreeSet::from(["Bearer sesame, none".to_owned(), "Bearer sesame2, gzip".to_owned()]));
}

#[tokio::test]
async fn a_webhook_waits_for_what_passes_and_finds_the_record_that_is_refused() {
    let mut bench = Bench::new();
    bench.night();
    let script: Script = Arc::new(Mutex::new(vec![
        (503, "Retry-After: 0\r\n", "busy"),
        (401, "", "the token sesame is wrong"),
        (302, "Location: http://127.0.0.1:1/\r\n", ""),
        (0, "", ""),
    ]));
    let got: Arc<Mutex<Vec<u64>>> = Arc::default();
    let theirs = Arc::clone(&got);
    let server = http(None, move |request| {
        if let Some(answer) = scripted(&script) {
            return answer;
        }
        let seq = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
        let seqs: Vec<u64> = request.text().lines().map(seq).collect();
        if seqs.contains(&5) {
            return (400, "", "record 5 is not for us".to_owned());
        }
        theirs.lock().unwrap().extend(seqs);
        (200, "", "ok".to_owned())
    });
    let token = bench.dir.path().join("token");
    fs::write(&token, "sesame").unwrap();
    let config = Http { secret: Some(Secret::File(token)), ..plain(&server) };
    let sink = tokio::spawn(bench.sink(SinkKind::Webhook(config)).run());
    until("the wrong token", || {
        let error = sinks(&bench.dir.path().join("store")).unwrap().pop().and_then(|sink| sink.error);
        error.is_some_and(|(what, _)| what.contains("answered 401: the token [redacted] is wrong"))
    })
    .await;
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(*got.lock().unwrap(), (1..=last).filter(|seq| *seq != 5).collect::<Vec<_>>());
    let state = state(&bench);
    assert_eq!((state.taken, state.set_aside, state.retries, &state.error), (last - 1, 1, 4, &None));
    assert_eq!((state.listed[0].seq, state.listed[0].reason.as_str()), (5, "400: record 5 is not for us"));
}

/// An index that reads `_bulk` strictly. What it refuses, and how often it is busy with what, is told.
#[derive(Default)]
struct Index {
    documents: BTreeMap<String, Value>,
    order: Vec<String>,
    busy: BTreeMap<u64, u32>,
    lose_answers: u32,
    requests: usize,
    largest: usize,
}

fn bulk(index: &Mutex<Index>, request: &Request) -> Response {
    let mut index = index.lock().unwrap();
    index.requests += 1;
    assert_eq!(request.target, "/_bulk");
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert!(request.body.ends_with(b"\n"), "the last line ends too");
    let lines: Vec<Value> =
        request.text().lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let pairs = lines.chunks(2).map(|pair| (&pair[0]["create"], &pair[1]));
    if pairs.len() > 8 {
        return (413, "", "{\"error\":\"too large\"}".to_owned());
    }
    index.largest = index.largest.max(pairs.len());
    let mut items = Vec::new();
    for (action, document) in pairs {
        assert_eq!(action["_index"], "logs-spoor");
        let id = action["_id"].as_str().expect("an id").to_owned();
        let seq = document["event"]["sequence"].as_u64().expect("ECS");
        let error = |kind: &str| serde_json::json!({"type": kind, "reason": "so it is"});
        let busy = index.busy.get_mut(&seq).filter(|times| **times > 0);
        let (status, error) = if let Some(times) = busy {
            *times -= 1;
            (429, Some(error("es_rejected_execution_exception")))
        } else if seq == 4 {
            (400, Some(error("mapper_parsing_exception")))
        } else if index.documents.contains_key(&id) {
            (409, Some(error("version_conflict_engine_exception")))
        } else {
            index.documents.insert(id.clone(), document.clone());
            index.order.push(id.clone());
            (201, None)
        };
        let mut item = serde_json::json!({"create": {"_id": id, "status": status}});
        if let Some(error) = error {
            item["create"]["error"] = error;
        }
        items.push(item);
    }
    if index.lose_answers > 0 {
        index.lose_answers -= 1;
        return (0, "", String::new());
    }
    (200, "", serde_json::json!({"errors": true, "items": items}).to_string())
}

#[tokio::test]
async fn elasticsearch_is_believed_record_by_record_and_gets_none_twice() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.night();
    }
    let index =
        Mutex::new(Index { busy: BTreeMap::from([(2, 2), (20, 1)]), lose_answers: 1, ..Index::default() });
    let index = Arc::new(index);
    let theirs = Arc::clone(&index);
    let server = http(None, move |request| bulk(&theirs, request));
    let packed = Http { gzip: true, ..plain(&server) };
    let kind = SinkKind::Elasticsearch { http: packed, index: "logs-spoor".to_owned() };
    drain(&bench, SinkConfig { format: Format::Ecs, ..SinkConfig::plain("test", kind) }).await;
    let index = index.lock().unwrap();
    let last = bench.store.last_seq();
    let state = state(&bench);
    assert_eq!((state.taken, state.set_aside), (last - 1, 1));
    assert_eq!(state.listed[0].seq, 4);
    assert_eq!(state.listed[0].reason, "400: mapper_parsing_exception: so it is");
    // Of the documents whose answer was lost, none is there twice; each is under its own id.
    assert_eq!((index.documents.len() as u64, index.order.len() as u64), (last - 1, last - 1));
    for (id, document) in &index.documents {
        assert_eq!(document["event"]["id"], id.as_str());
    }
    assert!(index.largest <= 8 && index.requests as u64 >= last / 8);
}

/// A collector that reads its envelope strictly.
#[derive(Default)]
struct Collector {
    acknowledges: bool,
    events: Vec<Value>,
    channels: BTreeSet<String>,
    /// Numbers of requests that wait to be acknowledged, and how often that was asked for.
    waiting: BTreeMap<u64, u32>,
    next: u64,
    /// The first of these is never acknowledged.
    forgets: bool,
    bad: Option<u64>,
}

fn collect(collector: &Mutex<Collector>, request: &Request) -> Response {
    let mut it = collector.lock().unwrap();
    let forgets = it.forgets;
    let answer = |status, code: u32, text: &str| -> Response {
        (status, "", serde_json::json!({"text": text, "code": code}).to_string())
    };
    if request.header("authorization") != Some("Splunk guid") {
        return answer(403, 4, "Invalid token");
    }
    let channel = request.header("x-splunk-request-channel").map(str::to_owned);
    if it.acknowledges && channel.is_none() {
        return answer(400, 10, "Data channel is missing");
    }
    it.channels.extend(channel.clone());
    if let Some(query) = request.target.strip_prefix("/services/collector/ack?channel=") {
        assert_eq!(channel.as_deref(), Some(query));
        assert_eq!(request.header("content-encoding"), None, "only records are worth it");
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let mut acks = serde_json::Map::new();
        for number in asked["acks"].as_array().unwrap() {
            let number = number.as_u64().unwrap();
            // Indexed when it is asked for the third time; said once, then forgotten.
            let done = match it.waiting.get_mut(&number) {
                Some(times) if *times >= 2 && !(number == 0 && forgets) => true,
                Some(times) => {
                    *times += 1;
                    false
                }
                None => false,
            };
            if done {
                it.waiting.remove(&number);
            }
            acks.insert(number.to_string(), Value::from(done));
        }
        return (200, "", serde_json::json!({"acks": acks}).to_string());
    }
    assert_eq!(request.target, "/services/collector/event");
    assert_eq!(request.header("content-encoding").is_some(), it.acknowledges);
    let events = serde_json::Deserializer::from_slice(&request.body).into_iter::<Value>();
    for (number, event) in events.enumerate() {
        let event = event.expect("objects one behind the other");
        for name in ["time", "host", "source", "sourcetype", "event", "fields"] {
            assert!(event.get(name).is_some(), "{name}");
        }
        let flat = event["fields"].as_object().unwrap().values().all(Value::is_string);
        assert!(flat, "indexed fields are flat");
        if it.bad.is_some_and(|bad| event["fields"]["spoor_seq"] == *bad.to_string()) {
            let body =
                serde_json::json!({"text": "Incorrect data", "code": 6, "invalid-event-number": number});
            return (400, "", body.to_string());
        }
        it.events.push(event);
    }
    if !it.acknowledges {
        return answer(200, 0, "Success");
    }
    let number = it.next;
    it.next += 1;
    it.waiting.insert(number, 0);
    (200, "", serde_json::json!({"text": "Success", "code": 0, "ackId": number}).to_string())
}

fn splunk(bench: &Bench, server: &Server) -> Http {
    let token = bench.dir.path().join("hec");
    fs::write(&token, "guid").unwrap();
    Http { auth: Auth::Splunk, secret: Some(Secret::File(token)), ..plain(server) }
}

fn collected(it: &Collector) -> Vec<u64> {
    it.events.iter().map(|event| event["fields"]["spoor_seq"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn splunk_takes_envelopes_and_names_the_record_it_refuses() {
    let mut bench = Bench::new();
    bench.night();
    let collector = Arc::new(Mutex::new(Collector { bad: Some(5), ..Collector::default() }));
    let theirs = Arc::clone(&collector);
    let server = http(None, move |request| collect(&theirs, request));
    let kind = SinkKind::Splunk { http: splunk(&bench, &server), index: None, acknowledge: false };
    drain(&bench, SinkConfig::plain("test", kind)).await;
    let it = collector.lock().unwrap();
    let last = bench.store.last_seq();
    assert_eq!(collected(&it), (1..=last).filter(|seq| *seq != 5).collect::<Vec<_>>());
    assert_eq!(it.events[0]["event"]["seq"], 1);
    assert_eq!(it.events[0]["host"], "db7");
    assert_eq!(state(&bench).listed[0].seq, 5);
    assert!(it.channels.is_empty());
}

#[tokio::test]
async fn splunk_counts_what_indexers_acknowledged_and_sends_the_rest_again() {
    let mut bench = Bench::new();
    bench.night();
    let collector =
        Arc::new(Mutex::new(Collector { acknowledges: true, forgets: true, ..Collector::default() }));
    let theirs = Arc::clone(&collector);
    let server = http(None, move |request| collect(&theirs, request));
    let packed = Http { gzip: true, ..splunk(&bench, &server) };
    let sink = Splunk::new(packed, None, true, Format::Cef).patient(Duration::from_millis(400));
    // Standard output stands for it: the patience is a test's.
    let config = SinkConfig { format: Format::Cef, ..SinkConfig::plain("test", SinkKind::Stdout) };
    let sink = tokio::spawn(bench.sink_of(config).with_output(Box::new(sink)).run());
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let it = collector.lock().unwrap();
    let all: Vec<u64> = (1..=last).collect();
    assert_eq!(collected(&it), [all.clone(), all].concat(), "the first batch was never acknowledged");
    assert_eq!(it.channels.len(), 1);
    assert!(it.events[0]["event"].as_str().unwrap().starts_with("CEF:0|spoor|"));
    assert_eq!((state(&bench).retries, state(&bench).taken), (1, last));
}

#[tokio::test]
async fn a_wrong_token_of_splunk_costs_no_record() {
    let mut bench = Bench::new();
    bench.night();
    let collector = Arc::new(Mutex::new(Collector::default()));
    let theirs = Arc::clone(&collector);
    let server = http(None, move |request| collect(&theirs, request));
    let config = splunk(&bench, &server);
    let token = bench.dir.path().join("hec");
    fs::write(&token, "gone").unwrap();
    let kind = SinkKind::Splunk { http: config, index: None, acknowledge: false };
    let sink = tokio::spawn(bench.sink(kind).run());
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    assert!(state(&bench).error.unwrap().0.contains("answered 403"));
    fs::write(&token, "guid").unwrap();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(collected(&collector.lock().unwrap()).len() as u64, bench.store.last_seq());
}
