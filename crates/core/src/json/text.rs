//! Texts and BLOBs as strings of JSON.

use crate::error::Result;
use crate::rows::too_large;

/// How many bytes are written before it is asked again whether the result is too large: a text may grow sixfold.
const PIECE_BYTES: usize = 64 * 1024;

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Writes a text as a string. What is no UTF-8 becomes U+FFFD, as everywhere.
///
/// # Errors
/// [`ErrorCode::TooLarge`](crate::ErrorCode::TooLarge) when there are more than `max_bytes` bytes then.
pub(super) fn write(to: &mut Vec<u8>, text: &[u8], max_bytes: usize) -> Result<()> {
    match std::str::from_utf8(text) {
        Ok(text) => write_valid(to, text, max_bytes),
        Err(_) => write_valid(to, &String::from_utf8_lossy(text), max_bytes),
    }
}

fn write_valid(to: &mut Vec<u8>, text: &str, max_bytes: usize) -> Result<()> {
    if text.len() <= PIECE_BYTES {
        write_str(to, text);
        return Ok(());
    }
    to.push(b'"');
    for piece in text.as_bytes().chunks(PIECE_BYTES) {
        if to.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        escape(to, piece);
    }
    to.push(b'"');
    Ok(())
}

/// Writes a text of which it is known that there is room for it.
pub(super) fn write_str(to: &mut Vec<u8>, text: &str) {
    to.reserve(text.len() + 2);
    to.push(b'"');
    escape(to, text.as_bytes());
    to.push(b'"');
}

/// Writes the characters of a string. All that are escaped are ASCII, so that the pieces of a text can be escaped one by one.
fn escape(to: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = first_escaped(text) {
        let (plain, rest) = text.split_at(at);
        to.extend_from_slice(plain);
        match rest[0] {
            byte @ (b'"' | b'\\') => to.extend_from_slice(&[b'\\', byte]),
            0x08 => to.extend_from_slice(br"\b"),
            b'\t' => to.extend_from_slice(br"\t"),
            b'\n' => to.extend_from_slice(br"\n"),
            0x0C => to.extend_from_slice(br"\f"),
            b'\r' => to.extend_from_slice(br"\r"),
            byte => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                to.extend_from_slice(br"\u00");
                to.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
        text = &rest[1..];
    }
    to.extend_from_slice(text);
}

/// Returns where the first byte is that cannot stand in a string as it is. Eight bytes are looked at together.
#[inline]
fn first_escaped(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = (below_space(word) | equal(word, b'"') | equal(word, b'\\')) & HIGH_BITS;
        if found != 0 {
            // Bits above the lowest may be set by a borrow from it.
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
    at.map(|at| words.len() * 8 + at)
}

#[inline]
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS * 0x20) & !word
}

#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let differing = word ^ (LOW_BITS * u64::from(byte));
    differing.wrapping_sub(LOW_BITS) & !differing
}

/// Writes a BLOB as a string in base64, with padding: <https://datatracker.ietf.org/doc/html/rfc4648#section-4>.
///
/// # Errors
/// [`ErrorCode::TooLarge`](crate::ErrorCode::TooLarge) when there are more than `max_bytes` bytes then.
pub(super) fn write_base64(to: &mut Vec<u8>, blob: &[u8], max_bytes: usize) -> Result<()> {
    let length = blob.len().div_ceil(3).saturating_mul(4).saturating_add(2);
    if to.len().saturating_add(length) > max_bytes {
        return Err(too_large(max_bytes));
    }
    to.reserve(length);
    to.push(b'"');
    let (triples, rest) = blob.as_chunks::<3>();
    for triple in triples {
        to.extend_from_slice(&digits(*triple));
    }
    match *rest {
        [one] => to.extend_from_slice(&padded(digits([one, 0, 0]), 2)),
        [one, two] => to.extend_from_slice(&padded(digits([one, two, 0]), 1)),
        _ => {}
    }
    to.push(b'"');
    Ok(())
}

#[inline]
fn digits([first, second, third]: [u8; 3]) -> [u8; 4] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u32::from_be_bytes([0, first, second, third]);
    [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
}

fn padded(mut digits: [u8; 4], count: usize) -> [u8; 4] {
    digits[4 - count..].fill(b'=');
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, text, usize::MAX).expect("there is room");
        String::from_utf8(bytes).expect("it is UTF-8")
    }

    fn base64(blob: &[u8]) -> String {
        let mut bytes = Vec::new();
        write_base64(&mut bytes, blob, usize::MAX).expect("there is room");
        String::from_utf8(bytes).expect("it is ASCII")
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for byte in 0..0x80_u8 {
            let escaped = match byte {
                b'"' => "\\\"".to_owned(),
                b'\\' => "\\\\".to_owned(),
                0x08 => "\\b".to_owned(),
                0x09 => "\\t".to_owned(),
                0x0A => "\\n".to_owned(),
                0x0C => "\\f".to_owned(),
                0x0D => "\\r".to_owned(),
                0..0x20 => format!("\\u{byte:04x}"),
                _ => char::from(byte).to_string(),
            };
            for before in 0..17 {
                let (before, after) = ("a".repeat(before), "é\u{2028}".repeat(before));
                let text = format!("{before}{}{after}", char::from(byte));
                assert_eq!(written(text.as_bytes()), format!("\"{before}{escaped}{after}\""));
            }
        }
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        assert_eq!(written(b"a\xFFb"), "\"a\u{FFFD}b\"");
        assert_eq!(written(b"\xED\xA0\x80"), "\"\u{FFFD}\u{FFFD}\u{FFFD}\"");
    }

    #[test]
    fn a_long_text_is_written_in_pieces_up_to_the_limit() {
        let text = "\0€".repeat(PIECE_BYTES);
        assert_eq!(written(text.as_bytes()), format!("\"{}\"", "\\u0000€".repeat(PIECE_BYTES)));
        let mut bytes = Vec::new();
        let error = write(&mut bytes, text.as_bytes(), 1_000).expect_err("it is too long");
        assert_eq!(error.code, crate::ErrorCode::TooLarge);
        assert!(bytes.len() <= 1_000 + 6 * PIECE_BYTES, "{}", bytes.len());
    }

    #[test]
    fn blobs_are_base64_with_padding() {
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, expected) in expected.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), format!("\"{expected}\""));
        }
        assert_eq!(base64(&[0xFB, 0xEF, 0xFF]), "\"++//\"");
        let error = write_base64(&mut vec![b'['], b"foo", 6).expect_err("it takes six bytes more");
        assert_eq!(error.code, crate::ErrorCode::TooLarge);
    }
}
