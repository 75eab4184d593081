//! Properties of every sampler and scheduler, over generated spaces and histories.
#![allow(clippy::unwrap_used)]

mod bound;
mod fronts;
mod schedulers;
mod told;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{
    Alike, Assignment, Condition, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind,
    Scheduler, SchedulerKind, Space, Suggestion, Value,
};

fn any_range() -> impl Strategy<Value = Range> {
    let real = |(a, b): (f64, f64), log| Range::Real {
        min: a.min(b),
        max: a.max(b),
        log,
    };
    let integer = |(a, b): (i64, i64), log| Range::Integer {
        min: a.min(b),
        max: a.max(b),
        log,
    };
    let finite = any::<f64>().prop_filter("finite", |x| x.is_finite());
    let positive = (1e-300..1e300, 1e-300..1e300);
    prop_oneof![
        (finite.clone(), finite).prop_map(move |ends| real(ends, false)),
        positive.prop_map(move |ends| real(ends, true)),
        any::<(i64, i64)>().prop_map(move |ends| integer(ends, false)),
        (1..=i64::MAX, 1..=i64::MAX).prop_map(move |ends| integer(ends, true)),
        small_range(),
    ]
}

/// At most five values.
fn small_range() -> impl Strategy<Value = Range> {
    let texts = |n: i64| (0..n).map(|i| Value::Text(format!("v{i}"))).collect();
    prop_oneof![
        (-3i64..3, 0i64..4).prop_map(|(min, width)| Range::Integer {
            min,
            max: min + width,
            log: false
        }),
        (1i64..4, 0i64..5).prop_map(|(min, width)| Range::Integer {
            min,
            max: min + width,
            log: true
        }),
        (1i64..5).prop_map(move |n| Range::Choice {
            values: texts(n),
            alike: Alike::None
        }),
        vec(0.01f64..100.0, 10).prop_map(move |distances| Range::Choice {
            values: texts(5),
            alike: Alike::Apart(apart(&distances)),
        }),
        Just(Range::Choice {
            values: vec![Value::Bool(false), Value::Bool(true)],
            alike: Alike::None
        }),
    ]
}

/// Any distances between five values, such as no places have.
fn apart(distances: &[f64]) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; 5]; 5];
    let pairs = (0..5).flat_map(|i| (0..i).map(move |j| (i, j)));
    for ((i, j), distance) in pairs.zip(distances) {
        rows[i][j] = *distance;
        rows[j][i] = *distance;
    }
    rows
}

/// Up to six parameters, each with up to two conditions on earlier ones that are not continuous.
fn spaces(range: impl Strategy<Value = Range>) -> impl Strategy<Value = Space> {
    let condition = any::<(Index, [Index; 2])>();
    vec((range, vec(condition, 0..3), any::<u8>()), 0..6).prop_map(|draft| {
        let mut parameters: Vec<Parameter> = Vec::new();
        for (i, (range, conditions, salt)) in draft.into_iter().enumerate() {
            let parents: Vec<&Parameter> = parameters
                .iter()
                .filter(|p| !matches!(p.range, Range::Real { .. }))
                .collect();
            let when = conditions
                .iter()
                .filter(|_| !parents.is_empty())
                .map(|(parent, values)| {
                    let parent = parent.get(&parents);
                    let count = parent.range.cardinality().unwrap().min(1 << 40) as usize;
                    let any_of = values
                        .iter()
                        .map(|v| parent.range.nth(v.index(count) as u128));
                    Condition {
                        parameter: parent.name.clone(),
                        any_of: any_of.collect(),
                    }
                });
            let when = when.collect();
            parameters.push(Parameter {
                name: format!("p{salt}.{i}"),
                range,
                when,
            });
        }
        Space::new(parameters).unwrap()
    })
}

