//! Whoever does not read what the program writes keeps it neither from its work nor from its end.

use std::io::{PipeReader, Write as _, pipe};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{CONFIGURATION, Lubdub, MINIMUM};

/// Longer than anything in here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pipe that is full, and stays so for as long as its reader is there.
fn full() -> (PipeReader, Stdio) {
    let (reader, writer) = pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("a descriptor");
    let (filled, is_filled) = channel();
    thread::spawn(move || {
        while filler.write_all(&[b'.'; 4096]).is_ok() {
            let _ = filled.send(());
        }
    });
    // It is full when nothing more goes in.
    while is_filled.recv_timeout(Duration::from_millis(200)).is_ok() {}
    (reader, writer.into())
}

/// How it ended; it had to end by itself.
fn expect_end(mut child: Child) -> Option<i32> {
    let pid = Pid::from_child(&child);
    let (ended, end) = channel();
    thread::spawn(move || ended.send(child.wait()));
    let Ok(status) = end.recv_timeout(PATIENCE) else {
        kill_process(pid, Signal::KILL).expect("it runs");
        panic!("it did not end by itself");
    };
    status.expect("its end can be waited for").code()
}

#[test]
fn a_mistake_that_nobody_reads_is_an_end_too() {
    let (_reader, full) = full();
    let mut lubdub = Lubdub::new("unread_mistake");
    let args = ["check", "--set", "log.level=loud"];
    let child = lubdub.command.args(args).stderr(full).spawn();
    assert_eq!(expect_end(child.expect("it starts")), CONFIGURATION);
}

#[test]
fn a_last_error_that_nobody_reads_is_an_end_too() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = format!("admin.address={}", taken.local_addr().expect("an address"));
    let (_reader, full) = full();
    let mut lubdub = Lubdub::new("unread_error");
    lubdub.command.args(MINIMUM).args(["--set", &admin]);
    let child = lubdub.command.stderr(full).spawn();
    assert_eq!(expect_end(child.expect("it starts")), Some(1));
}

/// The worker of the demo's proxy told the story itself, and waited for its reader.
#[test]
fn a_demo_that_nobody_reads_ends_in_time() {
    let (_reader, full) = full();
    let mut lubdub = Lubdub::new("unread_demo");
    lubdub.command.args(["demo", "--for", "2s"]);
    let child = lubdub.command.stdout(full).spawn();
    assert_eq!(expect_end(child.expect("it starts")), Some(0));
}
