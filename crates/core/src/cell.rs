//! The 8-byte cell in which values travel between the languages.
//!
//! A cell is the bit pattern of a double, unless its upper half is a tag. Tagged cells are NaNs that no arithmetic
//! produces, and SQLite has no NaN values, so a cell is never ambiguous. A reader on the other side loads a `Float64Array`
//! element and asks `v === v`: numbers need nothing else.

/// The largest integer that a double holds exactly together with all its neighbours: `Number.MAX_SAFE_INTEGER`.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// What the lower half of a tagged cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Tag {
    /// `NULL`; the lower half is 0.
    Null = 0xFFFF_0001,
    /// A text: its length in bytes (requests) or UTF-16 units (results).
    Text = 0xFFFF_0002,
    /// A blob: its length in bytes.
    Blob = 0xFFFF_0003,
    /// A 64-bit integer: its index among the integers carried apart.
    Int64 = 0xFFFF_0004,
    /// A value carried apart: its index.
    Extra = 0xFFFF_0005,
    /// As `Text`, in results: cells after it in the chunk may mean the same text.
    Remembered = 0xFFFF_0006,
    /// In results, a text of a cell before it: the index among the remembered ones of the chunk.
    Again = 0xFFFF_0007,
}

impl Tag {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 7] =
        [Self::Null, Self::Text, Self::Blob, Self::Int64, Self::Extra, Self::Remembered, Self::Again];
}

/// A cell, taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// A double.
    Number(f64),
    /// A tag and the lower half.
    Tagged(Tag, u32),
}

/// Returns the bits of a tagged cell.
#[must_use]
pub fn tagged(tag: Tag, payload: u32) -> u64 {
    (u64::from(tag as u32) << 32) | u64::from(payload)
}

impl Cell {
    /// Takes the bits of a cell apart. An unknown tag is a NaN, which cannot be carried: `None`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let number = f64::from_bits(bits);
        if !number.is_nan() {
            return Some(Self::Number(number));
        }
        let [upper, payload] =
            [bits >> 32, bits & 0xFFFF_FFFF].map(|half| u32::try_from(half).expect("BUG: half a cell"));
        let tag = upper.checked_sub(Tag::Null as u32).and_then(|tag| Tag::ALL.get(tag as usize));
        tag.map(|tag| Self::Tagged(*tag, payload))
    }
}

/// Returns the integer that `number` stands for, if SQLite should get an INTEGER: a safe integer that is not −0.
#[must_use]
pub fn integer_of(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "an `as` cast saturates, and what saturated is not safe")]
    let integer = number as i64;
    // Bit for bit: −0 is equal to 0, and another number.
    (is_safe(integer) && number_of(integer).to_bits() == number.to_bits()).then_some(integer)
}

/// Returns whether a double carries `integer` exactly and unmistakably.
#[must_use]
pub fn is_safe(integer: i64) -> bool {
    (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&integer)
}

/// Returns the double that carries a safe `integer`.
#[must_use]
pub fn number_of(integer: i64) -> f64 {
    debug_assert!(is_safe(integer), "BUG: {integer} is not carried exactly by a double");
    #[expect(clippy::cast_precision_loss, reason = "safe integers are exact")]
    let number = integer as f64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tags_never_meet() {
        for number in [0.0, -0.0, 1.5, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE] {
            assert_eq!(Cell::from_bits(number.to_bits()), Some(Cell::Number(number)));
        }
        for tag in Tag::ALL {
            assert_eq!(Cell::from_bits(tagged(tag, u32::MAX)), Some(Cell::Tagged(tag, u32::MAX)));
        }
        assert_eq!(Cell::from_bits(f64::NAN.to_bits()), None);
    }

    #[test]
    fn only_safe_integers_that_are_not_minus_zero_are_integers() {
        assert_eq!(integer_of(5.0), Some(5));
        assert_eq!(integer_of(number_of(-MAX_SAFE_INTEGER)), Some(-MAX_SAFE_INTEGER));
        for number in [-0.0, 0.5, 9_007_199_254_740_992.0, -9_007_199_254_740_992.0, f64::INFINITY, 1e300] {
            assert_eq!(integer_of(number), None, "{number}");
        }
    }
}
