//! Errors and columns, as data for JavaScript.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use sluice_core::query::Shape;
use sluice_core::{Failure, Parameter};

/// Why a call failed.
#[napi(object, object_from_js = false)]
pub struct BindingFailure {
    /// `ERR_SLUICE_…`, or the name of SQLite's extended result code.
    pub code: String,
    /// SQLite's extended result code.
    pub errno: Option<i32>,
    /// Where in the SQL text, in bytes of UTF-8.
    pub offset: Option<u32>,
    /// One sentence.
    pub message: String,
    /// Which constraint failed, as SQLite names it.
    pub constraint: Option<String>,
    /// Which statement of a script, from 0.
    pub statement_index: Option<u32>,
    /// The parameter at fault: its name, or its index from 1.
    pub parameter: Option<Either<String, u32>>,
}

impl BindingFailure {
    pub fn new(failure: &Failure) -> Self {
        let error = &failure.error;
        Self {
            code: error.code_name().to_owned(),
            errno: error.extended_code,
            offset: error.offset,
            message: error.message.clone(),
            constraint: error.constraint().map(str::to_owned),
            statement_index: failure.statement.and_then(|statement| u32::try_from(statement).ok()),
            parameter: error.parameter.as_deref().and_then(place),
        }
    }
}

fn place(parameter: &Parameter) -> Option<Either<String, u32>> {
    match parameter {
        Parameter::Index(index) => u32::try_from(*index).ok().map(Either::B),
        Parameter::Name(name) => Some(Either::A(name.to_string())),
    }
}

/// The columns of a result.
#[napi(object, object_from_js = false)]
pub struct BindingShape {
    /// The number by which headers name it.
    pub id: u32,
    /// The names.
    pub names: Vec<String>,
    /// The declared types; null for expressions.
    pub declared_types: Vec<Option<String>>,
    /// The tables; null for expressions.
    pub tables: Vec<Option<String>>,
    /// The names in those tables; null for expressions.
    pub origins: Vec<Option<String>>,
}

impl BindingShape {
    pub fn new(shape: &Shape) -> Self {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let columns = shape.columns();
        Self {
            id: shape.id(),
            names: columns.iter().map(|column| column.name.clone().into()).collect(),
            declared_types: columns.iter().map(|column| owned(&column.declared_type)).collect(),
            tables: columns.iter().map(|column| owned(&column.table)).collect(),
            origins: columns.iter().map(|column| owned(&column.origin)).collect(),
        }
    }
}
