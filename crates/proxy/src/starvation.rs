//! What it looks like when the process or the host has run out of something: whoever needs it waits a
//! little and tries again, for trying again at once would spin.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

/// How long to wait for a file descriptor, or for memory of the kernel's.
pub(crate) const STARVED: Duration = Duration::from_millis(100);

/// Whether an error of accept(2), socket(2) or connect(2) is about the process or the host. All
/// others come from the connection itself, and the next one may be well.
pub(crate) fn is_starvation(error: &io::Error) -> bool {
    let starvation = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| starvation.contains(&Errno::from_raw_os_error(code)))
}

/// Whether the process has no file descriptor left: for who learns of it only as "try again".
pub(crate) fn is_starved() -> bool {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None);
    socket.is_err_and(|error| is_starvation(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of the network that accept(2) passes on were taken for starvation, and every listener
    /// paused for each of them.
    #[test]
    fn what_is_wrong_with_one_connection_is_no_starvation() {
        let starved = |errno: Errno| is_starvation(&io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(starved(errno), "{errno:?}");
        }
        for errno in [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::HOSTUNREACH,
            Errno::INTR,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::NOPROTOOPT,
            Errno::OPNOTSUPP,
            Errno::PERM,
            Errno::PROTO,
        ] {
            assert!(!starved(errno), "{errno:?}");
        }
        assert!(!is_starvation(&io::ErrorKind::Other.into()));
    }
}
