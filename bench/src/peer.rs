//! The peers' own scripts: looked for, run, their results read. Where they are absent a figure stands alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A script that measures a peer, and the Python that has the peer installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    python: PathBuf,
    script: PathBuf,
}

/// The folder of peers and tables: `$BONFIRE_SHARED`, else `../shared`.
pub fn shared() -> PathBuf {
    std::env::var_os("BONFIRE_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

/// Where the peers' environments are: `$PEERS`, else `~/.cache/bonfire-peers`.
fn environments() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".cache/bonfire-peers"));
    set("PEERS").or_else(home)
}

/// The Python of an environment, where it is there.
pub fn python(venv: &str) -> Option<PathBuf> {
    let python = environments()?.join(venv).join("bin/python");
    python.is_file().then_some(python)
}

impl Peer {
    /// `peers/SCRIPT` in `$BONFIRE_SHARED`, else in `../shared`, for the environment `venv` below `$PEERS`, else below
    /// `~/.cache/bonfire-peers`. `None` where one of them is not there.
    pub fn find(script: &str, venv: &str) -> Option<Peer> {
        let found = Peer::at(&shared(), &environments()?, script, venv);
        if found.is_none() {
            eprintln!("  no peer: {script} or its environment {venv} is not there");
        }
        found
    }

    fn at(shared: &Path, environments: &Path, script: &str, venv: &str) -> Option<Peer> {
        let python = environments.join(venv).join("bin/python");
        let script = shared.join("peers").join(script);
        (python.is_file() && script.is_file()).then_some(Peer { python, script })
    }

    /// Runs the script and takes `field` (`a.b` is b in a) of the first result whose `case` is the one given.
    ///
    /// # Errors
    /// If the script fails, or its result lacks the field.
    pub fn measure(&self, arguments: &[&str], case: &str, field: &str) -> anyhow::Result<f64> {
        let folder = tempfile::tempdir()?;
        let result = folder.path().join("result.json");
        let output = Command::new(&self.python)
            .arg(std::fs::canonicalize(&self.script)?)
            .args(arguments)
            .arg("--json")
            .arg(&result)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", self.python.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = error.lines().rev().take(3).collect();
            bail!("{}: {}, {last:?}", self.script.display(), output.status);
        }
        read(&std::fs::read_to_string(&result)?, case, field)
    }
}

fn read(text: &str, case: &str, field: &str) -> anyhow::Result<f64> {
    let document: serde_json::Value = serde_json::from_str(text)?;
    let results = document["results"]
        .as_array()
        .context("the peer has no results")?;
    let found = results.iter().find(|r| r["case"] == case);
    let inside = |r, field: &str| {
        field
            .split('.')
            .try_fold(r, |r: &serde_json::Value, key| r.get(key))
    };
    found
        .and_then(|r| inside(r, field)?.as_f64())
        .with_context(|| format!("the peer has no {case} {field}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_peer_is_there_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, environments) = (folder.path().join("s"), folder.path().join("e"));
        let find = || Peer::at(&shared, &environments, "a.py", "v");
        assert_eq!(find(), None);
        std::fs::create_dir_all(shared.join("peers")).unwrap();
        std::fs::write(shared.join("peers/a.py"), "").unwrap();
        assert_eq!(find(), None);
        std::fs::create_dir_all(environments.join("v/bin")).unwrap();
        std::fs::write(environments.join("v/bin/python"), "").unwrap();
        assert!(find().is_some());
    }

    #[test]
    fn results_are_read_by_case() {
        let text = r#"{"results": [{"case": "init", "s": 2}, {"case": "noop", "rate": 50.5, "ms": {"p50": 3}}]}"#;
        assert_eq!(read(text, "noop", "rate").unwrap(), 50.5);
        assert_eq!(read(text, "noop", "ms.p50").unwrap(), 3.0);
        assert!(read(text, "noop", "ms.p99").is_err());
        assert!(read(text, "noop", "other").is_err());
        assert!(read(text, "gone", "rate").is_err());
        assert!(read("{}", "noop", "rate").is_err());
    }
}
