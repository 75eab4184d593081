//! Where the fleet's documents are and what they are.

use bonfire_domain::Digest;
use bonfire_domain::dataset::DatasetManifest;
use bonfire_domain::select::SelectError;
use bonfire_domain::spec::Spec;
use bonfire_domain::view::{
    AttemptDocument, CheckpointDocument, DatasetDocument, SweepDocument, SweepRow, TrialDocument,
};
use bonfire_proto::client::Fleet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::output::errors::Failure;

/// An entry of `trial metrics ID -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    pub key: String,
    pub step: u64,
    pub epoch: f64,
    /// `None` for a value that is not finite.
    pub value: Option<f64>,
    /// `None` for an intermediate value of an external trial.
    pub time: Option<String>,
}

/// An entry of `trial logs ID -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    pub attempt: u32,
    pub time: String,
    pub text: String,
}

/// `trial why ID -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyDocument {
    pub trial: String,
    pub state: String,
    pub reasons: Vec<String>,
    pub attempts: Vec<AttemptDocument>,
}

/// A document at a path.
///
/// # Errors
/// The fleet's refusal, or a document of another form.
pub async fn get<T: DeserializeOwned>(fleet: &Fleet, path: &str) -> Result<T, Failure> {
    read(&fleet.get(path).await?.json)
}

/// Reads a document.
///
/// # Errors
/// A document of another form, which another version may send.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json)
        .map_err(|e| Failure::failed(format!("the coordinator's answer cannot be read: {e}")))
}

pub const SWEEPS: &str = "/v1/sweeps";
pub const DATASETS: &str = "/v1/datasets";
pub const FLEET: &str = "/v1/fleet";

pub fn sweep_path(sweep: &str) -> String {
    format!("/v1/sweeps/{}", escape(sweep))
}

pub fn summary_path(sweep: &str) -> String {
    format!("{}/summary", sweep_path(sweep))
}

/// What a sweep would try next.
pub fn next_path(sweep: &str, count: u32) -> String {
    format!("{}/next?count={count}", sweep_path(sweep))
}

/// The path of a trial: `SWEEP/NUMBER`, or `last`.
///
/// # Errors
/// Exit 2 for a text of another form.
pub fn trial_path(trial: &str) -> Result<String, Failure> {
    let numbered = trial.rsplit_once('/').is_some_and(|(name, number)| {
        !name.is_empty() && !name.contains('/') && number.parse::<u32>().is_ok()
    });
    if trial == "last" || numbered {
        let parts: Vec<String> = trial.split('/').map(escape).collect();
        return Ok(format!("/v1/trials/{}", parts.join("/")));
    }
    let error = SelectError::NotATrial {
        text: trial.to_owned(),
    };
    Err(Failure::wrong(error.to_string()).next("see bonfire trial list last"))
}

/// The path of a checkpoint: `SWEEP/NUMBER@STEP`, or a trial's latest or best.
///
/// # Errors
/// Exit 2 for a text of another form.
pub fn checkpoint_path(checkpoint: &str, best: bool) -> Result<String, Failure> {
    let (trial, step) = match checkpoint.rsplit_once('@') {
        Some((trial, step)) => (trial, Some(step)),
        None => (checkpoint, None),
    };
    let named = trial_path(trial)
        .ok()
        .and_then(|path| path.strip_prefix("/v1/trials/").map(str::to_owned));
    match (named, step, step.is_none_or(|s| s.parse::<u64>().is_ok())) {
        (Some(name), None, _) => Ok(format!(
            "/v1/checkpoints/{name}{}",
            if best { "?best" } else { "" }
        )),
        (Some(name), Some(step), true) => Ok(format!("/v1/checkpoints/{name}@{step}")),
        _ => {
            let error = SelectError::NotACheckpoint {
                text: checkpoint.to_owned(),
            };
            Err(Failure::wrong(error.to_string()).next("see bonfire checkpoint list last"))
        }
    }
}

/// Keeps letters, digits and the signs of names.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A dataset by name.
///
/// # Errors
/// Exit 3 if there is none.
pub async fn dataset(fleet: &Fleet, name: &str) -> Result<DatasetDocument, Failure> {
    get(fleet, &format!("{DATASETS}/{}", escape(name))).await
}

