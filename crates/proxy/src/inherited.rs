//! Listening sockets that were given to this process: by the one whose place it takes, or by whoever
//! started it. A listener that finds its own among them is not bound anew.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{SockRef, Type};

/// The sockets that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Mutex<Vec<Socket>>);

#[derive(Debug)]
struct Socket {
    name: Option<String>,
    address: SocketAddr,
    listener: TcpListener,
}

/// Why a descriptor is no listener's.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    /// It is something else.
    #[error("it is no listening TCP socket")]
    Other,
    /// The operating system does not tell.
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl Inherited ===

impl Inherited {
    /// One more socket, with the name that it was given under, if it was.
    ///
    /// # Errors
    /// If it is no listening TCP socket.
    pub fn add(&self, name: Option<&str>, socket: OwnedFd) -> Result<SocketAddr, NotListening> {
        let asked = SockRef::from(&socket);
        let is_listening = asked.is_listener()? && asked.r#type()? == Type::STREAM;
        let address = asked.local_addr()?.as_socket();
        let (true, Some(address)) = (is_listening, address) else {
            return Err(NotListening::Other);
        };
        self.lock().push(Socket {
            name: name.map(str::to_owned),
            address,
            listener: TcpListener::from(socket),
        });
        Ok(address)
    }

    /// The socket for the listener of this name and address. The address counts; the name does where
    /// the port is the kernel's choice.
    #[must_use]
    pub fn take(&self, name: &str, address: SocketAddr) -> Option<TcpListener> {
        let mut sockets = self.lock();
        let is_it = |it: &Socket| match address.port() {
            0 => it.address.ip() == address.ip() && it.name.as_deref() == Some(name),
            _ => it.address == address,
        };
        let place = sockets.iter().position(is_it)?;
        Some(sockets.swap_remove(place).listener)
    }

    /// Closes those that nobody has taken, and tells where they were.
    pub fn close(&self) -> Vec<SocketAddr> {
        let left = std::mem::take(&mut *self.lock());
        left.iter().map(|it| it.address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Socket>> {
        // Nothing that is done under the lock leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (OwnedFd, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener.into(), address)
    }

    #[test]
    fn a_socket_goes_to_the_listener_of_its_address_and_only_once() {
        let inherited = Inherited::default();
        let ((one, first), (other, second)) = (listener(), listener());
        inherited.add(Some("public"), one).unwrap();
        inherited.add(None, other).unwrap();
        let taken = inherited.take("anything", first).unwrap();
        assert_eq!(taken.local_addr().unwrap(), first);
        assert!(inherited.take("anything", first).is_none());
        assert_eq!(inherited.close(), [second]);
    }

    #[test]
    fn where_the_kernel_chose_the_port_the_name_counts() {
        let inherited = Inherited::default();
        let (one, address) = listener();
        inherited.add(Some("public"), one).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        assert!(inherited.take("private", any).is_none());
        let taken = inherited.take("public", any).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let inherited = Inherited::default();
        for wrong in [one.into(), datagram.into(), file.into()] {
            assert!(inherited.add(None, wrong).is_err());
        }
    }
}
