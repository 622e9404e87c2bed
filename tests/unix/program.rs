//! The program with nothing but Unix sockets: operators, clients and upstreams.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Output, Stdio};

use lubdub_testkit::binary;
use lubdub_testkit::peer::{Dial, Upstream};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::Room;

async fn lubdub(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::path());
    command.env_clear().args(arguments).stdin(Stdio::null());
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{error}")
}

/// Starts it with these settings, and waits until it is ready.
async fn start(settings: &[String], admin: &str) -> Child {
    let mut command = Command::new(binary::path());
    command.env_clear().stdin(Stdio::null());
    for setting in settings {
        command.args(["--set", setting]);
    }
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    until_ready(admin).await;
    assert!(child.try_wait().unwrap().is_none());
    child
}

async fn until_ready(admin: &str) {
    for _ in 0..100 {
        if lubdub(&["healthcheck", "--url", admin])
            .await
            .status
            .success()
        {
            return;
        }
        tokio::time::sleep(lubdub_testkit::ms(50)).await;
    }
    panic!("{admin} is not ready");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Listeners go along with their files, pairs with both their sockets, and nobody needs a token.
#[tokio::test]
async fn all_of_it_moves_to_the_next_process_and_its_files_go_with_the_last() {
    let (room, upstreams) = (Room::new("upgrade"), Upstream::over_unix(9));
    let (path, admin) = (room.at("in.sock"), room.at("admin.sock"));
    let settings = [
        format!("listen.main.address=unix:{}", path.display()),
        "listen.main.mode=0660".to_owned(),
        format!(
            "upstream.main.url=unix:{}",
            upstreams.path().unwrap().display()
        ),
        format!("admin.address=unix:{}", admin.display()),
        "runtime.workers=1".to_owned(),
    ];
    let at = format!("unix:{}", admin.display());
    let mut old = start(&settings, &at).await;
    let files = [inode(&path), inode(&admin)];
    assert_eq!((mode(&path), mode(&admin)), (0o660, 0o600));
    let dial = Dial::at(&path);
    let (mut client, mut upstream) = dial.pair(&upstreams).await;

    let drained = lubdub(&["drain", "--admin", &at, "--cancel"]).await;
    assert!(said(&drained).contains("drain"), "{}", said(&drained));
    let upgraded = lubdub(&["upgrade", "--admin", &at]).await;
    let answer = said(&upgraded);
    assert!(upgraded.status.success(), "{answer}");
    assert!(answer.contains("1 pair moved"), "{answer}");
    let successor = answer.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(old.wait().await.unwrap().success());
    until_ready(&at).await;

    assert_eq!([inode(&path), inode(&admin)], files, "the files stay");
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    let dial = Dial::at(&path);
    let (_late, _its_upstream) = dial.pair(&upstreams).await;

    kill_process(Pid::from_raw(successor).unwrap(), Signal::TERM).unwrap();
    lubdub_testkit::eventually("the last process takes the files with it", || {
        !path.exists() && !admin.exists()
    })
    .await;
}

/// What the next configuration says of who may connect holds once all is handed over, and the sockets that it does not
/// have go with their files.
#[tokio::test]
async fn a_hand_over_to_another_configuration_changes_who_may_connect_and_closes_what_is_not_in_it()
{
    let (room, upstreams) = (Room::new("other"), Upstream::over_unix(9));
    let [path, gone, admin, moved, file] = [
        "in.sock",
        "gone.sock",
        "admin.sock",
        "moved.sock",
        "lubdub.toml",
    ]
    .map(|name| room.at(name));
    let upstream = upstreams.path().unwrap();
    let upstream = upstream.display();
    let write = |main: &str, admin: &Path, more: &str| {
        let text = format!(
            "[listen.main]\naddress = \"unix:{}\"\n{main}\n[upstream.main]\nurl = \"unix:{upstream}\"\n\
             [admin]\naddress = \"unix:{}\"\n{more}",
            path.display(),
            admin.display(),
        );
        fs::write(&file, text).unwrap();
    };
    // Another group than one's own is for root to give.
    let (own, group) = match rustix::process::geteuid().is_root() {
        true => (0, "group = 1"),
        false => (rustix::process::getegid().as_raw(), ""),
    };
    let more = format!("[listen.gone]\naddress = \"unix:{}\"\n", gone.display());
    write(&format!("mode = \"0660\"\n{group}"), &admin, &more);
    let mut command = Command::new(binary::path());
    command
        .env_clear()
        .stdin(Stdio::null())
        .arg("--config")
        .arg(&file);
    let mut old = command.kill_on_drop(true).spawn().unwrap();
    until_ready(&format!("unix:{}", admin.display())).await;

    write("mode = \"0666\"", &moved, "");
    let at = format!("unix:{}", admin.display());
    let upgraded = lubdub(&["upgrade", "--admin", &at]).await;
    let answer = said(&upgraded);
    assert!(upgraded.status.success(), "{answer}");
    let successor = answer.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(old.wait().await.unwrap().success());
    until_ready(&format!("unix:{}", moved.display())).await;
    assert_eq!(
        (mode(&path), fs::metadata(&path).unwrap().gid()),
        (0o666, own)
    );
    assert!(
        !gone.exists() && !admin.exists(),
        "nobody has these any more"
    );
    kill_process(Pid::from_raw(successor).unwrap(), Signal::TERM).unwrap();
    lubdub_testkit::eventually("the last process takes the files with it", || {
        !path.exists() && !moved.exists()
    })
    .await;
}

/// A successor that does not come to be takes nothing with it.
#[tokio::test]
async fn a_hand_over_that_fails_leaves_the_files() {
    let (room, upstreams) = (Room::new("fails"), Upstream::over_unix(9));
    let (path, admin, file) = (
        room.at("in.sock"),
        room.at("admin.sock"),
        room.at("lubdub.toml"),
    );
    let write = |mode: &str, more: &str| {
        let text = format!(
            "[listen.main]\naddress = \"unix:{}\"\nmode = \"{mode}\"\n[upstream.main]\nurl = \"unix:{}\"\n\
             [admin]\naddress = \"unix:{}\"\nmode = \"{mode}\"\n{more}",
            path.display(),
            upstreams.path().unwrap().display(),
            admin.display(),
        );
        fs::write(&file, text).unwrap();
    };
    write("0600", "");
    let mut command = Command::new(binary::path());
    command
        .env_clear()
        .stdin(Stdio::null())
        .arg("--config")
        .arg(&file);
    let _child = command.kill_on_drop(true).spawn().unwrap();
    let at = format!("unix:{}", admin.display());
    until_ready(&at).await;
    let files = [inode(&path), inode(&admin)];
    // The new program can read it, and cannot listen there.
    let nowhere = room.at("nowhere/in.sock");
    let more = format!("[listen.more]\naddress = \"unix:{}\"\n", nowhere.display());
    write("0666", &more);
    let upgraded = lubdub(&["upgrade", "--config", file.to_str().unwrap()]).await;
    assert!(!upgraded.status.success(), "{}", said(&upgraded));
    assert_eq!(
        [inode(&path), inode(&admin)],
        files,
        "they are still the old one's"
    );
    assert_eq!(
        (mode(&path), mode(&admin)),
        (0o600, 0o600),
        "and let in nobody else"
    );
    let dial = Dial::at(&path);
    let (_client, _upstream) = dial.pair(&upstreams).await;
    // And reload says the same, key and all.
    write("0600", &more);
    let reloaded = lubdub(&["reload", "--config", file.to_str().unwrap()]).await;
    let answer = said(&reloaded);
    assert!(!reloaded.status.success());
    assert!(
        answer.contains("listen.more.address") && answer.contains("nowhere"),
        "{answer}"
    );
}

/// A socket unit of systemd with ListenStream=/a/path.
#[tokio::test]
async fn a_socket_that_was_passed_is_used_and_its_file_is_left_to_who_passed_it() {
    let (room, upstreams) = (Room::new("passed"), Upstream::over_unix(9));
    let (path, admin) = (room.at("in.sock"), room.at("admin.sock"));
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh"]).arg(binary::path());
    for setting in [
        format!("listen.main.address=unix:{}", path.display()),
        format!(
            "upstream.main.url=unix:{}",
            upstreams.path().unwrap().display()
        ),
        format!("admin.address=unix:{}", admin.display()),
    ] {
        command.args(["--set", &setting]);
    }
    command
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    until_ready(&format!("unix:{}", admin.display())).await;
    let dial = Dial::at(&path);
    let (client, upstream) = dial.pair(&upstreams).await;
    drop((client, upstream));
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(id.try_into().ok()?))
        .unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(path.exists(), "it is whoever passed it who removes it");
    assert!(!admin.exists());
}
