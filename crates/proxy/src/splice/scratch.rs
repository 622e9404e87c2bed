//! The one buffer through which a worker thread reads: pairs own none while they are idle.

use std::cell::RefCell;

/// Larger buffers made bulk transfer dearer, not cheaper: 64 KiB no longer stay in the first
/// levels of the cache between the read and the write (docs/architecture.md).
pub(super) const SCRATCH: usize = 16 * 1024;

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
