//! What holds in every world. The rules of each single step (deadlines, schedule, whose pong,
//! repairs, bounds) are checked by the proxy against the oracle while a world runs.

use lubdub_keepalive::{Enforce, Side};
use proptest::prelude::*;

use crate::journal::Event;
use crate::random::{UNTIL, live, proxy, silent, wild, world};
use crate::script::Window;
use crate::world::World;

/// So many worlds per property; a long run asks for more.
#[expect(clippy::disallowed_methods, reason = "the one knob of these tests")]
fn cases() -> ProptestConfig {
    let asked = std::env::var("LUBDUB_SIM_CASES").ok();
    let cases = asked.map_or(64, |cases| {
        cases.parse().expect("LUBDUB_SIM_CASES is a number")
    });
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_live_side_ever_lapses(script in world(live(), live(), proxy())) {
        let world = World::run(&script);
        for side in Side::BOTH {
            let bad = |e| matches!(e, Event::Lapsed { .. } | Event::WouldHaveLapsed);
            prop_assert_eq!(world.journal(side).times(bad), []);
        }
    }

    #[test]
    fn a_silent_side_lapses_and_its_live_partner_does_not(
        script in world(live(), silent(), proxy()),
    ) {
        let world = World::run(&script);
        prop_assert_eq!(world.journal(Side::Client).lapsed(), None);
        let lapsed = world.journal(Side::Upstream).lapsed();
        prop_assert_eq!(lapsed.is_some(), script.policies.upstream.interval().is_some());
        if let Some(lapsed) = lapsed {
            // Exactly at the deadline, or when lubdub was there again.
            let deadline = world.proxy.oracle(Side::Upstream).deadline().unwrap();
            prop_assert_eq!(lapsed, Window::after(&script.proxy.stalls, deadline));
        }
    }

    #[test]
    fn the_rules_hold_whatever_happens(script in world(wild(), wild(), proxy())) {
        let world = World::run(&script);
        for side in Side::BOTH {
            let journal = world.journal(side);
            let sent = world.proxy.heart.vitals(side).pings_sent;
            prop_assert_eq!(journal.written().len() as u64, sent);
            if script.policies[side].enforce == Enforce::Never {
                prop_assert_eq!(journal.lapsed(), None);
            }
            prop_assert!(journal.lapsed().is_none_or(|at| at <= UNTIL));
        }
    }
}
