//! Properties of searches with requirements and start points.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::told::{outcomes, search_told};
use super::{any_range, distinct, points, search, searching, small_range, spaces};
use crate::{
    Alike, Assignment, Event, Goal, Parameter, PriorTrial, Range, Requirement, Requirements,
    Sampler, SamplerError, SamplerKind, Space, StartError, Suggestion, Value, complete_start,
};

fn require(texts: &[&str]) -> Requirements {
    let all = texts.iter().map(|text| Requirement::parse(text).unwrap());
    Requirements::new(all.collect())
}

/// One that compares the numbers of a space, so that it refuses some points of most spaces.
fn demands(space: &Space, picks: &[(Index, Index, bool)]) -> Requirements {
    let is_number = |p: &&Parameter| !matches!(p.range, Range::Choice { .. });
    let numbers: Vec<&Parameter> = space.parameters().iter().filter(is_number).collect();
    if numbers.is_empty() {
        return Requirements::default();
    }
    let one = |(a, b, less): &(Index, Index, bool)| {
        let (a, b) = (&a.get(&numbers).name, &b.get(&numbers).name);
        let order = if *less { "<=" } else { ">" };
        Requirement::parse(&format!("`{a}` - 1 {order} `{b}`")).unwrap()
    };
    Requirements::new(picks.iter().map(one).collect())
}

fn picks() -> impl Strategy<Value = Vec<(Index, Index, bool)>> {
    vec(any::<(Index, Index, bool)>(), 0..3)
}

fn every() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![4 => searching(), 1 => Just(SamplerKind::Grid)]
}

/// A sampler of a space, with what it demands; `None` where nothing is allowed, or the sampler is not for that space.
fn bound(kind: SamplerKind, space: &Space, require: &Requirements, seed: u64) -> Option<Sampler> {
    let sampler = Sampler::new(kind, space.clone(), Goal::Minimize, seed).ok()?;
    sampler.requiring(require.clone()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn suggestions_are_allowed_and_a_restart_changes_nothing(
        space in spaces(prop_oneof![any_range(), small_range()]), kind in every(), seed: u64, picks in picks(),
        outcomes in outcomes(24), given in vec((any::<Index>(), any::<u64>()), 0..3),
    ) {
        let require = demands(&space, &picks);
        let Some(sampler) = bound(kind, &space, &require, seed) else { return Ok(()) };
        let part = |(index, salt): &(Index, u64)| {
            let point = space.place_around(&Assignment::new(), |i| salt.wrapping_mul(2 * i as u64 + 1));
            let keep = index.index(point.len() + 1);
            point.into_iter().take(keep).collect::<Assignment>()
        };
        let given: Vec<Assignment> = given.iter().map(part).collect();
        let start = complete_start(&space, &require, seed, &given).unwrap_or_default();
        let prior = other(30, 0.5).into_iter().map(|trial| PriorTrial {
            parameters: space.place_around(&Assignment::new(), |i| (trial.place * 1e18) as u64 ^ i as u64),
            ..trial
        });
        let prior: Vec<PriorTrial> = prior.take(if seed % 2 == 0 { 30 } else { 0 }).collect();
        let fresh = sampler.starting(start.clone()).learning_from(&[prior]);
        let mut sampler = fresh.clone();
        let (history, told) = search_told(&mut sampler, &outcomes, false);
        let found = points(&told);
        for point in &found {
            prop_assert!(space.contains(point) && require.allow(point), "{:?}", point);
        }
        let first: Vec<&Assignment> = start.iter().take(found.len()).collect();
        prop_assert_eq!(&found[..first.len()], &first[..]);

        let next = told.len() as u32;
        let expected = sampler.suggest_many(next, 3);
        let mut replayed = fresh;
        history.iter().for_each(|event| replayed.observe(event));
        prop_assert_eq!(&replayed.suggest_many(next, 3), &expected);
        let bytes = postcard::to_stdvec(&sampler).unwrap();
        let restored: Sampler = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&restored.suggest_many(next, 3), &expected);
    }

    #[test]
    fn every_allowed_point_of_a_finite_space_comes_once(
        space in spaces(small_range()), kind in every(), seed: u64, picks in picks(), first: Index,
    ) {
        let size = space.size().unwrap();
        prop_assume!(size <= 400);
        let require = demands(&space, &picks);
        let allowed = (0..size).filter_map(|rank| space.point(rank)).filter(|point| require.allow(point));
        let allowed: Vec<Assignment> = allowed.collect();
        let made = Sampler::new(kind, space.clone(), Goal::Minimize, seed).unwrap();
        let made = made.requiring(require.clone());
        if allowed.is_empty() {
            prop_assert_eq!(made.unwrap_err(), SamplerError::NothingAllowed { points: size });
            return Ok(());
        }
        let made = made.unwrap();
        prop_assert_eq!(made.points(), Some(allowed.len() as u128));
        let start = vec![first.get(&allowed).clone()];
        let mut sampler = made.starting(start.clone());
        let told = search(&mut sampler, allowed.len() as u32 + 1);
        let points = points(&told);
        prop_assert_eq!(points.len(), allowed.len());
        prop_assert_eq!(distinct(&points), allowed.len());
        prop_assert_eq!(points[0], &start[0]);
        let ended = matches!(told.last(), Some(Suggestion::Exhausted { .. }));
        prop_assert!(ended, "{:?}", told.last());
    }
}

