//! An operator ends one pair, with a Close of their choice; and what is known of ends afterwards.

use lubdub_keepalive::Side;
use lubdub_proxy::CloseError;
use lubdub_proxy::registry::{EndQuery, Farewell, NoSuchPair, PairId};
use lubdub_testkit::frame::Frame;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};

fn close(proxy: &RunningProxy, pair: PairId, code: u16, reason: Option<&str>) {
    let farewell = Farewell::try_new(Some(code), reason).expect("a Close can say it");
    proxy.control().close(pair, farewell).expect("it lives");
}

#[tokio::test]
async fn both_sides_of_a_pair_are_told_what_an_operator_has_chosen() {
    for reason in [Some("moved to another room"), Some(""), None] {
        let Rig {
            proxy,
            mut client,
            mut upstream,
        } = Rig::open(ProxyBox::new()).await;
        close(&proxy, proxy.only_pair().id, 4321, reason);
        for peer in [&mut client, &mut upstream] {
            let told = peer.expect_frame().await;
            let expected = Frame::close(4321, reason.unwrap_or("admin"));
            assert_eq!(told.payload, expected.payload, "{reason:?}");
        }
        for peer in [&mut client, &mut upstream] {
            peer.close(4321, "").await;
            peer.expect_eof().await;
            peer.finish().await;
        }
        proxy.expect_ended("admin").await;
        let [end] = &proxy.registry().ends().latest(&EndQuery::default(), 9)[..] else {
            panic!("one pair has ended");
        };
        let close = end.close.unwrap();
        assert_eq!((close.code, close.by.as_str()), (Some(4321), "lubdub"));
        assert_eq!(end.cause.as_str(), "admin");
    }
}

/// RFC 6455 5.4: "Control frames themselves MUST NOT be fragmented", and stand between frames.
#[tokio::test]
async fn a_close_that_was_chosen_waits_for_the_end_of_a_frame() {
    let proxy = ProxyBox::new().terms(|terms| terms.close = LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = upstream.encode(&Frame::text("in progress"));
    let (front, back) = frame.split_at(8);
    upstream.send(front).await;
    client.expect_bytes(front).await;
    close(&proxy, proxy.only_pair().id, 3000, None);
    upstream.expect_close(3000).await;
    client.expect_silence(ms(30)).await;
    upstream.send(back).await;
    client.expect_bytes(back).await;
    client.expect_close(3000).await;
    drop((client, upstream));
    proxy.expect_ended("admin").await;
}

#[tokio::test]
async fn a_pair_that_is_gone_cannot_be_closed() {
    let Rig {
        proxy,
        client,
        upstream,
    } = Rig::open(ProxyBox::new()).await;
    let pair = proxy.only_pair().id;
    drop((client, upstream));
    proxy.expect_no_pairs().await;
    let farewell = Farewell::try_new(None, None).unwrap();
    let closed = proxy.control().close(pair, farewell.clone());
    assert_eq!(closed, Err(CloseError::NoSuchPair(NoSuchPair(pair))));
    let closed = proxy.control().close(PairId(4711), farewell);
    assert_eq!(closed.unwrap_err().to_string(), "there is no pair 4711");
}

/// Who is saying farewell already is not told another one.
#[tokio::test]
async fn endpoints_that_are_closing_already_are_left_alone() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    client.close(1000, "bye").await;
    upstream.expect_close(1000).await;
    close(&proxy, proxy.only_pair().id, 4321, None);
    upstream.close(1000, "").await;
    client.expect_close(1000).await;
    upstream.finish().await;
    client.expect_eof().await;
    client.finish().await;
    proxy.expect_ended("client_closed").await;
}

/// It is told what the log tells: why, by whom, and how each side was.
#[tokio::test]
async fn what_became_of_a_pair_can_be_asked_when_it_is_gone() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(20), ms(60));
    let Rig {
        proxy,
        client,
        mut upstream,
    } = Rig::open(proxy).await;
    let pair = proxy.only_pair().id;
    let mut feed = proxy.registry().ends().feed();
    upstream.send_text("hello").await;
    upstream.expect_close(1001).await;
    upstream.close(1001, "").await;
    drop((upstream, client));
    proxy.expect_ended("client_lapsed").await;

    let news = feed.next(50).await;
    assert_eq!(news.left_out, 0);
    let [end] = &news.ends[..] else {
        panic!("one pair has ended: {news:?}");
    };
    assert_eq!(end.pair.id, pair);
    assert_eq!(&*end.pair.names.route, "main");
    assert_eq!(end.cause.as_str(), "client_lapsed");
    assert!(end.hint.unwrap().contains("keepalive.client.enforce"));
    assert!(end.diagnosis.is_some());
    assert!(end.lapsed_after.unwrap() >= ms(60));
    assert!(end.duration >= ms(60));
    let of_client = end.sides.client;
    assert!(of_client.status.pings_sent >= 1);
    assert_eq!((of_client.status.pongs_received, of_client.rtt), (0, None));
    assert_eq!(end.sides.upstream.status.frames, 1);

    let overview = proxy.control().overview();
    assert_eq!((overview.pairs, overview.opened), (0, 1));
    assert_eq!(overview.ended.iter().sum::<u64>(), 1);
    let lapses = &overview.sides.client.lapses;
    assert_eq!(lapses.iter().sum::<u64>(), 1, "{lapses:?}");
    assert_eq!(
        proxy.metric("lapses_total", &[]),
        1.0,
        "the same is counted"
    );
}
