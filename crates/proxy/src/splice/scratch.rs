//! The one buffer through which a worker thread reads: pairs own none while they are idle.

use std::cell::RefCell;

/// As many whole pages as the kernel sends as one piece: what is read is written at once, and loopback carries 65,483
/// bytes in a packet, as a network card gets about as many to cut up. Of 64 KiB, and of each second 32 KiB, a small
/// rest goes on its own: bulk transfer then takes half as much time again. This is also what may wait for a side that
/// takes nothing (docs/reference/benchmarks-notes.md).
pub(super) const SCRATCH: usize = 60 * 1024;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// MTU 65,536, less the headers of IPv6 and TCP with its timestamps.
    const LOOPBACK: usize = 65_536 - 40 - 32;

    #[test]
    fn what_is_read_is_whole_pages_and_leaves_as_one_packet() {
        with_scratch(|scratch| {
            assert_eq!(scratch.as_ptr().addr() % 4096, 0);
            assert_eq!(scratch.len() % 4096, 0);
            assert!((LOOPBACK - 4096..LOOPBACK).contains(&scratch.len()));
        });
    }
}
