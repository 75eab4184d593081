//! The space as models see it: a point is one number a parameter, all on the same scale.

use std::sync::Arc;

use super::apart::Apart;
use crate::{Alike, Assignment, Range, Space};

/// The coordinate of a parameter that is not active.
pub(super) const ABSENT: f64 = -1.0;

pub(super) fn is_absent(coordinate: f64) -> bool {
    coordinate < 0.0
}

/// Ordered ranges of more values than this are treated as continuous.
pub(super) const CELLS_MAX: u128 = 32;

/// What a coordinate is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Axis {
    /// The index of one of `count` values without an order. `apart`: how far they are apart, where not all alike.
    Category {
        count: usize,
        apart: Option<Arc<Apart>>,
    },
    /// The index of one of a few values in order. Value i takes the part `edges[i]` to `edges[i + 1]` of [0, 1].
    Cells { edges: Vec<f64> },
    /// A place in [0, 1], in logarithms where the range says so.
    Line,
}

/// A space's parameters in its order, as axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axes {
    axes: Vec<Axis>,
    conditional: bool,
    /// Whether every parameter is, and none depends on another.
    continuous: bool,
}

impl Axis {
    fn of(range: &Range) -> Axis {
        match (range, range.cardinality()) {
            (Range::Choice { values, alike }, _) if *alike != Alike::Neighbours => Axis::Category {
                count: values.len(),
                apart: match alike {
                    Alike::Apart(rows) => Some(Arc::new(Apart::of(rows))),
                    _ => None,
                },
            },
            (_, Some(count)) if count <= CELLS_MAX => Axis::Cells {
                edges: edges(range, count as usize),
            },
            _ => Axis::Line,
        }
    }

    /// The place in [0, 1] of an active, ordered coordinate.
    pub(super) fn place(&self, coordinate: f64) -> f64 {
        match self {
            Axis::Cells { edges } => {
                let cell = (coordinate as usize).min(edges.len() - 2);
                (edges[cell] + edges[cell + 1]) / 2.0
            }
            Axis::Category { .. } | Axis::Line => coordinate,
        }
    }

    /// The coordinate of a place in [0, 1]; the inverse of [`Axis::place`].
    pub(super) fn coordinate(&self, place: f64) -> f64 {
        match self {
            Axis::Cells { edges } => {
                let inner = &edges[1..edges.len() - 1];
                inner.partition_point(|edge| *edge <= place) as f64
            }
            Axis::Category { .. } | Axis::Line => place,
        }
    }

    /// The coordinate at a share of the axis in [0, 1).
    pub(super) fn at_share(&self, share: f64) -> f64 {
        match self {
            Axis::Category { count, .. } => libm::floor(share * *count as f64),
            Axis::Cells { .. } | Axis::Line => self.coordinate(share),
        }
    }
}

/// Log integers in logarithms, all others evenly.
fn edges(range: &Range, count: usize) -> Vec<f64> {
    let even = || (0..=count).map(|i| i as f64 / count as f64).collect();
    let Range::Integer { log: true, min, .. } = range else {
        return even();
    };
    let log_edge = |i: usize| libm::log(*min as f64 + i as f64 - 0.5);
    let (low, high) = (log_edge(0), log_edge(count));
    let edges: Vec<f64> = (0..=count)
        .map(|i| (log_edge(i) - low) / (high - low))
        .collect();
    // Beyond 2^53 neighbours round to the same float.
    let apart = edges.windows(2).all(|pair| pair[1] > pair[0]);
    if apart { edges } else { even() }
}

impl Axes {
    pub(super) fn of(space: &Space) -> Axes {
        let parameters = space.parameters();
        Axes {
            axes: parameters.iter().map(|p| Axis::of(&p.range)).collect(),
            conditional: parameters.iter().any(|p| !p.when.is_empty()),
            continuous: !parameters.is_empty()
                && parameters
                    .iter()
                    .all(|p| p.when.is_empty() && p.range.cardinality().is_none()),
        }
    }

    pub(super) fn all(&self) -> &[Axis] {
        &self.axes
    }

    pub(super) fn is_conditional(&self) -> bool {
        self.conditional
    }

    pub(super) fn are_continuous(&self) -> bool {
        self.continuous
    }

    pub(super) fn len(&self) -> usize {
        self.axes.len()
    }

    /// The coordinates of a point of the space; `None` if it is not one.
    pub(super) fn encode(&self, space: &Space, point: &Assignment) -> Option<Box<[f64]>> {
        if !space.contains(point) {
            return None;
        }
        let coordinate = |(i, axis): (usize, &Axis)| {
            let parameter = &space.parameters()[i];
            match (point.get(&parameter.name), axis) {
                (None, _) => Some(ABSENT),
                (Some(value), Axis::Line) => parameter.range.share_of(value),
                (Some(value), _) => parameter.range.index_of(value).map(|index| index as f64),
            }
        };
        self.axes.iter().enumerate().map(coordinate).collect()
    }

    /// A place on a line as [`Axes::encode`] gives it: the middle of a discrete value's part.
    pub(super) fn settled(&self, space: &Space, d: usize, place: f64) -> f64 {
        let range = &space.parameters()[d].range;
        let settled = range.share_of(&range.at_share(place));
        settled.unwrap_or(place)
    }

    /// The places on a line of the values next to the one at `place`; none of continuous ones.
    pub(super) fn beside(&self, space: &Space, d: usize, place: f64) -> impl Iterator<Item = f64> {
        let range = &space.parameters()[d].range;
        let index = range.index_of(&range.at_share(place));
        let beside = index.map(|index| [index.checked_sub(1), Some(index + 1)]);
        let count = range.cardinality().unwrap_or(0);
        let beside = beside.into_iter().flatten().flatten();
        let beside = beside.filter(move |index| *index < count);
        beside.filter_map(|index| range.share_of(&range.nth(index)))
    }

