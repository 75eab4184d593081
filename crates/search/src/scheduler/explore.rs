//! What a fork changes of its parent's parameters.
//!
//! Source: Jaderberg et al. 2017, Population based training of neural networks, section 4 (explore: perturb and resample),
//! <https://arxiv.org/abs/1711.09846>. The paper has continuous hyperparameters alone; the rest is by analogy.

use std::collections::BTreeSet;

use rand_chacha::rand_core::RngCore;

use super::SchedulerKind;
use crate::sampler::stream;
use crate::space::unit;
use crate::{Alike, Assignment, Range, Space, Value};

/// The parameters of trial `number`, which goes on from a checkpoint of one with the parameters `parent`; `None` under
/// schedulers without a population. A point of the space if `parent` is one.
///
/// Each parameter by itself is drawn anew from its range with the probability `resample`, else moved:
///
/// - real: times `1 + perturb` or `1 - perturb`, each as likely, and to the end of its range at the most;
/// - integer: the same, rounded, and by at least one;
/// - ordered values: to the neighbour on either side, if there is one;
/// - values without an order: not at all, so they change only when they are drawn anew.
///
/// A parameter that `is_kept` says a checkpoint is bound to stays its parent's, and so does one that its being there depends
/// on. One that is there only with the new values is drawn.
pub fn explore(
    kind: SchedulerKind,
    space: &Space,
    is_kept: impl Fn(&str) -> bool,
    parent: &Assignment,
    seed: u64,
    number: u32,
) -> Option<Assignment> {
    let SchedulerKind::Pbt {
        resample, perturb, ..
    } = kind
    else {
        return None;
    };
    let kept = kept_names(space, is_kept);
    let mut stream = stream(b"bonfire:explore1", seed, u64::from(number));
    let mut made = Assignment::new();
    for parameter in space.parameters() {
        // Drawn for each, there or not: what one becomes does not hang on what is there of the others.
        let (dice, coin, place) = (stream.next_u64(), stream.next_u64(), stream.next_u64());
        if !space.active(&made, parameter) {
            continue;
        }
        let (name, range) = (&parameter.name, &parameter.range);
        let own = parent.get(name).filter(|own| range.contains(own));
        let value = match own {
            Some(own) if kept.contains(name.as_str()) => own.clone(),
            Some(own) if unit(dice) >= resample.get() => moved(range, own, perturb.get(), coin),
            _ => range.at(place),
        };
        made.insert(name.clone(), value);
    }
    Some(made)
}

/// Those that are kept, and all that one of them depends on.
fn kept_names(space: &Space, is_kept: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let mut kept = BTreeSet::new();
    // Parents stand before their children.
    for parameter in space.parameters().iter().rev() {
        if kept.contains(parameter.name.as_str()) || is_kept(&parameter.name) {
            kept.insert(parameter.name.as_str());
            kept.extend(parameter.when.iter().map(|when| when.parameter.as_str()));
        }
    }
    kept
}

