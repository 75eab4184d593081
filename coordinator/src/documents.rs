//! The JSON documents by path: the same over gRPC `Get`, gRPC `Watch` and HTTP `GET`.
//!
//! | path | document |
//! |---|---|
//! | `/v1/sweeps` | every sweep without its trials, oldest first |
//! | `/v1/sweeps/NAME` | a sweep with its trials: what `run` and `sweep show` print |
//! | `/v1/sweeps/NAME/summary` | the same without the trials, for following a large sweep |
//! | `/v1/sweeps/NAME/next` | what its sampler would suggest next and why; `?count=N` for several |
//! | `/v1/sweeps/NAME/trials`, `/spec` | its trials alone; its canonical spec |
//! | `/v1/trials/NAME/17` | a trial; also `/metrics`, `/logs`, `/why`, `/checkpoints` |
//! | `/v1/checkpoints/NAME/17@1200` | a checkpoint; without `@STEP` the latest, with `?best` the best |
//! | `/v1/datasets`, `/v1/datasets/NAME[@VERSION]` | datasets; also `/manifest` |
//! | `/v1/fleet` | nodes and workers |
//!
//! `NAME` is a selector: a name, a unique prefix, or `last`.

use std::collections::BTreeMap;

use bonfire_domain::cluster::{Cluster, Sweep, SweepState};
use bonfire_domain::metric::Point;
use bonfire_domain::select::{self, SelectError};
use bonfire_domain::view::{self, FleetDocument, NodeDocument, SUGGESTIONS_MAX, TrialDocument};
use bonfire_domain::{Digest, SweepId, TrialId, WorkerId};
use bonfire_proto::wire::{Document, PATH_BYTES_MAX};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::app::{AskError, NODE};
use crate::context::Context;
use crate::tracker::LogEntry;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<SelectError> for DocumentError {
    fn from(error: SelectError) -> DocumentError {
        if error.is_wrong_request() {
            DocumentError::Wrong(error.to_string())
        } else {
            DocumentError::NotFound(error.to_string())
        }
    }
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Sweeps,
    Sweep(String),
    SweepSummary(String),
    SweepTrials(String),
    SweepSpec(String),
    SweepNext { name: String, count: u32 },
    Trial(String),
    TrialMetrics(String),
    TrialLogs(String),
    TrialWhy(String),
    TrialCheckpoints(String),
    Checkpoint { text: String, best: bool },
    Datasets,
    Dataset(String),
    DatasetManifest(String),
    Fleet,
}

fn parse(path: &str) -> Result<Asked, DocumentError> {
    let unknown = || DocumentError::NotFound(format!("no document at {path}"));
    if path.len() > PATH_BYTES_MAX {
        return Err(DocumentError::Wrong(format!(
            "a path has at most {PATH_BYTES_MAX} bytes, this one {}",
            path.len()
        )));
    }
    let rest = path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let decoded: Vec<String> = rest.split('/').map(decode).collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let trial = |name: &str, number: &str| format!("{name}/{number}");
    Ok(match parts.as_slice() {
        ["sweeps"] => Asked::Sweeps,
        ["sweeps", name] => Asked::Sweep((*name).to_owned()),
        ["sweeps", name, "summary"] => Asked::SweepSummary((*name).to_owned()),
        ["sweeps", name, "trials"] => Asked::SweepTrials((*name).to_owned()),
        ["sweeps", name, "next"] => Asked::SweepNext {
            name: (*name).to_owned(),
            count: count(query)?,
        },
        ["sweeps", name, "spec"] => Asked::SweepSpec((*name).to_owned()),
        ["trials", "last"] => Asked::Trial("last".to_owned()),
        ["trials", name, number] => Asked::Trial(trial(name, number)),
        ["trials", name, number, "metrics"] => Asked::TrialMetrics(trial(name, number)),
        ["trials", name, number, "logs"] => Asked::TrialLogs(trial(name, number)),
        ["trials", name, number, "why"] => Asked::TrialWhy(trial(name, number)),
        ["trials", name, number, "checkpoints"] => Asked::TrialCheckpoints(trial(name, number)),
        ["checkpoints", name, number] => Asked::Checkpoint {
            text: trial(name, number),
            best: query == "best",
        },
        ["datasets"] => Asked::Datasets,
        ["datasets", name] => Asked::Dataset((*name).to_owned()),
        ["datasets", name, "manifest"] => Asked::DatasetManifest((*name).to_owned()),
        ["fleet"] => Asked::Fleet,
        _ => return Err(unknown()),
    })
}

