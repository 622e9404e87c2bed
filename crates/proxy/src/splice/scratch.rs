//! The one buffer through which a worker thread reads: pairs own none while they are idle.

use std::cell::RefCell;

/// Twice what a message of 16 KiB takes with its header: with half of it such messages came in two
/// pieces, and bulk transfer cost twice as much. With more it did not become cheaper, and this is
/// also what may wait for a side that takes nothing (docs/reference/benchmarks-notes.md).
pub(super) const SCRATCH: usize = 32 * 1024;

/// On pages of its own: the kernel copies into and out of aligned memory faster.
#[repr(align(4096))]
struct Buffer([u8; SCRATCH]);

thread_local! {
    static BUFFER: RefCell<Box<Buffer>> = RefCell::new(Box::new(Buffer([0; SCRATCH])));
}

/// Lends the thread's buffer.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| work(&mut buffer.0))
}