/// The next suggestions, each asked for once those before it are created.
fn one_by_one(sampler: &mut Sampler, first: u32, count: u32) -> Vec<Suggestion> {
    let mut suggestions = Vec::new();
    for number in first..first + count {
        let suggestion = sampler.suggest(number);
        suggestions.push(suggestion.clone());
        let Suggestion::Trial(parameters) = suggestion else {
            break;
        };
        sampler.observe(&Event::Created { number, parameters });
    }
    suggestions
}

/// Samplers that do not look at results.
fn blind() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![Just(SamplerKind::Random), Just(SamplerKind::Sobol)]
}

/// Samplers that do.
fn looking() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![
        Just(SamplerKind::Auto),
        Just(SamplerKind::Tpe),
        Just(SamplerKind::Gp),
        Just(SamplerKind::Cmaes)
    ]
}

/// Schedulers whose rungs samplers look at, and none.
fn with_rungs() -> impl Strategy<Value = Scheduler> {
    let kind = prop_oneof![
        2 => Just(SchedulerKind::None),
        1 => Just(SchedulerKind::Asha { min: 1, max: 4, eta: 2 }),
        1 => Just(SchedulerKind::Hyperband { min: 1, max: 4, eta: 2 }),
        1 => Just(SchedulerKind::Bohb { min: 1, max: 4, eta: 2 }),
        1 => Just(SchedulerKind::Pasha { min: 1, max: 4, eta: 2 }),
    ];
    kind.prop_map(|kind| Scheduler::new(kind, Goal::Minimize, 4).unwrap())
}

/// A sampler that looks at results, under a scheduler. BOHB has only one.
fn under(
    kind: SamplerKind,
    space: &Space,
    goal: Goal,
    seed: u64,
    scheduler: &Scheduler,
) -> Sampler {
    let kind = match scheduler.kind() {
        SchedulerKind::Bohb { .. } => SamplerKind::Tpe,
        _ => kind,
    };
    let sampler = Sampler::new(kind, space.clone(), goal, seed).unwrap();
    sampler.under(scheduler).unwrap()
}

fn searching() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![blind(), looking()]
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => -2i32..3, // ties
        1 => Just(i32::MAX),
        1 => Just(i32::MIN),
        1 => Just(i32::MAX - 1),
    ]
    .prop_map(|code| match code {
        i32::MAX => f64::INFINITY,
        i32::MIN => f64::NEG_INFINITY,
        n if n == i32::MAX - 1 => f64::NAN,
        n => f64::from(n),
    })
}

/// Any order, numbers and units that need not make sense.
fn any_event() -> impl Strategy<Value = Event> {
    let number = prop_oneof![9 => 0u32..12, 1 => any::<u32>()];
    let at = prop_oneof![9 => 0u64..10, 1 => any::<u64>()];
    let ending = prop_oneof![
        Just(Ending::Completed),
        Just(Ending::Pruned),
        Just(Ending::Failed),
        Just(Ending::Cancelled)
    ];
    prop_oneof![
        1 => (number.clone(), 0i64..9).prop_map(|(number, x)| Event::Created {
            number,
            parameters: Assignment::from([("p0.0".to_owned(), Value::Int(x))]),
        }),
        6 => (number.clone(), at, any_value())
            .prop_map(|(number, at, value)| Event::Observed { number, at, value }),
        2 => (number.clone(), ending).prop_map(|(number, ending)| Event::Ended { number, ending }),
        2 => (number, 0u64..10, any_value(), any::<bool>()).prop_map(|(number, at, value, before)| Event::Violated {
            number,
            at,
            value,
            violation: if value > 0.0 { value } else { 0.5 },
            before,
        }),
    ]
}

/// Suggests `count` trials as a sweep would: each sees those before it as created.
fn search(sampler: &mut Sampler, count: u32) -> Vec<Suggestion> {
    let mut suggestions = Vec::new();
    for number in 0..count {
        let suggestion = sampler.suggest(number);
        if let Suggestion::Trial(parameters) = &suggestion {
            sampler.observe(&Event::Created {
                number,
                parameters: parameters.clone(),
            });
        }
        suggestions.push(suggestion);
    }
    suggestions
}

