//! The decoder against everything that could come out of a ring.

mod sample;

use core::mem::{offset_of, size_of};

use proptest::prelude::*;
use sample::{Fixed, Sample, Wire, sample};
use spoor_wire::header::WIRE_VERSION;
use spoor_wire::{
    DecodeError, Exec, ExecFailed, Header, Key, Kind, Lane, Open, Payload, RawBody, RawEvent, Source, Span,
};

/// Whether every slice of the view is a piece of the sample.
fn lies_within(event: &RawEvent<'_>, sample: &[u8]) -> bool {
    let whole = sample.as_ptr_range();
    let slices: Vec<&[u8]> = match &event.body {
        RawBody::Exec { path, filename, argv, cgroup, .. } => vec![path, filename, argv, cgroup],
        RawBody::Open { path, .. } => vec![path],
        RawBody::ExecFailed { filename, .. } => vec![filename],
        RawBody::Payload { data, .. } => vec![data],
        RawBody::Key { kind, description, .. } => vec![kind, description],
        RawBody::Fork(_)
        | RawBody::Exit(_)
        | RawBody::Connect(_)
        | RawBody::ConnectEnd(_)
        | RawBody::Memory(_)
        | RawBody::Identity(_)
        | RawBody::Send(_)
        | RawBody::Accept(_)
        | RawBody::AcceptEnd(_) => Vec::new(),
    };
    slices.iter().filter(|slice| !slice.is_empty()).all(|slice| {
        let part = slice.as_ptr_range();
        whole.start <= part.start && part.end <= whole.end
    })
}

/// Where the spans of a body stand in the sample, and where its tail begins.
fn spans(fixed: &Fixed) -> (Vec<usize>, usize) {
    let body = size_of::<Header>();
    match fixed {
        Fixed::Exec(_) => {
            let places = [
                offset_of!(Exec, path),
                offset_of!(Exec, filename),
                offset_of!(Exec, argv),
                offset_of!(Exec, cgroup),
            ];
            (places.map(|place| body + place).to_vec(), body + size_of::<Exec>())
        }
        Fixed::Open(..) => (vec![body + offset_of!(Open, path)], body + size_of::<Open>()),
        Fixed::ExecFailed(_) => {
            (vec![body + offset_of!(ExecFailed, filename)], body + size_of::<ExecFailed>())
        }
        Fixed::Payload(..) => (vec![body + offset_of!(Payload, data)], body + size_of::<Payload>()),
        Fixed::Key(_) => {
            let places = [offset_of!(Key, kind), offset_of!(Key, description)];
            (places.map(|place| body + place).to_vec(), body + size_of::<Key>())
        }
        Fixed::Fork(_)
        | Fixed::Exit(_)
        | Fixed::Connect(_)
        | Fixed::ConnectEnd(_)
        | Fixed::Memory(_)
        | Fixed::Identity(_)
        | Fixed::Send(_)
        | Fixed::Accept(_)
        | Fixed::AcceptEnd(_) => (Vec::new(), body),
    }
}

fn put(bytes: &mut [u8], at: usize, value: &impl Wire) {
    let value = value.wire();
    bytes[at..at + value.len()].copy_from_slice(&value);
}

