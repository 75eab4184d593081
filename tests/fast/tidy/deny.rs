//! `deny.toml` against the graph: bans and who is excepted, two versions of one crate, licences.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::graph::{Graph, graph, parse};
use super::licence::is_allowed;
use super::tree::root;
use super::{assert_clean, assert_one};

#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
    skip: Vec<Skip>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    /// Who may name it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Skip {
    /// `name@version`, where the version may be cut after any number.
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

impl Skip {
    fn covers(&self, name: &str, version: &str) -> bool {
        let (skipped, prefix) = self.name.split_once('@').unwrap_or((&self.name, ""));
        let rest = version.strip_prefix(prefix);
        skipped == name
            && rest.is_some_and(|r| r.is_empty() || prefix.is_empty() || r.starts_with('.'))
    }
}

/// Banned crates in the graph, confined ones outside their room, entries without a reason.
fn check_bans(deny: &Deny, graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for ban in &deny.bans.deny {
        let reason = &ban.reason;
        if reason.is_empty() {
            wrong.push(format!("{}: a ban without a reason", ban.name));
        }
        for ((name, version), package) in graph.iter().filter(|((name, _), _)| *name == ban.name) {
            if ban.wrappers.is_empty() {
                let by = &package.dependents;
                wrong.push(format!(
                    "{name} {version} is banned ({reason}), used by {by:?}"
                ));
            }
            for by in package
                .dependents
                .iter()
                .filter(|by| !ban.wrappers.contains(by))
            {
                if !ban.wrappers.is_empty() {
                    wrong.push(format!("{by} must not name {name} ({reason})"));
                }
            }
        }
    }
    wrong
}

/// Crates in two versions without an entry, and entries that are not needed any more.
fn check_versions(deny: &Deny, graph: &Graph) -> Vec<String> {
    let skips = &deny.bans.skip;
    let mut standing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in graph.keys() {
        if !skips.iter().any(|s| s.covers(name, version)) {
            standing.entry(name).or_default().push(version);
        }
    }
    let mut wrong: Vec<String> = standing
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name} is there in versions {versions:?}"))
        .collect();
    for skip in skips {
        if skip.reason.is_empty() {
            wrong.push(format!("{}: two versions without a reason", skip.name));
        }
        if !graph
            .keys()
            .any(|(name, version)| skip.covers(name, version))
        {
            wrong.push(format!("{} is skipped and not in the tree", skip.name));
        }
    }
    wrong
}

/// Packages whose licence is not allowed, and exceptions for packages that are gone.
fn check_licences(deny: &Deny, graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((name, version), package) in graph {
        let exceptions = deny.licenses.exceptions.iter();
        let own: BTreeSet<&String> = exceptions
            .filter(|e| e.name == *name)
            .flat_map(|e| &e.allow)
            .collect();
        let allowed =
            |id: &str| deny.licenses.allow.iter().any(|a| a == id) || own.iter().any(|a| *a == id);
        if !is_allowed(&package.licence, &allowed) {
            wrong.push(format!(
                "{name} {version}: licence {:?} is not allowed",
                package.licence
            ));
        }
    }
    for exception in &deny.licenses.exceptions {
        if !graph.keys().any(|(name, _)| *name == exception.name) {
            wrong.push(format!(
                "{} has an exception and is not in the tree",
                exception.name
            ));
        }
    }
    wrong
}

fn deny() -> Deny {
    let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

#[test]
fn nothing_banned_twice_or_badly_licensed_is_in_the_tree() {
    let (deny, graph) = (deny(), graph());
    assert!(
        graph.len() > 100,
        "cargo tree names {} packages",
        graph.len()
    );
    let mut wrong = check_bans(&deny, &graph);
    wrong.extend(check_versions(&deny, &graph));
    wrong.extend(check_licences(&deny, &graph));
    assert_clean(wrong);
}

const EXAMPLE: &str = r#"
[licenses]
allow = ["MIT"]
exceptions = [{ crate = "odd", allow = ["MPL-2.0"] }]
[bans]
deny = [{ crate = "bad", reason = "why" }, { crate = "raft", wrappers = ["room"], reason = "one room" }]
skip = [{ crate = "old@1", reason = "odd" }]
"#;
const GOOD: &str = "0|room v0.1.0|MIT\n1|raft v0.7.0|MIT\n1|odd v0.1.0|MPL-2.0\n2|old v1.2.0|MIT\n1|old v2.0.0|MIT\n";

#[track_caller]
fn check(added: &str, words: &[&str]) {
    let deny: Deny = toml::from_str(EXAMPLE).unwrap();
    let graph = parse(&format!("{GOOD}{added}"));
    let mut wrong = check_bans(&deny, &graph);
    wrong.extend(check_versions(&deny, &graph));
    wrong.extend(check_licences(&deny, &graph));
    if words.is_empty() {
        assert_clean(wrong);
    } else {
        assert_one(&wrong, words);
    }
}

#[test]
fn wrong_graphs_are_found() {
    check("", &[]);
    check("1|bad v1.0.0|MIT\n", &["bad 1.0.0 is banned (why)", "room"]);
    check(
        "0|shell v0.1.0|MIT\n1|raft v0.7.0|MIT (*)\n",
        &["shell must not name raft"],
    );
    check("1|old v3.0.0|MIT\n", &["old", "2.0.0", "3.0.0"]);
    check("1|strange v1.0.0|GPL-3.0\n", &["strange", "GPL-3.0"]);
    check("1|strange v1.0.0|\n", &["strange"]);
}

#[test]
fn stale_and_silent_entries_are_found() {
    let graph = parse(GOOD);
    #[track_caller]
    fn check(graph: &Graph, from: &str, to: &str, words: &[&str]) {
        let deny: Deny = toml::from_str(&EXAMPLE.replace(from, to)).unwrap();
        let mut wrong = check_bans(&deny, graph);
        wrong.extend(check_versions(&deny, graph));
        wrong.extend(check_licences(&deny, graph));
        assert_one(&wrong, words);
    }
    check(
        &graph,
        r#"reason = "why""#,
        r#"reason = """#,
        &["bad", "without a reason"],
    );
    let gone = r#"skip = [{ crate = "gone@1", reason = "x" }, "#;
    check(&graph, "skip = [", gone, &["gone@1", "not in the tree"]);
    let gone = r#"exceptions = [{ crate = "gone", allow = [] }, "#;
    check(&graph, "exceptions = [", gone, &["gone", "not in the tree"]);
}
