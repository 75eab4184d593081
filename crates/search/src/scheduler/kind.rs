//! The schedulers there are, with their settings.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A real setting, compared by its bits, so that kinds of schedulers have an order and an equality.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RealSetting(f64);

impl RealSetting {
    pub fn new(value: f64) -> RealSetting {
        RealSetting(value)
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for RealSetting {
    fn eq(&self, other: &RealSetting) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RealSetting {}

impl PartialOrd for RealSetting {
    fn partial_cmp(&self, other: &RealSetting) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RealSetting {
    fn cmp(&self, other: &RealSetting) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The way to stop early. All units are the sweep's (epochs or steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SchedulerKind {
    /// Every trial trains its whole budget.
    None,
    /// The median stopping rule, from `min` units of a trial on and once `startup` trials have completed.
    Median { min: u64, startup: u32 },
    /// Asynchronous successive halving: rungs at `min`, `min * eta`, ... and `max`; the best `1 / eta` of a rung go on.
    /// A trial that passes every rung ends at `max`.
    Asha { min: u64, max: u64, eta: u32 },
    /// Brackets of asynchronous successive halving that begin at each of the rungs `max / eta^s`, not below `min`.
    Hyperband { min: u64, max: u64, eta: u32 },
    /// Asynchronous successive halving with the rungs of `Asha`, of which the third and those above open only while the
    /// ranking of trials changes.
    Pasha { min: u64, max: u64, eta: u32 },
    /// Values are results on instances (folds, seeds), and a trial's value is their mean. One that is worse than the best
    /// completed trial on the instances both have is stopped, if chance alone would do that with a probability below
    /// `threshold`; from `startup` such instances on, and never below two.
    Wilcoxon {
        threshold: RealSetting,
        startup: u32,
    },
    /// A trial that has not become better by more than `delta` for `patience` units is done, from `min` units on.
    Plateau {
        min: u64,
        patience: u64,
        delta: RealSetting,
    },
    /// As `Hyperband`; the sampler is TPE, and draws a share of its suggestions.
    Bohb { min: u64, max: u64, eta: u32 },
    /// Population based training: every `interval` units a member of a population that is among the worst `quantile` gives its
    /// place to a fork of one of the best, whose parameters are each drawn anew with the probability `resample`, else
    /// multiplied by `1 + perturb` or `1 - perturb`.
    Pbt {
        population: u32,
        interval: u64,
        quantile: RealSetting,
        resample: RealSetting,
        perturb: RealSetting,
    },
}

/// Settings a scheduler cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SchedulerError {
    #[error("a trial's budget is 0 units, it must be at least 1")]
    BudgetZero,
    #[error("min is 0, it must be at least 1")]
    MinZero,
    #[error("min {min} is above max {max}")]
    MinAboveMax { min: u64, max: u64 },
    #[error("max {max} is above {budget}, which is as far as a trial trains")]
    MaxAboveBudget { max: u64, budget: u64 },
    #[error("eta is {eta}, it must be at least 2")]
    EtaBelowTwo { eta: u32 },
    #[error("threshold is {}, it must be above 0 and below 1", .threshold.get())]
    ThresholdOutside { threshold: RealSetting },
    #[error("patience is 0, it must be at least 1")]
    PatienceZero,
    #[error("delta is {}, it must be a number and at least 0", .delta.get())]
    DeltaBelowZero { delta: RealSetting },
    #[error("population is {population}, it must be at least 2")]
    PopulationBelowTwo { population: u32 },
    #[error(
        "interval is {interval}, it must be at least 1 and below {budget}, which is as far as a trial trains"
    )]
    IntervalOutside { interval: u64, budget: u64 },
    #[error("quantile is {}, it must be above 0 and at most 0.5", .quantile.get())]
    QuantileOutside { quantile: RealSetting },
    #[error("resample is {}, it must be from 0 to 1", .resample.get())]
    ResampleOutside { resample: RealSetting },
    #[error("perturb is {}, it must be above 0 and below 1", .perturb.get())]
    PerturbOutside { perturb: RealSetting },
}

impl SchedulerKind {
    /// Units of the last rung, where there are rungs.
    pub fn max(self) -> Option<u64> {
        match self {
            SchedulerKind::Asha { max, .. }
            | SchedulerKind::Hyperband { max, .. }
            | SchedulerKind::Pasha { max, .. }
            | SchedulerKind::Bohb { max, .. } => Some(max),
            SchedulerKind::None
            | SchedulerKind::Median { .. }
            | SchedulerKind::Wilcoxon { .. }
            | SchedulerKind::Plateau { .. }
            | SchedulerKind::Pbt { .. } => None,
        }
    }

