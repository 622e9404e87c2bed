//! What is told of the last own pings to a side.

use lubdub_keepalive::Side;
use lubdub_proxy::registry::Beat;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, eventually, ms};

fn is_answered(beat: Beat) -> bool {
    matches!(beat, Beat::Answered(_))
}

#[tokio::test]
async fn each_own_ping_is_answered_missed_covered_or_waits() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(30), LONG);
    let Rig {
        proxy,
        mut client,
        upstream: _upstream,
    } = Rig::open(proxy).await;
    assert_eq!(proxy.only_pair().trace(Side::Client), []);
    let first = client.expect_ping().await;
    client.pong(first).await;
    eventually("the first is answered", || {
        proxy
            .only_pair()
            .trace(Side::Client)
            .first()
            .copied()
            .is_some_and(is_answered)
    })
    .await;
    let rtt = proxy.only_pair().last_rtt(Side::Client);
    assert_eq!(
        proxy.only_pair().trace(Side::Client)[0],
        Beat::Answered(rtt),
        "exactly"
    );

    // The second and the third get no answer until the fourth has one (RFC 6455 5.5.3).
    let _second = client.expect_ping().await;
    let _third = client.expect_ping().await;
    let fourth = client.expect_ping().await;
    eventually("four were written", || {
        proxy.only_pair().trace(Side::Client).len() >= 4
    })
    .await;
    let seen = proxy.only_pair().trace(Side::Client);
    assert_eq!(seen[1..3], [Beat::Missed, Beat::Missed], "{seen:?}");
    assert_eq!(seen.last(), Some(&Beat::Waiting), "{seen:?}");
    client.pong(fourth).await;
    eventually("the fourth is answered", || {
        is_answered(proxy.only_pair().trace(Side::Client)[3])
    })
    .await;
    let seen = proxy.only_pair().trace(Side::Client);
    assert_eq!(seen[1..3], [Beat::Covered, Beat::Covered], "{seen:?}");
    assert_eq!(
        proxy.only_pair().trace(Side::Upstream),
        [],
        "it is not pinged"
    );
}

/// A pong to a ping of the other endpoint, which stands behind, answers them too.
#[tokio::test]
async fn an_own_ping_is_covered_by_the_pong_to_a_later_foreign_one() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(500), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let _own = client.expect_ping().await;
    eventually("it was written", || {
        proxy.only_pair().trace(Side::Client) == [Beat::Waiting]
    })
    .await;
    upstream.ping("theirs").await;
    let theirs = client.expect_ping().await;
    assert_eq!(theirs, b"theirs");
    client.pong(theirs).await;
    upstream.expect_pong("theirs").await;
    assert_eq!(proxy.only_pair().trace(Side::Client)[0], Beat::Covered);
}
