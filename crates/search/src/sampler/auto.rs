//! The default: which model makes a suggestion. The rule and the figures behind it are in docs/search.md.

use super::gp;

/// Trials with a value before a model is asked. Fewer say too little about what is good; more cost what a model would
/// have found.
pub(super) const STARTUP: usize = 10;
/// Up to so many trials with a value the Gaussian process makes every suggestion, where there are no rungs.
const ALONE: usize = 40;
/// Up to so many it takes turns with TPE, which does not share its blind spots; beyond, its cost buys little. Where all is continuous,
/// CMA-ES goes on from the best of them. Under rungs those on the last one count.
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

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) dimensions: usize,
    /// Trials with a value.
    pub(super) valued: usize,
    /// Trials without one that have not ended, those of this batch included.
    pub(super) running: usize,
    /// Whether every parameter is continuous.
    pub(super) is_continuous: bool,
    pub(super) compared: Compared,
}

/// After how much training trials compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// As they come: no scheduler has rungs.
    Anyhow,
    /// On a rung below the last.
    Early,
    /// On the last rung, so many.
    Trained(usize),
}

/// What `auto` takes for the trial of that number.
///
/// Under a scheduler with rungs few trials compare at first, and TPE alone learns from those that have not got that far. Once enough have
/// been trained to the end, the process knows what the others miss.
pub(super) fn choose(number: u32, seen: Seen) -> Choice {
    if seen.valued < STARTUP {
        return Choice::Spread;
    }
    let modelled = match seen.compared {
        Compared::Anyhow if seen.valued > MIXED && seen.is_continuous => return Choice::Evolution,
        Compared::Anyhow => seen.valued,
        Compared::Early => return Choice::Parzen,
        Compared::Trained(count) => count,
    };
    let alone = seen.compared == Compared::Anyhow && modelled <= ALONE;
    let apt = seen.dimensions <= DIMENSIONS_MAX && seen.running <= gp::RUNNING_MAX;
    if apt && modelled <= MIXED && (alone || number.is_multiple_of(2)) {
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
        let seen = |is_continuous| Seen {
            dimensions,
            valued,
            running,
            is_continuous,
            compared: Compared::Anyhow,
        };
        assert_eq!(
            choose(number, seen(false)),
            expected,
            "{number} {:?}",
            seen(false)
        );
        let expected = if valued > MIXED { Evolution } else { expected };
        assert_eq!(
            choose(number, seen(true)),
            expected,
            "{number} {:?}",
            seen(true)
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
    fn the_rule_under_rungs() {
        use Compared::{Early, Trained};
        for (number, valued, compared, expected) in [
            (0, 9, Early, Spread),
            (12, 12, Early, Parzen),
            (600, 600, Early, Parzen),
            (12, 12, Trained(8), GaussianProcess),
            (13, 12, Trained(8), Parzen),
            (1_000, 1_000, Trained(30), GaussianProcess),
            (1_001, 1_000, Trained(30), Parzen),
            (1_400, 1_400, Trained(400), GaussianProcess),
            (1_400, 1_400, Trained(401), Parzen),
        ] {
            for is_continuous in [false, true] {
                let seen = Seen {
                    dimensions: 5,
                    valued,
                    running: 3,
                    is_continuous,
                    compared,
                };
                assert_eq!(choose(number, seen), expected, "{number} {seen:?}");
            }
        }
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
