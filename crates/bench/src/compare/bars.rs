//! Which bars are met, and by how much those are missed that are not.

use super::data::{Data, Series};
use super::scenario::{BAR_WORKERS, Bar, Scenario};
use super::statistics::{Ratio, Verdict};
use crate::load::HoldReport;

/// How much fewer pings than planned are still as many: the first and the last are cut off.
const CUT: f64 = 0.99;

/// What was seen of a bar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The bar.
    pub wanted: String,
    /// The ratio with its interval, or what else was seen.
    pub seen: String,
    /// Whether it is met.
    pub verdict: String,
    /// What the same program once more was seen at, in its place.
    pub control: String,
}

/// Judges one bar of a scenario.
pub(super) fn judge(data: &Data, scenario: &Scenario, bar: Bar) -> Judgement {
    let own = own(scenario.id);
    let again = Series {
        peer: "lubdub-again",
        ..own
    };
    Judgement {
        control: data
            .ratio(again, own)
            .map_or_else(String::new, |it| show(&it)),
        ..judge_alone(data, scenario, bar)
    }
}

fn judge_alone(data: &Data, scenario: &Scenario, bar: Bar) -> Judgement {
    let own = own(scenario.id);
    match bar {
        Bar::Peer(peer, at_most) => {
            let best = data.best(scenario.id, BAR_WORKERS, peer);
            let name = best.map_or(peer, |best| best.peer);
            let ratio = best.and_then(|best| data.ratio(own, best));
            judge_ratio(format!("{at_most} x {name}"), ratio, at_most, "")
        }
        Bar::Variant(name, at_most) => {
            let ratio = data.ratio(own, Series { peer: name, ..own });
            judge_ratio(format!("{at_most} x {name}"), ratio, at_most, "")
        }
        Bar::Best(at_most) => {
            let best = data.best_peer(scenario.id, BAR_WORKERS);
            let name = best.map_or("the best", |best| best.peer);
            let ratio = best.and_then(|best| data.ratio(own, best));
            judge_ratio(format!("{at_most} x {name}, the best"), ratio, at_most, "")
        }
        Bar::Elsewhere {
            scenario: other,
            peer,
            at_most,
        } => {
            let best = data.best(other, BAR_WORKERS, peer);
            let name = best.map_or(peer, |best| best.peer);
            let ratio = best.and_then(|best| data.ratio(own, best));
            judge_ratio(format!("{at_most} x {name} in {other}"), ratio, at_most, "")
        }
        Bar::Own(variant, at_most) => {
            let variant = Series {
                peer: variant,
                ..own
            };
            let wanted = format!("{} at {at_most} x lubdub", variant.peer);
            judge_ratio(wanted, data.ratio(variant, own), at_most, "")
        }
        Bar::Absolute(at_most) => {
            let unit = scenario.unit;
            judge_ratio(
                format!("{at_most} {unit}"),
                data.absolute(own),
                at_most,
                unit,
            )
        }
        Bar::AllAlive => judge_alive(data, own),
    }
}

/// The lowest of a scenario's bars, in its own unit: where its plot draws a line.
pub(super) fn lowest(data: &Data, scenario: &Scenario) -> Option<f64> {
    let median = |series| data.spread(series).map(|spread| spread.median);
    (scenario.bars.iter())
        .filter_map(|bar| match *bar {
            Bar::Peer(peer, at_most) => data
                .best(scenario.id, BAR_WORKERS, peer)
                .and_then(median)
                .map(|median| median * at_most),
            Bar::Best(at_most) => data
                .best_peer(scenario.id, BAR_WORKERS)
                .and_then(median)
                .map(|median| median * at_most),
            Bar::Variant(peer, at_most) => median(Series {
                peer,
                ..own(scenario.id)
            })
            .map(|median| median * at_most),
            Bar::Elsewhere {
                scenario,
                peer,
                at_most,
            } => data
                .best(scenario, BAR_WORKERS, peer)
                .and_then(median)
                .map(|median| median * at_most),
            Bar::Absolute(at_most) => Some(at_most),
            Bar::Own(..) | Bar::AllAlive => None,
        })
        .min_by(f64::total_cmp)
}

/// A ratio and how sure it is.
pub(super) fn show(ratio: &Ratio) -> String {
    match ratio.interval {
        Some(interval) => format!(
            "{:.2} ({:.2} to {:.2})",
            ratio.middle, interval.low, interval.high
        ),
        None => format!("{:.2}", ratio.middle),
    }
}

