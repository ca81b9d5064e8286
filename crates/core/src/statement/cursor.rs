//! A statement that is stepped bit by bit.

use std::sync::Arc;

use super::{Cached, Statements, explain, refresh_shape};
use crate::connection::{PolicedConnection, Policy};
use crate::error::Result;
use crate::query::{Query, Request, Shape};
use crate::rows::{Chunk, Encoder, Limits};

/// A statement between two fetches. Put it back with [`Statements::close`].
pub(crate) struct Suspended<'c> {
    connection: &'c PolicedConnection,
    cached: Cached<'c>,
    query: Arc<Query>,
    integers: crate::query::Integers,
    limits: Limits,
    policy: Policy,
}

/// What a fetch brought.
pub(crate) struct Fetched {
    pub(crate) shape: Arc<Shape>,
    /// The rows that were not sent ahead.
    pub(crate) chunk: Option<Box<Chunk>>,
    /// Whether there may be more.
    pub(crate) more: bool,
}

impl<'c> Suspended<'c> {
    pub(super) fn new(
        connection: &'c PolicedConnection,
        cached: Cached<'c>,
        request: &Request,
        limits: Limits,
        policy: Policy,
    ) -> Self {
        let (query, integers) = (Arc::clone(&request.query), request.integers);
        Self { connection, cached, query, integers, limits, policy }
    }

    /// Steps on, for `rows` rows at most. Full chunks go to `emit`, which returns `false` to stop.
    ///
    /// # Errors
    /// SQLite's, and those of encoding; the statement must be closed then.
    pub(crate) fn fetch(
        &mut self,
        rows: usize,
        emit: &mut dyn FnMut(&Arc<Shape>, Box<Chunk>) -> bool,
    ) -> Result<Fetched> {
        let connection = self.connection;
        connection.authorizer().clear();
        let _policy = connection.with_policy(self.policy);
        self.step(rows, emit).map_err(|error| explain(connection, error))
    }

    fn step(&mut self, wanted: usize, emit: &mut dyn FnMut(&Arc<Shape>, Box<Chunk>) -> bool) -> Result<Fetched> {
        let Cached { statement, shape, reprepares, .. } = &mut self.cached;
        let Some(statement) = statement else {
            return Ok(Fetched { shape: Arc::clone(shape), chunk: None, more: false });
        };
        let mut encoder: Option<Encoder> = None;
        let mut rows = statement.present_rows();
        let mut more = false;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => {
                    refresh_shape(shape, reprepares, row.statement(), &self.query);
                    none.insert(Encoder::new(Arc::clone(shape), self.integers, self.limits, Box::new(Chunk::new())))
                }
            };
            if encoder.is_full() {
                let chunk = encoder.take();
                if !emit(encoder.shape(), chunk) {
                    break;
                }
            }
            encoder.push(row)?;
            count += 1;
            if count == wanted {
                more = true;
                break;
            }
        }
        if more {
            // Dropping it would reset the statement.
            std::mem::forget(rows);
        } else {
            drop(rows);
        }
        if let Some(encoder) = encoder {
            return Ok(Fetched { shape: Arc::clone(encoder.shape()), chunk: Some(encoder.finish()), more });
        }
        refresh_shape(shape, reprepares, statement, &self.query);
        Ok(Fetched { shape: Arc::clone(shape), chunk: None, more })
    }
}

impl<'c> Statements<'c> {
    /// Resets the statement of a cursor, and keeps it for whoever runs it next.
    pub(crate) fn close(&mut self, suspended: Suspended<'c>) {
        let Suspended { mut cached, query, .. } = suspended;
        if let Some(statement) = &mut cached.statement {
            drop(statement.raw_query());
            statement.clear_bindings();
        }
        self.keep(&query, cached);
    }
}
