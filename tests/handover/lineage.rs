//! The program and those that take its place, one after another: they share a log.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lubdub_testkit::binary::{self, change, request};
use lubdub_testkit::peer::Dial;
use lubdub_testkit::scrape::Scrape;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long anything may take with thousands of pairs on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The line of an upgrade that came to nothing.
pub(crate) const FAILED: &str = "the upgrade has failed: lubdub goes on";

/// A lubdub, whichever process it is by now.
pub(crate) struct Lineage {
    first: Child,
    current: Pid,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    lines: Arc<Mutex<Vec<Value>>>,
    changed: watch::Receiver<()>,
}

/// How an upgrade went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upgraded {
    pub(crate) moved: u64,
    pub(crate) kept: u64,
    /// From the hello to the end.
    pub(crate) lasted: Duration,
}

impl Lineage {
    /// Starts the first one, with these settings (`key=value`).
    pub(crate) async fn start(settings: &[String]) -> Self {
        Self::start_program(&binary::path(), settings).await
    }

    /// The same for a copy of the program.
    pub(crate) async fn start_program(program: &Path, settings: &[String]) -> Self {
        let mut arguments = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
        arguments.extend(set(settings));
        Self::launch(program, &arguments).await
    }

    /// Starts a program with these arguments besides those for the log and for operators.
    pub(crate) async fn launch(program: &Path, arguments: &[String]) -> Self {
        let own = ["--log-format", "json", "--set", "admin.address=127.0.0.1:0"];
        let own = own.map(str::to_owned);
        Self::launch_as_is(program, &[arguments, &own].concat()).await
    }

