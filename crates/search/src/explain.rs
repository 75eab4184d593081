//! Why a point would be tried next.

use serde::{Deserialize, Serialize};

use crate::Assignment;

/// A suggestion, and what a model says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub number: u32,
    pub parameters: Assignment,
    pub maker: Maker,
    /// What a Gaussian process expects of it, whoever makes it; `None` before ten trials have a value, where all values are the
    /// same, and of several objectives.
    pub expected: Option<Expected>,
    /// The trials with a value that the process takes to be most like it, most alike first.
    pub neighbours: Vec<Neighbour>,
}

/// What makes a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// A point of `search.start`.
    Start,
    Grid,
    Random,
    /// Points that fill the space.
    Sobol,
    /// TPE, of what other sweeps found.
    From,
    Tpe,
    /// The Gaussian process.
    Gp,
    Cmaes,
    Nsga2,
}

/// What is expected of a point, in the objective's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The median, if the trial does not fail.
    pub value: f64,
    /// Between these it is then with a probability of 90 %.
    pub low: f64,
    pub high: f64,
    /// The probability that it does not fail and is better than the best value so far, from 0 to 1.
    pub chance: f64,
    /// By how much it is better in the mean, where what fails or is no better counts as 0: Jones, Schonlau and Welch 1998.
    pub improvement: f64,
}

/// A trial that is like a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    pub number: u32,
    /// The correlation that the process sees, from 0 to 1.
    pub likeness: f64,
    pub value: f64,
}
