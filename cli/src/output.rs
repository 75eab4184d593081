//! What people and scripts see: results on stdout, progress and errors on stderr.

pub mod errors;
pub mod json;
pub mod progress;
pub mod table;
pub mod text;

use std::io::{self, Write};
use std::sync::OnceLock;

use crate::args::{Global, OutputForm};
use errors::Failure;

/// Why a result could not be written to stdout. Global because stdout is: what a verb does is done whether its result can be
/// printed or not, and only the process' last word depends on it.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// What [`Output::print`] could not do.
///
/// # Errors
/// Exit 1: a result that nobody got.
pub fn all_written() -> Result<(), Failure> {
    match UNWRITTEN.get() {
        None => Ok(()),
        Some(why) => Err(Failure::failed(format!("cannot write to stdout: {why}"))),
    }
}

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

    /// A result, for stdout. A reader that went away (`| head`) is no failure; any other is told when the verb ends.
    pub fn print(self, text: &str) {
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = out
            .write_all(text.as_bytes())
            .and_then(|()| out.write_all(end.as_bytes()))
            .and_then(|()| out.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = UNWRITTEN.set(error.to_string()); // the first is enough
        }
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
