//! Budgets: one hung upstream, or those who only wait, kept everybody else out.

use std::num::NonZeroUsize;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::{LONG, eventually, ms};
use tokio::time::{Instant, timeout};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that asks, and the status of the answer that it gets at once.
async fn refused(proxy: &RunningProxy, request: &Request) -> Peer {
    let mut client = proxy.dial().connect().await;
    client.ask(request).await;
    let (head, _) = client.expect_answer(503).await;
    assert!(head.field("retry-after").is_some(), "{head:?}");
    client
}

/// 1,200 upgrades to an upstream that accepted and never answered took all places for handshakes, and
/// a client of another route waited for 19 s.
#[tokio::test]
async fn an_upstream_that_never_answers_delays_nobody_elses_clients() {
    const HUNG: usize = 40;
    let (hung, well) = (Upstream::listen(), Upstream::listen());
    let lubdub = Binary::start_with(&[
        &format!("upstream.hung.url=ws://{}", hung.address()),
        &format!("upstream.well.url=ws://{}", well.address()),
        "route.hung.path_prefix=/hung",
        "route.hung.upstream=hung",
        "route.well.upstream=well",
        "limits.handshakes=4",
    ])
    .await;
    let mut waiting = Vec::new();
    for _ in 0..HUNG {
        let mut client = lubdub.dial().connect().await;
        client.ask(&Request::upgrade("/hung")).await;
        waiting.push((client, hung.accept().await));
    }
    let began = Instant::now();
    let (_client, _upstream) = lubdub.pair(&well).await;
    let (mut plain, mut upstream, _) = lubdub.dial().ask(&Request::get("/"), &well).await;
    upstream.send(OK).await;
    plain.expect_answer(200).await;
    assert!(began.elapsed() < ms(2000), "after {:?}", began.elapsed());
    let scrape = lubdub.scrape().await;
    let hung = |name: &str| scrape.sum(name, &[("upstream", "hung")]);
    assert_eq!(hung("lubdub_upstream_waiting"), HUNG as f64);
    assert_eq!(hung("lubdub_upstream_waiting_max"), 1024.0);
}

/// An upstream that has as many upgrades unanswered as it may have refuses its own at once.
#[tokio::test]
async fn upgrades_beyond_those_that_an_upstream_may_have_waiting_are_refused_at_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| proxy.waiting = 1)
        .start(&upstreams);
    let (mut first, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    refused(&proxy, &Request::upgrade("/"))
        .await
        .expect_eof()
        .await;
    proxy.expect_outcome("upstream_busy").await;
    // A plain request would need a connection, and there is no place to make one.
    refused(&proxy, &Request::get("/")).await;
    upstream
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .await;
    first.expect_answer(403).await;
    let (_client, _upstream) = proxy.pair(&upstreams).await;
}

/// The same of plain requests, long polls included; and the connection goes on.
#[tokio::test]
async fn plain_requests_beyond_those_that_an_upstream_may_have_are_refused_at_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.requests = 1)
        .start(&upstreams);
    let (mut poll, mut upstream, _) = proxy.dial().ask(&Request::get("/poll"), &upstreams).await;
    let mut second = refused(&proxy, &Request::get("/")).await;
    upstream.send(OK).await;
    poll.expect_answer(200).await;
    second.ask(&Request::get("/again")).await;
    upstream.expect_head().await;
    upstream.send(OK).await;
    second.expect_answer(200).await;
}

/// 105 idle connections kept a new WebSocket out, and nothing said so.
#[tokio::test]
async fn an_idle_connection_makes_room_for_one_that_comes() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::new(2).expect("2 is not 0"))
        .start(&upstreams);
    let mut older = answered(&proxy, &upstreams).await;
    let mut younger = answered(&proxy, &upstreams).await;
    let (client, _upstream) = timeout(ms(2000), proxy.pair(&upstreams))
        .await
        .expect("there is room");
    older.expect_end().await;
    // Whoever is busy has to stay.
    younger.ask(&Request::get("/")).await;
    younger.expect_silence(ms(100)).await;
    assert_eq!(proxy.metric("connections", &[("listener", "main")]), 2.0);
    assert_eq!(proxy.metric("connections_max", &[]), 2.0);
    assert_eq!(proxy.metric("upstream_connections_max", &[]), 2.0);
    assert_eq!(proxy.metric("upstream_connections", &[]), 2.0);
    let most = proxy.metric("pairs_limit", &[("route", "main")]);
    assert_eq!(most, f64::INFINITY, "no limit is set");
    drop(client);
}

/// A client whose first request has been answered.
async fn answered(proxy: &RunningProxy, upstreams: &Upstream) -> Peer {
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), upstreams).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        .await;
    client.expect_answer(200).await;
    client
}

/// Over TLS, connections that said nothing, and those that came to no end with their handshake, kept their
/// places for `first_byte` and `tls`, and others out.
#[tokio::test]
async fn a_silent_connection_over_tls_makes_room_for_one_that_comes() {
    let certs = Certs::generate();
    let rooms = [Silent::Connected, Silent::ShakingHands, Silent::Secured].map(async |silent| {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new()
            .with(|proxy| {
                proxy.limits.connections = NonZeroUsize::MIN;
                proxy.listener_tls = Some(certs.listening());
                proxy.timeouts.first_byte = LONG;
                proxy.timeouts.tls = LONG;
            })
            .start(&upstreams);
        let with_tls = || proxy.dial().tls(certs.connecting());
        let mut first = match silent {
            Silent::Connected | Silent::ShakingHands => proxy.dial().connect().await,
            Silent::Secured => with_tls().connect().await,
        };
        if silent == Silent::ShakingHands {
            // A record of a handshake, and no more of it.
            first.send([22, 3, 1]).await;
        }
        let (_client, _upstream) = with_tls().pair(&upstreams).await;
        first.expect_end().await;
    });
    let [connected, shaking_hands, secured] = rooms;
    tokio::join!(connected, shaking_hands, secured);
}

