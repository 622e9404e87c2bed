//! What one input brings to a side: collected, so that it goes out in one write whatever frames it
//! holds.
//!
//! Mostly it is one run of the input, and is written from there. Only where something was left out
//! of it or put into it, the whole is copied together, in a buffer of the thread's: pairs own none.

use std::cell::RefCell;
use std::ops::Range;

use lubdub_wire::{Received, Residue};

use super::scratch::SCRATCH;

/// Bytes on their way to a side.
#[derive(Default)]
pub(super) struct Parcel<'a> {
    input: &'a [u8],
    /// Goes ahead of the run: the beginning of a header that was held back.
    residue: Residue,
    run: Range<usize>,
    /// In place of both, once there is more than they can say.
    gathered: Option<Gathered>,
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
        match &self.gathered {
            Some(gathered) => gathered.0.len(),
            None => self.residue.len() + self.run.len(),
        }
    }

    /// What is to be written: the first part, then the second.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        match &self.gathered {
            Some(gathered) => (&gathered.0, &[]),
            None => (&self.residue, &self.input[self.run.clone()]),
        }
    }

    /// Adds what a scan gives out: held back bytes, then a run of the input.
    #[inline]
    pub(super) fn add_run(&mut self, residue: Residue, run: Range<usize>) {
        if residue.is_empty() && self.gathered.is_none() && self.run.end == run.start {
            self.run.end = run.end;
        } else if self.len() == 0 {
            (self.residue, self.run) = (residue, run);
        } else {
            let run = &self.input[run];
            let gathered = self.gather();
            gathered.extend_from_slice(&residue);
            gathered.extend_from_slice(run);
        }
    }

    /// Adds a frame that a scan has held back and that ends at `end` of the input, as it came.
    #[inline]
    pub(super) fn add_frame(&mut self, frame: &Received<'_>, end: usize) {
        match frame.len_in_input() {
            Some(len) => self.add_run(Residue::EMPTY, end - len..end),
            None => {
                let (begun, rest) = frame.raw();
                self.add(begun);
                self.add(rest);
            }
        }
    }

    /// Adds bytes that are not the input's.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.gather().extend_from_slice(bytes);
    }

    fn gather(&mut self) -> &mut Vec<u8> {
        let (residue, run) = (&self.residue, &self.input[self.run.clone()]);
        let gathered = self.gathered.get_or_insert_with(|| {
            let mut buffer = Gathered(BUFFER.take());
            // All of an input, and what may be put into it, mostly.
            buffer.0.reserve(SCRATCH + SCRATCH / 8);
            buffer.0.extend_from_slice(residue);
            buffer.0.extend_from_slice(run);
            buffer
        });
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
            parcel.add_run(Residue::EMPTY, run);
        }
        assert!(parcel.gathered.is_none());
        assert_eq!(parcel.parts(), (&[][..], INPUT));
    }

    #[test]
    fn what_was_left_out_of_it_or_put_into_it_is_copied_together() {
        let mut parcel = Parcel::of(INPUT);
        parcel.add_run(Residue::EMPTY, 2..3);
        parcel.add_run(Residue::EMPTY, 5..6);
        parcel.add(b"abc");
        parcel.add_run(Residue::EMPTY, 6..8);
        assert_eq!(whole(&parcel), b"25abc67");
        drop(parcel);

        let mut parcel = Parcel::of(INPUT);
        parcel.add(b"abc");
        parcel.add_run(Residue::EMPTY, 0..4);
        assert_eq!(whole(&parcel), b"abc0123", "and nothing of the one before");
    }
}
