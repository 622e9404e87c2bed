//! Ends of pairs that took too long, or were passed on as something else.

use lubdub_keepalive::Side;
use lubdub_proxy::Drained;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};
use tokio::time::{Instant, sleep, timeout};

/// A pair of which this side's end has said more than the other reads, so that lubdub does not
/// read it any more; then it resets, and the first to hear of that is a write.
async fn reset_unheard(proxy: ProxyBox, side: Side) -> (RunningProxy, Peer) {
    let rig = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    let (mut near, mut far) = match side {
        Side::Client => (rig.client, rig.upstream),
        Side::Upstream => (rig.upstream, rig.client),
    };
    near.send_until_blocked(ms(50)).await;
    near.reset();
    far.send_text("are you there?").await;
    (rig.proxy, far)
}

/// A reset that a write met first looked like the end of the stream to the reading behind it, and
/// was passed on as one.
#[tokio::test]
async fn a_reset_that_a_write_meets_first_is_passed_on_as_a_reset() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close = LONG);
        let (proxy, mut far) = reset_unheard(proxy, side).await;
        // It reads on, and so does lubdub.
        far.expect_reset_behind_frames().await;
        proxy.expect_ended(&format!("{side}_reset")).await;
    }
}

/// The same where the other end reads nothing, so that lubdub cannot read on either.
#[tokio::test]
async fn a_reset_that_only_a_write_meets_is_passed_on_as_a_reset() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close = ms(200));
        let (proxy, mut far) = reset_unheard(proxy, side).await;
        proxy.expect_ended(&format!("{side}_reset")).await;
        far.expect_reset_behind_frames().await;
    }
}

/// Without a limit for stalls, the Close behind a backlog that nobody took had none either.
#[tokio::test]
async fn without_write_stall_a_client_that_does_not_read_is_cut_in_time() {
    let proxy = ProxyBox::new()
        .terms(|terms| {
            terms.write_stall = None;
            terms.close = ms(300);
        })
        .with(|proxy| proxy.drain.timeout = LONG);
    let Rig {
        proxy,
        client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::listen(), |dial| dial.tiny()).await;
    fill(&proxy, &mut upstream).await;
    let began = Instant::now();
    let told = async {
        upstream.expect_close(1001).await;
        upstream.close(1001, "").await;
        upstream.expect_eof().await;
        upstream.finish().await;
    };
    let (drained, ()) = tokio::join!(proxy.drain(), told);
    assert_eq!(drained, Drained::Clean);
    assert!(
        (ms(300)..ms(3000)).contains(&began.elapsed()),
        "after {:?}",
        began.elapsed()
    );
    proxy.expect_ended("drain").await;
    drop(client);
}

/// Sends whole frames, one at a time, until lubdub reads no more of them: then what waits for the
/// client ends with a frame.
async fn fill(proxy: &RunningProxy, upstream: &mut Peer) {
    let frame = upstream.encode(&Frame::binary(vec![b'x'; 4096]));
    let pair = proxy.only_pair();
    let mut sent = 0;
    loop {
        upstream.send(&frame).await;
        sent += frame.len() as u64;
        let relayed = async {
            while pair.status(Side::Upstream, Instant::now().into_std()).bytes < sent {
                sleep(ms(1)).await;
            }
        };
        if timeout(ms(100), relayed).await.is_err() {
            return;
        }
    }
}

/// A client that said farewell while lubdub's own Close waited for the end of a frame, had then to
/// wait for `timeouts.close`, as if it had not.
#[tokio::test]
async fn a_close_that_crosses_one_that_is_waiting_is_answered_with_the_end() {
    let proxy = ProxyBox::new()
        .terms(|terms| terms.close = LONG)
        .with(|proxy| proxy.drain.timeout = LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = upstream.encode(&Frame::text("in progress"));
    let (front, back) = frame.split_at(8);
    upstream.send(front).await;
    client.expect_bytes(front).await;
    let ends = async {
        upstream.expect_close(1001).await;
        client.close(4000, "").await;
        client.expect_silence(ms(50)).await;
        upstream.send(back).await;
        client.expect_bytes(back).await;
        client.expect_close(1012).await;
        client.expect_eof().await;
        client.finish().await;
        upstream.finish().await;
        upstream.expect_eof().await;
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("drain").await;
}

/// A client that was held back was not read any more when the stalled upstream was gone: nothing
/// woke its pair, and its end was seen when the pair next had counters to flush.
#[tokio::test]
async fn a_client_that_was_held_back_is_heard_again_when_the_stalled_upstream_is_gone() {
    let proxy = ProxyBox::new().terms(|terms| {
        terms.write_stall = Some(ms(300));
        terms.close = LONG;
    });
    let Rig {
        proxy,
        mut client,
        upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial.tiny()).await;
    client.send_until_blocked(ms(50)).await;
    client.expect_close(1011).await;
    let told = Instant::now();
    client.finish().await;
    client.expect_eof().await;
    // The counters are flushed 10 s after the first byte.
    assert!(told.elapsed() < ms(5000), "after {:?}", told.elapsed());
    proxy.expect_ended("upstream_stalled").await;
    drop(upstream);
}

/// What came behind lubdub's own Close was thrown away, and counted as relayed.
#[tokio::test]
async fn pings_that_are_thrown_away_are_not_counted() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    let ends = async {
        upstream.expect_close(1001).await;
        client.expect_close(1012).await;
        client.ping("too late").await;
        client.close(1012, "").await;
        client.expect_eof().await;
        client.finish().await;
        upstream.finish().await;
        upstream.expect_eof().await;
    };
    let (drained, ()) = tokio::join!(proxy.drain(), ends);
    assert_eq!(drained, Drained::Clean);
    proxy.expect_ended("drain").await;
    proxy.expect_metric("foreign_pings_total", &[], 0.0).await;
}