    /// Units before a trial may be stopped, where that is a setting.
    pub fn min(self) -> Option<u64> {
        match self {
            SchedulerKind::Median { min, .. }
            | SchedulerKind::Asha { min, .. }
            | SchedulerKind::Hyperband { min, .. }
            | SchedulerKind::Pasha { min, .. }
            | SchedulerKind::Bohb { min, .. }
            | SchedulerKind::Plateau { min, .. } => Some(min),
            SchedulerKind::None | SchedulerKind::Wilcoxon { .. } | SchedulerKind::Pbt { .. } => {
                None
            }
        }
    }

    /// Trials that train side by side from the start, where that is a setting.
    pub fn population(self) -> Option<u32> {
        match self {
            SchedulerKind::Pbt { population, .. } => Some(population),
            _ => None,
        }
    }

    /// Whether a trial's value is the mean of its values, which are of instances, and not the best of them.
    pub fn averages(self) -> bool {
        matches!(self, SchedulerKind::Wilcoxon { .. })
    }

    /// # Errors
    /// The first setting that cannot be.
    pub(super) fn check(self, budget: u64) -> Result<(), SchedulerError> {
        if budget == 0 {
            return Err(SchedulerError::BudgetZero);
        }
        match self {
            SchedulerKind::None | SchedulerKind::Median { .. } => Ok(()),
            SchedulerKind::Asha { min, max, eta }
            | SchedulerKind::Hyperband { min, max, eta }
            | SchedulerKind::Pasha { min, max, eta }
            | SchedulerKind::Bohb { min, max, eta } => check_rungs(min, max, eta, budget),
            SchedulerKind::Wilcoxon { threshold, .. } => {
                let is_share = threshold.get() > 0.0 && threshold.get() < 1.0;
                is_share
                    .then_some(())
                    .ok_or(SchedulerError::ThresholdOutside { threshold })
            }
            SchedulerKind::Plateau { patience: 0, .. } => Err(SchedulerError::PatienceZero),
            SchedulerKind::Plateau { delta, .. } => {
                let is_distance = delta.get().is_finite() && delta.get() >= 0.0;
                is_distance
                    .then_some(())
                    .ok_or(SchedulerError::DeltaBelowZero { delta })
            }
            SchedulerKind::Pbt {
                population,
                interval,
                quantile,
                resample,
                perturb,
            } => {
                let (q, r, p) = (quantile.get(), resample.get(), perturb.get());
                if population < 2 {
                    Err(SchedulerError::PopulationBelowTwo { population })
                } else if interval == 0 || interval >= budget {
                    Err(SchedulerError::IntervalOutside { interval, budget })
                } else if !(q > 0.0 && q <= 0.5) {
                    Err(SchedulerError::QuantileOutside { quantile })
                } else if !(0.0..=1.0).contains(&r) {
                    Err(SchedulerError::ResampleOutside { resample })
                } else if !(p > 0.0 && p < 1.0) {
                    Err(SchedulerError::PerturbOutside { perturb })
                } else {
                    Ok(())
                }
            }
        }
    }
}

fn check_rungs(min: u64, max: u64, eta: u32, budget: u64) -> Result<(), SchedulerError> {
    if min == 0 {
        return Err(SchedulerError::MinZero);
    }
    if min > max {
        return Err(SchedulerError::MinAboveMax { min, max });
    }
    if max > budget {
        return Err(SchedulerError::MaxAboveBudget { max, budget });
    }
    if eta < 2 {
        return Err(SchedulerError::EtaBelowTwo { eta });
    }
    Ok(())
}
