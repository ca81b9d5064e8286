//! One environment's end of the completion queue.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{ArrayBuffer, BufferSlice, Either5, Function, Uint8ArraySlice};
use napi::{Env, Error, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::completion::delivery_bytes;
use sluice_core::spares::Spent;
use sluice_core::{Cancel, CancelReason, Channel, Delivery, Manager, Sink, Value, Watched};

use crate::failure::{BindingFailure, BindingShape};
use crate::inbox::{Extra, INBOX_BYTES, Writer};
use crate::memory::SharedMemory;
use crate::wake::Waker;

/// How long an environment that goes away waits for its databases to close.
const TEARDOWN_PATIENCE: Duration = Duration::from_secs(1);

const WATCHED_NOTHING: i32 = 0;
const WATCHED_CROWDED: i32 = -1;

/// A database of this environment, once it is open.
pub(crate) type OpenDatabase = Arc<OnceLock<Manager>>;

/// The databases that this environment has opened.
type Registry = Vec<Weak<OnceLock<Manager>>>;

/// What the channel and its databases share on the JavaScript thread.
pub(crate) struct Shared {
    pub(crate) completions: Arc<Channel>,
    pub(crate) requests: RefCell<Option<SharedMemory>>,
    inbox: RefCell<Inbox>,
    /// What stops the calls that may be stopped, until they are answered.
    cancels: RefCell<HashMap<u32, Arc<Cancel>>>,
    /// Not owners: a handle that is collected closes its database.
    databases: Arc<Mutex<Registry>>,
}

/// Where results are laid out for JavaScript.
struct Inbox {
    memory: SharedMemory,
    /// What does not fit the memory.
    extras: Vec<Extra>,
    /// What has been laid out.
    spent: Spent,
}

impl Shared {
    /// Lays an answer out as the only one in the inbox: JavaScript has read what was there.
    pub(crate) fn put_alone(&self, env: Env, call: u32, delivery: Delivery) {
        let Inbox { memory, extras, spent } = &mut *self.inbox.borrow_mut();
        extras.clear();
        self.answered(call, &delivery);
        let mut writer = Writer::new(memory.bytes_mut(&env), extras, spent);
        writer.push(call, delivery);
        writer.finish();
    }

    /// Makes the means to stop `call`, if somebody may want to.
    pub(crate) fn cancel(&self, call: u32, cancellable: bool) -> Option<Arc<Cancel>> {
        if !cancellable {
            return None;
        }
        let cancel = Cancel::new();
        self.cancels.borrow_mut().insert(call, Arc::clone(&cancel));
        Some(cancel)
    }

    /// Forgets a call whose last answer goes out: its number may be given to another one.
    fn answered(&self, call: u32, delivery: &Delivery) {
        match delivery {
            Delivery::Rows(..) => {}
            Delivery::More(..) | Delivery::End(..) | Delivery::Failed(_) | Delivery::Done | Delivery::Timed(_) => {
                let mut cancels = self.cancels.borrow_mut();
                if !cancels.is_empty() {
                    cancels.remove(&call);
                }
            }
        }
    }

    /// Lets the environment's end close a database.
    pub(crate) fn register(&self, database: &OpenDatabase) {
        let mut databases = self.databases.lock();
        if databases.len() == databases.capacity() {
            databases.retain(|known| known.strong_count() > 0);
            // As many more may come before those that are gone are looked for again: each costs the same, however many there are.
            let live = databases.len();
            databases.reserve(live.max(16));
        }
        databases.push(Arc::downgrade(database));
    }
}

/// The completion queue of one environment.
#[napi]
pub struct BindingChannel {
    shared: Rc<Shared>,
    waker: Arc<Waker>,
    backlog: VecDeque<(u32, Delivery)>,
}

#[napi]
impl BindingChannel {
    /// Makes the channel. `onWake` is called when results are there; `inbox` is where `drain` puts them.
    #[napi(constructor)]
    pub fn new(env: Env, on_wake: Function<'_, (), ()>, inbox: ArrayBuffer<'_>) -> Result<Self> {
        if inbox.len() != INBOX_BYTES {
            return Err(Error::from_reason(format!("the inbox must have {INBOX_BYTES} bytes")));
        }
        let waker = Arc::new(Waker::new(&env, &on_wake)?);
        let wake = Arc::clone(&waker);
        let completions = Channel::new(move || wake.wake());
        let databases = Arc::new(Mutex::new(Vec::new()));
        env.add_env_cleanup_hook(
            (Arc::clone(&waker), Arc::clone(&completions), Arc::clone(&databases)),
            |(waker, completions, databases)| tear_down(&waker, &completions, &databases),
        )?;
        Ok(Self {
            shared: Rc::new(Shared {
                completions,
                requests: RefCell::new(None),
                inbox: RefCell::new(Inbox {
                    memory: SharedMemory::new(&env, &inbox)?,
                    extras: Vec::new(),
                    spent: Spent::default(),
                }),
                cancels: RefCell::default(),
                databases,
            }),
            waker,
            backlog: VecDeque::new(),
        })
    }

    /// Sets the buffer that requests are read from.
    #[napi]
    pub fn set_request_buffer(&self, env: Env, buffer: ArrayBuffer<'_>) -> Result<()> {
        let memory = SharedMemory::new(&env, &buffer)?;
        if let Some(before) = self.shared.requests.borrow_mut().replace(memory) {
            before.release(&env);
        }
        Ok(())
    }

    /// Moves finished results into the inbox. Returns how many headers there are; 0 means that the next result wakes again, unless the
    /// caller says that it comes again soon by itself.
    #[napi]
    pub fn drain(&mut self, env: Env, comes_again: bool) -> u32 {
        if self.backlog.is_empty() {
            if comes_again {
                self.shared.completions.take_watching(&mut self.backlog);
            } else {
                self.shared.completions.take(&mut self.backlog);
            }
        }
        let Inbox { memory, extras, spent } = &mut *self.shared.inbox.borrow_mut();
        extras.clear();
        let mut writer = Writer::new(memory.bytes_mut(&env), extras, spent);
        let mut bytes = 0;
        while let Some((call, delivery)) = self.backlog.pop_front() {
            if !writer.fits(&delivery) {
                self.backlog.push_front((call, delivery));
                break;
            }
            bytes += delivery_bytes(&delivery);
            self.shared.answered(call, &delivery);
            writer.push(call, delivery);
        }
        let headers = writer.finish();
        self.shared.completions.delivered(bytes);
        headers
    }

    /// Waits awake for results for so many microseconds, and moves them into the inbox, as `drain` does for a caller that comes again. Returns
    /// how many headers there are, or what else it came to, as `js/layout.ts` numbers it.
    #[napi]
    pub fn watch(&mut self, env: Env, patience_us: u32) -> i32 {
        let watched = if self.backlog.is_empty() {
            self.shared.completions.watch(Duration::from_micros(patience_us.into()))
        } else {
            Watched::Arrived
        };
        match watched {
            Watched::Arrived => self.drain(env, true).cast_signed(),
            Watched::Nothing => WATCHED_NOTHING,
            Watched::Crowded => WATCHED_CROWDED,
        }
    }

    /// Takes what the last `drain` could not put into the inbox.
    #[napi]
    pub fn take_extras<'env>(&mut self, env: &'env Env) -> Result<Vec<Crossing<'env>>> {
        self.shared.inbox.borrow_mut().extras.drain(..).map(|extra| cross(env, extra)).collect()
    }

    /// Stops a call that may be stopped, unless it has been answered.
    #[napi]
    pub fn cancel(&self, call: u32, timed_out: bool) {
        let cancel = self.shared.cancels.borrow().get(&call).cloned();
        if let Some(cancel) = cancel {
            cancel.cancel(if timed_out { CancelReason::TimedOut } else { CancelReason::Aborted });
        }
    }

    /// Does what the end of the environment does: stops deliveries, interrupts what runs, and closes the databases.
    ///
    /// Node runs no cleanup hooks when the main thread calls `process.exit` or throws.
    #[napi]
    pub fn tear_down(&self) {
        tear_down(&self.waker, &self.shared.completions, &self.shared.databases);
    }

    /// Keeps the event loop alive.
    #[napi(js_name = "ref")]
    pub fn refer(&self, env: Env) -> Result<()> {
        self.waker.refer(&env, true)
    }

    /// Lets the event loop end.
    #[napi(js_name = "unref")]
    pub fn unrefer(&self, env: Env) -> Result<()> {
        self.waker.refer(&env, false)
    }
}

