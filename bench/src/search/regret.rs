//! Means over tables, ranks, and how far a ratio of means can be trusted.

/// One value a run, by table.
pub type ByTable = Vec<Vec<f64>>;

/// Draws behind an interval.
const DRAWS: usize = 2_000;

pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean over tables of the means over runs: every table counts alike.
pub fn mean_over_tables(values: &ByTable) -> f64 {
    let means: Vec<f64> = values.iter().map(|runs| mean(runs)).collect();
    mean(&means)
}

/// How many times smaller ours is, and the lower end of the 95 % interval of that: runs are drawn again from each table, of
/// both sides (percentile bootstrap). None where ours is 0.
pub fn times_smaller(ours: &ByTable, theirs: &ByTable) -> Option<(f64, f64)> {
    let ratio = |ours: f64, theirs: f64| (ours > 0.0).then(|| theirs / ours);
    let whole = ratio(mean_over_tables(ours), mean_over_tables(theirs))?;
    let mut random = SplitMix(1);
    let mut draws: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let (ours, theirs) = (random.draw_again(ours), random.draw_again(theirs));
            ratio(mean_over_tables(&ours), mean_over_tables(&theirs))
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    let low = draws.get(draws.len() / 40).copied().unwrap_or(whole);
    Some((whole, low.min(whole)))
}

/// The rank of each value, 1 the smallest; equal ones share the mean of their places.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|v| *v < value).count();
        let equal = values.iter().filter(|v| *v == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

/// Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn draw_again(&mut self, values: &ByTable) -> ByTable {
        let draw = |runs: &Vec<f64>| {
            let one = |_| runs[(self.next() % runs.len() as u64) as usize];
            (0..runs.len()).map(one).collect()
        };
        values.iter().map(draw).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_count_alike() {
        assert_eq!(mean_over_tables(&vec![vec![1.0, 3.0], vec![4.0]]), 3.0);
        assert_eq!(mean_over_tables(&vec![]), 0.0);
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[0.3, 0.1, 0.2]), [3.0, 1.0, 2.0]);
        assert_eq!(ranks(&[0.1, 0.2, 0.1]), [1.5, 3.0, 1.5]);
        assert_eq!(ranks(&[0.0; 3]), [2.0; 3]);
    }

    #[test]
    fn an_interval_lies_around_its_ratio() {
        let sure = times_smaller(&vec![vec![1.0; 5]], &vec![vec![2.0; 5]]);
        assert_eq!(sure, Some((2.0, 2.0)));
        assert_eq!(
            times_smaller(&vec![vec![0.0; 5]], &vec![vec![2.0; 5]]),
            None
        );
        let wide: Vec<f64> = (1..=30).map(f64::from).collect();
        let found = times_smaller(&vec![wide], &vec![vec![15.5; 10]]);
        let within =
            |(ratio, low): (f64, f64)| (ratio - 1.0).abs() < 1e-12 && (0.7..0.95).contains(&low);
        assert!(found.is_some_and(within), "{found:?}");
    }
}
