//! Samplers as a search uses them.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::{Parameter, Range};

fn space(count: usize, range: &Range) -> Space {
    let name = |i| format!("p{i:03}");
    let parameter = |i| Parameter {
        name: name(i),
        range: range.clone(),
        when: vec![],
    };
    Space::new((0..count).map(parameter).collect()).unwrap()
}

const REAL: Range = Range::Real {
    min: 0.0,
    max: 1.0,
    log: false,
};

fn integer(max: i64) -> Range {
    Range::Integer {
        min: 0,
        max,
        log: false,
    }
}

#[track_caller]
fn check(kind: SamplerKind, space: Space, expected: Result<(SamplerKind, Option<u32>), &str>) {
    let found = Sampler::new(kind, space, Goal::Minimize, 1);
    let found = found.map(|sampler| (sampler.kind(), sampler.planned()));
    assert_eq!(
        found.map_err(|error| error.to_string()),
        expected.map_err(str::to_owned)
    );
}

#[test]
fn bohb_is_tpe() {
    use SamplerKind::{Auto, Cmaes, Tpe};
    let (min, max, eta) = (1, 9, 3);
    let under = |kind, scheduler| {
        let scheduler = Scheduler::new(scheduler, Goal::Minimize, 9).unwrap();
        let sampler = Sampler::new(kind, space(2, &REAL), Goal::Minimize, 1).unwrap();
        sampler.under(&scheduler).map(|sampler| sampler.kind())
    };
    let bohb = SchedulerKind::Bohb { min, max, eta };
    assert_eq!(under(Auto, bohb), Ok(Tpe));
    assert_eq!(under(Tpe, bohb), Ok(Tpe));
    let refused = under(Cmaes, bohb);
    assert_eq!(refused, Err(SamplerError::NotTpe { kind: Cmaes }));
    let hyperband = SchedulerKind::Hyperband { min, max, eta };
    assert_eq!(under(Cmaes, hyperband), Ok(Cmaes));
    assert_eq!(under(Auto, SchedulerKind::None), Ok(Auto));
}

#[test]
fn what_a_sampler_can_search() {
    use SamplerKind::{Auto, Grid, Random, Sobol};
    check(Auto, space(128, &REAL), Ok((Auto, None)));
    check(Auto, space(129, &REAL), Ok((Auto, None)));
    check(Random, space(129, &REAL), Ok((Random, None)));
    check(
        Sobol,
        space(129, &REAL),
        Err("sobol searches at most 128 parameters, here are 129: take random"),
    );
    check(Grid, space(2, &integer(9)), Ok((Grid, Some(100))));
    check(
        Grid,
        space(1, &integer(i64::from(u32::MAX) - 1)),
        Ok((Grid, Some(u32::MAX))),
    );
    check(
        Grid,
        space(1, &integer(i64::from(u32::MAX))),
        Err(
            "the grid has 4294967296 points, more than the limit of 4294967295: \
             take sobol or random",
        ),
    );
    check(
        Grid,
        space(2, &REAL),
        Err(
            "a grid needs finite sets of values, continuous here: p000, p001; \
             give them values, or take sobol",
        ),
    );
}

#[test]
fn what_searches_several_objectives() {
    use SamplerKind::{Auto, Cmaes, Gp, Grid, Nsga2, Random, Sobol, Tpe};
    let toward = |kind, count: usize| {
        let sampler = Sampler::new(kind, space(2, &integer(9)), Goal::Maximize, 1).unwrap();
        let goals = [
            Goal::Maximize,
            Goal::Minimize,
            Goal::Minimize,
            Goal::Maximize,
        ];
        let sampler = sampler.toward(&goals[..count]);
        sampler.map(|sampler| (sampler.kind(), sampler.goal()))
    };
    for kind in [Auto, Grid, Random, Sobol, Tpe, Gp, Nsga2] {
        assert_eq!(toward(kind, 2), Ok((kind, Goal::Maximize)));
        assert_eq!(toward(kind, 3), Ok((kind, Goal::Maximize)));
        let refused = toward(kind, 4).unwrap_err().to_string();
        let expected = "a search has at most 3 objectives, here are 4: leave some out, or require a metric's limit";
        assert_eq!(refused, expected);
    }
    assert_eq!(toward(Cmaes, 1), Ok((Cmaes, Goal::Maximize)));
    assert_eq!(toward(Nsga2, 1), Err(SamplerError::OneObjective));
    let refused = toward(Cmaes, 2);
    assert_eq!(refused, Err(SamplerError::OneValueAlone { kind: Cmaes }));
}

#[test]
fn one_objective_changes_nothing() {
    for kind in [SamplerKind::Auto, SamplerKind::Tpe, SamplerKind::Cmaes] {
        let sampler = Sampler::new(kind, space(3, &REAL), Goal::Minimize, 1).unwrap();
        assert_eq!(sampler.clone().toward(&[Goal::Minimize]), Ok(sampler));
    }
}
