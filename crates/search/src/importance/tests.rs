#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Condition, Ending, Event, Parameter, Sampler, SamplerKind, Suggestion, Value};

fn parameter(name: &str, range: Range) -> Parameter {
    Parameter {
        name: name.to_owned(),
        range,
        when: vec![],
    }
}

fn real(name: &str) -> Parameter {
    let (min, max, log) = (0.0, 1.0, false);
    parameter(name, Range::Real { min, max, log })
}

fn choice(name: &str, values: &[&str]) -> Parameter {
    let values = values.iter().map(|v| Value::Text((*v).to_owned()));
    parameter(
        name,
        Range::Choice {
            values: values.collect(),
            alike: Alike::None,
        },
    )
}

fn number(point: &Assignment, name: &str) -> f64 {
    point.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

/// That many trials drawn evenly, with their values.
fn trials(space: &Space, count: u32, value: impl Fn(&Assignment) -> f64) -> Vec<(Assignment, f64)> {
    let sampler = Sampler::new(SamplerKind::Random, space.clone(), Goal::Minimize, 11).unwrap();
    let drawn = (0..count).map(|number| match sampler.suggest(number) {
        Suggestion::Trial(point) => point,
        Suggestion::Exhausted { reason } => panic!("{reason}"),
    });
    drawn.map(|point| (point.clone(), value(&point))).collect()
}

/// The importance of each parameter within `within` of what is expected, for either goal.
#[track_caller]
fn check(
    parameters: Vec<Parameter>,
    count: u32,
    value: impl Fn(&Assignment) -> f64,
    expected: &[(&str, f64)],
    within: f64,
) -> Importances {
    let space = Space::new(parameters).unwrap();
    let told = trials(&space, count, value);
    let found = importance(&space, &told, Goal::Minimize).unwrap();
    let sum: f64 = found.parameters.iter().map(|p| p.importance).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{found:?}");
    assert_eq!(found.parameters.len(), space.parameters().len());
    let falls = |pair: &[Importance]| pair[0].importance >= pair[1].importance;
    assert!(found.parameters.windows(2).all(falls), "{found:?}");
    for (name, expected) in expected {
        let own = found.parameters.iter().find(|p| p.parameter == *name);
        let own = own.unwrap().importance;
        assert!((own - expected).abs() <= within, "{name}: {found:?}");
    }
    let again = importance(&space, &told, Goal::Minimize);
    assert_eq!(again.as_ref(), Ok(&found));
    found
}

#[test]
fn one_of_three_matters() {
    let value = |p: &Assignment| (number(p, "b") - 0.3) * (number(p, "b") - 0.3);
    let expected = [("a", 0.0), ("b", 1.0), ("c", 0.0)];
    check(
        vec![real("a"), real("b"), real("c")],
        200,
        value,
        &expected,
        0.03,
    );
}

#[test]
fn shares_of_a_sum_are_those_of_the_variances() {
    // Variances 9/12, 4/12, 1/12 and 0.
    let value = |p: &Assignment| 3.0 * number(p, "a") - 2.0 * number(p, "b") + number(p, "c");
    let parameters = || vec![real("a"), real("b"), real("c"), real("d")];
    let expected = [
        ("a", 9.0 / 14.0),
        ("b", 4.0 / 14.0),
        ("c", 1.0 / 14.0),
        ("d", 0.0),
    ];
    check(parameters(), 400, value, &expected, 0.06);
    let upside_down = |p: &Assignment| 7.0 - 10.0 * value(p);
    check(parameters(), 400, upside_down, &expected, 0.06);
}

#[test]
fn categories_count_by_their_means() {
    // Means 0, 1 and 5: a variance of 14/3; that of 3 x is 9/12.
    let value = |p: &Assignment| {
        let kind = match &p["kind"] {
            Value::Text(kind) if kind == "adam" => 0.0,
            Value::Text(kind) if kind == "sgd" => 1.0,
            _ => 5.0,
        };
        kind + 3.0 * number(p, "x")
    };
    let parameters = vec![
        choice("kind", &["adam", "sgd", "lion"]),
        real("x"),
        choice("idle", &["a", "b", "c", "d"]),
    ];
    let all = 14.0 / 3.0 + 0.75;
    let expected = [("kind", 14.0 / 3.0 / all), ("x", 0.75 / all), ("idle", 0.0)];
    check(parameters, 300, value, &expected, 0.06);
}

#[test]
fn an_interaction_belongs_to_both() {
    let value = |p: &Assignment| (number(p, "a") - 0.5) * (number(p, "b") - 0.5);
    let expected = [("a", 0.5), ("b", 0.5), ("c", 0.0)];
    let found = check(
        vec![real("a"), real("b"), real("c")],
        1_000,
        value,
        &expected,
        0.1,
    );
    let first = &found.pairs[0];
    assert_eq!(first.parameters, ["a", "b"]);
    assert!(first.importance > 0.8, "{found:?}");
}

#[test]
fn a_parameter_that_is_not_active_explains_nothing() {
    // What matters is the kind; momentum is there in half of the trials, and does nothing.
    let momentum = Parameter {
        when: vec![Condition {
            parameter: "kind".to_owned(),
            any_of: vec![Value::Text("sgd".to_owned())],
        }],
        ..real("momentum")
    };
    let is_sgd = |p: &Assignment| p["kind"] == Value::Text("sgd".to_owned());
    let parameters = || {
        vec![
            choice("kind", &["sgd", "adam"]),
            momentum.clone(),
            real("x"),
        ]
    };
    let value = |p: &Assignment| f64::from(u8::from(is_sgd(p)));
    let expected = [("kind", 1.0), ("momentum", 0.0), ("x", 0.0)];
    check(parameters(), 200, value, &expected, 0.03);
    let value = |p: &Assignment| number(p, "momentum") + 0.1 * number(p, "x");
    let found = check(parameters(), 400, value, &[], 0.0);
    assert_eq!(found.parameters[2].parameter, "x", "{found:?}");
}

#[test]
fn how_bad_the_bad_are_is_left_out() {
    // One in fifty diverges, by anything.
    let value = |p: &Assignment| match number(p, "c") {
        c if c > 0.98 => 1e300 * c,
        _ => number(p, "a"),
    };
    let found = check(vec![real("a"), real("c")], 300, value, &[], 0.0);
    let own = |name| found.parameters.iter().find(|p| p.parameter == name);
    assert!(own("a").unwrap().importance > 0.3, "{found:?}");
}

/// As many trials as a sampler makes one after the other, with their values.
fn searched(
    space: &Space,
    kind: SamplerKind,
    seed: u64,
    count: u32,
    value: impl Fn(&Assignment) -> f64,
) -> Vec<(Assignment, f64)> {
    let mut sampler = Sampler::new(kind, space.clone(), Goal::Minimize, seed).unwrap();
    let mut told = Vec::new();
    for number in 0..count {
        let Suggestion::Trial(point) = sampler.suggest(number) else {
            panic!("a real space has no end");
        };
        let seen = value(&point);
        for event in [
            Event::Created {
                number,
                parameters: point.clone(),
            },
            Event::Observed {
                number,
                at: 1,
                value: seen,
            },
            Event::Ended {
                number,
                ending: Ending::Completed,
            },
        ] {
            sampler.observe(&event);
        }
        told.push((point, seen));
    }
    told
}

/// A search has most of its trials where values are good, but importance is that of the whole space.
#[test]
fn a_search_that_found_something_tells_of_the_whole_space() {
    // Two terms with a variance of 1 each. TPE looks at the ends of `x` in its first ten trials alone, too few for the bowl.
    let bowl = |p: &Assignment| {
        let x = number(p, "x") - 0.5;
        13.4 * x * x + 3.46 * number(p, "y")
    };
    let sum = |p: &Assignment| 3.46 * number(p, "x") + 3.46 * number(p, "y");
    let space = Space::new(vec![real("x"), real("y"), real("z")]).unwrap();
    for seed in 1..=2 {
        for told in [
            searched(&space, SamplerKind::Auto, seed, 120, bowl),
            searched(&space, SamplerKind::Auto, seed, 120, sum),
            searched(&space, SamplerKind::Tpe, seed, 120, sum),
        ] {
            let found = importance(&space, &told, Goal::Minimize).unwrap();
            let of = |name: &str| {
                let found = found.parameters.iter().find(|p| p.parameter == name);
                found.unwrap().importance
            };
            assert!((of("x") - 0.5).abs() < 0.15, "{seed}: {found:?}");
            assert!(of("z") < 0.05, "{seed}: {found:?}");
            let together = found.pairs.first().map_or(0.0, |pair| pair.importance);
            assert!(together < 0.05, "{seed}: {found:?}");
        }
    }
}

#[test]
fn integers_count_where_they_lie() {
    let (min, max, log) = (1, 1024, true);
    let width = parameter("width", Range::Integer { min, max, log });
    let value = |p: &Assignment| libm::log2(number(p, "width")) + number(p, "x");
    check(vec![width, real("x")], 300, value, &[("width", 0.99)], 0.03);
}

#[test]
fn one_parameter_is_all_there_is() {
    check(vec![real("a")], 16, |p| number(p, "a"), &[("a", 1.0)], 0.0);
}

#[track_caller]
fn check_refused(count: u32, value: impl Fn(&Assignment) -> f64, expected: &str) {
    let space = Space::new(vec![real("a"), real("b")]).unwrap();
    let told = trials(&space, count, value);
    let found = importance(&space, &told, Goal::Maximize);
    assert_eq!(found.unwrap_err().to_string(), expected);
}

#[test]
fn what_says_nothing_is_refused() {
    let too_few = "15 trials with a finite value to compare, importance needs at least 16: wait for more of them";
    check_refused(15, |p| number(p, "a"), too_few);
    // Half of them did not come to a number.
    let half = |p: &Assignment| match number(p, "a") {
        a if a < 0.5 => f64::NAN,
        a => a,
    };
    let space = Space::new(vec![real("a"), real("b")]).unwrap();
    let finite = trials(&space, 24, half);
    let finite = finite.iter().filter(|(_, v)| v.is_finite()).count();
    assert!(finite < 16);
    let few = too_few.replace("15", &finite.to_string());
    check_refused(24, half, &few);
    let same = "all 50 completed trials have the same value: no parameter makes a difference";
    check_refused(50, |_| 2.5, same);
    let nothing = importance(&Space::new(vec![]).unwrap(), &[], Goal::Minimize);
    assert_eq!(nothing, Err(ImportanceError::NoParameters));
}

/// Points of another space, as after an edit, do not count.
#[test]
fn strangers_are_left_out() {
    let space = Space::new(vec![real("a"), real("b")]).unwrap();
    let mut told = trials(&space, 40, |p| number(p, "a"));
    let expected = importance(&space, &told, Goal::Minimize);
    for x in 0..20 {
        let stranger = Assignment::from([("a".to_owned(), Value::Int(x))]);
        told.push((stranger, f64::from(x as i32)));
    }
    assert_eq!(importance(&space, &told, Goal::Minimize), expected);
}

/// The most that is looked at, in numbers that a person waits for.
#[test]
fn many_trials_of_many_parameters_end() {
    let parameters: Vec<Parameter> = (0..20).map(|i| real(&format!("x{i:02}"))).collect();
    let space = Space::new(parameters).unwrap();
    let told = trials(&space, 2_500, |p| 2.0 * number(p, "x03") + number(p, "x17"));
    let found = importance(&space, &told, Goal::Minimize).unwrap();
    assert_eq!(found.parameters[0].parameter, "x03");
    assert_eq!(found.parameters[1].parameter, "x17");
    assert!(found.parameters[0].importance > 0.7, "{found:?}");
}
