//! As a service: what the service manager is told, and sockets that it passes.

use std::net::{SocketAddr, TcpListener};

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::manager::Manager;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Upstream};
use rustix::process::Signal;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

fn listen(test: &str) -> Manager {
    Manager::listen(env!("CARGO_TARGET_TMPDIR"), test)
}

async fn start(
    manager: &Manager,
    upstreams: &Upstream,
    settings: &[&str],
    watchdog: &str,
) -> Binary {
    let url = format!("upstream.main.url=ws://{}", upstreams.address());
    let environment = [manager.environment(), ("WATCHDOG_USEC", watchdog)];
    Binary::start_as_service(&[&[url.as_str()], settings].concat(), &environment).await
}

#[tokio::test]
async fn the_service_manager_is_told_how_it_is() {
    let mut manager = listen("told");
    let upstreams = Upstream::listen();
    // Longer than all that is waited for below.
    let settings = ["timeouts.close=20s", "drain.timeout=30s"];
    let mut lubdub = start(&manager, &upstreams, &settings, "0").await;
    assert_eq!(manager.next().await.text, "READY=1");
    assert_eq!(manager.next().await.text, "STATUS=0 pairs");
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    manager.expect("STATUS=1 pair").await;
    lubdub.signal(Signal::TERM);
    manager.expect("STOPPING=1").await;
    client.expect_close(1012).await;
    upstream.expect_close(1001).await;
    // Nobody answers these, so that the drain goes on: it is told more than once.
    manager.expect("STATUS=1 pair left of a drain").await;
    manager.expect("EXTEND_TIMEOUT_USEC=20000000").await;
    manager.expect("EXTEND_TIMEOUT_USEC=20000000").await;
    drop((client, upstream));
    assert_eq!(lubdub.expect_exit().await.code(), Some(0));
}

#[tokio::test]
async fn the_service_manager_is_told_of_a_reload() {
    let mut manager = listen("reload");
    let upstreams = Upstream::listen();
    let lubdub = start(&manager, &upstreams, &[], "0").await;
    manager.expect("STATUS=0 pairs").await;
    lubdub.signal(Signal::HUP);
    let told = manager.next().await.text;
    let micros = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    let micros = micros.and_then(|micros| micros.parse::<u64>().ok());
    assert!(micros.is_some_and(|micros| micros > 0), "{told}");
    manager.expect("READY=1").await;
}

#[tokio::test]
async fn a_watchdog_hears_nothing_from_a_process_that_stands_still() {
    let mut manager = listen("watchdog");
    let upstreams = Upstream::listen();
    let lubdub = start(&manager, &upstreams, &[], "400000").await;
    for _ in 0..3 {
        manager.expect("WATCHDOG=1").await;
    }
    lubdub.signal(Signal::STOP);
    // What was sent before.
    while timeout(ms(300), manager.next()).await.is_ok() {}
    let silence = timeout(ms(500), manager.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    lubdub.signal(Signal::CONT);
    manager.expect("WATCHDOG=1").await;
}

/// A client that connects again and again until it is told to stop: how often it was served, how often
/// it was told to come back, and what went wrong.
pub(crate) async fn insist(address: SocketAddr, mut stop: oneshot::Receiver<()>) -> (usize, usize) {
    let (mut served, mut put_off) = (0, 0);
    while stop.try_recv().is_err() {
        let mut client = Dial::to(address).connect().await;
        client.ask(&Request::upgrade("/")).await;
        // Whoever is started again takes a while.
        match client.expect_head().await.status() {
            101 => served += 1,
            503 => put_off += 1,
            other => panic!("nobody is answered with {other}"),
        }
    }
    (served, put_off)
}

/// Sockets that the service manager keeps are a queue in which clients wait for the successor.
#[tokio::test]
async fn a_restart_under_socket_activation_refuses_nobody() {
    const CLIENTS: usize = 4;
    /// Pairs after which each of them was served.
    const ENOUGH: usize = 10 * CLIENTS;
    let upstreams = Upstream::listen();
    let url = format!("upstream.main.url=ws://{}", upstreams.address());
    let accepting = tokio::spawn(async move {
        loop {
            drop(upstreams.accept_websocket().await);
        }
    });
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = socket.local_addr().expect("an address");
    let mut lubdub = Binary::start_on(&socket, "main", &[&url]).await;
    assert_eq!(lubdub.address(), address);
    let (stops, clients): (Vec<_>, Vec<_>) = (0..CLIENTS)
        .map(|_| {
            let (stop, stopped) = oneshot::channel();
            (stop, tokio::spawn(insist(address, stopped)))
        })
        .unzip();
    for _ in 0..3 {
        lubdub.expect_logged_times("pair ended", ENOUGH).await;
        lubdub.signal(Signal::TERM);
        assert_eq!(lubdub.expect_exit().await.code(), Some(0));
        // Meanwhile clients wait in the accept queue.
        sleep(ms(100)).await;
        lubdub = Binary::start_on(&socket, "main", &[&url]).await;
    }
    lubdub.expect_logged_times("pair ended", ENOUGH).await;
    for stop in stops {
        stop.send(()).expect("it goes on");
    }
    for client in clients {
        let (served, put_off) = client.await.expect("nobody is refused");
        assert!(served > 3, "{served} times served");
        // At most once in each restart: whoever was let in a moment before.
        assert!(put_off <= 3, "{put_off} times put off");
    }
    accepting.abort();
}

#[tokio::test]
async fn a_socket_is_found_by_its_address_too() {
    let upstreams = Upstream::listen();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = socket.local_addr().expect("an address");
    let url = format!("upstream.main.url=ws://{}", upstreams.address());
    let listen = format!("listen.main.address={address}");
    let lubdub = Binary::start_on(&socket, "lubdub.socket", &[&url, &listen]).await;
    assert_eq!(lubdub.address(), address);
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
}

#[tokio::test]
async fn the_admin_listener_can_have_a_socket_too() {
    let upstreams = Upstream::listen();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let url = format!("upstream.main.url=ws://{}", upstreams.address());
    let lubdub = Binary::start_on(&socket, "admin", &[&url]).await;
    assert_eq!(lubdub.admin_address(), socket.local_addr().unwrap());
    assert_eq!(lubdub.admin("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_socket_that_no_listener_takes_is_told_of() {
    let upstreams = Upstream::listen();
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let url = format!("upstream.main.url=ws://{}", upstreams.address());
    let lubdub = Binary::start_on(&socket, "other", &[&url]).await;
    let told = lubdub
        .expect_logged("a socket that was passed belongs to no listener")
        .await;
    assert_eq!(told["name"], "other");
    assert_eq!(told["address"], socket.local_addr().unwrap().to_string());
}
