//! Population based training: after each interval the worst members of a population go on from the state of the best ones,
//! with other parameters.
//!
//! A member is a trial, and a trial's parameters never change: where the paper overwrites an agent, the trial ends here and a
//! new one, forked from a checkpoint of the better one, has its place in the population. Asynchronous as in the paper: a member that has
//! trained an interval is compared with the latest results of the others, however far those are.
//!
//! Source: Jaderberg et al. 2017, Population based training of neural networks, Algorithm 1, with the truncation selection of
//! section 4.1.1, <https://arxiv.org/abs/1711.09846>. What a fork changes: [`super::explore`].

use std::collections::BTreeMap;

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::{Exploit, Promotion, RungPlan, Turn, Verdict};
use crate::sampler::stream;
use crate::{Ending, Event, Goal};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pbt {
    goal: Goal,
    population: u32,
    interval: u64,
    quantile: f64,
    /// Units of a trial that trains to its end.
    budget: u64,
    members: BTreeMap<u32, Member>,
}

/// A trial that was created for the population and is in it still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// Units it trains to, or waits at.
    until: u64,
    /// Its last value, as it came.
    last: Option<Worth>,
    /// What it was worth where it last ended an interval: there it has a checkpoint, and there others compare with it.
    rested: Option<Worth>,
    /// What the one was worth whose place it took: its own place in the ranking until it has rested. Else the next worst would
    /// be the worst at once, and more than the share would give way.
    instead_of: Option<Worth>,
    phase: Phase,
}

/// A value after some units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Worth {
    at: u64,
    /// [`Goal::rank`] of the value; `u64::MAX` is no number.
    rank: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Trains,
    /// At the end of an interval, for its turn.
    Waits,
    /// To its end: it is still compared with, and has nothing to hand on.
    Done,
    /// Its place is to be taken.
    Failed,
}

impl Pbt {
    /// `population >= 2`, `1 <= interval < budget`, `0 < quantile <= 0.5`.
    pub(super) fn new(
        goal: Goal,
        population: u32,
        interval: u64,
        quantile: f64,
        budget: u64,
    ) -> Pbt {
        Pbt {
            goal,
            population,
            interval,
            quantile,
            budget,
            members: BTreeMap::new(),
        }
    }

    /// Whoever was not created for the population (a fork of a user's) or has left it changes nothing.
    pub(super) fn observe(&mut self, event: &Event) -> Verdict {
        if let Some((at, rank)) = event.rank(self.goal) {
            return self.take_value(event.number(), at, rank);
        }
        match event {
            Event::Created { number, .. } => {
                let first = Member::new(self.after(0), None);
                self.members.entry(*number).or_insert(first);
                Verdict::Continue
            }
            Event::Ended { number, ending } => {
                self.end(*number, *ending);
                Verdict::Continue
            }
            _ => Verdict::Continue,
        }
    }

    fn take_value(&mut self, number: u32, at: u64, rank: u64) -> Verdict {
        let Some(member) = self.members.get_mut(&number).filter(|m| m.is_live()) else {
            return Verdict::Continue;
        };
        let is_new = member.last.is_none_or(|last| at > last.at);
        if is_new && member.phase == Phase::Trains {
            member.last = Some(Worth { at, rank });
        }
        match at >= member.until && member.until < self.budget {
            true => Verdict::Pause,
            false => Verdict::Continue,
        }
    }

    fn end(&mut self, number: u32, ending: Ending) {
        let Some(member) = self.members.get_mut(&number) else {
            return;
        };
        match (member.phase, ending) {
            (Phase::Done, _) => {}
            (_, Ending::Pruned | Ending::Cancelled) => drop(self.members.remove(&number)),
            (Phase::Failed, _) => {}
            (_, Ending::Failed) => member.phase = Phase::Failed,
            (_, Ending::Completed) => {
                member.rest();
                member.phase = Phase::Done;
            }
        }
    }

    /// A trial stands at the end of its interval, its checkpoint is there, and it waits.
    pub(super) fn rested(&mut self, number: u32) {
        let budget = self.budget;
        let trains = |m: &&mut Member| m.phase == Phase::Trains && m.until < budget;
        if let Some(member) = self.members.get_mut(&number).filter(trains) {
            member.rest();
            member.phase = Phase::Waits;
        }
    }

