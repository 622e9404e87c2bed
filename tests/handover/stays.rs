//! What cannot be moved: the old process lingers for it.

use lubdub_testkit::binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::installed::Installed;
use lubdub_testkit::peer::{Dial, Peer};
use rustix::process::{Signal, kill_process};
use tokio::time::sleep;

use crate::backend::Backend;
use crate::crowd::{Crowd, Kind};
use crate::lineage::{Lineage, is_alive};
use crate::settings;

/// A message to the backend, which answers with a number of its own and the rest.
fn message(number: u64) -> Vec<u8> {
    crate::wire::frame(0x82, &number.to_be_bytes(), Some([1, 2, 3, 4]))
}

async fn talk(client: &mut Peer, number: u64) {
    client.send(message(number)).await;
    client
        .expect_raw(&crate::wire::frame(0x82, &number.to_be_bytes(), None))
        .await;
}

/// Two clients that go on as they should.
async fn keep_answering(first: &mut Peer, second: &mut Peer) {
    for client in [&mut *first, &mut *second] {
        client.leave_pings();
    }
    loop {
        for client in [&mut *first, &mut *second] {
            client.answer_next_pings(1).await;
        }
    }
}

#[tokio::test]
async fn pairs_with_tls_go_on_in_the_old_process_which_ends_with_the_last() {
    let backend = Backend::start();
    let certs = Certs::generate();
    let place = std::env::temp_dir().join(format!("lubdub-stays-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let (cert, key) = (place.join("cert.pem"), place.join("key.pem"));
    std::fs::write(&cert, certs.chain_pem()).unwrap();
    std::fs::write(&key, certs.key_pem()).unwrap();
    let secret = [
        "listen.secret.address=127.0.0.1:0".to_owned(),
        format!("listen.secret.tls.certificate.main.cert={}", cert.display()),
        format!("listen.secret.tls.certificate.main.key={}", key.display()),
    ];
    let mut settings = [settings(&backend), secret.to_vec()].concat();
    settings.retain(|it| !it.starts_with("keepalive.client"));
    settings.extend(["interval=200ms", "timeout=2s"].map(|it| format!("keepalive.client.{it}")));
    let mut lubdub = Lineage::launch(&binary::path(), &{
        let mut arguments = vec![
            "--set".to_owned(),
            "listen.main.address=127.0.0.1:0".to_owned(),
        ];
        arguments.extend(crate::lineage::set(&settings));
        arguments
    })
    .await;
    let open = lubdub.listener("main").await;
    let hidden = lubdub.listener("secret").await;
    let dial = || Dial::to(hidden).tls(certs.connecting()).websocket();
    let (mut first, mut second, mut third) = (dial().await, dial().await, dial().await);
    for client in [&mut first, &mut second, &mut third] {
        client.answer_pings();
    }
    let plain = Crowd::connect(open, &[(Kind::Idle, 1)]).await;

    let old = lubdub.current();
    let upgraded = lubdub.upgrade().await;
    assert_eq!((upgraded.moved, upgraded.kept), (1, 3));
    lubdub.expect_metric("lingering_pairs", &[], 3.0).await;
    lubdub.expect_metric("pairs", &[], 1.0).await;
    talk(&mut first, 0).await;
    // They are pinged, and lapse; it is counted where operators look.
    first.leave_pings();
    first.expect_ping().await;
    first.answer_pings();
    third.leave_pings();
    let lapsed = [("cause", "client_lapsed")];
    let told = async {
        lubdub
            .expect_metric("pairs_closed_total", &lapsed, 1.0)
            .await;
        lubdub.expect_metric("lingering_pairs", &[], 2.0).await;
    };
    tokio::select! {
        () = told => {}
        () = keep_answering(&mut first, &mut second) => {}
    }

    // A later upgrade does not lose sight of them.
    first.answer_pings();
    second.answer_pings();
    assert_eq!(lubdub.upgrade().await.moved, 1);
    lubdub.expect_metric("lingering_pairs", &[], 2.0).await;
    talk(&mut first, 1).await;
    talk(&mut second, 0).await;

    // One of them is closed by way of the one that goes on.
    let order = r#"{"code": 4000, "reason": "moved"}"#;
    lubdub.post("/api/v1/pairs/2/close", order).await;
    let closed = async {
        second.expect_close(4000).await;
        second.close(4000, "moved").await;
        let closed = [("cause", "admin")];
        lubdub
            .expect_metric("pairs_closed_total", &closed, 1.0)
            .await;
        lubdub.expect_metric("lingering_pairs", &[], 1.0).await;
    };
    first.leave_pings();
    let answered = async {
        loop {
            first.answer_next_pings(1).await;
        }
    };
    tokio::select! {
        () = closed => {}
        () = answered => {}
    }
    first.answer_pings();

    // A drain of the one that goes on is theirs as well.
    assert!(is_alive(old));
    lubdub
        .post("/api/v1/drain", r#"{"listener": "secret"}"#)
        .await;
    first.expect_close(1012).await;
    first.close(1012, "").await;
    lubdub.expect_metric("lingering_pairs", &[], 0.0).await;
    lubdub
        .nth("an earlier process that lingered has ended", 1)
        .await;
    let wrong = plain.finish().await;
    assert!(wrong.is_empty(), "{wrong:?}");
    lubdub.signal(Signal::TERM);
    lubdub.nth("lubdub ends", 2).await;
    let _ = std::fs::remove_dir_all(place);
}

/// A service manager may kill at once what a main process leaves behind, and may tell all of them to stop.
#[tokio::test]
async fn a_process_that_is_told_to_stop_waits_for_the_one_that_lingers() {
    let backend = Backend::start();
    let certs = Certs::generate();
    let place = Installed::new("waits");
    let cert = place.file("cert.pem", certs.chain_pem());
    let key = place.file("key.pem", certs.key_pem());
    let mut settings = settings(&backend);
    settings.extend([
        format!("listen.main.tls.certificate.main.cert={}", cert.display()),
        format!("listen.main.tls.certificate.main.key={}", key.display()),
        "timeouts.close=8s".to_owned(),
    ]);
    let mut lubdub = Lineage::start(&settings).await;
    let dial = Dial::to(lubdub.address).tls(certs.connecting());
    let mut client = dial.websocket().await;
    let old = lubdub.current();
    assert_eq!(lubdub.upgrade().await.kept, 1);
    let new = lubdub.current();

    lubdub.signal(Signal::TERM);
    client.expect_close(1012).await;
    kill_process(old, Signal::TERM).unwrap();
    lubdub.nth("told to stop by SIGTERM", 1).await;
    // It has nothing of its own, and would have ended by now.
    sleep(lubdub_testkit::ms(300)).await;
    assert!(is_alive(new) && is_alive(old));
    client.close(1012, "").await;
    lubdub.nth("lubdub ends", 1).await;
    assert_eq!(lubdub.count("lubdub cannot go on"), 0);
}
