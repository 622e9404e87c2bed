//! Medians, spreads, and how sure a ratio is.

use serde::Serialize;

/// How often the rounds are drawn anew.
const DRAWS: usize = 10_000;

/// What several rounds measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    /// Half of them were no more.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// A ratio of two things that were measured in the same rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The 95 % interval begins here.
    pub low: f64,
    /// The 95 % interval ends here.
    pub high: f64,
}

/// A small generator of numbers that look random (xorshift64*), the same at every start: a page
/// that is written anew from the same data is the same page.
#[derive(Debug)]
struct Dice(u64);

// === impl Spread ===

impl Spread {
    /// The spread of some values; none, if there are none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        Some(Self {
            median: median(&sorted)?,
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }
}

// === impl Ratio ===

impl Ratio {
    /// The ratio of paired values, and how far it would move if other rounds had been drawn: the
    /// percentile bootstrap over whole rounds.
    pub(super) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let ratios: Vec<f64> = (pairs.iter())
            .filter(|(_, below)| *below > 0.0)
            .map(|(above, below)| above / below)
            .collect();
        let middle = median(&sorted(&ratios))?;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut draw = vec![0.0; ratios.len()];
        let medians: Vec<f64> = (0..DRAWS)
            .filter_map(|_| {
                draw.fill_with(|| ratios[dice.roll(ratios.len())]);
                median(&sorted(&draw))
            })
            .collect();
        let medians = sorted(&medians);
        Some(Self {
            median: middle,
            low: quantile(&medians, 0.025)?,
            high: quantile(&medians, 0.975)?,
        })
    }

    /// Whether a bar is met: the interval includes it or is below it.
    pub(super) fn meets(&self, at_most: f64) -> bool {
        self.low <= at_most
    }
}

// === impl Dice ===

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The median of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(sorted[middle - 1], upper)
    })
}

/// A quantile of sorted values: the nearest rank.
fn quantile(sorted: &[f64], quantile: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted
        .get((last as f64 * quantile).round() as usize)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_middle_and_two_ends() {
        assert_eq!(Spread::of(&[]), None);
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn drift_that_hits_both_alike_leaves_the_ratio_sharp() {
        let pairs: Vec<_> = (1..=7)
            .map(|i| (f64::from(i) * 1.2, f64::from(i)))
            .collect();
        let ratio = Ratio::of(&pairs).unwrap();
        for seen in [ratio.low, ratio.median, ratio.high] {
            assert!((seen - 1.2).abs() < 1e-9, "{ratio:?}");
        }
    }

    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        let mut dice = Dice(7);
        let noise = |dice: &mut Dice| 0.9 + dice.roll(2001) as f64 / 10_000.0;
        let covered = (0..100)
            .filter(|_| {
                let pairs: Vec<_> = (0..15).map(|_| (noise(&mut dice), 1.0)).collect();
                let ratio = Ratio::of(&pairs).unwrap();
                ratio.low <= 1.0 && 1.0 <= ratio.high
            })
            .count();
        assert!((85..=100).contains(&covered), "{covered} of 100");
    }

    #[test]
    fn a_bar_is_met_by_an_interval_that_touches_it() {
        let ratio = Ratio {
            median: 1.05,
            low: 0.99,
            high: 1.1,
        };
        assert!(ratio.meets(1.0));
        assert!(!ratio.meets(0.9));
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn the_same_data_gives_the_same_interval() {
        let pairs = [(1.0, 1.1), (1.2, 1.0), (0.9, 1.0), (1.0, 1.0), (1.3, 1.2)];
        assert_eq!(Ratio::of(&pairs), Ratio::of(&pairs));
    }
}