    /// Starts a program with these arguments.
    pub(crate) async fn launch_as_is(program: &Path, arguments: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        let mut first = command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let stderr = first.stderr.take().expect("its standard error is piped");
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (notify, changed) = watch::channel(());
        let written = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = stderr.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if std::env::var_os("LUBDUB_HANDOVER_LOG").is_some() {
                    eprintln!("{line}");
                }
                // Ends of pairs are many, and are looked at from outside.
                if line["msg"] != "pair ended" || line["cause"] == "internal" {
                    written.lock().unwrap().push(line);
                    let _ = notify.send(());
                }
            }
        });
        let id = first.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let mut this = Self {
            first,
            current: id.expect("a process that runs has an id"),
            address: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            lines,
            changed,
        };
        this.admin = address(&this.nth("admin listens", 0).await);
        this.address = address(&this.nth("listening", 0).await);
        this.nth("ready", 0).await;
        this
    }

    /// Has it replaced by a process of the same program.
    pub(crate) async fn upgrade(&mut self) -> Upgraded {
        let (ended, taken) = (self.count("hand-over ends"), self.count("taken over"));
        self.signal(Signal::USR2);
        self.nth("hand-over ends", ended).await;
        self.nth("taken over", taken).await;
        self.last_upgrade()
    }

    /// How the latest one went; from now on its successor is the current one.
    pub(crate) fn last_upgrade(&mut self) -> Upgraded {
        let line = {
            let lines = self.lines.lock().unwrap();
            let line = lines.iter().rfind(|line| line["msg"] == "hand-over ends");
            line.expect("there was one").clone()
        };
        self.current = pid(&line["successor"]);
        Upgraded {
            moved: line["moved"].as_u64().expect("a number"),
            kept: line["kept"].as_u64().expect("a number"),
            lasted: Duration::from_millis(line["lasted_ms"].as_u64().expect("a number")),
        }
    }

    /// The process that is the one.
    pub(crate) fn current(&self) -> Pid {
        self.current
    }

    /// Another process is the one from now on.
    pub(crate) fn set_current(&mut self, pid: Pid) {
        self.current = pid;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.current, signal).expect("the process is there and ours");
    }

    /// The process that the current one has started, as soon as there is one.
    pub(crate) async fn child(&self) -> Pid {
        let path = format!("/proc/{0}/task/{0}/children", self.current.as_raw_nonzero());
        let look = async {
            loop {
                let children = std::fs::read_to_string(&path).unwrap_or_default();
                if let Some(child) = children.split_whitespace().last() {
                    return Pid::from_raw(child.parse().unwrap()).unwrap();
                }
                sleep(Duration::from_micros(200)).await;
            }
        };
        timeout(PATIENCE, look).await.expect("it starts a process")
    }

    /// Has an upgrade tried that fails, and returns the reason.
    pub(crate) async fn upgrade_in_vain(&self) -> String {
        let failed = self.count(FAILED);
        self.signal(Signal::USR2);
        let line = self.nth(FAILED, failed).await;
        line["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// How many lines with this message there are.
    pub(crate) fn count(&self, message: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line["msg"] == message).count()
    }

    /// Waits for the line with this message that comes after so many others of it.
    pub(crate) async fn nth(&self, message: &str, n: usize) -> Value {
        self.either(&[(message, n)]).await
    }

    /// Waits for one of several lines.
    pub(crate) async fn either(&self, messages: &[(&str, usize)]) -> Value {
        let mut changed = self.changed.clone();
        let found = async {
            loop {
                {
                    let lines = self.lines.lock().unwrap();
                    for (message, n) in messages {
                        let mut found = lines.iter().filter(|line| line["msg"] == *message);
                        if let Some(line) = found.nth(*n) {
                            return line.clone();
                        }
                    }
                }
                if changed.changed().await.is_err() {
                    panic!(
                        "lubdub ended before it logged {messages:?}: {:#?}",
                        self.tail()
                    );
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("lubdub has not logged {messages:?}: {:#?}", self.tail()))
    }

    fn tail(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().rev().take(20).rev().cloned().collect()
    }

    /// Where the listener of this name is.
    pub(crate) async fn listener(&self, name: &str) -> SocketAddr {
        let mut n = 0;
        loop {
            let line = self.nth("listening", n).await;
            if line["listener"] == name {
                return address(&line);
            }
            n += 1;
        }
    }

    /// Asks it for a change.
    pub(crate) async fn post(&self, path: &str, body: &str) {
        let mut client = Dial::to(self.admin).connect().await;
        let request = change(path).field("Content-Length", &body.len().to_string());
        client.ask(&request).await;
        client.send(body).await;
        assert_eq!(client.expect_head().await.status(), 200, "{path} {body}");
    }

    /// What it answers operators.
    pub(crate) async fn admin(&self, path: &str) -> String {
        let mut client = Dial::to(self.admin).connect().await;
        client.ask(&request("GET", path)).await;
        let head = client.expect_head().await;
        assert_eq!(head.status(), 200, "{path}");
        let body = client.expect_len(head.content_length().unwrap_or(0)).await;
        String::from_utf8_lossy(&body).into_owned()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::parse(&self.admin("/metrics").await)
    }

    /// Waits until a metric has a value; the name is without `lubdub_`.
    pub(crate) async fn expect_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let name = format!("lubdub_{name}");
        let look = async {
            while self.scrape().await.sum(&name, labels) != value {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = timeout(PATIENCE, look).await.is_ok();
        assert!(in_time, "{name}{labels:?} does not come to {value}");
    }
}

impl Drop for Lineage {
    fn drop(&mut self) {
        // The first one ends with its handle.
        let _ = kill_process(self.current, Signal::KILL);
        let _ = self.first.start_kill();
    }
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_ok()
        && state.is_ok_and(|state| !state.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

/// Kilobytes of its own memory that are resident, 0 for one that has ended.
pub(crate) fn resident(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn pid(value: &Value) -> Pid {
    let pid = value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).expect("a process id")
}

fn address(line: &Value) -> SocketAddr {
    let address = line["address"].as_str().and_then(|it| it.parse().ok());
    address.unwrap_or_else(|| panic!("no address in {line}"))
}

/// Settings as arguments.
pub(crate) fn set(settings: &[String]) -> Vec<String> {
    let pairs = settings.iter().map(|it| ["--set".to_owned(), it.clone()]);
    pairs.flatten().collect()
}