/// A part of a path as it was before it was escaped (RFC 3986, section 2.1); what is no escape stays.
fn decode(part: &str) -> String {
    let hex = |pair: Option<&[u8]>| {
        let pair = std::str::from_utf8(pair?).ok()?;
        let digits = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| digits)
    };
    let bytes = part.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match hex(bytes.get(at + 1..at + 3)).filter(|_| *byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How many suggestions a query asks for.
fn count(query: &str) -> Result<u32, DocumentError> {
    let wanted = match query {
        "" => Some(1),
        query => query.strip_prefix("count=").and_then(|n| n.parse().ok()),
    };
    let fits = wanted.filter(|count| (1..=SUGGESTIONS_MAX).contains(count));
    let wrong = || format!("count is a number from 1 to {SUGGESTIONS_MAX}, here is {query:?}");
    fits.ok_or_else(|| DocumentError::Wrong(wrong()))
}

/// The document at a path.
///
/// # Errors
/// [`DocumentError`] saying whether the path is wrong or names nothing.
pub(crate) async fn get(context: &Context, path: &str) -> Result<Document, DocumentError> {
    match parse(path)? {
        Asked::Fleet => fleet(context).await,
        Asked::TrialWhy(text) => why(context, text).await,
        Asked::TrialMetrics(text) => metrics(context, &text).await,
        Asked::TrialLogs(text) => logs(context, &text).await,
        asked => {
            let waits = match &asked {
                Asked::Sweeps | Asked::Sweep(_) | Asked::SweepSummary(_) => waits(context).await?,
                _ => Waits::new(),
            };
            let cluster = context.app.snapshot().await?;
            let time = context.clock.now();
            off_the_loop(move || {
                let revision = cluster.applied().0;
                of_state(&cluster, asked, time.wall, &waits).map(|json| Document { json, revision })
            })
            .await
        }
    }
}

/// Why sweeps that want to run have no place, by the leader's view of the fleet.
type Waits = BTreeMap<SweepId, String>;

async fn waits(context: &Context) -> Result<Waits, DocumentError> {
    let unwell = context.unwell();
    let read = context.app.read(move |view| {
        let running = |sweep: &Sweep| sweep.state == SweepState::Running;
        let why = |sweep: &Sweep| {
            let unwell = unwell.clone().filter(|_| running(sweep));
            let why = unwell.or_else(|| view.leader?.why_sweep(view.cluster, sweep))?;
            Some((sweep.id, why))
        };
        view.cluster.sweeps().filter_map(why).collect()
    });
    Ok(read.await?)
}

async fn off_the_loop<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, DocumentError> + Send + 'static,
) -> Result<T, DocumentError> {
    spawn_blocking(make)
        .await
        .unwrap_or_else(|e| Err(DocumentError::Failed(e.to_string())))
}

fn encode(document: &impl Serialize) -> Result<Bytes, DocumentError> {
    let json = serde_json::to_vec(document).map_err(|e| DocumentError::Failed(e.to_string()))?;
    Ok(json.into())
}

