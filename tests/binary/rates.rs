//! Rates of the real program: as fast as is configured, with the heart beating all the while.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use tokio::time::Instant;

const FRAMES: u8 = 64;
const PAYLOAD: usize = 16 * 1024;

/// A mebibyte at half of that a second: the burst at once, the rest in the second that follows. The pongs
/// of its sender stand behind it.
#[tokio::test]
async fn a_rate_holds_and_no_side_lapses() {
    let upstreams = Upstream::listen();
    let settings = [
        "route.main.rate.to_client.bytes=512KiB/s",
        "route.main.rate.to_upstream.messages=5/s",
        "timeouts.write_stall=300ms",
    ];
    let beats = ["client", "upstream"].map(|side| {
        [
            format!("keepalive.{side}.interval=100ms"),
            format!("keepalive.{side}.timeout=200ms"),
            format!("keepalive.{side}.evidence=pong"),
        ]
    });
    let beats = beats.as_flattened().iter().map(String::as_str);
    let settings: Vec<&str> = settings.into_iter().chain(beats).collect();
    let lubdub = Binary::start(&upstreams, &settings).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    client.answer_pings();
    upstream.answer_pings();
    let began = Instant::now();
    let send = async {
        for n in 0..FRAMES {
            upstream.send_frame(&Frame::binary([n; PAYLOAD])).await;
        }
    };
    let receive = async {
        for n in 0..FRAMES {
            assert_eq!(client.expect_frame().await.payload, [n; PAYLOAD]);
        }
        began.elapsed()
    };
    let ((), took) = tokio::join!(send, receive);
    // What 10 ms bring may still be on its way when the rest has come.
    assert!((ms(950)..ms(5000)).contains(&took), "{took:?}");
    for n in 0..8 {
        client.send_text(&n.to_string()).await;
    }
    let began = Instant::now();
    for n in 0..8 {
        upstream.expect_text(&n.to_string()).await;
    }
    let took = began.elapsed();
    assert!((ms(500)..ms(5000)).contains(&took), "{took:?}");
    client.close(1000, "").await;
    upstream.expect_close(1000).await;
    upstream.close(1000, "").await;
    client.expect_close(1000).await;
    drop((client, upstream));
    let ended = lubdub.expect_logged("pair ended").await;
    assert_eq!(ended["cause"], "client_closed", "{ended}");
    let number = |name: &str| ended[name].as_u64().unwrap_or_default();
    assert!(number("client_pings") >= 8, "{ended}");
    assert!(number("upstream_pings") >= 3, "{ended}");
    // Less than that second where the machine is busy: what comes late is not held.
    assert!(number("upstream_held_ms") >= 500, "{ended}");
    assert!(number("client_held_ms") >= 400, "{ended}");
}

/// A pair that is slow because of its rate can be told from one whose other side is slow.
#[tokio::test]
async fn the_admin_port_tells_who_is_held() {
    let upstreams = Upstream::listen();
    let settings = ["route.main.rate.to_upstream.messages=1/s"];
    let lubdub = Binary::start(&upstreams, &settings).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    for text in ["one", "two", "three", "four"] {
        client.send_text(text).await;
    }
    upstream.expect_text("one").await;
    let held = lubdub
        .told_when("/api/v1/pairs", |list| {
            list["pairs"][0]["client"]["held"] == true
        })
        .await;
    assert_eq!(held["pairs"][0]["upstream"]["held"], false);
    upstream.expect_text("two").await;
}
