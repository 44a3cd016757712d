//! Records in the form that Kafka keeps them in: a batch for each partition, checked by its sum and compressed as a whole.

use std::io::{self, Write as _};
use std::sync::Arc;

use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;

use super::wire::Writer;
use crate::config::{Compression, PartitionBy};
use crate::forward::encodings::Item;

/// The form of records since Kafka 0.11.
const MAGIC: i8 = 2;
/// We are no transaction and no idempotent producer: repetitions are told by `host.id` and `seq`.
const NOBODY: i64 = -1;

/// What decides about a record's partition: records with the same keep their order.
pub(super) fn key(item: &Item, by: PartitionBy) -> &[u8] {
    let chain = item.facts.chain.as_ref().filter(|_| by == PartitionBy::Chain);
    chain.unwrap_or(&item.facts.host_id).as_bytes()
}

/// A batch of records, in their order.
pub(super) fn batch(
    items: &[&Arc<Item>],
    by: PartitionBy,
    format: &str,
    compression: Compression,
) -> io::Result<Vec<u8>> {
    let times = items.iter().map(|item| milliseconds(item));
    let (first, last) = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
    let mut records = Writer::default();
    for (place, item) in (0..).zip(items) {
        let body = record(item, key(item, by), format, milliseconds(item) - first, place);
        records.varbytes(&body);
    }
    let mut summed = Writer::default();
    summed.i16(attributes(compression));
    summed.i32(i32::try_from(items.len()).unwrap_or(i32::MAX) - 1);
    summed.i64(first);
    summed.i64(last);
    summed.i64(NOBODY);
    summed.i16(-1); // no epoch
    summed.i32(-1); // no sequence
    summed.count(items.len());
    summed.0.extend_from_slice(&compressed(records.0, compression)?);
    let mut out = Writer::default();
    out.i64(0); // the offset, which is the broker's to give
    out.count(4 + 1 + 4 + summed.0.len());
    out.i32(-1); // whoever leads
    out.i8(MAGIC);
    out.0.extend_from_slice(&crc32c::crc32c(&summed.0).to_be_bytes());
    out.0.extend_from_slice(&summed.0);
    Ok(out.0)
}

fn milliseconds(item: &Item) -> i64 {
    item.facts.time_ns.div_euclid(1_000_000)
}

fn record(item: &Item, key: &[u8], format: &str, after: i64, place: i64) -> Vec<u8> {
    let seq = item.seq.to_string();
    let headers = [
        ("seq", seq.as_str()),
        ("host.id", &item.facts.host_id),
        ("type", &item.facts.kind),
        ("format", format),
    ];
    let mut out = Writer::default();
    out.i8(0);
    out.varint(after);
    out.varint(place);
    out.varbytes(key);
    out.varbytes(&item.bytes);
    out.varint(4);
    for (name, value) in headers {
        out.varbytes(name.as_bytes());
        out.varbytes(value.as_bytes());
    }
    out.0
}

fn attributes(compression: Compression) -> i16 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Lz4 => 3,
    }
}

fn compressed(bytes: Vec<u8>, compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes)?;
            encoder.finish()
        }
        Compression::Lz4 => {
            let mut encoder = FrameEncoder::new(Vec::new());
            encoder.write_all(&bytes)?;
            encoder.finish().map_err(io::Error::other)
        }
    }
}

/// Which of so many partitions a key belongs to, as Kafka's own clients have it.
pub(super) fn partition(key: &[u8], partitions: usize) -> usize {
    let positive = usize::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    positive.checked_rem(partitions).unwrap_or(0)
}

/// MurmurHash 2, with the seed of Kafka's clients.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = 0x9747_b28c ^ length;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (byte, shift) in rest.iter().zip([0, 8, 16]) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that Kafka's own clients are tested with.
    #[test]
    fn a_key_goes_where_kafkas_own_clients_put_it() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(partition(b"abc", 0), 0);
        assert!((1..50).all(|count| partition(b"21", count) < count));
    }
}
