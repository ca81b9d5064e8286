//! What stands before each value of a row.

use std::collections::HashMap;

use crate::query::{Column, JsonRows};

use super::text;

/// The values of a row in the order in which JavaScript lists them, and what stands before each.
#[derive(Debug)]
pub(crate) struct Fields {
    /// What stands before the values, one after another.
    before: Vec<u8>,
    fields: Vec<Field>,
    close: u8,
}

#[derive(Debug)]
struct Field {
    /// Where in `before` its part ends.
    end: usize,
    column: usize,
}

impl Fields {
    pub(crate) fn new(columns: &[Column], rows: JsonRows) -> Self {
        match rows {
            JsonRows::Objects => Self::of_objects(columns),
            JsonRows::Arrays => Self::of_arrays(columns.len()),
        }
    }

    fn of_objects(columns: &[Column]) -> Self {
        let mut before = Vec::new();
        let order = order_of_keys(columns);
        let fields = order.into_iter().enumerate().map(|(index, (name, column))| {
            before.push(if index == 0 { b'{' } else { b',' });
            text::write_str(&mut before, name);
            before.push(b':');
            Field { end: before.len(), column }
        });
        Self { fields: fields.collect(), before, close: b'}' }
    }

    fn of_arrays(columns: usize) -> Self {
        let before = (0..columns).map(|column| if column == 0 { b'[' } else { b',' }).collect();
        let fields = (0..columns).map(|column| Field { end: column + 1, column }).collect();
        Self { before, fields, close: b']' }
    }

    /// Lists what stands before each value, and the column that it is of.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut start = 0;
        self.fields.iter().map(move |Field { end, column }| {
            let before = &self.before[start..*end];
            start = *end;
            (before, *column)
        })
    }

    /// What stands behind the last value.
    pub(super) fn close(&self) -> u8 {
        self.close
    }
}

/// The names and columns of a row as an object of JavaScript has them: of columns with one name the last has the value, and the first the
/// place; names that are indices of an array come first, in the order of their numbers.
fn order_of_keys(columns: &[Column]) -> Vec<(&str, usize)> {
    let mut places = HashMap::with_capacity(columns.len());
    let mut keys: Vec<(&str, usize)> = Vec::with_capacity(columns.len());
    for (column, Column { name, .. }) in columns.iter().enumerate() {
        let place = *places.entry(&**name).or_insert(keys.len());
        match keys.get_mut(place) {
            Some((_, known)) => *known = column,
            None => keys.push((name, column)),
        }
    }
    // Stable: the others stay as they are.
    keys.sort_by_key(|(name, _)| array_index(name).map_or(u64::MAX, u64::from));
    keys
}

/// The number of a name that is an index of an array: digits without zeros before them, below 2^32 - 1.
fn array_index(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || name.starts_with(|first: char| matches!(first, '1'..='9'));
    if !is_canonical || name.len() > 10 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    name.parse().ok().filter(|index| *index < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |name: &&str| Column { name: (*name).into(), declared_type: None, table: None, origin: None };
        names.iter().map(column).collect()
    }

    #[test]
    fn keys_stand_in_the_order_of_javascript() {
        let columns = columns(&["b", "10", "a", "9", "b", "01", "0", "4294967295", "4294967294", "+1"]);
        let order = order_of_keys(&columns);
        let expected = [
            ("0", 6),
            ("9", 3),
            ("10", 1),
            ("4294967294", 8),
            ("b", 4),
            ("a", 2),
            ("01", 5),
            ("4294967295", 7),
            ("+1", 9),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn what_stands_before_the_values_closes_what_it_opens() {
        let columns = columns(&["a", "\"\n"]);
        let objects = Fields::new(&columns, JsonRows::Objects);
        assert_eq!(objects.iter().collect::<Vec<_>>(), [(&b"{\"a\":"[..], 0), (&b",\"\\\"\\n\":"[..], 1)]);
        let arrays = Fields::new(&columns, JsonRows::Arrays);
        assert_eq!(arrays.iter().collect::<Vec<_>>(), [(&b"["[..], 0), (&b","[..], 1)]);
        assert_eq!((objects.close(), arrays.close()), (b'}', b']'));
    }
}
