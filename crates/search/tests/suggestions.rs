//! The suggestions of every sampler, bit for bit. What is written down here has been released: a sweep that resumes
//! must go on with the same trials, so a difference is a break, not a reason to replace the file.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use bonfire_search::{
    Alike, Assignment, Condition, Ending, Event, Goal, Parameter, Range, Sampler, SamplerKind,
    Scheduler, SchedulerKind, Space, Suggestion, Value,
};

fn texts(values: &[&str]) -> Range {
    let values = values.iter().map(|value| Value::Text((*value).to_owned()));
    Range::Choice {
        values: values.collect(),
        alike: Alike::None,
    }
}

fn parameter(name: &str, range: Range) -> Parameter {
    Parameter {
        name: name.to_owned(),
        range,
        when: Vec::new(),
    }
}

fn when(mut parameter: Parameter, parent: &str, value: &str) -> Parameter {
    let any_of = vec![Value::Text(value.to_owned())];
    parameter.when.push(Condition {
        parameter: parent.to_owned(),
        any_of,
    });
    parameter
}

fn mixed() -> Vec<Parameter> {
    let momentum = parameter(
        "optimizer.momentum",
        Range::Real {
            min: 0.0,
            max: 0.99,
            log: false,
        },
    );
    let widths = [32, 64, 128, 256].map(Value::Int).to_vec();
    vec![
        parameter(
            "optimizer.lr",
            Range::Real {
                min: 1e-5,
                max: 1e-1,
                log: true,
            },
        ),
        parameter(
            "model.hidden[0]",
            Range::Choice {
                values: widths,
                alike: Alike::Neighbours,
            },
        ),
        parameter(
            "model.depth",
            Range::Integer {
                min: 1,
                max: 5,
                log: false,
            },
        ),
        parameter(
            "data.batch",
            Range::Integer {
                min: 8,
                max: 512,
                log: true,
            },
        ),
        parameter("optimizer.kind", texts(&["adamw", "sgd"])),
        when(momentum, "optimizer.kind", "sgd"),
    ]
}

fn finite() -> Vec<Parameter> {
    vec![
        parameter(
            "depth",
            Range::Integer {
                min: 1,
                max: 3,
                log: false,
            },
        ),
        parameter("kind", texts(&["adam", "sgd", "none"])),
        when(
            parameter(
                "nesterov",
                Range::Choice {
                    values: vec![Value::Bool(false), Value::Bool(true)],
                    alike: Alike::None,
                },
            ),
            "kind",
            "sgd",
        ),
    ]
}

fn line(point: &Assignment) -> String {
    let pairs: Vec<String> = point
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(" ")
}

/// `count` suggestions, each seeing those before it as created.
#[track_caller]
fn check(kind: SamplerKind, parameters: Vec<Parameter>, count: u32, expected: &str) {
    let space = Space::new(parameters).unwrap();
    let mut sampler = Sampler::new(kind, space, Goal::Minimize, 17).unwrap();
    let mut found = String::new();
    for number in 0..count {
        match sampler.suggest(number) {
            Suggestion::Trial(parameters) => {
                writeln!(found, "{number} {}", line(&parameters)).unwrap();
                sampler.observe(&Event::Created { number, parameters });
            }
            Suggestion::Exhausted { reason } => writeln!(found, "{number} end: {reason}").unwrap(),
        }
    }
    assert!(
        found == expected,
        "suggestions of {kind:?} differ, now they are:\n{found}"
    );
}

/// A loss that every machine computes alike: sums and products only.
fn loss(point: &Assignment) -> f64 {
    let number = |name| point.get(name).and_then(Value::as_f64);
    let adamw = point.get("optimizer.kind") == Some(&Value::Text("adamw".to_owned()));
    let lr = number("optimizer.lr").unwrap_or(0.0) - 0.003;
    let depth = number("model.depth").or(number("depth")).unwrap_or(0.0) - 3.0;
    let batch = number("data.batch").unwrap_or(0.0) - 64.0;
    let momentum = number("optimizer.momentum").unwrap_or(0.0) - 0.9;
    lr * lr * 1e4 + depth * depth + batch * batch * 1e-4 + momentum * momentum + f64::from(adamw)
}

