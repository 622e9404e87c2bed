//! A socket that listens, and the file by which it is reached if it is a Unix socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::SockRef;

use crate::address::{Address, Peer};
use crate::inherited::Inherited;
use crate::listener_socket::ListenerSocket;
use crate::settings;
use crate::socket::{self, Kind};
use crate::unix::{self, SocketFile};

/// A bound socket. Unless it was given to this process, it does not listen yet: nobody connects to it before all of
/// a generation is there.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) socket: Arc<Listening>,
    pub(super) address: Address,
    pub(super) is_lent: bool,
}

/// A socket that listens, or is about to.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: OwnedFd,
    kind: Kind,
    /// `None` if there is none, or it is left to whoever lent the socket.
    file: Option<SocketFile>,
}

// === impl Bound ===

impl Bound {
    /// Connections that the kernel completes ahead of us: what waits for a handshake slot, waits
    /// there. The kernel caps it at `net.core.somaxconn`.
    pub(super) const BACKLOG: i32 = 4096;

    /// The socket that was given to this process for it, or a new one.
    pub(crate) fn new(listener: &settings::Listener, given: &Inherited) -> io::Result<Self> {
        let settings::Listener {
            name,
            address,
            v6_only,
            permissions,
            ..
        } = listener;
        ListenerSocket::new(name, address, *v6_only, *permissions, given).and_then(Self::of)
    }

    fn of(socket: ListenerSocket) -> io::Result<Self> {
        let ListenerSocket {
            socket,
            address,
            is_lent,
            file,
        } = socket;
        let kind = kind(&address);
        if kind == Kind::Tcp {
            socket::Socket::prepare(SockRef::from(&socket))?;
        }
        Ok(Self {
            socket: Arc::new(Listening { socket, kind, file }),
            address,
            is_lent,
        })
    }

    /// Whether there could be one. Nothing is taken of what was given to this process, and nobody can connect
    /// meanwhile.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn could_be(listener: &settings::Listener, given: &Inherited) -> io::Result<()> {
        if given.has(&listener.name, &listener.address) {
            return Ok(());
        }
        match &listener.address {
            address @ Address::Ip(_) => {
                ListenerSocket::bind(address, listener.v6_only, listener.permissions).map(drop)
            }
            Address::Unix(path) => unix::could_be_bound(path),
        }
    }

    /// Has the kernel complete connections to it from now on. On one that listens already this sets the backlog
    /// and nothing else.
    ///
    /// # Errors
    /// If somebody else has begun to listen there since it was bound.
    pub(crate) fn listen(&self) -> io::Result<()> {
        SockRef::from(&*self.socket).listen(Self::BACKLOG)
    }

    /// The address that it got.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

fn kind(address: &Address) -> Kind {
    match address {
        Address::Ip(_) => Kind::Tcp,
        Address::Unix(_) => Kind::Unix,
    }
}

// === impl Listening ===

impl Listening {
    /// What is accepted here is as this is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The file by which it is reached, if there is one that is not left to somebody else.
    pub(crate) fn file(&self) -> Option<&SocketFile> {
        self.file.as_ref()
    }

    /// Takes a connection, which is non-blocking from the start.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, Peer)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, peer) = acceptfrom_with(&self.socket, flags)?;
        if self.kind == Kind::Unix {
            return Ok((socket, Peer::Unix));
        }
        // A peer that has gone already may have no address any more.
        let peer: Option<SocketAddr> = peer.and_then(|peer| peer.try_into().ok());
        let peer = peer.ok_or(Errno::CONNABORTED)?;
        Ok((socket, peer.into()))
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listening {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
