//! The socket of a listener, be it at an address or at a path, given to this process or new.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::address::Address;
use crate::inherited::Inherited;
use crate::unix::{self, Permissions, SocketFile};

/// A socket for a listener. Unless it was given to this process it does not listen yet: nobody can connect.
#[derive(Debug)]
pub struct ListenerSocket {
    /// It does not block.
    pub socket: OwnedFd,
    /// Where it is: the kernel may have chosen the port.
    pub address: Address,
    /// Whoever gave it keeps it as well, and it outlives this process: what waits in its accept queue is not
    /// lost with it.
    pub is_lent: bool,
    /// The file of a Unix socket, unless it is left to whoever lent the socket.
    pub file: Option<SocketFile>,
}

impl ListenerSocket {
    /// The one that was given to this process for the listener of this name and address, or a new one. `v6_only` leaves
    /// IPv4 alone where the address is `[::]`; `permissions` are those of a Unix socket.
    ///
    /// # Errors
    /// If the operating system does not let us, or something is at the path that is not to be replaced.
    pub fn new(
        name: &str,
        address: &Address,
        v6_only: bool,
        permissions: Permissions,
        given: &Inherited,
    ) -> io::Result<Self> {
        let Some(given) = given.take(name, address)? else {
            return Self::bind(address, v6_only, permissions);
        };
        SockRef::from(&given.socket).set_nonblocking(true)?;
        if let Some(file) = &given.file {
            file.set_permissions(permissions)?;
        }
        Ok(given)
    }

    /// A new one.
    ///
    /// # Errors
    /// As those of [`new`](Self::new).
    pub(crate) fn bind(
        address: &Address,
        v6_only: bool,
        permissions: Permissions,
    ) -> io::Result<Self> {
        let (socket, address, file) = match address {
            Address::Ip(address) => {
                let socket = tcp(*address, v6_only)?;
                let address = SockRef::from(&socket).local_addr()?.as_socket();
                let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
                (socket, address.into(), None)
            }
            Address::Unix(path) => {
                let (socket, file) = unix::bind(path, permissions)?;
                (socket, address.clone(), Some(file))
            }
        };
        Ok(Self {
            socket,
            address,
            is_lent: false,
            file,
        })
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
