//! The allocator of the program is jemalloc (docs/adr/0010). Unlike the system's it gives back what a storm of
//! handshakes has taken, and wastes less on what every pair keeps.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What has been free for a second goes to the system, by a thread that sleeps otherwise. What each thread keeps in
/// reserve is little, and looked through once in a megabyte. `_RJEM_MALLOC_CONF` overrides it at run time.
const CONF: &CStr = c"background_thread:true,max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0,\
tcache_nslots_small_max:32,tcache_nslots_large:4,tcache_gc_incr_bytes:1048576,slab_sizes:256-256:8|1024-1024:8";

/// Where jemalloc looks for it.
// SAFETY: jemalloc declares `const char *malloc_conf`, weakly, for a program to define (jemalloc(3), "TUNING"), and
// its build here puts `_rjem_` before each of its names. An optional reference is such a pointer.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static MALLOC_CONF: Option<&c_char> = Some(unsafe { &*CONF.as_ptr() });

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

    /// The value of a control that is so large.
    fn control<T: Default>(name: &CStr) -> T {
        let mut value = T::default();
        let mut size = size_of::<T>();
        let error = unsafe {
            let old = ptr::from_mut(&mut value).cast();
            tikv_jemalloc_sys::mallctl(name.as_ptr(), old, &mut size, ptr::null_mut(), 0)
        };
        assert_eq!((error, size), (0, size_of::<T>()), "{name:?}");
        value
    }

    #[test]
    fn it_does_as_it_is_told() {
        assert!(control::<bool>(c"opt.background_thread"));
        assert_eq!(control::<isize>(c"opt.dirty_decay_ms"), 1000);
        assert_eq!(control::<isize>(c"opt.muzzy_decay_ms"), 0);
        assert_eq!(control::<u32>(c"opt.tcache_nslots_small_max"), 32);
        assert_eq!(control::<usize>(c"opt.tcache_gc_incr_bytes"), 1 << 20);
        // Which is of 1,024 bytes: a page has four, and eight pages are one slab.
        let sizes = (0..36).map(|n| {
            let of = |what: &str| {
                let name = format!("arenas.bin.{n}.{what}\0");
                control::<usize>(CStr::from_bytes_with_nul(name.as_bytes()).unwrap())
            };
            (of("size"), of("slab_size"))
        });
        assert!(sizes.into_iter().any(|size| size == (1024, 8 * 4096)));
    }

    #[test]
    fn it_knows_how_to_give_back() {
        drop(vec![0_u8; 100]);
        assert_eq!(flush(), 0);
    }
}
