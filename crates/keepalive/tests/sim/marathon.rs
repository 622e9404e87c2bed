//! Random worlds at the scale of operators, for many hours each: no side that is well lapses, and
//! none that died is missed.
//!
//! `LUBDUB_SIM_PAIR_HOURS` says how many hours the pairs live together, and `LUBDUB_SIM_SEED` runs
//! one world alone. The rules of each single step (deadlines, schedule, whose pong, repairs,
//! bounds) are checked by the proxy against the oracle while a world runs.

mod census;
mod change;
mod death;
mod pace;
mod party;
mod plan;
mod trouble;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::census::Census;
use self::plan::Plan;
use self::verdict::{Caught, Finding, judge};
use crate::world::World;

/// What an ordinary run of the tests takes a few seconds for.
const PAIR_HOURS: u64 = 1_000;

/// So much is enough to find out what is wrong.
const FINDINGS: usize = 10;

#[test]
fn no_side_that_is_well_lapses_and_none_that_died_is_missed() {
    let mut census = Census::default();
    let alone = asked("LUBDUB_SIM_SEED");
    let pair_hours = asked("LUBDUB_SIM_PAIR_HOURS").unwrap_or(PAIR_HOURS);
    for seed in alone.map_or(0..=u64::MAX, |seed| seed..=seed) {
        // Whole rounds, so that there is something of everything.
        let enough = seed % Plan::ROUND == 0 && census.hours() >= pair_hours;
        if alone.is_none() && (enough || census.findings.len() >= FINDINGS) {
            break;
        }
        let plan = Plan::draw(seed);
        if alone.is_some() {
            println!("{plan:#?}");
        }
        match live(&plan, &mut census) {
            Ok(Some(caught)) => census.add_caught(caught),
            Ok(None) => {}
            Err(finding) => census.findings.push((seed, finding)),
        }
    }
    println!("{census}");
    for (seed, finding) in &census.findings {
        println!("world {seed}: {finding}");
        println!("  LUBDUB_SIM_SEED={seed} cargo test -p lubdub-keepalive --test sim marathon::no");
    }
    assert!(census.findings.is_empty(), "see above");
    let unseen = census.unseen();
    assert!(alone.is_some() || unseen.is_empty(), "not seen: {unseen:?}");
}

/// Lives through a world, and says what became of who died in it.
fn live(plan: &Plan, census: &mut Census) -> Result<Option<Caught>, Finding> {
    census.add_plan(plan);
    let world = catch_unwind(AssertUnwindSafe(|| World::run(&plan.script)));
    let world = world.map_err(|panic| {
        let rule = panic.downcast_ref::<String>().cloned();
        let plain = || panic.downcast_ref::<&str>().map(|rule| (*rule).to_owned());
        Finding::Broken(rule.or_else(plain).unwrap_or_default())
    })?;
    census.add_world(plan, &world);
    judge(plan, &world)
}

/// A number in the environment.
#[expect(clippy::disallowed_methods, reason = "the knobs of this test")]
fn asked(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is to be a number, not {value:?}")))
}
