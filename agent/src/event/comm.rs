//! The short name of a task.

use std::ops::Deref;

/// What the kernel calls a task by: at most 15 bytes, chosen by whoever runs there. Bytes that a kernel would have cut are cut.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Comm {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Comm {
    /// Bytes of the longest, without the zero that ends it.
    pub const MAX: usize = 15;
}

impl Deref for Comm {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl From<&[u8]> for Comm {
    fn from(name: &[u8]) -> Self {
        let mut comm = Self::default();
        for (place, byte) in comm.bytes.iter_mut().zip(name) {
            *place = *byte;
            comm.len += 1;
        }
        comm
    }
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::Comm;

    #[test]
    fn a_name_is_kept_as_far_as_a_kernel_keeps_it() {
        assert_eq!(&*Comm::from(&b"nginx"[..]), b"nginx");
        assert_eq!(&*Comm::from(&b"a name of twenty-four by"[..]), b"a name of twent");
        assert_eq!(&*Comm::from(&b"\xff\n"[..]), b"\xff\n");
        assert!(Comm::default().is_empty());
        assert_eq!(format!("{:?}", Comm::from(&b"a\n"[..])), "\"a\\n\"");
    }
}
