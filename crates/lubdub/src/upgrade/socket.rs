//! The socket at which a process from outside asks to take over: `handover.socket`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lubdub_proxy::handover;
use lubdub_proxy::unix::{self, Permissions, SocketFile};
use rustix::net::sockopt::socket_peercred;
use socket2::SockRef;
use tokio::net::UnixListener;
use tracing::warn;

/// Where processes from outside connect.
#[derive(Debug)]
pub(crate) struct Socket {
    // Removed while the socket still listens: dropped in this order.
    _file: SocketFile,
    listener: UnixListener,
}

/// A process that asks to take over.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(super) stream: UnixStream,
    /// 0 if it cannot be seen from here, as in another container.
    pub(super) pid: i32,
}

// === impl Socket ===

impl Socket {
    /// Accepting again at once after an error would spin.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Processes that may wait to be answered.
    const BACKLOG: i32 = 16;

    /// Listens at `path`, in place of a socket that nobody listens at any more.
    pub(crate) fn bind(path: &Arc<Path>, permissions: Permissions) -> anyhow::Result<Self> {
        let bind = || {
            let (socket, file) = unix::bind(path, permissions)?;
            SockRef::from(&socket).listen(Self::BACKLOG)?;
            Self::of(socket, file)
        };
        bind().with_context(|| cannot_listen(path))
    }

    /// Listens at `path`, in place of the predecessor.
    pub(crate) fn replace(path: &Arc<Path>, permissions: Permissions) -> anyhow::Result<Self> {
        unix::replace(path, permissions, Self::BACKLOG)
            .and_then(|(socket, file)| Self::of(socket, file))
            .with_context(|| cannot_listen(path))
    }

    fn of(socket: OwnedFd, file: SocketFile) -> io::Result<Self> {
        Ok(Self {
            _file: file,
            listener: UnixListener::from_std(socket.into())?,
        })
    }

    /// Waits for a process of the same user. It can be dropped and called again.
    pub(crate) async fn caller(&self) -> Caller {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match caller(stream) {
                    Ok(caller) => return caller,
                    Err(error) => {
                        warn!(
                            reason = format!("{error:#}"),
                            "a process that asks to take over is refused"
                        );
                    }
                },
                Err(error) => {
                    warn!(reason = %error, "a process that asks to take over is refused");
                    tokio::time::sleep(Self::PAUSE).await;
                }
            }
        }
    }
}

/// Connects to a running lubdub, to take over from it.
pub(super) fn connect(path: &Path) -> anyhow::Result<UnixStream> {
    UnixStream::connect(path).with_context(|| {
        format!(
            "no lubdub to take over from at {} (handover.socket)",
            path.display()
        )
    })
}

fn cannot_listen(path: &Path) -> String {
    format!("cannot listen on {} (handover.socket)", path.display())
}

fn caller(stream: tokio::net::UnixStream) -> anyhow::Result<Caller> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let peer = socket_peercred(&stream).map_err(io::Error::from)?;
    let own = rustix::process::geteuid();
    if peer.uid != own {
        let reason = format!(
            "process {} has user id {}, and this one {}",
            peer.pid.as_raw_nonzero(),
            peer.uid.as_raw(),
            own.as_raw()
        );
        let _ = handover::refuse_successor(&stream, reason.clone());
        anyhow::bail!(reason);
    }
    Ok(Caller {
        pid: peer.pid.as_raw_nonzero().get(),
        stream,
    })
}

// === impl Caller ===

impl Caller {
    /// Tells it that there will be no hand-over.
    pub(super) fn refuse(&self, reason: &str) {
        // It may have gone, or have been told already.
        let _ = handover::refuse_successor(&self.stream, reason.to_owned());
    }
}
