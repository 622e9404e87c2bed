//! The admin interface of the real program: what it says of pairs, live and ended, as they come and go, and what it
//! says to those who ask wrongly. Who may ask what is tested in `tests/binary` (changes) and beside the code.

mod close;
mod commands;
mod description;
mod ends;
mod events;
mod hostile;
mod page;
mod pairs;
mod problems;
mod status;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::{PATIENCE, ms};
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// What is at a path, which is there.
async fn told(lubdub: &Binary, path: &str) -> Value {
    let (status, said) = lubdub.admin(path).await;
    assert_eq!(status, 200, "{path}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{path}: {error}: {said}"))
}

/// The same, once `is_it` is true of it.
async fn told_when(lubdub: &Binary, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let said = told(lubdub, path).await;
            if is_it(&said) {
                return said;
            }
            sleep(ms(10)).await;
        }
    };
    let waited = timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{path} does not say it in time"))
}

/// A pair whose request is for this path.
async fn pair_at(lubdub: &Binary, path: &str, upstreams: &Upstream) -> (Peer, Peer) {
    let connect = async {
        let mut client = lubdub.dial().connect().await;
        client.ask(&Request::upgrade(path)).await;
        client.expect_switch().await;
        client
    };
    tokio::join!(connect, upstreams.accept_websocket())
}

/// So many of them, which all live.
async fn pairs(lubdub: &Binary, upstreams: &Upstream, count: usize) -> Vec<(Peer, Peer)> {
    let mut pairs = Vec::new();
    for n in 1..=count {
        pairs.push(pair_at(lubdub, &format!("/{n}"), upstreams).await);
        told_when(lubdub, "/api/v1/pairs?limit=0", |said| said["total"] == n).await;
    }
    pairs
}

/// The numbers of the pairs in an answer.
fn ids(said: &Value) -> Vec<u64> {
    let pairs = said["pairs"].as_array().expect("a list");
    let id = |pair: &Value| pair["id"].as_u64().expect("a number");
    pairs.iter().map(id).collect()
}
