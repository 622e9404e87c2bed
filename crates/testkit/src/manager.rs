//! A stand-in for the service manager: hears what a service tells it (sd_notify(3)), and from which process.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred, recvmsg, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::PATIENCE;

/// The stand-in. As systemd does, it listens to the service's main process alone: what another one says is a
/// failure of the test.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    main: Option<Pid>,
    /// All who have spoken, or were named: none of them outlives the test.
    processes: BTreeMap<i32, OwnedFd>,
}

/// What was said, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The process.
    pub by: Pid,
    /// The message.
    pub text: String,
}

// === impl Manager ===

impl Manager {
    /// Listens at a socket of this name in `directory`. Whoever speaks first is the service.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn listen(directory: &str, name: &str) -> Self {
        let path = Path::new(directory).join(format!("{name}-{}-notify", std::process::id()));
        // Of another test before.
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a new socket");
        sockopt::set_socket_passcred(&socket, true).expect("it can be seen who speaks");
        Self {
            socket,
            path,
            main: None,
            processes: BTreeMap::new(),
        }
    }

    /// What a service is told of it.
    ///
    /// # Panics
    /// If its path is no text.
    #[must_use]
    pub fn environment(&self) -> (&str, &str) {
        ("NOTIFY_SOCKET", self.path.to_str().expect("text"))
    }

    /// The main process of the service.
    ///
    /// # Panics
    /// If none has spoken.
    #[must_use]
    pub fn main(&self) -> Pid {
        self.main.expect("somebody has spoken")
    }

    /// Sends the main process a signal.
    ///
    /// # Panics
    /// If it is not there.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.main(), signal).expect("the process is there and ours");
    }

    /// Waits for the next message.
    ///
    /// # Panics
    /// If there is none in time, or it is not from the main process.
    pub async fn next(&mut self) -> Said {
        let said = timeout(PATIENCE, self.receive()).await;
        let said = said.expect("a message in time").expect("a message");
        self.hold(said.by);
        let main = *self.main.get_or_insert(said.by);
        assert_eq!(
            said.by, main,
            "the main process is the one to speak: {}",
            said.text
        );
        let main = said
            .text
            .lines()
            .find_map(|line| line.strip_prefix("MAINPID="));
        if let Some(main) = main {
            self.main = main.parse().ok().and_then(Pid::from_raw);
            if let Some(main) = self.main {
                self.hold(main);
            }
        }
        said
    }

    /// The process is there at this moment: who has its number later is another one.
    fn hold(&mut self, process: Pid) {
        if let Ok(held) = pidfd_open(process, PidfdFlags::empty()) {
            self.processes.insert(process.as_raw_nonzero().get(), held);
        }
    }

    /// Waits for a message that begins with this, whatever comes before, and returns all.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn expect(&mut self, wanted: &str) -> Vec<Said> {
        let mut all = Vec::<Said>::new();
        while all.last().is_none_or(|last| !last.text.starts_with(wanted)) {
            all.push(self.next().await);
            assert!(all.len() < 1000, "no {wanted}: {all:?}");
        }
        all
    }

    async fn receive(&self) -> io::Result<Said> {
        let read = || {
            let mut text = [0; 1024];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut text)];
            let len = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::empty())?.bytes;
            let by = control.drain().find_map(|message| {
                let RecvAncillaryMessage::ScmCredentials(UCred { pid, .. }) = message else {
                    return None;
                };
                Some(pid)
            });
            Ok(Said {
                by: by.ok_or(io::ErrorKind::InvalidData)?,
                text: String::from_utf8_lossy(&text[..len]).into_owned(),
            })
        };
        self.socket.async_io(Interest::READABLE, read).await
    }
}

impl Drop for Manager {
    /// What has taken the place of the process that a test started is nobody's child.
    fn drop(&mut self) {
        for process in self.processes.values() {
            // It may have ended; no other one is meant then.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.path);
    }
}
