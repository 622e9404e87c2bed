//! Clients that mean no good, or know no better: each gets an answer or its end, and neither those who ask rightly nor the
//! pairs notice.

use lubdub_testkit::binary::{Binary, change, request};
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use lubdub_testkit::{PATIENCE, ms};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{budget, pairs};

/// Connections beside those of watchers.
const CONNECTIONS: usize = 32;
/// Until a head, or a body, has to be there.
const LIMIT: u64 = 10_000;

async fn connect(lubdub: &Binary) -> Peer {
    Dial::to(lubdub.admin_address()).connect().await
}

/// All that comes back for these bytes, until the end.
async fn all(lubdub: &Binary, bytes: impl AsRef<[u8]>) -> String {
    let mut client = connect(lubdub).await;
    client.try_send(bytes).await;
    let said = client.expect_all().await;
    String::from_utf8_lossy(&said).into_owned()
}

/// What a probe, a scraper and an operator ask, each on a connection of its own.
async fn expect_service(lubdub: &Binary) {
    for path in ["/livez", "/metrics", "/api/v1/status"] {
        let (status, _) = timeout(PATIENCE, lubdub.admin(path)).await.expect(path);
        assert_eq!(status, 200, "{path}");
    }
}

/// A thousand at once: as many as there are places watch, the others are told so or have to make room.
#[tokio::test]
async fn a_thousand_watchers_are_sixty_four() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let (mut client, mut upstream) = pairs(&lubdub, &upstreams, 1).await.remove(0);
    let address = lubdub.admin_address();
    let mut all = JoinSet::new();
    for _ in 0..1000 {
        all.spawn(async move {
            let mut watcher = Dial::to(address).connect().await;
            watcher
                .try_send(request("GET", "/api/v1/events").encode())
                .await;
            watcher
        });
    }
    let watchers = async {
        let mut held = Vec::new();
        while let Some(watcher) = all.join_next().await {
            held.push(watcher.expect("it has asked"));
        }
        held
    };
    let others = async {
        for n in 0..20 {
            let text = n.to_string();
            client.send_text(&text).await;
            upstream.expect_text(&text).await;
            assert_eq!(lubdub.admin("/livez").await.0, 200);
        }
    };
    let (held, ()) = tokio::join!(watchers, others);
    assert_eq!(held.len(), 1000);
    expect_service(&lubdub).await;
    let full = |status: &Value| budget(status, "watchers")["used"] == 64;
    // Some were ended before they were heard: one that comes later has a place, until there is none.
    let mut later = Vec::new();
    while !full(&lubdub.told("/api/v1/status").await) && later.len() < 64 {
        let mut watcher = connect(&lubdub).await;
        watcher.ask(&request("GET", "/api/v1/events")).await;
        assert_eq!(watcher.expect_head().await.status(), 200);
        later.push(watcher);
    }
    let (head, _) = lubdub
        .ask_admin(&request("GET", "/api/v1/events"), "")
        .await;
    assert_eq!(head.status(), 503);
    drop((held, later));
    lubdub
        .told_when("/api/v1/status", |status| !full(status))
        .await;
    assert_eq!(lubdub.told("/api/v1/pairs").await["total"], 1);
}

/// More of them than there are places, and each says a little all the time: there is room for who comes, and in the end
/// all are gone.
#[tokio::test]
async fn slow_heads_keep_nobody_out() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..CONNECTIONS + 8 {
        let mut client = connect(&lubdub).await;
        client
            .send("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            .await;
        slow.push(client);
    }
    for mut oldest in slow.drain(..8) {
        oldest.expect_end().await;
    }
    let drip = async {
        while !slow.is_empty() {
            let mut left = Vec::new();
            for mut client in slow.drain(..) {
                if client.try_send("x").await {
                    left.push(client);
                }
            }
            slow = left;
            sleep(ms(500)).await;
        }
        began.elapsed()
    };
    let scrape = async {
        for _ in 0..5 {
            expect_service(&lubdub).await;
            sleep(ms(300)).await;
        }
    };
    let (lasted, ()) = tokio::join!(timeout(2 * ms(LIMIT), drip), scrape);
    let lasted = lasted.expect("a head that does not end is not waited for");
    assert!(
        lasted > ms(LIMIT / 2),
        "they were not even waited for: {lasted:?}"
    );
}

/// It has the right to change something, and says that more will follow.
#[tokio::test]
async fn a_body_that_never_comes_is_waited_for_no_longer_than_said() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let began = Instant::now();
    let mut client = connect(&lubdub).await;
    client
        .ask(&change("/api/v1/drain").field("Content-Length", "20"))
        .await;
    client.send("{").await;
    // The limit itself is what is measured.
    sleep(ms(LIMIT) - ms(1000)).await;
    let head = client.expect_head().await;
    assert_eq!(head.status(), 408);
    assert!(began.elapsed() >= ms(LIMIT));
    assert_eq!(lubdub.admin("/readyz").await.0, 200, "nothing is drained");
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut client = connect(&lubdub).await;
    client
        .ask(&change("/api/v1/drain").field("Transfer-Encoding", "chunked"))
        .await;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut sent = 0;
    // It takes a little more than a mebibyte, and what the kernels hold.
    while sent < 64 * 1024 * 1024 && client.try_send(&chunk).await {
        sent += chunk.len();
    }
    assert!(sent < 64 * 1024 * 1024, "all of it was taken");
    expect_service(&lubdub).await;
    // What is announced and belongs to no request that takes one is not waited for either.
    let mut client = connect(&lubdub).await;
    client
        .ask(&request("GET", "/livez").field("Content-Length", "1000000000"))
        .await;
    assert_eq!(client.expect_head().await.status(), 200);
    client.expect_len(6).await;
    client.expect_end().await;
}

