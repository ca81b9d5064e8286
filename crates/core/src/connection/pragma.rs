//! Every PRAGMA of SQLite, by what its use does: <https://sqlite.org/pragma.html>.

/// What the value form of a PRAGMA changes, and so where it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PragmaKind {
    /// Nothing: it only ever reads.
    Reading,
    /// A setting of one connection. It must be applied to all of them, through `db.pragma`.
    PerConnection,
    /// The database file. It runs on the writer, alone.
    Database,
    /// A setting that SQLite takes back when the transaction ends.
    Transaction,
    /// The journal mode: every other connection must be out of the database.
    JournalMode,
    /// A setting that the driver's guarantees rest on.
    DriverOwned,
    /// The whole process, other databases included.
    Process,
    /// Not a PRAGMA of this SQLite, which would ignore it without a word.
    Unknown,
}

/// What a PRAGMA does when it is given no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bare {
    Reads,
    Acts,
}

/// What the value of a PRAGMA is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// It names what to read: `table_info(t)`, `integrity_check(10)`.
    Selects,
    /// It is the new setting.
    Sets,
}

/// One line of the table.
#[derive(Debug)]
struct Pragma {
    name: &'static str,
    kind: PragmaKind,
    bare: Bare,
    value: Value,
    /// What to do instead, or why there is nothing, for those that are refused.
    advice: Option<&'static str>,
}

impl Pragma {
    /// A PRAGMA whose value names what to read.
    const fn lookup(name: &'static str) -> Self {
        Self { name, kind: PragmaKind::Reading, bare: Bare::Reads, value: Value::Selects, advice: None }
    }

    /// A PRAGMA that reads without a value and sets with one.
    const fn setting(name: &'static str, kind: PragmaKind) -> Self {
        Self { name, kind, bare: Bare::Reads, value: Value::Sets, advice: None }
    }

    /// A PRAGMA that acts even without a value.
    const fn action(name: &'static str, kind: PragmaKind) -> Self {
        Self { name, kind, bare: Bare::Acts, value: Value::Sets, advice: None }
    }

    /// A PRAGMA that the driver owns.
    const fn owned(name: &'static str, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..Self::setting(name, PragmaKind::DriverOwned) }
    }
}

