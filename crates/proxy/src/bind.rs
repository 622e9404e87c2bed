//! Binds the socket of a listener, be it at an address or at a path.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::address::Address;
use crate::unix::{self, Permissions, SocketFile};

/// A socket that is bound, and does not listen yet: nobody can connect.
#[derive(Debug)]
pub struct BoundSocket {
    /// It does not block.
    pub socket: OwnedFd,
    /// Where it is: the kernel may have chosen the port.
    pub address: Address,
    /// The file of a Unix socket.
    pub file: Option<SocketFile>,
}

/// Binds one. `v6_only` leaves IPv4 alone where the address is `[::]`; `permissions` are those of a Unix socket.
///
/// # Errors
/// If the operating system does not let us, or something is at the path that is not to be replaced.
pub fn bind(address: &Address, v6_only: bool, permissions: Permissions) -> io::Result<BoundSocket> {
    match address {
        Address::Ip(address) => {
            let socket = tcp(*address, v6_only)?;
            let address = SockRef::from(&socket).local_addr()?.as_socket();
            Ok(BoundSocket {
                address: address.ok_or(io::ErrorKind::AddrNotAvailable)?.into(),
                socket,
                file: None,
            })
        }
        Address::Unix(path) => {
            let (socket, file) = unix::bind(path, permissions)?;
            Ok(BoundSocket {
                socket,
                address: address.clone(),
                file: Some(file),
            })
        }
    }
}

fn tcp(address: SocketAddr, v6_only: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // Said either way: what the system does by itself is a setting of it (net.ipv6.bindv6only).
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(v6_only)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
