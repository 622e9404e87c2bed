//! Socket activation (sd_listen_fds(3)): listening sockets that whoever started lubdub has bound, and
//! keeps. So clients wait while lubdub is started again, and are not refused.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use lubdub_proxy::handover::Sockets;
use lubdub_proxy::settings::Listener;
use lubdub_proxy::{Address, NotListening};
use tracing::{info, warn};

use crate::config::{Config, same_name};

/// The sockets that were passed.
#[derive(Debug, Default)]
pub(crate) struct Activation(Vec<Passed>);

/// One of them.
#[derive(Debug)]
struct Passed {
    /// What the other side calls it; empty if it did not say.
    name: String,
    address: Address,
    socket: OwnedFd,
}

/// Why a descriptor that was passed cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "descriptor {number} of those that were passed ({name:?}, LISTEN_FDS) is of no use: {error}"
)]
pub(crate) struct Unusable {
    number: usize,
    name: String,
    error: io::Error,
}

/// The socket with this number, TCP or Unix, and where it is.
fn take_socket(passed: &mut ListenFd, number: usize) -> io::Result<(Address, OwnedFd)> {
    // What is of the other kind is left there.
    if let Ok(Some(socket)) = passed.take_unix_listener(number) {
        let address = socket.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a Unix socket without a path")
        })?;
        let address = Address::unix(path).map_err(io::Error::other)?;
        return Ok((address, socket.into()));
    }
    let socket = passed.take_tcp_listener(number)?;
    let socket = socket.ok_or(io::ErrorKind::NotFound)?;
    Ok((socket.local_addr()?.into(), socket.into()))
}

/// What the admin listener's socket is called.
const ADMIN: &str = "admin";

impl Activation {
    /// Takes what was passed to this process. To be called before there are other threads: the variables
    /// that tell of it are taken out of the environment, so that nothing is passed on by mistake.
    pub(crate) fn from_environment() -> Result<Self, Unusable> {
        // Meant for another process if it is not ours, and for nobody if nobody is named.
        let pid = std::env::var("LISTEN_PID");
        if pid.is_ok_and(|pid| pid == std::process::id().to_string()) {
            let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
            Self::take(ListenFd::from_env(), &names)
        } else {
            Ok(Self::default())
        }
    }

    fn take(mut passed: ListenFd, names: &str) -> Result<Self, Unusable> {
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for number in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let taken = take_socket(&mut passed, number);
            match taken {
                Ok((address, socket)) => sockets.push(Passed {
                    name,
                    address,
                    socket,
                }),
                Err(error) => {
                    return Err(Unusable {
                        number,
                        name,
                        error,
                    });
                }
            }
        }
        Ok(Self(sockets))
    }

    /// The sockets of what `config` has: by name, or else by address. Tells of what nobody takes: its
    /// clients would wait for ever.
    ///
    /// # Errors
    /// If one does not listen.
    pub(crate) fn sockets(mut self, config: &Config) -> Result<Sockets, NotListening> {
        let sockets = Sockets::default();
        let listeners = &config.settings.listeners;
        let mut found = BTreeSet::new();
        // All names first, so that an address cannot take what a name asks for.
        for by_name in [true, false] {
            for Listener { name, address, .. } in listeners {
                if found.contains(name) {
                    continue;
                }
                let passed = match by_name {
                    true => self.take_if(|passed| same_name(&passed.name, name)),
                    false => self.take_if(|passed| passed.address == *address),
                };
                if let Some(passed) = passed {
                    sockets.listeners.lend(Some(name), passed.socket)?;
                    found.insert(name);
                }
            }
        }
        if let Some(admin) = &config.admin {
            let passed = self
                .take_if(|passed| same_name(&passed.name, ADMIN))
                .or_else(|| self.take_if(|passed| passed.address == admin.address));
            if let Some(passed) = passed {
                sockets.admin.lend(Some(ADMIN), passed.socket)?;
            }
        }
        for passed in self.0 {
            warn!(
                name = passed.name,
                address = %passed.address,
                "a socket that was passed belongs to no listener"
            );
        }
        Ok(sockets)
    }

    fn take_if(&mut self, wanted: impl Fn(&Passed) -> bool) -> Option<Passed> {
        let found = self.0.iter().position(wanted)?;
        let passed = self.0.remove(found);
        info!(
            name = passed.name,
            address = %passed.address,
            "listening on a socket that was passed"
        );
        Some(passed)
    }
}
