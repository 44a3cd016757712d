//! Wire types on their way into the kernel.
#![expect(unsafe_code, reason = "aya asks for a promise about types that cross into the kernel")]

use aya::Pod;

/// A wire type on its way into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(super) struct AsPod<T>(pub T);

// SAFETY: `Pod` asks that a type be copied bytewise. All `T` used here are of `spoor-wire`: `repr(C)` structs of
// integers and byte arrays with explicit padding, whose layout is asserted where they are declared.
unsafe impl<T: Copy + 'static> Pod for AsPod<T> {}
