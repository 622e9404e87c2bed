//! Upgrades that come to nothing: the old process goes on with every pair, and says why.

use std::fs;
use std::path::Path;

use lubdub_testkit::binary;
use lubdub_testkit::installed::Installed;
use rustix::process::Signal;

use crate::backend::Backend;
use crate::crowd::{Client, Kind};
use crate::lineage::{FAILED, Lineage, set};
use crate::settings;

#[tokio::test]
async fn a_program_that_will_not_do_changes_nothing_and_the_reason_is_told() {
    let place = Installed::new("program");
    let copy = place.program();
    let backend = Backend::start();
    let mut lubdub = Lineage::start_program(&copy, &settings(&backend)).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();

    fs::remove_file(&copy).unwrap();
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["cannot be started", "No such file"],
    );
    place.put(b"not a program", 0o755);
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["cannot be started", "format"],
    );
    place.put(&fs::read(binary::path()).unwrap(), 0o644);
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["cannot be started", "denied"],
    );
    place.put(b"#!/bin/sh\nexit 0\n", 0o755);
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["exit code 0", "before it took over"],
    );
    place.put(b"#!/bin/sh\nkill -9 $$\n", 0o755);
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["signal: 9", "before it took over"],
    );
    place.put(b"#!/bin/sh\necho who is there >&0\nsleep 1\n", 0o755);
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["speaks another language"],
    );
    client.talk_once().await.unwrap();

    // The right one at last, and all goes on.
    place.put(&fs::read(binary::path()).unwrap(), 0o755);
    let upgraded = lubdub.upgrade().await;
    assert_eq!(upgraded.moved, 1);
    client.talk_once().await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_is_wrong_by_now_is_named_in_the_reason() {
    let place = Installed::new("configuration");
    let backend = Backend::start();
    let good = format!(
        "[listen.main]\naddress = \"127.0.0.1:0\"\n[upstream.main]\nurl = \"ws://{}\"\n",
        backend.address
    );
    let file = place.file("lubdub.toml", &good);
    let arguments = ["--config".to_owned(), file.display().to_string()];
    let mut lubdub = Lineage::launch(&binary::path(), &arguments).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();

    fs::write(
        &file,
        format!("{good}[keepalive.client]\nintervall = \"5s\"\n"),
    )
    .unwrap();
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["keepalive.client.intervall"],
    );
    fs::write(&file, "").unwrap();
    assert_in(&lubdub.upgrade_in_vain().await, &["listen"]);
    fs::remove_file(&file).unwrap();
    assert_in(&lubdub.upgrade_in_vain().await, &["lubdub.toml"]);
    // Somebody else has the address that is new.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let other = format!("{good}[listen.other]\naddress = \"{taken}\"\n");
    fs::write(&file, other).unwrap();
    assert_in(
        &lubdub.upgrade_in_vain().await,
        &["listener \"other\" cannot listen"],
    );
    client.talk_once().await.unwrap();

    fs::write(&file, good).unwrap();
    assert_eq!(lubdub.upgrade().await.moved, 1);
    client.talk_once().await.unwrap();
}

#[tokio::test]
async fn a_second_upgrade_waits_for_nobody_and_a_signal_to_stop_waits_for_the_first() {
    let backend = Backend::start();
    let mut lubdub = Lineage::start(&settings(&backend)).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
    let failed = lubdub.count(FAILED);
    lubdub.signal(Signal::USR2);
    lubdub.child().await;
    lubdub.signal(Signal::USR2);
    let line = lubdub.nth(FAILED, failed).await;
    assert_in(line["reason"].as_str().unwrap(), &["under way already"]);
    lubdub.nth("hand-over ends", 0).await;
    lubdub.last_upgrade();
    client.talk_once().await.unwrap();

    // The one that goes on is told to stop as well.
    lubdub.nth("taken over", 0).await;
    lubdub.signal(Signal::USR2);
    lubdub.child().await;
    lubdub.signal(Signal::TERM);
    lubdub.nth("the successor is told to stop as well", 0).await;
    lubdub.nth("lubdub ends", 2).await;
}

#[tokio::test]
async fn nothing_is_upgraded_in_the_middle_of_a_drain() {
    let backend = Backend::start();
    let mut lubdub = Lineage::start(&settings(&backend)).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
    // It is a pair by then, and one that is drained.
    client.talk_once().await.unwrap();
    lubdub
        .post("/api/v1/drain", r#"{"spread": "60s", "route": "main"}"#)
        .await;
    assert_in(&lubdub.upgrade_in_vain().await, &["drain 1 is under way"]);
    lubdub.post("/api/v1/drain", r#"{"cancel": true}"#).await;
    lubdub.upgrade().await;
}

#[tokio::test]
async fn what_the_files_of_the_new_process_cannot_hold_stays_and_the_reason_is_told() {
    let place = Installed::new("files");
    let copy = place.program();
    let backend = Backend::start();
    let mut lubdub = Lineage::start_program(&copy, &settings(&backend)).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
        client.talk_once().await.unwrap();
        clients.push(client);
    }
    // 192 of them are for all that is no pair, watchers of the admin listener among it.
    let script = format!(
        "#!/bin/sh\nulimit -n 224\nexec {} \"$@\"\n",
        binary::path().display()
    );
    place.put(script.as_bytes(), 0o755);
    let upgraded = lubdub.upgrade().await;
    assert_eq!((upgraded.moved, upgraded.kept), (16, 4));
    let told = "the file limit of the new process carries fewer pairs than there are; the others stay here";
    let line = lubdub.nth(told, 0).await;
    assert_eq!((&line["room"], &line["pairs"]), (&16.into(), &20.into()));
    for client in &mut clients {
        client.talk_once().await.unwrap();
    }
}

#[tokio::test]
async fn a_program_is_found_again_where_it_was_started_by_name() {
    let place = Installed::new("path");
    let _ = place.program();
    let backend = Backend::start();
    let folder = place.path().display().to_string();
    let run = format!(
        "export PATH={folder}:/usr/bin:/bin; cd {folder} && exec lubdub --listen 127.0.0.1:0 \"$@\""
    );
    let mut arguments = vec!["-c".to_owned(), run, "lubdub".to_owned()];
    arguments
        .extend(["--log-format", "json", "--set", "admin.address=127.0.0.1:0"].map(str::to_owned));
    arguments.extend(set(&settings(&backend)));
    let mut lubdub = Lineage::launch_as_is(Path::new("/bin/sh"), &arguments).await;
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
    assert_eq!(lubdub.upgrade().await.moved, 1);
    assert_eq!(lubdub.upgrade().await.moved, 1);
    client.talk_once().await.unwrap();
}

#[track_caller]
fn assert_in(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
}
