//! Writes the frames of a commit to the write-ahead log together, with one call of the system.
//!
//! SQLite makes two calls for each page that was changed. In the commit of a group, which changes many, they take most of the time.
//! Here is a VFS (<https://sqlite.org/vfs.html>) that is the default one but for one thing: its write-ahead logs keep what a commit writes until
//! its last frame, which says so, and write it then. All other files are those of the default VFS.
//!
//! No guarantee changes. SQLite tells nobody of the frames of a commit before the last is written, and learns from that write whether
//! all could be. Whatever else is done with the log comes after what is kept: reading it, as a statement does whose changes did not fit the
//! cache, and syncing it. Only [`gather`] has anything kept, around a commit or a statement that is its own transaction: what is kept when
//! that has ended is of a transaction that was rolled back.
#![expect(unsafe_code, reason = "a VFS is a table of C functions, and rusqlite has no safe form of it")]

mod frames;

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{ptr, slice};

use rusqlite::ffi;

use self::frames::{Frames, Step};
use crate::error::{Error, ErrorCode, Result};

const NAME: &CStr = c"sluice";

thread_local! {
    /// Which commit this thread makes; 0 is none.
    static COMMIT: Cell<u64> = const { Cell::new(0) };
}

/// While this lives, what this thread commits is written together. By then the transaction has ended, or is rolled back.
#[must_use = "nothing is gathered after this is dropped"]
pub(crate) struct Gathering {
    is_outermost: bool,
    /// It is of its thread.
    _thread: PhantomData<*const ()>,
}

/// Begins a commit, or a statement that is its own transaction.
pub(crate) fn gather() -> Gathering {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let is_outermost = COMMIT.get() == 0;
    if is_outermost {
        COMMIT.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    Gathering { is_outermost, _thread: PhantomData }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if self.is_outermost {
            COMMIT.set(0);
        }
    }
}

/// The VFS that the others come from. SQLite never frees it.
struct Original(*mut ffi::sqlite3_vfs);

// SAFETY: the default VFS is made for use by any thread; <https://sqlite.org/c3ref/vfs.html>. It is read here, never written.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

static ORIGINAL: OnceLock<Option<Original>> = OnceLock::new();

/// Returns the name of the VFS, which is registered when this is first called.
///
/// # Errors
/// [`ErrorCode::SqliteBuild`] where SQLite has no default VFS.
pub(super) fn vfs() -> Result<&'static CStr> {
    let registered = ORIGINAL.get_or_init(register);
    let missing = || Error::new(ErrorCode::SqliteBuild, "SQLite has no VFS for files");
    registered.as_ref().map(|_| NAME).ok_or_else(missing)
}

fn register() -> Option<Original> {
    // SAFETY: without a name it returns the default VFS, or null; it initialises SQLite first.
    let original = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    // SAFETY: not null, so it is the VFS, which stays where it is.
    let copied = unsafe { original.as_ref() }?;
    let vfs = ffi::sqlite3_vfs {
        zName: NAME.as_ptr(),
        pNext: ptr::null_mut(),
        szOsFile: copied.szOsFile + OFFSET,
        xOpen: Some(open),
        ..*copied
    };
    // SAFETY: the table is never freed. Its functions are those of the original, which find what they need in `pAppData`; and `open`.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
    (code == ffi::SQLITE_OK).then_some(Original(original))
}

/// A write-ahead log. The file of the original VFS stands behind it, in the same memory.
#[repr(C)]
struct Log {
    base: ffi::sqlite3_file,
    frames: Frames,
}

/// Where the original's file begins.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a few dozen bytes")]
const OFFSET: c_int = size_of::<Log>().next_multiple_of(8) as c_int;

impl Log {
    /// Writes what is kept. It stays when that fails: SQLite may only go on when it is written.
    fn write_kept(&mut self) -> c_int {
        let inner = ptr::from_mut(self).cast();
        let Some((bytes, start)) = self.frames.kept() else { return ffi::SQLITE_OK };
        // SAFETY: `self` is the file that SQLite gave to one of the functions below.
        let code = unsafe { write_inner(inner, bytes.as_ptr().cast(), amount_of(bytes), start) };
        if code == ffi::SQLITE_OK {
            self.frames.written();
        }
        code
    }

