//! The values bound to a statement, packed once at the moment of the call and read once when they are bound.

use rusqlite::Statement;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use smallvec::SmallVec;

use crate::cell::{Cell, Tag, integer_of, tagged};
use crate::error::{Error, ErrorCode, Parameter, Result};
use crate::value::Value;

/// So many bytes of values are kept in place: four cells, or fewer and a short text.
const PACKED_IN_PLACE: usize = 32;

/// How the values of [`Params`] find their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsKind {
    /// None were given.
    None,
    /// In order, for `?` and `?NNN`.
    Positional,
    /// By name, for `:name`, `@name` and `$name`.
    Named,
}

/// The values of one call.
///
/// `cells` holds one 8-byte cell per value (see [`crate::cell`]; two per value when named, the name first; an integer
/// beyond the safe range is followed by its eight bytes), then the UTF-8 bytes of the texts, in order.
///
/// ```
/// use sluice_core::{Params, Value};
/// let positional = Params::positional([Value::from(1), Value::from("two")]);
/// let named = Params::named([("id", Value::from(1))]);
/// # assert_ne!(positional, named);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    kind: ParamsKind,
    count: u32,
    /// In place as long as they are few: what one thread allocates and another frees makes both wait.
    packed: SmallVec<[u8; PACKED_IN_PLACE]>,
    extras: Vec<Value>,
}

impl Default for Params {
    fn default() -> Self {
        Self::none()
    }
}

impl Params {
    /// Makes the parameters of a call that gives none.
    #[must_use]
    pub fn none() -> Self {
        Self { kind: ParamsKind::None, count: 0, packed: SmallVec::new(), extras: Vec::new() }
    }

    /// Makes positional parameters: the first value for the first `?`.
    #[must_use]
    pub fn positional(values: impl IntoIterator<Item = Value>) -> Self {
        let mut packer = Packer::default();
        let mut count = 0;
        for value in values {
            packer.push(value);
            count += 1;
        }
        packer.finish(ParamsKind::Positional, count)
    }

    /// Makes named parameters. A bare name fits `:name`, `@name` and `$name`; a prefixed one fits only itself.
    #[must_use]
    pub fn named<'a>(values: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let mut packer = Packer::default();
        let mut count = 0;
        for (name, value) in values {
            packer.push(Value::from(name));
            packer.push(value);
            count += 1;
        }
        packer.finish(ParamsKind::Named, count)
    }

    /// Copies values that were packed on the other side of the binding, and checks their form once.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidParameter`] when the bytes are not of the form described at [`Params`].
    pub fn from_packed(kind: ParamsKind, count: u32, packed: &[u8], extras: Vec<Value>) -> Result<Self> {
        expect_form(kind, count, packed, &extras)?;
        Ok(Self { kind, count, packed: SmallVec::from_slice(packed), extras })
    }

    /// Returns how the values find their parameters.
    #[must_use]
    pub fn kind(&self) -> ParamsKind {
        self.kind
    }

    /// Checks that no values were given, to a text that holds no statement.
    pub(crate) fn expect_empty(&self) -> Result<()> {
        if self.count == 0 { Ok(()) } else { ParameterNames::default().expect_positional(self.count as usize) }
    }

    /// Whether values that stand in `packed` can take the place of these: they are of the same kind, and as many.
    pub(crate) fn are_like(&self, packed: &PackedParams<'_>) -> bool {
        (self.kind, self.count) == (packed.kind, packed.count) && self.extras.is_empty()
    }

    /// The bytes of the values, if none travels apart.
    pub(crate) fn packed(&self) -> Option<PackedParams<'_>> {
        let Self { kind, count, packed, extras } = self;
        extras.is_empty().then_some(PackedParams { kind: *kind, count: *count, bytes: packed })
    }

    /// Makes some of other values, which are like these.
    pub(crate) fn with(&self, bytes: &[u8]) -> Self {
        Self { kind: self.kind, count: self.count, packed: SmallVec::from_slice(bytes), extras: Vec::new() }
    }

    /// Puts other values, which are like these, in their place.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        self.packed.clear();
        self.packed.extend_from_slice(bytes);
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.packed, &self.extras, cell_values(self.kind, self.count))
    }

    /// Binds the values to `statement`, whose earlier bindings are gone.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidParameter`] naming the parameter that is missing, superfluous, unknown, mixed or given twice.
    pub(crate) fn bind(&self, statement: &mut Statement<'_>, names: &ParameterNames) -> Result<()> {
        match self.kind {
            ParamsKind::None => names.expect_none(),
            ParamsKind::Positional => self.bind_positional(statement, names),
            ParamsKind::Named => self.bind_named(statement, names),
        }
    }

    fn bind_positional(&self, statement: &mut Statement<'_>, names: &ParameterNames) -> Result<()> {
        let given = self.count as usize;
        names.expect_positional(given)?;
        let mut reader = self.reader();
        for index in 1..=given {
            let value = reader.next_value().expect("BUG: the form was checked when the values were packed");
            bind_one(statement, index, value)?;
        }
        Ok(())
    }

    fn bind_named(&self, statement: &mut Statement<'_>, names: &ParameterNames) -> Result<()> {
        names.expect_all_named()?;
        let mut reader = self.reader();
        let mut bound = vec![false; names.len()];
        for _ in 0..self.count {
            let (Some(ValueRef::Text(name)), Some(value)) = (reader.next_value(), reader.next_value()) else {
                return Err(malformed());
            };
            let name = String::from_utf8_lossy(name);
            let mut known = false;
            for index in names.matching(&name) {
                if std::mem::replace(&mut bound[index - 1], true) {
                    let message = format!("parameter '{}' is given twice", names.label(index));
                    return Err(invalid(message).about(names.place(index)));
                }
                bind_one(statement, index, value)?;
                known = true;
            }
            if !known {
                let message = format!("unknown parameter '{name}': the statement has {}", names.list());
                return Err(invalid(message).about(Parameter::Name(name.into())));
            }
        }
        let Some(missing) = bound.iter().position(|bound| !bound).map(|at| at + 1) else { return Ok(()) };
        let message = format!("missing a value for parameter '{}'", names.label(missing));
        Err(invalid(message).about(names.place(missing)))
    }
}

