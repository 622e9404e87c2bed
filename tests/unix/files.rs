//! The file by which a listener is reached.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use lubdub_proxy::unix::Permissions;
use lubdub_proxy::{Address, Drained};
use lubdub_testkit::certs::Certs;
use lubdub_testkit::peer::{Dial, Upstream};

use super::{Room, settings, start};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What lubdub says when it does not start.
fn refused(path: &Path, upstream: &Upstream) -> String {
    let refused = start(settings(path, upstream));
    refused.expect_err("lubdub does not start").to_string()
}

#[tokio::test]
async fn a_socket_is_there_while_lubdub_is_and_has_the_mode_that_is_configured() {
    let (room, upstreams) = (Room::new("mode"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let mut asked = settings(&path, &upstreams);
    asked.listeners[0].permissions = Permissions {
        mode: 0o640,
        group: None,
    };
    let proxy = start(asked).unwrap();
    assert_eq!(mode(&path), 0o640);
    let dial = Dial::at(&path);
    let (mut client, mut upstream) = dial.pair(&upstreams).await;
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    let pairs = proxy.registry().pairs();
    assert_eq!(pairs[0].client().to_string(), "unix");
    let at = format!("unix:{}", upstreams.path().unwrap().display());
    assert_eq!(pairs[0].upstream().to_string(), at);
    client.close(1000, "").await;
    upstream.expect_close(1000).await;
    upstream.close(1000, "").await;
    client.expect_close(1000).await;
    drop((client, upstream));
    assert_eq!(proxy.drain().await, Drained::Clean);
    assert!(!path.exists(), "the file goes with its listener");
}

#[tokio::test]
async fn a_stale_file_is_replaced() {
    let (room, upstreams) = (Room::new("stale"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(Dial::at(&path).open().await.is_err());
    let _proxy = start(settings(&path, &upstreams)).unwrap();
    assert!(Dial::at(&path).open().await.is_ok());
}

#[tokio::test]
async fn what_somebody_listens_at_is_left_alone() {
    let (room, upstreams) = (Room::new("taken"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let theirs = UnixListener::bind(&path).unwrap();
    assert!(refused(&path, &upstreams).contains("another process listens there"));
    // As many wait there as may: that is somebody, too.
    let full = room.at("full.sock");
    let busy = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    busy.bind(&socket2::SockAddr::unix(&full).unwrap()).unwrap();
    busy.listen(0).unwrap();
    let _waits = std::os::unix::net::UnixStream::connect(&full).unwrap();
    assert!(refused(&full, &upstreams).contains("another process listens there"));
    // One of another type cannot be asked.
    let datagrams = room.at("datagrams.sock");
    let _datagrams = UnixDatagram::bind(&datagrams).unwrap();
    assert!(refused(&datagrams, &upstreams).contains("left alone"));
    drop(theirs);
    assert!(path.exists() && full.exists() && datagrams.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let (room, upstreams) = (Room::new("file"), Upstream::over_unix(9));
    let (file, directory, link) = (room.at("file"), room.at("directory"), room.at("link"));
    fs::write(&file, "precious").unwrap();
    fs::create_dir(&directory).unwrap();
    symlink(&file, &link).unwrap();
    for path in [&file, &directory, &link] {
        let said = refused(path, &upstreams);
        assert!(
            said.contains("no socket is there; it is left alone"),
            "{said}"
        );
        assert!(said.contains(&path.display().to_string()), "{said}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let (room, upstreams) = (Room::new("nowhere"), Upstream::over_unix(9));
    let said = refused(&room.at("nowhere/in.sock"), &upstreams);
    let directory = room.at("nowhere").display().to_string();
    assert!(
        said.contains(&format!("the directory {directory} cannot")),
        "{said}"
    );
}

#[tokio::test]
async fn the_file_of_another_is_not_removed() {
    let (room, upstreams) = (Room::new("other"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let proxy = start(settings(&path, &upstreams)).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    proxy.drain().await;
    assert!(path.exists(), "it is somebody else's by now");
    drop(theirs);
}

#[tokio::test]
async fn a_reload_opens_and_closes_sockets_and_changes_their_mode() {
    let (room, upstreams) = (Room::new("reload"), Upstream::over_unix(9));
    let (one, other) = (room.at("one.sock"), room.at("other.sock"));
    let proxy = start(settings(&one, &upstreams)).unwrap();
    let open = |path| {
        let dial = Dial::at(path);
        async { dial.pair(&upstreams).await }
    };
    let (mut client, mut upstream) = open(&one).await;

    let id = fs::metadata(&one).unwrap().ino();
    let mut wider = settings(&one, &upstreams);
    wider.listeners[0].permissions.mode = 0o666;
    proxy.reload(wider).unwrap();
    assert_eq!((fs::metadata(&one).unwrap().ino(), mode(&one)), (id, 0o666));

    // What cannot be had is refused, and all is as it was: here a listener that cannot be opened stands behind one whose
    // mode was changed.
    let mut impossible = settings(&one, &upstreams);
    let own = fs::metadata(&one).unwrap().gid();
    let is_root = rustix::process::geteuid().is_root();
    impossible.listeners[0].permissions = Permissions {
        mode: 0o600,
        group: is_root.then_some(own + 1),
    };
    let mut other_listener = impossible.listeners[0].clone();
    other_listener.name = "other".into();
    other_listener.address = Address::Unix(room.at("nowhere/in.sock").into());
    impossible.listeners.push(other_listener);
    proxy.reload(impossible).unwrap_err();
    assert_eq!(
        (mode(&one), fs::metadata(&one).unwrap().gid()),
        (0o666, own)
    );
    // Nor is a mode that cannot be given taken for one that is.
    let kept = room.at("kept.sock");
    fs::rename(&one, &kept).unwrap();
    let mut narrower = settings(&one, &upstreams);
    narrower.listeners[0].permissions.mode = 0o600;
    let refused = proxy.reload(narrower).unwrap_err().to_string();
    assert!(refused.contains("cannot give it mode 0600"), "{refused}");
    fs::rename(&kept, &one).unwrap();

    // A dry run opens nothing, and tells what would be refused.
    proxy.try_reload(&settings(&other, &upstreams)).unwrap();
    assert!(!other.exists());
    let left = fs::read_dir(room.at("")).unwrap().count();
    assert_eq!(left, 1, "nothing is left of it");
    let nowhere = settings(&room.at("nowhere/in.sock"), &upstreams);
    proxy.try_reload(&nowhere).unwrap_err();

    proxy.reload(settings(&other, &upstreams)).unwrap();
    lubdub_testkit::eventually("the old file has gone", || !one.exists()).await;
    assert!(
        fs::symlink_metadata(&other)
            .unwrap()
            .file_type()
            .is_socket()
    );
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    let (_client, _upstream) = open(&other).await;
}

#[tokio::test]
async fn tls_is_spoken_over_a_unix_socket() {
    let (room, upstreams) = (Room::new("tls"), Upstream::over_unix(9));
    let (path, certs) = (room.at("in.sock"), Certs::generate());
    let mut asked = settings(&path, &upstreams);
    asked.listeners[0].tls = Some(certs.listening());
    let _proxy = start(asked).unwrap();
    let dial = Dial::at(&path).tls(certs.connecting());
    let (mut client, mut upstream) = dial.pair(&upstreams).await;
    upstream.send_text("hello").await;
    client.expect_text("hello").await;
}
