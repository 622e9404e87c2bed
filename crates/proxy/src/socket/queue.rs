//! What the kernel still holds of the bytes that it took.
//!
//! The one place with unsafe code: no safe wrapper of this request exists among the dependencies,
//! and without it a slow link cannot be told from a dead one (docs/adr/0009).
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use rustix::io;
use rustix::ioctl::{self, Getter, Opcode};

/// `SIOCOUTQ` of tcp(7): "Returns the amount of unsent data in the socket send queue", by which the
/// kernel means all that is not acknowledged, sent or not.
const SIOCOUTQ: Opcode = 0x5411;

/// How many bytes the peer has not acknowledged.
pub(super) fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    // SAFETY: SIOCOUTQ writes one C int through its pointer and does nothing else, which is what
    // `Getter` with these parameters promises.
    let held = unsafe { ioctl::ioctl(socket, Getter::<SIOCOUTQ, i32>::new()) }?;
    Ok(u64::try_from(held).unwrap_or_default())
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
    fn what_a_deaf_peer_has_no_room_for_has_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_deaf, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        while near.write(&[7; 65_536]).is_ok() {}
        assert!(unacknowledged(&near).unwrap() > 0);
    }
}
