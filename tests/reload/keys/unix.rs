//! `mode` and `group` of Unix sockets: who may connect, as their files say it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use lubdub_testkit::peer::{Dial, Peer, expect_alive};
use rustix::process::{geteuid, getgroups};

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "listen.NAME.mode" => mode,
    "listen.NAME.group" => group,
    "admin.mode" => mode_of_admin,
    "admin.group" => group_of_admin,
    "handover.mode" => mode_of_handover,
    "handover.group" => group_of_handover,
};

/// A socket of the test's own, where lubdub listens. Its path is short, as that of a socket has to be.
struct Socket(PathBuf);

impl Socket {
    fn new(place: Place) -> Self {
        let name = format!("lubdub-{}-{}.sock", std::process::id(), place.key());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    fn address(&self) -> String {
        format!("unix:{}", self.path())
    }

    /// Its permissions and its group.
    fn stat(&self) -> (u32, u32) {
        let file = fs::symlink_metadata(&self.0).expect("lubdub listens there");
        (file.permissions().mode() & 0o7777, file.gid())
    }

    async fn pair(&self, stage: &Stage) -> (Peer, Peer) {
        Dial::at(&self.0).pair(&stage.upstreams).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn mode(place: Place) {
    let socket = Socket::new(place);
    let listen = ("listen.main.address", &*socket.address());
    let mut stage = place.stage_at("0640", &[listen]).await;
    let (mode, group) = socket.stat();
    assert_eq!(mode, 0o640, "{mode:o}");
    let mut early = socket.pair(&stage).await;
    stage.set(place, "0666").await;
    assert_eq!(socket.stat(), (0o666, group));
    let mut late = socket.pair(&stage).await;
    // Without one it is the user's alone.
    let (status, said) = stage.unset(&[&*place.key()]).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(socket.stat(), (0o600, group));
    expect_alive(&mut early).await;
    expect_alive(&mut late).await;
}

/// Root may give it to any group, others to one of their own.
async fn group(place: Place) {
    let socket = Socket::new(place);
    let listen = ("listen.main.address", &*socket.address());
    let mut stage = place.stage(&[listen]).await;
    let (mode, own) = socket.stat();
    let mut early = socket.pair(&stage).await;
    let others = getgroups().expect("the kernel knows").into_iter();
    let another = match geteuid().is_root() {
        true => Some(own + 1),
        false => others.map(|it| it.as_raw()).find(|it| *it != own),
    };
    match another {
        Some(another) => {
            stage.set(place, &another.to_string()).await;
            assert_eq!(socket.stat(), (mode, another));
            stage.set(place, &own.to_string()).await;
        }
        // Who is in no other group is refused.
        None => {
            let another = (own + 1).to_string();
            let (status, said) = stage.try_set(&[(place.key, &another)]).await;
            assert_eq!(status, 422, "{said}");
            let why = "of which lubdub's user is no member";
            assert!(said.to_string().contains(why), "{said}");
        }
    }
    assert_eq!(socket.stat(), (mode, own));
    expect_alive(&mut early).await;
}

async fn mode_of_admin(place: Place) {
    let socket = Socket::new(place);
    let admin = ("admin.address", &*socket.address());
    stays(place, &socket, admin, "0666").await;
}

async fn group_of_admin(place: Place) {
    let socket = Socket::new(place);
    let admin = ("admin.address", &*socket.address());
    stays(place, &socket, admin, "7").await;
}

async fn mode_of_handover(place: Place) {
    let socket = Socket::new(place);
    let handover = ("handover.socket", &*socket.path());
    stays(place, &socket, handover, "0666").await;
}

async fn group_of_handover(place: Place) {
    let socket = Socket::new(place);
    let handover = ("handover.socket", &*socket.path());
    stays(place, &socket, handover, "7").await;
}

/// Only an upgrade changes it: the file is as it was.
async fn stays(place: Place, socket: &Socket, setting: (&str, &str), value: &str) {
    let mut stage = place.stage(&[setting]).await;
    // That of the hand-over comes a moment after the program is ready.
    lubdub_testkit::eventually("lubdub listens there", || socket.0.exists()).await;
    let before = socket.stat();
    stage.needs_an_upgrade(place, value).await;
    assert_eq!(socket.stat(), before);
}
