//! The messages of Kafka's protocol that a sink needs, and their answers.
//!
//! In versions that every broker since Kafka 1.0 speaks, and Kafka 4 still: the last before the tagged fields. What comes from a
//! broker is foreign: every length is checked against what is really there before anything is made of it.

use super::errors::Malformed;
use crate::varint;

/// What is asked of a broker, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Produce = 0,
    Metadata = 3,
    SaslHandshake = 17,
    Versions = 18,
    SaslAuthenticate = 36,
}

impl Api {
    /// Versions we speak: the first and the last.
    pub(super) fn versions(self) -> (i16, i16) {
        match self {
            // 3: the first with this form of records. 8: names the records it refuses.
            Api::Produce => (3, 8),
            // 4: the first that can be told to create no topic.
            Api::Metadata => (4, 7),
            // 1: the first where the exchange itself is framed.
            Api::SaslHandshake => (1, 1),
            Api::Versions => (0, 0),
            // 1: says how long the session is good for.
            Api::SaslAuthenticate => (0, 1),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Api::Produce => "produce",
            Api::Metadata => "metadata",
            Api::SaslHandshake => "SASL handshake",
            Api::Versions => "versions",
            Api::SaslAuthenticate => "SASL",
        }
    }
}

/// Writes what the protocol is made of: big-endian numbers, and texts behind their lengths.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// How many follow, or how long it is. Nothing we send comes near the end of the range.
    pub(super) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A number in as few bytes as it takes, small negative ones too.
    pub(super) fn varint(&mut self, value: i64) {
        varint::put(&mut self.0, varint::zigzag(value));
    }

    /// Bytes behind their length, as they stand in a record.
    pub(super) fn varbytes(&mut self, bytes: &[u8]) {
        self.varint(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.0.extend_from_slice(bytes);
    }
}

/// A whole request in its frame.
pub(super) fn request(api: Api, version: i16, correlation: i32, client: &str, body: &[u8]) -> Vec<u8> {
    let mut head = Writer::default();
    head.i16(api as i16);
    head.i16(version);
    head.i32(correlation);
    head.text(client);
    let mut frame = Writer::default();
    frame.count(head.0.len() + body.len());
    frame.0.extend_from_slice(&head.0);
    frame.0.extend_from_slice(body);
    frame.0
}

/// Which partitions a topic has. No broker shall make one because we ask.
pub(super) fn ask_metadata(topic: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.count(1);
    out.text(topic);
    out.i8(0);
    out.0
}

/// One batch for each partition, to be acknowledged by all replicas that are in sync.
pub(super) fn ask_produce(topic: &str, timeout_ms: i32, batches: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut out = Writer::default();
    out.i16(-1); // in no transaction
    out.i16(-1); // acks=all
    out.i32(timeout_ms);
    out.count(1);
    out.text(topic);
    out.count(batches.len());
    for (partition, batch) in batches {
        out.i32(*partition);
        out.bytes(batch);
    }
    out.0
}

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    /// How many follow. Each takes a byte at least, so that a number that cannot be true is found here.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.i32()?;
        if count == -1 {
            return Ok(0);
        }
        let count = usize::try_from(count).map_err(|_| Malformed("a negative number of items"))?;
        if count > self.0.len() { Err(Malformed("more items than bytes")) } else { Ok(count) }
    }

    fn many<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let mut all = Vec::new();
        for _ in 0..self.count()? {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// A text; one that is not there is empty.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let length = self.i16()?;
        if length == -1 {
            return Ok(String::new());
        }
        let length = usize::try_from(length).map_err(|_| Malformed("a text of negative length"))?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count()?;
        self.take(length)
    }

    /// What is left over is a field that we do not know, so that the rest was misread.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("it goes on where it should end")) }
    }
}

/// What a broker speaks of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) api: i16,
    pub(super) first: i16,
    pub(super) last: i16,
}

