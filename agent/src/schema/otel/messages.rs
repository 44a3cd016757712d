//! The messages of the protocol, as far as log records need them, in its binary form and in its JSON: there names are in camel
//! case, whole numbers of 64 bits texts, ids in hexadecimal. Numbers of fields are the protocol's.

use std::borrow::Cow;
use std::io::Write as _;

use prost::encoding::{WireType, encode_varint};

use crate::hex;
use crate::record::{Member, Node, Text, comma, write, write_read, write_text};

/// `opentelemetry.proto.logs.v1.LogRecord` without its attributes.
pub(super) struct LogRecord {
    pub(super) time_unix_nano: u64,
    pub(super) severity_number: u8,
    pub(super) severity_text: &'static str,
    pub(super) body: String,
    pub(super) trace_id: Option<[u8; 16]>,
    /// There where a trace is.
    pub(super) span_id: [u8; 8],
    pub(super) event_name: String,
}

/// What an `opentelemetry.proto.common.v1.AnyValue` is. Of bytes, the seventh kind, records have none.
pub(super) enum Kind<'a> {
    /// A text that is made.
    Text(Cow<'a, str>),
    /// One of the record.
    Read(Text<'a>),
    Flag(bool),
    Whole(i64),
    Real(f64),
    List(&'a [Node<'a>]),
    Map(&'a [Member<'a>]),
}

impl<'a> Kind<'a> {
    pub(super) fn of(node: &'a Node<'a>) -> Self {
        match node {
            // A value of no kind is allowed, and real collectors refuse it: an empty text stands for it.
            Node::Null => Kind::Text("".into()),
            Node::Flag(flag) => Kind::Flag(*flag),
            // Beyond 63 bits there is no number there.
            Node::Whole(number) => {
                i64::try_from(*number).map_or_else(|_| Kind::Text(number.to_string().into()), Kind::Whole)
            }
            Node::Signed(number) => Kind::Whole(*number),
            Node::Real(number) => Kind::Real(*number),
            Node::Text(text) => Kind::Read(*text),
            Node::List(items) => Kind::List(items),
            Node::Map(members) => Kind::Map(members),
        }
    }
}

/// Tells names and values of attributes, one after the other.
pub(super) trait Attributes<'a> {
    fn tell(&self, put: &mut impl FnMut(Text<'_>, Kind<'a>));
}

