//! The one buffer through which a worker thread reads: pairs own none while they are idle.

use std::cell::RefCell;

/// Larger buffers made bulk transfer dearer, not cheaper: 64 KiB no longer stay in the first
/// levels of the cache between the read and the write (docs/architecture.md).
pub(super) const SCRATCH: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// Lends the thread's buffer.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| work(buffer))
}
