//! The listening sockets of this process together: whether connections are accepted, and how another
//! process gets the sockets.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{fmt, io};

use tokio::sync::watch;

use super::listening::Listening;
use crate::address::Address;
use crate::unix::{FileId, SocketFile};

/// The listening sockets. They are closed by those who accept on them.
pub(crate) struct Gates {
    gate: watch::Sender<Gate>,
    open: Mutex<Vec<OpenSocket>>,
}

#[derive(Debug)]
struct OpenSocket {
    name: Arc<str>,
    address: Address,
    is_lent: bool,
    socket: Weak<Listening>,
}

/// Whether connections are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Another process accepts, and may yet fail.
    Shut,
    /// The sockets are another process's for good.
    GivenUp,
}

/// A listening socket for another process.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) name: Arc<str>,
    pub(crate) address: Address,
    /// Somebody else keeps it as well.
    pub(crate) is_lent: bool,
    /// The file by which it is reached, if it is this process's to give.
    pub(crate) file: Option<FileId>,
    pub(crate) socket: OwnedFd,
}

// === impl Gates ===

impl Gates {
    /// One more listening socket.
    pub(crate) fn open(
        &self,
        name: &Arc<str>,
        address: Address,
        is_lent: bool,
        socket: &Arc<Listening>,
    ) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|it| it.socket.strong_count() > 0);
        open.push(OpenSocket {
            name: Arc::clone(name),
            address,
            is_lent,
            socket: Arc::downgrade(socket),
        });
    }

    pub(crate) fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// The files of the sockets that are open are this process's, which removes them at its end, or another one's.
    pub(crate) fn set_files_ours(&self, are_ours: bool) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in open.iter().filter_map(|it| it.socket.upgrade()) {
            if let Some(file) = socket.file() {
                file.set_ours(are_ours);
            }
        }
    }

    /// The sockets that are open, as other descriptors of the same.
    pub(crate) fn give(&self) -> io::Result<Vec<Given>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.iter().filter_map(|it| {
            let socket = it.socket.upgrade()?;
            Some((it, socket))
        });
        open.map(|(it, socket)| {
            Ok(Given {
                name: Arc::clone(&it.name),
                address: it.address.clone(),
                is_lent: it.is_lent,
                file: socket.file().map(SocketFile::id),
                socket: socket.as_fd().try_clone_to_owned()?,
            })
        })
        .collect()
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            gate: watch::Sender::new(Gate::Open),
            open: Mutex::default(),
        }
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gate = *self.gate.borrow();
        f.debug_tuple("Gates").field(&gate).finish()
    }
}
