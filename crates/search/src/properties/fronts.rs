//! Properties of fronts, of hypervolumes, and of searches of several objectives.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{any_range, any_value, distinct, one_by_one, points, search, small_range, spaces};
use crate::{
    Assignment, Ending, Event, Goal, Parameter, Range, Requirement, Requirements, Sampler,
    SamplerKind, Space, Suggestion, Value, front, hypervolume,
};

fn goals(objectives: usize) -> impl Strategy<Value = Vec<Goal>> {
    let goal = prop_oneof![Just(Goal::Minimize), Just(Goal::Maximize)];
    vec(goal, objectives)
}

/// Goals and points of as many values, of which few are not numbers.
fn valued(count: usize) -> impl Strategy<Value = (Vec<Goal>, Vec<Vec<f64>>)> {
    (1usize..=3).prop_flat_map(move |objectives| {
        let value = prop_oneof![4 => (0i32..5).prop_map(f64::from), 1 => any_value()];
        (goals(objectives), vec(vec(value, objectives), 0..count))
    })
}

fn dominates(goals: &[Goal], a: &[f64], b: &[f64]) -> bool {
    let pairs = || goals.iter().zip(a.iter().zip(b));
    pairs().all(|(goal, (a, b))| !goal.better(*b, *a))
        && pairs().any(|(goal, (a, b))| goal.better(*a, *b))
}

fn looking() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![
        Just(SamplerKind::Auto),
        Just(SamplerKind::Tpe),
        Just(SamplerKind::Gp),
        Just(SamplerKind::Nsga2)
    ]
}

fn searching() -> impl Strategy<Value = SamplerKind> {
    prop_oneof![
        4 => looking(),
        1 => Just(SamplerKind::Sobol),
        1 => Just(SamplerKind::Random),
    ]
}

/// What comes of a trial: vectors of its evaluations, and how it ends if it does.
#[derive(Clone, Debug)]
struct Outcome {
    vectors: Vec<Vec<f64>>,
    ending: Option<Ending>,
    /// From this evaluation on its values break a requirement.
    broken_from: usize,
    /// It comes in after that many more trials have been created.
    late: u32,
}

fn outcomes(count: usize) -> impl Strategy<Value = Vec<Outcome>> {
    let ending = prop_oneof![
        5 => Just(Some(Ending::Completed)),
        1 => Just(Some(Ending::Failed)),
        1 => Just(Some(Ending::Cancelled)),
        1 => Just(None),
    ];
    let value = || prop_oneof![4 => -5.0..5.0, 1 => any_value()];
    // Of two or three objectives; in a search of the other number they are no vectors of its own.
    let vector = prop_oneof![8 => vec(value(), 3), 1 => vec(value(), 0..5)];
    let broken_from = prop_oneof![4 => Just(usize::MAX), 1 => 0usize..3];
    let outcome = (vec(vector, 0..3), ending, 0u32..4, broken_from);
    let outcome = outcome.prop_map(|(vectors, ending, late, broken_from)| Outcome {
        vectors,
        ending,
        broken_from,
        late,
    });
    vec(outcome, count)
}

fn facts(number: u32, outcome: &Outcome, objectives: usize) -> Vec<Event> {
    let vectors = outcome.vectors.iter().zip(1..);
    let told = vectors.flat_map(|(vector, at)| {
        let mut values = vector.clone();
        if values.len() == 3 {
            values.truncate(objectives);
        }
        let value = values.first().copied().unwrap_or(0.0);
        let first = Event::Observed { number, at, value };
        let vector = match at > outcome.broken_from as u64 {
            true => Event::Violated {
                number,
                at,
                value,
                violation: at as f64,
                before: at % 2 == 0,
            },
            false => Event::Several { number, at, values },
        };
        [first, vector]
    });
    let ended = outcome.ending.map(|ending| Event::Ended { number, ending });
    told.chain(ended).collect()
}

fn negated(event: &Event) -> Event {
    match event.clone() {
        Event::Several { number, at, values } => Event::Several {
            number,
            at,
            values: values.iter().map(|value| -value).collect(),
        },
        other => other,
    }
}

/// As `told::search_told`, of vectors.
fn search_told(
    sampler: &mut Sampler,
    outcomes: &[Outcome],
    objectives: usize,
    backwards: bool,
    turn: impl Fn(&Event) -> Event,
) -> (Vec<Event>, Vec<Suggestion>) {
    let mut history = Vec::new();
    let mut suggestions = Vec::new();
    for number in 0..outcomes.len() as u32 {
        let suggestion = sampler.suggest(number);
        suggestions.push(suggestion.clone());
        let Suggestion::Trial(parameters) = suggestion else {
            break;
        };
        history.push(Event::Created { number, parameters });
        sampler.observe(&history[history.len() - 1]);
        let mut due: Vec<u32> = (0..=number)
            .filter(|n| n + outcomes[*n as usize].late == number)
            .collect();
        if backwards {
            due.reverse();
        }
        for number in due {
            for fact in facts(number, &outcomes[number as usize], objectives) {
                let fact = turn(&fact);
                sampler.observe(&fact);
                history.push(fact);
            }
        }
    }
    (history, suggestions)
}

