//! The queue between the workers and one consumer, and how that is woken.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Delivery, MAX_UNDELIVERED_BYTES, Sink};
use crate::cores;

/// How often the clock is not looked at while waiting awake.
const SPINS: u32 = 32;

/// What waiting awake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Results are there.
    Arrived,
    /// None came in time.
    Nothing,
    /// Every core has work: the wait ended before it began.
    Crowded,
}

/// How the consumer learns of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Consumer {
    /// It is woken.
    #[default]
    Asleep,
    /// It looks by itself.
    Watching,
    /// It has been told, and has not yet found the queue empty.
    Awake,
}

/// A completion queue between the workers and one consumer that is woken once for many results.
pub struct Channel {
    state: Mutex<ChannelState>,
    room: Condvar,
    /// As `closed` in the state, for those who only ask.
    closed: AtomicBool,
    /// Results are there for a consumer that watches. Only a hint: the queue knows.
    called: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct ChannelState {
    queue: VecDeque<(u32, Delivery)>,
    undelivered: usize,
    consumer: Consumer,
    closed: bool,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Channel")
            .field("queued", &state.queue.len())
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// Makes a channel. `wake` is called from any thread, once for each time the queue stops being empty; it must not block.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            room: Condvar::new(),
            closed: AtomicBool::new(false),
            called: AtomicBool::new(false),
            wake: Box::new(wake),
        })
    }

    /// Moves everything queued to the end of `taken`. When that is nothing, the next result wakes the consumer again.
    pub fn take(&self, taken: &mut VecDeque<(u32, Delivery)>) {
        self.take_or_be(Consumer::Asleep, taken);
    }

    /// As [`Channel::take`], for a consumer that comes again soon by itself: when there is nothing, nobody wakes it.
    pub fn take_watching(&self, taken: &mut VecDeque<(u32, Delivery)>) {
        self.take_or_be(Consumer::Watching, taken);
    }

    fn take_or_be(&self, otherwise: Consumer, taken: &mut VecDeque<(u32, Delivery)>) {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            self.called.store(false, Ordering::Relaxed);
            state.consumer = otherwise;
        } else if taken.is_empty() {
            std::mem::swap(&mut state.queue, taken);
        } else {
            taken.append(&mut state.queue);
        }
    }

    /// Waits awake for results, for so long at most. Nobody wakes a consumer that waits like that, until [`Channel::take`] finds nothing.
    ///
    /// To wake a thread that sleeps takes tens of microseconds, which is more than many calls take. So whoever expects an answer sooner
    /// than that may wait for it awake, as long as no other thread of the driver needs the core.
    pub fn watch(&self, patience: Duration) -> Watched {
        if !self.begin_watching() {
            return Watched::Arrived;
        }
        let Some(_awake) = cores::watch() else { return Watched::Crowded };
        let since = Instant::now();
        let mut now = since;
        while now.duration_since(since) < patience {
            if self.is_called_soon() {
                return Watched::Arrived;
            }
            if cores::are_wanted(&mut now) {
                return Watched::Crowded;
            }
        }
        Watched::Nothing
    }

    /// Has the consumer look by itself from here on, unless it has been told of results that are there. Returns whether it does.
    fn begin_watching(&self) -> bool {
        let mut state = self.state.lock();
        if state.consumer == Consumer::Awake && !state.queue.is_empty() {
            return false;
        }
        self.called.store(false, Ordering::Relaxed);
        state.consumer = Consumer::Watching;
        true
    }

    fn is_called_soon(&self) -> bool {
        (0..SPINS).any(|_| {
            std::hint::spin_loop();
            self.called.load(Ordering::Acquire)
        })
    }

    /// Tells that the consumer has used up a delivery of so many bytes.
    pub fn delivered(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state.lock();
        let was_full = state.undelivered > MAX_UNDELIVERED_BYTES;
        state.undelivered = state.undelivered.checked_sub(bytes).expect("BUG: more was delivered than queued");
        if was_full && state.undelivered <= MAX_UNDELIVERED_BYTES {
            self.room.notify_all();
        }
    }

    /// Drops what is queued and everything that comes: the consumer is gone.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.closed.store(true, Ordering::SeqCst);
        let dropped = std::mem::take(&mut state.queue);
        self.room.notify_all();
        drop(state);
        drop(dropped);
    }
}

impl Channel {
    fn queue(&self, call: u32, delivery: Delivery) -> MutexGuard<'_, ChannelState> {
        let mut state = self.state.lock();
        if !state.closed {
            state.undelivered += delivery.bytes();
            state.queue.push_back((call, delivery));
        }
        state
    }

    fn wake(&self, mut state: MutexGuard<'_, ChannelState>) {
        if state.queue.is_empty() {
            return;
        }
        match std::mem::replace(&mut state.consumer, Consumer::Awake) {
            Consumer::Awake => {}
            Consumer::Watching => self.called.store(true, Ordering::Release),
            Consumer::Asleep => {
                drop(state);
                (self.wake)();
            }
        }
    }
}

impl Sink for Channel {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn deliver(&self, call: u32, delivery: Delivery) {
        self.wake(self.queue(call, delivery));
    }

    fn deliver_quietly(&self, call: u32, delivery: Delivery) {
        drop(self.queue(call, delivery));
    }

