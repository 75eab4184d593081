//! `sweep suggest`: what would be tried next, and why.

use std::collections::BTreeMap;

use bonfire_search::{Expected, Explanation, Maker, Neighbour};
use serde::{Deserialize, Serialize};

use super::parameters_json;
use crate::cluster::{Cluster, Sweep};
use crate::id::SweepId;
use crate::suggest::explain;

/// The most suggestions of one document.
pub const SUGGESTIONS_MAX: u32 = 64;

/// `sweep suggest -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestionsDocument {
    pub sweep: String,
    pub suggestions: Vec<SuggestionDocument>,
    /// Why the search makes no trials of these, or no more suggestions come.
    pub reason: Option<String>,
}

/// One trial that would be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestionDocument {
    pub number: u32,
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// What makes it.
    pub by: Maker,
    pub expected: Option<Expected>,
    pub neighbours: Vec<NeighbourDocument>,
}

/// A trial that is like it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeighbourDocument {
    pub trial: String,
    /// From 0 to 1.
    pub likeness: f64,
    pub value: f64,
}

/// What would be tried next, in a sweep that goes on; `None` for a sweep that is gone.
pub fn suggestions(cluster: &Cluster, id: SweepId, count: u32) -> Option<SuggestionsDocument> {
    let sweep = cluster.sweep(id)?;
    let population = sweep.scheduler.kind().population();
    let (explained, exhausted) = match population.is_some_and(|size| sweep.next >= size) {
        true => {
            let reason =
                "the population is drawn: what comes next are forks, which follow from its results";
            (vec![], Some(reason.to_owned()))
        }
        false => explain(cluster, sweep, count.min(SUGGESTIONS_MAX)),
    };
    let full = || match sweep.room() {
        0 => sweep.spec.search.as_ref()?.limit.trials,
        _ => None,
    };
    let reason = if sweep.state.is_terminal() {
        Some(format!("the sweep is {}", sweep.state.name()))
    } else {
        let full = full().map(|limit| format!("search.limit.trials {limit} is reached"));
        exhausted.or(full)
    };
    Some(SuggestionsDocument {
        sweep: sweep.name.clone(),
        suggestions: explained
            .into_iter()
            .map(|one| document(sweep, one))
            .collect(),
        reason,
    })
}

fn document(sweep: &Sweep, explained: Explanation) -> SuggestionDocument {
    let neighbour = |neighbour: Neighbour| NeighbourDocument {
        trial: sweep.label_of(neighbour.number),
        likeness: neighbour.likeness,
        value: neighbour.value,
    };
    SuggestionDocument {
        number: explained.number,
        parameters: parameters_json(&explained.parameters),
        by: explained.maker,
        expected: explained.expected,
        neighbours: explained.neighbours.into_iter().map(neighbour).collect(),
    }
}
