//! Whether the SQLite in this program is one the driver can rely on.
//!
//! The build configuration of one program does not reach the other users of a crate, so it is asked for, not assumed.

use std::sync::OnceLock;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorCode, Result};

/// The oldest SQLite that the driver accepts: 3.51.3 repaired WAL recovery.
pub const MINIMUM_VERSION: i32 = 3_051_003;

/// What the code relies on, as `PRAGMA compile_options` spells it, and why.
const REQUIRED: [(&str, &str); 6] = [
    ("DQS=0", "a misspelt column in double quotes must be an error, not a text"),
    ("OMIT_SHARED_CACHE", "shared-cache locks would bypass the admission gate"),
    ("ENABLE_COLUMN_METADATA", "results name the table and origin of their columns"),
    ("ENABLE_FTS5", "full-text search is part of what is promised"),
    ("ENABLE_FTS3", "FTS4 is part of what is promised"),
    ("ENABLE_RTREE", "R-tree is part of what is promised"),
];

/// What it relies on unless it is built to count memory.
const WITHOUT_STATISTICS: (&str, &str) =
    ("DEFAULT_MEMSTATUS=0", "the mutex of its statistics serialises parallel readers");

/// Returns the version of SQLite in this program, such as `"3.54.0"`.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// Returns the flags SQLite was compiled with, as <https://sqlite.org/pragma.html#pragma_compile_options> lists them.
#[must_use]
pub fn compile_options() -> Vec<String> {
    read_options().unwrap_or_default()
}

/// Checks once per process that this SQLite is new enough and built as the driver needs it.
///
/// # Errors
/// [`ErrorCode::SqliteBuild`], naming the first flag that is missing.
pub fn require_build() -> Result<()> {
    static CHECKED: OnceLock<Result<()>> = OnceLock::new();
    CHECKED.get_or_init(|| check(rusqlite::version_number(), &read_options()?, uri_names_are_on())).clone()
}

fn read_options() -> Result<Vec<String>> {
    let conn = Connection::open_in_memory_with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut statement = conn.prepare("PRAGMA compile_options")?;
    let options = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(options)
}

/// Returns whether `file:` names are URIs by default.
///
/// By trying: SQLite lists `USE_URI` also when it is defined as 0. A literal file of that name is not there, and is not made.
fn uri_names_are_on() -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags("file:/sluice/probe?mode=memory", flags).is_ok()
}

fn required() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    REQUIRED.iter().chain((!cfg!(feature = "memory-statistics")).then_some(&WITHOUT_STATISTICS))
}

/// Judges a build by its version, its flags, and whether `file:` names are URIs in it.
fn check(version: i32, options: &[String], uri_names: bool) -> Result<()> {
    if version < MINIMUM_VERSION {
        return Err(refusal(&format!("version {version} is older than {MINIMUM_VERSION}")));
    }
    if let Some((flag, why)) = required().find(|(flag, _)| !options.iter().any(|option| option == flag)) {
        return Err(refusal(&format!("{flag} is missing: {why}")));
    }
    if options.iter().any(|option| option == "THREADSAFE=0") {
        return Err(refusal("THREADSAFE=0: connections run on threads of their own"));
    }
    if uri_names {
        return Err(refusal("USE_URI is on: a path must always be a literal file name"));
    }
    Ok(())
}

fn refusal(cause: &str) -> Error {
    Error::new(ErrorCode::SqliteBuild, format!("the SQLite in this program was not built as Sluice needs it: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Vec<String> {
        required().map(|(flag, _)| (*flag).to_owned()).chain(["THREADSAFE=1".to_owned()]).collect()
    }

    #[test]
    fn this_build_is_accepted() {
        assert_eq!(require_build(), Ok(()));
    }

    #[test]
    fn an_old_version_is_refused() {
        let error = check(MINIMUM_VERSION - 1, &options(), false).expect_err("too old");
        assert_eq!(error.code, ErrorCode::SqliteBuild);
    }

    #[test]
    fn each_missing_flag_is_named() {
        for (flag, _) in required() {
            let without: Vec<_> = options().into_iter().filter(|option| option != flag).collect();
            let error = check(MINIMUM_VERSION, &without, false).expect_err(flag);
            assert!(error.message.contains(flag), "{}", error.message);
        }
    }

    #[test]
    fn a_single_threaded_build_is_refused() {
        let mut single = options();
        single.push("THREADSAFE=0".to_owned());
        assert!(check(MINIMUM_VERSION, &single, false).is_err());
    }

    #[test]
    fn uri_names_by_default_are_refused() {
        let error = check(MINIMUM_VERSION, &options(), true).expect_err("URI names");
        assert!(error.message.contains("USE_URI"), "{}", error.message);
    }
}
