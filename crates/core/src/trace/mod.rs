//! Log events: what happens, as events of the `tracing` crate, for whoever subscribes to them.
//!
//! Every target begins with `sluice::`, and every event names its `database`. An event that nobody asked for costs one look at a
//! number: its fields are not even made.

mod watch;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::Location;

pub(crate) use watch::{Stopwatch, is_told};

/// How much of a statement's text is told.
const SQL_CHARS: usize = 10_000;

/// The path under which events of in-memory databases are told.
const MEMORY: &str = ":memory:";

/// Which connection a thread has.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) database: Arc<str>,
    /// `writer`, `checkpointer`, or `reader.` and a number.
    pub(crate) worker: Arc<str>,
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Returns what events call a database: its path, or `:memory:`.
pub(crate) fn name(location: &Location) -> Cow<'_, str> {
    match location {
        Location::File(path) => path.to_string_lossy(),
        Location::Memory(_) => Cow::Borrowed(MEMORY),
    }
}

/// Says whose connection this thread has from now on, for the events on it.
pub(crate) fn enter_thread(location: &Location, worker: &Arc<str>) {
    let connection = Connection { database: name(location).into(), worker: Arc::clone(worker) };
    CONNECTION.with_borrow_mut(|known| *known = Some(connection));
}

/// Returns whose connection this thread has, if it has one.
pub(crate) fn connection() -> Option<Connection> {
    // A thread that ends may still have something to tell.
    CONNECTION.try_with(|known| known.try_borrow().ok().and_then(|known| known.clone())).ok().flatten()
}

/// Runs `tell` as if this thread were that of the connection `worker`.
pub(crate) fn on_behalf_of<R>(location: &Location, worker: Option<&Arc<str>>, tell: impl FnOnce() -> R) -> R {
    let before = CONNECTION.with_borrow_mut(Option::take);
    if let Some(worker) = worker {
        enter_thread(location, worker);
    }
    let told = tell();
    CONNECTION.with_borrow_mut(|known| *known = before);
    told
}

/// A statement's text, cut short if it is very long.
pub(crate) fn shortened(sql: &str) -> Cow<'_, str> {
    let cut = sql.char_indices().nth(SQL_CHARS).map(|(end, _)| format!("{}…", &sql[..end]));
    cut.map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// Tells of something on a thread that has a connection. The fields `database` and `worker` are its own.
macro_rules! tell {
    ($level:ident, $target:literal, $message:literal $(, $($fields:tt)*)?) => {
        if ::tracing::enabled!(target: $target, ::tracing::Level::$level) {
            let connection = $crate::trace::connection();
            let (database, worker) = connection.as_ref().map_or((None, None), |connection| {
                (Some(&*connection.database), Some(&*connection.worker))
            });
            ::tracing::event!(
                target: $target, ::tracing::Level::$level,
                database, worker, $($($fields)*,)? $message
            );
        }
    };
}

pub(crate) use tell;

/// Microseconds, with fractions.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds are exact for 104 days")]
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}
