//! What we write is read by another hand, what another hand writes is read by us, and what nobody wrote is refused.

use bytes::Bytes;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiKey, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse, RequestHeader,
    SaslAuthenticateResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, StrBytes};
use proptest::prelude::*;

use super::errors::Malformed;
use super::*;

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

#[test]
fn requests_are_what_another_hand_reads() {
    let batches = [(3, b"abc".to_vec()), (0, Vec::new())];
    for version in Api::Produce.versions().0..=Api::Produce.versions().1 {
        let body = wire::ask_produce("records", 10_000, &batches);
        let frame = wire::request(Api::Produce, version, 7, "spoor", &body);
        let (length, rest) = frame.split_first_chunk::<4>().unwrap();
        assert_eq!(usize::try_from(u32::from_be_bytes(*length)).unwrap(), rest.len());
        let mut rest = Bytes::copy_from_slice(rest);
        let head = RequestHeader::decode(&mut rest, ApiKey::Produce.request_header_version(version)).unwrap();
        assert_eq!((head.request_api_key, head.request_api_version, head.correlation_id), (0, version, 7));
        assert_eq!(head.client_id.unwrap().as_str(), "spoor");
        let request = ProduceRequest::decode(&mut rest, version).unwrap();
        assert!(rest.is_empty());
        assert_eq!((request.acks, request.timeout_ms, request.transactional_id), (-1, 10_000, None));
        let partitions = &request.topic_data[0].partition_data;
        assert_eq!(partitions.iter().map(|one| one.index).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(partitions[0].records.as_deref(), Some(&b"abc"[..]));
    }
    for version in Api::Metadata.versions().0..=Api::Metadata.versions().1 {
        let mut body = Bytes::from(wire::ask_metadata("records"));
        let request = MetadataRequest::decode(&mut body, version).unwrap();
        assert!(body.is_empty() && !request.allow_auto_topic_creation);
        assert_eq!(request.topics.unwrap()[0].name, Some(name("records")));
    }
}

#[test]
fn what_became_of_batches_is_read_in_every_version() {
    for version in 3..=8 {
        let mut partition =
            PartitionProduceResponse::default().with_index(2).with_error_code(87).with_base_offset(-1);
        if version >= 8 {
            partition.error_message = Some(StrBytes::from_static_str("bad"));
            let one = BatchIndexAndErrorMessage::default().with_batch_index(4);
            partition.record_errors = vec![one];
        }
        let topic =
            TopicProduceResponse::default().with_name(name("t")).with_partition_responses(vec![partition]);
        let response = ProduceResponse::default().with_responses(vec![topic]).with_throttle_time_ms(9);
        let mut bytes = Vec::new();
        response.encode(&mut bytes, version).unwrap();
        let (all, throttle_ms) = wire::produced(&bytes, version).unwrap();
        let (text, records) = if version >= 8 { ("bad", vec![(4, String::new())]) } else { ("", Vec::new()) };
        assert_eq!(all, [Produced { partition: 2, error: 87, text: text.to_owned(), records }]);
        assert_eq!(throttle_ms, 9);
        bytes.push(0);
        assert_eq!(wire::produced(&bytes, version), Err(Malformed("it goes on where it should end")));
    }
}

#[test]
fn leaders_and_lifetimes_are_read_in_every_version() {
    for version in 4..=7 {
        let partition = |index, leader| {
            let ids = vec![BrokerId(1), BrokerId(2)];
            let one = MetadataResponsePartition::default().with_partition_index(index);
            one.with_leader_id(BrokerId(leader)).with_replica_nodes(ids.clone()).with_isr_nodes(ids)
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(name("t")))
            .with_partitions(vec![partition(0, 2), partition(1, -1)]);
        let host = StrBytes::from_static_str("::1");
        let broker =
            MetadataResponseBroker::default().with_node_id(BrokerId(2)).with_host(host).with_port(9092);
        let response = MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic]);
        let mut bytes = Vec::new();
        response.encode(&mut bytes, version).unwrap();
        let metadata = wire::metadata(&bytes, version).unwrap();
        assert_eq!(metadata.brokers, [(2, "::1".to_owned(), 9092)]);
        assert_eq!(metadata.topics[0].partitions, [(0, 2), (1, -1)]);
    }
    let answer = SaslAuthenticateResponse::default()
        .with_auth_bytes(Bytes::from_static(b"v="))
        .with_session_lifetime_ms(5);
    let mut bytes = Vec::new();
    answer.encode(&mut bytes, 1).unwrap();
    let step = wire::step(&bytes, 1).unwrap();
    assert_eq!((step.error, &step.bytes[..], step.lifetime_ms), (0, &b"v="[..], 5));
}

proptest! {
    /// A broker may send what it likes: it is read or refused, and makes nobody set memory aside for what is not there.
    #[test]
    fn any_answer_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0_i16..9) {
        let _ = wire::versions(&bytes);
        let _ = wire::mechanisms(&bytes);
        let _ = wire::step(&bytes, version);
        let _ = wire::metadata(&bytes, version);
        let _ = wire::produced(&bytes, version);
    }

    /// The same of answers that are right but for a few bytes.
    #[test]
    fn an_answer_with_a_few_wrong_bytes_is_taken_or_refused(
        at in 0_usize..40, byte in any::<u8>(), cut in 0_usize..60, version in 3_i16..9,
    ) {
        let partition = PartitionProduceResponse::default().with_index(2).with_error_code(6);
        let topic = TopicProduceResponse::default().with_name(name("t")).with_partition_responses(vec![partition]);
        let mut bytes = Vec::new();
        ProduceResponse::default().with_responses(vec![topic]).encode(&mut bytes, version).unwrap();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        bytes.truncate(cut.max(1));
        let _ = wire::produced(&bytes, version);
    }
}
