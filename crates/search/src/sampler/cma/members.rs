//! The trials whose results a run has yet to learn from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One trial of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    /// What it was drawn as: a place for each ordered axis, an index for each of the others.
    pub(super) latent: Vec<f64>,
    /// Whether that is what the run drew for its number, and not only what its point stands for.
    pub(super) own: bool,
    /// The generation in which it was created.
    pub(super) generation: u32,
    /// Trials created before its last report.
    heard: u64,
    has_value: bool,
    has_ended: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Members {
    trials: BTreeMap<u32, Member>,
    /// Trials created in the whole search.
    created: u64,
}

impl Members {
    /// A trial has been created, by whomever.
    pub(super) fn count(&mut self) {
        self.created += 1;
    }

    pub(super) fn add(&mut self, number: u32, latent: Vec<f64>, own: bool, generation: u32) {
        let member = Member {
            latent,
            own,
            generation,
            heard: self.created,
            has_value: false,
            has_ended: false,
        };
        self.trials.insert(number, member);
    }

    pub(super) fn report(&mut self, number: u32, has_value: bool) {
        if let Some(member) = self.trials.get_mut(&number) {
            member.heard = self.created;
            member.has_value |= has_value;
        }
    }

    pub(super) fn end(&mut self, number: u32) {
        if let Some(member) = self.trials.get_mut(&number) {
            member.has_ended = true;
        }
    }

    /// How many have a result. `running`: trials without a value that have not ended.
    pub(super) fn ready(&self, running: usize) -> usize {
        let all = self.trials.values();
        all.filter(|member| self.is_ready(member, running)).count()
    }

    /// Takes out the first `count` that have a result, in the order of their numbers.
    pub(super) fn take(&mut self, running: usize, count: usize) -> Vec<(u32, Member)> {
        let all = self.trials.iter();
        let ready = all.filter(|(_, member)| self.is_ready(member, running));
        let numbers: Vec<u32> = ready.map(|(number, _)| *number).take(count).collect();
        let taken = numbers.into_iter();
        taken
            .filter_map(|number| Some((number, self.trials.remove(&number)?)))
            .collect()
    }

    /// Forgets all: the next run learns from its own trials.
    pub(super) fn forget(&mut self) {
        self.trials.clear();
    }

    /// Whether a trial has ended, or has a value and was silent while so many others were created that a scheduler must
    /// have paused it: twice as many as are without a value.
    fn is_ready(&self, member: &Member, running: usize) -> bool {
        let silent = self.created - member.heard.min(self.created);
        member.has_ended || (member.has_value && silent >= 2 + 2 * running as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four trials; trial 0 ends, trial 1 has a value, trial 2 has one after `later` more creations, trial 3 is silent. Expected:
    /// which are ready after that.
    #[track_caller]
    fn check(later: u32, running: usize, expected: &[u32]) {
        let mut members = Members::default();
        for number in 0..4 {
            members.count();
            members.add(number, vec![], true, 0);
        }
        members.end(0);
        members.report(1, true);
        (0..later).for_each(|_| members.count());
        members.report(2, true);
        members.report(3, false);
        assert_eq!(members.ready(running), expected.len());
        let taken = members.take(running, 9);
        let numbers: Vec<u32> = taken.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, expected);
        assert_eq!(members.ready(running), 0);
    }

    #[test]
    fn a_paused_trial_counts_after_a_while() {
        check(0, 0, &[0]);
        check(1, 0, &[0]);
        check(2, 0, &[0, 1]);
        check(2, 1, &[0]);
        check(4, 1, &[0, 1]);
    }
}
