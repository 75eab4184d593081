//! Links of the documents to files of the repository.

use std::path::Path;

use super::tree::{SourceFile, files, root};
use super::{assert_clean, assert_one};

/// Links `[..](path)` whose file is not there, by `exists`. Links with a scheme and anchors alone are not looked at.
fn check_links(files: &[SourceFile], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for link in file.text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            let path = link.split('#').next().unwrap_or_default();
            let is_local =
                !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:");
            if is_local && !exists(&folder.join(path)) {
                wrong.push(format!("{}: {path} is not there", file.path));
            }
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    assert_clean(check_links(&files(), &|path| root().join(path).exists()));
}

#[test]
fn a_dead_link_is_found() {
    let file = SourceFile::new(
        "docs/a.md",
        "[a](b.md#part) [c](https://x.org/y) [d](#here) [e](../gone.md)",
    );
    let exists = |path: &Path| path == Path::new("docs/b.md");
    assert_one(&check_links(&[file], &exists), &["docs/a.md", "../gone.md"]);
}
