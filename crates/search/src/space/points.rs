//! Counts the points of a space that have no active continuous parameter and numbers them, without listing them.
//! In a finite space those are all.
//!
//! Parameters joined by conditions form a component; the components are independent, so a point's number is a mixed
//! radix number with one digit a component. Inside one, the parameters are walked in order. All that the past means
//! for the future is which later parameters are already ruled out, so completions are counted once for each such set.

use std::collections::{BTreeMap, BTreeSet};

use super::{Parameter, SpaceError, SpaceProblem};
use crate::{Assignment, Value};

/// The most (parameter, ruled-out set) cases that are counted.
const CASES_MAX: usize = 1 << 16;

/// The places in a component that can no longer become active; places before the one looked at are left out.
type RuledOut = BTreeSet<usize>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Points {
    components: Vec<Component>,
    size: u128,
}

#[derive(Clone, Debug, PartialEq)]
struct Component {
    places: Vec<Place>,
    /// For each place, how many ways there are to go on from it. Saturates.
    ways: Vec<BTreeMap<RuledOut, u128>>,
    size: u128,
}

/// One parameter inside its component.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    /// Index into the space's parameters.
    parameter: usize,
    cardinality: u128,
    /// Conditions on this parameter: the child's place and the indices of the values it asks for.
    asks: Vec<(usize, BTreeSet<u128>)>,
    /// All indices any child asks for; the children treat the others alike.
    asked: BTreeSet<u128>,
}

impl Points {
    /// `parameters` are checked and in order.
    ///
    /// # Errors
    /// [`SpaceProblem::TooEntangled`] when there are too many cases to count.
    pub(super) fn count(parameters: &[Parameter]) -> Result<Points, SpaceError> {
        let mut components = Vec::new();
        let mut size: u128 = 1;
        let mut cases = 0;
        for members in find_components(parameters) {
            let places = find_places(parameters, &members);
            let ways = vec![BTreeMap::new(); places.len()];
            let mut component = Component {
                places,
                ways,
                size: 1,
            };
            let Some(ways) = component.count(0, RuledOut::new(), &mut cases) else {
                return Err(SpaceError {
                    parameter: parameters[members[0]].name.clone(),
                    problem: SpaceProblem::TooEntangled { max: CASES_MAX },
                });
            };
            component.size = ways;
            size = size.saturating_mul(ways);
            components.push(component);
        }
        Ok(Points { components, size })
    }

    pub(super) fn size(&self) -> u128 {
        self.size
    }

    /// The number of `point`, which is a point of the space; the size is not saturated.
    pub(super) fn rank(&self, parameters: &[Parameter], point: &Assignment) -> Option<u128> {
        self.components.iter().try_fold(0, |rank, component| {
            Some(rank * component.size + component.rank(parameters, point)?)
        })
    }

    /// The point of a number below the size, which is not saturated.
    pub(super) fn point(&self, parameters: &[Parameter], mut rank: u128) -> Assignment {
        let mut point = Assignment::new();
        for component in self.components.iter().rev() {
            component.write(parameters, rank % component.size, &mut point);
            rank /= component.size;
        }
        point
    }
}

impl Component {
    fn count(&mut self, at: usize, ruled_out: RuledOut, cases: &mut usize) -> Option<u128> {
        if at == self.places.len() {
            return Some(1);
        }
        if let Some(ways) = self.ways[at].get(&ruled_out) {
            return Some(*ways);
        }
        *cases += 1;
        if *cases > CASES_MAX {
            return None;
        }
        let unasked = self.count(at + 1, self.after(at, None, &ruled_out), cases)?;
        let mut ways = unasked;
        if !ruled_out.contains(&at) {
            let place = &self.places[at];
            let asked: Vec<u128> = place.asked.iter().copied().collect();
            ways = unasked.saturating_mul(place.cardinality - asked.len() as u128);
            for index in asked {
                let next = self.after(at, Some(index), &ruled_out);
                ways = ways.saturating_add(self.count(at + 1, next, cases)?);
            }
        }
        self.ways[at].insert(ruled_out, ways);
        Some(ways)
    }

    /// What is ruled out once the parameter at `at` has the value of that index; `None`: it is absent, or has a value
    /// nobody asks for.
    fn after(&self, at: usize, index: Option<u128>, ruled_out: &RuledOut) -> RuledOut {
        let mut next = ruled_out.clone();
        next.remove(&at);
        for (child, wanted) in &self.places[at].asks {
            if !index.is_some_and(|index| wanted.contains(&index)) {
                next.insert(*child);
            }
        }
        next
    }

