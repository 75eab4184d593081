#!/usr/bin/env bash
# Figures, one JSON object a line: scripts/bench.sh [GROUP [ID ...]]. Peers are looked for in $BONFIRE_SHARED, else ../shared.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/bonfire/target}"
export BONFIRE_BIN="$CARGO_TARGET_DIR/release/bonfire"

cargo build --release --locked --package bonfire --package bonfire-bench --package bonfire-engine --bins >&2
exec "$CARGO_TARGET_DIR/release/bonfire-bench" "$@"
