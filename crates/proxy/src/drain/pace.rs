//! When each of many pairs is told: in any order, evenly, and not to the clock.
//!
//! Each pair has a slot of its own, and is told somewhere in it. If each drew its moment from the
//! whole time instead, there would be seconds with half as many again as others.

use std::time::Duration;

/// Each of `items` with its moment, the first of them first.
pub(super) fn schedule<T>(items: Vec<T>, spread: Duration) -> Vec<(Duration, T)> {
    let slots = items.len() as f64;
    let shuffled = shuffle(items).into_iter().enumerate();
    shuffled
        .map(|(slot, (item, within))| (spread.mul_f64((slot as f64 + within) / slots), item))
        .collect()
}

/// `items` in an order of chance, each with a number uniform in [0, 1).
fn shuffle<T>(items: Vec<T>) -> Vec<(T, f64)> {
    const LEN: usize = size_of::<(u64, u32)>();
    let mut random = vec![0; items.len() * LEN];
    getrandom::fill(&mut random).expect("the operating system has randomness");
    let mut drawn: Vec<_> = items
        .into_iter()
        .zip(random.chunks_exact(LEN))
        .map(|(item, random)| {
            let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *random else {
                unreachable!("a chunk has its length");
            };
            let order = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
            let within = u32::from_ne_bytes([i, j, k, l]);
            (order, within, item)
        })
        .collect();
    drawn.sort_unstable_by_key(|(order, ..)| *order);
    drawn
        .into_iter()
        .map(|(_, within, item)| (item, f64::from(within) / (f64::from(u32::MAX) + 1.0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPREAD: Duration = Duration::from_secs(20);

    #[test]
    fn every_second_has_as_many() {
        let scheduled = schedule((0..5000).collect(), SPREAD);
        let mut seconds = [0; 20];
        for (at, _) in &scheduled {
            seconds[usize::try_from(at.as_secs()).unwrap()] += 1;
        }
        assert!(
            seconds.iter().all(|told| (249..=251).contains(told)),
            "{seconds:?}"
        );
        assert!(scheduled.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn everybody_is_told_once_and_in_no_order() {
        let scheduled = schedule((0..5000).collect(), SPREAD);
        let mut told: Vec<u32> = scheduled.iter().map(|(_, item)| *item).collect();
        assert!(!told.is_sorted(), "the oldest are not the first");
        told.sort_unstable();
        assert!(told.into_iter().eq(0..5000));
    }

    #[test]
    fn the_moments_are_not_those_of_a_clock() {
        let scheduled = schedule((0..100).collect(), SPREAD);
        let gaps = scheduled.windows(2).map(|two| two[1].0 - two[0].0);
        let gaps: Vec<_> = gaps.collect();
        assert!(gaps.iter().any(|gap| *gap < SPREAD / 200), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap > SPREAD / 80), "{gaps:?}");
    }

    #[test]
    fn without_a_spread_all_are_told_at_once() {
        let scheduled = schedule(vec!['a', 'b'], Duration::ZERO);
        assert!(scheduled.iter().all(|(at, _)| at.is_zero()));
        assert!(schedule(Vec::<u8>::new(), SPREAD).is_empty());
    }
}
