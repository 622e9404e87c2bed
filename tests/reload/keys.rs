//! Every key, changed by a reload of the real program: the answer has the word that is declared for the key, and what
//! is seen of it is what the word says.
//!
//! A key that is declared and neither tried nor excused fails [`every_key_is_tried`].

mod ends;
mod heartbeat;
mod listener_tls;
mod process;
mod rates;
mod stage;
mod traffic;
mod unix;
mod upstream_tls;
mod waits;

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::StreamExt as _;

use self::stage::{Place, declared};

/// Changes a key at a place, and looks what comes of it.
type Trial = fn(Place) -> Pin<Box<dyn Future<Output = ()>>>;

/// Keys, each with what is tried with it.
type Trials = &'static [(&'static str, Trial)];

macro_rules! trials {
    ($($key:literal => $trial:path),* $(,)?) => {
        &[$(($key, |place| Box::pin($trial(place)))),*]
    };
}
use trials;

const ALL: [Trials; 9] = [
    ends::TRIALS,
    heartbeat::TRIALS,
    listener_tls::TRIALS,
    process::TRIALS,
    rates::TRIALS,
    traffic::TRIALS,
    unix::TRIALS,
    upstream_tls::TRIALS,
    waits::TRIALS,
];

/// Keys that cannot be tried, and why.
const EXCUSED: [(&str, &str); 2] = [
    (
        "close.to_client.limit",
        "reserved: no limit ends a pair that is open",
    ),
    ("close.to_upstream.limit", "the same"),
];

#[test]
fn every_key_is_tried() {
    let declared: BTreeSet<String> = declared().into_keys().collect();
    let tried = ALL.iter().copied().flatten().map(|(key, _)| *key);
    let excused = EXCUSED.iter().map(|(key, _)| *key);
    let all: Vec<String> = tried.chain(excused).map(str::to_owned).collect();
    let known: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(known.len(), all.len(), "a key is listed twice");
    let missing: Vec<_> = declared.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "nobody tries what a reload does with these: {missing:?}"
    );
    let unknown: Vec<_> = known.difference(&declared).collect();
    assert!(unknown.is_empty(), "these are no keys: {unknown:?}");
}

/// Tries each key at each of its places.
async fn try_all(trials: Trials) {
    let declared = declared();
    let places = trials.iter().flat_map(|(key, trial)| {
        let places = declared[*key].places();
        places.into_iter().map(|route| trial(Place { key, route }))
    });
    let places: Vec<_> = places.collect();
    // Most of them wait most of the time.
    let tries = futures_util::stream::iter(places);
    tries.for_each_concurrent(6, |trial| trial).await;
}

#[tokio::test]
async fn keys_of_ends() {
    try_all(ends::TRIALS).await;
}

#[tokio::test]
async fn keys_of_the_heartbeat() {
    try_all(heartbeat::TRIALS).await;
}

#[tokio::test]
async fn keys_of_tls_with_clients() {
    try_all(listener_tls::TRIALS).await;
}

#[tokio::test]
async fn keys_of_the_process() {
    try_all(process::TRIALS).await;
}

#[tokio::test]
async fn keys_of_rates() {
    try_all(rates::TRIALS).await;
}

#[tokio::test]
async fn keys_of_the_traffic() {
    try_all(traffic::TRIALS).await;
}

#[tokio::test]
async fn keys_of_unix_sockets() {
    try_all(unix::TRIALS).await;
}

#[tokio::test]
async fn keys_of_tls_with_upstreams() {
    try_all(upstream_tls::TRIALS).await;
}

#[tokio::test]
async fn keys_of_waits() {
    try_all(waits::TRIALS).await;
}
