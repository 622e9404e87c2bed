//! As a service that is upgraded: what the service manager is told and by which process, sockets that it has
//! passed, and reloads that are an upgrade where the program on disk is another one.

use std::net::TcpListener;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::installed::Installed;
use lubdub_testkit::manager::{Manager, Said};
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use rustix::process::{Pid, Signal};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::service::insist;

const FAILED: &str = "the upgrade has failed: lubdub goes on";
/// In microseconds.
const WATCHDOG: &str = "400000";

fn listen(test: &str) -> Manager {
    Manager::listen(env!("CARGO_TARGET_TMPDIR"), test)
}

async fn start(place: &Installed, manager: &Manager, settings: &[&str]) -> Binary {
    let environment = [manager.environment(), ("WATCHDOG_USEC", WATCHDOG)];
    Binary::start_copy_as_service(&place.program(), settings, &environment).await
}

fn url(upstreams: &Upstream) -> String {
    format!("upstream.main.url=ws://{}", upstreams.address())
}

/// Without what comes all the time.
fn events(said: Vec<Said>) -> Vec<(Pid, String)> {
    let said = said.into_iter().map(|it| (it.by, it.text));
    said.filter(|(_, text)| text != "WATCHDOG=1").collect()
}

fn parent(pid: Pid) -> Option<i32> {
    let status = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = std::fs::read_to_string(status).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok()
}

#[tokio::test]
async fn an_upgrade_is_told_by_who_is_listened_to() {
    let (mut manager, place) = (listen("upgrade"), Installed::new("told"));
    let upstreams = Upstream::listen();
    let mut lubdub = start(&place, &manager, &[&url(&upstreams)]).await;
    manager.expect("STATUS=0 pairs").await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    manager.expect("STATUS=1 pair").await;
    // An upgrade that is not answered yet keeps the old process for a while.
    let (mut waits, unanswered, _) = lubdub.dial().ask(&Request::upgrade("/"), &upstreams).await;

    let old = manager.main();
    manager.signal(Signal::USR2);
    let said = events(manager.expect("MAINPID=").await);
    let new = manager.main();
    let [(first, reloading), (second, succession)] = &*said else {
        panic!("{said:?}");
    };
    assert_eq!((first, second), (&old, &old));
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    let expected = format!("MAINPID={}\nREADY=1", new.as_raw_nonzero());
    assert_eq!(*succession, expected);
    assert_ne!(new, old);
    // systemd waits for the end of its own children alone: neither the old process nor the starter is in between.
    let parent = parent(new).expect("it runs");
    assert_ne!(parent, old.as_raw_nonzero().get());
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).expect("it runs");
    assert!(!name.starts_with("lubdub"), "{name}");
    drop(unanswered);
    assert_eq!(waits.expect_head().await.status(), 502);
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));

    // From here on the new one tells, and nobody else.
    let said = events(manager.expect("STATUS=").await);
    let expected = ["READY=1", "STATUS=1 pair"].map(|text| (new, text.to_owned()));
    assert_eq!(said, expected);
    for _ in 0..5 {
        manager.expect("WATCHDOG=1").await;
    }
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    manager.signal(Signal::TERM);
    manager.expect("STOPPING=1").await;
    client.expect_close(1012).await;
    manager.expect("EXTEND_TIMEOUT_USEC=20000000").await;
}

#[tokio::test]
async fn an_upgrade_that_fails_is_told_as_over() {
    let (mut manager, place) = (listen("failure"), Installed::new("failure"));
    let upstreams = Upstream::listen();
    let lubdub = start(&place, &manager, &[&url(&upstreams)]).await;
    manager.expect("STATUS=0 pairs").await;
    let old = manager.main();
    for (n, program) in [
        "#!/bin/sh\nexit 3\n",
        "#!/bin/sh\nkill -9 $$\n",
        "no program",
    ]
    .into_iter()
    .enumerate()
    {
        place.put(program.as_bytes(), 0o755);
        manager.signal(Signal::USR2);
        let said = events(manager.expect("READY=1").await);
        let texts: Vec<_> = said.iter().map(|(_, text)| &**text).collect();
        assert!(texts[0].starts_with("RELOADING=1\n"), "{texts:?}");
        assert_eq!(texts.last(), Some(&"READY=1"));
        assert!(!texts.iter().any(|text| text.contains("MAINPID")));
        assert_eq!(manager.main(), old);
        let line = lubdub.expect_logged_times(FAILED, n + 1).await;
        let reason = line["reason"].as_str().unwrap_or_default();
        let named = ["exit code 3", "signal: 9", "cannot be started"][n];
        assert!(reason.contains(named), "{named:?} is not in {reason:?}");
    }
    manager
        .expect("STATUS=0 pairs; the latest upgrade has failed")
        .await;
    // A reload that goes well is the end of that.
    manager.signal(Signal::HUP);
    manager.expect("READY=1").await;
    let said = events(manager.expect("STATUS=").await);
    assert_eq!(said.last().unwrap().1, "STATUS=0 pairs");
}

