//! Spec text as a tree of nodes that know their place. Knows YAML and its budgets, nothing about fields.
//!
//! Only what a spec needs of YAML 1.2: one document, no tags, no directives, no merge keys. JSON is YAML, so it comes
//! through the same door.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::problem::{Pos, Problem};

/// Largest spec, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of lists and maps.
pub const DEPTH_MAX: usize = 32;
/// Nodes of the tree, aliases expanded.
pub const NODES_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Pos,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar, /** as written */ String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Pos,
    pub(super) value: Node,
}

/// A scalar by YAML's core schema. An integer beyond an `i64` is a real.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Flag(bool),
    Whole(i64),
    Real(f64),
    Text(String),
}

impl Node {
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The node at a dotted path of plain keys.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        path.split('.')
            .try_fold(self, |node, key| node.get(key).map(|entry| &entry.value))
    }

    /// The place of a path, or of the deepest part of it that is written.
    pub(super) fn place(&self, path: &str) -> Pos {
        let mut at = self.at;
        let mut node = self;
        for key in path.split('.') {
            let Some(entry) = node.get(key.split('[').next().unwrap_or(key)) else {
                break;
            };
            let scalar = matches!(entry.value.content, Content::Scalar(..));
            at = if scalar { entry.value.at } else { entry.at };
            node = &entry.value;
        }
        at
    }

    /// What was found, for a message.
    pub(super) fn describe(&self) -> String {
        match &self.content {
            Content::Scalar(scalar, _) => scalar.describe(),
            Content::List(_) => "a list".into(),
            Content::Map(_) => "a map".into(),
        }
    }
}

impl Scalar {
    /// What was found, for a message.
    pub(super) fn describe(&self) -> String {
        match self {
            Scalar::Null => "nothing".into(),
            Scalar::Flag(value) => value.to_string(),
            Scalar::Whole(value) => value.to_string(),
            Scalar::Real(value) => format!("{value:?}"),
            Scalar::Text(value) => {
                let short: String = value.chars().take(40).collect();
                let more = if short.len() < value.len() { "..." } else { "" };
                format!("{:?}", format!("{short}{more}"))
            }
        }
    }

    /// Reads a plain scalar.
    fn plain(text: &str) -> Scalar {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
            "true" | "True" | "TRUE" => return Scalar::Flag(true),
            "false" | "False" | "FALSE" => return Scalar::Flag(false),
            ".nan" | ".NaN" | ".NAN" => return Scalar::Real(f64::NAN),
            _ => {}
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if matches!(digits, ".inf" | ".Inf" | ".INF") {
            let infinity = if sign == "-" {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            return Scalar::Real(infinity);
        }
        for (prefix, radix) in [("0x", 16), ("0o", 8)] {
            let value = text
                .strip_prefix(prefix)
                .and_then(|t| i64::from_str_radix(t, radix).ok());
            if let Some(value) = value {
                return Scalar::Whole(value);
            }
        }
        // Rust's own float syntax also has words ("inf", "nan"): only digits, a point and an exponent are numbers here.
        let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let plain = digits
            .bytes()
            .all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
        if !starts || !plain {
            return Scalar::Text(text.to_owned());
        }
        let number = format!("{sign}{digits}");
        match (number.parse::<i64>(), number.parse::<f64>()) {
            (Ok(value), _) => Scalar::Whole(value),
            (_, Ok(value)) => Scalar::Real(value),
            _ => Scalar::Text(text.to_owned()),
        }
    }
}

/// Reads a spec's text.
///
/// # Errors
/// Whatever keeps the text from being one tree, with its place; twice-written keys all at once.
pub(super) fn parse(text: &[u8]) -> Result<Node, Vec<Problem>> {
    let start = Pos { line: 1, column: 1 };
    let fail = |at, message: String| Err(vec![Problem::new(at, "", message)]);
    if text.len() > TEXT_BYTES_MAX {
        return fail(
            start,
            format!(
                "the file has more than {TEXT_BYTES_MAX} bytes, which no spec needs: is it one?"
            ),
        );
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&text[..error.valid_up_to()]);
            return fail(
                end_of(&valid),
                "not UTF-8 from here on: save the file as UTF-8".into(),
            );
        }
    };
    if let Some(index) = text.find('\0') {
        return fail(
            end_of(&text[..index]),
            "a NUL byte: this is not a text file".into(),
        );
    }
    let mut builder = Builder::default();
    let mut options = Options::default();
    options.disallow_directives = true;
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        let done = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let mark = error.marker();
                let at = place(mark.line(), mark.col());
                Err(Problem::new(at, "", format!("not YAML: {}", error.info())))
            }
        };
        if let Err(problem) = done {
            builder.problems.push(problem);
            return Err(builder.problems);
        }
    }
    match builder.root {
        _ if !builder.problems.is_empty() => Err(builder.problems),
        Some(root) => Ok(root),
        None => fail(start, "the file is empty".into()),
    }
}

