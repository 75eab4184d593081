//! What a training step costs beside a bare burn loop, by the engine's own program `bonfire-step`.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::figure::Settings;
use crate::pairs::compare_less;
use crate::row::{Row, load};

/// As the worker starts its executors: glibc keeps its memory, and asks for huge pages.
const MALLOC: [(&str, &str); 3] = [
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ("MALLOC_TRIM_THRESHOLD_", "1000000000000"),
    ("MALLOC_MMAP_MAX_", "0"),
];

/// T1: milliseconds a step beside the bare loop; T1b: four virtual shards beside one.
///
/// What limits it: forward and backward are burn's on both sides; ours adds the flat gradient and saves copies in the update.
pub fn steps(settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for model in ["mlp", "cnn", "transformer"] {
        for threads in ["1", "2"] {
            rows.extend(measure(model, threads, settings.pairs)?);
        }
    }
    Ok(rows)
}

fn measure(model: &str, threads: &str, blocks: u32) -> anyhow::Result<[Row; 2]> {
    let before = load();
    let text = step_program(&[model, &blocks.to_string()], threads)?;
    let found = read(&text)?;
    ensure!(found.len() == blocks as usize, "bonfire-step ended early");
    let beside = |name: String, peer: &str, pairs: Vec<(f64, f64)>| {
        let found = compare_less(&pairs);
        Row::beside(name, "ms a step", peer, &found, before.max(load()))
    };
    let bare = found.iter().map(|[ours, bare, _]| (*ours, *bare)).collect();
    let four = found.iter().map(|[ours, _, four]| (*four, *ours)).collect();
    let name = |id: &str, what: &str| format!("{id} {what}, {model}, {threads} threads");
    Ok([
        beside(name("T1", "training step"), "a bare burn loop", bare),
        beside(
            name("T1b", "four virtual shards"),
            "one virtual shard",
            four,
        ),
    ])
}

/// What the engine's own program prints, run as an executor would be, with so many threads.
pub fn step_program(arguments: &[&str], threads: &str) -> anyhow::Result<String> {
    let program = std::env::current_exe()?.with_file_name("bonfire-step");
    ensure!(
        program.is_file(),
        "bonfire-step is not there: build it with `cargo build --release -p bonfire-engine`"
    );
    let output = Command::new(program)
        .args(arguments)
        .envs(MALLOC)
        .env("RAYON_NUM_THREADS", threads)
        .stdin(Stdio::null())
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "bonfire-step {arguments:?}: {error}"
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Ours, the bare loop's and four virtual shards' milliseconds, a line a block.
fn read(text: &str) -> anyhow::Result<Vec<[f64; 3]>> {
    let line = |line: &str| {
        let values: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
        let values = values.ok().and_then(|v| <[f64; 3]>::try_from(v).ok());
        values.with_context(|| format!("bonfire-step said {line:?}"))
    };
    text.lines().map(line).collect()
}

#[test]
fn blocks_are_read() {
    assert_eq!(read("1.5 2 3\n").ok(), Some(vec![[1.5, 2.0, 3.0]]));
    assert!(read("1.5 2\n").is_err());
    assert!(read("panicked\n").is_err());
}
