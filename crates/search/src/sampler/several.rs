//! What a search of several objectives knows besides its `history`: the values of each trial, and the front of those that are
//! complete.
//!
//! A trial stands for its evaluation whose first objective is best. Trials compare as in `history`, and where only values set
//! them apart, by fronts: those that no others dominate, then those that none of the rest does, and so on
//! (nondominated sorting).
//!
//! Source: Deb et al. 2002, A fast and elitist multiobjective genetic algorithm: NSGA-II, sections III A and VI,
//! <https://doi.org/10.1109/4235.996017>.

mod crowding;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Known;
use super::history::{History, Standing, Told};
use crate::front::{Ranks, Sweep};
use crate::volume::{Losses, losses};
use crate::{Event, Goal};
pub(super) use crowding::most_apart;

/// Of the front of all complete trials, at most so many are looked at: where it is longer, as many of it, evenly along the first
/// objective, of which the least crowded are taken.
const FRONT_MAX: usize = 500;
const THINNED_MAX: usize = 2_000;
/// The newest trials besides. Both bound the cost of a suggestion.
const NEWEST_MAX: usize = 1_000;

/// Empty in a search of one objective.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Several {
    goals: Vec<Goal>,
    /// Of each trial that has a value.
    losses: BTreeMap<u32, Losses>,
    /// The complete trials that no others dominate, in the order of their losses.
    front: Vec<(Losses, u32)>,
}

/// A trial that stands for something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) told: Told<'a>,
    pub(super) losses: Losses,
}

/// The trials that are looked at, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted<'a> {
    /// Best first; of a front in the order of losses.
    pub(super) fronts: Vec<Vec<Member<'a>>>,
    /// Those that break a requirement, the least violation first.
    pub(super) broken: Vec<Told<'a>>,
}

impl Several {
    pub(super) fn toward(goals: &[Goal]) -> Several {
        Several {
            goals: goals.to_vec(),
            ..Several::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.goals.is_empty()
    }

    /// How many objectives there are.
    pub(super) fn objectives(&self) -> usize {
        self.goals.len()
    }

    /// Its losses, if it has a value.
    pub(super) fn losses(&self, number: u32) -> Option<&Losses> {
        self.losses.get(&number)
    }

    /// Folds in what came of a trial. A vector of another length, or with a value that is not finite, is as if it had not come, and
    /// so is a value of the first objective alone.
    pub(super) fn learn(&mut self, history: &mut History, event: &Event) {
        let Some(&goal) = self.goals.first() else {
            return;
        };
        let number = event.number();
        let before = self.complete(history, number);
        match event {
            Event::Created { .. } | Event::Observed { .. } => return,
            Event::Several { at, values, .. } => {
                let Some(losses) = losses(&self.goals, values, 0.0) else {
                    return;
                };
                if !history.has(number) || !losses.iter().all(|loss| loss.is_finite()) {
                    return;
                }
                history.observe(goal, number, *at, values[0]);
                let kept = self.losses.entry(number).or_insert(losses);
                if losses[0] < kept[0] {
                    *kept = losses;
                }
            }
            Event::Violated {
                violation, before, ..
            } => {
                history.violate(goal, number, *violation, *before);
                if *before && !violation.is_nan() {
                    self.losses.remove(&number);
                }
            }
            Event::Ended { ending, .. } => history.end(goal, number, *ending),
        }
        let after = self.complete(history, number);
        if before != after {
            self.change(history, number, before, after);
        }
    }

    /// The losses of a trial, if it is complete.
    fn complete(&self, history: &History, number: u32) -> Option<Losses> {
        let goal = *self.goals.first()?;
        let standing = history.standing(goal, number)?;
        let losses = self.losses.get(&number).copied();
        losses.filter(|_| standing.is_complete())
    }

    fn change(
        &mut self,
        history: &History,
        number: u32,
        before: Option<Losses>,
        after: Option<Losses>,
    ) {
        let place = |losses| {
            self.front
                .binary_search_by(|kept| order(kept, &(losses, number)))
        };
        if before.is_some_and(|losses| place(losses).is_ok()) {
            // A complete trial that changes is rare: others may come back.
            self.front.clear();
            let numbers: Vec<u32> = self.losses.keys().copied().collect();
            for number in numbers {
                if let Some(losses) = self.complete(history, number) {
                    self.insert(losses, number);
                }
            }
        } else if let Some(losses) = after {
            self.insert(losses, number);
        }
    }

    /// O(length of the front).
    fn insert(&mut self, losses: Losses, number: u32) {
        let at = self
            .front
            .partition_point(|kept| order(kept, &(losses, number)).is_lt());
        let equal = |kept: &(Losses, u32)| kept.0 == losses;
        if self.front[..at]
            .iter()
            .any(|kept| dominates(&kept.0, &losses))
        {
            return;
        }
        // Those behind it have a first objective that is no better: no others can be dominated.
        let mut i = 0;
        self.front.retain(|kept| {
            i += 1;
            i <= at || equal(kept) || !dominates(&losses, &kept.0)
        });
        self.front.insert(at, (losses, number));
    }

    /// The best trials, front by front until there are that many in all, or no more.
    pub(super) fn sorted<'a>(known: &Known<'a>, count: usize) -> Sorted<'a> {
        let mut rest: Vec<(Standing, Ranks, Member<'a>)> = Several::looked_at(known);
        rest.sort_unstable_by_key(|(standing, ranks, member)| {
            (*standing, *ranks, member.told.number)
        });
        let (mut sorted, mut found) = (Sorted::default(), 0);
        while found < count && !rest.is_empty() {
            let alike = rest[0].0;
            let mut sweep = Sweep::default();
            let mut front = Vec::new();
            rest.retain(|(standing, ranks, member)| {
                let is_in = *standing == alike && sweep.admits(*ranks);
                if is_in {
                    front.push(*member);
                }
                !is_in
            });
            found += front.len();
            sorted.fronts.push(front);
        }
        if found < count {
            let broken = known.history.broken(known.goal);
            let broken = broken.take_while(|told| told.violation.is_some());
            sorted.broken = broken.take(count - found).collect();
        }
        sorted
    }

