//! A heartbeat's state on its way through bytes: what of it can be read, and what is refused.

use std::time::{Duration, Instant};

use lubdub_keepalive::{
    Entropy, Evidence, Heartbeat, HeartbeatState, Jitter, Output, PerSide, Policy, Reading, Side,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

fn policies() -> PerSide<Policy> {
    let mut policy =
        Policy::try_new(Some(10 * SECOND), 25 * SECOND, Jitter::default()).expect("a policy");
    policy.evidence = Evidence::Pong;
    PerSide::from_fn(|_| policy)
}

#[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
fn origin() -> Instant {
    Instant::now()
}

/// A heart with something of everything: pings out, answered and on their way, foreign ones, a clock
/// that runs and a side that is not read.
fn busy(opened: Instant) -> (Heartbeat, Instant) {
    let heart = Heartbeat::new(policies(), Entropy::from_bytes([7; Entropy::LEN]), opened);
    let mut heart = heart.on_grid(opened);
    let mut now = opened;
    for n in 0..8 {
        now = heart.poll_timeout().expect("pings go on");
        heart.handle_timeout(now);
        while let Some(Output::SendPing { side }) = heart.poll_output(now) {
            let payload = heart.payload(side);
            heart.handle_foreign_ping(side, &[n; 100]);
            heart.handle_ping_placed(side);
            if n < 6 {
                heart.handle_ping_written(side, now);
            }
            if n < 5 {
                heart.handle_heard(side, 18, now);
                let _ = heart.handle_pong(side, payload.as_bytes(), now + SECOND);
            }
        }
        if n == 6 {
            break;
        }
    }
    heart.handle_reading(Side::Upstream, Reading::Paused, now);
    (heart, now)
}

/// Whatever it is, it may be driven on.
fn drive(heart: &mut Heartbeat, mut now: Instant) {
    for n in 0..40_u8 {
        now += Duration::from_millis(1 << (n % 20));
        let side = Side::BOTH[usize::from(n % 2)];
        heart.handle_heard(side, 1 << (n % 30), now);
        let _ = heart.handle_pong(side, &[n / 3; 100], now);
        let _ = heart.lapse_due(side, now);
        heart.handle_timeout(now);
        while let Some(output) = heart.poll_output(now) {
            if let Output::SendPing { side } = output {
                let payload = heart.payload(side);
                heart.handle_ping_placed(side);
                heart.handle_ping_written(side, now);
                let _ = heart.handle_pong(side, payload.as_bytes(), now);
            }
        }
        heart.handle_foreign_ping(side, &[n; 100]);
        heart.handle_reading(side, Reading::Resumed, now);
        heart.handle_stall(SECOND);
        heart.handle_link_progress(side, now);
        assert!(heart.heap_size() <= Heartbeat::HEAP_MAX);
        let _ = (heart.poll_timeout(), heart.vitals(side));
    }
}

#[test]
fn a_state_comes_back_from_its_bytes_as_it_was() {
    let opened = origin();
    let (heart, now) = busy(opened);
    let bytes = rmp_serde::to_vec_named(&heart.freeze()).expect("plain data");
    let state: HeartbeatState = rmp_serde::from_slice(&bytes).expect("it was just written");
    assert_eq!(state, heart.freeze());
    let thawed = Heartbeat::thaw(state, policies(), opened, now).expect("it gave it up");
    assert_eq!(thawed.freeze(), heart.freeze());
    assert_eq!(thawed.poll_timeout(), heart.poll_timeout());
    for side in Side::BOTH {
        assert_eq!(thawed.vitals(side), heart.vitals(side));
    }
}

/// A later release may have more to say than this one knows of.
#[test]
fn what_is_not_known_is_left_out() {
    #[derive(Serialize, Deserialize)]
    struct Later {
        #[serde(flatten)]
        state: HeartbeatState,
        mood: String,
    }
    let (heart, _) = busy(origin());
    let later = Later {
        state: heart.freeze(),
        mood: "calm".to_owned(),
    };
    let bytes = rmp_serde::to_vec_named(&later).expect("plain data");
    let state: HeartbeatState = rmp_serde::from_slice(&bytes).expect("the rest is known");
    assert_eq!(state, heart.freeze());
}

#[test]
fn the_state_can_be_logged_without_its_nonces_and_payloads() {
    let (heart, _) = busy(origin());
    let shown = format!("{:?}", heart.freeze());
    for hidden in ["7, 7, 7", "5, 5, 5"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_state_of_a_time_to_come_is_refused() {
    let opened = origin();
    let (heart, now) = busy(opened);
    let thaw = |now| Heartbeat::thaw(heart.freeze(), policies(), opened, now);
    assert!(thaw(now).is_ok());
    assert!(thaw(now - SECOND).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(4096)
    })]

    /// Most of these cannot be read, and others have other times and counts in them. Those that are
    /// taken may beat in another way, but they beat.
    #[test]
    fn bytes_that_were_spoilt_are_refused_or_do_no_harm(
        spoilt in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let opened = origin();
        let (heart, now) = busy(opened);
        let mut bytes = rmp_serde::to_vec_named(&heart.freeze()).expect("plain data");
        for (at, byte) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(state) = rmp_serde::from_slice::<HeartbeatState>(&bytes) else {
            return Ok(());
        };
        if let Ok(mut heart) = Heartbeat::thaw(state, policies(), opened, now) {
            drive(&mut heart, now);
        }
    }
}
