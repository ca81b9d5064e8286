//! Copies of a database in memory, and being told when they are out of date.

use std::cell::RefCell;
use std::sync::Arc;

use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::completion::Reply;
use sluice_core::{CopyOptions, Delivery, Error, ErrorCode, Manager, Result, Watch, control};

use crate::channel::OpenDatabase;
use crate::config::{duration, size};
use crate::database::{BindingDatabase, not_open};

#[napi]
impl BindingDatabase {
    /// Copies the database into memory. What it returns may be used once `call` is answered.
    #[napi]
    pub fn copy(&self, call: u32, max_bytes: f64, writable: bool) -> BindingDatabase {
        let copy = self.copy_to_be();
        let options = size("maxBytes", max_bytes).map(|bytes| CopyOptions { max_bytes: bytes as u64, writable });
        self.fill(&copy, call, |manager| async move { manager.copy(options?).await });
        copy
    }

    /// Makes a copy that can be read only, of a copy that can be written to, which is closed. It may be used once `call` is answered.
    #[napi]
    pub fn freeze(&self, call: u32) -> BindingDatabase {
        let frozen = self.copy_to_be();
        self.fill(&frozen, call, |manager| async move { manager.freeze().await });
        frozen
    }

    /// Begins to watch the database. Answers `call` when every change from now on is told.
    #[napi]
    pub fn watch(&self, call: u32, poll_ms: f64) -> BindingWatch {
        let reply = self.requests().reply(call);
        let state = Arc::new(Mutex::new(Place::Away));
        let watch =
            BindingWatch { state: Arc::clone(&state), requests: self.requests().clone(), stop: RefCell::new(None) };
        let Some(manager) = self.opened().get().cloned() else {
            reply.fail(not_open());
            return watch;
        };
        let task = async move {
            let told = Told(Some(reply));
            let begun = match duration("pollMs", poll_ms) {
                Ok(poll) => manager.watch(poll).await,
                Err(error) => Err(error),
            };
            told.tell(begun.map(|watch| come_back(&state, watch)));
        };
        watch.run(task);
        watch
    }
}

impl BindingDatabase {
    /// Has `copy` be what comes of `make`.
    fn fill<F>(&self, copy: &BindingDatabase, call: u32, make: impl FnOnce(Manager) -> F)
    where
        F: Future<Output = Result<Manager>> + Send + 'static,
    {
        let reply = self.requests().reply(call);
        let Some(manager) = self.opened().get().cloned() else { return reply.fail(not_open()) };
        let (making, database): (F, OpenDatabase) = (make(manager), Arc::clone(copy.opened()));
        control::spawn(async move {
            match making.await {
                Ok(manager) => {
                    let first = database.set(manager).is_ok();
                    debug_assert!(first, "BUG: a copy is made once");
                    reply.settle(Delivery::Done);
                }
                Err(error) => reply.fail(error),
            }
        });
    }
}

/// Tells of changes of a database. Collected, it ends.
#[napi]
pub struct BindingWatch {
    state: Arc<Mutex<Place>>,
    requests: crate::requests::Requests,
    /// Gives up what is waited for.
    stop: RefCell<Option<Box<dyn FnOnce()>>>,
}

#[napi]
impl BindingWatch {
    /// Answers `call` when the database was changed since the last answer, and fails when it closes or the watching has ended. One call at
    /// a time.
    #[napi]
    pub fn next(&self, call: u32) {
        let told = Told(Some(self.requests.reply(call)));
        let state = Arc::clone(&self.state);
        let mut place = self.state.lock();
        let Place::Here(mut watch) = std::mem::replace(&mut *place, Place::Ended) else { return };
        *place = Place::Away;
        drop(place);
        self.run(async move {
            let changed = watch.changed().await;
            come_back(&state, watch);
            told.tell(changed);
        });
    }

    /// Forgets the changes so far.
    #[napi]
    pub fn forget(&self) {
        if let Place::Here(watch) = &mut *self.state.lock() {
            watch.forget();
        }
    }

    /// Ends the watching.
    #[napi]
    pub fn close(&self) {
        if let Some(stop) = self.stop.borrow_mut().take() {
            stop();
        }
        let place = std::mem::replace(&mut *self.state.lock(), Place::Ended);
        drop(place);
    }
}

impl BindingWatch {
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = control::spawn(task);
        *self.stop.borrow_mut() = Some(Box::new(move || task.abort()));
    }
}

impl Drop for BindingWatch {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where a watch is.
enum Place {
    /// With the task that waits for a change.
    Away,
    Here(Watch),
    /// Nowhere any more.
    Ended,
}

/// Takes a watch back from the task that waited, unless the watching has ended.
fn come_back(state: &Mutex<Place>, watch: Watch) {
    let mut place = state.lock();
    match *place {
        Place::Away => *place = Place::Here(watch),
        Place::Here(_) | Place::Ended => {}
    }
}

/// An answer that is given in any case.
struct Told(Option<Reply>);

impl Told {
    fn tell(mut self, result: Result<()>) {
        let Some(reply) = self.0.take() else { return };
        match result {
            Ok(()) => reply.settle(Delivery::Done),
            Err(error) => reply.fail(error),
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
            reply.fail(Error::new(ErrorCode::Closed, "the watching has ended"));
        }
    }
}
