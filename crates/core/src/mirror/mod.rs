//! Seeing that a database was changed: by this process at once, by others when the file is looked at next.
//!
//! It is what tells a copy in memory that it is out of date. Nothing is looked at, and no connection is open, while nobody watches.

mod observer;
mod watch;

pub(crate) use observer::Observer;
pub use watch::Watch;
