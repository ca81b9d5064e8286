//! How much memory SQLite holds, in builds that count it: the leak test is one.
#![expect(unsafe_code, reason = "rusqlite has no safe form of sqlite3_memory_used")]

/// Returns the bytes that SQLite holds in the whole process: <https://sqlite.org/c3ref/memory_highwater.html>. `None` where that is not
/// counted, as in the package: its mutex serialises parallel readers. The feature `memory-statistics` counts.
#[must_use]
pub fn memory_used() -> Option<i64> {
    // SAFETY: it takes no argument, may be called at any time from any thread, and reads one number under SQLite's own mutex.
    cfg!(feature = "memory-statistics").then(|| unsafe { rusqlite::ffi::sqlite3_memory_used() })
}
