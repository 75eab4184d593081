//! Why an executor process died, from what its agent saw. Pure.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use bonfire_domain::fault::{AttemptEnd, Failure, LostCause};

/// Lines of the log that an attempt's end quotes.
pub const LAST_LINES: usize = 10;
/// Longest text of an attempt's end, in bytes; the end of the log matters most.
const DETAIL_BYTES_MAX: usize = 2_000;

/// Why the agent itself killed a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    TimeLimit,
    NoProgress,
    Memory,
    /// It did not obey an order to end within the grace.
    Disobeyed {
        save: bool,
    },
    /// It wrote what no executor writes.
    Garbled,
}

/// What the agent knows of a death.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    pub verdict: Option<Verdict>,
    /// `None` if the process could not be waited for.
    pub status: Option<ExitStatus>,
    /// Bytes of resident memory when last looked at.
    pub resident: u64,
    /// `resources.memory`.
    pub memory_max: Option<u64>,
    /// The kernel ended a process of our control group for memory while this one lived.
    pub kernel_oom: bool,
    /// The last lines it logged.
    pub lines: &'a [String],
}

/// Decides how the attempt that ran in a dead process ended.
pub fn decide_end(evidence: Evidence<'_>) -> AttemptEnd {
    let Evidence {
        verdict,
        status,
        resident,
        memory_max,
        kernel_oom,
        lines,
    } = evidence;
    let failed = |failure| AttemptEnd::Failed {
        failure,
        detail: quote(lines),
    };
    match verdict {
        Some(Verdict::TimeLimit) => return failed(Failure::TimeLimit),
        Some(Verdict::NoProgress) => return failed(Failure::NoProgress),
        Some(Verdict::Memory) => {
            let limit = memory_max.unwrap_or_default();
            let detail = format!("{resident} bytes resident, resources.memory is {limit}");
            return AttemptEnd::Failed {
                failure: Failure::OutOfMemory,
                detail,
            };
        }
        Some(Verdict::Disobeyed { save: false }) => return AttemptEnd::Stopped,
        // It goes on from its last checkpoint.
        Some(Verdict::Disobeyed { save: true }) => return AttemptEnd::Yielded,
        Some(Verdict::Garbled) => {
            let detail = "it wrote what no executor writes".to_owned();
            return AttemptEnd::Failed {
                failure: Failure::Panicked,
                detail,
            };
        }
        None => {}
    }
    let Some(status) = status else {
        return AttemptEnd::Lost(LostCause::Killed);
    };
    match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) if kernel_oom || memory_max.is_some_and(|max| resident > max) => {
            failed(Failure::OutOfMemory)
        }
        (Some(libc::SIGKILL), _) => AttemptEnd::Lost(LostCause::Killed),
        (Some(signal), _) => failed(Failure::Crashed { signal }),
        (None, code) => failed(Failure::Exited {
            code: code.unwrap_or_default(),
        }),
    }
}

/// The last lines as one text, cut at the front.
fn quote(lines: &[String]) -> String {
    let from = lines.len().saturating_sub(LAST_LINES);
    let text = lines[from..].join("\n");
    let mut cut = text.len().saturating_sub(DETAIL_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text[cut..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[track_caller]
    fn check(raw: i32, resident: u64, kernel_oom: bool, verdict: Option<Verdict>, expected: &str) {
        let found = decide_end(Evidence {
            verdict,
            status: Some(ExitStatus::from_raw(raw)),
            resident,
            memory_max: Some(GIB),
            kernel_oom,
            lines: &["one".into(), "two".into()],
        });
        assert_eq!(found.to_string(), expected, "raw status {raw}");
    }

    #[test]
    fn deaths_by_the_trials_own_fault_quote_the_log() {
        check(
            libc::SIGSEGV,
            0,
            false,
            None,
            "executor died by signal 11: one\ntwo",
        );
        check(
            libc::SIGABRT,
            0,
            false,
            None,
            "executor died by signal 6: one\ntwo",
        );
        check(
            101 << 8,
            0,
            false,
            None,
            "executor exited with code 101: one\ntwo",
        );
        check(0, 0, false, None, "executor exited with code 0: one\ntwo");
    }

    #[test]
    fn a_kill_from_outside_is_the_fleets_fault_unless_memory_ran_out() {
        check(
            libc::SIGKILL,
            GIB,
            false,
            None,
            "lost: executor killed from outside",
        );
        check(
            libc::SIGKILL,
            GIB + 1,
            false,
            None,
            "out of memory: one\ntwo",
        );
        check(libc::SIGKILL, 0, true, None, "out of memory: one\ntwo");
    }

    #[test]
    fn what_the_agent_did_itself_has_its_own_reason() {
        let kill = libc::SIGKILL;
        check(
            kill,
            0,
            false,
            Some(Verdict::TimeLimit),
            "ran past limits.time: one\ntwo",
        );
        let text = "no progress within limits.no_progress: one\ntwo";
        check(kill, 0, false, Some(Verdict::NoProgress), text);
        check(
            kill,
            0,
            false,
            Some(Verdict::Disobeyed { save: false }),
            "stopped on order",
        );
        let text = "saved and yielded its slot";
        check(
            kill,
            0,
            false,
            Some(Verdict::Disobeyed { save: true }),
            text,
        );
        let text = "out of memory: 5 bytes resident, resources.memory is 1073741824";
        check(kill, 5, false, Some(Verdict::Memory), text);
    }

    #[test]
    fn quotes_are_cut_at_the_front_between_characters() {
        let lines = vec!["é".repeat(3_000)];
        assert_eq!(quote(&lines), "é".repeat(1_000));
        let lines: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert_eq!(quote(&lines), "10\n11\n12\n13\n14\n15\n16\n17\n18\n19");
    }
}
