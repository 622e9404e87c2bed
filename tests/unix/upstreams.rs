//! Upstreams at Unix sockets.

use std::sync::Arc;

use lubdub_proxy::settings::Site;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Upstream};
use tokio::time::Instant;

use super::{Room, settings, start};

/// The status of the answer to an upgrade.
async fn asked(dial: Dial) -> u16 {
    let mut client = dial.connect().await;
    client.ask(&Request::upgrade("/")).await;
    client.expect_head().await.status()
}

#[tokio::test]
async fn the_host_that_the_client_names_is_kept() {
    let (room, upstreams) = (Room::new("host"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let _proxy = start(settings(&path, &upstreams)).unwrap();
    let mut client = Dial::at(&path).connect().await;
    client
        .send("GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n")
        .await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("host"), Some("chat.example"));
    // HTTP/1.0 may do without, and a path is no name.
    let mut client = Dial::at(&path).connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("host"), Some("localhost"));
}

#[tokio::test]
async fn one_that_is_not_there_is_answered_for() {
    let room = Room::new("gone");
    let upstreams = Upstream::over_unix(9);
    let path = room.at("in.sock");
    let _proxy = start(settings(&path, &upstreams)).unwrap();
    drop(upstreams);
    assert_eq!(asked(Dial::at(&path)).await, 502);
}

/// A Unix socket has nobody wait for a place in its accept queue: it says "try again" at once.
#[tokio::test]
async fn one_whose_accept_queue_is_full_is_waited_for() {
    let (room, upstreams) = (Room::new("busy"), Upstream::over_unix(0));
    let path = room.at("in.sock");
    let mut asking = settings(&path, &upstreams);
    let route = Arc::make_mut(&mut asking.routes[0]);
    Arc::make_mut(&mut route.terms).connect = ms(300);
    let _proxy = start(asking).unwrap();
    let at = upstreams.path().unwrap();
    let mut waiting = Vec::new();
    while let Ok(one) = Dial::at(&at).open().await {
        waiting.push(one);
    }
    let began = Instant::now();
    assert_eq!(asked(Dial::at(&path)).await, 504);
    assert!(began.elapsed() >= ms(300));
    // Room comes in time.
    let (status, ()) = tokio::join!(asked(Dial::at(&path)), async {
        tokio::time::sleep(ms(50)).await;
        for _ in 0..=waiting.len() {
            let mut upstream = upstreams.accept().await;
            if waiting.pop().is_none() {
                upstream.accept_upgrade().await;
                std::mem::forget(upstream);
            }
        }
    });
    assert_eq!(status, 101);
}

#[tokio::test]
async fn a_listener_of_lubdubs_own_is_no_upstream_by_whatever_path() {
    let (room, upstreams) = (Room::new("loop"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let link = room.at("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for own in [&path, &link] {
        let mut circle = settings(&path, &upstreams);
        let route = Arc::make_mut(&mut circle.routes[0]);
        Arc::make_mut(&mut route.upstream).site = Site::Unix(own.as_path().into());
        let proxy = start(circle).unwrap();
        assert_eq!(asked(Dial::at(&path)).await, 508, "{}", own.display());
        proxy.drain().await;
    }
}

/// What waits in the kernel is told of in memory there, and a slow reader was taken for one that takes nothing: a
/// Unix socket has no room before three quarters of what waits have been read.
#[tokio::test]
async fn who_reads_slowly_is_not_stalled_and_who_does_not_read_is() {
    let (room, upstreams) = (Room::new("slow"), Upstream::over_unix(9));
    let path = room.at("in.sock");
    let mut asking = settings(&path, &upstreams);
    let route = Arc::make_mut(&mut asking.routes[0]);
    Arc::make_mut(&mut route.terms).write_stall = Some(ms(400));
    let proxy = start(asking).unwrap();
    let dial = Dial::at(&path);
    let (mut client, mut upstream) = dial.pair(&upstreams).await;
    let sent = client.send_until_blocked(ms(100)).await;
    assert!(sent > 0);
    // A little every now and then, for longer than is allowed without any; not so much that the rest would have
    // room at once.
    for _ in 0..4 {
        upstream.expect_frame().await;
        tokio::time::sleep(ms(250)).await;
    }
    assert_eq!(proxy.registry().len(), 1, "it is slow, and lives");
    lubdub_testkit::eventually("who takes nothing is dropped", || {
        proxy.registry().is_empty()
    })
    .await;
}

#[tokio::test]
async fn tls_is_spoken_with_one_by_the_name_that_is_set() {
    let (room, certs) = (Room::new("tls-up"), Certs::generate());
    let upstreams = Upstream::over_unix(9).tls(certs.accepting());
    let path = room.at("in.sock");
    let mut asked = settings(&path, &upstreams);
    let route = Arc::make_mut(&mut asked.routes[0]);
    Arc::make_mut(&mut route.upstream).tls = Some(Arc::new(certs.verifying()));
    let _proxy = start(asked).unwrap();
    let dial = Dial::at(&path);
    let (mut client, mut upstream) = dial.pair(&upstreams).await;
    upstream.send_text("hello").await;
    client.expect_text("hello").await;
}
