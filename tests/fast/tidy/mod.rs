//! The rules of the repository that a compiler does not keep. Each is a pure function from what it looks at to what is
//! wrong, and each has a test that shows it a wrong example.

mod deny;
mod edges;
mod graph;
mod invariants;
mod licence;
mod links;
mod manifests;
mod text;
pub mod tree;

/// Fails with every broken rule at once.
#[track_caller]
fn assert_clean(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Asserts that exactly one thing is wrong and that it is said with these words.
#[track_caller]
fn assert_one(wrong: &[String], words: &[&str]) {
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    for word in words {
        assert!(
            wrong[0].contains(word),
            "{:?} does not say {word:?}",
            wrong[0]
        );
    }
}