fn real(name: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        range: Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        },
        when: vec![],
    }
}

/// A space of which nothing is left is refused; one of which next to nothing is left ends with a reason.
#[test]
fn next_to_nothing_is_allowed() {
    let space = Space::new(vec![real("a"), real("b")]).unwrap();
    let kinds = [
        SamplerKind::Random,
        SamplerKind::Sobol,
        SamplerKind::Tpe,
        SamplerKind::Gp,
        SamplerKind::Cmaes,
        SamplerKind::Auto,
    ];
    for kind in kinds {
        let made = Sampler::new(kind, space.clone(), Goal::Minimize, 1).unwrap();
        let refused = made.clone().requiring(require(&["a + b > 2"])).unwrap_err();
        assert_eq!(refused, SamplerError::NothingFound { draws: 10_000 });
        // A share of 0.002 is found over and over.
        let demands = require(&["a + b < 0.0633"]);
        let mut sampler = made.requiring(demands.clone()).unwrap();
        for number in 0..40 {
            let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                panic!("{kind:?} {number}");
            };
            assert!(demands.allow(&parameters));
            let value = parameters.values().filter_map(Value::as_f64).sum();
            sampler.observe(&Event::Created { number, parameters });
            sampler.observe(&Event::Observed {
                number,
                at: 1,
                value,
            });
            let ending = crate::Ending::Completed;
            sampler.observe(&Event::Ended { number, ending });
        }
    }
}

/// A finite space that is too large to be looked through is searched all the same, and a grid of it is refused.
#[test]
fn a_large_finite_space() {
    let integer = |name: &str| Parameter {
        range: Range::Integer {
            min: 1,
            max: 1_000,
            log: false,
        },
        ..real(name)
    };
    let space = Space::new(vec![integer("a"), integer("b")]).unwrap();
    let demands = require(&["a % 32 == 0", "a <= b"]);
    let of = |kind| {
        let made = Sampler::new(kind, space.clone(), Goal::Minimize, 1).unwrap();
        made.requiring(demands.clone())
    };
    let (size, max) = (1_000_000, 1 << 18);
    let refused = of(SamplerKind::Grid).unwrap_err();
    assert_eq!(refused, SamplerError::GridNotListed { size, max });
    for kind in [SamplerKind::Random, SamplerKind::Sobol, SamplerKind::Tpe] {
        let mut sampler = of(kind).unwrap();
        let told = search(&mut sampler, 60);
        let points = points(&told);
        assert_eq!(distinct(&points), 60);
        assert!(points.iter().all(|point| demands.allow(point)), "{kind:?}");
    }
}

#[track_caller]
fn check_start(given: &[&[(&str, f64)]], texts: &[&str], expected: Result<usize, (usize, &str)>) {
    let kind = Parameter {
        range: Range::Choice {
            values: vec![Value::Int(1), Value::Int(2)],
            alike: Alike::None,
        },
        ..real("kind")
    };
    let child = Parameter {
        when: vec![crate::Condition {
            parameter: "kind".to_owned(),
            any_of: vec![Value::Int(2)],
        }],
        ..real("child")
    };
    let space = Space::new(vec![real("a"), kind, child]).unwrap();
    let point = |pairs: &&[(&str, f64)]| {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), Value::Real(*value)));
        pairs.collect::<Assignment>()
    };
    let given: Vec<Assignment> = given.iter().map(point).collect();
    let require = require(texts);
    let found = complete_start(&space, &require, 1, &given);
    for (whole, given) in found.iter().flatten().zip(&given) {
        assert!(space.contains(whole) && require.allow(whole), "{whole:?}");
        assert!(given.iter().all(|(name, value)| whole[name].same(value)));
    }
    let found = found.map(|points| points.len());
    let found = found.map_err(|(place, error): (usize, StartError)| (place, error.to_string()));
    assert_eq!(
        found,
        expected.map_err(|(place, text)| (place, text.to_owned()))
    );
}

