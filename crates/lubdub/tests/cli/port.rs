//! A port that is free, and stays so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port that the kernel gives to nobody else as long as this lives. Nobody listens there, and who is told of it can.
pub(crate) struct Port {
    _held: Socket,
    pub(crate) number: u16,
}

impl Port {
    /// Takes one that is free with IPv4 and with IPv6, where there is IPv6.
    pub(crate) fn hold() -> Self {
        let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        let held = any.into_iter().find_map(|ip| bind((ip, 0).into()).ok());
        let held = held.expect("a free port");
        let address = held.local_addr().ok().and_then(|it| it.as_socket());
        Self {
            number: address.expect("it is bound").port(),
            _held: held,
        }
    }

    /// At loopback.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn bind(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // It never listens itself: who says the same may.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
