//! Properties of samplers that are told what came of their trials.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    any_event, any_range, any_value, distinct, looking, one_by_one, points, search, searching,
    small_range, spaces, under, with_rungs,
};
use crate::{
    Condition, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind, Space, Suggestion,
    Value,
};

/// What comes of a trial: values of its evaluations, and how it ends if it does.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    values: Vec<f64>,
    ending: Option<Ending>,
    /// From this evaluation on its values break a requirement.
    broken_from: usize,
    /// It comes in after that many more trials have been created.
    late: u32,
}

pub(super) fn outcomes(count: usize) -> impl Strategy<Value = Vec<Outcome>> {
    let ending = prop_oneof![
        4 => Just(Some(Ending::Completed)),
        1 => Just(Some(Ending::Pruned)),
        1 => Just(Some(Ending::Failed)),
        1 => Just(Some(Ending::Cancelled)),
        1 => Just(None),
    ];
    let value = prop_oneof![3 => -5.0..5.0, 1 => any_value()];
    let broken_from = prop_oneof![3 => Just(usize::MAX), 1 => 0usize..4];
    let outcome = (vec(value, 0..6), ending, 0u32..4, broken_from);
    let outcome = outcome.prop_map(|(values, ending, late, broken_from)| Outcome {
        values,
        ending,
        broken_from,
        late,
    });
    vec(outcome, count)
}

fn facts(number: u32, outcome: &Outcome) -> Vec<Event> {
    let values = outcome.values.iter().zip(1..);
    let observed = values.map(|(&value, at)| match at > outcome.broken_from as u64 {
        true => Event::Violated {
            number,
            at,
            value,
            violation: at as f64,
            before: at % 2 == 0,
        },
        false => Event::Observed { number, at, value },
    });
    let ended = outcome.ending.map(|ending| Event::Ended { number, ending });
    observed.chain(ended).collect()
}

/// A sweep that is told what comes of its trials. Trials whose results come between the same two creations are told in
/// an order that `backwards` turns round; each trial's own events keep theirs. Gives the history, and what came of it.
pub(super) fn search_told(
    sampler: &mut Sampler,
    outcomes: &[Outcome],
    backwards: bool,
) -> (Vec<Event>, Vec<Suggestion>) {
    let mut history = Vec::new();
    let mut suggestions = Vec::new();
    for number in 0..outcomes.len() as u32 {
        let suggestion = sampler.suggest(number);
        let Suggestion::Trial(parameters) = suggestion.clone() else {
            suggestions.push(suggestion);
            break;
        };
        suggestions.push(suggestion);
        history.push(Event::Created { number, parameters });
        sampler.observe(&history[history.len() - 1]);
        let mut due: Vec<u32> = (0..=number)
            .filter(|n| n + outcomes[*n as usize].late == number)
            .collect();
        if backwards {
            due.reverse();
        }
        for number in due {
            for fact in facts(number, &outcomes[number as usize]) {
                sampler.observe(&fact);
                history.push(fact);
            }
        }
    }
    (history, suggestions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn results_between_two_creations_commute_and_a_restart_changes_nothing(
        space in spaces(any_range()), kind in looking(), seed: u64, outcomes in outcomes(28), maximize: bool,
        scheduler in with_rungs(),
    ) {
        let goal = if maximize { Goal::Maximize } else { Goal::Minimize };
        let fresh = || under(kind, &space, goal, seed, &scheduler);
        let mut sampler = fresh();
        let (history, told) = search_told(&mut sampler, &outcomes, false);
        prop_assert!(points(&told).iter().all(|point| space.contains(point)));
        let mut twin = fresh();
        prop_assert_eq!(&search_told(&mut twin, &outcomes, true).1, &told);
        prop_assert_eq!(&twin, &sampler);

        let next = outcomes.len() as u32;
        let expected = sampler.suggest(next);
        prop_assert_eq!(&sampler.suggest(next), &expected, "asked twice");
        let mut replayed = fresh();
        history.iter().for_each(|event| replayed.observe(event));
        prop_assert_eq!(&replayed.suggest(next), &expected);
        let bytes = postcard::to_stdvec(&sampler).unwrap();
        let restored: Sampler = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&restored, &sampler);
        prop_assert_eq!(&restored.suggest(next), &expected);
    }

    #[test]
    fn suggestions_of_a_batch_see_those_before_them_as_created(
        space in spaces(prop_oneof![any_range(), small_range()]), kind in searching(), seed: u64,
        outcomes in outcomes(14), count in 0u32..6,
    ) {
        let mut sampler = Sampler::new(kind, space, Goal::Minimize, seed).unwrap();
        let (_, told) = search_told(&mut sampler, &outcomes, false);
        let first = told.len() as u32;
        let batch = sampler.suggest_many(first, count);
        prop_assert_eq!(batch, one_by_one(&mut sampler, first, count));
    }

    #[test]
    fn samplers_take_any_history(
        space in spaces(prop_oneof![any_range(), small_range()]), kind in searching(), seed: u64,
        events in vec(any_event(), 0..80), number: u32, scheduler in with_rungs(),
    ) {
        let mut sampler = under(kind, &space, Goal::Maximize, seed, &scheduler);
        search(&mut sampler, 10);
        events.iter().for_each(|event| sampler.observe(event));
        if let Suggestion::Trial(point) = sampler.suggest(number) {
            prop_assert!(space.contains(&point), "{:?}", point);
        }
        let bytes = postcard::to_stdvec(&sampler).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Sampler>(&bytes).unwrap(), &sampler);
    }

    #[test]
    fn a_finite_space_is_searched_to_its_end_whatever_comes_of_its_trials(
        space in spaces(small_range()), kind in looking(), seed: u64, outcomes in outcomes(81), constant: bool,
        scheduler in with_rungs(),
    ) {
        let size = space.size().unwrap();
        prop_assume!(size <= 80);
        let mut outcomes = outcomes;
        if constant {
            outcomes.iter_mut().for_each(|o| *o = Outcome { values: vec![1.5], ending: Some(Ending::Completed), broken_from: usize::MAX, late: 0 });
        }
        let mut sampler = under(kind, &space, Goal::Minimize, seed, &scheduler);
        let (_, told) = search_told(&mut sampler, &outcomes, false);
        let points = points(&told);
        prop_assert_eq!(points.len() as u128, size);
        prop_assert_eq!(distinct(&points) as u128, size);
        let ended = matches!(told.last(), Some(Suggestion::Exhausted { .. }));
        prop_assert!(ended, "{:?}", told.last());
    }
}