impl BindingChannel {
    pub(crate) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }
}

type Crossing<'env> = Either5<String, Uint8ArraySlice<'env>, BindingFailure, BindingShape, BufferSlice<'env>>;

fn cross(env: &Env, extra: Extra) -> Result<Crossing<'_>> {
    Ok(match extra {
        Extra::Value(Value::Text(text)) => Either5::A(text),
        // A copy: memory of Rust's own could not be transferred to another thread, and Electron forbids it.
        Extra::Value(Value::Blob(blob)) => Either5::B(Uint8ArraySlice::copy_from(env, blob)?),
        Extra::Value(Value::Null | Value::Integer(_) | Value::Real(_)) => {
            unreachable!("BUG: a small value is in its cell")
        }
        // No copy, where external memory is allowed; under Electron it is not, and this makes one.
        Extra::Json(bytes) => Either5::E(BufferSlice::from_data(env, bytes)?),
        Extra::Failure(failure) => Either5::C(BindingFailure::new(&failure)),
        Extra::Shape(shape) => Either5::D(BindingShape::new(&shape)),
    })
}

/// The end of an environment: nothing is delivered any more, what it asked for is stopped, and its handles are closed.
fn tear_down(waker: &Waker, completions: &Arc<Channel>, databases: &Mutex<Registry>) {
    waker.close();
    completions.close();
    let databases = std::mem::take(&mut *databases.lock());
    let alive: Vec<_> = databases.iter().filter_map(Weak::upgrade).collect();
    let open: Vec<_> = alive.iter().filter_map(|database| database.get()).collect();
    let sink: Arc<dyn Sink> = Arc::clone(completions) as _;
    for manager in &open {
        manager.abandon(&sink);
        manager.begin_close(Duration::ZERO);
    }
    let deadline = std::time::Instant::now() + TEARDOWN_PATIENCE;
    for manager in open {
        let patience = deadline.saturating_duration_since(std::time::Instant::now());
        if !manager.wait_closed(patience) {
            break;
        }
    }
}
