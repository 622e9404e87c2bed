//! The process whose place this one takes, if there is one.

use std::env;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, ensure};
use lubdub_proxy::handover;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::program::PREDECESSOR;
use super::socket;
use crate::config::HandoverSettings;

/// How this process begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// By itself, unless it is started by a predecessor.
    Alone,
    /// In the place of the one that listens at `handover.socket`.
    TakeOver,
}

/// The connection to the predecessor.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

// === impl Predecessor ===

impl Predecessor {
    /// The one that started this process, if one did.
    pub(crate) fn that_started() -> anyhow::Result<Option<Self>> {
        let Some(pid) = env::var_os(PREDECESSOR) else {
            return Ok(None);
        };
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        if parent.is_none_or(|parent| *parent != *pid) {
            // It was meant for a process before this one, whose end took the predecessor along or not.
            return Ok(None);
        }
        let input = std::io::stdin();
        let is_socket = sockopt::socket_domain(&input) == Ok(AddressFamily::UNIX)
            && sockopt::socket_type(&input) == Ok(SocketType::STREAM);
        ensure!(
            is_socket,
            "{PREDECESSOR} is set, which says that standard input is an earlier lubdub, and it is not"
        );
        let stream: OwnedFd = input.as_fd().try_clone_to_owned()?;
        // The only one left, so that its end is the connection's.
        let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
        rustix::stdio::dup2_stdin(nothing)?;
        Ok(Some(Self(stream.into())))
    }

    /// The one that listens at `handover.socket`.
    pub(crate) fn that_listens(settings: &HandoverSettings) -> anyhow::Result<Self> {
        let path = settings.socket.as_deref().context(
            "--take-over needs handover.socket, and the same in the lubdub to take over from",
        )?;
        socket::connect(path).map(Self)
    }

    /// Tells it that there will be no hand-over, before anything else is said.
    pub(crate) fn refuse(&self, reason: &str) {
        // If it has gone, there is nobody to be told.
        let _ = handover::refuse(&self.0, reason.to_owned());
    }

    /// The connection.
    pub(crate) fn into_stream(self) -> UnixStream {
        self.0
    }
}
