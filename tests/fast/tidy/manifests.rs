//! The members' own manifests.

use std::collections::BTreeSet;

use cargo_metadata::MetadataCommand;

use super::tree::root;
use super::{assert_clean, assert_one};

/// A member of the workspace.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    /// The members it names, as normal, build or dev dependencies.
    pub uses: Vec<String>,
    /// Its manifest's text.
    pub manifest: String,
}

impl Member {
    pub fn new(name: &str, uses: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            uses: uses.iter().map(|u| (*u).to_owned()).collect(),
            manifest: String::new(),
        }
    }
}

/// The members of the workspace, from `cargo metadata`.
pub fn members() -> Vec<Member> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .unwrap();
    let names: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let read = |package: &cargo_metadata::Package| {
        let used: BTreeSet<String> = package
            .dependencies
            .iter()
            .map(|d| d.name.clone())
            .filter(|name| names.contains(name))
            .collect();
        Member {
            name: package.name.to_string(),
            uses: used.into_iter().collect(),
            manifest: std::fs::read_to_string(&package.manifest_path).unwrap(),
        }
    };
    metadata.packages.iter().map(read).collect()
}

/// Keys that a member takes from the workspace, so that one line says it for all.
const INHERITED: &[(&str, &str)] = &[
    ("lints", "workspace"),
    ("package", "version"),
    ("package", "edition"),
    ("package", "rust-version"),
    ("package", "license"),
    ("package", "publish"),
];

fn check_manifest(member: &Member) -> Vec<String> {
    let name = &member.name;
    let table: toml::Table = match member.manifest.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut wrong = Vec::new();
    for (section, key) in INHERITED {
        let value = table.get(*section).and_then(|s| s.get(key));
        let inherits = match value {
            Some(toml::Value::Boolean(yes)) => *yes && *key == "workspace",
            Some(value) => value
                .get("workspace")
                .is_some_and(|w| w.as_bool() == Some(true)),
            None => false,
        };
        if !inherits {
            wrong.push(format!("{name}: [{section}] {key} is not the workspace's"));
        }
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let dependencies = table.get(section).and_then(toml::Value::as_table);
        for (used, value) in dependencies.into_iter().flatten() {
            if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                wrong.push(format!("{name}: {used} has a version of its own"));
            }
        }
    }
    wrong
}

#[test]
fn every_member_takes_lints_and_versions_from_the_workspace() {
    assert_clean(members().iter().flat_map(check_manifest).collect());
}

#[test]
fn a_manifest_of_its_own_mind_is_found() {
    let good = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
                rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
                [lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";
    #[track_caller]
    fn check(manifest: String, words: &[&str]) {
        let mut member = Member::new("a", &[]);
        member.manifest = manifest;
        let wrong = check_manifest(&member);
        if words.is_empty() {
            assert_clean(wrong);
        } else {
            assert_one(&wrong, words);
        }
    }
    check(good.to_owned(), &[]);
    check(
        good.replace("[lints]\nworkspace = true\n", ""),
        &["[lints] workspace"],
    );
    check(
        good.replace("[lints]\nworkspace = true", "[lints]\nworkspace = false"),
        &["[lints]"],
    );
    check(
        good.replace("license.workspace = true", "license = \"MIT\""),
        &["license"],
    );
    check(
        good.replace("serde.workspace = true", "serde = \"1\""),
        &["serde"],
    );
    check("[package".to_owned(), &["a: "]);
}