/// Documents that need nothing but the replicated state.
fn of_state(
    cluster: &Cluster,
    asked: Asked,
    wall: bonfire_domain::WallMs,
    waits: &Waits,
) -> Result<Bytes, DocumentError> {
    let why = |id: SweepId, reason: &mut Option<String>| {
        *reason = reason.take().or_else(|| waits.get(&id).cloned());
    };
    let row = |sweep: &Sweep| {
        let mut row = view::sweep_row(sweep, wall);
        why(sweep.id, &mut row.reason);
        row
    };
    let gone = |what: &str| DocumentError::NotFound(format!("{what} is gone"));
    match asked {
        Asked::Sweeps => encode(&cluster.sweeps().map(row).collect::<Vec<_>>()),
        Asked::Sweep(name) => {
            let id = select::sweep(cluster, &name)?;
            let mut shown = view::sweep(cluster, id, wall).ok_or_else(|| gone(&name))?;
            why(id, &mut shown.reason);
            encode(&shown)
        }
        Asked::SweepSummary(name) => {
            let id = select::sweep(cluster, &name)?;
            let sweep = cluster.sweep(id).ok_or_else(|| gone(&name))?;
            encode(&row(sweep))
        }
        Asked::SweepTrials(name) => {
            let id = select::sweep(cluster, &name)?;
            let shown = view::sweep(cluster, id, wall).ok_or_else(|| gone(&name))?;
            encode(&shown.trials)
        }
        Asked::SweepSpec(name) => {
            let id = select::sweep(cluster, &name)?;
            let sweep = cluster.sweep(id).ok_or_else(|| gone(&name))?;
            Ok(Bytes::copy_from_slice(sweep.spec_text.as_bytes()))
        }
        Asked::SweepNext { name, count } => {
            let id = select::sweep(cluster, &name)?;
            encode(&view::suggestions(cluster, id, count).ok_or_else(|| gone(&name))?)
        }
        Asked::Trial(text) => {
            let id = select::trial(cluster, &text)?;
            encode(&view::trial(cluster, id).ok_or_else(|| gone(&text))?)
        }
        Asked::TrialCheckpoints(text) => {
            let id = select::trial(cluster, &text)?;
            let shown: TrialDocument = view::trial(cluster, id).ok_or_else(|| gone(&text))?;
            encode(&shown.checkpoints)
        }
        Asked::Checkpoint { text, best } => {
            let (id, step) = select::checkpoint(cluster, &text, best)?;
            let shown = view::trial(cluster, id).ok_or_else(|| gone(&text))?;
            let found = shown.checkpoints.into_iter().find(|c| c.step == step);
            encode(&found.ok_or_else(|| gone(&text))?)
        }
        Asked::Datasets => encode(&view::datasets(cluster)),
        Asked::Dataset(text) => {
            let (name, version) = dataset(cluster, &text)?;
            encode(&view::dataset(cluster, &name, Some(version)).ok_or_else(|| gone(&text))?)
        }
        Asked::DatasetManifest(text) => {
            let (_, version) = dataset(cluster, &text)?;
            let manifest = cluster.version_text(version).ok_or_else(|| gone(&text))?;
            Ok(Bytes::copy_from_slice(manifest.as_bytes()))
        }
        Asked::TrialMetrics(_) | Asked::TrialLogs(_) | Asked::TrialWhy(_) | Asked::Fleet => Err(
            DocumentError::Failed("not a document of the state alone".to_owned()),
        ),
    }
}

/// A dataset by name, unique prefix or `last`, with `@` and the first digits of a version for an older one.
fn dataset(cluster: &Cluster, text: &str) -> Result<(String, Digest), DocumentError> {
    let (name, version) = text
        .split_once('@')
        .map_or((text, None), |(n, v)| (n, Some(v)));
    let name = select::dataset(cluster, name)?;
    let versions = cluster
        .datasets()
        .get(name)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let found = match version {
        None => versions.last().copied(),
        Some(wanted) => {
            let hexes: Vec<String> = versions.iter().map(Digest::hex).collect();
            let hex = select::choose("dataset version", wanted, hexes.iter().map(String::as_str))?;
            Digest::parse(hex)
        }
    };
    let found =
        found.ok_or_else(|| DocumentError::NotFound(format!("no dataset is named {text}")))?;
    Ok((name.to_owned(), found))
}

async fn fleet(context: &Context) -> Result<Document, DocumentError> {
    let address = context.address.to_string();
    let read = context.app.read(move |view| {
        let connected = |w: WorkerId| {
            view.leader
                .and_then(|l| l.contact(w))
                .is_some_and(|c| c.connected)
        };
        let leads = view.leader.is_some();
        let role = if leads { "leader" } else { "follower" };
        let document = FleetDocument {
            leader: leads.then_some(NODE),
            term: view.term,
            nodes: vec![NodeDocument {
                node: NODE,
                address,
                role: role.to_owned(),
            }],
            workers: view::workers(view.cluster, connected),
        };
        (document, view.cluster.applied().0)
    });
    let (document, revision) = read.await?;
    Ok(Document {
        json: encode(&document)?,
        revision,
    })
}

async fn why(context: &Context, text: String) -> Result<Document, DocumentError> {
    let read = context.app.read(move |view| {
        let id = select::trial(view.cluster, &text)?;
        let shown = view::trial(view.cluster, id)
            .ok_or_else(|| DocumentError::NotFound(format!("{text} is gone")))?;
        let reasons = match view.leader {
            Some(leader) => leader.why_trial(view.time, view.cluster, id),
            None => vec!["no node leads".to_owned()],
        };
        let document = json!({
            "trial": shown.row.trial,
            "state": shown.row.state,
            "reasons": reasons,
            "attempts": shown.attempt_history,
        });
        Ok::<_, DocumentError>((document, view.cluster.applied().0))
    });
    let (document, revision) = read.await??;
    Ok(Document {
        json: encode(&document)?,
        revision,
    })
}

