//! Base64, into memory that is wiped.

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, decoded_len_estimate};
use zeroize::Zeroizing;

const FORGIVING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const COMMON: GeneralPurpose = GeneralPurpose::new(&STANDARD, FORGIVING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, FORGIVING);

/// The usual alphabet, with whatever white space between.
pub(super) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode(text, &COMMON)
}

/// The alphabet of URLs, as in tokens.
pub(super) fn base64_url(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    decode(text, &URL)
}

fn decode(text: &str, engine: &GeneralPurpose) -> Option<Zeroizing<Vec<u8>>> {
    // All room at once: a buffer that grows leaves its former selves behind.
    let mut body = Zeroizing::new(Vec::with_capacity(text.len()));
    body.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut out = Zeroizing::new(vec![0; decoded_len_estimate(body.len())]);
    let length = engine.decode_slice(body.as_slice(), &mut out).ok()?;
    out.truncate(length);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_with_and_without_padding() {
        for text in ["+/8=", "+/8", " +/\n8=\r\n"] {
            assert_eq!(base64(text).unwrap().as_slice(), [0xfb, 0xff], "{text}");
        }
        assert_eq!(base64_url("-_8").unwrap().as_slice(), [0xfb, 0xff]);
        assert!(base64("-_8").is_none() && base64_url("+/8").is_none() && base64("a=b").is_none());
        assert_eq!(base64("").unwrap().len(), 0);
    }
}
