//! A process from outside takes over: `lubdub run --take-over`.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use lubdub_testkit::binary;

use crate::backend::Backend;
use crate::crowd::{Client, Kind};
use crate::lineage::{Lineage, set};
use crate::settings;

const REFUSED: &str = "a process that asks to take over is refused";

struct Socket(PathBuf);

impl Socket {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lubdub-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn setting(&self) -> String {
        format!("handover.socket={}", self.0.display())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_process_from_outside_takes_over_and_can_be_taken_over_from() {
    let socket = Socket::new("outside");
    let backend = Backend::start();
    let settings = [settings(&backend), vec![socket.setting()]].concat();
    let old = Lineage::start(&settings).await;
    let mut client = Client::connect(old.address, Kind::Idle).await.unwrap();

    let mut arguments = ["run", "--take-over", "--listen"]
        .map(str::to_owned)
        .to_vec();
    arguments.push("127.0.0.1:0".to_owned());
    arguments.extend(set(&settings));
    let next = Lineage::launch(&binary::path(), &arguments).await;
    assert_eq!(next.address, old.address, "the listener is the same");
    old.nth("lubdub ends", 0).await;
    client.talk_once().await.unwrap();
    Client::connect(next.address, Kind::Idle)
        .await
        .unwrap()
        .talk_once()
        .await
        .unwrap();

    // And once more: it listens at the same path by now.
    let last = Lineage::launch(&binary::path(), &arguments).await;
    next.nth("lubdub ends", 0).await;
    client.talk_once().await.unwrap();
    assert_eq!(last.scrape().await.sum("lubdub_pairs", &[]), 1.0);
}

#[tokio::test]
async fn who_speaks_something_else_there_changes_nothing() {
    let socket = Socket::new("strangers");
    let backend = Backend::start();
    // What a process left that is no more.
    drop(UnixListener::bind(&socket.0).unwrap());
    let settings = [settings(&backend), vec![socket.setting()]].concat();
    let mut lubdub = Lineage::start(&settings).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
    let mode = std::fs::metadata(&socket.0).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);

    let failed = crate::lineage::FAILED;
    let mut stranger = UnixStream::connect(&socket.0).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let line = lubdub.nth(failed, 0).await;
    assert!(
        line["reason"]
            .as_str()
            .unwrap()
            .contains("another language"),
        "{line}"
    );
    drop(UnixStream::connect(&socket.0).unwrap());
    let line = lubdub.nth(failed, 1).await;
    assert!(
        line["reason"].as_str().unwrap().contains("has ended"),
        "{line}"
    );
    assert_eq!(lubdub.count(REFUSED), 0, "they are of the same user");
    client.talk_once().await.unwrap();
    assert_eq!(lubdub.upgrade().await.moved, 1);
    client.talk_once().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_somebody_listens_at_is_left_to_them() {
    let socket = Socket::new("twice");
    let backend = Backend::start();
    let settings = [settings(&backend), vec![socket.setting()]].concat();
    let _first = Lineage::start(&settings).await;
    let second = std::process::Command::new(binary::path())
        .args([
            "--listen",
            "127.0.0.1:0",
            "--set",
            "admin.address=127.0.0.1:0",
        ])
        .args(set(&settings))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another process listens there"), "{said}");
    // Nobody was told that it would serve.
    assert!(!said.contains("ready"), "{said}");
}

/// Who was to take over from a process that had too many callers waited for it, and so did all that it does.
#[tokio::test]
async fn a_socket_with_a_full_queue_is_one_that_somebody_listens_at() {
    let socket = Socket::new("full");
    let theirs = UnixListener::bind(&socket.0).unwrap();
    let mut waiting = Vec::new();
    // As many wait as may, whatever the backlog is.
    loop {
        let one = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        one.set_nonblocking(true).unwrap();
        if one
            .connect(&socket2::SockAddr::unix(&socket.0).unwrap())
            .is_err()
        {
            break;
        }
        waiting.push(one);
    }
    let refused = std::process::Command::new(binary::path())
        .args(["--listen", "127.0.0.1:0", "--upstream", "ws://127.0.0.1:1"])
        .args(["--set", "admin.address=off", "--set", &socket.setting()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("another process listens there"), "{said}");
    assert!(socket.0.exists(), "it is theirs");
    drop(theirs);
}
