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
            words: &["none", "median", "asha", "hyperband", "pasha", "wilcoxon", "plateau", "bohb"],
            later: &["pbt", "successive_halving", "freeze_thaw"],
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
        "search.scheduler.unit",
        Shape::Choice {
            words: &["epoch"],
            later: &["step", "steps", "second"],
        },
        "what min, max and patience count",
        |s| {
            of(s, |search| match search.scheduler {
                SchedulerKind::None | SchedulerKind::Wilcoxon { .. } => Datum::Absent,
                _ => Datum::Text("epoch".into()),
            })
        },
        |_, _| {},
    )
    .of(&["median", "asha", "hyperband", "pasha", "plateau", "bohb"]),
];
