//! The word that a statement begins with, which says whether it may begin or end a transaction: <https://sqlite.org/lang_transaction.html>.

/// The words that all statements begin with that begin or end a transaction or a part of one.
const CONTROL: [&str; 6] = ["BEGIN", "SAVEPOINT", "COMMIT", "END", "ROLLBACK", "RELEASE"];

/// Whether the statement in `sql` may begin or end a transaction, as far as can be told without preparing it. In doubt it may.
pub(crate) fn may_control_transactions(sql: &str) -> bool {
    first_word(sql).is_none_or(|word| CONTROL.iter().any(|control| control.eq_ignore_ascii_case(word)))
}

/// Returns the first word, after what SQLite skips: blanks, comments, semicolons, and a byte order mark.
fn first_word(sql: &str) -> Option<&str> {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\x0c', '\r', ';', '\u{feff}']);
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n')?.1
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")?.1
        } else {
            break;
        };
    }
    let end = rest.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest.get(..end).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connection::{ConnectionConfig, Location, Policy, WalRequest, open_writer, prepare};

    #[test]
    fn the_first_word_is_found_behind_what_sqlite_skips() {
        for (sql, control) in [
            ("SELECT 1", false),
            ("BEGIN", true),
            ("begin immediate", true),
            (" \t\r\n\x0c;;/* BEGIN */-- BEGIN\n\u{feff}insert into t values (1)", false),
            ("-- SELECT\nCommit", true),
            ("/* SELECT **/END;", true),
            ("EXPLAIN BEGIN", false),
            ("rollback to s", true),
            ("release s", true),
            ("BEGINNING", false),
            // There is none.
            ("", true),
            ("-- SELECT", true),
            ("/* SELECT", true),
            ("(SELECT 1)", true),
            ("\u{a0}SELECT 1", true),
        ] {
            assert_eq!(may_control_transactions(sql), control, "{sql:?}");
        }
    }

    fn part() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            " ",
            "\n",
            "\t",
            "\r",
            "\x0c",
            "\x0b",
            "\0",
            ";",
            "\u{feff}",
            "\u{a0}",
            "--",
            "-",
            "/*",
            "*/",
            "/",
            "*",
            "/**/",
            "-- BEGIN\n",
            "BEGIN",
            "COMMIT",
            "SELECT 1",
            "EXPLAIN",
            "(",
            "\"BEGIN\"",
            "[BEGIN]",
            "SAVEPOINT s",
            "END",
            "x",
        ])
    }

    proptest! {
        #[test]
        fn what_sqlite_takes_for_the_control_of_a_transaction_is_told(parts in prop::collection::vec(part(), 1..7)) {
            let sql = parts.concat();
            let location = Location::Memory("first-word".to_owned());
            let (connection, _) = open_writer(&location, &ConnectionConfig::default(), WalRequest::WhenPossible).expect("it opens");
            if let Ok((Some(_), class)) = prepare(&connection, &sql, Policy::Lease, false) {
                prop_assert!(!class.log.transaction() || class.explain || may_control_transactions(&sql), "{:?}", sql);
            }
        }
    }
}
