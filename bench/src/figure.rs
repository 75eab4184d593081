//! Which figures there are, by group and id.

use crate::row::Row;
use crate::search::{ask, barrier, functions, parallel, tables};
use crate::{checkpoint, dispatch, footprint, tracker, training};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub pairs: u32,
}

/// One figure and what measures it; it may give several rows.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub group: &'static str,
    pub id: &'static str,
    pub measure: fn(&Settings) -> anyhow::Result<Vec<Row>>,
}

const FIGURES: &[Figure] = &[
    Figure {
        group: "dispatch",
        id: "D1",
        measure: dispatch::trials_per_second,
    },
    Figure {
        group: "dispatch",
        id: "D3",
        measure: dispatch::start_latency,
    },
    Figure {
        group: "training",
        id: "T1",
        measure: training::steps,
    },
    Figure {
        group: "checkpoint",
        id: "C1",
        measure: checkpoint::overhead,
    },
    Figure {
        group: "tracker",
        id: "M1",
        measure: tracker::points_per_second,
    },
    Figure {
        group: "footprint",
        id: "B1",
        measure: footprint::footprint,
    },
    Figure {
        group: "footprint",
        id: "B2",
        measure: footprint::restart,
    },
    Figure {
        group: "search",
        id: "H1",
        measure: tables::regret,
    },
    Figure {
        group: "search",
        id: "H3",
        measure: functions::areas,
    },
    Figure {
        group: "search",
        id: "H4",
        measure: parallel::parallel,
    },
    Figure {
        group: "search",
        id: "H4t",
        measure: barrier::soon,
    },
    Figure {
        group: "search",
        id: "H2",
        measure: ask::ask,
    },
];

/// The figures of a group, or those of its that are named; all without a group.
///
/// # Errors
/// What is unknown, and what there is.
pub fn choose(group: Option<&str>, ids: &[String]) -> Result<Vec<Figure>, String> {
    let Some(group) = group else {
        return Ok(FIGURES.to_vec());
    };
    let of_group: Vec<Figure> = FIGURES
        .iter()
        .filter(|f| f.group == group)
        .copied()
        .collect();
    if of_group.is_empty() {
        let mut groups: Vec<&str> = FIGURES.iter().map(|f| f.group).collect();
        groups.dedup();
        return Err(format!("no group {group}; there are {}", groups.join(", ")));
    }
    if let Some(unknown) = ids
        .iter()
        .find(|id| !of_group.iter().any(|f| f.id == id.as_str()))
    {
        let known: Vec<&str> = of_group.iter().map(|f| f.id).collect();
        return Err(format!(
            "no figure {unknown} in {group}; there are {}",
            known.join(", ")
        ));
    }
    let is_chosen = |f: &Figure| ids.is_empty() || ids.iter().any(|id| id == f.id);
    Ok(of_group.into_iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(group: Option<&str>, ids: &[&str], expected: Result<&[&str], &str>) {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let found = choose(group, &ids);
        let names = found
            .as_ref()
            .map(|f| f.iter().map(|f| f.id).collect::<Vec<_>>());
        match expected {
            Ok(expected) => assert_eq!(names.as_deref(), Ok(expected)),
            Err(words) => assert!(
                found.as_ref().is_err_and(|e| e.contains(words)),
                "{names:?}"
            ),
        }
    }

    #[test]
    fn groups_and_ids_are_chosen() {
        check(
            None,
            &[],
            Ok(&[
                "D1", "D3", "T1", "C1", "M1", "B1", "B2", "H1", "H3", "H4", "H4t", "H2",
            ]),
        );
        check(Some("dispatch"), &[], Ok(&["D1", "D3"]));
        check(Some("dispatch"), &["D3"], Ok(&["D3"]));
        check(
            Some("dispatch"),
            &["M1"],
            Err("no figure M1 in dispatch; there are D1, D3"),
        );
        check(
            Some("nothing"),
            &[],
            Err("dispatch, training, checkpoint, tracker, footprint, search"),
        );
    }
}
