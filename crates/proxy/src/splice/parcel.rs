//! What one input brings to a side: collected, so that it goes out in one write whatever frames it
//! holds.
//!
//! Mostly it is one run of the input, and is written from there. Only where something was left out
//! of it or put into it, the whole is copied together, in a buffer of the thread's: pairs own none.

use std::cell::RefCell;
use std::ops::Range;

use super::scratch::SCRATCH;

/// Bytes on their way to a side.
#[derive(Default)]
pub(super) struct Parcel<'a> {
    input: &'a [u8],
    /// Goes ahead of the run: all else.
    gathered: Option<Gathered>,
    /// The last run of the input.
    run: Range<usize>,
}

/// The thread's buffer, taken until it is dropped.
struct Gathered(Vec<u8>);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

// === impl Parcel ===

impl<'a> Parcel<'a> {
    /// Nothing yet, to be filled with runs of `input` and with what stands between them.
    pub(super) fn of(input: &'a [u8]) -> Self {
        Self {
            input,
            ..Self::default()
        }
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        let gathered = self
            .gathered
            .as_ref()
            .map_or(0, |gathered| gathered.0.len());
        gathered + self.run.len()
    }

    /// What is to be written: the first part, then the second.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let gathered = self.gathered.as_ref().map(|gathered| &*gathered.0);
        (gathered.unwrap_or_default(), &self.input[self.run.clone()])
    }

    /// Adds a run of the input, and ahead of it what was held back until it came.
    #[inline]
    pub(super) fn add_run(&mut self, held: &[u8], run: Range<usize>) {
        if !held.is_empty() {
            self.add(held);
        }
        if self.run.end == run.start {
            self.run.end = run.end;
        } else if !run.is_empty() {
            self.begin_run(run);
        }
    }

    /// Adds bytes that are not the input's.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.gather().extend_from_slice(bytes);
    }

    fn begin_run(&mut self, run: Range<usize>) {
        if !self.run.is_empty() {
            self.gather();
        }
        self.run = run;
    }

    /// Makes all that is there one part, to which something can be added.
    fn gather(&mut self) -> &mut Vec<u8> {
        let run = &self.input[self.run.clone()];
        self.run.start = self.run.end;
        let gathered = self.gathered.get_or_insert_with(|| {
            let mut buffer = Gathered(BUFFER.take());
            // All of an input, and what may be put into it, mostly.
            buffer.0.reserve(SCRATCH + SCRATCH / 8);
            buffer
        });
        gathered.0.extend_from_slice(run);
        &mut gathered.0
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.0.clear();
        BUFFER.set(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &[u8] = b"0123456789";

    fn whole(parcel: &Parcel<'_>) -> Vec<u8> {
        let (first, second) = parcel.parts();
        let whole = [first, second].concat();
        assert_eq!(whole.len(), parcel.len());
        whole
    }

    #[test]
    fn what_lies_together_is_one_run_of_the_input() {
        let mut parcel = Parcel::of(INPUT);
        for run in [0..0, 0..3, 3..3, 3..7, 7..10] {
            parcel.add_run(b"", run);
        }
        assert!(parcel.gathered.is_none());
        assert_eq!(parcel.parts(), (&[][..], INPUT));
    }

    #[test]
    fn what_was_left_out_of_it_or_put_into_it_is_copied_together() {
        let mut parcel = Parcel::of(INPUT);
        parcel.add_run(b"", 2..3);
        parcel.add_run(b"", 5..6);
        parcel.add(b"abc");
        parcel.add_run(b"", 6..8);
        assert_eq!(whole(&parcel), b"25abc67");
        drop(parcel);

        let mut parcel = Parcel::of(INPUT);
        parcel.add(b"abc");
        parcel.add_run(b"", 0..4);
        assert_eq!(whole(&parcel), b"abc0123", "and nothing of the one before");
        assert_eq!(parcel.parts(), (&b"abc"[..], &b"0123"[..]));
        parcel.add_run(b"de", 4..6);
        assert_eq!(whole(&parcel), b"abc0123de45");
    }
}
