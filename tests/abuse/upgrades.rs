//! Upgrades that are not quite: what is behind an upgrade is frames to one reader and a request to
//! another, so that none is ever answered and then read on (RFC 6455 4.1, 4.2; RFC 9110 7.8).

use lubdub_testkit::http::SWITCHING;
use lubdub_testkit::peer::Upstream;

use crate::stage::Fate::{GoesUp, GoesUpLast, Refused};
use crate::stage::{SECOND, get, requests, silent};

/// A good upgrade with this behind its key.
macro_rules! upgrade {
    ($rest:literal) => {
        concat!(
            "GET / HTTP/1.1\r\nHost: lubdub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            $rest
        )
    };
}

/// The same as it arrives, with this before its key: fields of different names change places, which
/// means nothing (RFC 9110 5.3).
macro_rules! arrives {
    ($rest:literal) => {
        concat!(
            "GET / HTTP/1.1\r\nHost: lubdub.example\r\n",
            $rest,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
    };
}

requests! {
    /// Not refused here: the upstream says no, and then nothing behind it is read.
    one_that_the_upstream_refuses:
        upgrade!("Sec-WebSocket-Version: 13\r\n\r\n")
        => GoesUpLast(arrives!("Sec-WebSocket-Version: 13\r\n"));
    with_a_length_of_nothing:
        upgrade!("Content-Length: 0\r\n\r\n") => GoesUpLast(arrives!("Content-Length: 0\r\n"));
    with_a_body: upgrade!("Content-Length: 3\r\n\r\nabc") => Refused(400);
    with_a_body_of_zeros: upgrade!("Content-Length: 00\r\n\r\n") => Refused(400);
    with_a_body_as_long_as_the_second_request: upgrade!("Content-Length: 46\r\n\r\n") => Refused(400);
    with_chunks: upgrade!("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") => Refused(400);
    with_chunks_and_a_length:
        upgrade!("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n") => Refused(400);
    with_a_body_that_connection_names:
        get("Upgrade: websocket\r\nConnection: Upgrade, Content-Length\r\nContent-Length: 3\r\n\r\nabc")
        => Refused(400);
    with_two_hosts: upgrade!("Host: other.example\r\n\r\n") => Refused(400);
    with_a_folded_key: get("Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key:\r\n dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n") => Refused(400);
    /// A vertical tab is white space to some.
    to_something_like_websocket:
        get("Upgrade: websocket\x0b\r\nConnection: Upgrade\r\n\r\n") => Refused(400);

    /// RFC 6455 4.4: it is the server that tells which versions it speaks.
    with_a_version_that_nobody_speaks:
        upgrade!("Sec-WebSocket-Version: 99\r\n\r\n")
        => GoesUpLast(arrives!("Sec-WebSocket-Version: 99\r\n"));
    with_a_version_that_is_none:
        upgrade!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: x\r\n\r\n")
        => GoesUpLast(arrives!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: x\r\n"));
    without_a_version: upgrade!("\r\n") => GoesUpLast(arrives!(""));
    without_a_key:
        get("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    /// The upstream is asked without what was named, and answers accordingly; the two stay of one mind.
    with_a_key_that_connection_names:
        get("Upgrade: websocket\r\nConnection: Upgrade, Sec-WebSocket-Key\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    with_a_host_that_connection_names:
        get("Upgrade: websocket\r\nConnection: Upgrade, Host, Upgrade\r\n\r\n")
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    /// One of several, so that the upstream cannot choose another.
    to_one_of_several_protocols:
        get("Upgrade: h2c, WebSocket\r\nConnection: Upgrade\r\n\r\n")
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    /// RFC 6455 4.1: "The method of the request MUST be GET", "the HTTP version MUST be at least 1.1".
    /// These are plain requests, and what they asked for goes no further.
    by_a_post:
        "POST / HTTP/1.1\r\nHost: lubdub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Content-Length: 3\r\n\r\nabc"
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    by_the_last_century:
        "GET / HTTP/1.0\r\nHost: lubdub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    to_an_absolute_target:
        "GET ws://real.example/a HTTP/1.1\r\nHost: other.example\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        => GoesUpLast("GET /a HTTP/1.1\r\nHost: real.example\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    to_a_target_with_a_fragment:
        "GET /a#b HTTP/1.1\r\nHost: lubdub.example\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        => GoesUpLast("GET /a HTTP/1.1\r\nHost: lubdub.example\r\n\
            Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    with_connection_upgrade_twice:
        get("Connection: Upgrade\r\nConnection: upgrade\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
}

/// Before the 101 nothing behind the upgrade goes up; after it, as it is, to a reader who has agreed
/// that it is frames.
#[tokio::test]
async fn what_is_behind_an_upgrade_waits_for_the_101() {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let upgrade = upgrade!("Sec-WebSocket-Version: 13\r\n\r\n");
    client.send([upgrade, SECOND].concat()).await;
    let mut upstream = upstreams.accept().await;
    upstream
        .expect_bytes(arrives!("Sec-WebSocket-Version: 13\r\n"))
        .await;
    upstream.expect_silence(lubdub_testkit::ms(50)).await;
    upstream.send(SWITCHING).await;
    client.expect_switch().await;
    upstream.expect_bytes(SECOND).await;
    drop(client);
    upstream.expect_end().await;
}