fn place(line: usize, column_from_0: usize) -> Pos {
    Pos {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column_from_0 + 1).unwrap_or(u32::MAX),
    }
}

/// The place right after some text.
fn end_of(text: &str) -> Pos {
    let line = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or(text);
    place(line + 1, last.chars().count())
}

/// An open list or map.
struct Open {
    at: Pos,
    anchor: usize,
    nodes_before: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Pos)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    /// What an alias stands for, and how many nodes that is.
    anchors: BTreeMap<usize, (Node, usize)>,
    problems: Vec<Problem>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = place(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(Problem::new(
                at,
                "",
                "a second document: one file is one spec",
            )),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => {
                let at = span
                    .tag_start
                    .map_or(at, |mark| place(mark.line(), mark.col()));
                Err(Problem::new(
                    at,
                    "",
                    "YAML tags (!...) are not used in specs",
                ))
            }
            Event::Scalar(text, style, anchor, None) => {
                let raw = text.into_owned();
                let scalar = match style {
                    ScalarStyle::Plain => Scalar::plain(&raw),
                    _ => Scalar::Text(raw.clone()),
                };
                self.count(at, 1)?;
                let node = Node {
                    at,
                    content: Content::Scalar(scalar, raw),
                };
                self.finish(node, anchor, 1)
            }
            Event::SequenceStart(_, anchor, None) => {
                self.push(at, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, None) => {
                self.push(at, anchor, Inside::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop(),
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(Problem::new(at, "", "an alias inside what it stands for"));
                };
                let (node, size) = (node.clone(), *size);
                self.count(at, size)?;
                if self.open.len() + depth(&node) > DEPTH_MAX {
                    return Err(too_deep(at));
                }
                self.finish(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, at: Pos, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let message = format!("more than {NODES_MAX} values, with aliases expanded");
        Err(Problem::new(at, "", message))
    }

    fn push(&mut self, at: Pos, anchor: usize, inside: Inside) -> Result<(), Problem> {
        let nodes_before = self.nodes;
        self.count(at, 1)?;
        if self.open.len() == DEPTH_MAX {
            return Err(too_deep(at));
        }
        self.open.push(Open {
            at,
            anchor,
            nodes_before,
            inside,
        });
        Ok(())
    }

    fn pop(&mut self) -> Result<(), Problem> {
        let Some(Open {
            at,
            anchor,
            nodes_before,
            inside,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let content = match inside {
            Inside::List(items) => Content::List(items),
            Inside::Map(entries, _) => Content::Map(entries),
        };
        self.finish(Node { at, content }, anchor, self.nodes - nodes_before)
    }

    /// Puts a whole node where it belongs: the root, a list, a key or a value.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map(entries, pending)) => match pending.take() {
                None => match node.content {
                    Content::Scalar(_, raw) => *pending = Some((raw, node.at)),
                    _ => return Err(Problem::new(node.at, "", "a key must be a single word")),
                },
                Some((key, at)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => {
                        let Pos { line, column } = first.at;
                        let message = format!("{key:?} is already written at {line}:{column}");
                        self.problems.push(Problem::new(at, "", message));
                    }
                    None => entries.push(Entry {
                        key,
                        at,
                        value: node,
                    }),
                },
            },
        }
        Ok(())
    }
}

fn too_deep(at: Pos) -> Problem {
    Problem::new(at, "", format!("nested deeper than {DEPTH_MAX} levels"))
}

/// Levels of lists and maps in a node; at most [`DEPTH_MAX`] by construction.
fn depth(node: &Node) -> usize {
    match &node.content {
        Content::Scalar(..) => 0,
        Content::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Content::Map(entries) => 1 + entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
    }
}