fn refusal(bytes: &[u8]) -> Option<DecodeError> {
    RawEvent::decode(bytes).err()
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(event) = RawEvent::decode(&bytes) {
            prop_assert!(lies_within(&event, &bytes));
        }
    }

    /// Random bytes end at the version; these get as far as the body.
    #[test]
    fn any_bytes_behind_a_good_header(
        mut bytes in prop::collection::vec(any::<u8>(), size_of::<Header>()..400),
        kind in prop::sample::select(&Kind::ALL[..]),
        source in prop::sample::select(&Source::ALL[..]),
    ) {
        let len = u32::try_from(bytes.len()).unwrap();
        put(&mut bytes, offset_of!(Header, len), &len);
        let numbers = [WIRE_VERSION, kind as u8, kind.lane() as u8, source as u8];
        bytes[offset_of!(Header, version)..][..4].copy_from_slice(&numbers);
        match RawEvent::decode(&bytes) {
            Ok(event) => prop_assert!(event.kind == kind && lies_within(&event, &bytes)),
            Err(error) => prop_assert!(matches!(error, DecodeError::Short { .. } | DecodeError::Span(_)), "{error}"),
        }
    }

    #[test]
    fn what_was_put_in_comes_out(sample in sample(), behind in prop::collection::vec(any::<u8>(), 0..16)) {
        let mut bytes = sample.encode();
        prop_assert_eq!(RawEvent::decode(&bytes), Ok(sample.raw()));
        // Probes reserve more room than they need.
        bytes.extend(behind);
        prop_assert_eq!(RawEvent::decode(&bytes), Ok(sample.raw()));
    }

    #[test]
    fn every_truncation(sample in sample()) {
        let mut bytes = sample.encode();
        let whole = bytes.len();
        for len in (0..whole).rev() {
            bytes.truncate(len);
            let expected = if len < size_of::<Header>() {
                DecodeError::Short { len, needs: size_of::<Header>() }
            } else {
                DecodeError::Length { len, says: u32::try_from(whole).unwrap() }
            };
            prop_assert_eq!(refusal(&bytes), Some(expected));
        }
    }

    #[test]
    fn every_truncation_that_admits_its_length(sample in sample()) {
        let mut bytes = sample.encode();
        let tail = spans(&sample.fixed).1;
        for len in (size_of::<Header>()..bytes.len()).rev() {
            bytes.truncate(len);
            put(&mut bytes, offset_of!(Header, len), &u32::try_from(len).unwrap());
            match RawEvent::decode(&bytes) {
                Ok(event) => prop_assert!(len >= tail && lies_within(&event, &bytes)),
                Err(DecodeError::Short { len: has, needs }) => prop_assert!(has == len && needs > len),
                Err(error) => prop_assert!(matches!(error, DecodeError::Span(_)), "{error}"),
            }
        }
    }

    #[test]
    fn a_header_that_says_less_than_its_body_needs(sample in sample(), says in 0u32..120) {
        let mut bytes = sample.encode();
        put(&mut bytes, offset_of!(Header, len), &says);
        let short = matches!(refusal(&bytes), Some(DecodeError::Short { len, .. }) if len == says as usize);
        prop_assert!(short);
    }

    #[test]
    fn every_byte_changed(sample in sample(), by in 1..=u8::MAX) {
        let mut bytes = sample.encode();
        for at in 0..bytes.len() {
            for by in [by, 1, 0x80, 0xff] {
                bytes[at] ^= by;
                if let Ok(event) = RawEvent::decode(&bytes) {
                    prop_assert!(lies_within(&event, &bytes));
                }
                bytes[at] ^= by;
            }
        }
    }

    #[test]
    fn numbers_that_stand_for_nothing(sample in sample(), number: u8) {
        type Wrong = fn(u8) -> DecodeError;
        let cases: [(usize, bool, Wrong); 4] = [
            (offset_of!(Header, version), number != WIRE_VERSION, DecodeError::Version),
            (offset_of!(Header, kind), Kind::from_u8(number).is_none(), DecodeError::Kind),
            (offset_of!(Header, source), Source::from_u8(number).is_none(), DecodeError::Source),
            (offset_of!(Header, lane), number != sample.header.lane, DecodeError::Lane),
        ];
        for (at, wrong, error) in cases {
            let mut bytes = sample.encode();
            bytes[at] = number;
            prop_assert_eq!(refusal(&bytes) == Some(error(number)), wrong);
        }
    }

    #[test]
    fn a_length_beyond_the_sample(sample in sample(), more in 1u32..) {
        let mut bytes = sample.encode();
        let len = bytes.len();
        let says = sample.header.len.saturating_add(more);
        put(&mut bytes, offset_of!(Header, len), &says);
        prop_assert_eq!(refusal(&bytes), Some(DecodeError::Length { len, says }));
    }

    #[test]
    fn spans_outside_the_tail(sample in sample(), offset: u32, len in 1u16.., flags: u16) {
        let (places, tail) = spans(&sample.fixed);
        let (tail, end) = (u32::try_from(tail).unwrap(), sample.header.len);
        for at in places {
            let spans = [
                Span { offset, len, flags },
                Span { offset: tail - 1, len: 1, flags },
                Span { offset: 0, len, flags },
                Span { offset: end, len: 1, flags },
                Span { offset: u32::MAX, len: u16::MAX, flags },
            ];
            for span in spans {
                let mut bytes = sample.encode();
                put(&mut bytes, at, &span);
                let fits = span.offset >= tail && u64::from(span.offset) + u64::from(span.len) <= u64::from(end);
                prop_assert_eq!(refusal(&bytes), (!fits).then_some(DecodeError::Span(span)));
            }
            let mut bytes = sample.encode();
            put(&mut bytes, at, &Span { offset, len: 0, flags });
            prop_assert_eq!(refusal(&bytes), None, "an empty span may point anywhere");
        }
    }
}

#[test]
fn numbers_and_back() {
    for number in 0..=u8::MAX {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == number);
        assert_eq!(Kind::from_u8(number), kind);
        let source = Source::ALL.into_iter().find(|source| *source as u8 == number);
        assert_eq!(Source::from_u8(number), source);
        assert_eq!(
            Lane::from_u8(number).map(|lane| lane as u8),
            (u32::from(number) < Lane::COUNT).then_some(number)
        );
    }
}

#[test]
fn a_refusal_says_what_does_not_fit() {
    let sample = Sample::new(
        Header { source: Source::TpExit as u8, ..Header::default() },
        Fixed::Exit(spoor_wire::Exit::default()),
        Vec::new(),
    );
    let mut bytes = sample.encode();
    bytes.pop();
    let error = refusal(&bytes).unwrap();
    assert_eq!(error.to_string(), "sample of 127 bytes says it has 128");
}
