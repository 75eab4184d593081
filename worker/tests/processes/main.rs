//! Real executor processes, kept by real slots. The binary is its own executor: told `executor`, it becomes one.
//!
//! It answers the part of libtest's command line that cargo and nextest use.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod life;
mod rig;
mod training;

use std::process::ExitCode;

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    (
        "life::a_noop_reports_its_curve",
        life::a_noop_reports_its_curve,
    ),
    (
        "life::a_warm_process_is_used_again",
        life::a_warm_process_is_used_again,
    ),
    (
        "life::a_noop_goes_on_from_its_checkpoint",
        life::a_noop_goes_on_from_its_checkpoint,
    ),
    (
        "life::checkpoints_fall_where_they_are_asked_for",
        life::checkpoints_fall_where_they_are_asked_for,
    ),
    (
        "life::an_end_is_obeyed_at_once",
        life::an_end_is_obeyed_at_once,
    ),
    (
        "life::an_end_that_comes_before_its_trial_is_obeyed",
        life::an_end_that_comes_before_its_trial_is_obeyed,
    ),
    (
        "life::a_failure_costs_the_process",
        life::a_failure_costs_the_process,
    ),
    (
        "life::a_worn_process_is_replaced",
        life::a_worn_process_is_replaced,
    ),
    (
        "life::a_process_that_has_grown_is_replaced",
        life::a_process_that_has_grown_is_replaced,
    ),
    (
        "life::a_process_is_nicer_than_its_worker",
        life::a_process_is_nicer_than_its_worker,
    ),
    (
        "life::a_kill_from_outside_is_lost",
        life::a_kill_from_outside_is_lost,
    ),
    ("life::limits_end_an_attempt", life::limits_end_an_attempt),
    (
        "life::a_closed_pipe_ends_the_group",
        life::a_closed_pipe_ends_the_group,
    ),
    (
        "life::junk_from_an_executor_is_contained",
        life::junk_from_an_executor_is_contained,
    ),
    (
        "training::a_resumed_trial_has_the_same_bits",
        training::a_resumed_trial_has_the_same_bits,
    ),
    (
        "training::a_damaged_chunk_is_found",
        training::a_damaged_chunk_is_found,
    ),
    ("training::an_end_saves_first", training::an_end_saves_first),
    (
        "training::loss_that_is_not_finite_ends_the_trial",
        training::loss_that_is_not_finite_ends_the_trial,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("executor") => return bonfire_worker::executor_main(),
        Some("junk") => return rig::write_junk(),
        _ => {}
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let exact = has("--exact");
    let names: Vec<&String> = args
        .iter()
        .filter(|arg| !arg.starts_with('-') && *arg != "terse")
        .collect();
    let wanted = |name: &str| {
        names.is_empty()
            || names.iter().any(|n| {
                if exact {
                    *n == name
                } else {
                    name.contains(n.as_str())
                }
            })
    };
    // There are no ignored tests to list.
    let tests = TESTS
        .iter()
        .filter(|(name, _)| wanted(name) && !has("--ignored"));
    for (name, test) in tests {
        if has("--list") {
            println!("{name}: test");
        } else {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}
