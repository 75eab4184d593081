//! What people and scripts see: results on stdout, progress and errors on stderr.

pub mod errors;
pub mod json;
pub mod progress;
pub mod table;
pub mod text;

use std::io::{self, Write};

use crate::args::{Global, OutputForm};

/// Where and how a verb prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub form: OutputForm,
    pub quiet: bool,
}

impl Output {
    pub fn of(global: &Global) -> Output {
        Output {
            form: global.output,
            quiet: global.quiet,
        }
    }

    pub fn is_json(self) -> bool {
        self.form == OutputForm::Json
    }

    /// A result, for stdout. A reader that went away (`| head`) is no failure.
    pub fn print(self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Something worth knowing, for stderr.
    pub fn note(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }
}

/// One line on stderr.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
