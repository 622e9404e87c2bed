//! The real program, as a process of its own with an environment of its own.
//!
//! It has to be built before (`cargo build -p lubdub`, which `cargo test --workspace` does): a test
//! of another package cannot ask cargo for it.

mod admin;
mod log;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use lubdub_proxy::Address;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub use self::admin::{change, request};
use self::log::Log;
use crate::memory::{Resident, resident_of};
use crate::peer::{Dial, Peer, Upstream};
use crate::{PATIENCE, way};

/// A running lubdub.
#[derive(Debug)]
pub struct Binary {
    child: Child,
    pid: Pid,
    log: Log,
    /// `None` for a Unix socket of the test's own.
    address: Option<SocketAddr>,
    /// What its Unix socket stands for.
    port: Option<way::Port>,
    admin: Address,
}

// === impl Binary ===

impl Binary {
    /// How many lines of its log a test that fails shows.
    const TAIL: usize = 20;

    /// Starts it in front of `upstream`, with these settings (`key=value`) besides.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start(upstream: &Upstream, settings: &[&str]) -> Self {
        let url = format!("upstream.main.url={}", way::url(upstream.address()));
        Self::start_with(&[&[url.as_str()], settings].concat()).await
    }

    /// Starts it with these settings, which name its upstreams.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_with(settings: &[&str]) -> Self {
        let mut command = Command::new(path());
        command.env_clear().stdin(Stdio::null());
        Self::launch(command, settings).await
    }

    /// Starts it with these settings and this environment, as a service manager does.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_as_service(settings: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_copy_as_service(&path(), settings, environment).await
    }

    /// The same with a copy of the program.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_copy_as_service(
        program: &Path,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        command.env_clear().envs(environment.iter().copied());
        command.stdin(Stdio::null());
        Self::launch(command, settings).await
    }

    /// Starts it on a socket that listens already, as a service manager does that activates it.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_on(socket: &TcpListener, name: &str, settings: &[&str]) -> Self {
        Self::start_on_as_service(socket, name, settings, &[]).await
    }

    /// The same with more in its environment.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_on_as_service(
        socket: &TcpListener,
        name: &str,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let socket = socket.try_clone().expect("there is a descriptor");
        // It is the third descriptor that is passed, to the process that is named: only a shell knows
        // which that will be.
        let script =
            "exec 3<&0 0</dev/null; SYSTEMD_EXEC_PID=$$ LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(path());
        command.env_clear().envs(environment.iter().copied());
        command.env("LISTEN_FDNAMES", name);
        command.stdin(Stdio::from(OwnedFd::from(socket)));
        Self::launch(command, settings).await
    }

    async fn launch(mut command: Command, settings: &[&str]) -> Self {
        let port = way::is_unix().then(|| way::Port::hold().expect("loopback has a free port"));
        let listen = match &port {
            Some(port) => format!("unix:{}", way::path(port.address).display()),
            None => "127.0.0.1:0".to_owned(),
        };
        command
            .args(["--listen", &listen, "--log-format", "json"])
            .args(["--set", "admin.address=127.0.0.1:0"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut this = Self::run(command).await;
        if let Some(port) = port {
            this.address = Some(port.address);
            this.port = Some(port);
        }
        this
    }

    /// Starts it as this file says. The file may change, and lubdub be told to read it again.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_from(file: &Path) -> Self {
        let mut command = Command::new(path());
        command.args(["--log-format", "json", "--config"]).arg(file);
        Self::run(command).await
    }

    /// The same with nothing but the file, which has to say that the log is JSON.
    ///
    /// # Panics
    /// If it is not built, or does not start.
    pub async fn start_from_alone(file: &Path) -> Self {
        let mut command = Command::new(path());
        command.arg("--config").arg(file);
        Self::run(command).await
    }

    async fn run(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let log = Log::follow(child.stderr.take().expect("its standard error is piped"));
        let mut this = Self {
            child,
            pid: id.expect("a process that runs has an id"),
            log,
            address: None,
            port: None,
            admin: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into(),
        };
        let admin = this.log.expect("admin listens").await;
        this.admin = address(&admin).expect("an address");
        let listening = this.log.expect("listening").await;
        this.address = address(&listening).and_then(|it| it.ip());
        this.log.expect("ready").await;
        this
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it listens at an IP address")
    }

    /// A client for it.
    #[must_use]
    pub fn dial(&self) -> Dial {
        Dial::to(self.address())
    }

    /// A client of it and its upstream.
    pub async fn pair(&self, upstreams: &Upstream) -> (Peer, Peer) {
        self.dial().pair(upstreams).await
    }

    /// The same, where the client asks for this.
    pub async fn pair_at(&self, target: &str, upstreams: &Upstream) -> (Peer, Peer) {
        self.dial().pair_at(target, upstreams).await
    }

    /// Waits for a line with this message, and returns the first.
    pub async fn expect_logged(&self, message: &str) -> Value {
        self.log.expect(message).await
    }

    /// Waits until there are so many lines with this message, and returns the last of them.
    pub async fn expect_logged_times(&self, message: &str, times: usize) -> Value {
        self.log.expect_times(message, times).await
    }

    /// The lines so far that are kept: all but the late ones of a long log.
    #[must_use]
    pub fn logged(&self) -> Vec<Value> {
        self.log.lines()
    }

    /// Leaves its standard error unread: the pipe fills up.
    pub fn stop_reading_the_log(&self) {
        self.log.set_read(false);
    }

    /// Reads on.
    pub fn read_the_log(&self) {
        self.log.set_read(true);
    }

    /// How many file descriptors it has open.
    ///
    /// # Panics
    /// If `/proc` does not tell.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.open().len()
    }

    /// Leaves it so many file descriptors that it can open, by its soft limit.
    ///
    /// The limit is on their numbers, and the kernel gives out the lowest that is free. So whatever
    /// it closes below the limit comes to those that are left.
    ///
    /// # Panics
    /// If the limit cannot be set.
    pub fn leave_descriptors(&self, count: usize) {
        let open = self.open();
        let mut free = (0..).filter(|number| !open.contains(number));
        let first_denied = free.nth(count).expect("numbers do not end");
        self.limit_descriptors(Some(first_denied));
    }

    /// Takes the limit on its file descriptors back.
    ///
    /// # Panics
    /// If the limit cannot be set.
    pub fn leave_all_descriptors(&self) {
        self.limit_descriptors(None);
    }

    /// Sets its soft limit; `None` for as many as the hard one allows, which it has from this
    /// process.
    fn limit_descriptors(&self, soft: Option<u64>) {
        let hard = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: soft.or(hard),
            maximum: hard,
        };
        prlimit(Some(self.pid), Resource::Nofile, limit).expect("the process is there and ours");
    }

    /// The numbers of its file descriptors.
    fn open(&self) -> BTreeSet<u64> {
        let path = format!("/proc/{}/fd", self.pid.as_raw_nonzero());
        let names = (std::fs::read_dir(path).expect("it runs"))
            .map(|entry| entry.expect("it runs on").file_name());
        names
            .map(|name| name.to_str().and_then(|name| name.parse().ok()))
            .map(|number| number.expect("descriptors are numbers"))
            .collect()
    }

    /// Bytes of its own memory that are resident: without the program's file, of which more and
    /// more is read in as more of it runs.
    ///
    /// # Panics
    /// If `/proc` does not tell.
    #[must_use]
    pub fn resident(&self) -> usize {
        resident_of(&self.pid.as_raw_nonzero().to_string(), Resident::Anonymous)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is not there.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is there and ours");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn expect_exit(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended
            .expect("the program ends in time")
            .expect("its end can be waited for")
    }
}

impl Drop for Binary {
    /// A test that fails shows how lubdub was.
    #[expect(
        clippy::print_stderr,
        reason = "it is for whoever reads why a test has failed"
    )]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let how = match self.child.try_wait() {
            Ok(None) => "runs".to_owned(),
            Ok(Some(status)) => format!("has ended ({status})"),
            Err(error) => format!("cannot be asked: {error}"),
        };
        let lines = self.logged();
        let tail = lines.len().saturating_sub(Self::TAIL);
        eprintln!(
            "lubdub, process {}, {how}; the last of {} lines of its log:",
            self.pid.as_raw_nonzero(),
            lines.len()
        );
        for line in &lines[tail..] {
            eprintln!("  {line}");
        }
    }
}

/// Where the program is: two levels above the test that runs, which is in `deps`.
///
/// # Panics
/// If it is not built.
#[must_use]
pub fn path() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a test is in deps");
    let path = profile.join("lubdub");
    assert!(
        path.exists(),
        "{} is missing: build it first, with `cargo build -p lubdub`",
        path.display()
    );
    path
}

fn address(line: &Value) -> Option<Address> {
    line["address"].as_str()?.parse().ok()
}