fn moved(range: &Range, own: &Value, perturb: f64, coin: u64) -> Value {
    let up = coin >> 63 == 1;
    let factor = if up { 1.0 + perturb } else { 1.0 - perturb };
    match (range, own) {
        (Range::Real { min, max, .. }, own) => {
            let value = own.as_f64().unwrap_or(*min) * factor;
            Value::Real(value.clamp(*min, *max))
        }
        (Range::Integer { min, max, .. }, own) => {
            let from = own.as_integer().unwrap_or(*min);
            let scaled = libm::round(from as f64 * factor) as i64; // the cast saturates
            let step = if up { 1 } else { -1 };
            let value = match scaled == from {
                true => from.saturating_add(step),
                false => scaled,
            };
            Value::Int(value.clamp(*min, *max))
        }
        (
            Range::Choice {
                alike: Alike::Neighbours,
                ..
            },
            own,
        ) => {
            let at = range.index_of(own).unwrap_or(0);
            range.nth(if up { at + 1 } else { at.saturating_sub(1) })
        }
        (Range::Choice { .. }, own) => own.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Condition, Parameter, RealSetting};

    fn kind(resample: f64) -> SchedulerKind {
        SchedulerKind::Pbt {
            population: 2,
            interval: 1,
            quantile: RealSetting::new(0.2),
            resample: RealSetting::new(resample),
            perturb: RealSetting::new(0.2),
        }
    }

    fn parameter(name: &str, range: Range) -> Parameter {
        Parameter {
            name: name.to_owned(),
            range,
            when: vec![],
        }
    }

    /// What a value becomes without resampling, over many forks: each different one, ascending.
    #[track_caller]
    fn check(range: Range, own: Value, expected: &[Value]) {
        let space = Space::new(vec![parameter("p", range)]).unwrap();
        let parent = Assignment::from([("p".to_owned(), own.clone())]);
        let mut found: Vec<Value> = Vec::new();
        for number in 0..64 {
            let made = explore(kind(0.0), &space, |_| false, &parent, 7, number).unwrap();
            assert!(space.contains(&made), "{made:?}");
            if !found.contains(&made["p"]) {
                found.push(made["p"].clone());
            }
        }
        found.sort_by(Value::total_cmp);
        assert_eq!(found, expected, "{own:?}");
    }

    #[test]
    fn numbers_move_by_a_share_and_stay_in_their_range() {
        let real = |min, max| Range::Real {
            min,
            max,
            log: false,
        };
        let (up, down) = (1.0 + 0.2, 1.0 - 0.2);
        check(
            real(0.0, 1.0),
            Value::Real(0.5),
            &[Value::Real(0.5 * down), Value::Real(0.5 * up)],
        );
        check(
            real(0.0, 1.0),
            Value::Real(0.9),
            &[Value::Real(0.9 * down), Value::Real(1.0)],
        );
        check(
            real(-9.0, 9.0),
            Value::Int(-5),
            &[Value::Real(-5.0 * up), Value::Real(-5.0 * down)],
        );
        check(real(0.0, 1.0), Value::Real(0.0), &[Value::Real(0.0)]);
        check(
            real(0.0, f64::MAX),
            Value::Real(f64::MAX),
            &[Value::Real(f64::MAX * down), Value::Real(f64::MAX)],
        );
        let whole = |min, max| Range::Integer {
            min,
            max,
            log: false,
        };
        check(
            whole(0, 99),
            Value::Int(50),
            &[Value::Int(40), Value::Int(60)],
        );
        check(whole(0, 99), Value::Int(1), &[Value::Int(0), Value::Int(2)]);
        check(whole(0, 99), Value::Int(0), &[Value::Int(0), Value::Int(1)]);
        check(whole(1, 3), Value::Int(3), &[Value::Int(2), Value::Int(3)]);
        check(
            whole(i64::MIN, i64::MAX),
            Value::Int(-1),
            &[Value::Int(-2), Value::Int(0)],
        );
    }

    #[test]
    fn ordered_values_move_to_a_neighbour_and_others_not_at_all() {
        let choice = |ordered| Range::Choice {
            values: [1, 8, 64].map(Value::Int).to_vec(),
            alike: Alike::neighbours(ordered),
        };
        check(
            choice(true),
            Value::Int(8),
            &[Value::Int(1), Value::Int(64)],
        );
        check(
            choice(true),
            Value::Int(64),
            &[Value::Int(8), Value::Int(64)],
        );
        check(choice(false), Value::Int(8), &[Value::Int(8)]);
    }

    #[test]
    fn a_share_is_drawn_anew() {
        let range = Range::Real {
            min: 0.0,
            max: 1.0,
            log: false,
        };
        let space = Space::new(vec![parameter("p", range)]).unwrap();
        let parent = Assignment::from([("p".to_owned(), Value::Real(0.5))]);
        let made = |resample, number| {
            let made = explore(kind(resample), &space, |_| false, &parent, 7, number).unwrap();
            made["p"].as_f64().unwrap()
        };
        let moved = |value: f64| [0.5 * (1.0 + 0.2), 0.5 * (1.0 - 0.2)].contains(&value);
        let drawn = (0..4_000)
            .filter(|number| !moved(made(0.25, *number)))
            .count();
        assert!((900..1_100).contains(&drawn), "{drawn} of 4,000");
        assert!((0..100).all(|number| !moved(made(1.0, number))));
        let mean = (0..4_000).map(|number| made(1.0, number)).sum::<f64>() / 4_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn what_is_kept_keeps_what_it_depends_on_and_new_branches_are_drawn() {
        let text = |value: &str| Value::Text(value.into());
        let choice = |values: &[&str]| Range::Choice {
            values: values.iter().map(|value| text(value)).collect(),
            alike: Alike::None,
        };
        let real = Range::Real {
            min: 1.0,
            max: 2.0,
            log: false,
        };
        let below = |name: &str, parent: &str, value: &str| Parameter {
            when: vec![Condition {
                parameter: parent.to_owned(),
                any_of: vec![text(value)],
            }],
            ..parameter(name, real.clone())
        };
        let space = Space::new(vec![
            parameter("free", choice(&["a", "b"])),
            parameter("tied", choice(&["a", "b"])),
            below("free.a", "free", "a"),
            below("free.b", "free", "b"),
            below("kept", "tied", "b"),
        ])
        .unwrap();
        let parent = Assignment::from([
            ("free".to_owned(), text("a")),
            ("free.a".to_owned(), Value::Real(1.5)),
            ("kept".to_owned(), Value::Real(1.25)),
            ("tied".to_owned(), text("b")),
        ]);
        let is_kept = |name: &str| name == "kept";
        let mut changed = 0;
        for number in 0..64 {
            let made = explore(kind(1.0), &space, is_kept, &parent, 7, number).unwrap();
            assert!(space.contains(&made), "{made:?}");
            assert_eq!(
                (&made["tied"], &made["kept"]),
                (&parent["tied"], &parent["kept"])
            );
            changed += u32::from(made.contains_key("free.b"));
        }
        assert!((16..48).contains(&changed), "{changed} of 64");
        assert_eq!(
            explore(SchedulerKind::None, &space, is_kept, &parent, 7, 1),
            None
        );
    }
}
