//! Processes as the kernel shows them.

use std::fs;
use std::time::{Duration, Instant};

/// Waits until `done` gives something, looking again every few milliseconds.
///
/// # Panics
/// After `limit`, naming `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The parent of a process, unless it is gone or a zombie.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then_some(())?;
    fields.next()?.parse().ok()
}

fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec![];
    };
    entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The living children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    all()
        .into_iter()
        .filter(|p| parent(*p) == Some(pid))
        .collect()
}

/// Living processes that carry `key=value` in their environment.
pub fn marked(key: &str, value: &str) -> Vec<i32> {
    let wanted = format!("{key}={value}");
    let carries = |pid: &i32| {
        parent(*pid).is_some()
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| env.split(|b| *b == 0).any(|v| v == wanted.as_bytes()))
    };
    all().into_iter().filter(carries).collect()
}
