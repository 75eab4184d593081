#!/usr/bin/env bash
# Everything that must pass: format, lints, build, tests. One build profile for the tests and for the binary they spawn.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/bonfire/target}"
export BONFIRE_BIN="$CARGO_TARGET_DIR/debug/bonfire"
export INSTA_UPDATE=no

command -v cargo-nextest >/dev/null || cargo install cargo-nextest --locked
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
# One selection of packages for every command: another one unifies features anew and builds the tensor crates again.
cargo build --workspace --all-targets --locked
cargo nextest run --workspace --locked "$@"
