//! Batches: statements that are one transaction.

use std::time::Instant;

use super::answered::Answered;
use super::writer::Writer;
use crate::completion::{Failure, Reply};
use crate::connection::Policy;
use crate::error::Result;
use crate::query::Request;
use crate::statement::{Written, of_commit};

impl Writer<'_> {
    /// Runs all items in one transaction, or none. Every value that the answers need is encoded before the commit.
    pub(super) fn run_batch(&mut self, items: &[(Request, Reply)], policy: Policy) -> Result<Vec<Answered>, Failure> {
        self.transaction.begin()?;
        let mut touched_private_schema = false;
        let ran = self.run_items(items, policy, &mut touched_private_schema);
        let committed = ran.and_then(|answers| Ok(self.commit_batch().map(|()| answers).map_err(of_commit)?));
        // Of a transaction that is still open, also after a commit that failed.
        let rolled_back = self.transaction.rollback();
        let answers = committed.inspect_err(|_| {
            // What was attached stays: it is no part of a transaction.
            if touched_private_schema {
                self.shared.follow_private_objects(self.connection);
            }
        })?;
        rolled_back?;
        self.after_write_of(policy, touched_private_schema)?;
        Ok(answers)
    }

    fn commit_batch(&mut self) -> Result<()> {
        let began = Instant::now();
        self.transaction.commit()?;
        self.shared.metrics.committed(began.elapsed());
        Ok(())
    }

    /// Returns the answers. `touched` is set once an item may have touched temporary objects or attached databases.
    fn run_items(
        &mut self,
        items: &[(Request, Reply)],
        policy: Policy,
        touched: &mut bool,
    ) -> Result<Vec<Answered>, Failure> {
        let run = |(index, (request, reply)): (usize, &(Request, Reply))| {
            let at = |error| Failure { error, statement: Some(index) };
            self.connection.expect_not_interrupted().map_err(at)?;
            reply.begins_now();
            let written = self.statements.write(request, policy);
            reply.has_run_now();
            let Written { chunks, answer, class, touched_private_schema } = written.map_err(at)?;
            *touched |= touched_private_schema;
            if self.connection.raw().is_autocommit() {
                // `OR ROLLBACK` without an error, if there were such a thing: what follows must not commit by itself.
                return Err(at(rolled_back()));
            }
            self.shared.learn_from_writer(&request.query, class);
            Ok(Answered::new(chunks, answer))
        };
        items.iter().enumerate().map(run).collect()
    }
}

fn rolled_back() -> crate::error::Error {
    crate::error::Error::new(crate::error::ErrorCode::TxAborted, "SQLite rolled the transaction back")
}
