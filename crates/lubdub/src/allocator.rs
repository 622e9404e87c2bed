//! The allocator of the program is jemalloc (docs/adr/0010). Unlike the system's it gives back what a storm of
//! handshakes has taken, and wastes less on what every pair keeps.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Gives back what this thread keeps of freed memory for itself. It would keep it for as long as it has nothing to do.
pub(crate) fn give_back() {
    // It fails where the thread keeps nothing (`_RJEM_MALLOC_CONF=tcache:false`).
    let _ = flush();
}

/// The number of an error, or 0.
fn flush() -> c_int {
    let name = c"thread.tcache.flush".as_ptr();
    // SAFETY: the name ends with a zero byte, and this control neither reads nor writes a value
    // (jemalloc(3), "thread.tcache.flush").
    unsafe {
        tikv_jemalloc_sys::mallctl(name, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_knows_how_to_give_back() {
        drop(vec![0_u8; 100]);
        assert_eq!(flush(), 0);
    }
}
