//! Waking the event loop from any thread, through a raw thread-safe function.
//!
//! The safe form of `napi` allocates for each call and knows no "one wake-up for many results".
#![expect(unsafe_code, reason = "the thread-safe function is handled raw, here and nowhere else")]

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::{Function, ToNapiValue};
use napi::{Env, JsValue, Result, check_status, sys};
use parking_lot::Mutex;

/// Calls one JavaScript function on its own thread, from anywhere.
pub(crate) struct Waker {
    /// `None` once the environment is going away.
    function: Mutex<Option<Handle>>,
}

#[derive(Clone, Copy)]
struct Handle(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function is made to be called from any thread; what must happen on the JavaScript thread (`refer`,
// `close`) takes an `Env`, which only that thread has. The lock orders calls before the release.
unsafe impl Send for Handle {}

impl Waker {
    /// Makes a waker that does not keep the event loop alive.
    pub(crate) fn new(env: &Env, callback: &Function<'_, (), ()>) -> Result<Self> {
        let mut function = ptr::null_mut();
        // SAFETY: `env` and `callback` are of the current call on the JavaScript thread. A null context and finalizer are
        // allowed; `call_js` has the asked signature. The queue is unlimited, so that a wake-up never blocks or fails for room.
        unsafe {
            let name = <&str as ToNapiValue>::to_napi_value(env.raw(), "sluice:completions")?;
            check_status!(sys::napi_create_threadsafe_function(
                env.raw(),
                callback.raw(),
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(call_js),
                &raw mut function,
            ))?;
            check_status!(sys::napi_unref_threadsafe_function(env.raw(), function))?;
        }
        Ok(Self { function: Mutex::new(Some(Handle(function))) })
    }

    /// Wakes the event loop. Does nothing once it is gone.
    pub(crate) fn wake(&self) {
        if let Some(Handle(function)) = *self.function.lock() {
            // SAFETY: the handle is live: `close` takes it away under this lock before it is released.
            unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }

    /// Lets the waker keep the event loop alive, or not.
    pub(crate) fn refer(&self, env: &Env, alive: bool) -> Result<()> {
        let Some(Handle(function)) = *self.function.lock() else { return Ok(()) };
        // SAFETY: on the JavaScript thread, as `env` shows, with a live handle.
        let status = unsafe {
            if alive {
                sys::napi_ref_threadsafe_function(env.raw(), function)
            } else {
                sys::napi_unref_threadsafe_function(env.raw(), function)
            }
        };
        check_status!(status)
    }

    /// Ends the waker: no call reaches the environment after this returned.
    pub(crate) fn close(&self) {
        if let Some(Handle(function)) = self.function.lock().take() {
            // SAFETY: the handle was live and is now out of everyone's reach.
            unsafe {
                sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort);
            }
        }
    }
}

/// Runs on the JavaScript thread for each wake-up.
unsafe extern "C" fn call_js(env: sys::napi_env, callback: sys::napi_value, _context: *mut c_void, _data: *mut c_void) {
    // Null while the environment is torn down.
    if env.is_null() || callback.is_null() {
        return;
    }
    // SAFETY: Node calls this on the JavaScript thread inside a handle scope, with a live `env` and the function given at
    // creation; the pointers are to locals.
    unsafe {
        let mut receiver = ptr::null_mut();
        if sys::napi_get_undefined(env, &raw mut receiver) != sys::Status::napi_ok {
            return;
        }
        let status = sys::napi_call_function(env, receiver, callback, 0, ptr::null(), ptr::null_mut());
        if status == sys::Status::napi_pending_exception {
            let mut exception = ptr::null_mut();
            if sys::napi_get_and_clear_last_exception(env, &raw mut exception) == sys::Status::napi_ok {
                sys::napi_fatal_exception(env, exception);
            }
        }
    }
}
