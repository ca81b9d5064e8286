//! The control plane: one thread per process for timers and orderly closing. It never runs a statement.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// Returns the control plane's runtime, starting its thread at the first call.
///
/// # Panics
/// When the process cannot start a thread.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime =
            Builder::new_current_thread().enable_time().build().expect("the control runtime needs no resources");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("sluice:control".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("the process can start a thread");
        handle
    })
}

/// Runs `task` on the control plane. It must never block.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
    handle().spawn(task).abort_handle()
}
