//! The way between lubdub and the endpoints of a test: TCP on loopback, or Unix sockets where `LUBDUB_TEST_WAY=unix`
//! says so. A room of tests is played over either, as it is.
//!
//! A Unix socket stands for a port of loopback: it has the port's number for its name, and who has the socket holds
//! the port, so that no other test has it.

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use lubdub_proxy::settings::Site;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

/// The variable that says which way is taken.
pub const WAY: &str = "LUBDUB_TEST_WAY";

static IS_UNIX: LazyLock<bool> =
    LazyLock::new(|| env::var_os(WAY).is_some_and(|way| way == "unix"));

/// A port that the kernel gives to nobody else as long as this lives, though who is told of it can listen there, at
/// any address; and the place of the Unix socket that stands for it.
///
/// What is at that place goes with it: whoever connects to a port takes a socket that is there for its own, and the
/// port may be given to a TCP listener next, such as an admin listener.
#[derive(Debug)]
pub struct Port {
    _held: Socket,
    /// At loopback.
    pub address: SocketAddr,
}

/// Whether it is Unix sockets. For the few tests of what only TCP has.
#[must_use]
pub fn is_unix() -> bool {
    *IS_UNIX
}

/// The Unix socket that stands for this port.
pub(crate) fn path(port: SocketAddr) -> PathBuf {
    let directory = env::temp_dir().join("lubdub-test");
    std::fs::create_dir_all(&directory).expect("there is a directory for temporary files");
    directory.join(format!("{}.sock", port.port()))
}

/// Where an upstream is that was given this address.
pub(crate) fn site(address: SocketAddr, host: String) -> Site {
    match of(address) {
        Some(path) => Site::Unix(path.into()),
        None => Site::Named {
            host: host.into(),
            port: address.port(),
        },
    }
}

/// The URL of an upstream that was given this address.
#[must_use]
pub fn url(address: SocketAddr) -> String {
    match of(address) {
        Some(path) => format!("unix:{}", path.display()),
        None => format!("ws://{address}"),
    }
}

/// The Unix socket that stands for `address`, if there is one.
pub(crate) fn of(address: SocketAddr) -> Option<PathBuf> {
    let path = path(address);
    (is_unix() && path.exists()).then_some(path)
}

/// Connects to a Unix socket.
pub(crate) fn connect(path: &Path, send_buffer: Option<u32>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes as usize)?;
    }
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    stream(socket.into())
}

/// The runtime's stream over any stream socket: it only reads and writes.
pub(crate) fn stream(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = std::net::TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

// === impl Port ===

impl Port {
    /// Takes one that is free with IPv4, and with IPv6 where there is IPv6.
    ///
    /// # Errors
    /// If there is none.
    pub fn hold() -> io::Result<Self> {
        let socket = Self::bind(Ipv6Addr::UNSPECIFIED.into())
            .or_else(|_| Self::bind(Ipv4Addr::UNSPECIFIED.into()))?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let port = Self {
            _held: socket,
            address: (Ipv4Addr::LOCALHOST, address.port()).into(),
        };
        // A run that was killed left it here.
        port.clear();
        Ok(port)
    }

    fn bind(any: IpAddr) -> io::Result<Socket> {
        let address = SocketAddr::from((any, 0));
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if any.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // It never listens itself: who says the same may.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(path(self.address));
    }
}

impl Drop for Port {
    /// A program that was killed has left its socket.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_let_go_leaves_no_socket_for_who_gets_it_next() {
        let port = Port::hold().unwrap();
        let place = path(port.address);
        // It is closed, and stays where it was bound, as when its program is killed.
        drop(std::os::unix::net::UnixListener::bind(&place).unwrap());
        assert!(place.exists());
        drop(port);
        assert!(!place.exists());
    }
}
