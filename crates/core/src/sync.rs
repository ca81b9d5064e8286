//! The primitives the admission gate is built on, so that the same gate runs under a model checker.
//!
//! Normally the lock is `parking_lot`'s and thread-local storage is the standard library's. With the Cargo feature
//! `model-check` both are loom's, which runs every interleaving: see `tests/gate_model.rs`. A feature and not `--cfg loom`,
//! because the latter rebuilds every dependency that knows the word.

#[cfg(feature = "model-check")]
pub(crate) use self::model::Mutex;
#[cfg(feature = "model-check")]
pub(crate) use loom::thread_local;
#[cfg(not(feature = "model-check"))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(feature = "model-check"))]
pub(crate) use std::thread_local;

#[cfg(feature = "model-check")]
mod model {
    /// Gives loom's mutex the shape of `parking_lot`'s: `lock` returns the guard itself.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("BUG: a model thread panicked while it held the gate")
        }
    }
}
