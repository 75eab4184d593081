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

/// As [`choose`], in a search of several objectives: the Gaussian process alone as long as its cost allows, which finds more than
/// in turns; then children of what it found.
pub(super) fn choose_front(dimensions: usize, valued: usize, running: usize) -> Choice {
    if valued < STARTUP {
        return Choice::Spread;
    }
    let apt = dimensions <= DIMENSIONS_MAX && running <= gp::RUNNING_MAX;
    match valued <= MIXED {
        true if apt => Choice::GaussianProcess,
        true => Choice::Parzen,
        false => Choice::Offspring,
    }
}

#[cfg(test)]
mod tests {
    use super::Choice::{Evolution, GaussianProcess, Offspring, Parzen, Spread};
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

    #[test]
    fn the_rule_of_several_objectives() {
        for (dimensions, valued, running, expected) in [
            (5, 0, 0, Spread),
            (99, 9, 200, Spread),
            (5, 10, 1, GaussianProcess),
            (40, 400, 64, GaussianProcess),
            (41, 400, 1, Parzen),
            (5, 400, 65, Parzen),
            (5, 401, 1, Offspring),
            (41, 401, 65, Offspring),
        ] {
            let found = choose_front(dimensions, valued, running);
            assert_eq!(found, expected, "{dimensions} {valued} {running}");
        }
    }
}
