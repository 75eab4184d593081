//! An executor's log as lines of bounded length.

use std::collections::VecDeque;

use bonfire_domain::WallMs;
use bonfire_domain::metric::{LOG_LINE_BYTES_MAX, LogLine};

use super::cause::LAST_LINES;

/// Puts lines together and remembers the last ones.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    /// The rest of a line that is already too long.
    skipping: bool,
    last: VecDeque<String>,
}

impl Lines {
    /// The whole lines that end in `bytes`; what a line has beyond the limit is dropped.
    pub fn push(&mut self, bytes: &[u8], time: WallMs, out: &mut Vec<LogLine>) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (body, ends) = match part.split_last() {
                Some((b'\n', body)) => (body, true),
                _ => (part, false),
            };
            if !self.skipping {
                let room = LOG_LINE_BYTES_MAX - self.partial.len();
                self.partial
                    .extend_from_slice(&body[..body.len().min(room)]);
                self.skipping = body.len() > room;
            }
            if ends {
                self.finish(time, out);
            }
        }
    }

    /// The last line, where the log ended without its end.
    pub fn finish(&mut self, time: WallMs, out: &mut Vec<LogLine>) {
        self.skipping = false;
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if text.is_empty() {
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(text.clone());
        out.push(LogLine { time, text });
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// A new attempt is not blamed with the lines of the one before it.
    pub fn forget(&mut self) {
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes(), WallMs(1), &mut out);
        }
        lines.finish(WallMs(1), &mut out);
        let found: Vec<&str> = out.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn pieces_become_lines() {
        check(&["a\nb", "c\n\nd"], &["a", "bc", "d"]);
        check(&["\r\n", "x\r\n"], &["x"]);
        check(&[], &[]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(LOG_LINE_BYTES_MAX);
        check(&[&long, &long, "y\nz"], &[&long, "z"]);
    }
}
