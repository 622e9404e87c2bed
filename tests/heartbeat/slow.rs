//! Slow is not dead: sides that are not read, and sides that do not read.

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms, way};
use tokio::time::{Instant, sleep};

use crate::SHORT;

#[tokio::test]
async fn a_side_that_lubdub_does_not_read_is_not_called_dead() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(50), SHORT)
        .terms(|terms| terms.write_stall = None);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    // The upstream does not read. What the client could say is stuck behind what it has said.
    let sent = client.send_until_blocked(3 * SHORT).await;
    assert_eq!(proxy.registry().len(), 1);
    // Its clock has been running.
    proxy
        .expect_at_least("pings_sent_total", &[("side", "client")], 1.0)
        .await;
    // Now it reads, and the client has a second in which to be heard.
    upstream.expect_len(sent).await;
    client.answer_pings();
    let frame = client.encode(&Frame::binary(vec![b'x'; 16 * 1024]));
    let rest = frame.len() - sent % frame.len();
    if rest < frame.len() {
        client.send(&frame[frame.len() - rest..]).await;
        upstream.expect_len(rest).await;
    }
    client.send_text("alive").await;
    upstream.expect_text("alive").await;
    proxy.expect_metric("lapses_total", &[], 0.0).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_and_the_upstream_is_told() {
    let proxy = ProxyBox::new().terms(|terms| terms.write_stall = Some(ms(300)));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    let began = Instant::now();
    upstream.send_until_blocked(ms(50)).await;
    upstream.expect_close(1001).await;
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    upstream.finish().await;
    proxy.expect_ended("client_stalled").await;
    proxy
        .expect_metric("write_stalls_total", &[("side", "client")], 1.0)
        .await;
    client.expect_reset_behind_frames().await;
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_is_given_up_and_the_client_is_told() {
    let proxy = ProxyBox::new().terms(|terms| terms.write_stall = Some(ms(300)));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    client.send_until_blocked(ms(50)).await;
    client.expect_close(1011).await;
    client.finish().await;
    proxy.expect_ended("upstream_stalled").await;
    proxy
        .expect_metric("write_stalls_total", &[("side", "upstream")], 1.0)
        .await;
    upstream.expect_reset_behind_frames().await;
}

#[tokio::test]
async fn a_slow_reader_is_not_a_stalled_one() {
    if way::is_unix() {
        // What is read there is seen in larger steps (tests/unix/upstreams.rs).
        return;
    }
    let proxy = ProxyBox::new()
        .ping(Side::Upstream, ms(100), LONG)
        .terms(|terms| terms.write_stall = Some(ms(300)));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    let sent = upstream.send_until_blocked(ms(50)).await;
    let mut read = 0;
    let began = Instant::now();
    while began.elapsed() < ms(1000) && read + 8192 <= sent {
        client.expect_len(8192).await;
        read += 8192;
        sleep(ms(50)).await;
    }
    client.expect_len(sent - read).await;
    assert_eq!(proxy.registry().len(), 1);
    proxy.expect_metric("write_stalls_total", &[], 0.0).await;
}
