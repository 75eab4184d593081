use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tell(pasha: &mut Pasha, number: u32, at: u64, value: f64) -> Verdict {
    pasha.observe(&Event::Observed { number, at, value })
}

/// One worker, loss of trial i at unit u by `loss`, until nothing is left to do: how many trials reached each rung, and
/// how far the top is.
fn run(trials: u32, max: u64, eta: u32, loss: impl Fn(u32, u64) -> f64) -> (Vec<u32>, u64) {
    let mut pasha = Pasha::new(Goal::Minimize, 1, max, eta);
    let mut reached = vec![0; pasha.targets().len()];
    let mut next = 0;
    loop {
        let (number, from, until) = if let Some(Promotion { number, until }) = pasha.promotable() {
            let from = pasha.until(number).unwrap();
            assert_eq!(pasha.promote(number), Some(until));
            (number, from, until)
        } else if next < trials {
            next += 1;
            (next - 1, 0, pasha.target(0))
        } else {
            break;
        };
        for at in from + 1..=until {
            tell(&mut pasha, number, at, loss(number, at));
        }
        let rung = pasha.targets().iter().position(|t| *t == until).unwrap();
        reached[rung] += 1;
    }
    (reached, pasha.target(pasha.top))
}

/// Whether the ranking of the trials on the top rung is that of the rung below, where those that are closer than epsilon
/// there may stand in for each other: the definition, both sorted.
fn is_stable(pasha: &Pasha) -> bool {
    let score = |number: u32, rung: usize| pasha.trials[&number].scores[rung];
    let ranked = |rung: usize| {
        let mut numbers = pasha.on_top.clone();
        numbers.sort_by(|a, b| score(*a, rung).total_cmp(&score(*b, rung)).then(a.cmp(b)));
        numbers
    };
    let below = pasha.top - 1;
    let pairs = ranked(pasha.top).into_iter().zip(ranked(below));
    pairs.into_iter().all(|(here, there)| {
        let (a, b) = (score(here, below), score(there, below));
        here == there || a == b || (a - b).abs() <= pasha.epsilon
    })
}

