//! What lubdub tells whoever started it, mostly systemd (sd_notify(3)): that it is ready, how it is, and
//! that it goes on.
//!
//! Nobody waits for the other side: a message that it does not take is lost.

mod pulse;

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Whoever started lubdub, if it wants to be told.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// It ends lubdub if it hears nothing for so long.
    watchdog: Option<Duration>,
    /// That it cannot be told is said once.
    is_lost: AtomicBool,
    /// A service that ends is not ready again, whatever is reloaded meanwhile.
    is_ending: AtomicBool,
    /// Another process is the service, and tells how it is.
    is_replaced: AtomicBool,
    /// What people should know besides the number of pairs.
    remark: Mutex<Remark>,
}

/// How the latest change went, if it failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Remark {
    #[default]
    Nothing,
    ReloadRefused,
    UpgradeFailed,
}

impl ServiceManager {
    /// How long it is told again which process is the service, and how often.
    const MAIN_PID: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(20);

    /// The one that the environment names.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let watchdog = watchdog(
            std::env::var("WATCHDOG_USEC").ok().as_deref(),
            std::env::var("WATCHDOG_PID").ok().as_deref(),
        );
        Self::at(&name, watchdog)
    }

    fn at(name: &OsStr, watchdog: Option<Duration>) -> Self {
        let socket = address(name).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        });
        let this = Self {
            watchdog,
            ..Self::default()
        };
        match socket {
            Ok(socket) => Self {
                socket: Some(socket),
                ..this
            },
            Err(error) => {
                this.lose(&error);
                this
            }
        }
    }

    /// How long it waits for a sign of life, if it does.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog)
    }

    /// Everything listens; or, after [`Self::reloading`], goes on.
    pub(crate) fn ready(&self) {
        if !self.is_ending.load(Relaxed) {
            self.tell("READY=1");
        }
    }

    /// The configuration is read anew. [`Self::ready`] has to follow.
    pub(crate) fn reloading(&self) {
        if self.is_ending.load(Relaxed) {
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// lubdub is about to end.
    pub(crate) fn stopping(&self) {
        self.is_ending.store(true, Relaxed);
        self.tell("STOPPING=1");
    }

    /// How it is, for people.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    /// All is well.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// What is under way goes on: it has to be told again within this time.
    pub(crate) fn extend_timeout(&self, time: Duration) {
        self.tell(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
    }

    /// The service is this process from now on, and goes on. This one is not listened to any more.
    ///
    /// Where this is lost the service ends with this process, and so it is said again to somebody who is busy.
    pub(crate) async fn main_pid(&self, pid: u32) {
        let state = format!("MAINPID={pid}\nREADY=1");
        let began = Instant::now();
        while self.is_busy_for(&state) && began.elapsed() < Self::MAIN_PID {
            sleep(Self::PAUSE).await;
        }
        self.is_replaced.store(true, Relaxed);
    }

    /// What is told with the number of pairs from now on.
    pub(crate) fn remark(&self, remark: Remark) {
        *self.remark.lock().unwrap_or_else(PoisonError::into_inner) = remark;
    }

    fn tell(&self, state: &str) {
        let _ = self.is_busy_for(state);
    }

    /// Tells it, and says whether it has too much to read already.
    fn is_busy_for(&self, state: &str) -> bool {
        let Some((socket, address)) = &self.socket else {
            return false;
        };
        if self.is_replaced.load(Relaxed) {
            return false;
        }
        match socket.send_to_addr(state.as_bytes(), address) {
            Ok(_) => {
                self.is_lost.store(false, Relaxed);
                false
            }
            Err(error) => {
                self.lose(&error);
                error.kind() == io::ErrorKind::WouldBlock
            }
        }
    }

    fn lose(&self, error: &io::Error) {
        if !self.is_lost.swap(true, Relaxed) {
            warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
        }
    }
}

// === impl Remark ===

impl Remark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::ReloadRefused => "; the latest reload was refused, see the log",
            Self::UpgradeFailed => "; the latest upgrade has failed, see the log",
        }
    }
}

/// A path, or a name without one (`@...`).
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is no Unix socket", name.display()),
        )),
    }
}

/// The watchdog's time, if it is meant for this process.
fn watchdog(micros: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    is_ours.then_some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager that listens under this abstract name.
    pub(super) fn listen(name: &str, watchdog: Option<Duration>) -> (UnixDatagram, ServiceManager) {
        let name = format!("@lubdub-test-{}-{name}", std::process::id());
        let listener = UnixDatagram::bind_addr(&address(name.as_ref()).unwrap()).unwrap();
        listener
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        (listener, ServiceManager::at(name.as_ref(), watchdog))
    }

    pub(super) fn heard(listener: &UnixDatagram) -> Option<String> {
        let mut message = [0; 256];
        let len = listener.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..len]).into_owned())
    }

    #[test]
    fn a_reload_is_told_with_its_time() {
        let (listener, manager) = listen("reload", None);
        manager.reloading();
        let message = heard(&listener).unwrap();
        let micros = message
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        manager.ready();
        assert_eq!(heard(&listener).as_deref(), Some("READY=1"));
    }

    #[tokio::test]
    async fn another_process_can_be_the_service() {
        let (listener, manager) = listen("mainpid", None);
        manager.main_pid(4711).await;
        assert_eq!(heard(&listener).as_deref(), Some("MAINPID=4711\nREADY=1"));
        // How it is, is not for this one to say any more.
        manager.ready();
        manager.alive();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(heard(&listener), None);
    }

    #[tokio::test]
    async fn who_is_busy_learns_all_the_same_which_process_is_the_service() {
        let (listener, manager) = listen("busy", None);
        while !manager.is_busy_for("WATCHDOG=1") {}
        let read = tokio::task::spawn_blocking(move || {
            let mut messages = std::iter::from_fn(|| heard(&listener));
            messages.find(|message| message.starts_with("MAINPID"))
        });
        manager.main_pid(4711).await;
        assert_eq!(
            read.await.unwrap().as_deref(),
            Some("MAINPID=4711\nREADY=1")
        );
    }

    #[test]
    fn nobody_who_listens_is_nobody_who_is_waited_for() {
        let (listener, manager) = listen("deaf", None);
        drop(listener);
        manager.ready();
        // One that does not read fills up.
        let (_listener, manager) = listen("full", None);
        for _ in 0..10_000 {
            manager.alive();
        }
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None), second);
        assert_eq!(watchdog(Some("1000000"), Some(&own)), second);
        assert_eq!(watchdog(Some("1000000"), Some("1")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(Some("soon"), None), None);
        assert_eq!(watchdog(None, Some(&own)), None);
    }
}
