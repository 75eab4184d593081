//! Why a verb came to nothing: the exit code, what went wrong, what to do next.

use std::fmt;

use bonfire_data::DataError;
use bonfire_proto::TokenError;
use bonfire_proto::client::ClientError;

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Wrong = 2,
    NotFound = 3,
    Unreachable = 4,
}

/// A verb's answer: the exit code of what was done, or why nothing was.
pub type Outcome = Result<Exit, Failure>;

/// Why a verb came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// Lower case, no full stop; may have several lines.
    pub text: String,
    /// What to do about it.
    pub next: Option<String>,
    /// Lines that stand in front: a spec's problems with their places.
    pub before: String,
}

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure {
            exit,
            text: text.into(),
            next: None,
            before: String::new(),
        }
    }

    pub fn failed(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, text)
    }

    pub fn wrong(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Wrong, text)
    }

    pub fn missing(text: impl Into<String>) -> Failure {
        Failure::new(Exit::NotFound, text)
    }

    pub fn unreachable(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Unreachable, text)
    }

    /// Adds what to do next, unless that is already said.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Failure {
        self.next.get_or_insert(next.into());
        self
    }

    /// Lets a command to look with, which comes last in what is to do next, name the same fleet.
    #[must_use]
    pub fn on(&self, flags: &str) -> Failure {
        let mut failure = self.clone();
        if let Some(next) = &mut failure.next
            && next.contains("see bonfire ")
            && !next.contains(flags)
        {
            next.push_str(flags);
        }
        failure
    }

    /// Puts lines in front of it.
    #[must_use]
    pub fn before(mut self, lines: String) -> Failure {
        self.before = lines;
        self
    }

    /// Puts the file or thing it is about in front.
    #[must_use]
    pub fn about(mut self, what: impl fmt::Display) -> Failure {
        self.text = format!("{what}: {}", self.text);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}error: {}", self.before, self.text.trim_end())?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let exit = match error.exit_code() {
            2 => Exit::Wrong,
            3 => Exit::NotFound,
            4 => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let failure = Failure::new(exit, error.to_string());
        match &error {
            ClientError::Unreachable { .. } => failure.next("is a coordinator running there? start one with bonfire up, or name another with --coordinator"),
            ClientError::Failed { retry: true, .. } => failure.next("try again"),
            _ => failure,
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        let exit = if error.is_users() {
            Exit::Wrong
        } else {
            Exit::Failed
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Failure {
        let text = match &error {
            TokenError::Read { source, .. } => format!("{error}: {source}"),
            TokenError::Form { .. } => error.to_string(),
        };
        Failure::wrong(text).next(
            "give the file that the coordinator made in its data directory: --token-file FILE",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: &Failure, expected: &str) {
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn what_is_next_names_the_fleet() {
        let failure = |next: &str| Failure::missing("none").next(next).on(" --data d");
        check(
            &failure("run it, or see bonfire sweep list"),
            "error: none\n  next: run it, or see bonfire sweep list --data d",
        );
        let said = "see bonfire sweep list --data d";
        check(&failure(said), &format!("error: none\n  next: {said}"));
        check(&failure("name one"), "error: none\n  next: name one");
    }

    #[test]
    fn a_failure_says_what_and_what_next() {
        check(
            &Failure::missing("no sweep is named x"),
            "error: no sweep is named x",
        );
        check(
            &Failure::failed("disk full\n")
                .about("a.csv")
                .next("free some space")
                .next("not this"),
            "error: a.csv: disk full\n  next: free some space",
        );
    }
}
