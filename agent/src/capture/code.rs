//! The bytes of a capture. A type is written and read by one list of its fields, so that both cannot part ways.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Comm;
use crate::varint;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// Something follows behind the end.
    #[error("{0} bytes are left over")]
    Rest(usize),
    /// A number that stands for nothing here.
    #[error("it has {0} where that stands for nothing")]
    Number(u64),
    /// A text that is not UTF-8, or no such text.
    #[error("a text in it is none that can stand there")]
    Text,
}

/// Bytes that are being read.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    fn some(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    /// How many of something follow; each takes a byte at least, so that no number asks for memory that the bytes do not fill.
    fn count(&mut self) -> Result<usize, Broken> {
        let count = u64::take(self)?;
        let fits = usize::try_from(count).ok().filter(|count| *count <= self.0.len());
        fits.ok_or(Broken::Short)
    }
}

/// What can stand in a capture.
pub(crate) trait Coded: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken>;

    /// As bytes of its own.
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Of bytes that hold nothing else.
    fn of(bytes: &[u8]) -> Result<Self, Broken> {
        let mut from = Bytes(bytes);
        let found = Self::take(&mut from)?;
        if from.0.is_empty() { Ok(found) } else { Err(Broken::Rest(from.0.len())) }
    }
}

impl Coded for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, *self);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = from.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Broken::Number(bits));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // One number has one spelling.
                return if byte == 0 && shift != 0 { Err(Broken::Number(0)) } else { Ok(value) };
            }
        }
        Err(Broken::Number(value))
    }
}

macro_rules! small_numbers {
    ($($type:ident),*) => {$(
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                u64::try_from(*self).unwrap_or(u64::MAX).put(out);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                let value = u64::take(from)?;
                value.try_into().map_err(|_| Broken::Number(value))
            }
        }
    )*};
}
small_numbers!(u16, u32, usize);

impl Coded for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        from.byte()
    }
}

impl Coded for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        varint::zigzag(*self).put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let value = u64::take(from)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

impl Coded for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let value = i64::take(from)?;
        value.try_into().map_err(|_| Broken::Number(value.cast_unsigned()))
    }
}

impl Coded for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Broken::Number(other.into())),
        }
    }
}

impl<const N: usize> Coded for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        from.some(N)?.try_into().map_err(|_| Broken::Short)
    }
}

impl Coded for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let length = from.count()?;
        String::from_utf8(from.some(length)?.to_vec()).map_err(|_| Broken::Text)
    }
}

impl Coded for Comm {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let length = from.count()?;
        Ok(from.some(length)?.into())
    }
}

impl Coded for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        String::take(from).map(Into::into)
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|one| one.put(out));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        (0..from.count()?).map(|_| T::take(from)).collect()
    }
}

impl<T: Coded> Coded for Arc<[T]> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        self.iter().for_each(|one| one.put(out));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Vec::take(from).map(Into::into)
    }
}

impl<K: Coded + Ord, V: Coded> Coded for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        (0..from.count()?).map(|_| <(K, V)>::take(from)).collect()
    }
}

impl<T: Coded> Coded for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|some| some.put(out));
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<E: Coded> Coded for Result<(), E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_err().put(out);
        if let Err(error) = self {
            error.put(out);
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(if bool::take(from)? { Err(E::take(from)?) } else { Ok(()) })
    }
}

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<T: Coded> Coded for $pointer<T> {
            fn put(&self, out: &mut Vec<u8>) {
                (**self).put(out);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                T::take(from).map($pointer::new)
            }
        }
    )*};
}
pointers!(Box, Arc);

impl<A: Coded, B: Coded> Coded for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl Coded for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(address) => {
                out.push(4);
                address.octets().put(out);
            }
            IpAddr::V6(address) => {
                out.push(6);
                address.octets().put(out);
            }
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        match from.byte()? {
            4 => Ok(Ipv4Addr::from(<[u8; 4]>::take(from)?).into()),
            6 => Ok(Ipv6Addr::from(<[u8; 16]>::take(from)?).into()),
            other => Err(Broken::Number(other.into())),
        }
    }
}

impl Coded for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let (seconds, nanos) = (u64::take(from)?, u32::take(from)?);
        if nanos >= 1_000_000_000 {
            return Err(Broken::Number(nanos.into()));
        }
        Ok(Duration::new(seconds, nanos))
    }
}

/// Structs by their fields, in that order.
macro_rules! fields {
    ($($type:ident { $($field:ident),* $(,)? })*) => {$(
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let $type { $($field),* } = self;
                $($field.put(out);)*
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                Ok($type { $($field: Coded::take(from)?),* })
            }
        }
    )*};
}

/// Enums by a number for each variant, which is never given to another.
macro_rules! variants {
    ($($type:ident {
        $($number:literal => $name:ident $({ $($field:ident),* $(,)? })? $(( $($part:ident),* ))?),* $(,)?
    })*) => {$(
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($type::$name $({ $($field),* })? $(( $($part),* ))? => {
                        out.push($number);
                        $($($field.put(out);)*)?
                        $($($part.put(out);)*)?
                    })*
                }
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                Ok(match from.byte()? {
                    $($number => $type::$name
                        $({ $($field: Coded::take(from)?),* })?
                        $(( $({ let $part = Coded::take(from)?; $part }),* ))?,)*
                    other => return Err(Broken::Number(other.into())),
                })
            }
        }
    )*};
}

pub(super) use {fields, variants};