    /// Writes what is kept, before something else is done.
    fn interrupt(&mut self) -> c_int {
        self.frames.interrupt(COMMIT.get());
        self.write_kept()
    }
}

/// Never more than a commit keeps.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "what is kept is limited")]
fn amount_of(bytes: &[u8]) -> c_int {
    bytes.len() as c_int
}

/// Calls a method of the original's file; or writes what is kept, and calls it then.
macro_rules! inner {
    ($file:expr, $method:ident ( $($argument:expr),* )) => {{
        let inner: *mut ffi::sqlite3_file = $file.byte_add(OFFSET as usize);
        match (*(*inner).pMethods).$method {
            Some(method) => method(inner, $($argument),*),
            None => ffi::SQLITE_NOTFOUND,
        }
    }};
    ($file:expr, after what is kept, $method:ident ( $($argument:expr),* )) => {{
        match (*$file.cast::<Log>()).interrupt() {
            ffi::SQLITE_OK => inner!($file, $method($($argument),*)),
            code => code,
        }
    }};
}

// SAFETY of all functions below: SQLite calls the methods of a file with that file, one at a time, from `open` to `close`, and
// with arguments as <https://sqlite.org/c3ref/io_methods.html> says. The file is a `Log` that `open` made, with an open file of the original behind it.

unsafe extern "C" fn write_inner(file: *mut ffi::sqlite3_file, data: *const c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xWrite(data, amount, at)) }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: see above.
    let (log, bytes) = unsafe {
        (&mut *file.cast::<Log>(), slice::from_raw_parts(data.cast::<u8>(), usize::try_from(amount).unwrap_or(0)))
    };
    match log.frames.add(bytes, at, COMMIT.get()) {
        Step::Keep => ffi::SQLITE_OK,
        Step::Write => log.write_kept(),
        Step::Through => match log.write_kept() {
            // SAFETY: see above.
            ffi::SQLITE_OK => unsafe { write_inner(file, data, amount, at) },
            code => code,
        },
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, data: *mut c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, after what is kept, xRead(data, amount, at)) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, after what is kept, xTruncate(size)) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, after what is kept, xSync(flags)) }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, after what is kept, xFileSize(size)) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, after what is kept, xFileControl(operation, argument)) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xLock(level)) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xUnlock(level)) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, is_reserved: *mut c_int) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xCheckReservedLock(is_reserved)) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xSectorSize()) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above.
    unsafe { inner!(file, xDeviceCharacteristics()) }
}

/// What is kept then is of a transaction that was rolled back.
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above. Nobody uses the frames after this.
    unsafe {
        ptr::drop_in_place(&raw mut (*file.cast::<Log>()).frames);
        inner!(file, xClose())
    }
}

/// Version 1 has neither shared memory nor mapped pages: a log has neither.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Opens a file as the original does, and a write-ahead log behind a [`Log`].
unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    opened_flags: *mut c_int,
) -> c_int {
    let Some(Original(original)) = ORIGINAL.get().and_then(Option::as_ref) else { return ffi::SQLITE_CANTOPEN };
    let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
    // SAFETY: SQLite gives room for `szOsFile` bytes, which is that of the original and `OFFSET`, and has set none of them. The original opens
    // its file where its own methods find it: at the start, or `OFFSET` behind it. Without methods SQLite does not use a file.
    unsafe {
        let inner = if is_log { file.byte_add(OFFSET as usize) } else { file };
        (*inner).pMethods = ptr::null();
        let Some(open) = (**original).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = open(*original, name, inner, flags, opened_flags);
        if is_log {
            let methods = if (*inner).pMethods.is_null() { ptr::null() } else { &raw const METHODS };
            file.cast::<Log>().write(Log { base: ffi::sqlite3_file { pMethods: methods }, frames: Frames::default() });
        }
        code
    }
}