    /// The point that coordinates stand for, and its own coordinates: values are discrete on some lines. `coordinate(i)`: as
    /// for [`Axes::decode`].
    pub(super) fn settle(
        &self,
        space: &Space,
        mut coordinate: impl FnMut(usize) -> f64,
    ) -> (Assignment, Vec<f64>) {
        let mut settled = vec![ABSENT; self.len()];
        let point = self.decode(space, |d| {
            settled[d] = coordinate(d);
            settled[d]
        });
        for (i, (axis, parameter)) in self.axes.iter().zip(space.parameters()).enumerate() {
            let value = match axis {
                Axis::Line => point.get(&parameter.name),
                _ => None,
            };
            if let Some(place) = value.and_then(|value| parameter.range.share_of(value)) {
                settled[i] = place;
            }
        }
        (point, settled)
    }

    /// The point that coordinates stand for. `coordinate(i)` is asked in order, for active parameters only.
    pub(super) fn decode(
        &self,
        space: &Space,
        mut coordinate: impl FnMut(usize) -> f64,
    ) -> Assignment {
        let mut point = Assignment::new();
        for (i, (axis, parameter)) in self.axes.iter().zip(space.parameters()).enumerate() {
            if self.conditional && !space.active(&point, parameter) {
                continue;
            }
            let coordinate = coordinate(i);
            let value = match axis {
                Axis::Line => parameter.range.at_share(coordinate),
                _ => parameter.range.nth(coordinate as u128),
            };
            point.insert(parameter.name.clone(), value);
        }
        point
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Condition, Parameter, Value};

    fn texts(count: usize, ordered: bool) -> Range {
        let values = (0..count).map(|i| Value::Text(format!("v{i:02}")));
        Range::Choice {
            values: values.collect(),
            alike: Alike::neighbours(ordered),
        }
    }

    fn integers(min: i64, max: i64, log: bool) -> Range {
        Range::Integer { min, max, log }
    }

    #[track_caller]
    fn check(range: Range, values: &[(Value, f64)], expected: &Axis) {
        let parameter = |name: &str, range, when| Parameter {
            name: name.into(),
            range,
            when,
        };
        let when = Condition {
            parameter: "a".into(),
            any_of: vec![Value::Int(1)],
        };
        let parameters = vec![
            parameter("a", integers(0, 1, false), vec![]),
            parameter("b", range, vec![when]),
        ];
        let space = Space::new(parameters).unwrap();
        let axes = Axes::of(&space);
        assert_eq!(&axes.all()[1], expected);
        let off = Assignment::from([("a".to_owned(), Value::Int(0))]);
        let coordinates = axes.encode(&space, &off).unwrap();
        assert_eq!(*coordinates, [0.0, ABSENT]);
        assert_eq!(axes.decode(&space, |i| coordinates[i]), off);
        for (value, coordinate) in values {
            let point = Assignment::from([
                ("a".to_owned(), Value::Int(1)),
                ("b".to_owned(), value.clone()),
            ]);
            let found = axes.encode(&space, &point).unwrap();
            assert!((found[1] - coordinate).abs() < 1e-12, "{value} {found:?}");
            assert_eq!(axes.decode(&space, |i| found[i]), point, "{value}");
            if *expected == Axis::Line {
                continue;
            }
            let place = axes.all()[1].place(found[1]);
            assert_eq!(axes.all()[1].coordinate(place), found[1], "{value}");
        }
        let stranger = Assignment::from([("a".to_owned(), Value::Int(2))]);
        assert_eq!(axes.encode(&space, &stranger), None);
    }

    #[test]
    fn values_without_an_order_are_categories() {
        let text = |t: &str| Value::Text(t.into());
        check(
            texts(40, false),
            &[(text("v00"), 0.0), (text("v39"), 39.0)],
            &Axis::Category {
                count: 40,
                apart: None,
            },
        );
    }

    #[test]
    fn few_ordered_values_are_cells() {
        let edges = vec![0.0, 0.25, 0.5, 0.75, 1.0];
        let int = |v| Value::Int(v);
        check(
            integers(3, 6, false),
            &[(int(3), 0.0), (int(6), 3.0)],
            &Axis::Cells { edges },
        );
        let low = libm::log(0.5);
        let log = |v: f64| (libm::log(v) - low) / (libm::log(2.5) - low);
        check(
            integers(1, 2, true),
            &[(int(1), 0.0), (int(2), 1.0)],
            &Axis::Cells {
                edges: vec![0.0, log(1.5), 1.0],
            },
        );
        let huge = 1 << 60;
        check(
            integers(huge, huge + 1, true),
            &[(int(huge), 0.0), (int(huge + 1), 1.0)],
            &Axis::Cells {
                edges: vec![0.0, 0.5, 1.0],
            },
        );
    }

    #[test]
    fn many_ordered_values_and_reals_are_lines() {
        let real = |min, max, log| Range::Real { min, max, log };
        check(
            integers(0, 99, false),
            &[(Value::Int(0), 0.005), (Value::Int(99), 0.995)],
            &Axis::Line,
        );
        check(
            texts(50, true),
            &[(Value::Text("v25".into()), 0.51)],
            &Axis::Line,
        );
        check(
            real(-1.0, 3.0, false),
            &[(Value::Real(-1.0), 0.0), (Value::Real(1.0), 0.5)],
            &Axis::Line,
        );
        check(
            real(f64::MIN, f64::MAX, false),
            &[(Value::Real(0.0), 0.5)],
            &Axis::Line,
        );
    }
}
