//! Numbers as JavaScript prints them.

/// The most characters of an integer of 64 bits.
const LONGEST: usize = "-9223372036854775808".len();

/// Writes an integer with all its digits.
pub(super) fn write_integer(to: &mut Vec<u8>, integer: i64) {
    let mut digits = [0; LONGEST];
    let mut start = LONGEST;
    let mut rest = integer.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("BUG: it is a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if integer < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    to.extend_from_slice(&digits[start..]);
}

/// Writes a REAL: the shortest digits that mean it, or `null` for an infinite one, as `JSON.stringify` does.
pub(super) fn write_real(to: &mut Vec<u8>, real: f64) {
    if real.is_finite() {
        to.extend_from_slice(ryu_js::Buffer::new().format_finite(real).as_bytes());
    } else {
        to.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        String::from_utf8(bytes).expect("it is ASCII")
    }

    #[test]
    fn integers_have_all_their_digits() {
        for integer in [0, 1, -1, 9, 10, -10, 1_234_567_890, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(written(|to| write_integer(to, integer)), integer.to_string());
        }
    }

    #[test]
    fn reals_are_printed_as_javascript_prints_them() {
        let expected = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1.5e-7, "1.5e-7"),
            (1e-6, "0.000001"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "null"),
            (f64::NEG_INFINITY, "null"),
        ];
        for (real, expected) in expected {
            assert_eq!(written(|to| write_real(to, real)), expected);
        }
    }
}