#[tokio::test]
async fn a_reload_that_is_refused_is_told_as_over() {
    let (mut manager, place) = (listen("refused"), Installed::new("refused"));
    let upstreams = Upstream::listen();
    let file = place.file("lubdub.toml", "");
    let environment = [
        manager.environment(),
        ("LUBDUB_CONFIG", file.to_str().expect("text")),
    ];
    let settings = [&*url(&upstreams)];
    let lubdub = Binary::start_as_service(&settings, &environment).await;
    manager.expect("STATUS=0 pairs").await;
    std::fs::write(&file, "[keepalive.client]\nintervall = \"5s\"\n").unwrap();
    lubdub.signal(Signal::HUP);
    let said = events(manager.expect("STATUS=").await);
    let texts: Vec<_> = said.iter().map(|(_, text)| &**text).collect();
    let [reloading, "READY=1", status] = &*texts else {
        panic!("{texts:?}");
    };
    assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
    assert!(
        status.starts_with("STATUS=0 pairs; the latest reload was refused"),
        "{status}"
    );
}

#[tokio::test]
async fn a_signal_reloads_or_upgrades_if_the_program_is_another_one() {
    let (mut manager, place) = (listen("either"), Installed::new("either"));
    let upstreams = Upstream::listen();
    let lubdub = start(&place, &manager, &[&url(&upstreams)]).await;
    manager.expect("STATUS=0 pairs").await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    let old = manager.main();

    manager.signal(Signal::USR1);
    lubdub.expect_logged("configuration reloaded").await;
    manager.expect("RELOADING=1").await;
    manager.expect("READY=1").await;
    assert_eq!(manager.main(), old);

    place.install_again();
    manager.signal(Signal::USR1);
    manager.expect("MAINPID=").await;
    assert_ne!(manager.main(), old);
    client.send_text("hello").await;
    upstream.expect_text("hello").await;

    // By now that is what runs.
    manager.signal(Signal::USR1);
    lubdub
        .expect_logged_times("configuration reloaded", 2)
        .await;

    // What cannot be told is no reason to do either.
    std::fs::remove_file(place.path().join("lubdub")).unwrap();
    manager.signal(Signal::USR1);
    let line = lubdub.expect_logged(FAILED).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("cannot be seen"), "{reason}");
    manager.expect("RELOADING=1").await;
    manager.expect("READY=1").await;
}

#[tokio::test]
async fn the_command_reloads_or_upgrades_if_the_program_is_another_one() {
    let (mut manager, place) = (listen("command"), Installed::new("command"));
    let upstreams = Upstream::listen();
    let token = place.file("token", "s3cret\n").display().to_string();
    let of_admin = format!("admin.token_file={token}");
    let lubdub = start(&place, &manager, &[&url(&upstreams), &of_admin]).await;
    manager.expect("STATUS=0 pairs").await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    let old = manager.main();
    let reload = ["reload", "--upgrade-if-new"];
    let with_token = [&reload[..], &["--token-file", &token]].concat();

    let (code, _, error) = lubdub.command(&reload).await;
    assert_eq!(code, Some(1));
    assert!(
        error.contains("no upgrade") && error.contains("token"),
        "{error}"
    );
    let (code, said, error) = lubdub.command(&with_token).await;
    assert_eq!(
        (code, &*said),
        (Some(0), "reloaded: 0 changes, generation 2\n"),
        "{error}"
    );

    place.put(b"#!/bin/sh\nexit 3\n", 0o755);
    let (code, _, error) = lubdub.command(&with_token).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("exit code 3"), "{error}");

    place.install_again();
    let (code, said, error) = lubdub.command(&with_token).await;
    assert_eq!(code, Some(0), "{error}");
    manager.expect("MAINPID=").await;
    let new = manager.main();
    let expected = format!(
        "upgraded: process {} goes on, 1 pair moved",
        new.as_raw_nonzero()
    );
    assert!(said.starts_with(&expected), "{said}");
    assert_ne!(new, old);
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
}

/// The sockets stay the service manager's, whoever accepts on them.
#[tokio::test]
async fn upgrades_and_a_restart_under_socket_activation_refuse_nobody() {
    let mut manager = listen("activated");
    let upstreams = Upstream::listen();
    let url = url(&upstreams);
    let accepting = tokio::spawn(async move {
        loop {
            drop(upstreams.accept_websocket().await);
        }
    });
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = socket.local_addr().expect("an address");
    let run = async |manager: &Manager| {
        let environment = [manager.environment()];
        Binary::start_on_as_service(&socket, "main", &[&url], &environment).await
    };
    let first = run(&manager).await;
    manager.expect("STATUS=").await;
    let (stop, stopped) = oneshot::channel();
    let client = tokio::spawn(insist(address, stopped));

    for times in 1..=2 {
        manager.signal(Signal::USR2);
        manager.expect("MAINPID=").await;
        manager.expect("STATUS=").await;
        first.expect_logged_times("taken over", times).await;
    }
    manager.signal(Signal::TERM);
    first.expect_logged_times("lubdub ends", 3).await;
    let mut manager = {
        // Another run of the service.
        drop(manager);
        listen("activated")
    };
    // Meanwhile the client waits in the accept queue.
    sleep(ms(100)).await;
    let second = run(&manager).await;
    manager.expect("READY=1").await;
    second.expect_logged("pair ended").await;
    stop.send(()).expect("it goes on");
    let (served, put_off) = client.await.expect("nobody is refused");
    assert!(served > 3, "{served} times served");
    assert!(put_off <= 1, "{put_off} times put off");
    accepting.abort();
}

/// systemd takes the end of the process that it has started for the end of the service, and kills what is left.
#[tokio::test]
async fn a_service_that_cannot_name_its_next_process_is_not_upgraded() {
    let upstreams = Upstream::listen();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let lubdub = Binary::start_on(&socket, "main", &[&url(&upstreams)]).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    lubdub.signal(Signal::USR2);
    let line = lubdub.expect_logged(FAILED).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("Type=notify"), "{reason}");
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
}