    fn ways(&self, at: usize, ruled_out: &RuledOut) -> u128 {
        // Only the end has no entry: counting visited every case that ranking can reach.
        let ways = self.ways.get(at).and_then(|ways| ways.get(ruled_out));
        ways.copied().unwrap_or(1)
    }

    fn rank(&self, parameters: &[Parameter], point: &Assignment) -> Option<u128> {
        let mut rank = 0;
        let mut ruled_out = RuledOut::new();
        for (at, place) in self.places.iter().enumerate() {
            let unasked = self.after(at, None, &ruled_out);
            if ruled_out.contains(&at) {
                ruled_out = unasked;
                continue;
            }
            let parameter = &parameters[place.parameter];
            let index = parameter.range.index_of(point.get(&parameter.name)?)?;
            let mut plain = index;
            for below in place.asked.range(..index) {
                plain -= 1;
                rank += self.ways(at + 1, &self.after(at, Some(*below), &ruled_out));
            }
            rank += plain * self.ways(at + 1, &unasked);
            ruled_out = self.after(at, Some(index), &ruled_out);
        }
        Some(rank)
    }

    /// The inverse of `rank`.
    fn write(&self, parameters: &[Parameter], mut rank: u128, point: &mut Assignment) {
        let mut ruled_out = RuledOut::new();
        for (at, place) in self.places.iter().enumerate() {
            if ruled_out.contains(&at) {
                ruled_out = self.after(at, None, &ruled_out);
                continue;
            }
            let index = self.take_index(at, &ruled_out, &mut rank);
            let parameter = &parameters[place.parameter];
            point.insert(parameter.name.clone(), parameter.range.nth(index));
            ruled_out = self.after(at, Some(index), &ruled_out);
        }
    }

    /// Splits off the value's index; `rank` keeps what is left for the later places.
    fn take_index(&self, at: usize, ruled_out: &RuledOut, rank: &mut u128) -> u128 {
        let unasked = self.ways(at + 1, &self.after(at, None, ruled_out));
        let mut next = 0;
        for &asked in &self.places[at].asked {
            let before = unasked.saturating_mul(asked - next);
            if *rank < before {
                break;
            }
            *rank -= before;
            let own = self.ways(at + 1, &self.after(at, Some(asked), ruled_out));
            if *rank < own {
                return asked;
            }
            *rank -= own;
            next = asked + 1;
        }
        // Without a way to go on, every number belongs to a value that was asked for.
        let index = next + rank.checked_div(unasked).unwrap_or(0);
        *rank = rank.checked_rem(unasked).unwrap_or(0);
        index
    }
}

/// Sets of parameters joined by conditions, each in order, by their first member.
fn find_components(parameters: &[Parameter]) -> Vec<Vec<usize>> {
    let by_name: BTreeMap<&str, usize> = parameters
        .iter()
        .enumerate()
        .map(|(i, p)| (p.name.as_str(), i))
        .collect();
    let mut component_of: Vec<usize> = (0..parameters.len()).collect();
    for (child, parameter) in parameters.iter().enumerate() {
        for parent in parameter
            .when
            .iter()
            .filter_map(|c| by_name.get(c.parameter.as_str()))
        {
            let (a, b) = (component_of[*parent], component_of[child]);
            let (keep, drop) = (a.min(b), a.max(b));
            component_of
                .iter_mut()
                .filter(|c| **c == drop)
                .for_each(|c| *c = keep);
        }
    }
    let mut components: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, component) in component_of.into_iter().enumerate() {
        components.entry(component).or_default().push(i);
    }
    components.into_values().collect()
}

