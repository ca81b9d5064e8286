//! I9: a panic fails its own job.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorCode, Result};
use crate::trace::tell;

/// Runs `work`, and makes an error of its panic.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = format!("the job panicked: {}", panic_message(payload.as_ref()));
        tell!(ERROR, "sluice::worker", "a job panicked", error = &*message);
        Error::new(ErrorCode::Panic, message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