/// Points whose continuous parameter is not active are told apart: each comes once, then only the branch that has more.
#[test]
fn finite_branches_of_a_continuous_space_do_not_repeat() {
    let flag = |name: &str| Parameter {
        name: name.to_owned(),
        range: Range::Integer {
            min: 0,
            max: 2,
            log: false,
        },
        when: vec![],
    };
    let real = Parameter {
        name: "x".to_owned(),
        range: Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        },
        when: vec![Condition {
            parameter: "a".to_owned(),
            any_of: vec![Value::Int(0)],
        }],
    };
    let space = Space::new(vec![flag("a"), flag("b"), real]).unwrap();
    assert_eq!(space.size(), None);
    for kind in [
        SamplerKind::Random,
        SamplerKind::Sobol,
        SamplerKind::Tpe,
        SamplerKind::Gp,
        SamplerKind::Cmaes,
        SamplerKind::Auto,
    ] {
        let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, 3).unwrap();
        let outcome = |number| Outcome {
            values: vec![f64::from(number)],
            ending: Some(Ending::Completed),
            broken_from: usize::MAX,
            late: 0,
        };
        let outcomes: Vec<Outcome> = (0..60).map(outcome).collect();
        let (_, told) = search_told(&mut sampler, &outcomes, false);
        let points = points(&told);
        assert_eq!(points.len(), 60);
        assert_eq!(distinct(&points), 60, "{kind:?}");
    }
}

/// A hundred thousand trials, a thousand of them running: what is kept grows by a fixed size a trial.
#[test]
fn a_long_history_has_bounded_memory() {
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
    let draws = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 5).unwrap();
    for kind in [
        SamplerKind::Tpe,
        SamplerKind::Gp,
        SamplerKind::Cmaes,
        SamplerKind::Auto,
    ] {
        let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, 5).unwrap();
        for number in 0..TRIALS {
            let Suggestion::Trial(parameters) = draws.suggest(number) else {
                panic!("a continuous space does not end");
            };
            let value = parameters.values().filter_map(Value::as_f64).sum();
            sampler.observe(&Event::Created { number, parameters });
            if number < TRIALS - RUNNING {
                for at in 1..4 {
                    sampler.observe(&Event::Observed { number, at, value });
                }
                let ending = Ending::Completed;
                sampler.observe(&Event::Ended { number, ending });
            }
        }
        let bytes = postcard::to_stdvec(&sampler).unwrap().len();
        let per_trial = bytes as f64 / f64::from(TRIALS);
        assert!(per_trial < 130.0, "{kind:?}: {per_trial} bytes a trial");
        assert_eq!(sampler.suggest_many(TRIALS, 3).len(), 3);
    }
}