/// What a broker speaks, behind the error.
pub(super) fn versions(bytes: &[u8]) -> Result<(i16, Vec<Spoken>), Malformed> {
    let mut reader = Reader::new(bytes);
    let error = reader.i16()?;
    let all =
        reader.many(|reader| Ok(Spoken { api: reader.i16()?, first: reader.i16()?, last: reader.i16()? }))?;
    // No look at the end: a broker may answer in a later version than it was asked in.
    Ok((error, all))
}

/// Mechanisms of SASL that a broker has: the error, and their names.
pub(super) fn mechanisms(bytes: &[u8]) -> Result<(i16, Vec<String>), Malformed> {
    let mut reader = Reader::new(bytes);
    let found = (reader.i16()?, reader.many(Reader::text)?);
    reader.end().map(|()| found)
}

/// A step of SASL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) error: i16,
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    /// For so long the session is good; 0: for ever.
    pub(super) lifetime_ms: i64,
}

pub(super) fn step(bytes: &[u8], version: i16) -> Result<Step, Malformed> {
    let mut reader = Reader::new(bytes);
    let (error, text) = (reader.i16()?, reader.text()?);
    let bytes = reader.bytes()?.to_vec();
    let lifetime_ms = if version >= 1 { reader.i64()? } else { 0 };
    reader.end().map(|()| Step { error, text, bytes, lifetime_ms })
}

/// Where the partitions of a topic are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Number, host and port.
    pub(super) brokers: Vec<(i32, String, i32)>,
    pub(super) topics: Vec<Topic>,
}

/// A topic in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: String,
    /// Number and leader; a partition without one has -1.
    pub(super) partitions: Vec<(i32, i32)>,
}

pub(super) fn metadata(bytes: &[u8], version: i16) -> Result<Metadata, Malformed> {
    let mut reader = Reader::new(bytes);
    let _throttle_ms = reader.i32()?;
    let brokers = reader.many(|reader| {
        let broker = (reader.i32()?, reader.text()?, reader.i32()?);
        let _rack = reader.text()?;
        Ok(broker)
    })?;
    let (_cluster, _controller) = (reader.text()?, reader.i32()?);
    let partition = |reader: &mut Reader| {
        // The error says no more than the leader, which is -1 then.
        let (_error, index, leader) = (reader.i16()?, reader.i32()?, reader.i32()?);
        if version >= 7 {
            let _epoch = reader.i32()?;
        }
        let (_replicas, _in_sync) = (reader.many(Reader::i32)?, reader.many(Reader::i32)?);
        if version >= 5 {
            let _offline = reader.many(Reader::i32)?;
        }
        Ok((index, leader))
    };
    let topics = reader.many(|reader| {
        let (error, name) = (reader.i16()?, reader.text()?);
        let _internal = reader.take(1)?;
        Ok(Topic { error, name, partitions: reader.many(partition)? })
    })?;
    reader.end().map(|()| Metadata { brokers, topics })
}

/// What became of one batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Produced {
    pub(super) partition: i32,
    pub(super) error: i16,
    pub(super) text: String,
    /// Records of the batch that were the reason, by their place in it, and what is wrong with each.
    pub(super) records: Vec<(i32, String)>,
}

/// What became of all batches, and for how many milliseconds we are to be quiet.
pub(super) fn produced(bytes: &[u8], version: i16) -> Result<(Vec<Produced>, i32), Malformed> {
    let mut reader = Reader::new(bytes);
    let partition = |reader: &mut Reader| {
        let (partition, error) = (reader.i32()?, reader.i16()?);
        let (_offset, _appended) = (reader.i64()?, reader.i64()?);
        if version >= 5 {
            let _log_start = reader.i64()?;
        }
        let (mut records, mut text) = (Vec::new(), String::new());
        if version >= 8 {
            records = reader.many(|reader| Ok((reader.i32()?, reader.text()?)))?;
            text = reader.text()?;
        }
        Ok(Produced { partition, error, text, records })
    };
    let topics = reader.many(|reader| {
        let _name = reader.text()?;
        reader.many(partition)
    })?;
    let throttle_ms = reader.i32()?;
    reader.end().map(|()| (topics.into_iter().flatten().collect(), throttle_ms))
}
