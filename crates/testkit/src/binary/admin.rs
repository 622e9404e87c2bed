//! What the program is asked through its admin interface.

use std::net::SocketAddr;
use std::process::Stdio;

use lubdub_proxy::Address;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::{Binary, path};
use crate::http::{Head, Request};
use crate::peer::Dial;
use crate::scrape::Scrape;
use crate::{PATIENCE, ms};

/// Between two looks at what is waited for.
const LOOK: std::time::Duration = ms(5);

impl Binary {
    /// Where its admin listener listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.ip().expect("it listens at an IP address")
    }

    /// Asks its admin listener: the status and the body.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let (head, body) = self.ask_admin(&request("GET", path), "").await;
        (head.status(), body)
    }

    /// What its admin listener tells at a path, in JSON.
    ///
    /// # Panics
    /// If it does not.
    pub async fn told(&self, path: &str) -> Value {
        let (status, said) = self.admin(path).await;
        assert_eq!(status, 200, "{path}: {said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{path}: {error}: {said}"))
    }

    /// The same, once `is_it` is true of it.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn told_when(&self, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let said = self.told(path).await;
            if is_it(&said) {
                return said;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "after {PATIENCE:?} {path} still says {said}"
            );
            sleep(LOOK).await;
        }
    }

    /// Waits until there are so many pairs: a client may have its 101 a moment before its pair is
    /// there.
    pub async fn expect_pairs(&self, count: usize) {
        self.told_when("/api/v1/pairs?limit=0", |said| said["total"] == count)
            .await;
    }

    /// Asks its admin listener for a change, as a program on this machine would.
    pub async fn change(&self, path: &str, body: &str) -> (u16, String) {
        let request = change(path).field("Content-Length", &body.len().to_string());
        let (head, body) = self.ask_admin(&request, body).await;
        (head.status(), body)
    }

    /// Asks its admin listener for a change that it makes, and returns what it says of it.
    ///
    /// # Panics
    /// If it does not make it.
    pub async fn changed(&self, path: &str, body: &Value) -> Value {
        let (status, said) = self.change(path, &body.to_string()).await;
        assert_eq!(status, 200, "{path}: {body}: {said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{path}: {error}: {said}"))
    }

    /// Sends its admin listener this request: the head of the answer, and its body.
    pub async fn ask_admin(&self, request: &Request, body: &str) -> (Head, String) {
        let dial = match &self.admin {
            Address::Ip(address) => Dial::to(*address),
            Address::Unix(path) => Dial::at(path),
        };
        let mut client = dial.connect().await;
        client.ask(request).await;
        client.try_send(body).await;
        let head = client.expect_head().await;
        let len = head.content_length().unwrap_or(0);
        let body = client.expect_len(len).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }

    /// Runs a command of the program's that asks this one: its exit code, and what it says on standard
    /// output and standard error.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn command(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = timeout(PATIENCE, self.asking(args).output()).await;
        let output = output
            .expect("the command ends in time")
            .expect("the command runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code();
        (code, text(output.stdout), text(output.stderr))
    }

    /// Runs such a command for a reader who has seen enough with the first line, as `head -1` has: that line, and the
    /// exit code.
    ///
    /// # Panics
    /// If it does not run, or goes on.
    pub async fn first_line_of(&self, args: &[&str]) -> (String, Option<i32>) {
        let mut command = self.asking(args);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = command.spawn().expect("the command runs");
        let mut output = BufReader::new(running.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let read = timeout(PATIENCE, output.read_line(&mut line)).await;
        read.expect("there is a line in time").expect("it is text");
        drop(output);
        let ended = timeout(PATIENCE, running.wait()).await;
        let ended = ended.expect("the command ends in time").expect("it ran");
        (line, ended.code())
    }

    fn asking(&self, args: &[&str]) -> Command {
        let mut command = Command::new(path());
        command
            .args(args)
            .args(["--admin", &self.admin.to_string()])
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Its metrics now.
    ///
    /// # Panics
    /// If they are not given.
    pub async fn scrape(&self) -> Scrape {
        let (status, body) = self.admin("/metrics").await;
        assert_eq!(status, 200, "/metrics is open: {body}");
        Scrape::parse(&body)
    }

    /// Waits until a metric has a value; the name is without `lubdub_`.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn expect_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let name = format!("lubdub_{name}");
        let began = Instant::now();
        loop {
            let found = self.scrape().await.sum(&name, labels);
            if (found - value).abs() < 0.5 {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "after {PATIENCE:?} {name} with {labels:?} is still {found}, not {value}"
            );
            sleep(LOOK).await;
        }
    }
}

/// A request of a program on this machine.
#[must_use]
pub fn request(method: &str, path: &str) -> Request {
    Request::new(method, path).host("localhost")
}

/// A request for a change, to which only its body's length and the body are to be added.
#[must_use]
pub fn change(path: &str) -> Request {
    request("POST", path).field("Content-Type", "application/json")
}
