//! Several objectives: what a trial stands for, and the trials that no other dominates.

use std::collections::BTreeSet;

use super::outcome::Measured;
use super::sweep::Sweep;
use super::trial::Trial;

impl Sweep {
    /// The values of all objectives at the evaluation that stands for a trial: of those that hold to what is required, the one
    /// whose first objective is best, the earlier of two. `None` with one objective, and where there is no such evaluation.
    pub fn values(&self, trial: &Trial) -> Option<Vec<f64>> {
        let measured = self.measured(trial.number)?;
        let goal = self.spec.objective.goal;
        let mut best: Option<(f64, &[f64])> = None;
        for seen in &trial.observations {
            let Some(others) = measured.others_at(seen.step) else {
                continue;
            };
            let leads = best.is_none_or(|(value, _)| goal.better(seen.value, value));
            if leads && measured.holds_at(seen.step) {
                best = Some((seen.value, others));
            }
        }
        best.map(|(value, others)| [&[value], others].concat())
    }

    /// The numbers of the trials whose values no other trial dominates: none is at least as good in every objective and better
    /// in one. One that breaks a requirement, or of which that is not known, is not among them. `None` with one objective.
    pub fn front(&self) -> Option<BTreeSet<u32>> {
        if self.spec.others().is_empty() {
            return None;
        }
        let search = self.spec.search.as_ref();
        let requires = search.is_some_and(|search| !search.require.metrics().is_empty());
        let stands = |trial: &Trial| {
            let feasible = self.measured(trial.number).and_then(Measured::is_feasible);
            let values = self.values(trial)?;
            (!requires || feasible == Some(true)).then_some((trial.number, values))
        };
        let standing: Vec<(u32, Vec<f64>)> =
            self.trials().iter().filter_map(|t| stands(t)).collect();
        let values: Vec<&[f64]> = standing.iter().map(|(_, values)| &values[..]).collect();
        let front = bonfire_search::front(&self.spec.goals(), &values).into_iter();
        Some(front.map(|place| standing[place].0).collect())
    }
}