fn toward(kind: SamplerKind, space: &Space, goals: &[Goal], seed: u64) -> Sampler {
    let sampler = Sampler::new(kind, space.clone(), goals[0], seed).unwrap();
    sampler.toward(goals).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_front_is_what_comparing_all_with_all_says((goals, values) in valued(24)) {
        let values: Vec<&[f64]> = values.iter().map(|point| &point[..]).collect();
        let is_whole = |i: &usize| values[*i].iter().all(|x| !x.is_nan());
        let whole: Vec<usize> = (0..values.len()).filter(is_whole).collect();
        let is_best = |i: &usize| !whole.iter().any(|j| dominates(&goals, values[*j], values[*i]));
        let expected: Vec<usize> = whole.iter().copied().filter(is_best).collect();
        prop_assert_eq!(front(&goals, &values), expected);
    }

    #[test]
    fn a_hypervolume_is_what_inclusion_and_exclusion_say((goals, values) in valued(9), corner in vec(0i32..6, 3)) {
        let reference: Vec<f64> = corner.iter().take(goals.len()).map(|x| f64::from(*x)).collect();
        let values: Vec<&[f64]> = values.iter().map(|point| &point[..]).collect();
        let finite = values.iter().filter(|point| point.iter().all(|x| x.is_finite()));
        let finite: Vec<&[f64]> = finite.copied().collect();
        let mut expected = 0.0;
        for set in 1u32..1 << finite.len() {
            let members = || (0..finite.len()).filter(|i| set >> i & 1 == 1);
            let mut common = 1.0;
            for (d, goal) in goals.iter().enumerate() {
                // What all of them dominate begins at the worst.
                let worst = members().map(|i| finite[i][d]);
                let worst = worst.reduce(|a, b| if goal.better(a, b) { b } else { a }).unwrap();
                let length = if goal.better(worst, reference[d]) { (reference[d] - worst).abs() } else { 0.0 };
                common *= length;
            }
            expected += if set.count_ones() % 2 == 1 { common } else { -common };
        }
        let found = hypervolume(&goals, &values, &reference);
        prop_assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found} {expected}");
        let on_front: Vec<&[f64]> = front(&goals, &finite).into_iter().map(|i| finite[i]).collect();
        let of_front = hypervolume(&goals, &on_front, &reference);
        prop_assert!((found - of_front).abs() < 1e-9 * found.max(1.0), "{found} {of_front}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn results_of_several_objectives_commute_and_a_restart_changes_nothing(
        space in spaces(any_range()), kind in looking(), seed: u64, outcomes in outcomes(30),
        goals in prop_oneof![goals(2), goals(3)],
    ) {
        let objectives = goals.len();
        let same = |event: &Event| event.clone();
        let fresh = || toward(kind, &space, &goals, seed);
        let mut sampler = fresh();
        let (history, told) = search_told(&mut sampler, &outcomes, objectives, false, same);
        prop_assert!(points(&told).iter().all(|point| space.contains(point)));
        let mut twin = fresh();
        prop_assert_eq!(&search_told(&mut twin, &outcomes, objectives, true, same).1, &told);
        prop_assert_eq!(&twin, &sampler);

        let next = outcomes.len() as u32;
        let expected = sampler.suggest_many(next, 3);
        prop_assert_eq!(&sampler.suggest_many(next, 3), &expected, "asked twice");
        let mut replayed = fresh();
        history.iter().for_each(|event| replayed.observe(event));
        prop_assert_eq!(&replayed.suggest_many(next, 3), &expected);
        let bytes = postcard::to_stdvec(&sampler).unwrap();
        let restored: Sampler = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&restored, &sampler);
        prop_assert_eq!(&restored.suggest_many(next, 3), &expected);
    }

    #[test]
    fn the_largest_are_the_negatives_smallest(
        space in spaces(any_range()), kind in looking(), seed: u64, outcomes in outcomes(20), goals in goals(2),
    ) {
        let mut sampler = toward(kind, &space, &goals, seed);
        let (_, told) = search_told(&mut sampler, &outcomes, 2, false, Event::clone);
        let turned: Vec<Goal> = goals.iter().map(|goal| match goal {
            Goal::Minimize => Goal::Maximize,
            Goal::Maximize => Goal::Minimize,
        }).collect();
        let mut mirror = toward(kind, &space, &turned, seed);
        prop_assert_eq!(search_told(&mut mirror, &outcomes, 2, false, negated).1, told);
    }

    #[test]
    fn suggestions_of_a_batch_of_several_objectives_see_those_before_them(
        space in spaces(prop_oneof![any_range(), small_range()]), kind in searching(), seed: u64,
        outcomes in outcomes(16), count in 0u32..5, goals in goals(2),
    ) {
        let mut sampler = toward(kind, &space, &goals, seed);
        let (_, told) = search_told(&mut sampler, &outcomes, 2, false, Event::clone);
        let first = told.len() as u32;
        let batch = sampler.suggest_many(first, count);
        prop_assert_eq!(batch, one_by_one(&mut sampler, first, count));
    }

    #[test]
    fn a_finite_space_of_several_objectives_is_searched_to_its_end(
        space in spaces(small_range()), kind in looking(), seed: u64, outcomes in outcomes(81), constant: bool,
        goals in prop_oneof![goals(2), goals(3)],
    ) {
        let size = space.size().unwrap();
        prop_assume!(size <= 80);
        let mut outcomes = outcomes;
        if constant {
            outcomes.iter_mut().for_each(|o| *o = Outcome {
                vectors: vec![vec![1.5; 3]],
                ending: Some(Ending::Completed),
                broken_from: usize::MAX,
                late: 0,
            });
        }
        let mut sampler = toward(kind, &space, &goals, seed);
        let (_, told) = search_told(&mut sampler, &outcomes, goals.len(), false, Event::clone);
        let points = points(&told);
        prop_assert_eq!(points.len() as u128, size);
        prop_assert_eq!(distinct(&points) as u128, size);
        let ended = matches!(told.last(), Some(Suggestion::Exhausted { .. }));
        prop_assert!(ended, "{:?}", told.last());
    }

    #[test]
    fn searches_of_several_objectives_take_any_history(
        space in spaces(prop_oneof![any_range(), small_range()]), kind in searching(), seed: u64,
        events in vec((0u32..14, super::any_event(), vec(any_value(), 0..4)), 0..80), goals in goals(2), number: u32,
    ) {
        let mut sampler = toward(kind, &space, &goals, seed);
        search(&mut sampler, 12);
        for (number, event, values) in events {
            sampler.observe(&event);
            sampler.observe(&Event::Several { number, at: u64::from(number), values });
        }
        if let Suggestion::Trial(point) = sampler.suggest(number) {
            prop_assert!(space.contains(&point), "{:?}", point);
        }
        let bytes = postcard::to_stdvec(&sampler).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Sampler>(&bytes).unwrap(), &sampler);
    }

    #[test]
    fn what_is_required_of_parameters_holds_with_several_objectives(
        kind in searching(), seed: u64, outcomes in outcomes(24), goals in goals(2), finite: bool,
    ) {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            range: match finite {
                true => Range::Integer { min: 0, max: 7, log: false },
                false => Range::Real { min: 0.0, max: 7.0, log: false },
            },
            when: vec![],
        };
        let space = Space::new(vec![parameter("a"), parameter("b")]).unwrap();
        let require = Requirements::new(vec![Requirement::parse("a * b <= 6").unwrap()]);
        let mut sampler = toward(kind, &space, &goals, seed).requiring(require).unwrap();
        let (_, told) = search_told(&mut sampler, &outcomes, 2, false, Event::clone);
        prop_assert!(points(&told).iter().all(|point| sampler.allows(point)));
        prop_assert!(!finite || distinct(&points(&told)) == points(&told).len());
    }
}

