//! An answer of a name server: the name that was asked for, and its addresses.
//!
//! Written here and not taken from a crate: we need three kinds of records, of a message that may end before it is
//! complete, where the crates at hand refuse the whole for one record that they do not like or do not have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reader::Reader;
use super::{NameFault, host};

/// Longest message of the protocol.
const MESSAGE_MAX: usize = 65_535;
/// Most records of an answer that are looked at.
const RECORDS_MAX: u16 = 64;
/// Most pointers in one name. It has at most 127 labels.
const POINTERS_MAX: usize = 127;
/// Longest name on the wire.
const WIRE_NAME_MAX: usize = 255;
/// Length of the header; no name begins before its end.
const HEADER: usize = 12;

const INTERNET: u16 = 1;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const ANY: u16 = 255;

/// What a name server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The name that was asked for, in lower case and without the dot at its end.
    pub name: String,
    /// Its addresses, in the order of the answer, each once. Empty where it has none of the kind that was asked for.
    pub addresses: Vec<IpAddr>,
    /// Seconds that the answer is good for: the shortest of the records that led to the addresses.
    pub ttl_s: u32,
    /// Records of the answer that were announced and not looked at: the message ends before them, or there are too many.
    pub left_out: u16,
}

/// Why bytes are no answer that names addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// A question, not an answer to one.
    #[error("it is a query")]
    Query,
    /// Something other than looking up: an update, a notification.
    #[error("it is operation {0} and no look-up")]
    Operation(u8),
    /// The server did not answer.
    #[error("the server answered with code {0}")]
    Code(u8),
    /// The question is for something else than addresses; names of addresses (PTR) are among that.
    #[error("records of type {kind}, class {class} were asked for, and no addresses")]
    Kind {
        /// Type of records asked for.
        kind: u16,
        /// Their class.
        class: u16,
    },
    /// The message ends before its question does.
    #[error("it ends in its question, or before")]
    Short,
    /// More bytes than a message may have.
    #[error("it is longer than a message may be")]
    Long,
    /// No question, or several.
    #[error("it has {0} questions")]
    Questions(u16),
    /// The name asked for is not a host's.
    #[error("the name asked for is not a host's: {0}")]
    Name(#[from] NameFault),
    /// A name that breaks the format: a pointer that does not lead back, an unknown kind of label, too many bytes.
    #[error("a name in it is malformed")]
    Label,
    /// A record whose data has not the length of its type.
    #[error("a record of type {0} has a wrong length")]
    Record(u16),
    /// Aliases that lead to each other.
    #[error("its aliases go round in circles")]
    Loop,
}

impl DnsError {
    /// Whether the message breaks the format or names what is no host; the others are good messages that name no address.
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        match self {
            Self::Query | Self::Operation(_) | Self::Code(_) | Self::Kind { .. } => false,
            Self::Short
            | Self::Long
            | Self::Questions(_)
            | Self::Name(_)
            | Self::Label
            | Self::Record(_)
            | Self::Loop => true,
        }
    }
}

/// A name as it is compared: labels in lower case, each behind its length.
#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<u8>);

/// What can be wrong with a name.
enum Fault {
    /// The message ends in it.
    Cut,
    Malformed,
}

enum Data {
    Address(IpAddr),
    Alias(Name),
}

struct Record {
    owner: Name,
    ttl_s: u32,
    data: Data,
}

/// Reads the payload of a datagram that a name server sent.
///
/// # Errors
/// Where it is no answer, or names nothing that could be believed. A message that ends early gives what it has.
pub fn answers(bytes: &[u8]) -> Result<Answers, DnsError> {
    if bytes.len() > MESSAGE_MAX {
        return Err(DnsError::Long);
    }
    let mut reader = Reader::new(bytes);
    let announced = header(&mut reader)?;
    let asked = match name(&mut reader) {
        Ok(name) => name,
        Err(Fault::Cut) => return Err(DnsError::Short),
        Err(Fault::Malformed) => return Err(DnsError::Label),
    };
    let kind = reader.u16().ok_or(DnsError::Short)?;
    let class = reader.u16().ok_or(DnsError::Short)?;
    if class != INTERNET || !matches!(kind, A | AAAA | ANY) {
        return Err(DnsError::Kind { kind, class });
    }
    let name = host(asked.labels())?;
    let (records, seen) = records(&mut reader, announced)?;
    let (addresses, ttl_s) = follow(&asked, &records)?;
    Ok(Answers { name, addresses, ttl_s, left_out: announced.saturating_sub(seen) })
}

/// Checks the header and gives the number of records in the answer.
fn header(reader: &mut Reader<'_>) -> Result<u16, DnsError> {
    let [_, _, flags, code, questions @ ..] = reader.array::<6>().ok_or(DnsError::Short)?;
    let announced = reader.u16().ok_or(DnsError::Short)?;
    // How many records follow in the other two sections, which are not read.
    reader.u32().ok_or(DnsError::Short)?;
    if flags & 0x80 == 0 {
        return Err(DnsError::Query);
    }
    match (flags >> 3 & 0x0f, code & 0x0f, u16::from_be_bytes(questions)) {
        (0, 0, 1) => Ok(announced),
        (0, 0, questions) => Err(DnsError::Questions(questions)),
        (0, code, _) => Err(DnsError::Code(code)),
        (operation, _, _) => Err(DnsError::Operation(operation)),
    }
}

