//! Trials that stand for the whole space, wherever a search has most of them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::forest::Side;

/// Points that are drawn.
const POINTS: usize = 256;

/// For each of some points drawn evenly the index of the trial nearest to it: by squared distances of places, where two
/// categories are as far apart as two ends, and a parameter that is not active is near to everything.
///
/// `rows`: as [`super::forest::Forest::grow`].
pub(super) fn nearest(sides: &[Side], rows: &[Vec<Option<f64>>]) -> Vec<usize> {
    let mut key = [0; 32];
    key[16..].copy_from_slice(b"bonfire:evenly:1");
    let mut stream = ChaCha8Rng::from_seed(key);
    let mut found = Vec::with_capacity(POINTS);
    for _ in 0..POINTS {
        let point = sides.iter().map(|side| side.anywhere(&mut stream));
        let point: Vec<f64> = point.collect();
        let far = rows.iter().map(|row| distance(sides, row, &point));
        let nearest = far.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        found.extend(nearest.map(|(index, _)| index));
    }
    found
}

fn distance(sides: &[Side], row: &[Option<f64>], point: &[f64]) -> f64 {
    let apart = |((side, place), at): ((&Side, &Option<f64>), &f64)| match (side, place) {
        (_, None) => 0.0,
        (Side::Line, Some(place)) => (place - at) * (place - at),
        (Side::Category { .. }, Some(place)) => f64::from(u8::from(place != at)),
    };
    sides.iter().zip(row).zip(point).map(apart).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_stands_for_where_it_is() {
        let sides = [Side::Line, Side::Category { count: 2 }];
        let mut rows = vec![vec![Some(0.1), Some(0.0)]; 90];
        rows.push(vec![Some(0.9), Some(0.0)]);
        rows.push(vec![Some(0.5), Some(1.0)]);
        rows.push(vec![None, Some(1.0)]);
        let found = nearest(&sides, &rows);
        let count =
            |from: usize, to: usize| found.iter().filter(|i| (from..to).contains(i)).count();
        assert_eq!(found.len(), POINTS);
        // A quarter each, and all of the other category is as near to the one that has no place in it.
        assert!((48..80).contains(&count(0, 90)), "{}", count(0, 90));
        assert!((48..80).contains(&count(90, 91)), "{}", count(90, 91));
        assert_eq!(count(91, 92), 0);
        assert!(count(92, 93) > 96);
        assert_eq!(nearest(&sides, &rows), found);
    }
}
