//! Looks at eight bytes of a text at a time, as one number. Of plain loops the compiler makes larger steps, but not where a
//! small program is asked for, as it is of the agent that ships.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Something other than 0 where one of eight bytes is this one; the first such has its highest bit set.
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// The same where one is below this one, which is at most 0x80. What is subtracted from reaches the highest bit of a byte
/// only where that is below, or behind such a one.
pub(crate) const fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(ONES * byte as u64) & !word & HIGH
}

/// The same where one is not of ASCII.
pub(crate) const fn beyond_ascii(word: u64) -> u64 {
    word & HIGH
}

/// Whether there is such a byte in a text. `is` is not true of zeros of ASCII, which stand behind a short one.
pub(crate) fn has(text: &str, is: impl Fn(u64) -> u64) -> bool {
    let bytes = text.as_bytes();
    if let Some(end) = bytes.last_chunk() {
        // It may overlap the one before.
        let (strides, _) = bytes.as_chunks();
        return strides.iter().any(|stride| is(u64::from_le_bytes(*stride)) != 0)
            || is(u64::from_le_bytes(*end)) != 0;
    }
    let mut word = [b'0'; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    is(u64::from_le_bytes(word)) != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_show_what_their_bytes_do(text in "[ -~]{0,40}|.{0,20}|[\\x00-\\x7f]{0,20}", byte in 0_u8..0x80) {
            let any = |is: &dyn Fn(u8) -> bool| text.bytes().any(is);
            if byte != b'0' {
                prop_assert_eq!(has(&text, |word| equal(word, byte)), any(&|one| one == byte));
            }
            if byte <= b'0' {
                prop_assert_eq!(has(&text, |word| below(word, byte)), any(&|one| one < byte));
            }
            prop_assert_eq!(has(&text, beyond_ascii), !text.is_ascii());
        }

        #[test]
        fn the_first_has_its_highest_bit_set(bytes: [u8; 8], byte in 0_u8..0x80) {
            let word = u64::from_le_bytes(bytes);
            let first = |found: u64| (found != 0).then(|| found.trailing_zeros() as usize / 8);
            prop_assert_eq!(first(equal(word, byte)), bytes.iter().position(|one| *one == byte));
            prop_assert_eq!(first(below(word, byte)), bytes.iter().position(|one| *one < byte));
        }
    }
}
