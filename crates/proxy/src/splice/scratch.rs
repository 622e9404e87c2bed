//! The one buffer through which a worker thread reads: pairs own none while they are idle.

use std::cell::RefCell;

/// Twice what a message of 16 KiB takes with its header: with half of it such messages came in two
/// pieces, and bulk transfer cost twice as much. With more it did not become cheaper, and this is
/// also what may wait for a side that takes nothing (docs/reference/benchmarks-notes.md).
pub(super) const SCRATCH: usize = 32 * 1024;

/// The bytes begin 1,024 behind a page boundary. What is read into a buffer that begins on the boundary itself costs
/// a fifth more on processors whose copies take addresses for the same that are equal in their last twelve bits; with
/// 16 bytes it costs much more (docs/reference/benchmarks-notes.md).
#[repr(C, align(4096))]
struct Buffer {
    lead: [u8; LEAD],
    bytes: [u8; SCRATCH],
}

const LEAD: usize = 1024;

thread_local! {
    static BUFFER: RefCell<Box<Buffer>> = RefCell::new(Box::new(Buffer {
        lead: [0; LEAD],
        bytes: [0; SCRATCH],
    }));
}

/// Lends the thread's buffer.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| work(&mut buffer.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_copies_are_cheap() {
        with_scratch(|buffer| {
            assert_eq!(buffer.len(), SCRATCH);
            assert_eq!(buffer.as_ptr().addr() % 4096, LEAD);
        });
        BUFFER.with_borrow(|buffer| assert_eq!(buffer.lead.len(), LEAD));
    }
}
