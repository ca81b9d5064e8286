//! Which writes to a log are kept for a moment: those of the frames of one commit. No I/O.

/// The size of the header of a frame: <https://sqlite.org/walformat.html#the_wal_file_format>, "frame header".
const HEADER_BYTES: usize = 24;
/// How much is kept at most: more SQLite does not write at once on unix. A longer commit is written in pieces.
const MOST_BYTES: usize = 0x1_ffff;

/// What is done with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is kept.
    Keep,
    /// It is kept, and all that is kept is to be written now: nothing must stay behind, or there is enough of it.
    Write,
    /// It is written by itself, after what is kept.
    Through,
}

/// What the next write must be to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    Header,
    Page,
    /// The page of the frame that commits.
    LastPage,
    /// None is kept.
    #[default]
    Nothing,
}

/// The frames of one commit that were kept, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Where they begin in the log.
    start: i64,
    /// Of which commit they are.
    commit: u64,
    next: Next,
}

impl Frames {
    /// Decides about a write of `bytes` at `offset`, made for the commit `commit`; 0 is none.
    pub(super) fn add(&mut self, bytes: &[u8], offset: i64, commit: u64) -> Step {
        self.belong_to(commit);
        let follows = self.bytes.is_empty() || offset == self.end();
        let bytes_with_it = self.bytes.len() + bytes.len();
        if !follows || bytes_with_it > MOST_BYTES {
            return self.stop();
        }
        let (step, next) = match (self.next, bytes.len() == HEADER_BYTES) {
            (Next::Header, true) => (Step::Keep, if commits(bytes) { Next::LastPage } else { Next::Page }),
            (Next::Page, false) if bytes_with_it + HEADER_BYTES + bytes.len() > MOST_BYTES => {
                (Step::Write, Next::Header)
            }
            (Next::Page, false) => (Step::Keep, Next::Header),
            (Next::LastPage, false) => (Step::Write, Next::Nothing),
            (Next::Header, false) | (Next::Page | Next::LastPage, true) | (Next::Nothing, _) => return self.stop(),
        };
        if self.bytes.is_empty() {
            self.start = offset;
        }
        self.bytes.extend_from_slice(bytes);
        self.next = next;
        step
    }

    /// Something else is about to be done with the log, for the commit `commit`: nothing is kept from here on, until another commit.
    /// What is kept is to be written first.
    pub(super) fn interrupt(&mut self, commit: u64) {
        self.belong_to(commit);
        self.next = Next::Nothing;
    }

    /// Returns what is to be written, and where, if there is anything.
    pub(super) fn kept(&self) -> Option<(&[u8], i64)> {
        (!self.bytes.is_empty()).then_some((&*self.bytes, self.start))
    }

    /// What was kept has been written.
    pub(super) fn written(&mut self) {
        self.bytes.clear();
    }

    /// Forgets what a commit left behind that failed: it was rolled back, and those frames are nowhere mentioned.
    fn belong_to(&mut self, commit: u64) {
        if self.commit != commit {
            self.bytes.clear();
            self.commit = commit;
            self.next = if commit == 0 { Next::Nothing } else { Next::Header };
        }
    }

    fn stop(&mut self) -> Step {
        self.next = Next::Nothing;
        Step::Through
    }

    fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.bytes.len() as u64)
    }
}

