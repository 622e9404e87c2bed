//! How lubdub is, as a whole.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::Upstream;
use serde_json::{Value, json};

use crate::{budget, pairs};

#[tokio::test]
async fn it_says_what_is_used_and_what_there_is() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["limits.pairs=10", "limits.handshakes=7"]).await;
    let _pairs = pairs(&lubdub, &upstreams, 2).await;
    let status = lubdub.told("/api/v1/status").await;
    assert_eq!(status["pid"], lubdub.pid());
    assert_eq!(
        (&status["generation"], &status["ready"]),
        (&1.into(), &true.into())
    );
    assert_eq!(
        (&status["drain"], &status["last_reload"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (
            &budget(&status, "pairs")["used"],
            &budget(&status, "pairs")["max"]
        ),
        (&2.into(), &10.into())
    );
    assert_eq!(budget(&status, "handshakes")["max"], 7);
    let waiting = budget(&status, "waiting");
    assert_eq!(waiting["of"], "main");
    assert_eq!(waiting["key"], "upstream.main.limits.waiting");
    let files = budget(&status, "files");
    let open = files["used"].as_u64().expect("a number");
    assert!(open.abs_diff(lubdub.descriptors() as u64) < 10, "{files}");
    assert_eq!(status["totals"]["opened"], 2);
    assert_eq!(status["totals"]["ended"]["client_lapsed"], 0);
    assert_eq!(status["routes"][0]["pairs"], 2);
    assert_eq!(status["listeners"][0]["connections"], 2);
    let upstream = &status["upstreams"][0];
    assert_eq!(
        (&upstream["name"], &upstream["pairs"]),
        (&"main".into(), &2.into())
    );
    assert_eq!(upstream["connects"]["connected"], 2, "{upstream}");
    assert!(upstream["last_success"].is_number(), "{upstream}");
}

#[tokio::test]
async fn it_says_what_the_latest_reload_did() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    lubdub.changed("/api/v1/reload", &json!({})).await;
    let status = lubdub
        .told_when("/api/v1/status", |status| status["last_reload"].is_object())
        .await;
    let reload = &status["last_reload"];
    assert_eq!(
        (&reload["outcome"], &reload["generation"]),
        (&"applied".into(), &2.into())
    );
    assert_eq!(status["generation"], 2);
    assert_eq!(reload["mistakes"], json!([]));
}

#[tokio::test]
async fn the_configuration_says_where_each_key_was_set() {
    let lubdub = Binary::start(&Upstream::listen(), &["limits.pairs=10"]).await;
    let said = lubdub.told("/api/v1/config").await;
    let keys = said["keys"].as_array().expect("a list");
    let key = |name: &str| {
        let found = keys.iter().find(|key| key["key"] == name);
        found.unwrap_or_else(|| panic!("no key {name}: {said}"))
    };
    assert_eq!(key("limits.pairs")["value"], "10");
    assert!(key("limits.pairs")["origin"].is_string(), "{said}");
    assert_eq!(key("keepalive.client.interval")["value"], "\"30s\"");
    assert_eq!(key("keepalive.client.interval")["origin"], Value::Null);
}
