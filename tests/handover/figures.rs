//! What is known of an upstream goes along.

use crate::backend::Backend;
use crate::crowd::{Client, Kind};
use crate::lineage::Lineage;
use crate::settings;

#[tokio::test]
async fn connects_and_the_last_success_go_on_in_the_next_process() {
    let backend = Backend::start();
    let mut lubdub = Lineage::start(&settings(&backend)).await;
    let connected = [("upstream", "main"), ("outcome", "connected")];
    let mut client = Client::connect(lubdub.address, Kind::Idle).await.unwrap();
    client.talk_once().await.unwrap();
    let figures = async |lubdub: &Lineage| {
        let scrape = lubdub.scrape().await;
        let connects = scrape.sum("lubdub_upstream_connects_total", &connected);
        let last = "lubdub_upstream_last_success_timestamp_seconds";
        (connects, scrape.sum(last, &[("upstream", "main")]))
    };
    let before = figures(&lubdub).await;
    assert!(before.0 > 0.5 && before.1 > 1.7e9, "{before:?}");
    assert_eq!(lubdub.upgrade().await.moved, 1);
    let after = figures(&lubdub).await;
    // The moment goes along to the millisecond.
    let apart = (after.1 - before.1).abs();
    assert!(after.0 == before.0 && apart < 0.002, "{before:?} {after:?}");
    client.talk_once().await.unwrap();
}
