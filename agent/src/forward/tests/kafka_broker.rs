//! A broker that holds to the protocol to the letter, and misbehaves on request. Its words are read and written by
//! `kafka-protocol`, which is not what the sink speaks with.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchDecoder};
use rustls::ServerConfig;

use super::servers::{Server, Stream};

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) partition: i32,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) seq: u64,
    pub(super) compression: Compression,
}

/// What happens to one request to append.
#[derive(Clone, Debug, Default)]
pub(super) struct Act {
    /// Answered for every partition; with 0 the records are appended.
    pub(super) error: i16,
    /// The records are appended whatever is answered.
    pub(super) append: bool,
    /// Nothing is answered, and the connection is closed.
    pub(super) drop: bool,
    /// Nothing is answered, and the connection stays.
    pub(super) silent: bool,
    /// This is answered instead of an answer.
    pub(super) garbage: Option<Vec<u8>>,
    pub(super) throttle_ms: i32,
}

/// What a broker knows and does; several may share it, as brokers of a cluster.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) log: Vec<Appended>,
    /// What the next requests to append come to; after them, all is well.
    pub(super) acts: VecDeque<Act>,
    /// Brokers of the cluster, by their numbers from 0: their ports.
    pub(super) ports: Vec<u16>,
    /// Of each partition, the number of its leader.
    pub(super) leaders: Vec<i32>,
    /// What is said of the topic.
    pub(super) topic_error: i16,
    /// Longest value that is taken.
    pub(super) longest: Option<usize>,
    /// Records that are refused, by name or, in a version that cannot name them, as a batch.
    pub(super) poison: Option<u64>,
    pub(super) produce_max: i16,
    /// `user` and `password` that PLAIN wants.
    pub(super) login: Option<(String, String)>,
    pub(super) requests: usize,
    pub(super) metadata_asked: usize,
}

pub(super) type Shared = Arc<Mutex<State>>;

/// A cluster with so many partitions and nothing wrong.
pub(super) fn state(partitions: usize) -> Shared {
    let leaders = vec![0; partitions];
    Arc::new(Mutex::new(State { leaders, produce_max: 8, ..State::default() }))
}

/// One more broker.
pub(super) fn broker(state: &Shared, tls: Option<Arc<ServerConfig>>) -> Server {
    let (theirs, number) = (Arc::clone(state), i32::try_from(state.lock().unwrap().ports.len()).unwrap());
    let server = Server::start(0, tls, move |stream| serve(stream, &theirs, number));
    state.lock().unwrap().ports.push(server.port);
    server
}

/// The only broker of a cluster, which is known by another port than the one it listens on.
pub(super) fn broker_at(state: &Shared, port: u16, known: u16, tls: Option<Arc<ServerConfig>>) -> Server {
    let theirs = Arc::clone(state);
    state.lock().unwrap().ports = vec![known];
    Server::start(port, tls, move |stream| serve(stream, &theirs, 0))
}

fn serve(mut stream: Box<dyn Stream>, state: &Shared, number: i32) {
    let mut known = state.lock().unwrap().login.is_none();
    while let Some(mut request) = frame(&mut stream) {
        let api = ApiKey::try_from(i16::from_be_bytes([request[0], request[1]])).unwrap();
        let version = i16::from_be_bytes([request[2], request[3]]);
        let head = RequestHeader::decode(&mut request, api.request_header_version(version)).unwrap();
        assert_eq!(head.client_id.unwrap().as_str(), "spoor");
        let body = if api == ApiKey::ApiVersions {
            encoded(&versions(state), version)
        } else if api == ApiKey::SaslHandshake {
            encoded(&handshake(&mut request, version), version)
        } else if api == ApiKey::SaslAuthenticate {
            let answer = login(&mut request, state, version);
            known = answer.error_code == 0;
            encoded(&answer, version)
        } else if !known {
            return;
        } else if api == ApiKey::Metadata {
            encoded(&metadata(&mut request, state, version), version)
        } else {
            assert_eq!(api, ApiKey::Produce, "nobody asks for more");
            match produce(&mut request, state, version, number) {
                Reply::Body(body) => body,
                Reply::Silence => continue,
                Reply::Close => return,
            }
        };
        assert_eq!(request.remaining(), 0, "{api:?} goes on");
        let mut answer = Vec::new();
        let head = ResponseHeader::default().with_correlation_id(head.correlation_id);
        head.encode(&mut answer, 0).unwrap();
        answer.extend_from_slice(&body);
        let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
        if stream.write_all(&[&length, &answer[..]].concat()).is_err() || stream.flush().is_err() {
            return;
        }
    }
}

fn frame(stream: &mut Box<dyn Stream>) -> Option<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut frame).ok()?;
    Some(frame.into())
}

fn encoded(answer: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes, version).unwrap();
    bytes
}

fn versions(state: &Shared) -> ApiVersionsResponse {
    let produce = state.lock().unwrap().produce_max;
    let one = |api: ApiKey, max| {
        ApiVersion::default().with_api_key(api as i16).with_min_version(0).with_max_version(max)
    };
    let keys = vec![
        one(ApiKey::Produce, produce),
        one(ApiKey::Metadata, 12),
        one(ApiKey::SaslHandshake, 1),
        one(ApiKey::SaslAuthenticate, 2),
    ];
    ApiVersionsResponse::default().with_api_keys(keys)
}

