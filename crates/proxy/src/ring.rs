#![allow(unsafe_code, missing_docs)]
use std::cell::RefCell;
use std::os::fd::RawFd;
use io_uring::{IoUring, opcode, types};

struct Entry { fd: RawFd, from: usize, len: usize }
pub(crate) struct Batch { ring: Option<IoUring>, entries: Vec<Entry>, bytes: Vec<u8>, mode: u8, least: usize }

thread_local! {
    static BATCH: RefCell<Option<Batch>> = const { RefCell::new(None) };
}

pub(crate) fn enable() {
    let mode = match std::env::var("RING").as_deref() { Ok("uring") => 2, Ok("send") => 1, _ => 0 };
    if mode == 0 { return; }
    let least = std::env::var("RING_LEAST").ok().and_then(|it| it.parse().ok()).unwrap_or(4);
    let ring = (mode == 2).then(|| IoUring::builder().setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun().setup_submit_all().dontfork().build(64).unwrap());
    if let Some(ring) = &ring { let _ = ring.submitter().register_ring_fd(); }
    BATCH.set(Some(Batch { ring, entries: Vec::with_capacity(64), bytes: Vec::with_capacity(1 << 17), mode, least }));
}

pub(crate) fn push(fd: RawFd, first: &[u8], second: &[u8]) -> bool {
    BATCH.with_borrow_mut(|batch| {
        let Some(batch) = batch else { return false };
        if batch.entries.iter().any(|it| it.fd == fd) || batch.entries.len() == 64 || batch.bytes.len() + first.len() + second.len() > 1 << 17 { batch.flush(); }
        let from = batch.bytes.len();
        batch.bytes.extend_from_slice(first);
        batch.bytes.extend_from_slice(second);
        batch.entries.push(Entry { fd, from, len: batch.bytes.len() - from });
        true
    })
}

pub(crate) fn flush() {
    BATCH.with_borrow_mut(|batch| if let Some(batch) = batch { batch.flush() });
}

impl Batch {
    fn flush(&mut self) {
        if self.entries.is_empty() { return; }
        if self.mode == 2 && self.entries.len() >= self.least {
            let ring = self.ring.as_mut().unwrap();
            {
                let mut sq = ring.submission();
                for (i, e) in self.entries.iter().enumerate() {
                    let sqe = opcode::Send::new(types::Fd(e.fd), self.bytes[e.from..].as_ptr(), e.len as u32).flags(libc_flags()).build().user_data(i as u64);
                    unsafe { sq.push(&sqe).unwrap(); }
                }
            }
            let n = ring.submit().unwrap();
            assert_eq!(n, self.entries.len());
            let mut seen = 0;
            for cqe in ring.completion() {
                seen += 1;
                let e = &self.entries[cqe.user_data() as usize];
                if cqe.result() != e.len as i32 { eprintln!("short {} of {}", cqe.result(), e.len); }
            }
            assert_eq!(seen, self.entries.len());
        } else {
            for e in &self.entries {
                let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(e.fd) };
                let n = rustix::net::send(fd, &self.bytes[e.from..e.from + e.len], rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT);
                if n != Ok(e.len) { eprintln!("short {n:?}"); }
            }
        }
        self.entries.clear();
        self.bytes.clear();
    }
}

fn libc_flags() -> i32 { (rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT).bits() as i32 }
