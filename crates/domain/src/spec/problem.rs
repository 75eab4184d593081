//! One thing that is wrong with a spec: where, which field, what to do. And how a terminal shows it.

use std::fmt;

/// A place in a spec's text: 1-based, columns in characters. `0:0` is a value that did not come from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pos {
    pub line: u32,
    pub column: u32,
}

/// One problem of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 1-based; 0 where the value came from `--set` or from a trial's parameters.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// The dotted path of the field, empty for the file as a whole.
    pub path: String,
    /// Lower case, no full stop.
    pub message: String,
}

impl Problem {
    /// A problem at a place of the text.
    pub fn new(at: Pos, path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            line: at.line,
            column: at.column,
            path: path.into(),
            message: message.into(),
        }
    }

    /// A problem of a field, wherever it was written.
    pub fn at_path(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem::new(Pos::default(), path, message)
    }

    /// The problem for a terminal: the file, the line as written and a caret below its column.
    pub fn render(&self, file: &str, text: &str) -> String {
        let subject = match self.path.as_str() {
            "" => self.message.clone(),
            path => format!("{}: {}", printable(path), self.message),
        };
        if self.line == 0 {
            return format!("{subject}\n");
        }
        let mut out = format!("{file}:{}:{}: {subject}\n", self.line, self.column);
        let found = text.lines().nth(self.line as usize - 1);
        let Some(source) = found.filter(|source| source.chars().count() <= SOURCE_COLUMNS_MAX)
        else {
            return out;
        };
        let number = self.line.to_string();
        // A tab stays a tab below itself, so that the caret stands right whatever its width.
        let indent: String = source
            .chars()
            .take(self.column.saturating_sub(1) as usize)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let source: String = source
            .chars()
            .filter(|c| *c == '\t' || !c.is_control())
            .collect();
        out.push_str(&format!("  {number} | {source}\n"));
        out.push_str(&format!("  {} | {indent}^\n", " ".repeat(number.len())));
        out
    }
}

/// A key as a user wrote it, without what would move a terminal's cursor.
fn printable(path: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    path.chars().map(shown).collect()
}

/// Longer lines are not shown.
const SOURCE_COLUMNS_MAX: usize = 400;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems for a terminal, one after the other. `text` is the file as read.
pub fn render_problems(problems: &[Problem], file: &str, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    problems
        .iter()
        .map(|problem| problem.render(file, &text))
        .collect()
}

/// Collects problems; more than [`PROBLEMS_MAX`] are counted, not kept.
#[derive(Debug, Default)]
pub(super) struct Sink {
    problems: Vec<Problem>,
    dropped: usize,
}

/// Problems kept of one spec.
pub(super) const PROBLEMS_MAX: usize = 100;

impl Sink {
    pub(super) fn push(&mut self, at: Pos, path: impl Into<String>, message: impl Into<String>) {
        let problem = Problem::new(at, path, message);
        if self.problems.contains(&problem) {
            return;
        }
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether something has been said of a field, a part of it, or what it is a part of.
    pub(super) fn touches(&self, path: &str) -> bool {
        let inside = |whole: &str, part: &str| {
            part.strip_prefix(whole)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let said = |problem: &Problem| inside(path, &problem.path) || inside(&problem.path, path);
        self.problems
            .iter()
            .filter(|problem| !problem.path.is_empty())
            .any(said)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// All problems in the order of the text.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems
            .sort_by_key(|problem| (problem.line, problem.column));
        if self.dropped > 0 {
            let message = format!("and {} more problems", self.dropped);
            self.problems
                .push(Problem::new(Pos::default(), "", message));
        }
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_its_column() {
        let problem = Problem::new(Pos { line: 2, column: 7 }, "optimizer.lr", "too big");
        assert_eq!(
            problem.render("a.yaml", "optimizer:\n  lr: 3\n"),
            "a.yaml:2:7: optimizer.lr: too big\n  2 |   lr: 3\n    |       ^\n"
        );
        assert_eq!(problem.to_string(), "2:7: optimizer.lr: too big");
    }

    #[test]
    fn a_value_from_outside_has_no_place() {
        let problem = Problem::at_path("optimizer.lr", "too big");
        assert_eq!(problem.render("a.yaml", ""), "optimizer.lr: too big\n");
    }

    #[test]
    fn problems_are_bounded_and_in_order() {
        let mut sink = Sink::default();
        for line in (1..=150).rev() {
            sink.push(Pos { line, column: 1 }, "", "bad");
        }
        let problems = sink.into_problems();
        assert_eq!(problems.len(), PROBLEMS_MAX + 1);
        assert!(problems[0].line < problems[1].line);
        assert_eq!(problems[PROBLEMS_MAX].message, "and 50 more problems");
    }
}
