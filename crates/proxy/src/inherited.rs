//! Listening sockets that were given to this process: by the one whose place it takes, or by whoever
//! started it. A listener that finds its own among them is not bound anew.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{SockAddr, SockRef, Type};

use crate::address::Address;
use crate::listener_socket::ListenerSocket;
use crate::unix::{FileId, SocketFile};

/// The sockets that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Mutex<Vec<Socket>>,
    /// Of sockets that nobody wanted.
    files_left: Mutex<Vec<SocketFile>>,
}

#[derive(Debug)]
struct Socket {
    name: Option<String>,
    address: Address,
    listener: OwnedFd,
    /// The file of one that this process is to have for good.
    file: Option<SocketFile>,
    /// Whoever gave it keeps it as well.
    is_lent: bool,
    /// The configured address of the listener that its giver meant it for, once that has come.
    meant_for: Option<Address>,
}

/// Why a descriptor is no listener's.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    /// It is something else.
    #[error("it is no listening TCP socket, nor a Unix socket at a path")]
    Other,
    /// The operating system does not tell.
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl Inherited ===

impl Inherited {
    /// One more socket, with the name that it was given under, if it was. Whoever gives it gives it up.
    ///
    /// # Errors
    /// If it is no listening socket with an address.
    pub fn add(&self, name: Option<&str>, socket: OwnedFd) -> Result<Address, NotListening> {
        self.push(name, socket, None, false)
    }

    /// As [`add`](Self::add), with the file of a Unix socket.
    ///
    /// # Errors
    /// As those of `add`.
    pub(crate) fn add_with_file(
        &self,
        name: Option<&str>,
        socket: OwnedFd,
        file: Option<FileId>,
    ) -> Result<Address, NotListening> {
        self.push(name, socket, file, false)
    }

    /// One more socket, which its giver keeps as well: it can be taken again and again.
    ///
    /// # Errors
    /// If it is no listening socket with an address.
    pub fn lend(&self, name: Option<&str>, socket: OwnedFd) -> Result<Address, NotListening> {
        self.push(name, socket, None, true)
    }

    fn push(
        &self,
        name: Option<&str>,
        socket: OwnedFd,
        file: Option<FileId>,
        is_lent: bool,
    ) -> Result<Address, NotListening> {
        let asked = SockRef::from(&socket);
        let is_listening = asked.is_listener()? && asked.r#type()? == Type::STREAM;
        let address = address(&asked.local_addr()?);
        let (true, Some(address)) = (is_listening, address) else {
            return Err(NotListening::Other);
        };
        let file = match (&address, file) {
            (Address::Unix(path), Some(id)) => Some(SocketFile::of_another(path, id)),
            _ => None,
        };
        self.lock().push(Socket {
            name: name.map(str::to_owned),
            address: address.clone(),
            listener: socket,
            file,
            is_lent,
            meant_for: None,
        });
        Ok(address)
    }

    /// The socket for the listener of this name and address. The address counts; the name does where the
    /// port is the kernel's choice, and for what is lent: its giver says whose it is. A listener that moves to
    /// another address later is bound there.
    ///
    /// # Errors
    /// If there is no descriptor for one that is lent.
    pub fn take(&self, name: &str, address: &Address) -> io::Result<Option<ListenerSocket>> {
        let mut sockets = self.lock();
        let Some(place) = find(&sockets, name, address) else {
            return Ok(None);
        };
        if sockets[place].is_lent {
            let lent = &mut sockets[place];
            lent.meant_for.get_or_insert_with(|| address.clone());
            return Ok(Some(ListenerSocket {
                socket: lent.listener.try_clone()?,
                address: lent.address.clone(),
                is_lent: true,
                file: None,
            }));
        }
        let Socket {
            address,
            listener,
            file,
            ..
        } = sockets.swap_remove(place);
        Ok(Some(ListenerSocket {
            socket: listener,
            address,
            is_lent: false,
            file,
        }))
    }

    /// Whether [`take`](Self::take) would find one. Nothing is taken.
    pub(crate) fn has(&self, name: &str, address: &Address) -> bool {
        find(&self.lock(), name, address).is_some()
    }

    /// Closes those that nobody has taken, and tells where they were. What is lent stays.
    pub fn close(&self) -> Vec<Address> {
        let mut sockets = self.lock();
        let left = sockets.extract_if(.., |it| !it.is_lent);
        let mut files_left = self.files_left();
        left.map(|it| {
            files_left.extend(it.file);
            it.address
        })
        .collect()
    }

    /// Removes the files of those that nobody has taken: whoever gave them is not to go on with them any more.
    pub fn remove_files_left(&self) {
        for file in self.files_left().drain(..) {
            file.set_ours(true);
        }
    }

    fn files_left(&self) -> MutexGuard<'_, Vec<SocketFile>> {
        self.files_left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Socket>> {
        // Nothing that is done under the lock leaves it half changed.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a socket is; `None` for a Unix socket without a path.
fn address(local: &SockAddr) -> Option<Address> {
    match local.as_socket() {
        Some(address) => Some(Address::Ip(address)),
        None => Address::unix(local.as_pathname()?).ok(),
    }
}

/// The place of the socket for the listener of this name and address.
fn find(sockets: &[Socket], name: &str, address: &Address) -> Option<usize> {
    let is_named_so = |it: &Socket| it.name.as_deref() == Some(name);
    let is_it = |it: &Socket| match (&it.address, address) {
        (Address::Ip(there), Address::Ip(wanted)) if wanted.port() == 0 => {
            there.ip() == wanted.ip() && is_named_so(it)
        }
        (there, wanted) => there == wanted,
    };
    let is_meant = |it: &Socket| {
        let is_first_or_same = it.meant_for.as_ref().is_none_or(|wanted| wanted == address);
        it.is_lent && is_named_so(it) && is_first_or_same
    };
    let by_name = sockets.iter().position(is_meant);
    by_name.or_else(|| sockets.iter().position(is_it))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listener() -> (OwnedFd, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().into();
        (listener.into(), address)
    }

    #[test]
    fn a_socket_goes_to_the_listener_of_its_address_and_only_once() {
        let inherited = Inherited::default();
        let ((one, first), (other, second)) = (listener(), listener());
        inherited.add(Some("public"), one).unwrap();
        inherited.add(None, other).unwrap();
        let taken = inherited.take("anything", &first).unwrap().unwrap();
        assert_eq!(taken.address, first);
        assert!(inherited.take("anything", &first).unwrap().is_none());
        assert_eq!(inherited.close(), [second]);
    }

    #[test]
    fn where_the_kernel_chose_the_port_the_name_counts() {
        let inherited = Inherited::default();
        let (one, address) = listener();
        inherited.add(Some("public"), one).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        assert!(inherited.take("private", &any).unwrap().is_none());
        let taken = inherited.take("public", &any).unwrap().unwrap();
        assert_eq!(taken.address, address);
    }

    /// A listener may go with a reload and come again with another.
    #[test]
    fn what_is_lent_can_be_taken_again_by_its_name() {
        let inherited = Inherited::default();
        let (one, address) = listener();
        inherited.lend(Some("public"), one).unwrap();
        let elsewhere = "127.0.0.1:9".parse().unwrap();
        for _ in 0..2 {
            let taken = inherited.take("public", &elsewhere).unwrap().unwrap();
            assert_eq!(taken.address, address);
            assert!(taken.is_lent);
            assert!(inherited.close().is_empty());
        }
        // A reload has moved the listener: it is not where the socket is any more.
        let moved = "127.0.0.1:10".parse().unwrap();
        assert!(inherited.take("public", &moved).unwrap().is_none());
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
