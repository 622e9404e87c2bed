//! Who is calling goes along.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Dial;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::backend::Backend;
use crate::lineage::{Lineage, PATIENCE};
use crate::settings;

/// The only pair, as the admin tells it, as soon as it does: a client may have its 101 a moment before.
async fn pair(lubdub: &Lineage) -> Value {
    let found = async {
        loop {
            let pairs = lubdub.admin("/api/v1/pairs").await;
            let pairs: Value = serde_json::from_str(&pairs).unwrap();
            if let Some(pair) = pairs["pairs"].get(0) {
                return pair.clone();
            }
            sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("a pair in time")
}

#[tokio::test]
async fn who_is_calling_and_what_the_request_is_called_go_along() {
    for id in [Some("req-1"), None] {
        let backend = Backend::start();
        let of_callers = [
            "listen.main.proxy_protocol=required",
            "listen.main.trust=127.0.0.0/8,10.0.0.0/8",
            "limits.pairs_per_source=1",
        ];
        let settings = [settings(&backend), of_callers.map(str::to_owned).to_vec()].concat();
        let mut lubdub = Lineage::start(&settings).await;
        let header = "PROXY TCP4 10.0.0.5 198.51.100.2 5000 443\r\n";
        let address = lubdub.address;
        let dial = move || Dial::to(address).preface(header);
        let mut upgrade = Request::upgrade("/").field("X-Forwarded-For", "203.0.113.9");
        if let Some(id) = id {
            upgrade = upgrade.field("X-Request-Id", id);
        }
        let mut client = dial().connect().await;
        client.ask(&upgrade).await;
        client.expect_switch().await;

        let before = pair(&lubdub).await;
        assert_eq!(before["client"]["address"], "203.0.113.9", "{before}");
        assert_eq!(before["client"]["peer"], *client.address().to_string());
        assert!(before["request_id"].is_string(), "{before}");
        assert_eq!(lubdub.upgrade().await.moved, 1);
        let after = pair(&lubdub).await;
        for field in ["id", "request_id"] {
            assert_eq!(after[field], before[field], "{field}");
        }
        for field in ["address", "peer"] {
            assert_eq!(after["client"][field], before["client"][field], "{field}");
        }
        // It counts for the same source as before.
        let mut again = dial().connect().await;
        again.ask(&upgrade).await;
        again.expect_answer(503).await;
    }
}