/// The manifest of a dataset version.
///
/// # Errors
/// Exit 3 if no dataset has this version.
pub async fn manifest(fleet: &Fleet, version: Digest) -> Result<DatasetManifest, Failure> {
    let text = fleet.fetch_dataset(version).await?;
    read(text.as_bytes())
}

pub async fn sweeps(fleet: &Fleet) -> Result<Vec<SweepRow>, Failure> {
    get(fleet, SWEEPS).await
}

pub async fn sweep(fleet: &Fleet, sweep: &str) -> Result<SweepDocument, Failure> {
    get(fleet, &sweep_path(sweep)).await
}

/// The spec of a sweep, by its name.
///
/// # Errors
/// Exit 3 if there is none, 1 for a spec of another version.
pub async fn spec(fleet: &Fleet, sweep: &str) -> Result<Spec, Failure> {
    let path = format!("{}/spec", sweep_path(sweep));
    let text = fleet.get(&path).await?.json;
    Spec::from_canonical(&String::from_utf8_lossy(&text))
        .map_err(|e| Failure::failed(format!("the sweep's spec cannot be read: {e}")))
}

pub async fn trial(fleet: &Fleet, trial: &str) -> Result<TrialDocument, Failure> {
    get(fleet, &trial_path(trial)?).await
}

pub async fn metrics(fleet: &Fleet, trial: &str) -> Result<Vec<MetricPoint>, Failure> {
    get(
        fleet,
        &format!("{}/metrics", trial_path(&named(fleet, trial).await?)?),
    )
    .await
}

pub async fn logs(fleet: &Fleet, trial: &str) -> Result<Vec<LogEntry>, Failure> {
    get(
        fleet,
        &format!("{}/logs", trial_path(&named(fleet, trial).await?)?),
    )
    .await
}

pub async fn why(fleet: &Fleet, trial: &str) -> Result<WhyDocument, Failure> {
    get(
        fleet,
        &format!("{}/why", trial_path(&named(fleet, trial).await?)?),
    )
    .await
}

/// A checkpoint: `SWEEP/NUMBER@STEP`, or a trial's latest or best.
///
/// # Errors
/// Exit 3 if there is none.
pub async fn checkpoint(
    fleet: &Fleet,
    checkpoint: &str,
    best: bool,
) -> Result<CheckpointDocument, Failure> {
    let text = match checkpoint.strip_prefix("last") {
        Some(step) if step.is_empty() || step.starts_with('@') => {
            format!("{}{step}", named(fleet, "last").await?)
        }
        _ => checkpoint.to_owned(),
    };
    get(fleet, &checkpoint_path(&text, best)?).await
}

/// `last` as the name of the newest trial.
pub async fn named(fleet: &Fleet, selector: &str) -> Result<String, Failure> {
    if selector != "last" {
        return Ok(selector.to_owned());
    }
    Ok(trial(fleet, selector).await?.row.trial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_trial(text: &str, expected: Option<&str>) {
        assert_eq!(trial_path(text).ok().as_deref(), expected, "{text}");
    }

    #[track_caller]
    fn check_checkpoint(text: &str, best: bool, expected: Option<&str>) {
        assert_eq!(
            checkpoint_path(text, best).ok().as_deref(),
            expected,
            "{text}"
        );
    }

    #[test]
    fn selectors_become_paths() {
        check_trial("a-k2f/17", Some("/v1/trials/a-k2f/17"));
        check_trial("last/3", Some("/v1/trials/last/3"));
        check_trial("last", Some("/v1/trials/last"));
        check_trial("a-k2f", None);
        check_trial("a/b/3", None);
        check_trial("a/x", None);
        check_checkpoint(
            "a-k2f/17@1200",
            false,
            Some("/v1/checkpoints/a-k2f/17@1200"),
        );
        check_checkpoint("a-k2f/17", true, Some("/v1/checkpoints/a-k2f/17?best"));
        check_checkpoint("a-k2f/17@x", false, None);
        check_checkpoint("a-k2f@3", false, None);
    }

    #[test]
    fn odd_signs_are_escaped() {
        assert_eq!(sweep_path("a b?c"), "/v1/sweeps/a%20b%3Fc");
    }
}
