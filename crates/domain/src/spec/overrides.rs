//! `--set path=value`: puts values into the tree before it is checked.

use super::problem::{Pos, Sink};
use super::shape::NOWHERE;
use super::tree::{self, Content, Entry, Node};

/// Puts each value at its path, later ones over earlier ones. A value is YAML, so lists and maps are fine. Nodes from
/// here have no place in the file.
pub(super) fn apply(root: &mut Node, overrides: &[(String, String)], sink: &mut Sink) {
    for (path, value) in overrides {
        if value.trim().is_empty() {
            sink.push(NOWHERE, path.clone(), "--set: no value after the =");
            continue;
        }
        let mut node = match tree::parse(value.as_bytes()) {
            Ok(node) => node,
            Err(problems) => {
                for problem in problems {
                    sink.push(NOWHERE, path.clone(), format!("--set: {}", problem.message));
                }
                continue;
            }
        };
        forget_places(&mut node);
        if let Err(message) = put(root, path, node) {
            sink.push(NOWHERE, path.clone(), format!("--set: {message}"));
        }
    }
}

fn forget_places(node: &mut Node) {
    node.at = Pos::default();
    match &mut node.content {
        Content::Scalar(..) => {}
        Content::List(items) => items.iter_mut().for_each(forget_places),
        Content::Map(entries) => {
            for entry in entries {
                entry.at = Pos::default();
                forget_places(&mut entry.value);
            }
        }
    }
}

/// Keys may hold dots (`search.parameters` has paths as keys), so the longest key that is there goes first.
fn put(node: &mut Node, path: &str, value: Node) -> Result<(), String> {
    if path.is_empty() || path.split('.').any(str::is_empty) {
        return Err("a path is words with dots between, such as optimizer.lr".into());
    }
    put_below(node, path, value, false)
}

fn put_below(node: &mut Node, path: &str, value: Node, free_keys: bool) -> Result<(), String> {
    if matches!(node.content, Content::Scalar(tree::Scalar::Null, _)) {
        node.content = Content::Map(Vec::new());
    }
    let Content::Map(entries) = &mut node.content else {
        return Err(format!(
            "there is no place for {path:?} in {}",
            node.describe()
        ));
    };
    let there = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| {
            path.strip_prefix(entry.key.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
        .max_by_key(|(_, entry)| entry.key.len());
    if let Some((i, entry)) = there {
        let rest = &path[entry.key.len()..];
        let inside_parameters = entry.key == "parameters";
        return match rest.strip_prefix('.') {
            None if rest.is_empty() => {
                entries[i] = Entry {
                    value,
                    ..entry.clone()
                };
                Ok(())
            }
            Some(rest) => put_below(&mut entries[i].value, rest, value, inside_parameters),
            None => put_item(&mut entries[i].value, rest, value),
        };
    }
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) if !free_keys => (key, Some(rest)),
        _ => (path, None),
    };
    if key.ends_with(']') && !free_keys {
        return Err("only a list that is written in the file has entries to set".into());
    }
    let mut entry = Entry {
        key: key.into(),
        at: Pos::default(),
        value,
    };
    if let Some(rest) = rest {
        let mut inner = Node {
            at: Pos::default(),
            content: Content::Map(Vec::new()),
        };
        put_below(&mut inner, rest, entry.value, key == "parameters")?;
        entry.value = inner;
    }
    entries.push(entry);
    Ok(())
}

/// `rest` is `[2]`.
fn put_item(node: &mut Node, rest: &str, value: Node) -> Result<(), String> {
    let index = rest
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let Some(index) = index.and_then(|index| index.parse::<usize>().ok()) else {
        return Err(format!("{rest:?} is not an index such as [0]"));
    };
    let Content::List(items) = &mut node.content else {
        return Err(format!("{} has no entries", node.describe()));
    };
    let count = items.len();
    match items.get_mut(index) {
        Some(item) => *item = value,
        None => {
            return Err(format!(
                "the list has {count} entries, [{index}] is not one"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, value: &str, expected: Result<&str, &str>) {
        let mut root = tree::parse(text.as_bytes()).unwrap();
        let mut sink = Sink::default();
        apply(&mut root, &[(path.into(), value.into())], &mut sink);
        let problems = sink.into_problems();
        match expected {
            Ok(expected) => {
                let mut expected = tree::parse(expected.as_bytes()).unwrap();
                forget_places(&mut expected);
                forget_places(&mut root);
                assert_eq!((root, problems), (expected, vec![]), "{path}={value}");
            }
            Err(message) => {
                let found: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
                assert_eq!(found, [format!("--set: {message}")], "{path}={value}");
            }
        }
    }

    #[test]
    fn values_are_replaced_added_and_nested() {
        check("{a: {b: 1}}", "a.b", "2", Ok("{a: {b: 2}}"));
        check(
            "{a: {b: 1}}",
            "a.c",
            "[x, 1e-3]",
            Ok("{a: {b: 1, c: [x, 1e-3]}}"),
        );
        check(
            "{a: 1}",
            "b.c.d",
            "{e: 1}",
            Ok("{a: 1, b: {c: {d: {e: 1}}}}"),
        );
        check("{a: ~}", "a.b", "1", Ok("{a: {b: 1}}"));
        check("{a: [1, 2]}", "a[1]", "3", Ok("{a: [1, 3]}"));
    }

    #[test]
    fn keys_with_dots_are_found_and_made() {
        let text = "{search: {parameters: {\"m.h[0]\": {min: 1}}}}";
        check(
            text,
            "search.parameters.m.h[0].min",
            "2",
            Ok(&text.replace('1', "2")),
        );
        check(
            text,
            "search.parameters.o.lr",
            "{min: 3}",
            Ok("{search: {parameters: {\"m.h[0]\": {min: 1}, o.lr: {min: 3}}}}"),
        );
        check(
            "{a: 1}",
            "search.parameters.o.lr",
            "{min: 3}",
            Ok("{a: 1, search: {parameters: {o.lr: {min: 3}}}}"),
        );
    }

    #[test]
    fn what_has_no_place_is_refused() {
        check(
            "{a: 1}",
            "a.b",
            "1",
            Err("there is no place for \"b\" in 1"),
        );
        check(
            "{a: [1]}",
            "a[1]",
            "1",
            Err("the list has 1 entries, [1] is not one"),
        );
        check("{a: 1}", "a[0]", "1", Err("1 has no entries"));
        check(
            "{a: 1}",
            "b[0]",
            "1",
            Err("only a list that is written in the file has entries to set"),
        );
        check(
            "{a: 1}",
            "a..b",
            "1",
            Err("a path is words with dots between, such as optimizer.lr"),
        );
        check("{a: 1}", "a", " ", Err("no value after the ="));
    }
}
