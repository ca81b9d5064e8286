//! Many readers beside one writer, over SQLite.
//!
//! A [`Manager`] owns the connections of one database, each on a thread of its own, and admits calls through one gate:
//! writes one after another, first in, first out; reads beside them, each on a snapshot of its own. Nothing here blocks the
//! thread that calls: answers arrive through futures, or through a [`completion::Sink`].
//!
//! The layers, top down: [`Manager`] and the leases; [`gate`], the admission gate; workers, which run statements;
//! [`connection`], which opens connections and decides what may run where.
#![deny(unsafe_code)]

mod cancel;
pub mod cell;
pub mod completion;
pub mod connection;
pub mod control;
mod cores;
pub mod error;
mod fitness;
pub mod gate;
mod json;
mod lease;
mod manager;
mod metrics;
mod mirror;
pub mod params;
pub mod query;
mod repeats;
pub mod rows;
mod session;
pub mod spares;
mod statement;
mod sync;
mod trace;
mod value;
mod worker;

pub use cancel::{Cancel, CancelReason};
pub use completion::{Channel, Delivery, Failure, Sink, Timed, Watched};
pub use connection::{Durability, Route};
pub use error::{Error, ErrorCode, Parameter, Result};
pub use gate::Concurrency;
pub use lease::{ExclusiveLease, ReadLease, RowSet, WriteLease};
pub use manager::{
    Bunch, CheckpointMode, CopyOptions, GroupLimits, HolderStatus, Inline, Manager, Options, ReadOrder, ReaderStatus,
    Status, WalStatus, WriterStatus,
};
pub use metrics::metric_names;
pub use mirror::Watch;
pub use params::Params;
pub use query::{Column, Integers, JsonRows, Outcome, Query, Request, Scope, Script, Take};
pub use session::{Behavior, Control, Cursor, PrivateHandle, Session, SessionKind, SessionLimits};
pub use value::Value;
pub use worker::Disposition;