/// As `check`, where each trial's result is known before the next suggestion; every seventh fails, every fifth is
/// pruned, and the last three are a batch.
#[track_caller]
fn check_told(kind: SamplerKind, parameters: Vec<Parameter>, count: u32, expected: &str) {
    let space = Space::new(parameters).unwrap();
    let mut sampler = Sampler::new(kind, space, Goal::Minimize, 17).unwrap();
    let mut found = String::new();
    for number in 0..count {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            break;
        };
        let value = loss(&parameters);
        writeln!(found, "{number} {} -> {value}", line(&parameters)).unwrap();
        sampler.observe(&Event::Created { number, parameters });
        sampler.observe(&Event::Observed {
            number,
            at: 1,
            value,
        });
        let ending = match number {
            n if n % 7 == 6 => Ending::Failed,
            n if n % 5 == 4 => Ending::Pruned,
            _ => Ending::Completed,
        };
        sampler.observe(&Event::Ended { number, ending });
    }
    for (number, suggestion) in (count..).zip(sampler.suggest_many(count, 3)) {
        match suggestion {
            Suggestion::Trial(parameters) => {
                writeln!(found, "{number} {}", line(&parameters)).unwrap();
            }
            Suggestion::Exhausted { reason } => writeln!(found, "{number} end: {reason}").unwrap(),
        }
    }
    assert!(
        found == expected,
        "suggestions of {kind:?} differ, now they are:\n{found}"
    );
}

/// As `check_told`, under a scheduler with rungs at 1, 3 and 9. Values fall towards the loss, so that what a trial was worth early says
/// little beside the value of one that has trained on.
#[track_caller]
fn check_on_rungs(kind: SamplerKind, scheduler: SchedulerKind, count: u32, expected: &str) {
    let space = Space::new(mixed()).unwrap();
    let mut scheduler = Scheduler::new(scheduler, Goal::Minimize, 9).unwrap();
    let sampler = Sampler::new(kind, space, Goal::Minimize, 17).unwrap();
    let mut sampler = sampler.under(&scheduler).unwrap();
    let mut losses = Vec::new();
    let mut found = String::new();
    for number in 0..count {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            break;
        };
        writeln!(found, "{number} {}", line(&parameters)).unwrap();
        losses.push(loss(&parameters));
        let created = Event::Created { number, parameters };
        sampler.observe(&created);
        scheduler.observe(&created);
        let mut next = Some((number, 1, scheduler.first_until(number)));
        while let Some((number, from, until)) = next {
            for at in from..=until {
                let value = losses[number as usize] + 100.0 / at as f64;
                let event = Event::Observed { number, at, value };
                sampler.observe(&event);
                scheduler.observe(&event);
            }
            next = scheduler.promotable().map(|promotion| {
                let from = scheduler.until(promotion.number).unwrap() + 1;
                scheduler.promoted(promotion.number);
                (promotion.number, from, promotion.until)
            });
        }
    }
    assert!(
        found == expected,
        "suggestions of {kind:?} under {:?} differ, now they are:\n{found}",
        scheduler.kind()
    );
}

#[test]
fn tpe_under_asha() {
    let (min, max, eta) = (1, 9, 3);
    check_on_rungs(
        SamplerKind::Tpe,
        SchedulerKind::Asha { min, max, eta },
        120,
        include_str!("golden/tpe-asha.txt"),
    );
}

#[test]
fn auto_under_hyperband() {
    let (min, max, eta) = (1, 9, 3);
    check_on_rungs(
        SamplerKind::Auto,
        SchedulerKind::Hyperband { min, max, eta },
        80,
        include_str!("golden/auto-hyperband.txt"),
    );
}

#[test]
fn bohb() {
    let (min, max, eta) = (1, 9, 3);
    check_on_rungs(
        SamplerKind::Auto,
        SchedulerKind::Bohb { min, max, eta },
        120,
        include_str!("golden/bohb.txt"),
    );
}