/// A trial and the chain it was forked from, each with the last step that counts of it; the trial itself first.
type Chain = Vec<(TrialId, Option<u64>)>;

/// Forks of forks that are followed.
const CHAIN_MAX: usize = 64;

async fn chain(context: &Context, text: &str) -> Result<(Chain, u64), DocumentError> {
    let text = text.to_owned();
    let read = context.app.read(move |view| {
        let mut at = select::trial(view.cluster, &text)?;
        let mut chain: Chain = vec![(at, None)];
        while let Some((number, step)) = view
            .cluster
            .trial(at)
            .and_then(|t| t.parent)
            .filter(|_| chain.len() < CHAIN_MAX)
        {
            at = TrialId { number, ..at };
            let upto = chain
                .last()
                .and_then(|(_, upto)| *upto)
                .map_or(step, |upto| upto.min(step));
            chain.push((at, Some(upto)));
        }
        Ok::<_, DocumentError>((chain, view.cluster.applied().0))
    });
    read.await?
}

/// The points of a trial. A fork's series begins as its parent's did.
async fn metrics(context: &Context, text: &str) -> Result<Document, DocumentError> {
    if let Some((points, revision)) = told(context, text).await? {
        let json = encode(&points)?;
        return Ok(Document { json, revision });
    }
    let (chain, revision) = chain(context, text).await?;
    let mut found = Vec::new();
    for (trial, upto) in chain {
        let series = context
            .tracker
            .find(trial)
            .await
            .map_err(|e| DocumentError::Failed(e.to_string()))?;
        found.push((series, upto));
    }
    let json = off_the_loop(move || {
        let mut standing = std::collections::BTreeMap::new();
        // The trial first: what it says of a step counts, not what its parent said.
        for (series, upto) in found {
            let loaded = series
                .load()
                .map_err(|e| DocumentError::Failed(e.to_string()))?;
            let points = loaded
                .points()
                .into_iter()
                .filter(|p| upto.is_none_or(|upto| p.step <= upto));
            for point in points {
                standing
                    .entry((point.key.clone(), point.step))
                    .or_insert(point);
            }
        }
        let points: Vec<serde_json::Value> = standing.values().map(point).collect();
        encode(&points)
    });
    Ok(Document {
        json: json.await?,
        revision,
    })
}

/// The points of an external trial, which are in the log alone; `None` for a trial of the fleet.
async fn told(
    context: &Context,
    text: &str,
) -> Result<Option<(Vec<serde_json::Value>, u64)>, DocumentError> {
    let text = text.to_owned();
    let read = context.app.read(move |view| {
        let id = select::trial(view.cluster, &text)?;
        let external = |s: &bonfire_domain::cluster::Sweep| s.spec.is_external();
        let told = view.cluster.sweep(id.sweep).is_some_and(external);
        let points = told.then(|| (view::told(view.cluster, id), view.cluster.applied().0));
        Ok::<_, DocumentError>(points)
    });
    read.await?
}

fn point(p: &Point) -> serde_json::Value {
    json!({ "key": p.key, "step": p.step, "epoch": p.epoch, "value": p.value, "time": view::time_text(p.time) })
}

async fn logs(context: &Context, text: &str) -> Result<Document, DocumentError> {
    let text = text.to_owned();
    let read = context.app.read(move |view| {
        select::trial(view.cluster, &text).map(|id| (id, view.cluster.applied().0))
    });
    let (trial, revision) = read.await??;
    let series = context
        .tracker
        .find(trial)
        .await
        .map_err(|e| DocumentError::Failed(e.to_string()))?;
    let json = off_the_loop(move || {
        let loaded = series
            .load()
            .map_err(|e| DocumentError::Failed(e.to_string()))?;
        let line = |l: LogEntry| json!({ "attempt": l.attempt.0, "time": view::time_text(l.line.time), "text": l.line.text });
        let lines: Vec<serde_json::Value> = loaded.logs().into_iter().map(line).collect();
        encode(&lines)
    });
    Ok(Document {
        json: json.await?,
        revision,
    })
}

/// The full name of a sweep, for answers.
pub(crate) fn sweep_name(cluster: &Cluster, id: SweepId) -> String {
    cluster
        .sweep(id)
        .map(|s| s.name.clone())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
