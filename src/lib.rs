//! The Node-API binding of Sluice: it carries calls and results between JavaScript and `sluice-core`, and decides nothing.

mod channel;
mod config;
mod database;
mod failure;
mod inbox;
mod logs;
mod memory;
mod mirror;
mod request;
mod requests;
mod session;
mod status;
mod wake;

use napi_derive::napi;

/// Returns the version of the bundled SQLite, such as `3.54.1`.
#[napi]
#[must_use]
pub fn sqlite_version() -> &'static str {
    sluice_core::connection::build::sqlite_version()
}

/// Returns the options that the bundled SQLite was compiled with: <https://sqlite.org/compile.html>.
#[napi]
#[must_use]
pub fn compile_options() -> Vec<String> {
    sluice_core::connection::build::compile_options()
}

/// Returns the bytes that SQLite holds in the process; -1 where that is not counted, as in the package.
#[napi]
#[must_use]
pub fn memory_used() -> f64 {
    let bytes = sluice_core::connection::memory_used().and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map_or(-1.0, status::count)
}

/// Gives free memory back to the system, and returns the bytes that the process has allocated with `malloc`; -1 where that is not counted,
/// as in the package.
#[napi]
#[must_use]
pub fn trim_memory() -> f64 {
    let bytes = sluice_core::connection::trim_memory().and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map_or(-1.0, status::count)
}

/// Returns every name of a metric.
#[napi]
#[must_use]
pub fn metric_names() -> Vec<String> {
    sluice_core::metric_names()
}

/// Returns the word of `known` that `word` was probably meant to be.
#[napi]
#[must_use]
pub fn suggest(word: String, known: Vec<String>) -> Option<String> {
    const CLOSE: f64 = 0.8;
    let scored = known.into_iter().map(move |known| (strsim::jaro_winkler(&word, &known), known));
    scored.filter(|(score, _)| *score >= CLOSE).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}
