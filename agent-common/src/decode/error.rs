//! Why a sample was refused.

use crate::body::Span;
use crate::header::WIRE_VERSION;

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than what its kind needs.
    Short {
        /// Bytes it has.
        len: usize,
        /// Bytes it needs.
        needs: usize,
    },
    /// It says another length than it has.
    Length {
        /// Bytes it has.
        len: usize,
        /// Bytes it says.
        says: u32,
    },
    /// Made by other probes than ours.
    Version(u8),
    /// No such kind.
    Kind(u8),
    /// No such source.
    Source(u8),
    /// A lane that does not belong to the kind.
    Lane(u8),
    /// A span reaches beyond the sample or into its fixed part.
    Span(Span),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DecodeError::Short { len, needs } => write!(f, "sample of {len} bytes where {needs} are needed"),
            DecodeError::Length { len, says } => write!(f, "sample of {len} bytes says it has {says}"),
            DecodeError::Version(version) => {
                write!(f, "sample of wire version {version}, not {WIRE_VERSION}")
            }
            DecodeError::Kind(kind) => write!(f, "sample of unknown kind {kind}"),
            DecodeError::Source(source) => write!(f, "sample of unknown source {source}"),
            DecodeError::Lane(lane) => write!(f, "sample of lane {lane}, which is not its kind's"),
            DecodeError::Span(span) => {
                write!(f, "span of {} bytes at {} lies outside the sample's tail", span.len, span.offset)
            }
        }
    }
}

impl core::error::Error for DecodeError {}
