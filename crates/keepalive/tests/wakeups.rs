//! How often a driver has to wake up: pings of a pair, and of all pairs, go out together where
//! they may.

use std::time::{Duration, Instant};

use lubdub_keepalive::{
    Entropy, Heartbeat, Jitter, Mode, Output, PerSide, Policy, PongVerdict, Side,
};

const SECOND: Duration = Duration::from_secs(1);

fn policy(interval: Duration, jitter: f64) -> Policy {
    let jitter = Jitter::try_new(jitter).expect("a share");
    Policy::try_new(Some(interval), interval, jitter).expect("a policy")
}

/// One wake-up: when it was, and who was pinged.
type WakeUp = (Instant, Vec<Side>);

/// Runs a pair whose sides answer at once, from wake-up to wake-up.
fn wake_ups(mut heart: Heartbeat, count: usize) -> Vec<WakeUp> {
    let mut wake_ups = Vec::new();
    while wake_ups.len() < count {
        let now = heart.poll_timeout().expect("pings go on");
        heart.handle_timeout(now);
        let mut pinged = Vec::new();
        while let Some(output) = heart.poll_output(now) {
            let Output::SendPing { side } = output else {
                panic!("nobody lapses: {output:?}");
            };
            let payload = heart.payload(side);
            heart.handle_ping_placed(side);
            heart.handle_ping_written(side, now);
            let verdict = heart.handle_pong(side, payload.as_bytes(), now);
            assert!(matches!(verdict, PongVerdict::Ours { .. }));
            pinged.push(side);
        }
        wake_ups.push((now, pinged));
    }
    wake_ups
}

#[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
fn origin() -> Instant {
    Instant::now()
}

fn entropy(seed: u8) -> Entropy {
    Entropy::from_bytes([seed; Entropy::LEN])
}

#[test]
fn both_sides_are_pinged_in_one_wake_up() {
    let policies = PerSide::from_fn(|_| policy(30 * SECOND, 0.1));
    let wake_ups = wake_ups(Heartbeat::new(policies, entropy(1), origin()), 100);
    for (_, pinged) in wake_ups {
        assert_eq!(pinged, Side::BOTH);
    }
}

/// A side that is pinged often took the other's ping along as soon as jitter allowed it: of every
/// draw the least was left, and at full jitter a ping with each of the other's.
#[test]
fn a_rare_ping_is_not_drawn_to_the_frequent_ones_of_the_other_side() {
    let policies = PerSide {
        client: policy(SECOND / 20, 0.1),
        upstream: policy(4 * SECOND, 1.0),
    };
    let opened = origin();
    let wake_ups = wake_ups(Heartbeat::new(policies, entropy(3), opened), 100_000);
    let pings = |side| move |(_, pinged): &&WakeUp| pinged.contains(&side);
    let upstream: Vec<_> = wake_ups.iter().filter(pings(Side::Upstream)).collect();
    let lived = wake_ups[wake_ups.len() - 1].0 - opened;
    let mean = lived.as_secs_f64() / upstream.len() as f64;
    assert!((1.8..2.2).contains(&mean), "uniform in 0 to 4 s: {mean}");
}

#[test]
fn a_side_is_never_pinged_earlier_than_jitter_allows() {
    let policies = PerSide {
        client: policy(30 * SECOND, 0.1),
        upstream: policy(7 * SECOND, 0.1),
    };
    let opened = origin();
    let wake_ups = wake_ups(Heartbeat::new(policies, entropy(2), opened), 200);
    for side in Side::BOTH {
        let interval = policies[side].interval().expect("an interval");
        let mut last = None;
        for (at, _) in wake_ups.iter().filter(|(_, pinged)| pinged.contains(&side)) {
            let (since, least) = match last.replace(*at) {
                None => (*at - opened, interval / 2),
                Some(last) => (*at - last, interval.mul_f64(0.9)),
            };
            assert!((least..=interval).contains(&since), "{side}: {since:?}");
        }
        assert!(last.is_some());
    }
}

#[test]
fn a_quiet_interval_is_waited_for_whatever_the_other_side_does() {
    let mut idle = policy(30 * SECOND, 0.1);
    idle.mode = Mode::Idle;
    let policies = PerSide {
        client: idle,
        upstream: policy(10 * SECOND, 0.1),
    };
    let opened = origin();
    let mut heart = Heartbeat::new(policies, entropy(3), opened);
    let mut heard = opened;
    for _ in 0..100 {
        let now = heart.poll_timeout().expect("pings go on");
        heart.handle_timeout(now);
        while let Some(output) = heart.poll_output(now) {
            let Output::SendPing { side } = output else {
                panic!("nobody lapses: {output:?}");
            };
            let payload = heart.payload(side);
            if side == Side::Client {
                assert!(now - heard >= 15 * SECOND, "{:?}", now - heard);
            }
            heart.handle_ping_placed(side);
            heart.handle_ping_written(side, now);
            heart.handle_pong(side, payload.as_bytes(), now);
        }
        heard = now;
        heart.handle_heard(Side::Client, 1, now);
    }
}

#[test]
fn pairs_with_one_origin_are_pinged_at_common_moments() {
    let origin = origin();
    let grid = Duration::from_millis(10);
    for seed in 0..20 {
        let opened = origin + Duration::from_micros(u64::from(seed) * 7_919);
        let policies = PerSide::from_fn(|_| policy(30 * SECOND, 0.1));
        let heart = Heartbeat::new(policies, entropy(seed), opened).on_grid(origin);
        for (at, _) in wake_ups(heart, 20) {
            let beyond = (at - origin).as_nanos() % grid.as_nanos();
            assert_eq!(beyond, 0, "{seed}");
        }
    }
}

/// Without jitter there is no room to move a ping.
#[test]
fn without_jitter_the_interval_is_kept_to_the_nanosecond() {
    let opened = origin();
    let policies = PerSide::from_fn(|_| policy(SECOND, 0.0));
    let heart = Heartbeat::new(policies, entropy(5), opened + Duration::from_micros(77));
    let moments = wake_ups(heart.on_grid(opened), 20);
    let mut last = None;
    for (at, _) in moments
        .iter()
        .filter(|(_, who)| who.contains(&Side::Client))
    {
        if let Some(last) = last.replace(*at) {
            assert_eq!(*at - last, SECOND);
        }
    }
}