    /// A failed member's place first; then the member that has trained the least. It goes on as it is, or another one's
    /// fork goes on for it: if it is among the worst of those that have a result, and one of the best, which has a
    /// checkpoint to go on from, is better than it.
    ///
    /// `seed`, `next` (the number of the fork) draw among the best; `may_fork`: false where nobody takes another's place.
    pub(super) fn turn(&self, seed: u64, next: u32, may_fork: bool) -> Option<Turn> {
        let ranked = self.ranked();
        let share = self.share(ranked.len());
        let copy = |number: u32, worse_than: u64| {
            let best = ranked
                .iter()
                .take(share.max(1))
                .filter(|(worth, parent)| worth.rank < worse_than && self.hands_on(*parent));
            let best: Vec<(Worth, u32)> = best.copied().collect();
            let (worth, parent) = pick(&best, seed, next)?;
            let at = worth.at;
            Some(Turn::Exploit(Exploit { number, parent, at }))
        };
        let of = |phase| self.members.iter().filter(move |(_, m)| m.phase == phase);
        if may_fork
            && let Some((number, _)) = of(Phase::Failed).next()
            && let Some(turn) = copy(*number, u64::MAX)
        {
            return Some(turn);
        }
        let (number, member) = of(Phase::Waits).min_by_key(|(number, m)| (m.until, **number))?;
        let worst = ranked.iter().rev().take(share);
        let mut own = worst.filter(|(_, other)| other == number);
        if may_fork
            && let Some((worth, _)) = own.next()
            && let Some(turn) = copy(*number, worth.rank)
        {
            return Some(turn);
        }
        Some(Turn::Promote(Promotion {
            number: *number,
            until: self.after(member.until),
        }))
    }

    pub(super) fn promote(&mut self, number: u32) -> Option<u64> {
        let until = self.members.get(&number).map(|m| self.after(m.until))?;
        let member = self.members.get_mut(&number)?;
        if member.phase != Phase::Waits {
            return None;
        }
        member.phase = Phase::Trains;
        member.until = until;
        Some(until)
    }

    /// Whether somebody may take the place of this one.
    pub(super) fn yields(&self, number: u32) -> bool {
        let phase = self.members.get(&number).map(|member| member.phase);
        matches!(phase, Some(Phase::Waits | Phase::Failed))
    }

    /// `next` has taken the place of `number`, from a checkpoint after `at` units; gives its target. `None`, and nothing
    /// changes, if that place is not to be taken.
    pub(super) fn exploited(&mut self, number: u32, next: u32, at: u64) -> Option<u64> {
        if !self.yields(number) {
            return None;
        }
        let until = self.after(at);
        let left = self.members.remove(&number)?;
        let rank = match left.phase {
            Phase::Failed => u64::MAX,
            _ => left.rested.map_or(u64::MAX, |worth| worth.rank),
        };
        let place = Worth { at, rank };
        self.members.insert(next, Member::new(until, Some(place)));
        Some(until)
    }

    /// The units whose checkpoint a member may be copied from.
    pub(super) fn source(&self, number: u32) -> Option<u64> {
        let member = self.members.get(&number).filter(|_| self.hands_on(number));
        member
            .and_then(|member| member.rested)
            .map(|worth| worth.at)
    }

    pub(super) fn until(&self, number: u32) -> Option<u64> {
        let member = self.members.get(&number).filter(|m| m.is_live());
        member.map(|member| member.until)
    }

    pub(super) fn plan(&self, trials: u32) -> Vec<RungPlan> {
        vec![RungPlan {
            until: self.budget,
            trials: trials.min(self.population),
        }]
    }

    /// The end of the interval that begins after so many units.
    pub(super) fn after(&self, units: u64) -> u64 {
        let begun = units / self.interval;
        let end = begun.saturating_add(1).saturating_mul(self.interval);
        end.min(self.budget)
    }

    /// The members that have a result, best first, ties to the lower number.
    fn ranked(&self) -> Vec<(Worth, u32)> {
        let members = self
            .members
            .iter()
            .filter(|(_, m)| m.phase != Phase::Failed);
        let mut ranked: Vec<(Worth, u32)> = members
            .filter_map(|(number, m)| Some((m.rested.or(m.instead_of)?, *number)))
            .collect();
        ranked.sort_by_key(|(worth, number)| (worth.rank, *number));
        ranked
    }

    /// How many of so many members are the best ones, and the worst ones: the quantile rounded down, but one, and at most
    /// half of them.
    fn share(&self, members: usize) -> usize {
        let share = libm::floor(members as f64 * self.quantile) as usize;
        share.max(1).min(members / 2)
    }

    fn hands_on(&self, number: u32) -> bool {
        let live = self.members.get(&number).filter(|m| m.is_live());
        live.is_some_and(|member| member.rested.is_some())
    }
}

impl Member {
    fn new(until: u64, instead_of: Option<Worth>) -> Member {
        Member {
            until,
            last: None,
            rested: None,
            instead_of,
            phase: Phase::Trains,
        }
    }

    fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Trains | Phase::Waits)
    }

    /// Its latest value becomes what it is worth.
    fn rest(&mut self) {
        let rank = self.last.map_or(u64::MAX, |last| last.rank);
        self.rested = Some(Worth {
            at: self.until,
            rank,
        });
    }
}

/// One of them, each as likely as the next.
fn pick(best: &[(Worth, u32)], seed: u64, next: u32) -> Option<(Worth, u32)> {
    let draw = stream(b"bonfire:exploit1", seed, u64::from(next)).next_u64();
    let at = (u128::from(draw) * best.len() as u128) >> 64;
    best.get(at as usize).copied()
}

#[cfg(test)]
mod tests;
