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
use lubdub_testkit::peer::{Peer, Upstream};
use serde_json::Value;

/// So many pairs, which all live.
async fn pairs(lubdub: &Binary, upstreams: &Upstream, count: usize) -> Vec<(Peer, Peer)> {
    let mut pairs = Vec::new();
    for n in 1..=count {
        pairs.push(lubdub.pair_at(&format!("/{n}"), upstreams).await);
        lubdub.expect_pairs(n).await;
    }
    pairs
}

/// The numbers of the pairs in an answer.
fn ids(said: &Value) -> Vec<u64> {
    let pairs = said["pairs"].as_array().expect("a list");
    let id = |pair: &Value| pair["id"].as_u64().expect("a number");
    pairs.iter().map(id).collect()
}

/// A budget in the status.
fn budget<'a>(status: &'a Value, name: &str) -> &'a Value {
    let budgets = status["budgets"].as_array().expect("a list");
    let found = budgets.iter().find(|budget| budget["name"] == name);
    found.unwrap_or_else(|| panic!("no budget {name}: {status}"))
}
