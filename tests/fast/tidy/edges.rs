//! Who may use whom: the edge diagram of `docs/ARCHITECTURE.md`, for normal, build and dev dependencies alike.

use super::manifests::{Member, members};
use super::{assert_clean, assert_one};

/// A member of the workspace and the members it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("bonfire-search", &[]),
    ("bonfire-domain", &["bonfire-search"]),
    (
        "bonfire-sim",
        &["bonfire-domain", "bonfire-search", "bonfire-consensus"],
    ),
    ("bonfire-consensus", &[]),
    ("bonfire-proto", &["bonfire-domain"]),
    ("bonfire-store", &["bonfire-domain"]),
    ("bonfire-data", &["bonfire-domain", "bonfire-store"]),
    ("bonfire-collective", &[]),
    // The canonical tree is the collective's; a group of one walks it inside the engine (decision 0008).
    ("bonfire-engine", &["bonfire-domain", "bonfire-collective"]),
    (
        "bonfire-coordinator",
        &[
            "bonfire-domain",
            "bonfire-search",
            "bonfire-consensus",
            "bonfire-proto",
            "bonfire-store",
        ],
    ),
    (
        "bonfire-worker",
        &[
            "bonfire-domain",
            "bonfire-proto",
            "bonfire-store",
            "bonfire-data",
            "bonfire-collective",
            "bonfire-engine",
        ],
    ),
    (
        "bonfire",
        &[
            "bonfire-coordinator",
            "bonfire-worker",
            "bonfire-proto",
            "bonfire-domain",
            "bonfire-search",
            "bonfire-store",
            "bonfire-data",
            "bonfire-sim",
            "bonfire-engine",
        ],
    ),
    (
        "cluster-tests",
        &[
            "bonfire-domain",
            "bonfire-search",
            "bonfire-consensus",
            "bonfire-proto",
            "bonfire-store",
            "bonfire-sim",
        ],
    ),
    (
        "bonfire-bench",
        &[
            "bonfire-domain",
            "bonfire-search",
            "bonfire-data",
            "bonfire-sim",
            "bonfire-proto",
            "bonfire-store",
        ],
    ),
];

/// Edges that the table lacks, and members it does not know or that are gone.
fn check_edges(members: &[Member]) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in members {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == member.name) else {
            wrong.push(format!("{} has no row in the edge table", member.name));
            continue;
        };
        for used in &member.uses {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} must not use {used}", member.name));
            }
        }
    }
    for (name, _) in EDGES {
        if !members.iter().any(|member| member.name == *name) {
            wrong.push(format!("the edge table has {name}, the workspace does not"));
        }
    }
    wrong
}

#[test]
fn the_edge_diagram_holds() {
    assert_clean(check_edges(&members()));
}

#[test]
fn a_forbidden_edge_a_strange_member_and_a_stale_row_are_found() {
    let good = || -> Vec<Member> {
        let rows = EDGES.iter();
        rows.map(|(name, uses)| Member::new(name, uses)).collect()
    };
    assert_clean(check_edges(&good()));
    let mut wrong = good();
    let domain = wrong
        .iter_mut()
        .find(|m| m.name == "bonfire-domain")
        .unwrap();
    domain.uses.push("bonfire-store".to_owned());
    assert_one(
        &check_edges(&wrong),
        &["bonfire-domain must not use bonfire-store"],
    );
    let mut wrong = good();
    wrong.push(Member::new("bonfire-utils", &[]));
    assert_one(&check_edges(&wrong), &["bonfire-utils", "no row"]);
    let mut wrong = good();
    wrong.retain(|m| m.name != "bonfire-sim");
    assert_one(
        &check_edges(&wrong),
        &["bonfire-sim", "the workspace does not"],
    );
}