/// The table, sorted by name for the binary search. Debug-only PRAGMAs are left out: this build ignores them.
static PRAGMAS: [Pragma; 68] = [
    Pragma::setting("analysis_limit", PragmaKind::PerConnection),
    Pragma::setting("application_id", PragmaKind::Database),
    Pragma::setting("auto_vacuum", PragmaKind::Database),
    Pragma::setting("automatic_index", PragmaKind::PerConnection),
    Pragma::owned("busy_timeout", "use the option busyTimeoutMs"),
    Pragma::setting("cache_size", PragmaKind::PerConnection),
    Pragma::setting("cache_spill", PragmaKind::PerConnection),
    // It has no reading form: without a value SQLite answers nothing.
    Pragma::action("case_sensitive_like", PragmaKind::PerConnection),
    Pragma::setting("cell_size_check", PragmaKind::PerConnection),
    Pragma::owned("checkpoint_fullfsync", "use the option durability"),
    Pragma::lookup("collation_list"),
    Pragma::lookup("compile_options"),
    Pragma::setting("count_changes", PragmaKind::PerConnection),
    // Of Windows only.
    Pragma::setting("data_store_directory", PragmaKind::Process),
    // FTS5 asks for it while stepping. SQLite ignores a value given to it, as to `freelist_count` and `page_count`.
    Pragma::lookup("data_version"),
    Pragma::lookup("database_list"),
    // Unlike `cache_size` it is written into the file.
    Pragma::setting("default_cache_size", PragmaKind::Database),
    Pragma::setting("defer_foreign_keys", PragmaKind::Transaction),
    Pragma::setting("empty_result_callbacks", PragmaKind::PerConnection),
    Pragma::setting("encoding", PragmaKind::Database),
    Pragma::lookup("foreign_key_check"),
    Pragma::lookup("foreign_key_list"),
    Pragma::setting("foreign_keys", PragmaKind::PerConnection),
    Pragma::lookup("freelist_count"),
    Pragma::setting("full_column_names", PragmaKind::PerConnection),
    Pragma::owned("fullfsync", "use the option durability"),
    Pragma::lookup("function_list"),
    Pragma::setting("hard_heap_limit", PragmaKind::Process),
    Pragma::setting("ignore_check_constraints", PragmaKind::PerConnection),
    // Without a value it vacuums everything.
    Pragma::action("incremental_vacuum", PragmaKind::Database),
    Pragma::lookup("index_info"),
    Pragma::lookup("index_list"),
    Pragma::lookup("index_xinfo"),
    Pragma::lookup("integrity_check"),
    Pragma::setting("journal_mode", PragmaKind::JournalMode),
    // SQLite keeps it per pager, so that a commit through another connection would not honour it.
    Pragma::setting("journal_size_limit", PragmaKind::PerConnection),
    Pragma::setting("legacy_alter_table", PragmaKind::PerConnection),
    // Of macOS only.
    Pragma::owned("lock_proxy_file", "the driver relies on the locks of the file itself"),
    // EXCLUSIVE would lock the driver's own other connections out for ever.
    Pragma::owned("locking_mode", "use the option concurrency: 'exclusive'"),
    // Kept in memory only, whatever its name suggests.
    Pragma::setting("max_page_count", PragmaKind::PerConnection),
    Pragma::setting("mmap_size", PragmaKind::PerConnection),
    Pragma::lookup("module_list"),
    // Without a value it may run ANALYZE.
    Pragma::action("optimize", PragmaKind::Database),
    Pragma::lookup("page_count"),
    // FTS4 asks for it while connecting. The value form acts in prepare, and in the file with the next VACUUM.
    Pragma::setting("page_size", PragmaKind::Database),
    Pragma::lookup("pragma_list"),
    Pragma::owned("query_only", "use the option readonly"),
    Pragma::lookup("quick_check"),
    Pragma::setting("read_uncommitted", PragmaKind::PerConnection),
    Pragma::setting("recursive_triggers", PragmaKind::PerConnection),
    Pragma::setting("reverse_unordered_selects", PragmaKind::PerConnection),
    // Setting it can corrupt the file; SQLite makes that a no-op in the defensive mode the driver switches on.
    Pragma::setting("schema_version", PragmaKind::Database),
    Pragma::setting("secure_delete", PragmaKind::PerConnection),
    Pragma::setting("short_column_names", PragmaKind::PerConnection),
    // It frees memory of the one connection that runs it.
    Pragma::action("shrink_memory", PragmaKind::PerConnection),
    Pragma::setting("soft_heap_limit", PragmaKind::Process),
    Pragma::owned("synchronous", "use the option durability"),
    Pragma::lookup("table_info"),
    Pragma::lookup("table_list"),
    Pragma::lookup("table_xinfo"),
    Pragma::setting("temp_store", PragmaKind::PerConnection),
    Pragma::setting("temp_store_directory", PragmaKind::Process),
    Pragma::setting("threads", PragmaKind::PerConnection),
    Pragma::owned("trusted_schema", "a schema must not call functions it was not meant to reach"),
    Pragma::setting("user_version", PragmaKind::Database),
    Pragma::owned("wal_autocheckpoint", "the driver decides when to checkpoint"),
    // Without a value it runs a PASSIVE checkpoint.
    Pragma::action("wal_checkpoint", PragmaKind::Database),
    Pragma::owned("writable_schema", "the driver's connections are defensive"),
];

/// Returns the line of `name`, whatever its case.
fn find(name: &str) -> Option<&'static Pragma> {
    let name = name.to_ascii_lowercase();
    PRAGMAS.binary_search_by(|pragma| pragma.name.cmp(&name)).ok().map(|index| &PRAGMAS[index])
}

/// Returns what the value form of the PRAGMA `name` changes.
#[must_use]
pub fn kind(name: &str) -> PragmaKind {
    find(name).map_or(PragmaKind::Unknown, |pragma| pragma.kind)
}

/// Returns whether `PRAGMA name` or `PRAGMA name = value` only reads, on any connection, in `prepare` and in `step`.
#[must_use]
pub fn is_reading(name: &str, value: Option<&str>) -> bool {
    find(name).is_some_and(|pragma| match (value, pragma.bare, pragma.value) {
        (None, Bare::Reads, _) | (Some(_), _, Value::Selects) => true,
        (None, Bare::Acts, _) | (Some(_), _, Value::Sets) => false,
    })
}

/// Returns what to do instead of setting a PRAGMA that the driver owns, or why there is nothing.
#[must_use]
pub fn advice(name: &str) -> Option<&'static str> {
    find(name).and_then(|pragma| pragma.advice)
}

/// Returns the names of every PRAGMA in the table, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRAGMAS.iter().map(|pragma| pragma.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        let all: Vec<_> = names().collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "the binary search needs order");
    }

    #[test]
    fn every_pragma_of_this_sqlite_is_in_the_table() {
        let conn = rusqlite::Connection::open_in_memory().expect("memory");
        let mut statement = conn.prepare("PRAGMA pragma_list").expect("prepare");
        let known = statement.query_map([], |row| row.get::<_, String>(0)).expect("query");
        for name in known.map(|name| name.expect("a name")) {
            assert_ne!(kind(&name), PragmaKind::Unknown, "{name} has no line");
        }
    }

    #[test]
    fn a_name_is_found_whatever_its_case() {
        assert_eq!(kind("Journal_MODE"), PragmaKind::JournalMode);
    }
}
