//! One who wants to know of changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::observer::Seen;
use crate::error::Result;
use crate::manager::{Manager, Shared, closed};

/// Tells of changes of a database, made by whomever. Dropping it ends the watching.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sluice_core::Result<()> {
/// use std::time::Duration;
/// use sluice_core::{Manager, Options, Params};
/// let manager = Manager::open(":memory:", Options::default()).await?;
/// let mut watch = manager.watch(Duration::from_millis(250)).await?;
/// manager.query("CREATE TABLE t(x)", Params::none()).await?;
/// watch.changed().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    number: u64,
    seen: watch::Receiver<Seen>,
}

impl Manager {
    /// Begins to watch the database. A commit of this process is seen at once. For those of others the file is looked at every `poll`; in
    /// memory there are no others.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed); those of waiting for a reader, and of opening one.
    ///
    /// # Cancel safety
    /// Dropping the future ends the watching.
    pub async fn watch(&self, poll: Duration) -> Result<Watch> {
        if self.is_closed() {
            return Err(closed());
        }
        let shared = Arc::clone(self.shared());
        let (number, seen) = shared.observer.begin(&shared, poll);
        let mut watch = Watch { shared, number, seen };
        watch.shared.observer.look(&watch.shared).await?;
        watch.forget();
        Ok(watch)
    }
}

impl Watch {
    /// Waits until the database was changed since the last time this returned, or since the watching began. Changes that were not
    /// waited for are one.
    ///
    /// # Errors
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed) once the database closes.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change.
    pub async fn changed(&mut self) -> Result<()> {
        if self.seen.borrow().ended || self.seen.changed().await.is_err() || self.seen.borrow().ended {
            return Err(closed());
        }
        Ok(())
    }

    /// Takes the changes that were seen so far as told.
    pub fn forget(&mut self) {
        self.seen.mark_unchanged();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.observer.leave(self.number);
    }
}
