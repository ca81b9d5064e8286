//! What the gate says about itself.

use super::request::Concurrency;

/// Says where the gate is on its way from open to closed. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Requests are admitted or queued.
    Open,
    /// `close` was called: nothing is admitted any more, and permits are still out.
    Draining,
    /// `close` was called and every permit came back.
    Closed,
}

/// Says whether an alternating permit is out: see [`Admission`](super::admission::Admission).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No alternating permit is out.
    Read,
    /// One is.
    Write,
}

/// Counts what is out and what waits, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionStatus {
    /// Where the gate is on its way to closed.
    pub phase: Phase,
    /// Whether an alternating permit is out.
    pub mode: Mode,
    /// Whether a write can run beside reads.
    pub concurrency: Concurrency,
    /// Read permits out, sessions among them.
    pub active_readers: u32,
    /// Session permits out.
    pub active_sessions: u32,
    /// Whether the write permit is out.
    pub active_writer: bool,
    /// Whether the exclusive permit is out.
    pub active_exclusive: bool,
    /// Reads of every kind that wait.
    pub waiting_readers: usize,
    /// Write and exclusive requests that wait. A place is not one.
    pub waiting_writers: usize,
    /// Places in the write queue, whose statements are not classified yet.
    pub places: usize,
    /// Everything that waits: readers, writers and places. Not what a permit was passed on to ahead of its turn.
    pub queued: usize,
    /// How often the mode went from read to write: one for each alternating permit admitted.
    pub mode_switches: u64,
}