/// The values of one call as they were packed, none of which travels apart: see [`Params`].
#[derive(Clone, Copy, Debug)]
pub struct PackedParams<'a> {
    kind: ParamsKind,
    count: u32,
    bytes: &'a [u8],
}

impl<'a> PackedParams<'a> {
    /// Checks their form.
    ///
    /// # Errors
    /// As [`Params::from_packed`].
    pub fn new(kind: ParamsKind, count: u32, bytes: &'a [u8]) -> Result<Self> {
        expect_form(kind, count, bytes, &[])?;
        Ok(Self { kind, count, bytes })
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// In how many cells the values are, if no integer takes two.
fn cell_values(kind: ParamsKind, count: u32) -> usize {
    let count = count as usize;
    match kind {
        ParamsKind::None => 0,
        ParamsKind::Positional => count,
        ParamsKind::Named => count * 2,
    }
}

fn expect_form(kind: ParamsKind, count: u32, packed: &[u8], extras: &[Value]) -> Result<()> {
    let values = cell_values(kind, count);
    let mut reader = Reader::new(packed, extras, values);
    for _ in 0..values {
        reader.next_value().ok_or_else(malformed)?;
    }
    if reader.text_end() == packed.len() { Ok(()) } else { Err(malformed()) }
}

fn bind_one(statement: &mut Statement<'_>, index: usize, value: ValueRef<'_>) -> Result<()> {
    statement.raw_bind_parameter(index, Borrowed(value)).map_err(|error| Error::from_sqlite(&error))
}

struct Borrowed<'a>(ValueRef<'a>);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

fn malformed() -> Error {
    invalid("the packed parameters are malformed".to_owned())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidParameter, message)
}

/// The parameters of a prepared statement, as SQLite names them: <https://sqlite.org/c3ref/bind_parameter_name.html>.
#[derive(Debug, Default)]
pub(crate) struct ParameterNames(Vec<Option<Box<str>>>);

impl ParameterNames {
    pub(crate) fn of(statement: &Statement<'_>) -> Self {
        Self((1..=statement.parameter_count()).map(|index| statement.parameter_name(index).map(Box::from)).collect())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> String {
        self.0[index - 1].as_deref().map_or_else(|| index.to_string(), str::to_owned)
    }

    fn place(&self, index: usize) -> Parameter {
        self.0[index - 1].clone().map_or(Parameter::Index(index), Parameter::Name)
    }

    fn list(&self) -> String {
        let labels: Vec<_> = self.0.iter().flatten().map(|name| format!("'{name}'")).collect();
        if labels.is_empty() { "no named parameters".to_owned() } else { labels.join(", ") }
    }

    /// The indices, from 1, of the parameters that `name` stands for.
    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let fits = move |own: &str| own == name || own.get(1..) == Some(name);
        self.0.iter().enumerate().filter(move |(_, own)| own.as_deref().is_some_and(fits)).map(|(at, _)| at + 1)
    }

    fn first_named(&self) -> Option<&str> {
        self.0.iter().flatten().map(AsRef::as_ref).find(|name| !name.starts_with('?'))
    }