/// As `check_told`, toward a small loss, few parameters at most and, of three objectives, a large batch.
#[track_caller]
fn check_several(kind: SamplerKind, objectives: usize, count: u32, expected: &str) {
    let space = Space::new(mixed()).unwrap();
    let goals = [Goal::Minimize, Goal::Minimize, Goal::Maximize];
    let sampler = Sampler::new(kind, space, Goal::Minimize, 17).unwrap();
    let mut sampler = sampler.toward(&goals[..objectives]).unwrap();
    let mut found = String::new();
    for number in 0..count {
        let Suggestion::Trial(parameters) = sampler.suggest(number) else {
            break;
        };
        let size = |name: &str| parameters[name].as_f64().unwrap();
        let cost = size("model.hidden[0]") * size("model.depth");
        let mut values = vec![loss(&parameters), cost, size("data.batch")];
        values.truncate(objectives);
        writeln!(found, "{number} {} -> {values:?}", line(&parameters)).unwrap();
        sampler.observe(&Event::Created { number, parameters });
        if number % 11 == 10 {
            let (at, value, violation, before) = (1, values[0], f64::from(number), false);
            sampler.observe(&Event::Violated {
                number,
                at,
                value,
                violation,
                before,
            });
        } else {
            let at = 1;
            sampler.observe(&Event::Several { number, at, values });
        }
        let ending = match number {
            n if n % 7 == 6 => Ending::Failed,
            n if n % 5 == 4 => Ending::Cancelled,
            _ => Ending::Completed,
        };
        sampler.observe(&Event::Ended { number, ending });
    }
    assert!(
        found == expected,
        "suggestions of {kind:?} toward {objectives} objectives differ, now they are:\n{found}"
    );
}

#[test]
fn nsga2_over_a_mixed_space() {
    check_several(
        SamplerKind::Nsga2,
        2,
        120,
        include_str!("golden/nsga2-mixed.txt"),
    );
}

#[test]
fn tpe_toward_two_objectives() {
    check_several(
        SamplerKind::Tpe,
        2,
        80,
        include_str!("golden/tpe-several.txt"),
    );
}

#[test]
fn gp_toward_three_objectives() {
    check_several(
        SamplerKind::Gp,
        3,
        50,
        include_str!("golden/gp-several.txt"),
    );
}

#[test]
fn auto_toward_two_objectives() {
    check_several(
        SamplerKind::Auto,
        2,
        80,
        include_str!("golden/auto-several.txt"),
    );
}

#[test]
fn tpe_over_a_mixed_space() {
    check_told(
        SamplerKind::Tpe,
        mixed(),
        120,
        include_str!("golden/tpe-mixed.txt"),
    );
}

#[test]
fn tpe_over_a_finite_space() {
    check_told(
        SamplerKind::Tpe,
        finite(),
        11,
        include_str!("golden/tpe-finite.txt"),
    );
}

#[test]
fn gp_over_a_mixed_space() {
    check_told(
        SamplerKind::Gp,
        mixed(),
        80,
        include_str!("golden/gp-mixed.txt"),
    );
}

#[test]
fn gp_over_a_finite_space() {
    check_told(
        SamplerKind::Gp,
        finite(),
        11,
        include_str!("golden/gp-finite.txt"),
    );
}

#[test]
fn cmaes_over_a_mixed_space() {
    check_told(
        SamplerKind::Cmaes,
        mixed(),
        200,
        include_str!("golden/cmaes-mixed.txt"),
    );
}

#[test]
fn cmaes_over_a_finite_space() {
    check_told(
        SamplerKind::Cmaes,
        finite(),
        11,
        include_str!("golden/cmaes-finite.txt"),
    );
}

#[test]
fn auto_over_a_mixed_space() {
    check_told(
        SamplerKind::Auto,
        mixed(),
        80,
        include_str!("golden/auto-mixed.txt"),
    );
}

#[test]
fn auto_over_a_finite_space() {
    check_told(
        SamplerKind::Auto,
        finite(),
        11,
        include_str!("golden/auto-finite.txt"),
    );
}

#[test]
fn random_over_a_mixed_space() {
    check(
        SamplerKind::Random,
        mixed(),
        200,
        include_str!("golden/random-mixed.txt"),
    );
}

#[test]
fn sobol_over_a_mixed_space() {
    check(
        SamplerKind::Sobol,
        mixed(),
        200,
        include_str!("golden/sobol-mixed.txt"),
    );
}

#[test]
fn random_over_a_finite_space() {
    check(
        SamplerKind::Random,
        finite(),
        13,
        include_str!("golden/random-finite.txt"),
    );
}

#[test]
fn sobol_over_a_finite_space() {
    check(
        SamplerKind::Sobol,
        finite(),
        13,
        include_str!("golden/sobol-finite.txt"),
    );
}

#[test]
fn grid_over_a_finite_space() {
    check(
        SamplerKind::Grid,
        finite(),
        13,
        include_str!("golden/grid-finite.txt"),
    );
}