/// A hundred thousand trials, a thousand of them running: what is kept grows by a fixed size a trial, and a long front is no
/// trouble.
#[test]
fn a_long_history_of_several_objectives_has_bounded_memory() {
    const TRIALS: u32 = 100_000;
    const RUNNING: u32 = 1_000;
    let real = |i| Parameter {
        name: format!("p{i}"),
        range: Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        },
        when: vec![],
    };
    let space = Space::new((0..10).map(real).collect()).unwrap();
    let goals = [Goal::Minimize, Goal::Maximize];
    let draws = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 5).unwrap();
    let mut sampler = toward(SamplerKind::Nsga2, &space, &goals, 5);
    for number in 0..TRIALS {
        let Suggestion::Trial(parameters) = draws.suggest(number) else {
            panic!("a continuous space does not end");
        };
        let values: Vec<f64> = parameters.values().filter_map(Value::as_f64).collect();
        // About a thousandth of the trials is on the front.
        let values = vec![values[0], values[0] - 0.01 * values[1]];
        sampler.observe(&Event::Created { number, parameters });
        if number < TRIALS - RUNNING {
            let (at, ending) = (1, Ending::Completed);
            sampler.observe(&Event::Several { number, at, values });
            sampler.observe(&Event::Ended { number, ending });
        }
    }
    let bytes = postcard::to_stdvec(&sampler).unwrap().len();
    let per_trial = bytes as f64 / f64::from(TRIALS);
    assert!(per_trial < 160.0, "{per_trial} bytes a trial");
    let suggestions = sampler.suggest_many(TRIALS, 3);
    let points: Vec<&Assignment> = points(&suggestions);
    assert_eq!(distinct(&points), 3);
}