/// Whether one more rung opens with a value, by the definition.
fn should_grow(before: &Pasha, number: u32, at: u64, value: f64) -> bool {
    let mut pasha = before.clone();
    let waited = pasha.asha.rung_of(number).is_some_and(|(_, waits)| waits);
    pasha.asha.observe(&Event::Observed { number, at, value });
    if waited || pasha.is_grown() {
        return false;
    }
    pasha.remember(number, at, value);
    match pasha.asha.rung_of(number) {
        Some((rung, true)) if pasha.keep_score(number, rung) && rung == pasha.top => {
            pasha.measure(number);
            pasha.on_top.push(number);
            !is_stable(&pasha)
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    /// Trials that are promoted or not, by chance, whose losses come near each other and cross now and then; now and then
    /// everything is read back from what was saved.
    #[test]
    fn rungs_open_when_sorting_says_so(
        steps in vec((0u32..24, 0i32..40, any::<bool>(), 0u8..12), 0..400), eta in 2u32..4, noise in 0.0f64..0.5,
    ) {
        let mut pasha = Pasha::new(Goal::Maximize, 1, 40, eta);
        let mut at = BTreeMap::new();
        for (number, draw, promote, chance) in steps {
            if promote && let Some(Promotion { number, .. }) = pasha.promotable() {
                pasha.promote(number);
            }
            if pasha.asha.rung_of(number).is_some_and(|(_, waits)| waits) {
                continue;
            }
            let at = at.entry(number).or_insert(0);
            *at += 1;
            let value = match draw {
                0 => f64::NAN,
                _ => f64::from(number / 2) + noise * f64::from(draw),
            };
            let (expected, top) = (should_grow(&pasha, number, *at, value), pasha.top);
            tell(&mut pasha, number, *at, value);
            prop_assert_eq!(pasha.top > top, expected);
            if chance == 0 {
                let bytes = postcard::to_stdvec(&pasha).unwrap();
                let restored: Pasha = postcard::from_bytes(&bytes).unwrap();
                prop_assert_eq!(&restored, &pasha);
                pasha = restored;
            }
        }
    }
}

/// A third of the trials come to the top rung, and each is looked at beside itself and nobody else. Sorting them all at each of
/// those would be 100 million comparisons and more.
#[test]
fn trials_that_keep_their_places_cost_one_look() {
    const TRIALS: u32 = 20_000;
    let mut pasha = Pasha::new(Goal::Minimize, 1, 81, 3);
    let loss = |number: u32, at: u64| f64::from(number * 7_919 % TRIALS) + 1.0 / at as f64;
    for number in 0..TRIALS {
        tell(&mut pasha, number, 1, loss(number, 1));
        while let Some(Promotion { number, until }) = pasha.promotable() {
            pasha.promote(number);
            for at in 2..=until {
                tell(&mut pasha, number, at, loss(number, at));
            }
        }
    }
    assert_eq!(pasha.top, 1);
    assert!(pasha.on_top.len() > 6_000, "{}", pasha.on_top.len());
    assert_eq!(pasha.rankings.looks, pasha.on_top.len());
}

#[test]
fn a_stable_ranking_trains_two_rungs() {
    let (reached, top) = run(27, 81, 3, |trial, at| f64::from(trial) + 1.0 / at as f64);
    assert_eq!(top, 3);
    assert!(reached[1] >= 9 && reached[2..] == [0, 0, 0], "{reached:?}");
}

#[test]
fn a_ranking_that_turns_around_opens_the_next_rung() {
    // Up to 3 units the order is the numbers', from there on the reverse; later it stays.
    let late = |trial: u32, at: u64| match at {
        0..=2 => 100.0 - f64::from(trial),
        _ => f64::from(trial),
    };
    let (reached, top) = run(27, 81, 3, late);
    assert_eq!(top, 9);
    assert!(reached[2] > 0 && reached[3..] == [0, 0], "{reached:?}");
}

/// Each rung says something else, and the further on, the closer losses are: what is noise there does not explain the rung below.
#[test]
fn a_ranking_that_never_settles_opens_every_rung() {
    let noisy = |trial: u32, at: u64| {
        let stage = (0..5).filter(|i| at > 3u64.pow(*i)).count() as i32;
        let place = (trial.wrapping_mul(0x9e37_79b9) ^ stage as u32).wrapping_mul(0x85eb_ca6b);
        100.0 - 10.0 * f64::from(stage)
            + f64::from(place >> 20) / 4096.0 * libm::pow(0.1, f64::from(stage))
    };
    let (reached, top) = run(243, 81, 3, noisy);
    assert_eq!(top, 81);
    assert!(reached[4] > 0, "{reached:?}");
}

#[test]
fn once_max_is_open_it_is_asha() {
    let turned = |trial: u32, at: u64| match at {
        0..=2 => 100.0 - f64::from(trial),
        _ => f64::from(trial),
    };
    let (reached, top) = run(27, 9, 3, turned);
    assert_eq!(top, 9);
    assert!(reached[2] >= 1, "{reached:?}");
}

#[test]
fn ties_nan_and_infinities_end() {
    for value in [1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (reached, top) = run(20, 27, 2, |_, _| value);
        assert_eq!((reached[0], top), (20, 2), "{value}");
    }
}

#[test]
fn one_or_two_rungs_are_asha() {
    assert_eq!(run(4, 1, 3, |_, _| 1.0), (vec![4], 1));
    assert_eq!(run(6, 3, 3, |trial, _| f64::from(trial)).1, 3);
}

#[test]
fn only_pairs_that_cross_twice_are_noise() {
    let curve = |losses: &[f64]| -> Vec<(u64, f64)> { (1..).zip(losses.iter().copied()).collect() };
    for (a, b, expected) in [
        (vec![1.0, 3.0, 1.0], vec![2.0, 2.0, 1.5], Some(0.5)),
        (vec![1.0, 3.0, 3.0], vec![2.0, 2.0, 1.5], None),
        (vec![1.0, 2.0, 3.0], vec![2.0, 2.0, 4.0], None), // a tie is no crossing
        (vec![1.0], vec![2.0], None),
    ] {
        assert_eq!(criss_cross(&curve(&a), &curve(&b)), expected, "{a:?} {b:?}");
    }
}

#[test]
fn percentiles_are_those_of_numpy() {
    assert_eq!(percentile(vec![7.0]), 7.0);
    assert!((percentile((1..=10).map(f64::from).collect()) - 9.1).abs() < 1e-12);
}

/// Two trials that swap places again and again are equal; so no rung is added for them.
#[test]
fn noise_is_not_taken_for_a_change() {
    let grows = |noisy: bool| {
        let mut pasha = Pasha::new(Goal::Minimize, 3, 27, 2);
        for number in 0..4 {
            for at in 1..=3 {
                // The first two take turns below 1; the others are far behind.
                let turn = if noisy && at == 2 {
                    1 - number.min(1)
                } else {
                    number
                };
                let loss = if number < 2 {
                    f64::from(turn) * 0.1
                } else {
                    9.0
                };
                tell(&mut pasha, number, at, 1.0 - 0.1 * at as f64 + loss);
            }
        }
        for number in [0, 1] {
            assert_eq!(pasha.promote(number), Some(6));
            for at in 4..=6 {
                let turned = 1 - number;
                tell(&mut pasha, number, at, 0.1 + f64::from(turned) * 0.2);
            }
        }
        (pasha.epsilon, pasha.target(pasha.top))
    };
    assert_eq!(grows(false), (0.0, 12));
    let (epsilon, top) = grows(true);
    // They are further apart above than below, where they took turns.
    assert!((epsilon - 0.2).abs() < 1e-12, "{epsilon}");
    assert_eq!(top, 6);
}
