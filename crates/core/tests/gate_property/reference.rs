//! What the gate should do, found out by scanning two plain lists rule by rule.
//!
//! It shares no code with the machine: a request is put at the end of the list, and taken off again if it should not have
//! been; who may run is looked up afresh after every admission.

use sluice_core::gate::{Admission, AdmissionStatus, Class, Concurrency, Mode, Phase, ReadKind};

pub(crate) type Id = usize;

const SHORT: Class = Class::Read(ReadKind::Short);
const QUICK: Class = Class::Read(ReadKind::Quick);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A position among the writes. While the read of this number waits, it may run there as a write instead.
    Place(Id),
    Permit(Class),
}

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: Id,
    pub(crate) want: Want,
    in_turn: bool,
    turns_waited: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) concurrency: Concurrency,
    max_readers: usize,
    max_queued: usize,
    quicks_of_a_reader: usize,
    pub(crate) closing: bool,
    pub(crate) running: Vec<(Id, Class)>,
    pub(crate) line: Vec<Waiting>,
    /// Those that one that runs passed its permit on to ahead of their turns, each with that one.
    pub(crate) ahead: Vec<(Id, Waiting)>,
    mode_switches: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Admitted(Class),
    Queued,
    Overloaded,
    Closed,
}

impl Model {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            concurrency: setup.concurrency,
            max_readers: setup.max_readers as usize,
            max_queued: setup.max_queued,
            quicks_of_a_reader: setup.quicks_of_a_reader,
            closing: false,
            running: Vec::new(),
            line: Vec::new(),
            ahead: Vec::new(),
            mode_switches: 0,
        }
    }

    pub(crate) fn request(&mut self, wants: &[(Id, Want)]) -> Answer {
        if self.closing {
            return Answer::Closed;
        }
        let before = self.clone();
        let new = |&(id, want)| Waiting { id, want, in_turn: false, turns_waited: 0 };
        self.line.extend(wants.iter().map(new));
        let admitted = self.scan(None);
        let last = wants[wants.len() - 1].0;
        assert!(admitted.iter().all(|(id, _)| *id == last), "an arrival lets nobody else run");
        if let [(_, class)] = admitted[..]
            && self.queued() <= self.max_queued.max(before.queued())
        {
            return Answer::Admitted(class);
        }
        if self.queued() <= self.max_queued {
            return Answer::Queued;
        }
        *self = before;
        Answer::Overloaded
    }

    pub(crate) fn confirm(&mut self, place: Id) -> Answer {
        if self.closing {
            return Answer::Closed;
        }
        let waiting = self.line.iter_mut().find(|waiting| waiting.id == place).expect("the place is queued");
        waiting.want = Want::Permit(Class::Write);
        let admitted = self.scan(Some(1));
        admitted.first().map_or(Answer::Queued, |(_, class)| Answer::Admitted(*class))
    }

    pub(crate) fn release(&mut self, index: usize) -> Vec<(Id, Class)> {
        let (_, class) = self.running.remove(index);
        if self.alternates(class) {
            self.line.iter_mut().for_each(|waiting| waiting.in_turn = true);
        }
        self.scan(Some(1))
    }

    /// As a release of the permit of one that runs, which the same reader may have again. Returns who runs then.
    pub(crate) fn release_to_one(&mut self, index: usize) -> Vec<(Id, Class)> {
        let (_, class) = self.running.remove(index);
        if self.alternates(class) {
            self.line.iter_mut().for_each(|waiting| waiting.in_turn = true);
        }
        let fewer = if class == QUICK { 8 } else { 1 };
        let mut admitted = Vec::new();
        if let Some(next) = self.next(Some(fewer)) {
            admitted.push(self.admit(next));
        }
        admitted.extend(self.scan(Some(1)));
        admitted
    }

    /// Those ahead of their turns have used the permit of the one that runs. Returns how many they were.
    pub(crate) fn use_ahead(&mut self, index: usize) -> usize {
        let (holder, before) = (self.running[index].0, self.ahead.len());
        self.ahead.retain(|(of, _)| *of != holder);
        before - self.ahead.len()
    }

    /// Lets who waits next have the permit of one that runs, too. Returns who that is.
    pub(crate) fn pass_ahead(&mut self, index: usize) -> Option<Id> {
        let (holder, class) = self.running[index];
        let goes_ahead = match class {
            Class::Read(kind) => matches!(kind, ReadKind::Short | ReadKind::Quick),
            Class::Write => !self.alternates(class) && self.head().is_some_and(|head| !is_place(head)),
            Class::Exclusive => false,
        };
        let (next, _) =
            *self.clone().release_to_one(index).first().filter(|(_, admitted)| goes_ahead && *admitted == class)?;
        let at = self.line.iter().position(|waiting| waiting.id == next).expect("who waits is in the line");
        let waiting = self.line.remove(at);
        self.ahead.push((holder, waiting));
        Some(next)
    }

    /// Those that one that runs has passed its permit on to ahead of their turns, with what they want.
    pub(crate) fn ahead_of(&self, index: usize) -> Vec<(Id, Want)> {
        let holder = self.running[index].0;
        self.ahead.iter().filter(|(of, _)| *of == holder).map(|(_, waiting)| (waiting.id, waiting.want)).collect()
    }

    /// Puts those back that are ahead of their turns, and admits whoever may run.
    pub(crate) fn put_back(&mut self, ids: &[Id]) -> Vec<(Id, Class)> {
        let is_back = |(_, waiting): &(Id, Waiting)| ids.contains(&waiting.id);
        let (back, ahead) = std::mem::take(&mut self.ahead).into_iter().partition(is_back);
        self.ahead = ahead;
        if self.closing {
            return Vec::new();
        }
        let back: Vec<(Id, Waiting)> = back;
        self.line.extend(back.into_iter().map(|(_, waiting)| waiting));
        self.line.sort_by_key(|waiting| waiting.id);
        self.scan(Some(1))
    }

    pub(crate) fn cancel(&mut self, id: Id) -> Vec<(Id, Class)> {
        self.line.retain(|waiting| waiting.id != id);
        self.scan(Some(1))
    }

    pub(crate) fn close(&mut self) -> Vec<Id> {
        self.closing = true;
        self.line.drain(..).map(|waiting| waiting.id).collect()
    }

    /// Requests were queued: admits the quick reads that run because many wait.
    pub(crate) fn widen(&mut self) -> Vec<(Id, Class)> {
        self.scan(Some(1))
    }

    /// A quick read that runs is slow: it, those it would put back, and all that wait are expected to be short.
    pub(crate) fn slow(&mut self, index: usize) -> Vec<(Id, Class)> {
        self.running[index].1 = SHORT;
        let holder = self.running[index].0;
        let its = self.ahead.iter_mut().filter(|(of, _)| *of == holder).map(|(_, waiting)| waiting);
        for waiting in self.line.iter_mut().chain(its) {
            if waiting.want == Want::Permit(QUICK) {
                waiting.want = Want::Permit(SHORT);
            }
        }
        self.scan(Some(1))
    }

    /// Admits whoever may run, one at a time, starting over after each. Quick reads run beside others if many wait, or so many times
    /// fewer, where that is looked at.
    fn scan(&mut self, fewer: Option<usize>) -> Vec<(Id, Class)> {
        let mut admitted = Vec::new();
        while let Some(index) = self.next(fewer) {
            admitted.push(self.admit(index));
        }
        admitted
    }

    fn admit(&mut self, index: usize) -> (Id, Class) {
        let Waiting { id, want, turns_waited, .. } = self.line.remove(index);
        let (id, class) = match want {
            Want::Permit(class) => (id, class),
            Want::Place(read) => {
                self.line.retain(|waiting| waiting.id != read);
                (read, Class::Write)
            }
        };
        assert!(!is_read(class) || turns_waited <= 1, "a read waited for {turns_waited} write turns");
        self.run(id, class);
        (id, class)
    }

    fn run(&mut self, id: Id, class: Class) {
        self.running.push((id, class));
        if self.alternates(class) {
            assert_eq!(self.running.len(), 1, "an alternating permit stands alone");
            self.mode_switches += 1;
            self.line.iter_mut().for_each(|waiting| waiting.turns_waited += 1);
        }
    }

    fn next(&self, fewer: Option<usize>) -> Option<usize> {
        if self.closing {
            return None;
        }
        let find = |may_run: &dyn Fn(&Waiting) -> bool| self.line.iter().position(may_run);
        find(&|waiting| self.may_read(waiting, &[ReadKind::Nested], fewer))
            .or_else(|| {
                find(&|waiting| self.may_read(waiting, &[ReadKind::Short, ReadKind::Quick, ReadKind::Session], fewer))
            })
            .or_else(|| find(&|waiting| self.may_write(waiting)))
    }

    fn may_read(&self, waiting: &Waiting, kinds: &[ReadKind], fewer: Option<usize>) -> bool {
        let Want::Permit(Class::Read(kind)) = waiting.want else { return false };
        let alternating_out = self.running.iter().any(|(_, class)| self.alternates(*class));
        let room = self.readers() < self.max_readers || self.readers() == self.sessions();
        let session_room = kind != ReadKind::Session || self.sessions() < self.max_readers;
        let quicks_out = self.running.iter().filter(|(_, class)| *class == QUICK).count();
        let quicks = self.line.iter().filter(|waiting| waiting.want == Want::Permit(QUICK)).count();
        let crowd = fewer.is_some_and(|fewer| quicks > quicks_out * (self.quicks_of_a_reader / fewer));
        let quick_room = kind != ReadKind::Quick || quicks_out == 0 || crowd;
        let held_back = match self.head().map(|head| head.want) {
            Some(Want::Permit(class)) => {
                let single = matches!(kind, ReadKind::Short | ReadKind::Quick);
                let passes = kind == ReadKind::Nested || (single && self.sessions() > 0);
                let writer_out = self.running.iter().any(|(_, class)| *class == Class::Write);
                self.alternates(class) && !waiting.in_turn && !passes && !writer_out
            }
            Some(Want::Place(_)) | None => false,
        };
        kinds.contains(&kind) && !alternating_out && room && session_room && quick_room && !held_back
    }

    fn may_write(&self, waiting: &Waiting) -> bool {
        let class = match waiting.want {
            Want::Permit(class) => class,
            Want::Place(read) if self.line.iter().any(|other| other.id == read) => Class::Write,
            Want::Place(_) => return false,
        };
        let is_head = self.head().is_some_and(|head| head.id == waiting.id);
        let writer_out = self.running.iter().any(|(_, class)| !is_read(*class));
        let in_turn = self.line.iter().any(|other| is_reader(other) && other.in_turn);
        is_head && !writer_out && (!self.alternates(class) || (self.readers() == 0 && !in_turn))
    }

    /// How many wait, or might again.
    fn queued(&self) -> usize {
        self.line.len() + self.ahead.len()
    }

    fn head(&self) -> Option<&Waiting> {
        self.line.iter().find(|waiting| !is_reader(waiting))
    }

    pub(crate) fn alternates(&self, class: Class) -> bool {
        class == Class::Exclusive || (class == Class::Write && self.concurrency == Concurrency::Exclusive)
    }

    fn readers(&self) -> usize {
        self.running.iter().filter(|(_, class)| is_read(*class)).count()
    }

    fn sessions(&self) -> usize {
        self.running.iter().filter(|(_, class)| *class == Class::Read(ReadKind::Session)).count()
    }

    pub(crate) fn status(&self) -> AdmissionStatus {
        let count = |value: usize| u32::try_from(value).expect("schedules are short");
        let waiting = |counts: &dyn Fn(&Waiting) -> bool| self.line.iter().filter(|waiting| counts(waiting)).count();
        let runs = |wanted| self.running.iter().any(|(_, class)| *class == wanted);
        AdmissionStatus {
            phase: match (self.closing, self.running.is_empty()) {
                (false, _) => Phase::Open,
                (true, false) => Phase::Draining,
                (true, true) => Phase::Closed,
            },
            mode: if self.running.iter().any(|(_, class)| self.alternates(*class)) { Mode::Write } else { Mode::Read },
            concurrency: self.concurrency,
            active_readers: count(self.readers()),
            active_sessions: count(self.sessions()),
            active_writer: runs(Class::Write),
            active_exclusive: runs(Class::Exclusive),
            waiting_readers: waiting(&is_reader),
            waiting_writers: waiting(&|waiting| !is_reader(waiting) && !is_place(waiting)),
            places: waiting(&is_place),
            queued: self.line.len(),
            mode_switches: self.mode_switches,
        }
    }
}

pub(crate) fn is_read(class: Class) -> bool {
    matches!(class, Class::Read(_))
}

pub(crate) fn is_reader(waiting: &Waiting) -> bool {
    matches!(waiting.want, Want::Permit(Class::Read(_)))
}

pub(crate) fn is_place(waiting: &Waiting) -> bool {
    matches!(waiting.want, Want::Place(_))
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) concurrency: Concurrency,
    pub(crate) max_readers: u32,
    pub(crate) max_queued: usize,
    pub(crate) quicks_of_a_reader: usize,
}

impl Setup {
    pub(crate) fn machine(self) -> Admission {
        Admission::new(self.concurrency, self.max_readers, self.max_queued)
            .with_quicks_of_a_reader(self.quicks_of_a_reader)
    }
}