    fn deliver_all_quietly(&self, answers: &mut VecDeque<(u32, Delivery)>) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return answers.clear();
        }
        state.undelivered += answers.iter().map(|(_, delivery)| delivery.bytes()).sum::<usize>();
        state.queue.append(answers);
    }

    fn announce(&self) {
        self.wake(self.state.lock());
    }

    fn wait_for_room(&self) -> bool {
        let mut state = self.state.lock();
        self.room.wait_while(&mut state, |state| state.undelivered > MAX_UNDELIVERED_BYTES && !state.closed);
        !state.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::Reply;
    use crate::rows::Chunk;
    use std::sync::atomic::AtomicUsize;

    fn counting() -> (Arc<Channel>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        (
            Channel::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }),
            wakes,
        )
    }

    #[test]
    fn many_results_cost_one_wake_up_until_the_queue_was_found_empty() {
        let (channel, wakes) = counting();
        let mut taken = VecDeque::new();
        for call in 1..=100 {
            channel.deliver(call, Delivery::Done);
        }
        channel.take(&mut taken);
        channel.deliver(101, Delivery::Done);
        assert_eq!((taken.len(), wakes.load(Ordering::SeqCst)), (100, 1));
        channel.take(&mut taken);
        taken.clear();
        channel.take(&mut taken);
        assert!(taken.is_empty());
        channel.deliver(102, Delivery::Done);
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn quiet_results_wake_nobody_until_they_are_announced() {
        let (channel, wakes) = counting();
        for call in 1..=3 {
            drop(Reply::new(channel.clone(), call).settle_quietly(Delivery::Done));
        }
        assert_eq!(wakes.load(Ordering::SeqCst), 0);
        channel.announce();
        channel.announce();
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        let mut taken = VecDeque::new();
        channel.take(&mut taken);
        assert_eq!(taken.len(), 3);
        taken.clear();
        channel.take(&mut taken);
        channel.announce();
        assert_eq!(wakes.load(Ordering::SeqCst), 1, "nothing is there to be woken for");
    }

    #[test]
    fn a_consumer_that_watches_is_not_woken_until_it_sleeps_again() {
        let (channel, wakes) = counting();
        let mut taken = VecDeque::new();
        channel.take_watching(&mut taken);
        channel.deliver(1, Delivery::Done);
        channel.deliver(2, Delivery::Done);
        assert_eq!(channel.watch(Duration::ZERO), Watched::Arrived);
        channel.take_watching(&mut taken);
        assert_eq!(taken.len(), 2);
        taken.clear();
        channel.take_watching(&mut taken);
        assert_ne!(channel.watch(Duration::ZERO), Watched::Arrived, "they were taken");
        assert_eq!(wakes.load(Ordering::SeqCst), 0);
        channel.take(&mut taken);
        assert!(taken.is_empty());
        channel.deliver(3, Delivery::Done);
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_consumer_that_watches_without_having_found_nothing_is_not_woken_either() {
        let (channel, wakes) = counting();
        let mut taken = VecDeque::new();
        channel.deliver(1, Delivery::Done);
        channel.take_watching(&mut taken);
        assert_ne!(channel.watch(Duration::ZERO), Watched::Arrived, "it was taken");
        channel.deliver(2, Delivery::Done);
        assert_eq!(channel.watch(Duration::ZERO), Watched::Arrived);
        channel.take_watching(&mut taken);
        assert_eq!((taken.len(), wakes.load(Ordering::SeqCst)), (2, 1), "the first one woke");
        channel.deliver(3, Delivery::Done);
        assert_eq!(channel.watch(Duration::ZERO), Watched::Arrived, "it came before the watch");
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn results_that_came_before_the_consumer_slept_are_taken_instead() {
        let (channel, wakes) = counting();
        let mut taken = VecDeque::new();
        channel.take_watching(&mut taken);
        channel.deliver(1, Delivery::Done);
        channel.take(&mut taken);
        assert_eq!((taken.len(), wakes.load(Ordering::SeqCst)), (1, 0));
        taken.clear();
        channel.take(&mut taken);
        channel.deliver(2, Delivery::Done);
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn quiet_results_do_not_end_a_watch_until_they_are_announced() {
        let (channel, wakes) = counting();
        channel.take_watching(&mut VecDeque::new());
        drop(Reply::new(channel.clone(), 1).settle_quietly(Delivery::Done));
        assert_ne!(channel.watch(Duration::ZERO), Watched::Arrived);
        channel.announce();
        assert_eq!((channel.watch(Duration::ZERO), wakes.load(Ordering::SeqCst)), (Watched::Arrived, 0));
    }

    #[test]
    fn a_watch_ends_when_a_result_comes_from_another_thread() {
        let (channel, wakes) = counting();
        channel.take_watching(&mut VecDeque::new());
        let worker = Arc::clone(&channel);
        let delivering = std::thread::spawn(move || worker.deliver(1, Delivery::Done));
        let deadline = Instant::now() + Duration::from_secs(10);
        // Every core may have work while other tests run.
        while channel.watch(Duration::from_secs(1)) != Watched::Arrived {
            assert!(Instant::now() < deadline, "the result did not arrive");
        }
        delivering.join().expect("it is delivered");
        assert_eq!(wakes.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_full_channel_holds_the_worker_until_room_is_made_or_it_is_closed() {
        for close in [false, true] {
            let (channel, _) = counting();
            let chunk = Box::new(Chunk { text: vec![b'x'; MAX_UNDELIVERED_BYTES + 1], ..Chunk::default() });
            let bytes = chunk.bytes();
            let shape = crate::query::Query::new("").shape(Vec::new());
            channel.deliver(1, Delivery::Rows(shape, chunk));
            let waiting = Arc::clone(&channel);
            let worker = std::thread::spawn(move || waiting.wait_for_room());
            if close {
                channel.close();
            } else {
                channel.delivered(bytes);
            }
            assert_eq!(worker.join().expect("the worker ends"), !close);
        }
    }
}
