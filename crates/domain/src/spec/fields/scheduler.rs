//! The scheduler of the search: who stops trials early, and when.

use bonfire_search::RealSetting;

use super::super::SchedulerKind;
use super::super::field::Field;
use super::super::shape::{Datum, Shape};
use super::search::{of, with};

pub(in super::super) const FIELDS: &[Field] = &[
    Field::new(
        "search.scheduler.kind",
        Shape::Choice {
            words: &["none", "median", "asha", "hyperband", "pasha", "wilcoxon", "plateau", "bohb", "pbt"],
            later: &["successive_halving", "freeze_thaw"],
        },
        "who stops trials early",
        |s| {
            of(s, |search| {
                let name = match search.scheduler {
                    SchedulerKind::None => "none",
                    SchedulerKind::Median { .. } => "median",
                    SchedulerKind::Asha { .. } => "asha",
                    SchedulerKind::Hyperband { .. } => "hyperband",
                    SchedulerKind::Pasha { .. } => "pasha",
                    SchedulerKind::Wilcoxon { .. } => "wilcoxon",
                    SchedulerKind::Plateau { .. } => "plateau",
                    SchedulerKind::Bohb { .. } => "bohb",
                    SchedulerKind::Pbt { .. } => "pbt",
                };
                Datum::Text(name.into())
            })
        },
        |s, v| {
            let (min, max, eta) = (1, s.budget(), 3);
            with(s, |search| {
                search.scheduler = match v.text() {
                    "median" => SchedulerKind::Median { min, startup: 5 },
                    "asha" => SchedulerKind::Asha { min, max, eta },
                    "hyperband" => SchedulerKind::Hyperband { min, max, eta },
                    "pasha" => SchedulerKind::Pasha { min, max, eta },
                    "wilcoxon" => SchedulerKind::Wilcoxon {
                        threshold: RealSetting::new(0.1),
                        startup: 2,
                    },
                    "plateau" => SchedulerKind::Plateau {
                        min,
                        patience: 5.min(max),
                        delta: RealSetting::new(0.0),
                    },
                    "bohb" => SchedulerKind::Bohb { min, max, eta },
                    "pbt" => SchedulerKind::Pbt {
                        population: 16,
                        interval: 1,
                        quantile: RealSetting::new(0.2),
                        resample: RealSetting::new(0.25),
                        perturb: RealSetting::new(0.2),
                    },
                    _ => SchedulerKind::None,
                }
            })
        },
    ),
    Field::new(
        "search.scheduler.min",
        Shape::whole(1, 1_000_000),
        "epochs before a trial may be stopped (external: --at)",
        |s| of(s, |search| search.scheduler.min().map_or(Datum::Absent, Datum::of_u64)),
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Median { min, .. }
                | SchedulerKind::Asha { min, .. }
                | SchedulerKind::Hyperband { min, .. }
                | SchedulerKind::Pasha { min, .. }
                | SchedulerKind::Bohb { min, .. }
                | SchedulerKind::Plateau { min, .. } = &mut search.scheduler
                {
                    *min = v.u64();
                }
            })
        },
    )
    .of(&["median", "asha", "hyperband", "pasha", "plateau", "bohb"]),
    Field::new(
        "search.scheduler.max",
        Shape::whole(1, 1_000_000),
        "epochs of the last rung; train.epochs by default (external: required)",
        |s| of(s, |search| search.scheduler.max().map_or(Datum::Absent, Datum::of_u64)),
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Asha { max, .. }
                | SchedulerKind::Hyperband { max, .. }
                | SchedulerKind::Pasha { max, .. }
                | SchedulerKind::Bohb { max, .. } = &mut search.scheduler
                {
                    *max = v.u64();
                }
            })
        },
    )
    .of(&["asha", "hyperband", "pasha", "bohb"]),
    Field::new(
        "search.scheduler.eta",
        Shape::whole(2, 1_000),
        "one of this many goes on from a rung to the next",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Asha { eta, .. }
                | SchedulerKind::Hyperband { eta, .. }
                | SchedulerKind::Pasha { eta, .. }
                | SchedulerKind::Bohb { eta, .. } => Datum::Whole(eta.into()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Asha { eta, .. }
                | SchedulerKind::Hyperband { eta, .. }
                | SchedulerKind::Pasha { eta, .. }
                | SchedulerKind::Bohb { eta, .. } = &mut search.scheduler
                {
                    *eta = v.u32();
                }
            })
        },
    )
    .of(&["asha", "hyperband", "pasha", "bohb"]),
    Field::new(
        "search.scheduler.startup",
        Shape::whole(1, 1_000_000),
        "completed trials before the median counts; instances in common before wilcoxon stops (at least two count)",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Median { startup, .. }
                | SchedulerKind::Wilcoxon { startup, .. } => Datum::Whole(startup.into()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Median { startup, .. }
                | SchedulerKind::Wilcoxon { startup, .. } = &mut search.scheduler
                {
                    *startup = v.u32();
                }
            })
        },
    )
    .of(&["median", "wilcoxon"]),
    Field::new(
        "search.scheduler.threshold",
        Shape::Real {
            min: 0.0,
            above: true,
            max: 1.0,
            below: true,
        },
        "a trial is stopped when chance alone would be as clear with a probability below this",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Wilcoxon { threshold, .. } => Datum::Real(threshold.get()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Wilcoxon { threshold, .. } = &mut search.scheduler {
                    *threshold = RealSetting::new(v.real());
                }
            })
        },
    )
    .of(&["wilcoxon"]),
    Field::new(
        "search.scheduler.patience",
        Shape::whole(1, 1_000_000),
        "epochs without an improvement after which a trial is done (external: --at)",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Plateau { patience, .. } => Datum::of_u64(patience),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Plateau { patience, .. } = &mut search.scheduler {
                    *patience = v.u64();
                }
            })
        },
    )
    .of(&["plateau"]),
    Field::new(
        "search.scheduler.delta",
        Shape::real(0.0, f64::MAX),
        "an improvement is more than this",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Plateau { delta, .. } => Datum::Real(delta.get()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Plateau { delta, .. } = &mut search.scheduler {
                    *delta = RealSetting::new(v.real() + 0.0); // no negative zero
                }
            })
        },
    )
    .of(&["plateau"]),
    Field::new(
        "search.scheduler.population",
        Shape::whole(2, 100_000),
        "trials that train side by side; forks take the places of the worst",
        |s| of(s, |search| search.scheduler.population().map_or(Datum::Absent, |n| Datum::Whole(n.into()))),
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Pbt { population, .. } = &mut search.scheduler {
                    *population = v.u32();
                }
            })
        },
    )
    .of(&["pbt"]),
    Field::new(
        "search.scheduler.interval",
        Shape::whole(1, 1_000_000),
        "epochs after which a member is compared with the others",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Pbt { interval, .. } => Datum::of_u64(interval),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Pbt { interval, .. } = &mut search.scheduler {
                    *interval = v.u64();
                }
            })
        },
    )
    .of(&["pbt"]),
    Field::new(
        "search.scheduler.quantile",
        Shape::Real {
            min: 0.0,
            above: true,
            max: 0.5,
            below: false,
        },
        "the share of the population that gives up its place, and that is forked",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Pbt { quantile, .. } => Datum::Real(quantile.get()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Pbt { quantile, .. } = &mut search.scheduler {
                    *quantile = RealSetting::new(v.real());
                }
            })
        },
    )
    .of(&["pbt"]),
    Field::new(
        "search.scheduler.resample",
        Shape::real(0.0, 1.0),
        "the probability with which a fork draws a parameter anew, instead of moving it",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Pbt { resample, .. } => Datum::Real(resample.get()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Pbt { resample, .. } = &mut search.scheduler {
                    *resample = RealSetting::new(v.real() + 0.0); // no negative zero
                }
            })
        },
    )
    .of(&["pbt"]),
    Field::new(
        "search.scheduler.perturb",
        Shape::Real {
            min: 0.0,
            above: true,
            max: 1.0,
            below: true,
        },
        "a fork moves a number by this share of it, up or down",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::Pbt { perturb, .. } => Datum::Real(perturb.get()),
                _ => Datum::Absent,
            })
        },
        |s, v| {
            with(s, |search| {
                if let SchedulerKind::Pbt { perturb, .. } = &mut search.scheduler {
                    *perturb = RealSetting::new(v.real());
                }
            })
        },
    )
    .of(&["pbt"]),
    Field::new(
        "search.scheduler.unit",
        Shape::Choice {
            words: &["epoch"],
            later: &["step", "steps", "second"],
        },
        "what min, max, patience and interval count",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::None | SchedulerKind::Wilcoxon { .. } => Datum::Absent,
                _ => Datum::Text("epoch".into()),
            })
        },
        |_, _| {},
    )
    .of(&["median", "asha", "hyperband", "pasha", "plateau", "bohb", "pbt"]),
];