fn handshake(request: &mut Bytes, version: i16) -> SaslHandshakeResponse {
    let asked = SaslHandshakeRequest::decode(request, version).unwrap();
    let mechanisms = vec![StrBytes::from_static_str("PLAIN")];
    let error = if asked.mechanism.as_str() == "PLAIN" { 0 } else { 33 };
    SaslHandshakeResponse::default().with_error_code(error).with_mechanisms(mechanisms)
}

fn login(request: &mut Bytes, state: &Shared, version: i16) -> SaslAuthenticateResponse {
    let asked = SaslAuthenticateRequest::decode(request, version).unwrap();
    let (user, password) = state.lock().unwrap().login.clone().unwrap();
    if asked.auth_bytes == format!("\0{user}\0{password}").as_bytes() {
        return SaslAuthenticateResponse::default();
    }
    // It says too much, as some do.
    let text = format!("not good: {}", String::from_utf8_lossy(&asked.auth_bytes));
    SaslAuthenticateResponse::default().with_error_code(58).with_error_message(Some(text.into()))
}

fn metadata(request: &mut Bytes, state: &Shared, version: i16) -> MetadataResponse {
    let asked = MetadataRequest::decode(request, version).unwrap();
    assert!(!asked.allow_auto_topic_creation);
    let mut state = state.lock().unwrap();
    state.metadata_asked += 1;
    let name = asked.topics.unwrap()[0].name.clone();
    let partitions = state.leaders.iter().enumerate().map(|(index, leader)| {
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap())
            .with_leader_id(BrokerId(*leader))
    });
    let topic = MetadataResponseTopic::default().with_name(name).with_error_code(state.topic_error);
    let topic = topic.with_partitions(partitions.collect());
    let brokers = state.ports.iter().enumerate().map(|(number, port)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(i32::try_from(number).unwrap()))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(i32::from(*port))
    });
    MetadataResponse::default().with_brokers(brokers.collect()).with_topics(vec![topic])
}

/// What comes of a request to append.
enum Reply {
    Body(Vec<u8>),
    Silence,
    Close,
}

fn produce(request: &mut Bytes, state: &Shared, version: i16, number: i32) -> Reply {
    let asked = ProduceRequest::decode(request, version).unwrap();
    assert_eq!((asked.acks, asked.transactional_id), (-1, None));
    let mut state = state.lock().unwrap();
    state.requests += 1;
    let act = state.acts.pop_front().unwrap_or_default();
    if act.silent {
        return Reply::Silence;
    }
    let topic = &asked.topic_data[0];
    let mut answers = Vec::new();
    for partition in &topic.partition_data {
        let set = decompressed(partition.records.clone().unwrap());
        let mut answer = PartitionProduceResponse::default().with_index(partition.index);
        let index = usize::try_from(partition.index).unwrap();
        let sum: usize = set.iter().map(|record| record.value.len()).sum();
        let poisoned = set.iter().position(|record| Some(record.seq) == state.poison);
        answer.error_code = if state.leaders[index] != number {
            6
        } else if state.longest.is_some_and(|longest| sum > longest) {
            10
        } else if let Some(place) = poisoned {
            if version >= 8 {
                let one = BatchIndexAndErrorMessage::default();
                answer.record_errors = vec![one.with_batch_index(i32::try_from(place).unwrap())];
                answer.error_message = Some(StrBytes::from_static_str("no such thing"));
            }
            87
        } else {
            act.error
        };
        if answer.error_code == 0 || act.append {
            for mut record in set {
                record.partition = partition.index;
                state.log.push(record);
            }
        }
        answers.push(answer);
    }
    if act.drop {
        return Reply::Close;
    }
    if let Some(garbage) = act.garbage {
        return Reply::Body(garbage);
    }
    let topic = TopicProduceResponse::default().with_name(TopicName(topic.name.0.clone()));
    let responses = vec![topic.with_partition_responses(answers)];
    let response = ProduceResponse::default().with_responses(responses);
    Reply::Body(encoded(&response.with_throttle_time_ms(act.throttle_ms), version))
}

/// The records of a batch, whose sum is right and whose headers are what they should be.
fn decompressed(mut bytes: Bytes) -> Vec<Appended> {
    let inflate = |bytes: &mut Bytes, compression| {
        let mut out = Vec::new();
        let reader = bytes.clone().reader();
        if compression == Compression::Lz4 {
            lz4_flex::frame::FrameDecoder::new(reader).read_to_end(&mut out)?;
        } else if compression == Compression::Gzip {
            flate2::read::GzDecoder::new(reader).read_to_end(&mut out)?;
        } else {
            out.extend_from_slice(bytes);
        }
        Ok(Bytes::from(out))
    };
    let set = RecordBatchDecoder::decode_with_custom_compression(&mut bytes, Some(inflate)).unwrap();
    assert!(bytes.is_empty() && !set.records.is_empty());
    set.records.into_iter().map(|record| appended(&record, set.compression)).collect()
}

fn appended(record: &Record, compression: Compression) -> Appended {
    let header = |name: &str| {
        let (_, value) = record.headers.iter().find(|(known, _)| known.as_str() == name).unwrap();
        String::from_utf8(value.clone().unwrap().to_vec()).unwrap()
    };
    assert_eq!(record.headers.len(), 4);
    assert!(!header("host.id").is_empty() && !header("type").is_empty() && !header("format").is_empty());
    Appended {
        partition: -1,
        key: String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap(),
        value: record.value.clone().unwrap().to_vec(),
        seq: header("seq").parse().unwrap(),
        compression,
    }
}
