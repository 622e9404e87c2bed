//! Medians, spreads, and how sure a ratio is.

/// The two-sided 95 % points of Student's t for 1 to 30 degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// How far behind a bar an interval may end.
const CLOSE: f64 = 1.03;
/// From how many values on an interval is told from their order alone.
const MANY: usize = 20;

/// What several rounds measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// Half of them were no more.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// A ratio of two things that were measured in the same rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    /// Of many the median, of a few the geometric mean: swapping the two things inverts it.
    pub middle: f64,
    /// Where the true one is with 95 % confidence; a single round says nothing of that.
    pub interval: Option<Interval>,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub low: f64,
    pub high: f64,
}

/// What a ratio says of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of the interval is at or below it.
    Met,
    /// The interval ends close behind it. By the bars' definition it is met, but
    /// the measurements do not exclude that it is not.
    WithinNoise,
    /// The interval includes it, and so much more that nothing follows: noise is not to be a way
    /// of meeting a bar.
    TooNoisy,
    /// All of the interval is above it, and not close behind it.
    Missed,
    /// There is no interval.
    Unknown,
}

// === impl Spread ===

impl Spread {
    /// The spread of some values; none, if there are none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: median(&sorted)?,
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }
}

// === impl Ratio ===

impl Ratio {
    /// The ratio of paired values.
    ///
    /// Of many, such as slices, it is the median, and its interval is between two of the ratios: so
    /// placed that the true median lies outside with 5 % at most, however they spread. A slice in which
    /// something else used the core then counts for no more than any other.
    ///
    /// Of a few, noise multiplies times rather than adding to them, so the interval is Student's for the
    /// mean of the ratios' logarithms. (The percentiles of a bootstrap, which were here before, are too
    /// narrow for a handful of rounds: for the median of seven they are what holds in 88 % of all runs.)
    pub(super) fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let mut logarithms: Vec<f64> = (pairs.iter())
            .filter(|(above, below)| *above > 0.0 && *below > 0.0)
            .map(|(above, below)| (above / below).ln())
            .collect();
        if logarithms.is_empty() {
            return None;
        }
        if logarithms.len() >= MANY {
            logarithms.sort_by(f64::total_cmp);
            return Self::of_many(&logarithms);
        }
        let count = logarithms.len() as f64;
        let mean = logarithms.iter().sum::<f64>() / count;
        let interval = student(logarithms.len() - 1).map(|t| {
            let squares: f64 = logarithms.iter().map(|each| (each - mean).powi(2)).sum();
            let reach = t * (squares / (count - 1.0) / count).sqrt();
            Interval {
                low: (mean - reach).exp(),
                high: (mean + reach).exp(),
            }
        });
        Some(Self {
            middle: mean.exp(),
            interval,
        })
    }

    /// Of sorted logarithms. The places of the interval's ends follow from the binomial distribution,
    /// here by its normal approximation.
    fn of_many(sorted: &[f64]) -> Option<Self> {
        let count = sorted.len() as f64;
        let outside = ((count - 1.96 * count.sqrt()) / 2.0) as usize;
        Some(Self {
            middle: median(sorted)?.exp(),
            interval: Some(Interval {
                low: sorted[outside].exp(),
                high: sorted[sorted.len() - 1 - outside].exp(),
            }),
        })
    }

    /// What it says of a bar.
    pub(super) fn judge(&self, at_most: f64) -> Verdict {
        match self.interval {
            None => Verdict::Unknown,
            Some(interval) if interval.high <= at_most => Verdict::Met,
            Some(interval) if interval.high <= at_most * CLOSE => Verdict::WithinNoise,
            Some(interval) if interval.low > at_most => Verdict::Missed,
            Some(_) => Verdict::TooNoisy,
        }
    }
}