fn points(suggestions: &[Suggestion]) -> Vec<&Assignment> {
    let mut points = Vec::new();
    for suggestion in suggestions {
        if let Suggestion::Trial(point) = suggestion {
            points.push(point);
        }
    }
    points
}

/// A text in place of a set of assignments: values have no order of their own.
fn distinct(points: &[&Assignment]) -> usize {
    points
        .iter()
        .map(|point| format!("{point:?}"))
        .collect::<BTreeSet<_>>()
        .len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn suggestions_are_points_of_the_space(
        space in spaces(any_range()), kind in searching(), seed: u64, number: u32,
    ) {
        let sampler = Sampler::new(kind, space.clone(), Goal::Minimize, seed).unwrap();
        let Suggestion::Trial(point) = sampler.suggest(number) else {
            return Err(TestCaseError::fail("nothing has been tried yet"));
        };
        prop_assert!(space.contains(&point), "{:?}", point);
    }

    #[test]
    fn asking_twice_or_after_a_restart_is_the_same(
        space in spaces(any_range()), kind in blind(), seed: u64, noise in vec(any_event(), 0..8),
    ) {
        let fresh = || Sampler::new(kind, space.clone(), Goal::Maximize, seed).unwrap();
        let mut first = fresh();
        let told = search(&mut first, 12);
        prop_assert_eq!(first.suggest(12), first.suggest(12));

        let mut replayed = fresh();
        for (point, number) in points(&told).into_iter().zip(0..) {
            replayed.observe(&Event::Created { number, parameters: point.clone() });
            for event in noise.iter().filter(|event| !matches!(event, Event::Created { .. })) {
                replayed.observe(event); // results change nothing here
            }
        }
        prop_assert_eq!(&replayed, &first);
        prop_assert_eq!(replayed.suggest(12), first.suggest(12));

        let bytes = postcard::to_stdvec(&first).unwrap();
        let restored: Sampler = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(restored, first);
    }

    #[test]
    fn a_finite_space_is_searched_without_repetition_to_its_end(
        space in spaces(small_range()), kind in searching(), seed: u64,
    ) {
        let size = space.size().unwrap();
        prop_assume!(size <= 400);
        let mut sampler = Sampler::new(kind, space, Goal::Minimize, seed).unwrap();
        let told = search(&mut sampler, size as u32 + 1);
        let points = points(&told);
        prop_assert_eq!(points.len() as u128, size);
        prop_assert_eq!(distinct(&points) as u128, size);
        let ended = matches!(told.last(), Some(Suggestion::Exhausted { .. }));
        prop_assert!(ended, "{:?}", told.last());
    }

    #[test]
    fn a_grid_is_every_point_once(space in spaces(small_range())) {
        let size = space.size().unwrap();
        prop_assume!(size <= 2000);
        let mut grid = Sampler::new(SamplerKind::Grid, space.clone(), Goal::Minimize, 0).unwrap();
        prop_assert_eq!(grid.planned().map(u128::from), Some(size));
        let told = search(&mut grid, size as u32 + 1);
        let points = points(&told);
        prop_assert!(points.iter().all(|point| space.contains(point)));
        prop_assert_eq!(distinct(&points) as u128, size);
    }

    #[test]
    fn spaces_read_back_and_number_their_points(space in spaces(any_range()), index: Index) {
        let bytes = postcard::to_stdvec(&space).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Space>(&bytes).unwrap(), &space);
        let text = serde_json::to_string(&space).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Space>(&text).unwrap(), &space);
        if let Some(size) = space.size().filter(|size| *size < u128::MAX) {
            let rank = index.index(usize::MAX) as u128 % size;
            let point = space.point(rank).unwrap();
            prop_assert!(space.contains(&point));
            prop_assert_eq!(space.rank(&point), Some(rank));
            prop_assert_eq!(space.point(size), None);
        }
    }
}
