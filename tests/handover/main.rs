//! One process takes the place of another while pairs live: what docs/topics/changes.md promises of it,
//! counted.
//!
//! `LUBDUB_HANDOVER_PAIRS` says how many pairs, `LUBDUB_HANDOVER_DEATHS` how often a process is killed in
//! the middle of it (`make handover` takes 5,000 and 100).

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what is missing on loopback ends the test; figures are for people"
)]

mod backend;
mod callers;
mod crowd;
mod figures;
mod lineage;
mod mistakes;
mod outside;
mod reloads;
mod stays;
mod wire;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

use crate::backend::Backend;
use crate::crowd::{Client, Crowd, Kind, Visitors};
use crate::lineage::{FAILED, Lineage, PATIENCE, is_alive, resident};

const UPGRADES: usize = 10;
/// The line of a process whose predecessor died.
const ORPHANED: &str = "the predecessor has died in the middle of the hand-over";
/// Clients that come and go at the same time.
const VISITORS: usize = 4;
/// How long pauses are measured in which there is no upgrade.
const CALM: Duration = Duration::from_secs(3);

fn number(variable: &str, otherwise: usize) -> usize {
    let number = std::env::var(variable).map_or(Ok(otherwise), |number| number.parse());
    number.unwrap_or_else(|_| panic!("{variable} is a number"))
}

fn pairs() -> usize {
    number("LUBDUB_HANDOVER_PAIRS", 200)
}

fn settings(backend: &Backend) -> Vec<String> {
    vec![
        format!("upstream.main.url=ws://{}", backend.address),
        "keepalive.client.interval=5s".to_owned(),
        "keepalive.client.timeout=10s".to_owned(),
        "keepalive.upstream.interval=5s".to_owned(),
        "keepalive.upstream.timeout=10s".to_owned(),
        // A side that takes nothing is what some clients are here.
        "timeouts.write_stall=10m".to_owned(),
    ]
}

/// As they are in life: most are idle, some talk.
fn kinds(pairs: usize) -> [(Kind, usize); 5] {
    let paces = if pairs >= 1000 { 100 } else { 10 };
    let (talks, halfway) = (pairs * 3 / 10, pairs / 10);
    let deaf = (pairs / 20).min(100);
    [
        (Kind::Talks, talks),
        (Kind::Halfway, halfway),
        (Kind::Deaf, deaf),
        (Kind::Paces, paces),
        (Kind::Idle, pairs - talks - halfway - deaf - paces),
    ]
}