impl<'a> Attributes<'a> for [(&str, &'a str)] {
    fn tell(&self, put: &mut impl FnMut(Text<'_>, Kind<'a>)) {
        for (name, text) in self {
            put(Text::plain(name), Kind::Text(Cow::Borrowed(text)));
        }
    }
}

/// What the two forms have for each message.
pub(super) trait Form {
    fn record<'a>(record: &LogRecord, attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>);

    /// `opentelemetry.proto.resource.v1.Resource`
    fn resource<'a>(attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>);

    /// `opentelemetry.proto.common.v1.InstrumentationScope`
    fn scope(name: &str, version: &str, out: &mut Vec<u8>);
}

pub(super) struct Json;

impl Form for Json {
    fn record<'a>(record: &LogRecord, attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>) {
        let (time, severity) = (record.time_unix_nano, record.severity_number);
        let text = record.severity_text;
        // Writing to memory does not fail.
        let _ = write!(
            out,
            r#"{{"timeUnixNano":"{time}","severityNumber":{severity},"severityText":"{text}","body":"#
        );
        json_value(&Kind::Text(Cow::Borrowed(&record.body)), out);
        out.extend_from_slice(br#","attributes":"#);
        json_attributes(attributes, out);
        if let Some(trace) = record.trace_id {
            let (trace, span) = (hex::encode(&trace), hex::encode(&record.span_id));
            let _ = write!(out, r#","traceId":"{trace}","spanId":"{span}""#);
        }
        let _ = write!(out, r#","observedTimeUnixNano":"{time}","eventName":"#);
        write_text(&record.event_name, out);
        out.push(b'}');
    }

    fn resource<'a>(attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"attributes":"#);
        json_attributes(attributes, out);
        out.push(b'}');
    }

    fn scope(name: &str, version: &str, out: &mut Vec<u8>) {
        let _ = write!(out, r#"{{"name":"{name}","version":"{version}"}}"#);
    }
}

fn json_attributes<'a>(attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>) {
    out.push(b'[');
    attributes.tell(&mut |name, value| {
        comma(out);
        out.extend_from_slice(br#"{"key":"#);
        write_read(name, out);
        json_behind_key(&value, out);
    });
    out.push(b']');
}

fn json_behind_key(value: &Kind<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","value":"#);
    json_value(value, out);
    out.push(b'}');
}

fn json_value(value: &Kind<'_>, out: &mut Vec<u8>) {
    match value {
        Kind::Text(text) => {
            out.extend_from_slice(br#"{"stringValue":"#);
            write_text(text, out);
        }
        Kind::Read(text) => {
            out.extend_from_slice(br#"{"stringValue":"#);
            write_read(*text, out);
        }
        Kind::Flag(flag) => {
            out.extend_from_slice(br#"{"boolValue":"#);
            write(flag, out);
        }
        Kind::Whole(whole) => {
            out.extend_from_slice(br#"{"intValue":""#);
            write(whole, out);
            out.push(b'"');
        }
        Kind::Real(real) => {
            out.extend_from_slice(br#"{"doubleValue":"#);
            write(real, out);
        }
        Kind::List(items) => {
            out.extend_from_slice(br#"{"arrayValue":{"values":["#);
            for item in *items {
                comma(out);
                json_value(&Kind::of(item), out);
            }
            out.extend_from_slice(b"]}");
        }
        Kind::Map(members) => {
            out.extend_from_slice(br#"{"kvlistValue":{"values":["#);
            for (name, value) in *members {
                comma(out);
                out.extend_from_slice(br#"{"key":"#);
                write_read(name.text(), out);
                json_behind_key(&Kind::of(value), out);
            }
            out.extend_from_slice(b"]}");
        }
    }
    out.push(b'}');
}

pub(super) struct Protobuf;

impl Form for Protobuf {
    fn record<'a>(record: &LogRecord, attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>) {
        fixed64(1, record.time_unix_nano, out);
        whole(2, record.severity_number.into(), out);
        text(3, record.severity_text, out);
        message(5, out, |out| value(&Kind::Text(Cow::Borrowed(&record.body)), out));
        attributes.tell(&mut |name, value| message(6, out, |out| key_value(&name, &value, out)));
        if let Some(trace) = record.trace_id {
            message(9, out, |out| out.extend_from_slice(&trace));
            message(10, out, |out| out.extend_from_slice(&record.span_id));
        }
        fixed64(11, record.time_unix_nano, out);
        text(12, &record.event_name, out);
    }

    fn resource<'a>(attributes: &(impl Attributes<'a> + ?Sized), out: &mut Vec<u8>) {
        attributes.tell(&mut |name, value| message(1, out, |out| key_value(&name, &value, out)));
    }

    fn scope(name: &str, version: &str, out: &mut Vec<u8>) {
        text(1, name, out);
        text(2, version, out);
    }
}

/// `opentelemetry.proto.common.v1.KeyValue`
fn key_value(name: &str, of: &Kind<'_>, out: &mut Vec<u8>) {
    text(1, name, out);
    message(2, out, |out| value(of, out));
}

/// One of several kinds is written also where it is nothing.
fn value(of: &Kind<'_>, out: &mut Vec<u8>) {
    match of {
        Kind::Text(text) => message(1, out, |out| out.extend_from_slice(text.as_bytes())),
        Kind::Read(text) => message(1, out, |out| out.extend_from_slice(text.as_bytes())),
        Kind::Flag(flag) => whole(2, u64::from(*flag), out),
        Kind::Whole(number) => whole(3, number.cast_unsigned(), out),
        Kind::Real(real) => {
            key(4, WireType::SixtyFourBit, out);
            out.extend_from_slice(&real.to_le_bytes());
        }
        Kind::List(items) => message(5, out, |out| {
            for item in *items {
                message(1, out, |out| value(&Kind::of(item), out));
            }
        }),
        Kind::Map(members) => message(6, out, |out| {
            for (name, of) in *members {
                message(1, out, |out| key_value(name, &Kind::of(of), out));
            }
        }),
    }
}

/// What stands before a value. All fields of these messages have numbers below 16: it is one byte.
fn key(field: u8, kind: WireType, out: &mut Vec<u8>) {
    out.push(field << 3 | kind as u8);
}

fn whole(field: u8, number: u64, out: &mut Vec<u8>) {
    key(field, WireType::Varint, out);
    encode_varint(number, out);
}

/// Nothing where it is 0.
fn fixed64(field: u8, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        key(field, WireType::SixtyFourBit, out);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Nothing where it is empty.
fn text(field: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        message(field, out, |out| out.extend_from_slice(text.as_bytes()));
    }
}

/// What stands behind its length. That is known afterwards; it is one byte, but for what is long.
pub(super) fn message(field: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    key(field, WireType::LengthDelimited, out);
    let at = out.len();
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    match (u8::try_from(len), out.get_mut(at)) {
        (Ok(len @ ..0x80), Some(place)) => *place = len,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            encode_varint(len as u64, &mut prefix);
            out.splice(at..=at, prefix);
        }
    }
}
