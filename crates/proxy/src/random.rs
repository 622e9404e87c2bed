//! Randomness for pairs, from the operating system, some at a time: asking for the few bytes of each pair would cost as
//! much as a system call does.
//!
//! Masks of frames come from it (RFC 6455 10.3: they must not be predictable), so nothing is stretched or derived: each
//! byte is the system's, and is handed out once.

use std::cell::RefCell;

/// So much is asked for at a time, in bytes.
const SOME: usize = 1024;

struct Pool {
    bytes: [u8; SOME],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            bytes: [0; SOME],
            used: SOME,
        })
    };
}

/// Bytes that nobody can foresee.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= SOME) };
    POOL.with_borrow_mut(|pool| {
        if SOME - pool.used < N {
            getrandom::fill(&mut pool.bytes).expect("the operating system has randomness");
            pool.used = 0;
        }
        let some = &mut pool.bytes[pool.used..][..N];
        pool.used += N;
        let mut taken = [0; N];
        taken.copy_from_slice(some);
        // What was handed out is not to be found here again.
        some.fill(0);
        taken
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_is_handed_out_twice() {
        let all: BTreeSet<[u8; 20]> = (0..500).map(|_| bytes()).collect();
        assert_eq!(all.len(), 500);
        assert!(!all.contains(&[0; 20]));
        POOL.with_borrow(|pool| assert!(pool.bytes[..pool.used].iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn threads_have_different_ones() {
        let there = std::thread::spawn(bytes::<32>).join().unwrap();
        assert_ne!(there, bytes());
    }
}
