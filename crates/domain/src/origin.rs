//! Where a sweep came from, as its submitter saw it: recorded with the sweep, never read by a decision.

use serde::{Deserialize, Serialize};

/// The checkout and the machine that a sweep was submitted from. Never a path, an environment variable or a command line: they
/// may hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The checkout that the spec lies in; `None` where there is none.
    pub git: Option<GitRevision>,
    /// The submitting program, as in `0.1.0`.
    pub version: String,
    /// Operating system and architecture, as in `linux x86_64`.
    pub system: String,
}

/// A commit of git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRevision {
    /// Lowercase hexadecimal.
    pub commit: String,
    /// `None` when no branch is checked out.
    pub branch: Option<String>,
    /// Whether tracked files differed from the commit.
    pub dirty: bool,
}
