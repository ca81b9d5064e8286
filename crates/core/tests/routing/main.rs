//! What may run where, found out by preparing on real connections.

mod pair;
mod policies;
mod pragmas;
mod statements;
mod stepping;
mod verdict;