    fn looked_at<'a>(known: &Known<'a>) -> Vec<(Standing, Ranks, Member<'a>)> {
        let (history, goal, several) = (known.history, known.goal, known.several);
        let member = |told: Told<'a>| {
            let losses = *several.losses.get(&told.number)?;
            let standing = history.standing(goal, told.number)?.without_value();
            let ranks = losses.map(|loss| Goal::Minimize.rank(loss));
            told.loss?;
            Some((standing, ranks, Member { told, losses }))
        };
        let mut numbers = several.outlying();
        let front = numbers
            .iter()
            .filter_map(|number| history.tell(goal, *number));
        let mut members: Vec<_> = front.filter_map(member).collect();
        numbers.sort_unstable();
        let newest = history.newest(goal).take(NEWEST_MAX);
        let is_other = |told: &Told<'_>| numbers.binary_search(&told.number).is_err();
        members.extend(newest.filter(is_other).filter_map(member));
        members
    }

    /// The trials of the front, the least crowded ones if it is long.
    fn outlying(&self) -> Vec<u32> {
        let count = self.front.len().min(THINNED_MAX);
        let thinned = (0..count).map(|i| self.front[i * self.front.len() / count]);
        let thinned: Vec<(Losses, u32)> = thinned.collect();
        if count <= FRONT_MAX {
            return thinned.into_iter().map(|(_, number)| number).collect();
        }
        let losses: Vec<Losses> = thinned.iter().map(|(losses, _)| *losses).collect();
        let apart = most_apart(&losses).into_iter().take(FRONT_MAX);
        apart.map(|i| thinned[i].1).collect()
    }
}

fn order(a: &(Losses, u32), b: &(Losses, u32)) -> std::cmp::Ordering {
    let pairs = a.0.iter().zip(&b.0);
    let by_losses = pairs.fold(std::cmp::Ordering::Equal, |order, (a, b)| {
        order.then(a.total_cmp(b))
    });
    by_losses.then(a.1.cmp(&b.1))
}

fn dominates(a: &Losses, b: &Losses) -> bool {
    a != b && a.iter().zip(b).all(|(a, b)| a <= b)
}

#[cfg(test)]
mod tests;
