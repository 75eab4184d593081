#!/usr/bin/env bash
# The long forms: BONFIRE_KILLS random kill -9 of coordinator, worker and executor during a sweep, and the simulation over the
# seeds in BONFIRE_SIM_SEEDS.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/bonfire/target}"
export BONFIRE_BIN="$CARGO_TARGET_DIR/debug/bonfire"
export BONFIRE_KILLS="${BONFIRE_KILLS:-200}"
export BONFIRE_SIM_SEEDS="${BONFIRE_SIM_SEEDS:-1000..11000}"

export INSTA_UPDATE=no
# The same selection of packages as scripts/test.sh: another one builds the tensor crates again.
cargo build --workspace --all-targets --locked
exec cargo nextest run --workspace --locked --no-capture -E 'binary(processes) & test(kills) or test(rough_schedules_break_nothing)' "$@"