#[tokio::test]
async fn floods_of_fields_are_refused() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let many = (0..1000).fold(request("GET", "/livez"), |request, n| {
        request.field(&format!("X-{n}"), "x")
    });
    let long = request("GET", "/livez").field("X-Long", &"x".repeat(1024 * 1024));
    for request in [many, long] {
        let mut client = connect(&lubdub).await;
        client.try_send(request.encode()).await;
        assert_eq!(client.expect_head().await.status(), 431);
    }
    let far = request("GET", &format!("/{}", "x".repeat(65_535)));
    let mut client = connect(&lubdub).await;
    client.try_send(far.encode()).await;
    let status = client.expect_head().await.status();
    assert!([414, 431].contains(&status), "{status}");
    expect_service(&lubdub).await;
}

#[tokio::test]
async fn what_is_no_request_is_no_trouble() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let said = all(&lubdub, bytes).await;
        let is_refused = said.is_empty() || said.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{}: {said}", bytes.escape_ascii());
    }
    expect_service(&lubdub).await;
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut client = connect(&lubdub).await;
    let requests = ["/livez", "/nothing", "/readyz"].map(|path| request("GET", path).encode());
    client.send(requests.concat()).await;
    for status in [200, 404, 200] {
        let (head, _) = client.expect_answer(status).await;
        assert_eq!(head.status(), status);
    }
}

/// Old clients: without `Host` they are told what is open, with it everything, and the connection ends with the answer.
#[tokio::test]
async fn http_1_0_is_spoken() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let live = all(&lubdub, "GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(
        live.contains(" 200 OK\r\n") && live.ends_with("\r\n\r\nalive\n"),
        "{live}"
    );
    let nameless = all(&lubdub, "GET /api/v1/status HTTP/1.0\r\n\r\n").await;
    assert!(nameless.contains(" 403 "), "{nameless}");
    let named = all(
        &lubdub,
        "GET /api/v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert!(named.contains(" 200 ") && named.ends_with("}\n"), "{named}");
}

/// A target may say where it is; then that counts, too (RFC 9112 3.2.2).
#[tokio::test]
async fn targets_of_other_forms_go_by_their_own_name() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for (asked, status) in [
        (request("GET", "http://localhost/api/v1/status"), 200),
        (request("GET", "http://evil.example/api/v1/status"), 403),
        (request("GET", "http://evil.example/livez"), 200),
        (
            request("GET", "/api/v1/status").field("Host", "evil.example"),
            403,
        ),
        (request("GET", "/api/v1/status").without("host"), 403),
        (request("OPTIONS", "*"), 404),
        (request("CONNECT", "localhost:80"), 404),
        (request("CONNECT", "evil.example:80"), 403),
    ] {
        let (head, _) = lubdub.ask_admin(&asked, "").await;
        assert_eq!(head.status(), status, "{asked:?}");
    }
}

/// A path is what it is written as, but for a number in it; there is no way around the rules of another one.
#[tokio::test]
async fn paths_are_taken_as_they_are_written() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let _pairs = pairs(&lubdub, &upstreams, 1).await;
    for (path, status) in [
        ("/api/v1/pairs/%31", 200),
        ("/api/v1/pairs/+1", 200),
        ("/api/v1/pairs/%ff", 404),
        ("/api/v1/pairs/%00", 404),
        ("/api/v1/pairs/1%2fclose", 404),
        ("/api/v1/pairs/99999999999999999999", 404),
        ("/api/v1/%70airs", 404),
        ("//api/v1/pairs", 404),
        ("/metrics/../api/v1/pairs", 404),
        ("/API/v1/pairs", 404),
        ("/api/v1/pairs?route=%ff", 400),
        ("/api/v1/pairs?%ff=1", 400),
    ] {
        let (head, body) = lubdub.ask_admin(&request("GET", path), "").await;
        assert_eq!(head.status(), status, "{path}: {body}");
        let kind = head.field("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/"), "{path}: {kind}");
    }
}

/// Who may not ask is not even waited for.
#[tokio::test]
async fn a_stranger_has_its_answer_before_its_body() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut client = connect(&lubdub).await;
    let request = change("/api/v1/pairs/%ff/close")
        .field("Origin", "http://evil.example")
        .field("Expect", "100-continue")
        .field("Content-Length", "1000000");
    client.ask(&request).await;
    assert_eq!(client.expect_head().await.status(), 403);
}