/// When a connection fell silent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silent {
    Connected,
    ShakingHands,
    Secured,
}

/// Nobody was told when places ran out, and nothing counted for how long nobody was let in.
#[tokio::test]
async fn a_listener_that_lets_nobody_in_says_for_how_long() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (client, upstream) = proxy.pair(&upstreams).await;
    let waiting = proxy.dial().connect().await;
    let paused = [("reason", "connections")];
    proxy
        .expect_at_least("accept_paused_seconds_total", &paused, 2.0)
        .await;
    assert_eq!(
        proxy.metric("accept_paused_seconds_total", &[("reason", "files")]),
        0.0
    );
    drop((client, upstream, waiting));
}

/// A connection whose answer was still on its way to a slow client counted as idle, and had to go: the
/// answer was cut.
#[tokio::test]
async fn an_answer_that_is_still_on_its_way_is_not_cut_to_make_room() {
    // Somewhere in here the last piece of the answer finds no room in the kernel.
    for body in (16_000..40_000).step_by(500) {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new()
            .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
            .start(&upstreams);
        let mut slow = proxy.dial().tiny().connect().await;
        slow.ask(&Request::get("/")).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
        upstream
            .send([head.into_bytes(), vec![b'x'; body]].concat())
            .await;
        // Somebody else wants the place, and the client reads only then.
        let next = proxy.dial().connect().await;
        tokio::time::sleep(ms(30)).await;
        let (_, answer) = slow.expect_answer(200).await;
        assert_eq!(answer.len(), body);
        drop(next);
    }
}

/// Clients that had logged in and then said nothing kept all connections to upstreams.
#[tokio::test]
async fn who_has_logged_in_and_is_idle_makes_room_for_who_is_not() {
    let (one, two) = (Upstream::listen(), Upstream::listen());
    let lubdub = Binary::start_with(&[
        &format!("upstream.one.url=ws://{}", one.address()),
        &format!("upstream.two.url=ws://{}", two.address()),
        "route.one.upstream=one",
        "route.two.path_prefix=/two",
        "route.two.upstream=two",
        "limits.connections=3",
    ])
    .await;
    // One client, with a connection of its own to either upstream; a pair has the third.
    let mut idle = lubdub.dial().connect().await;
    let mut own = Vec::new();
    for (path, upstreams) in [("/", &one), ("/two", &two)] {
        let login = Request::get(path).field("Authorization", "NTLM TlRM");
        idle.ask(&login).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        upstream.send(OK).await;
        idle.expect_answer(200).await;
        own.push(upstream);
    }
    let (_client, _upstream) = lubdub.pair(&one).await;
    // There is a place for this client, and no socket for its upstream.
    let mut next = lubdub.dial().connect().await;
    next.ask(&Request::upgrade("/")).await;
    idle.expect_end().await;
    one.accept_websocket().await;
    next.expect_switch().await;
}

/// A dead connection of one upstream's was closed to make room, and a living one of another's was not.
#[tokio::test]
async fn where_one_upstreams_kept_connections_are_dead_anothers_make_room() {
    let (one, two) = (Upstream::listen(), Upstream::listen());
    let lubdub = Binary::start_with(&[
        &format!("upstream.one.url=ws://{}", one.address()),
        &format!("upstream.two.url=ws://{}", two.address()),
        "route.one.upstream=one",
        "route.two.path_prefix=/two",
        "route.two.upstream=two",
        "limits.connections=2",
        "runtime.workers=1",
    ])
    .await;
    let (mut first, mut second) = (lubdub.dial().connect().await, lubdub.dial().connect().await);
    let mut kept = Vec::new();
    for (client, path, upstreams) in [(&mut first, "/", &one), (&mut second, "/two", &two)] {
        client.ask(&Request::get(path)).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        upstream.send(OK).await;
        client.expect_answer(200).await;
        kept.push(upstream);
    }
    let descriptors = lubdub.descriptors();
    drop(kept.remove(0));
    eventually("lubdub has noticed", || lubdub.descriptors() < descriptors).await;
    for client in [&mut first, &mut second] {
        client.ask(&Request::upgrade("/")).await;
        kept.push(one.accept_websocket().await);
        client.expect_switch().await;
    }
    kept[0].expect_end().await;
}

/// What lubdub refused, and what broke off, was in no counter.
#[tokio::test]
async fn every_plain_request_is_counted_by_how_it_ended() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.requests = 1)
        .start(&upstreams);
    let (mut waiting, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    refused(&proxy, &Request::get("/")).await;
    upstream
        .send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
        .await;
    waiting.expect_answer(404).await;
    // One that the upstream breaks off, and one that nobody waits for any more.
    waiting.ask(&Request::get("/")).await;
    upstream.expect_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroken")
        .await;
    drop(upstream);
    waiting.expect_head().await;
    waiting.expect_end().await;
    let (hasty, _patient, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    hasty.reset();
    for (class, times) in [("own", 1.0), ("4xx", 1.0), ("2xx", 0.0), ("failed", 2.0)] {
        let labels = [("route", "main"), ("class", class)];
        proxy
            .expect_metric("http_requests_total", &labels, times)
            .await;
    }
}
