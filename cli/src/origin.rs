//! Where a spec comes from: the commit it lies in, and this program.

use std::path::Path;
use std::process::{Command, Stdio};

use bonfire_domain::origin::{GitRevision, Origin};

/// What can be said of a spec file. Without git, or outside a checkout, there is no revision.
pub fn of(spec: &Path) -> Origin {
    let folder = spec.parent().filter(|p| !p.as_os_str().is_empty());
    Origin {
        git: revision(folder.unwrap_or(Path::new("."))),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

fn revision(folder: &Path) -> Option<GitRevision> {
    let commit = git(folder, &["rev-parse", "HEAD"])?;
    let changed = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(GitRevision {
        commit,
        branch: git(folder, &["symbolic-ref", "--short", "--quiet", "HEAD"]),
        dirty: !changed.is_empty(),
    })
}

/// What git prints, if it can answer.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        // A look must not wait for somebody else's commit, nor refresh the index under it.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_revision_is_that_of_the_specs_folder() {
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("spec.yaml");
        std::fs::write(&spec, "kind: sweep\n").unwrap();
        assert_eq!(of(&spec).git, None);
        let run = |arguments: &[&str]| {
            let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
            git(folder.path(), &[&author[..], arguments].concat()).unwrap()
        };
        run(&["init", "--quiet", "--initial-branch", "trunk"]);
        assert_eq!(of(&spec).git, None); // no commit yet
        run(&["add", "spec.yaml"]);
        run(&["commit", "--quiet", "-m", "first"]);
        let clean = of(&spec).git.unwrap();
        assert_eq!(clean.commit, run(&["rev-parse", "HEAD"]));
        assert_eq!(
            (clean.branch.as_deref(), clean.dirty),
            (Some("trunk"), false)
        );
        std::fs::write(&spec, "kind: dataset\n").unwrap();
        assert!(of(&spec).git.unwrap().dirty);
        run(&["checkout", "--quiet", "--detach"]);
        assert_eq!(of(&spec).git.unwrap().branch, None);
    }
}
