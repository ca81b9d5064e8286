//! Memory that JavaScript owns and both sides read and write: the request buffer and the inbox.
#![expect(unsafe_code, reason = "one call into N-API per request instead of one per value needs the bytes themselves")]

use std::ptr;

use napi::bindgen_prelude::ArrayBuffer;
use napi::{Env, JsValue, Result, check_status, sys};

/// An `ArrayBuffer` that is kept alive, and whose bytes stay where they are.
pub(crate) struct SharedMemory {
    bytes: *mut u8,
    length: usize,
    /// Keeps the buffer, and so its bytes. Deleted by `release`; what is left goes with the environment.
    owner: sys::napi_ref,
}

impl SharedMemory {
    /// Takes a buffer, which its maker must never transfer or detach.
    pub(crate) fn new(env: &Env, buffer: &ArrayBuffer<'_>) -> Result<Self> {
        let mut bytes = ptr::null_mut();
        let mut length = 0;
        let mut owner = ptr::null_mut();
        // SAFETY: `env` and `buffer` are of the current call on the JavaScript thread, and the pointers are to locals.
        unsafe {
            check_status!(sys::napi_get_arraybuffer_info(env.raw(), buffer.raw(), &raw mut bytes, &raw mut length))?;
            check_status!(sys::napi_create_reference(env.raw(), buffer.raw(), 1, &raw mut owner))?;
        }
        Ok(Self { bytes: bytes.cast(), length, owner })
    }

    /// Returns the bytes, to be read during a call on the JavaScript thread.
    pub(crate) fn bytes(&self, _env: &Env) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the reference keeps the buffer alive, and `js/channel.ts`, which alone holds it, never detaches it. JavaScript
        // does not run while this thread is inside a native call, as `_env` shows, so nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }

    /// Returns the bytes, to be written during a call on the JavaScript thread.
    pub(crate) fn bytes_mut(&mut self, _env: &Env) -> &mut [u8] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: as in `bytes`; `&mut self` excludes a second borrow from Rust.
        unsafe { std::slice::from_raw_parts_mut(self.bytes, self.length) }
    }

    /// Lets the buffer go.
    pub(crate) fn release(self, env: &Env) {
        // SAFETY: the reference was made in this environment and is deleted once, because `self` ends here.
        unsafe {
            sys::napi_delete_reference(env.raw(), self.owner);
        }
    }
}
