//! JSON lines: one object a line, its keys are the columns. Blank lines are skipped.

use std::path::Path;

use serde_json::{Map, Value};

use super::lines::Lines;
use super::tally::Tally;
use super::{Heading, RawChunk, RawRows, Rows};
use crate::error::DataError;

pub(super) struct JsonRows {
    lines: Lines,
    done: u64,
}

impl JsonRows {
    pub fn open(path: &Path, tally: Tally) -> Result<JsonRows, DataError> {
        Ok(JsonRows {
            lines: Lines::open(path, tally)?,
            done: 0,
        })
    }
}

impl Rows for JsonRows {
    fn headings(&self) -> Option<&[Heading]> {
        None
    }

    fn read(&mut self, rows: usize) -> Result<Option<RawChunk>, DataError> {
        let mut objects: Vec<Map<String, Value>> = Vec::new();
        let mut lines = Vec::new();
        while lines.len() < rows {
            let row = self.done + lines.len() as u64 + 1;
            let Some(line) = self.lines.next(row)? else {
                break;
            };
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(object) => objects.push(object),
                Err(e) => {
                    return Err(self
                        .lines
                        .error(row, format!("not a JSON object: {}", problem(&e))));
                }
            }
            lines.push(self.lines.number);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let before = self.done;
        self.done += lines.len() as u64;
        let content = RawRows::Objects(objects);
        Ok(Some(RawChunk {
            file: self.lines.path.clone(),
            before,
            rows: lines.len(),
            lines,
            content,
        }))
    }
}

/// The parser counts lines from the start of the text it was given, which is one line of many.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{text} at character {}", error.column())
}