/// The records of the answer that lead to addresses, and how many were looked at.
fn records(reader: &mut Reader<'_>, announced: u16) -> Result<(Vec<Record>, u16), DnsError> {
    let mut found = Vec::new();
    let mut seen = 0;
    while seen < announced.min(RECORDS_MAX) {
        match record(reader) {
            Ok(Some(record)) => found.push(record),
            Ok(None) => {}
            Err(RecordFault::Cut) => break,
            Err(RecordFault::Wrong(error)) => return Err(error),
        }
        seen += 1;
    }
    Ok((found, seen))
}

enum RecordFault {
    Cut,
    Wrong(DnsError),
}

impl From<Fault> for RecordFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Cut => Self::Cut,
            Fault::Malformed => Self::Wrong(DnsError::Label),
        }
    }
}

/// One record; [`None`] where it leads nowhere.
fn record(reader: &mut Reader<'_>) -> Result<Option<Record>, RecordFault> {
    let owner = name(reader)?;
    let mut number = || reader.u16().ok_or(RecordFault::Cut);
    let (kind, class) = (number()?, number()?);
    let ttl_s = reader.u32().ok_or(RecordFault::Cut)?;
    let length = reader.u16().ok_or(RecordFault::Cut)?;
    let mut inside = *reader;
    let data = reader.take(usize::from(length)).ok_or(RecordFault::Cut)?;
    if class != INTERNET {
        return Ok(None);
    }
    let wrong = RecordFault::Wrong(DnsError::Record(kind));
    let data = match kind {
        A => Data::Address(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(data).map_err(|_| wrong)?))),
        AAAA => Data::Address(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(data).map_err(|_| wrong)?))),
        CNAME => {
            // Behind the record there may be nothing, but then the name is not cut: it goes on where it must not.
            let Ok(alias) = name(&mut inside) else {
                return Err(RecordFault::Wrong(DnsError::Label));
            };
            if inside.at() != reader.at() {
                return Err(wrong);
            }
            Data::Alias(alias)
        }
        _ => return Ok(None),
    };
    // A time with its first bit set counts as none (RFC 2181).
    let ttl_s = if ttl_s > u32::MAX / 2 { 0 } else { ttl_s };
    Ok(Some(Record { owner, ttl_s, data }))
}

/// A name, through its pointers. Each leads to before everything that was read of the name so far, so that it ends.
fn name(reader: &mut Reader<'_>) -> Result<Name, Fault> {
    let mut name = Vec::new();
    let mut part = *reader;
    let mut start = part.at();
    let mut end = None;
    let mut pointers = 0;
    loop {
        let length = part.u8().ok_or(Fault::Cut)?;
        match length >> 6 {
            0 if length == 0 => break,
            0 => {
                let label = part.take(usize::from(length)).ok_or(Fault::Cut)?;
                name.push(length);
                name.extend(label.iter().map(u8::to_ascii_lowercase));
            }
            3 => {
                let low = part.u8().ok_or(Fault::Cut)?;
                end.get_or_insert(part.at());
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                pointers += 1;
                if !(HEADER..start).contains(&target) || pointers > POINTERS_MAX {
                    return Err(Fault::Malformed);
                }
                start = target;
                part = part.from(target);
            }
            _ => return Err(Fault::Malformed),
        }
        // Its last byte, the empty label, is not kept.
        if name.len() >= WIRE_NAME_MAX {
            return Err(Fault::Malformed);
        }
    }
    *reader = reader.from(end.unwrap_or(part.at()));
    Ok(Name(name))
}

impl Name {
    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = Reader::new(&self.0);
        std::iter::from_fn(move || {
            let length = reader.u8()?;
            reader.take(usize::from(length))
        })
    }
}

/// From the name asked for, through its aliases, to the addresses. Servers send aliases in order; nothing demands it.
fn follow(asked: &Name, records: &[Record]) -> Result<(Vec<IpAddr>, u32), DnsError> {
    let mut addresses = Vec::new();
    let mut shortest = u32::MAX;
    let mut name = asked;
    // A way over more aliases than there are has been at one of them twice.
    for _ in 0..=records.len() {
        let mut next = None;
        for record in records.iter().filter(|record| record.owner == *name) {
            match &record.data {
                Data::Address(address) if addresses.contains(address) => {}
                Data::Address(address) => addresses.push(*address),
                Data::Alias(_) if next.is_some() => continue,
                Data::Alias(alias) => next = Some(alias),
            }
            shortest = shortest.min(record.ttl_s);
        }
        match next {
            Some(alias) => name = alias,
            None if addresses.is_empty() => return Ok((addresses, 0)),
            None => return Ok((addresses, shortest)),
        }
    }
    Err(DnsError::Loop)
}