    pub(crate) fn expect_none(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let message = match self.len() {
            1 => format!("the statement has a parameter, '{}', and no value was given", self.label(1)),
            many => format!(
                "the statement has {many} parameters, the first of them '{}', and no values were given",
                self.label(1)
            ),
        };
        Err(invalid(message).about(self.place(1)))
    }

    fn expect_positional(&self, given: usize) -> Result<()> {
        if let Some(name) = self.first_named() {
            let message = format!("parameter '{name}' has a name: give the values as an object, not as an array");
            return Err(invalid(message).about(Parameter::Name(name.into())));
        }
        let expected = self.len();
        match given.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                let missing = given + 1;
                let message = format!("missing a value for parameter {missing}: {expected} expected, {given} given");
                Err(invalid(message).about(Parameter::Index(missing)))
            }
            std::cmp::Ordering::Greater => {
                let surplus = expected + 1;
                let message = format!("there is no parameter {surplus}: {expected} expected, {given} given");
                Err(invalid(message).about(Parameter::Index(surplus)))
            }
        }
    }

    fn expect_all_named(&self) -> Result<()> {
        let anonymous = |name: &Option<Box<str>>| name.as_deref().is_none_or(|name| name.starts_with('?'));
        let Some(index) = self.0.iter().position(anonymous).map(|at| at + 1) else { return Ok(()) };
        let message =
            format!("parameter {index} has no name: give the values as an array, and do not mix it with named ones");
        Err(invalid(message).about(Parameter::Index(index)))
    }
}

/// Reads packed values in order.
struct Reader<'a> {
    packed: &'a [u8],
    extras: &'a [Value],
    cell: usize,
    text: usize,
}

impl<'a> Reader<'a> {
    fn new(packed: &'a [u8], extras: &'a [Value], values: usize) -> Self {
        let mut cell = 0;
        for _ in 0..values {
            let wide = matches!(read_cell(packed, cell), Some(Cell::Tagged(Tag::Int64, _)));
            cell += if wide { 2 } else { 1 };
        }
        Self { packed, extras, cell: 0, text: cell * 8 }
    }

    fn next_value(&mut self) -> Option<ValueRef<'a>> {
        let cell = read_cell(self.packed, self.cell)?;
        self.cell += 1;
        match cell {
            Cell::Number(number) => Some(integer_of(number).map_or(ValueRef::Real(number), ValueRef::Integer)),
            Cell::Tagged(Tag::Null, _) => Some(ValueRef::Null),
            Cell::Tagged(Tag::Text, length) => {
                let end = self.text.checked_add(length as usize)?;
                let text = self.packed.get(self.text..end)?;
                self.text = end;
                Some(ValueRef::Text(text))
            }
            Cell::Tagged(Tag::Int64, _) => {
                let integer = read_u64(self.packed, self.cell)?.cast_signed();
                self.cell += 1;
                Some(ValueRef::Integer(integer))
            }
            Cell::Tagged(Tag::Extra, index) => self.extras.get(index as usize).map(Value::as_ref),
            Cell::Tagged(Tag::Blob | Tag::Remembered | Tag::Again, _) => None,
        }
    }

    fn text_end(&self) -> usize {
        self.text
    }
}

fn read_u64(packed: &[u8], cell: usize) -> Option<u64> {
    let bytes = packed.get(cell * 8..cell * 8 + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().expect("BUG: eight bytes")))
}

fn read_cell(packed: &[u8], cell: usize) -> Option<Cell> {
    read_u64(packed, cell).and_then(Cell::from_bits)
}

#[derive(Default)]
struct Packer {
    cells: Vec<u8>,
    extras: Vec<Value>,
}

impl Packer {
    fn push(&mut self, value: Value) {
        match value {
            Value::Null => self.cell(tagged(Tag::Null, 0)),
            Value::Integer(integer) => {
                self.cell(tagged(Tag::Int64, 0));
                self.cell(integer.cast_unsigned());
            }
            // SQLite makes NULL of a NaN.
            Value::Real(number) if number.is_nan() => self.cell(tagged(Tag::Null, 0)),
            Value::Real(number) if integer_of(number).is_none() => self.cell(number.to_bits()),
            // As a plain cell a whole REAL would be taken for an INTEGER.
            Value::Real(_) | Value::Text(_) | Value::Blob(_) => self.extra(value),
        }
    }

    fn cell(&mut self, bits: u64) {
        self.cells.extend_from_slice(&bits.to_le_bytes());
    }

    fn extra(&mut self, value: Value) {
        let index = u32::try_from(self.extras.len()).expect("BUG: more values than SQLite has parameters");
        self.cell(tagged(Tag::Extra, index));
        self.extras.push(value);
    }

    fn finish(self, kind: ParamsKind, count: u32) -> Params {
        Params { kind, count, packed: SmallVec::from_vec(self.cells), extras: self.extras }
    }
}
