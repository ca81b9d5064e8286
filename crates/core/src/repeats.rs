//! Short texts that come again and again in a column, such as names of countries or states of an order: each crosses once per chunk, and
//! is one string on the other side.

/// The most bytes of a text that is looked up. So many fit two words.
pub(crate) const REPEAT_BYTES: usize = 16;
/// The bit of each byte of a word that ASCII leaves clear.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// How many texts are known at a time.
const SLOTS: usize = 64;
/// How many more texts of a column may be new than known before the column is looked up no more.
const PATIENCE: u8 = 32;

/// A short text as two words, which together with its length are all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Short {
    low: u64,
    high: u64,
    length: u32,
}

impl Short {
    /// Takes a text of at most [`REPEAT_BYTES`].
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let length = u32::try_from(bytes.len()).ok()?;
        let (low, high) = match bytes {
            [] => (0, 0),
            // For one and two bytes some stand twice.
            [first, .., last] if bytes.len() < 4 => (word(&[*first, bytes[bytes.len() / 2], *last]), 0),
            [only] => (u64::from(*only), 0),
            _ if bytes.len() <= 8 => (word(&bytes[..4]), word(&bytes[bytes.len() - 4..])),
            _ if bytes.len() <= REPEAT_BYTES => (word(&bytes[..8]), word(&bytes[bytes.len() - 8..])),
            _ => return None,
        };
        Some(Self { low, high, length })
    }

    /// Whether it is all ASCII, which two words tell sooner than so many bytes.
    #[inline]
    pub(crate) fn is_ascii(self) -> bool {
        (self.low | self.high) & HIGH_BITS == 0
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// What is known of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It came before in its column: the index among the remembered texts of the chunk.
    Again(u32),
    /// It is new, and remembered from now on.
    Remembered,
    /// It is not looked up.
    Unknown,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    text: Short,
    /// The column, counted from 1; 0 while the slot is free.
    column: u32,
    index: u32,
}

/// The texts of a chunk that are known.
#[derive(Default)]
pub(crate) struct Repeats {
    slots: Vec<Slot>,
    /// By column, how many new texts it may still have.
    patience: Vec<u8>,
    remembered: u32,
}

impl Repeats {
    /// Looks up a text of a column, and remembers it if it is new.
    #[inline]
    pub(crate) fn find(&mut self, text: Short, column: usize, columns: usize) -> Repeat {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
            self.patience.resize(columns, PATIENCE);
        }
        let patience = &mut self.patience[column];
        if *patience == 0 {
            return Repeat::Unknown;
        }
        let column = u32::try_from(column + 1).expect("BUG: a statement has fewer columns");
        let slot = &mut self.slots[slot_of(text, column)];
        if slot.column == column && slot.text == text {
            *patience = (*patience + 1).min(PATIENCE);
            return Repeat::Again(slot.index);
        }
        *patience -= 1;
        *slot = Slot { text, column, index: self.remembered };
        self.remembered += 1;
        Repeat::Remembered
    }

    /// Begins another chunk: nothing came before, but what was learnt about the columns stays.
    pub(crate) fn forget(&mut self) {
        self.remembered = 0;
        self.slots.fill(Slot::default());
    }
}

#[inline]
fn slot_of(text: Short, column: u32) -> usize {
    let mixed = text.low ^ text.high.rotate_left(29) ^ u64::from(text.length << 16 ^ column).rotate_left(47);
    // The upper bits of a product depend on all bits of the factor.
    let slot = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS.trailing_zeros());
    usize::try_from(slot).expect("BUG: there are few slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_are_one_only_if_they_have_the_same_bytes() {
        let texts: Vec<Vec<u8>> = (0..=REPEAT_BYTES)
            .flat_map(|length| {
                let plain = vec![b'a'; length];
                let changed = (0..length).map(move |at| {
                    let mut text = vec![b'a'; length];
                    text[at] = 0;
                    text
                });
                std::iter::once(plain).chain(changed)
            })
            .collect();
        for (one, first) in texts.iter().enumerate() {
            for (other, second) in texts.iter().enumerate() {
                assert_eq!(Short::of(first) == Short::of(second), one == other, "{first:?} {second:?}");
            }
        }
        assert_eq!(Short::of(&[b'a'; REPEAT_BYTES + 1]), None);
    }

    #[test]
    fn each_byte_of_a_text_that_is_not_ascii_is_seen() {
        for length in 0..=REPEAT_BYTES {
            let ascii = vec![0x7F; length];
            assert!(Short::of(&ascii).is_some_and(Short::is_ascii));
            for at in 0..length {
                let mut text = ascii.clone();
                text[at] = 0x80;
                assert!(!Short::of(&text).is_some_and(Short::is_ascii), "{text:?}");
            }
        }
    }

    #[test]
    fn a_text_is_found_again_in_its_column_and_chunk_only() {
        let text = Short::of(b"DE").expect("it is short");
        let mut repeats = Repeats::default();
        assert_eq!(repeats.find(text, 0, 2), Repeat::Remembered);
        assert_eq!(repeats.find(text, 1, 2), Repeat::Remembered);
        assert_eq!(repeats.find(text, 0, 2), Repeat::Again(0));
        assert_eq!(repeats.find(text, 1, 2), Repeat::Again(1));
        repeats.forget();
        assert_eq!(repeats.find(text, 1, 2), Repeat::Remembered);
        assert_eq!(repeats.find(text, 1, 2), Repeat::Again(0));
    }

    #[test]
    fn a_column_of_ever_new_texts_is_given_up() {
        let mut repeats = Repeats::default();
        let kinds: Vec<Repeat> = (0..100_u32)
            .map(|number| repeats.find(Short::of(&number.to_le_bytes()).expect("it is short"), 0, 1))
            .collect();
        let remembered = usize::from(PATIENCE);
        assert!(kinds[..remembered].iter().all(|kind| *kind == Repeat::Remembered));
        assert!(kinds[remembered..].iter().all(|kind| *kind == Repeat::Unknown));
    }
}
