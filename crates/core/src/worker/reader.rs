//! A reader: runs reads, and forwards what turns out to be none.

use std::sync::Arc;
use std::time::Instant;

use super::unannounced::Unannounced;
use super::{Disposition, Exit, Job, Message, Next, Work, Worker, disposition_after, guard, is_clean};
use crate::completion::Delivery;
use crate::connection::{PolicedConnection, Route};
use crate::error::{Error, ErrorCode};
use crate::manager::{Permit, Shared};
use crate::statement::{ReadError, Statements};

/// Serves a reader's connection until it is closed or discarded.
pub(crate) fn serve_reader(worker: &Arc<Worker>, shared: &Arc<Shared>, connection: &PolicedConnection) -> Exit {
    let statements = shared.statements(connection);
    Reader { worker, shared, connection, statements, broken: false, now: Instant::now() }.serve()
}

struct Reader<'a> {
    worker: &'a Arc<Worker>,
    shared: &'a Arc<Shared>,
    connection: &'a PolicedConnection,
    statements: Statements<'a>,
    /// Whether a job of the present lease left the connection in doubt.
    broken: bool,
    /// When the present job began; the clock is read once per job.
    now: Instant,
}

/// Who asked for a read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A call by itself: what a reader refuses goes to the writer.
    Alone,
    /// A lease: what its reader refuses is final.
    ByLease,
}

/// What became of a job.
enum Ran {
    Answered,
    /// Answered, and the connection may be broken.
    Broken,
    /// It is not a read, and nothing was answered.
    NotARead(Job),
}

impl Reader<'_> {
    fn serve(mut self) -> Exit {
        loop {
            match self.worker.next() {
                Message::Run(job, permit) => {
                    if let Err(permit) = self.run_backlog(job, permit) {
                        return Exit::Discard(permit);
                    }
                }
                Message::RunLeased(job, _) => {
                    self.now = Instant::now();
                    let ran = self.run(job, Asked::ByLease, &mut Unannounced::default());
                    self.worker.finish();
                    self.broken |= matches!(ran, Ran::Broken);
                }
                Message::Release(permit, Disposition::Reuse) if !self.broken && is_clean(self.connection) => {
                    self.shared.give_back_reader(self.worker);
                    drop(permit);
                }
                Message::Release(permit, _) => return Exit::Discard(permit),
                Message::Close(receipt) => return Exit::Close(receipt),
            }
        }
    }

    /// Runs a job, and those that wait for the same permit, one after another.
    ///
    /// # Errors
    /// The permit, when the connection must not be used again.
    fn run_backlog(&mut self, job: Job, permit: Permit) -> Result<(), Permit> {
        let mut answers = Unannounced::default();
        self.now = Instant::now();
        let mut next = Next::Run(job, permit);
        while let Next::Run(job, permit) = next {
            answers.before(&job, self.now);
            let broken = match self.run(job, Asked::Alone, &mut answers) {
                Ran::Answered => false,
                Ran::Broken => true,
                Ran::NotARead(job) => {
                    self.shared.forward_to_writer(job);
                    false
                }
            };
            if broken || !is_clean(self.connection) {
                self.worker.finish();
                return Err(permit);
            }
            next = Next::after(permit);
        }
        drop(answers);
        self.worker.finish();
        // Before its permit is released, so that whoever is admitted by that finds it.
        self.shared.give_back_reader(self.worker);
        drop(next);
        Ok(())
    }

    fn run(&mut self, job: Job, asked: Asked, answers: &mut Unannounced) -> Ran {
        let Job { work: Work::Query(request), reply, mut place } = job else {
            job.reply.fail(Error::new(ErrorCode::NotAuthorized, "a reader runs no scripts"));
            return Ran::Answered;
        };
        self.worker.begin(&request.query, self.now);
        let counters = &self.shared.counters;
        // A read needs no place in the write queue: it goes before the first step, which may take long, and before each answer, so
        // that whoever is answered finds the queue without it.
        match guard(|| self.statements.read(&request, &reply, &mut || drop(place.take()))) {
            Ok(Ok(answer)) => {
                request.query.set_hint(Some(Route::Read));
                counters.reads.add();
                drop(place);
                let began = std::mem::replace(&mut self.now, Instant::now());
                request.query.learn_duration(self.now.duration_since(began));
                answers.answer(reply, Delivery::End(answer.shape, answer.chunk, answer.outcome), self.now);
                Ran::Answered
            }
            Ok(Err(ReadError::NotARead(error))) if asked == Asked::ByLease => {
                counters.denied.add();
                reply.fail(error);
                Ran::Answered
            }
            Ok(Err(ReadError::NotARead(_))) => {
                let known_write = self.statements.class_of(&request.query).is_some();
                request.query.set_hint(known_write.then_some(Route::Write));
                Ran::NotARead(Job { work: Work::Query(request), reply, place })
            }
            Ok(Err(ReadError::Failed(error))) => {
                counters.errors.add();
                drop(place);
                let broken = disposition_after(&error) == Disposition::Discard;
                reply.fail(error);
                if broken { Ran::Broken } else { Ran::Answered }
            }
            Ok(Err(ReadError::Abandoned)) => Ran::Answered,
            Err(panic) => {
                counters.panics.add();
                drop(place);
                reply.fail(panic);
                Ran::Broken
            }
        }
    }
}
