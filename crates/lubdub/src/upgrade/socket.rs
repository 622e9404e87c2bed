//! The socket at which a process from outside asks to take over: `handover.socket`.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lubdub_proxy::handover;
use lubdub_proxy::unix::Permissions;
use rustix::net::sockopt::socket_peercred;
use tokio::net::UnixListener;
use tracing::warn;

/// Where processes from outside connect.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
}

/// A process that asks to take over.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(super) stream: UnixStream,
    /// 0 if it cannot be seen from here, as in another container.
    pub(super) pid: i32,
}

/// Whether somebody else may have the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Whoever has it is a mistake.
    Refused,
    /// The predecessor has it, whose place this process takes.
    Replaced,
}

// === impl Socket ===

impl Socket {
    /// Accepting again at once after an error would spin.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Listens at `path`, in place of a socket that nobody listens at any more.
    pub(crate) fn bind(
        path: &Path,
        permissions: Permissions,
        others: Others,
    ) -> anyhow::Result<Self> {
        let bind = || bind(path, permissions, others);
        bind().with_context(|| format!("cannot listen on {} (handover.socket)", path.display()))
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

fn bind(path: &Path, permissions: Permissions, others: Others) -> anyhow::Result<Socket> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            anyhow::bail!("something that is no socket is there; it is left alone");
        }
        Ok(_) if others == Others::Refused && UnixStream::connect(path).is_ok() => {
            anyhow::bail!("another process listens there");
        }
        Ok(_) | Err(_) => {}
    }
    // Made beside it and moved: there is no moment without a socket, and none with a wider mode.
    let beside = beside(path);
    let _ = fs::remove_file(&beside);
    let listener = StdUnixListener::bind(&beside)?;
    let placed = permissions
        .give(&beside)
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&beside);
        return Err(error.into());
    }
    listener.set_nonblocking(true)?;
    Ok(Socket {
        listener: UnixListener::from_std(listener)?,
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    beside.into()
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
