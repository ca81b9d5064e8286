//! The writer: runs whatever is not a read, one job at a time.

use std::sync::Arc;
use std::time::Instant;

use super::{Disposition, Exit, Job, Message, Next, Work, Worker, disposition_after, guard, is_clean};
use crate::completion::{Delivery, Failure};
use crate::connection::{PolicedConnection, Policy, Route};
use crate::error::Result;
use crate::gate::Class;
use crate::manager::{Permit, Shared};
use crate::query::{Request, Shape};
use crate::rows::Chunk;
use crate::statement::{Answer, Statements, Written, run_script};

/// Serves the writer's connection until it is closed or discarded.
pub(crate) fn serve_writer(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let statements = shared.statements(connection);
    Writer { worker, shared, connection, statements, broken: false, private_schema: false }.serve()
}

struct Writer<'a> {
    worker: &'a Arc<Worker>,
    shared: &'a Arc<Shared>,
    connection: &'a PolicedConnection,
    statements: Statements<'a>,
    /// Whether a job of the present lease left the connection in doubt.
    broken: bool,
    /// Whether a job under the present permit made or dropped temporary objects, which a rollback may undo at any time.
    private_schema: bool,
}

/// What became of a job.
enum Done {
    Answered {
        chunks: Vec<(Arc<Shape>, Chunk)>,
        last: Delivery,
    },
    /// It changes the journal mode, and must wait until every other connection is closed.
    NeedsExclusive,
    /// It was not known, is a read, and might hold up every write.
    NeedsReader,
}

/// The policy for a job that was admitted by itself.
fn policy_of(job: &Job, permit: &Permit) -> Policy {
    match (&job.work, permit.class()) {
        (Work::Script(_), _) => Policy::Script,
        (Work::Query(_), Class::Exclusive) => Policy::Exclusive,
        (Work::Query(_), Class::Read(_) | Class::Write) => Policy::Statement,
    }
}

impl Writer<'_> {
    fn serve(mut self) -> Exit {
        loop {
            match self.worker.next() {
                Message::Run(job, permit) => {
                    if let Err(permit) = self.run_backlog(job, permit) {
                        return Exit::Discard(permit);
                    }
                }
                Message::RunLeased(job, policy) => {
                    let disposition = self.run(job, policy);
                    self.worker.finish();
                    self.broken |= disposition == Disposition::Discard;
                }
                Message::Release(permit, disposition) => {
                    if self.broken || disposition == Disposition::Discard || !is_clean(self.connection) {
                        return Exit::Discard(permit);
                    }
                    self.release(&permit);
                    drop(permit);
                }
                Message::Close(receipt) => return Exit::Close(receipt),
            }
        }
    }

    /// Runs a job, and those that wait for the same permit, one after another.
    ///
    /// # Errors
    /// The permit, when the connection must not be used again.
    fn run_backlog(&mut self, job: Job, permit: Permit) -> Result<(), Permit> {
        let mut next = Next::first(job, permit);
        while let Next::Run(job, permit, _) = next {
            let policy = policy_of(&job, &permit);
            let disposition = self.run(job, policy);
            if disposition == Disposition::Discard || !is_clean(self.connection) {
                self.worker.finish();
                return Err(permit);
            }
            self.release(&permit);
            next = Next::after(permit);
        }
        self.worker.finish();
        drop(next);
        Ok(())
    }

    /// Does what is due before a permit is released, on a connection that stays.
    fn release(&mut self, permit: &Permit) {
        if std::mem::take(&mut self.private_schema) {
            self.shared.follow_private_objects(self.connection);
        }
        self.shared.writer_released(self.connection, permit);
    }

    fn run(&mut self, job: Job, policy: Policy) -> Disposition {
        let Job { work, reply, place } = job;
        // Whoever classified the statement took its place.
        let unclassified = place.is_some();
        drop(place);
        self.worker.begin(work.query(), Instant::now());
        // Those that waited behind the job that found it out come here without a look at the manager.
        let result = if let Some(lost) = self.shared.lost() {
            Ok(Err(lost.into()))
        } else {
            let _writing = self.shared.activity.begin_writing();
            guard(|| self.run_work(&work, policy, unclassified))
        };
        let counters = &self.shared.counters;
        match result {
            Ok(Ok(Done::Answered { chunks, last })) => {
                counters.writes.add();
                for (shape, chunk) in chunks {
                    reply.push(&shape, chunk);
                }
                reply.settle(last);
                Disposition::Reuse
            }
            Ok(Ok(Done::NeedsExclusive)) => {
                self.shared.request_exclusive(Job { work, reply, place: None });
                Disposition::Reuse
            }
            Ok(Ok(Done::NeedsReader)) => {
                self.shared.request_reader(Job { work, reply, place: None });
                Disposition::Reuse
            }
            Ok(Err(failure)) => {
                counters.errors.add();
                let disposition = disposition_after(&failure.error);
                reply.fail(failure);
                disposition
            }
            Err(panic) => {
                counters.panics.add();
                reply.fail(panic);
                Disposition::Discard
            }
        }
    }

    fn run_work(&mut self, work: &Work, policy: Policy, unclassified: bool) -> Result<Done, Failure> {
        match work {
            Work::Query(request) if unclassified && self.belongs_on_a_reader(request)? => Ok(Done::NeedsReader),
            Work::Query(request) => self.run_query(request, policy).map_err(Failure::from),
            Work::Script(script) => {
                let result = run_script(self.connection, script.sql(), policy);
                self.after_write(policy, true)?;
                result.map(|()| Done::Answered { chunks: Vec::new(), last: Delivery::Done })
            }
        }
    }

    /// Classifies a statement, and remembers if it is a read that some reader may run.
    fn belongs_on_a_reader(&mut self, request: &Request) -> Result<bool> {
        let route = self.statements.route_of(&request.query)?;
        let belongs = route == Route::Read && !self.shared.runs_all_on_the_writer();
        if belongs {
            request.query.set_hint(Some(route));
        }
        Ok(belongs)
    }

    fn run_query(&mut self, request: &Request, policy: Policy) -> Result<Done> {
        if policy == Policy::Statement && self.statements.needs_exclusive(request)? {
            return Ok(Done::NeedsExclusive);
        }
        let Written { chunks, answer, touched_private_schema } = self.statements.write(request, policy)?;
        if let Some(class) = self.statements.class_of(&request.query) {
            self.shared.learn_from_writer(&request.query, class);
        }
        self.after_write(policy, touched_private_schema)?;
        let Answer { shape, chunk, outcome } = answer;
        let chunks = chunks.into_iter().map(|chunk| (Arc::clone(&shape), chunk)).collect();
        Ok(Done::Answered { chunks, last: Delivery::End(shape, chunk, outcome) })
    }

    /// Looks at what the job may have changed beside rows, before it is answered.
    fn after_write(&mut self, policy: Policy, touched: bool) -> Result<()> {
        if policy == Policy::Exclusive {
            self.shared.after_exclusive(self.connection)?;
        }
        let was_pinned = self.shared.is_pinned();
        self.shared.after_write(self.connection, touched || self.private_schema)?;
        self.private_schema |= touched && (was_pinned || self.shared.is_pinned());
        Ok(())
    }
}
