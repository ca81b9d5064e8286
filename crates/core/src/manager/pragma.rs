//! PRAGMAs that are asked for by name: <https://sqlite.org/pragma.html>.

use std::sync::Arc;

use super::Manager;
use super::submit::reentrant;
use crate::completion::Reply;
use crate::connection::pragma::{PragmaKind, is_reading, kind};
use crate::connection::{Denial, Route};
use crate::error::{Error, ErrorCode, Result};
use crate::params::Params;
use crate::query::{Query, Request, Scope};
use crate::worker::{Job, Work};

/// Sets what is a setting of every connection, and answers with the statement that shows the rest.
pub(super) async fn apply(manager: &Manager, name: &str, value: Option<&str>, scope: Scope) -> Result<Arc<Query>> {
    let query = Query::new(settle(manager, name, value, scope).await?);
    let bare = name.rsplit_once('.').map_or(name, |(_, bare)| bare);
    if kind(bare) == PragmaKind::JournalMode {
        // Which rollback journal there is, only the writer knows.
        query.set_hint(Some(Route::Write));
    }
    Ok(query)
}

/// Sets what is a setting of every connection, and returns the text of the statement that does or shows the rest.
async fn settle(manager: &Manager, name: &str, value: Option<&str>, scope: Scope) -> Result<String> {
    let (schema, bare) = name.split_once('.').map_or((None, name), |(schema, bare)| (Some(schema), bare));
    if !is_word(bare) || !schema.is_none_or(is_word) {
        let message = "the name of a PRAGMA is letters, digits and underscores, after its schema and a dot or alone";
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    }
    if is_reading(bare, value) {
        return Ok(statement(name, value));
    }
    let kind = kind(bare);
    match kind {
        PragmaKind::PerConnection => {
            expect_main(schema)?;
            if scope != Scope::Outside {
                return Err(reentrant(scope));
            }
            set_everywhere(manager, bare, value).await?;
            // What has no reading form answers nothing, as in SQLite.
            Ok(if is_reading(bare, None) { statement(bare, None) } else { String::new() })
        }
        PragmaKind::Database | PragmaKind::JournalMode => Ok(statement(name, value)),
        PragmaKind::Reading
        | PragmaKind::Transaction
        | PragmaKind::DriverOwned
        | PragmaKind::Process
        | PragmaKind::Unknown => Err(Denial::Pragma { name: bare.to_owned(), kind }.to_error()),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A setting of every connection cannot be one of a schema that only the writer has.
fn expect_main(schema: Option<&str>) -> Result<()> {
    match schema {
        Some(schema) if !schema.eq_ignore_ascii_case("main") => {
            let message =
                format!("the schema {schema} is the writer's own; a setting of every connection is one of main");
            Err(Error::new(ErrorCode::InvalidArgument, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// Applies a PRAGMA, and answers `reply` with its rows.
pub(super) async fn answer(manager: &Manager, name: &str, value: Option<&str>, scope: Scope, reply: Reply) {
    match apply(manager, name, value, scope).await {
        Ok(query) => {
            let request = Request { scope, ..Request::new(query, Params::none()) };
            manager.submit_job(Job::new(Work::Query(request), reply));
        }
        Err(error) => reply.fail(error),
    }
}

/// Sets it on the writer while no reader is open, and for every connection that is opened later.
async fn set_everywhere(manager: &Manager, name: &str, value: Option<&str>) -> Result<()> {
    let mut lease = manager.exclusive().await?;
    lease.set(&statement(name, value)).await?;
    if let Some(value) = value {
        let mut pragmas = manager.shared.pragmas.lock();
        pragmas.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        pragmas.push((name.to_owned(), value.to_owned()));
    }
    Ok(())
}

/// A value is quoted as text, which SQLite takes for a number where it wants one.
fn statement(name: &str, value: Option<&str>) -> String {
    match value {
        None => format!("PRAGMA {name}"),
        Some(value) => format!("PRAGMA {name} = '{}'", value.replace('\'', "''")),
    }
}
