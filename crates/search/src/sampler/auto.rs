//! The default: which model makes a suggestion. The rule and the figures behind it are in docs/search.md.

use super::gp;

/// Trials with a value before a model is asked. Fewer say too little about what is good; more cost what a model would
/// have found.
pub(super) const STARTUP: usize = 10;
/// Up to so many trials with a value the Gaussian process makes every suggestion.
const ALONE: usize = 40;
/// Up to so many it takes turns with TPE, which does not share its blind spots; beyond, its cost buys little. Where all is
/// continuous, CMA-ES goes on from the best of them.
pub(super) const MIXED: usize = 400;
/// Of more parameters, distances say little, and each costs.
const DIMENSIONS_MAX: usize = 40;

/// What makes a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Points that fill the space.
    Spread,
    /// Points that are drawn.
    Random,
    GaussianProcess,
    Parzen,
    /// CMA-ES.
    Evolution,
    /// NSGA-II.
    Offspring,
}

/// What `auto` takes for the trial of that number. `valued`: trials with a value; `running`: trials without one that
/// have not ended, those of this batch included; `evolves`: whether every parameter is continuous.
pub(super) fn choose(
    number: u32,
    dimensions: usize,
    valued: usize,
    running: usize,
    evolves: bool,
) -> Choice {
    if valued < STARTUP {
        return Choice::Spread;
    }
    if evolves && valued > MIXED {
        return Choice::Evolution;
    }
    let apt = dimensions <= DIMENSIONS_MAX && valued <= MIXED && running <= gp::RUNNING_MAX;
    if apt && (valued <= ALONE || number.is_multiple_of(2)) {
        Choice::GaussianProcess
    } else {
        Choice::Parzen
    }
}

/// As [`choose`], in a search of several objectives.
pub(super) fn choose_front(
    number: u32,
    dimensions: usize,
    valued: usize,
    running: usize,
) -> Choice {
    choose(number, dimensions, valued, running, false)
}

#[cfg(test)]
mod tests {
    use super::Choice::{Evolution, GaussianProcess, Parzen, Spread};
    use super::*;

    #[track_caller]
    fn check(number: u32, dimensions: usize, valued: usize, running: usize, expected: Choice) {
        let found = choose(number, dimensions, valued, running, false);
        assert_eq!(found, expected, "{number} {dimensions} {valued} {running}");
        let continuous = choose(number, dimensions, valued, running, true);
        let expected = if valued > MIXED { Evolution } else { expected };
        assert_eq!(
            continuous, expected,
            "{number} {dimensions} {valued} {running}"
        );
    }

    #[test]
    fn the_rule() {
        check(0, 5, 0, 0, Spread);
        check(500, 5, 9, 491, Spread);
        check(11, 5, 10, 1, GaussianProcess);
        check(41, 5, 40, 1, GaussianProcess);
        check(42, 5, 41, 1, GaussianProcess);
        check(43, 5, 41, 2, Parzen);
        check(400, 5, 400, 0, GaussianProcess);
        check(402, 5, 401, 0, Parzen);
        check(12, 40, 12, 0, GaussianProcess);
        check(12, 41, 12, 0, Parzen);
        check(80, 5, 12, 64, GaussianProcess);
        check(80, 5, 12, 65, Parzen);
    }
}