/// The 95 % point for so many degrees of freedom; none, if there are none.
fn student(freedom: usize) -> Option<f64> {
    let last = freedom.checked_sub(1)?;
    // Behind the table an approximation that is right to the second decimal.
    Some((STUDENT.get(last).copied()).unwrap_or(1.96 + 2.4 / freedom as f64))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of numbers that look random (xorshift64*).
    struct Dice(u64);

    impl Dice {
        /// A number from 0 to 1.
        fn roll(&mut self) -> f64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// A factor around 1, of about 5 %.
        fn noise(&mut self) -> f64 {
            let bell: f64 = (0..12).map(|_| self.roll()).sum::<f64>() - 6.0;
            (0.05 * bell).exp()
        }
    }

    fn of(ratios: &[f64]) -> Ratio {
        let pairs: Vec<_> = ratios.iter().map(|ratio| (*ratio, 1.0)).collect();
        Ratio::of(&pairs).unwrap()
    }

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
        let Interval { low, high } = ratio.interval.unwrap();
        for seen in [low, ratio.middle, high] {
            assert!((seen - 1.2).abs() < 1e-9, "{ratio:?}");
        }
    }

    #[test]
    fn an_interval_is_that_of_the_textbook() {
        // The logarithms are -1, 0 and 1: their deviation is 1, t is 4.303.
        let ratio = of(&[(-1.0_f64).exp(), 1.0, 1.0_f64.exp()]);
        let reach = 4.303 / 3.0_f64.sqrt();
        let Interval { low, high } = ratio.interval.unwrap();
        assert!((ratio.middle - 1.0).abs() < 1e-12);
        assert!((low.ln() + reach).abs() < 1e-12 && (high.ln() - reach).abs() < 1e-12);
    }

    /// The bootstrap's intervals were too narrow, the more so the fewer rounds there were.
    #[test]
    fn few_rounds_cover_the_truth_as_often_as_they_say() {
        let mut dice = Dice(7);
        for rounds in [3, 5, 7, 9] {
            let covered = (0..2000)
                .filter(|_| {
                    let pairs: Vec<_> = (0..rounds)
                        .map(|_| (1.1 * dice.noise(), dice.noise()))
                        .collect();
                    let interval = Ratio::of(&pairs).unwrap().interval.unwrap();
                    interval.low <= 1.1 && 1.1 <= interval.high
                })
                .count();
            assert!((1870..=1930).contains(&covered), "{rounds}: {covered}");
        }
    }

    #[test]
    fn many_slices_cover_the_truth_as_often_as_they_say() {
        let mut dice = Dice(11);
        for cycles in [20, 40, 100] {
            let covered = (0..2000)
                .filter(|_| {
                    let pairs: Vec<_> = (0..cycles)
                        .map(|_| (1.1 * dice.noise(), dice.noise()))
                        .collect();
                    let interval = Ratio::of(&pairs).unwrap().interval.unwrap();
                    interval.low <= 1.1 && 1.1 <= interval.high
                })
                .count();
            assert!((1870..=1960).contains(&covered), "{cycles}: {covered}");
        }
    }

    #[test]
    fn a_disturbed_slice_counts_for_no_more_than_another() {
        let mut ratios = [1.1; 40];
        ratios[7] = 50.0;
        let ratio = of(&ratios);
        let Interval { low, high } = ratio.interval.unwrap();
        for seen in [low, ratio.middle, high] {
            assert!((seen - 1.1).abs() < 1e-9, "{ratio:?}");
        }
    }

    #[test]
    fn a_bar_is_met_missed_or_within_the_noise() {
        let ratio = of(&[0.995, 1.0, 1.005]);
        assert_eq!(ratio.judge(1.1), Verdict::Met);
        assert_eq!(ratio.judge(1.0), Verdict::WithinNoise);
        assert_eq!(ratio.judge(0.9), Verdict::Missed);
    }

    /// On a busy machine nearly every bar was met, by intervals such as 0.1 to 30.
    #[test]
    fn noise_is_no_way_of_meeting_a_bar() {
        let ratio = of(&[0.5, 1.2, 3.0]);
        assert_eq!(ratio.judge(1.0), Verdict::TooNoisy);
        assert_eq!(ratio.judge(100.0), Verdict::Met);
    }

    #[test]
    fn a_single_round_decides_nothing() {
        let ratio = of(&[0.5]);
        assert_eq!((ratio.middle, ratio.interval), (0.5, None));
        assert_eq!(ratio.judge(1.0), Verdict::Unknown);
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(1.0, 0.0), (0.0, 1.0)]), None);
    }

    #[test]
    fn the_table_goes_on_smoothly() {
        assert_eq!(student(0), None);
        assert_eq!(student(6), Some(2.447));
        let (inside, outside) = (student(30).unwrap(), student(31).unwrap());
        assert!((inside - outside).abs() < 0.01 && outside < inside);
    }
}