#[test]
fn start_points_are_completed_or_refused() {
    check_start(&[&[], &[], &[("a", 0.5)], &[("child", 0.25)]], &[], Ok(4));
    check_start(&[&[("a", 0.5)]], &["kind == 2 and child > 0.9"], Ok(1));
    check_start(
        &[&[("b", 0.5)]],
        &[],
        Err((0, "b is not a parameter of this search")),
    );
    check_start(
        &[&[], &[("a", 1.5)]],
        &[],
        Err((1, "a: 1.5 is not in its range")),
    );
    check_start(
        &[&[("kind", 1.0), ("child", 0.5)]],
        &[],
        Err((0, "child exists only where kind is 2, and here that is 1.0")),
    );
    let whole: &[(&str, f64)] = &[("a", 0.5), ("kind", 1.0)];
    check_start(
        &[whole, whole],
        &[],
        Err((1, "is the same point as the one at 0")),
    );
    check_start(
        &[whole],
        &["a < 0.5"],
        Err((0, "require refuses it: a < 0.5")),
    );
    check_start(
        &[&[("kind", 2.0)]],
        &["kind == 1"],
        Err((0, "require refuses each of 10000 ways to complete it")),
    );
}

/// Trials of other searches: a bowl over two numbers, whose values do not matter but for their order.
fn other(count: u32, shift: f64) -> Vec<PriorTrial> {
    let draws = Sampler::new(SamplerKind::Random, plane(), Goal::Minimize, 9).unwrap();
    let mut told: Vec<(f64, Assignment)> = (0..count)
        .filter_map(|number| match draws.suggest(number) {
            Suggestion::Trial(point) => Some((bowl(&point, shift), point)),
            Suggestion::Exhausted { .. } => None,
        })
        .collect();
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = f64::from(count - 1);
    let told = (0..count).zip(told);
    told.map(|(place, (_, parameters))| PriorTrial {
        parameters,
        place: f64::from(place) / last,
    })
    .collect()
}

fn plane() -> Space {
    Space::new(vec![real("a"), real("b")]).unwrap()
}

fn bowl(point: &Assignment, centre: f64) -> f64 {
    let far = point
        .values()
        .filter_map(Value::as_f64)
        .map(|x| (x - centre) * (x - centre));
    far.sum()
}

/// The mean over seeds of the best of the first trials.
fn best_of_first(kind: SamplerKind, prior: &[PriorTrial], trials: u32) -> f64 {
    let best = |seed: u64| {
        let made = Sampler::new(kind, plane(), Goal::Minimize, seed).unwrap();
        let mut sampler = made.learning_from(&[prior.to_vec()]);
        let mut best = f64::INFINITY;
        for number in 0..trials {
            let Suggestion::Trial(parameters) = sampler.suggest(number) else {
                break;
            };
            let value = bowl(&parameters, 0.8);
            best = best.min(value);
            sampler.observe(&Event::Created { number, parameters });
            sampler.observe(&Event::Observed {
                number,
                at: 1,
                value,
            });
            let ending = crate::Ending::Completed;
            sampler.observe(&Event::Ended { number, ending });
        }
        best
    };
    (0..12).map(best).sum::<f64>() / 12.0
}

/// A search of the same makes the first trials good ones; one of something else is forgotten.
#[test]
fn other_searches_help_and_do_not_poison() {
    for kind in [SamplerKind::Tpe, SamplerKind::Auto] {
        let alone = best_of_first(kind, &[], 8);
        let warm = best_of_first(kind, &other(80, 0.8), 8);
        assert!(warm < alone, "{kind:?}: {warm} and {alone}");
        let misled = best_of_first(kind, &other(80, 0.1), 60);
        assert!(misled < 0.02, "{kind:?}: {misled}");
    }
}