fn judge_ratio(wanted: String, ratio: Option<Ratio>, at_most: f64, unit: &str) -> Judgement {
    let Some(ratio) = ratio else {
        return Judgement {
            wanted,
            seen: "not measured".to_owned(),
            verdict: String::new(),
            control: String::new(),
        };
    };
    Judgement {
        wanted,
        seen: format!("{} {unit}", show(&ratio)).trim_end().to_owned(),
        verdict: match ratio.judge(at_most) {
            Verdict::Met => "met".to_owned(),
            Verdict::WithinNoise => "met within the noise".to_owned(),
            Verdict::Missed => {
                let by = (ratio.middle / at_most - 1.0) * 100.0;
                format!("**missed by {by:.1} %**")
            }
            Verdict::TooNoisy => "**undecided**: too noisy".to_owned(),
            Verdict::Unknown => "one round decides nothing".to_owned(),
        },
        control: String::new(),
    }
}

fn judge_alive(data: &Data, own: Series<'_>) -> Judgement {
    let nominal = Scenario::nominal_pings();
    let wanted = format!("no pair lost, {nominal:.0} pings/s");
    let reports: Vec<&HoldReport> = (data.series(own)).filter_map(|m| m.report.held()).collect();
    let rates = reports.iter().filter_map(|report| report.pings_per_second);
    let Some(slowest) = rates.min_by(f64::total_cmp) else {
        return judge_ratio(wanted, None, 1.0, "");
    };
    let lost: u64 = reports.iter().map(|report| report.lost).sum();
    let is_met = lost == 0 && slowest >= nominal * CUT;
    Judgement {
        wanted,
        seen: format!(
            "{lost} lost in {} rounds, at least {slowest:.0} pings/s",
            reports.len()
        ),
        verdict: if is_met { "met" } else { "**missed**" }.to_owned(),
        control: String::new(),
    }
}

fn own(scenario: &str) -> Series<'_> {
    Series {
        scenario,
        workers: BAR_WORKERS,
        peer: "lubdub",
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::SCENARIOS;
    use super::*;
    use crate::report::Report;
    use crate::report::tests::{held, sliced};

    fn scenario(id: &str) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.id == id).unwrap()
    }

    fn rounds(values: [f64; 3]) -> Vec<(f64, Report)> {
        values.map(|value| (value, sliced())).into()
    }

    #[test]
    fn a_missed_bar_says_by_how_much_and_against_which_variant() {
        let data = Data::empty()
            .with("bulk", "lubdub", rounds([1.1, 1.1, 1.1]))
            .with("bulk", "lubdub-again", rounds([1.1, 1.1, 1.1]))
            .with("bulk", "haproxy", rounds([1.2, 1.2, 1.2]))
            .with("bulk", "haproxy-splice", rounds([1.0, 1.0, 1.0]));
        let bulk = scenario("bulk");
        assert_eq!(
            judge(&data, bulk, Bar::Peer("haproxy", 0.9)),
            Judgement {
                wanted: "0.9 x haproxy-splice".to_owned(),
                seen: "1.10 (1.10 to 1.10)".to_owned(),
                verdict: "**missed by 22.2 %**".to_owned(),
                control: "1.00 (1.00 to 1.00)".to_owned(),
            }
        );
        // That against HAProxy at its default is the lower one.
        assert_eq!(lowest(&data, bulk), Some(1.2 * 0.75));
        // Neither lubdub itself nor the bare relays are the best of all.
        let best = judge(&data, bulk, Bar::Best(1.0));
        assert_eq!(best.wanted, "1 x haproxy-splice, the best");
        let judgement = judge(&data, bulk, Bar::Peer("envoy", 1.0));
        assert_eq!(judgement.seen, "not measured");
    }

    /// The least of all rounds was once held against an absolute bar: one lucky round met it.
    #[test]
    fn one_lucky_round_does_not_meet_an_absolute_bar() {
        let unlucky = [3.4, 3.41, 3.39, 3.4, 3.4, 3.4, 3.4, 3.4, 3.0];
        let reports = unlucky.map(|value| (value, sliced())).into();
        let data = Data::empty().with("idle", "lubdub", reports);
        let judgement = judge(&data, scenario("idle"), Bar::Absolute(3.0));
        assert!(judgement.verdict.contains("missed"), "{judgement:?}");
    }

    #[test]
    fn a_heartbeat_is_alive_if_nobody_is_lost_and_pings_are_not_late() {
        let judged = |pings_per_second, lost| {
            let report = Report::Heartbeat(held(pings_per_second, lost));
            let data = Data::empty().with("heartbeat", "lubdub", vec![(7.0, report)]);
            judge(&data, scenario("heartbeat"), Bar::AllAlive).verdict
        };
        assert_eq!(judged(6_990.0, 0), "met");
        assert_eq!(judged(6_990.0, 1), "**missed**");
        assert_eq!(judged(6_000.0, 0), "**missed**");
        let unseen = judge(&Data::empty(), scenario("heartbeat"), Bar::AllAlive);
        assert_eq!(unseen.seen, "not measured");
    }
}
