//! A broker of Kafka that takes every batch and counts its records.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable as _, Encodable, StrBytes};

/// Where the head of a batch says how many records are in it.
const COUNT_AT: std::ops::Range<usize> = 57..61;

/// Answers until the other side goes. `None`: it is gone, or says what no client of ours says.
pub(super) fn serve(mut stream: impl Read + Write, port: u16, count: &AtomicU64) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        stream.read_exact(&mut frame).ok()?;
        let mut request = Bytes::from(frame);
        let number = |at: usize| Some(i16::from_be_bytes([*request.get(at)?, *request.get(at + 1)?]));
        let (api, version) = (ApiKey::try_from(number(0)?).ok()?, number(2)?);
        let head = RequestHeader::decode(&mut request, api.request_header_version(version)).ok()?;
        let body = if api == ApiKey::ApiVersions {
            encoded(&versions(), version)?
        } else if api == ApiKey::Metadata {
            encoded(&metadata(&mut request, version, port)?, version)?
        } else {
            encoded(&produce(&mut request, version, count)?, version)?
        };
        let mut answer = Vec::new();
        let head = ResponseHeader::default().with_correlation_id(head.correlation_id);
        head.encode(&mut answer, 0).ok()?;
        answer.extend_from_slice(&body);
        // In one piece: in two, the second waits for the kernel on the other side to acknowledge the first, 40 ms later.
        let mut frame = u32::try_from(answer.len()).ok()?.to_be_bytes().to_vec();
        frame.append(&mut answer);
        stream.write_all(&frame).ok()?;
        stream.flush().ok()?;
    }
}

fn encoded(answer: &impl Encodable, version: i16) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes, version).ok()?;
    Some(bytes)
}

fn versions() -> ApiVersionsResponse {
    let one = |api: ApiKey, max| {
        ApiVersion::default().with_api_key(api as i16).with_min_version(0).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(vec![one(ApiKey::Produce, 8), one(ApiKey::Metadata, 12)])
}

fn metadata(request: &mut Bytes, version: i16, port: u16) -> Option<MetadataResponse> {
    let asked = MetadataRequest::decode(request, version).ok()?;
    let name = asked.topics?.first()?.name.clone();
    let partition = MetadataResponsePartition::default().with_leader_id(BrokerId(0));
    let topic = MetadataResponseTopic::default().with_name(name).with_partitions(vec![partition]);
    let broker = MetadataResponseBroker::default().with_host(StrBytes::from_static_str("127.0.0.1"));
    let brokers = vec![broker.with_port(i32::from(port))];
    Some(MetadataResponse::default().with_brokers(brokers).with_topics(vec![topic]))
}

fn produce(request: &mut Bytes, version: i16, count: &AtomicU64) -> Option<ProduceResponse> {
    let asked = ProduceRequest::decode(request, version).ok()?;
    let topic = asked.topic_data.first()?;
    let mut answers = Vec::new();
    for partition in &topic.partition_data {
        let batch = partition.records.as_ref()?;
        let records: [u8; 4] = batch.get(COUNT_AT)?.try_into().ok()?;
        count.fetch_add(u32::from_be_bytes(records).into(), Ordering::Relaxed);
        answers.push(PartitionProduceResponse::default().with_index(partition.index));
    }
    let topic = TopicProduceResponse::default().with_name(topic.name.clone());
    Some(ProduceResponse::default().with_responses(vec![topic.with_partition_responses(answers)]))
}
