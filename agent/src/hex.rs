//! Bytes as hexadecimal digits, two each.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// In small digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    // Room for all of it: what grows leaves copies behind, and these may be those of a key.
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| pair(*byte)).map(char::from));
    text
}

/// The two small digits of a byte.
pub(crate) fn pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0x0f].map(|half| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0'))
}

/// Reads exactly as many bytes as there is room for, of small digits or large ones. `false`: it is something else.
pub(crate) fn decode(digits: &[u8], into: &mut [u8]) -> bool {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let fits = digits.len() == 2 * into.len();
    fits && into.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
        let [high, low] = pair else { return false };
        let (Some(high), Some(low)) = (value(*high), value(*low)) else { return false };
        *byte = high << 4 | low;
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_and_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encode(&bytes);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        let mut back = vec![0; 256];
        assert!(decode(text.as_bytes(), &mut back) && back == bytes);
        assert!(decode(text.to_uppercase().as_bytes(), &mut back) && back == bytes);
        for other in ["", "0", "000", "0g", "+1", "\u{e9}"] {
            assert!(!decode(other.as_bytes(), &mut [0]), "{other}");
        }
    }
}
