//! How much memory SQLite and the process hold, in builds that count it: the leak test is one.
#![expect(
    unsafe_code,
    reason = "rusqlite has no safe form of sqlite3_memory_used, and the C library's numbers have none"
)]

/// Returns the bytes that SQLite holds in the whole process: <https://sqlite.org/c3ref/memory_highwater.html>. `None` where that is not
/// counted, as in the package: its mutex serialises parallel readers. The feature `memory-statistics` counts.
#[must_use]
pub fn memory_used() -> Option<i64> {
    // SAFETY: it takes no argument, may be called at any time from any thread, and reads one number under SQLite's own mutex.
    cfg!(feature = "memory-statistics").then(|| unsafe { rusqlite::ffi::sqlite3_memory_used() })
}

/// Gives the pages of the C library's heap that are free back to the system, and returns the bytes that are not free: whatever was allocated
/// with `malloc` in the whole process, by Rust, SQLite and Node alike. `None` without the feature `memory-statistics`, and where the C
/// library is not glibc.
#[must_use]
pub fn trim_memory() -> Option<usize> {
    TRIM.map(|trim| trim())
}

#[cfg(all(feature = "memory-statistics", target_os = "linux", target_env = "gnu"))]
const TRIM: Option<fn() -> usize> = Some(glibc::trim);
#[cfg(not(all(feature = "memory-statistics", target_os = "linux", target_env = "gnu")))]
const TRIM: Option<fn() -> usize> = None;

#[cfg(all(feature = "memory-statistics", target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// What `mallinfo2` returns: <https://man7.org/linux/man-pages/man3/mallinfo.3.html>.
    #[repr(C)]
    struct Mallinfo2 {
        /// `arena`, `ordblks`, `smblks`, `hblks`.
        before: [usize; 4],
        /// What is mapped for large allocations, each on its own.
        hblkhd: usize,
        /// `usmblks`, `fsmblks`.
        between: [usize; 2],
        /// What is allocated in all arenas.
        uordblks: usize,
        /// `fordblks`, `keepcost`.
        after: [usize; 2],
    }

    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> c_int;
        fn mallinfo2() -> Mallinfo2;
    }

    pub(super) fn trim() -> usize {
        // SAFETY: both may be called at any time from any thread, and take the locks of the allocator themselves. The layout is that of
        // the manual's page, whose fields are all `size_t`.
        let numbers = unsafe {
            malloc_trim(0);
            mallinfo2()
        };
        numbers.hblkhd + numbers.uordblks
    }
}