fn paces(kinds: &[(Kind, usize)]) -> usize {
    let mut paces = kinds.iter().filter(|(kind, _)| *kind == Kind::Paces);
    paces.next().map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pair_notices_an_upgrade() {
    let backend = Backend::start();
    let mut lubdub = Lineage::start(&settings(&backend)).await;
    let kinds = kinds(pairs());
    let crowd = Crowd::connect(lubdub.address, &kinds).await;
    let count = crowd.len() as u64;
    lubdub.expect_metric("pairs", &[], count as f64).await;

    crowd.pauses.measure();
    sleep(CALM).await;
    let calm = crowd.pauses.measured(paces(&kinds)).await;

    let visitors = Visitors::to(lubdub.address, VISITORS);
    let (mut pauses, mut longest, mut peak) = (Vec::new(), Duration::ZERO, 0);
    for n in 1..=UPGRADES {
        let before = lubdub.current();
        let opened = visitors.came.load(Relaxed);
        crowd.pauses.measure();
        let child = async {
            let child = lubdub.child().await;
            let mut peak = 0;
            // Up to the end of the old one.
            while is_alive(before) && peak < u64::MAX {
                peak = peak.max(resident(before) + resident(child));
                sleep(Duration::from_millis(20)).await;
            }
            peak
        };
        let upgraded = {
            let (ended, taken) = (lubdub.count("hand-over ends"), lubdub.count("taken over"));
            lubdub.signal(Signal::USR2);
            let (seen, ()) = tokio::join!(timeout(Duration::from_secs(20), child), async {
                lubdub.nth("hand-over ends", ended).await;
                lubdub.nth("taken over", taken).await;
            });
            peak = peak.max(seen.unwrap_or(0));
            lubdub.last_upgrade()
        };
        let of_these = crowd.pauses.measured(paces(&kinds)).await;
        longest = longest.max(upgraded.lasted);
        println!(
            "upgrade {n}: {} moved, {} stayed for a while, in {:?}; longest pause {:?}; {} visitors so far",
            upgraded.moved,
            upgraded.kept,
            upgraded.lasted,
            of_these.last(),
            opened,
        );
        assert!(upgraded.moved >= count, "all pairs move");
        assert!(!is_alive(before), "nothing is left for the old process");
        pauses.extend(of_these);
    }
    let (came, wrong) = visitors.stop();
    assert!(wrong.is_empty(), "of {came} visitors: {wrong:?}");

    let scrape = lubdub.scrape().await;
    let open = scrape.sum("lubdub_pairs", &[]);
    println!("{open} pairs are open, of {count} and a visitor at the most");
    for cause in ["client_lapsed", "upstream_lapsed", "internal"] {
        let ended = scrape.sum("lubdub_pairs_closed_total", &[("cause", cause)]);
        assert_eq!(ended, 0.0, "{cause}");
    }
    let opened = scrape.sum("lubdub_pairs_opened_total", &[]);
    println!("{opened} were opened, {came} visitors among them");
    let outcomes = crowd.finish().await;
    assert!(
        outcomes.is_empty(),
        "{} of {count}: {:?}",
        outcomes.len(),
        outcomes.first()
    );
    assert_eq!(
        backend.wrong.load(Relaxed),
        0,
        "the backend has seen what must not be"
    );

    pauses.sort_unstable();
    let p99 =
        |all: &[Duration]| all[all.len() * 99 / 100 - usize::from(all.len().is_multiple_of(100))];
    println!(
        "an upgrade of {count} pairs takes up to {longest:?}; both processes have up to {peak} kB of their own"
    );
    println!(
        "longest time between two answers, p99 and worst: {:?}, {:?} with upgrades; {:?}, {:?} without",
        p99(&pauses),
        pauses.last().unwrap(),
        p99(&calm),
        calm.last().unwrap()
    );
}

/// How long after its start a process is killed, in hundredths of a hand-over: all moments come.
fn moment(n: usize, whole: Duration) -> Duration {
    whole * u32::try_from(n * 61 % 100).unwrap() / 100
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_handed_over_outlives_the_new_process() {
    let deaths = number("LUBDUB_HANDOVER_DEATHS", 6);
    let count = pairs().min(1000);
    let backend = Backend::start();
    let mut lubdub = Lineage::start(&settings(&backend)).await;
    let mut crowd = Crowd::connect(lubdub.address, &[(Kind::Idle, count)]).await;
    let began = Instant::now();
    lubdub.upgrade().await;
    let whole = began.elapsed();
    let (mut died, mut in_the_middle, mut lost, mut n) = (0, 0, 0, 0);
    while died < deaths {
        n += 1;
        let failed = lubdub.count(FAILED);
        let ended = lubdub.count("hand-over ends");
        lubdub.signal(Signal::USR2);
        let began = Instant::now();
        let child = lubdub.child().await;
        sleep(moment(n, whole).saturating_sub(began.elapsed())).await;
        let _ = kill_process(child, Signal::KILL);
        let line = lubdub
            .either(&[(FAILED, failed), ("hand-over ends", ended)])
            .await;
        if line["msg"] == "hand-over ends" {
            // All were the new one's already, and nobody is left.
            drop(crowd);
            lubdub = Lineage::start(&settings(&backend)).await;
            crowd = Crowd::connect(lubdub.address, &[(Kind::Idle, count)]).await;
            continue;
        }
        died += 1;
        let reason = line["reason"].as_str().unwrap_or_default();
        let moved = reason
            .split("when ")
            .nth(1)
            .and_then(|it| it.split(' ').next());
        let moved: usize = moved.and_then(|it| it.parse().ok()).unwrap_or(0);
        in_the_middle += usize::from(moved > 0 && moved < count);
        lost += moved;
        // Whoever was moved is gone, and learns of it at once.
        let gone = async {
            let mut gone = 0;
            while gone < moved {
                gone += crowd.ended().len();
                sleep(Duration::from_millis(1)).await;
            }
            gone
        };
        let gone = timeout(PATIENCE, gone).await;
        assert_eq!(
            gone.ok(),
            Some(moved),
            "who was moved is gone, and nobody else"
        );
        for n in 0..moved {
            let client = Client::connect(lubdub.address, Kind::Idle)
                .await
                .expect("a 101");
            crowd.add(Kind::Idle, n as u64, client);
        }
    }
    let open = lubdub.scrape().await.sum("lubdub_pairs", &[]);
    assert_eq!(open, count as f64);
    let outcomes = crowd.finish().await;
    assert!(outcomes.is_empty(), "{outcomes:?}");
    println!(
        "the new process was killed {deaths} times, {in_the_middle} times in the middle of the pairs; {lost} pairs that it had already died with it, and no other"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_handed_over_or_frozen_outlives_the_old_process() {
    let deaths = number("LUBDUB_HANDOVER_DEATHS", 6).div_ceil(5);
    let count = pairs().min(1000);
    let backend = Backend::start();
    let (mut saved, mut moved, mut in_the_middle, mut whole) = (0, 0, 0, None);
    let (mut died, mut n) = (0, 0);
    while died < deaths {
        n += 1;
        let mut lubdub = Lineage::start(&settings(&backend)).await;
        let mut crowd = Crowd::connect(lubdub.address, &[(Kind::Idle, count)]).await;
        let whole = match whole {
            Some(whole) => whole,
            None => {
                let began = Instant::now();
                lubdub.upgrade().await;
                *whole.insert(began.elapsed())
            }
        };
        let old = lubdub.current();
        let (taken, orphaned) = (lubdub.count("taken over"), lubdub.count(ORPHANED));
        lubdub.signal(Signal::USR2);
        let began = Instant::now();
        let child = lubdub.child().await;
        lubdub
            .nth("taking over", lubdub.count("hand-over ends"))
            .await;
        sleep(moment(n, whole).saturating_sub(began.elapsed())).await;
        let _ = kill_process(old, Signal::KILL);
        let line = lubdub.either(&[("taken over", taken)]).await;
        lubdub.set_current(child);
        lubdub
            .nth("ready", lubdub.count("ready").saturating_sub(1))
            .await;
        if lubdub.count(ORPHANED) == orphaned {
            // It was over before.
            continue;
        }
        died += 1;
        let lives = usize::try_from(line["pairs"].as_u64().unwrap()).unwrap();
        moved += lives;
        in_the_middle += usize::from(lives > 0 && lives < count);
        let orphan = lubdub.nth(ORPHANED, orphaned).await;
        saved += orphan["saved"].as_u64().unwrap();
        let gone = async {
            let mut gone = 0;
            while gone < count - lives {
                gone += crowd.ended().len();
                sleep(Duration::from_millis(1)).await;
            }
            gone
        };
        let gone = timeout(PATIENCE, gone).await;
        assert_eq!(gone.ok(), Some(count - lives), "the rest is counted");
        lubdub.expect_metric("pairs", &[], lives as f64).await;
        let mut visitor = Client::connect(lubdub.address, Kind::Idle)
            .await
            .expect("a 101");
        visitor.talk_once().await.expect("an answer");
        let outcomes = crowd.finish().await;
        assert!(outcomes.is_empty(), "{outcomes:?}");
    }
    println!(
        "the old process was killed {deaths} times, {in_the_middle} times in the middle of the pairs; {moved} pairs went on in the new one, {saved} of them were frozen; the rest died with the old one"
    );
}
