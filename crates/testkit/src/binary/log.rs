//! What the program logs, as it comes out of its standard error.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::PATIENCE;

/// What it has logged, up to [`Log::KEPT`] lines.
#[derive(Debug)]
pub(super) struct Log {
    lines: Arc<Mutex<Vec<Value>>>,
    changed: watch::Receiver<()>,
    /// Whether it is read.
    read: watch::Sender<bool>,
}

// === impl Log ===

impl Log {
    /// How many lines are kept, the first ones and all warnings: what is waited for comes early, and a
    /// long run has a line for each of its pairs.
    const KEPT: usize = 10_000;

    pub(super) fn follow(stderr: ChildStderr) -> Self {
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (notify, changed) = watch::channel(());
        let (read, mut is_read) = watch::channel(true);
        let written = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr).lines();
            let mut count = 0;
            loop {
                // Until it is read again, or nobody is left who could say so.
                while !*is_read.borrow_and_update() && is_read.changed().await.is_ok() {}
                let line = tokio::select! {
                    biased;
                    Ok(()) = is_read.changed() => continue,
                    line = stderr.next_line() => line,
                };
                let Ok(Some(line)) = line else {
                    return;
                };
                count += 1;
                // What is not JSON is no log line but a complaint; it is kept all the same.
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if count > Self::KEPT
                    && !["warn", "error"].map(Value::from).contains(&value["level"])
                {
                    continue;
                }
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(value);
                let _ = notify.send(());
            }
        });
        Self {
            lines,
            changed,
            read,
        }
    }

    /// Whether it is read from now on.
    pub(super) fn set_read(&self, is_read: bool) {
        self.read.send_replace(is_read);
    }

    pub(super) async fn expect(&self, message: &str) -> Value {
        self.expect_times(message, 1).await
    }

    pub(super) async fn expect_times(&self, message: &str, times: usize) -> Value {
        let mut changed = self.changed.clone();
        let found = timeout(PATIENCE, async {
            loop {
                let lines = self.lines().into_iter();
                let line = lines.filter(|line| line["msg"] == message).nth(times - 1);
                if line.is_some() || changed.changed().await.is_err() {
                    return line;
                }
            }
        });
        match found.await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("lubdub ended before it logged {message:?} {times} times"),
            Err(_) => panic!("lubdub has not logged {message:?} {times} times"),
        }
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