/// Continuous parameters have no values here, so no point where they are active is counted.
fn find_places(parameters: &[Parameter], members: &[usize]) -> Vec<Place> {
    let indices = |parent: &Parameter, values: &[Value]| -> BTreeSet<u128> {
        values
            .iter()
            .filter_map(|value| parent.range.index_of(value))
            .collect()
    };
    let mut places = Vec::new();
    for &member in members {
        let parent = &parameters[member];
        let mut asks = Vec::new();
        for (place, &child) in members.iter().enumerate() {
            for condition in &parameters[child].when {
                if condition.parameter == parent.name {
                    asks.push((place, indices(parent, &condition.any_of)));
                }
            }
        }
        let cardinality = parent.range.cardinality().unwrap_or(0);
        let asked = asks
            .iter()
            .flat_map(|(_, wanted)| wanted.iter().copied())
            .collect();
        places.push(Place {
            parameter: member,
            cardinality,
            asks,
            asked,
        });
    }
    places
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Condition, Range, Space, Value};

    fn parameter(name: &str, min: i64, max: i64, when: &[(&str, &[i64])]) -> Parameter {
        let when = when.iter().map(|(parent, any_of)| Condition {
            parameter: (*parent).to_owned(),
            any_of: any_of.iter().map(|v| Value::Int(*v)).collect(),
        });
        let range = Range::Integer {
            min,
            max,
            log: false,
        };
        Parameter {
            name: name.to_owned(),
            range,
            when: when.collect(),
        }
    }

    /// The points as one line of values each, `-` for absent, in the order of their numbers.
    #[track_caller]
    fn check(parameters: &[Parameter], expected: &[&str]) {
        let space = Space::new(parameters.to_vec()).unwrap();
        assert_eq!(space.size(), Some(expected.len() as u128));
        for (rank, expected) in expected.iter().enumerate() {
            let point = space.point(rank as u128).unwrap();
            assert!(space.contains(&point), "{point:?}");
            assert_eq!(space.rank(&point), Some(rank as u128), "{point:?}");
            let names = space.parameters().iter().map(|p| &p.name);
            let text: Vec<String> = names
                .map(|name| point.get(name).map_or("-".to_owned(), Value::to_string))
                .collect();
            assert_eq!(text.join(" "), *expected, "point {rank}");
        }
        assert_eq!(space.point(expected.len() as u128), None);
    }

    #[test]
    fn no_parameters_is_one_point() {
        check(&[], &[""]);
    }

    #[test]
    fn nested_loops() {
        check(
            &[parameter("a", 1, 2, &[]), parameter("b", 5, 7, &[])],
            &["1 5", "1 6", "1 7", "2 5", "2 6", "2 7"],
        );
    }

    #[test]
    fn a_child_lives_under_some_values() {
        check(
            &[
                parameter("a", 0, 4, &[]),
                parameter("b", 0, 1, &[("a", &[1, 3])]),
            ],
            &["0 -", "1 0", "1 1", "2 -", "3 0", "3 1", "4 -"],
        );
    }

    #[test]
    fn chains_and_shared_children() {
        check(
            &[
                parameter("a", 0, 1, &[]),
                parameter("b", 0, 1, &[]),
                parameter("c", 8, 9, &[("a", &[1]), ("b", &[1])]),
                parameter("d", 0, 1, &[("c", &[9])]),
            ],
            &[
                "0 0 - -", "0 1 - -", "1 0 - -", "1 1 8 -", "1 1 9 0", "1 1 9 1",
            ],
        );
    }

    #[test]
    fn contradictory_conditions_mean_never() {
        check(
            &[
                parameter("a", 0, 1, &[]),
                parameter("b", 0, 9, &[("a", &[0]), ("a", &[1])]),
            ],
            &["0 -", "1 -"],
        );
    }

    #[test]
    fn counting_does_not_list() {
        let wide = [
            parameter("a", i64::MIN, i64::MAX, &[]),
            parameter("b", 1, 1000, &[("a", &[0, 7])]),
        ];
        let space = Space::new(wide.to_vec()).unwrap();
        let size = (1u128 << 64) - 2 + 2000;
        assert_eq!(space.size(), Some(size));
        for rank in [
            0,
            1 << 63,
            (1 << 63) + 1,
            (1 << 63) + 1500,
            (1 << 63) + 9000,
            size - 1,
        ] {
            let point = space.point(rank).unwrap();
            assert_eq!(space.rank(&point), Some(rank), "{point:?}");
        }
    }

    #[test]
    fn beyond_counting_is_said_as_the_largest_number() {
        let many: Vec<Parameter> = (0..200)
            .map(|i| parameter(&format!("p{i}"), 0, 9, &[]))
            .collect();
        let space = Space::new(many).unwrap();
        assert_eq!(space.size(), Some(u128::MAX));
        assert_eq!(space.point(0), None);
    }

    #[test]
    fn many_parents_of_one_child_are_easy_and_many_pairs_are_refused() {
        let name = |kind: char, i: usize| format!("{kind}{i:02}");
        let mut one: Vec<Parameter> = (0..40)
            .map(|i| parameter(&name('a', i), 0, 1, &[]))
            .collect();
        let mut pairs = one.clone();
        let parents: Vec<String> = one.iter().map(|p| p.name.clone()).collect();
        let all: Vec<(&str, &[i64])> = parents.iter().map(|n| (n.as_str(), &[1][..])).collect();
        one.push(parameter("b", 1, 3, &all));
        assert_eq!(Space::new(one).unwrap().size(), Some((1 << 40) + 2));

        pairs.push(parameter("b", 1, 3, &all));
        pairs.extend((0..40).map(|i| parameter(&name('c', i), 0, 1, &[(&name('a', i), &[1])])));
        let errors = Space::new(pairs).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].problem,
            SpaceProblem::TooEntangled { max: CASES_MAX }
        );
    }
}
