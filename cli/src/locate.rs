//! Where a field stands in a spec's text, for problems that show only beside the data.

use bonfire_domain::spec::{Pos, Problem};

/// Gives problems without a place the one where their field is written, if it is found.
pub fn place(problems: &mut [Problem], text: &str) {
    for problem in problems.iter_mut().filter(|p| p.line == 0) {
        if let Some(at) = find(text, &problem.path) {
            (problem.line, problem.column) = (at.line, at.column);
        }
    }
}

/// The value of a dotted path, or the nearest parent's that is written. Follows keys of block and flow maps; list entries
/// are taken as their list.
pub fn find(text: &str, path: &str) -> Option<Pos> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = None;
    let (mut from, mut column, mut indent) = (0, 0, None::<usize>);
    for key in keys(path) {
        let Some((line, at)) = key_at(&lines, key, from, column, indent) else {
            break;
        };
        let after = at + key.chars().count() + 1;
        let rest: String = lines[line].chars().skip(after).collect();
        let blank = rest.chars().take_while(|c| c.is_whitespace()).count();
        let value = rest.trim_start();
        let here = if value.is_empty() || value.starts_with('#') {
            at
        } else {
            after + blank
        };
        found = Some(Pos {
            line: line as u32 + 1,
            column: here as u32 + 1,
        });
        if value.starts_with('{') {
            (from, column, indent) = (line, after, None);
        } else {
            (from, column, indent) = (line + 1, 0, Some(at));
        }
    }
    found
}

/// The keys on the way to a path. The name of a searched parameter is one, dots and index included.
fn keys(path: &str) -> Vec<&str> {
    match path.strip_prefix("search.parameters.") {
        Some(name) => vec!["search", "parameters", name],
        None => {
            let name = |key: &str| key.find('[').unwrap_or(key.len());
            path.split('.').map(|key| &key[..name(key)]).collect()
        }
    }
}

/// The line and column (from 0, in characters) of a key: a line of its own deeper than `indent`, or, after an opening
/// brace (`column` is not 0), within the flow map that begins there.
fn key_at(
    lines: &[&str],
    key: &str,
    from: usize,
    column: usize,
    indent: Option<usize>,
) -> Option<(usize, usize)> {
    let flow = column > 0;
    let mut level = None;
    for (number, line) in lines.iter().enumerate().skip(from) {
        let skip = if number == from { column } else { 0 };
        let depth = line.chars().take_while(|c| *c == ' ').count();
        if flow {
            let chars: Vec<char> = line.chars().collect();
            let wanted: Vec<char> = format!("{key}:").chars().collect();
            let place = (skip..chars.len()).find(|&i| {
                chars[i..].starts_with(&wanted)
                    && (i == 0 || [' ', '{', ','].contains(&chars[i - 1]))
            });
            if let Some(place) = place {
                return Some((number, place));
            }
            if line.contains('}') {
                return None;
            }
            continue;
        }
        let body = line.trim();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        if indent.is_some_and(|parent| depth <= parent) {
            return None;
        }
        let level = *level.get_or_insert(depth);
        if depth == level
            && body
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(':'))
        {
            return Some((number, depth));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a: comment\nkind: sweep\ndata:\n  dataset: ./a.csv\n\n  split: { train: 0.8, valid: 0.2 }\n  label: y\nmodel: { kind: mlp,\n         hidden: [1, 2] }\nlabel: no\nsearch:\n  parameters:\n    data.batch: { values: [1, 2] }\n    model.hidden[0]: { min: 1, max: 2 }\n";

    #[track_caller]
    fn check(path: &str, expected: Option<(u32, u32)>) {
        assert_eq!(
            find(TEXT, path).map(|p| (p.line, p.column)),
            expected,
            "{path}"
        );
    }

    #[test]
    fn values_are_found_in_block_and_flow_maps() {
        check("kind", Some((2, 7)));
        check("data.dataset", Some((4, 12)));
        check("data.split.valid", Some((6, 31)));
        check("data.label", Some((7, 10)));
        check("model.kind", Some((8, 16)));
        check("model.hidden[1]", Some((9, 18)));
        check("data", Some((3, 1)));
        check("search.parameters.data.batch", Some((13, 17)));
        check("search.parameters.model.hidden[0]", Some((14, 22)));
    }

    #[test]
    fn what_is_not_written_is_at_its_parent() {
        check("data.batch", Some((3, 1)));
        check("data.split.seed", Some((6, 10)));
        check("search.parameters.model.norm", Some((12, 3)));
        check("train.epochs", None);
    }
}
