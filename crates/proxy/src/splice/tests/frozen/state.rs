//! The bytes of a pair's state: each version that was ever released can be read, and nothing else.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Deserialize, Serialize};

use super::*;

/// Version 1, of a pair in the middle of everything. It is never to be written anew.
const V1: &[u8] = include_bytes!("pair-v1.msgpack");

/// Something in every field.
async fn busy() -> Pair {
    let mut terms = pinged(Side::Client, 5 * SECOND, 60 * SECOND, Evidence::Pong);
    terms.keepalive.upstream = Arc::clone(&terms.keepalive.client);
    terms.data_idle = Some(100 * SECOND);
    terms.lifetime = Some(1000 * SECOND);
    let mut pair = Pair::open(terms).await;
    pair.wake(1024);
    pair.until_pinged(Side::Client, 1).await;
    pair.say(Side::Client, &masked_control(0x89, b"theirs"));
    pair.say(Side::Client, &masked_pong(&own_payload(0)));
    pair.say(Side::Client, &masked(0x82, &[1; 100])[..50]);
    pair.say(Side::Upstream, b"\x8a\x10seven");
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    pair.until(clock() + 5 * SECOND).await;
    pair
}

#[tokio::test(start_paused = true)]
#[ignore = "writes the file of a new version: to be run once for each"]
async fn write_the_file_of_this_version() {
    let mut pair = busy().await;
    let bytes = pair.splice.freeze(&anchor()).to_bytes();
    let name = format!("pair-v{}.msgpack", PairState::VERSION);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/splice/tests/frozen");
    std::fs::write(path.join(name), bytes).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_state_comes_back_from_its_bytes_as_it_was() {
    let mut pair = busy().await;
    let state = pair.splice.freeze(&anchor());
    assert_eq!(PairState::from_bytes(&state.to_bytes()).unwrap(), state);
}

/// The peer stands where releases before look for the client, so that they can read it.
#[tokio::test(start_paused = true)]
async fn a_client_behind_its_peer_is_told_beside_it() {
    let state = busy().await.splice.freeze(&anchor());
    assert_eq!(state.caller().unwrap(), Caller::peer(NOBODY.into()));
    assert_eq!(state.true_client, None);
    let behind = PairState {
        true_client: Some("203.0.113.9".to_owned()),
        ..state.clone()
    };
    let caller = PairState::from_bytes(&behind.to_bytes()).unwrap().caller();
    let expected = Caller {
        peer: NOBODY.into(),
        client: "203.0.113.9".parse().unwrap(),
    };
    assert_eq!(caller.unwrap(), expected);
    let wrong = PairState {
        true_client: Some("nobody".to_owned()),
        ..state
    };
    assert!(wrong.caller().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_first_version_is_read_and_goes_on() {
    let state = PairState::from_bytes(V1).expect("it was released");
    assert_eq!((state.version, state.id), (1, 1));
    assert_eq!((&*state.listener, &*state.route), ("main", "main"));
    assert_eq!(state.client, NOBODY.into());
    assert_eq!(
        state.ends.client.bytes,
        12 + 50,
        "their ping, and half a frame"
    );

    let mut pair = busy().await;
    let terms = Arc::clone(&pair.splice.terms);
    pair.hand_over_to(terms, |now, _| {
        *now = PairState {
            opened: now.opened,
            ..state
        }
    })
    .expect("a pair gave it up");
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    let vitals = pair.splice.heart.vitals(Side::Client);
    assert_eq!((vitals.pings_sent, vitals.pongs_received), (2, 1));
    // The rest of the frame, and of the pong.
    pair.heard(Side::Upstream);
    pair.say(Side::Client, &masked(0x82, &[1; 100])[50..]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake(1024);
    assert_eq!(pair.splice.relayed_frames(Side::Client), 2);
}

/// A later release may have more to say than this one knows of.
#[test]
fn what_is_not_known_is_left_out() {
    #[derive(Serialize, Deserialize)]
    struct Later {
        mood: Vec<String>,
        #[serde(flatten)]
        state: PairState,
    }
    let later = Later {
        mood: vec!["calm".to_owned()],
        state: PairState::from_bytes(V1).unwrap(),
    };
    let bytes = rmp_serde::to_vec_named(&later).unwrap();
    assert_eq!(PairState::from_bytes(&bytes).unwrap(), later.state);
}

#[test]
fn a_version_of_a_time_to_come_is_named() {
    let mut state = PairState::from_bytes(V1).unwrap();
    state.version = 7;
    let error = PairState::from_bytes(&state.to_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state of a pair has version 7, and this release reads 1"
    );
}

#[test]
fn a_state_can_be_logged_without_what_the_endpoints_said() {
    let mut state = PairState::from_bytes(V1).unwrap();
    state.ends.client.outlet.backlog = b"secret".to_vec().into();
    let shown = format!("{state:?}");
    for hidden in ["115, 101", "secret", "7, 7, 7", "116, 104"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_itself_is_refused() {
    let spoilt: [fn(&mut PairState); 5] = [
        |state| state.ends.client.outlet.ping = crate::frozen::PingState::Placed { ahead: 9 },
        |state| state.ends.upstream.outlet.ping = crate::frozen::PingState::Empty,
        |state| state.ends.client.taken = 0,
        |state| state.ends.client.outlet.ping = crate::frozen::PingState::Placed { ahead: 0 },
        |state| state.opened += 3_600_000_000_000,
    ];
    for (n, spoil) in spoilt.into_iter().enumerate() {
        let mut pair = busy().await;
        let terms = Arc::clone(&pair.splice.terms);
        let thawed = pair.hand_over_to(terms, |state, _| {
            assert!(matches!(
                state.ends.upstream.outlet.ping,
                crate::frozen::PingState::Owed { .. }
            ));
            spoil(state);
        });
        assert!(thawed.is_err(), "{n}");
        pair.splice.seldom.concluded = true;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(4096)
    })]

    #[test]
    fn bytes_that_were_spoilt_are_no_panic(
        spoilt in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = V1.to_vec();
        for (at, byte) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = PairState::from_bytes(&bytes);
    }

    #[test]
    fn less_than_a_state_is_refused(len in any::<Index>()) {
        let bytes = &V1[..len.index(V1.len())];
        prop_assert!(PairState::from_bytes(bytes).is_err());
    }
}
