//! What the kernel knows of a connection and a read or a write does not tell: how many bytes the
//! peer has acknowledged, and how many packets have arrived at either end.
//!
//! Unsafe code: no safe wrapper of these requests exists among the
//! dependencies, and without them a slow link cannot be told from a dead one (docs/adr/0009).
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use rustix::ioctl::{self, Getter, Opcode};

/// `SIOCOUTQ` of tcp(7): "Returns the amount of unsent data in the socket send queue", by which the
/// kernel means all that is not acknowledged, sent or not.
/// It has the number of the terminal request `TIOCOUTQ`.
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// The beginning of `struct tcp_info` (linux/tcp.h) up to the last field that is looked at. The
/// structure only ever grows at its end, and an older kernel fills in less.
const INFO: usize = GAPPED.end;
/// `tcpi_delivered`, since Linux 4.18.
const DELIVERED: Range<usize> = 192..196;
/// `tcpi_rcv_ooopack`, since Linux 5.4.
const GAPPED: Range<usize> = 224..228;

/// Packets that have arrived; 0 where the kernel is too old to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Packets {
    /// At the peer, the selectively acknowledged ones included. While a lost one is repaired this
    /// grows and what is acknowledged does not.
    pub(crate) delivered: u32,
    /// Here, behind one that is missing: there is nothing to be read, and yet the peer has spoken.
    pub(crate) gapped: u32,
}

/// How many bytes the peer has not acknowledged.
pub(super) fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one C int through its pointer and does nothing else, which is what
    // `Getter` with these parameters promises.
    let held = unsafe { ioctl::ioctl(socket, Getter::<SIOCOUTQ, i32>::new()) }?;
    Ok(u64::try_from(held).unwrap_or_default())
}

/// How many packets have arrived at either end.
pub(super) fn packets(socket: impl AsFd) -> io::Result<Packets> {
    let info = info(socket)?;
    Ok(Packets {
        delivered: field(&info, DELIVERED),
        gapped: field(&info, GAPPED),
    })
}

/// How many packets were sent.
#[cfg(test)]
pub(super) fn packets_sent(socket: impl AsFd) -> io::Result<u32> {
    /// `tcpi_segs_out`, since Linux 4.2.
    const SENT: Range<usize> = 136..140;
    Ok(field(&info(socket)?, SENT))
}

fn field(info: &[u8; INFO], at: Range<usize>) -> u32 {
    u32::from_ne_bytes(info[at].try_into().unwrap_or_default())
}

fn info(socket: impl AsFd) -> io::Result<[u8; INFO]> {
    let mut info = [0_u8; INFO];
    let mut len = libc::socklen_t::try_from(info.len()).unwrap_or_default();
    // SAFETY: the kernel writes at most `len` bytes to `info`, which has as many, and then the
    // number that it wrote to `len`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_read_has_been_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert_eq!(unacknowledged(&near).unwrap(), 0);
        near.write_all(&[7; 1000]).unwrap();
        far.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(unacknowledged(&near).unwrap(), 0);
    }

    #[test]
    fn packets_that_arrived_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nodelay(true).unwrap();
        let before = packets(&near).unwrap();
        for _ in 0..10 {
            near.write_all(&[7; 100]).unwrap();
            far.read_exact(&mut [0; 100]).unwrap();
        }
        let arrived = packets(&near).unwrap().delivered - before.delivered;
        assert!((9..=10).contains(&arrived), "{arrived} packets");
    }

    #[test]
    fn what_a_deaf_peer_has_no_room_for_has_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_deaf, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        while near.write(&[7; 65_536]).is_ok() {}
        assert!(unacknowledged(&near).unwrap() > 0);
    }
}