/// Whether the header of a frame says how large the database is after a commit. That of any other frame says 0 there.
fn commits(header: &[u8]) -> bool {
    header[4..8].iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: [u8; 4096] = [7; 4096];
    const FRAME: i64 = 24 + 4096;

    fn header(size: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [1; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&size.to_be_bytes());
        bytes
    }

    fn length(bytes: &[u8]) -> i64 {
        i64::try_from(bytes.len()).expect("a few pages")
    }

    fn frame(frames: &mut Frames, number: i64, size: u32, commit: u64) -> (Step, Step) {
        let at = 32 + number * FRAME;
        (frames.add(&header(size), at, commit), frames.add(&PAGE, at + 24, commit))
    }

    #[test]
    fn the_frames_of_a_commit_are_written_with_its_last() {
        let mut frames = Frames::default();
        assert_eq!(frame(&mut frames, 0, 0, 1), (Step::Keep, Step::Keep));
        assert_eq!(frame(&mut frames, 1, 0, 1), (Step::Keep, Step::Keep));
        assert_eq!(frame(&mut frames, 2, 9, 1), (Step::Keep, Step::Write));
        let (bytes, start) = frames.kept().expect("three frames");
        assert_eq!((length(bytes), start), (3 * FRAME, 32));
        assert_eq!(bytes[..24], header(0));
        assert_eq!(bytes[24..4120], PAGE);
        assert_eq!(bytes[2 * 4120..2 * 4120 + 24], header(9));
        frames.written();
        assert_eq!(frames.kept(), None);
    }

    #[test]
    fn what_comes_after_the_last_frame_is_not_kept() {
        let mut frames = Frames::default();
        frame(&mut frames, 0, 9, 1);
        frames.written();
        assert_eq!(frame(&mut frames, 1, 9, 1), (Step::Through, Step::Through), "a frame that fills a sector");
        assert_eq!(frame(&mut frames, 1, 9, 2), (Step::Keep, Step::Write), "the next commit");
    }

    #[test]
    fn outside_a_commit_nothing_is_kept() {
        let mut frames = Frames::default();
        assert_eq!(frame(&mut frames, 0, 0, 0), (Step::Through, Step::Through));
        assert_eq!(frames.kept(), None);
    }

    #[test]
    fn a_write_elsewhere_ends_it_and_what_was_kept_comes_first() {
        for (bytes, at) in [(&header(0)[..], 32), (&PAGE[..], 32 + FRAME), (&PAGE[..32], 0)] {
            let mut frames = Frames::default();
            frame(&mut frames, 0, 0, 1);
            assert_eq!(frames.add(bytes, at, 1), Step::Through);
            assert_eq!(frames.kept().map(|(kept, start)| (length(kept), start)), Some((FRAME, 32)));
            frames.written();
            assert_eq!(frame(&mut frames, 1, 9, 1), (Step::Through, Step::Through));
        }
    }

    #[test]
    fn a_page_in_two_pieces_ends_it() {
        let mut frames = Frames::default();
        frames.add(&header(9), 32, 1);
        assert_eq!(frames.add(&PAGE[..512], 56, 1), Step::Write);
        frames.written();
        assert_eq!(frames.add(&PAGE[512..], 568, 1), Step::Through);
        frame(&mut frames, 0, 0, 2);
        frames.add(&header(0), 32 + FRAME, 2);
        assert_eq!(frames.add(&PAGE[..HEADER_BYTES], 56 + FRAME, 2), Step::Through, "no page is that short");
    }

    #[test]
    fn anything_else_that_is_done_with_the_file_ends_it() {
        let mut frames = Frames::default();
        frame(&mut frames, 0, 0, 1);
        frames.interrupt(1);
        assert!(frames.kept().is_some(), "it is written first");
        frames.written();
        assert_eq!(frame(&mut frames, 1, 9, 1), (Step::Through, Step::Through));
    }

    #[test]
    fn what_a_failed_commit_left_behind_is_forgotten() {
        for then in [0, 2] {
            let mut frames = Frames::default();
            frame(&mut frames, 0, 9, 1);
            frames.interrupt(then);
            assert_eq!(frames.kept(), None);
        }
        let mut frames = Frames::default();
        frame(&mut frames, 5, 9, 1);
        assert_eq!(frame(&mut frames, 2, 9, 2), (Step::Keep, Step::Write));
        assert_eq!(frames.kept().map(|(kept, start)| (length(kept), start)), Some((FRAME, 32 + 2 * FRAME)));
    }

    #[test]
    fn a_commit_of_large_pages_is_written_in_pieces() {
        let (mut frames, page) = (Frames::default(), vec![7; 65_536]);
        for number in 0..3 {
            let at = 32 + number * (24 + 65_536);
            assert_eq!(frames.add(&header(0), at, 1), Step::Keep);
            assert_eq!(frames.add(&page, at + 24, 1), Step::Write);
            frames.written();
        }
    }

    #[test]
    fn a_long_commit_is_written_in_pieces() {
        let mut frames = Frames::default();
        let (mut written, mut pieces) = (0, 0);
        for number in 0..100 {
            let (_, step) = frame(&mut frames, number, u32::from(number == 99), 1);
            if step == Step::Write {
                let (bytes, start) = frames.kept().expect("frames");
                assert_eq!(start, 32 + written);
                assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
                pieces += 1;
                written += length(bytes);
                frames.written();
            }
        }
        assert_eq!((written, pieces), (100 * FRAME, 4));
    }
}
