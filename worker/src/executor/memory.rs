//! What the kernel says of a process's memory.

/// Bytes that a process keeps between trials, so that a small one finds its memory warm.
const KEPT_MAX: u64 = 256 << 20;

/// Resident bytes of a process; `None` once it is gone.
pub fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// Gives the memory that a trial has freed back to the machine where this process has more than it may keep between two: what one
/// has left counts against `resources.memory` of the next.
pub fn give_back() {
    if resident(std::process::id()).is_some_and(|bytes| bytes > KEPT_MAX) {
        trim();
    }
}

#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
fn trim() {
    // SAFETY: a call without pointers that gives back pages which hold no allocation; there is no safe form of it.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}

/// How many processes the kernel has ended for memory: those of this control group, or of the machine where the group does not
/// say (version 1, the root); `None` where neither does.
pub fn kernel_oom_kills() -> Option<u64> {
    of_group().or_else(of_machine)
}

fn of_group() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = format!("/sys/fs/cgroup{}/memory.events", path.trim_end_matches('/'));
    count(&std::fs::read_to_string(events).ok()?)
}

fn of_machine() -> Option<u64> {
    count(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

/// The count in lines of `name value`.
fn count(text: &str) -> Option<u64> {
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_given_back() {
        let own = || resident(std::process::id()).unwrap_or_default();
        // Too small for a mapping of their own, with one in use above them.
        let blocks: Vec<Vec<u8>> = (0..6_000).map(|_| vec![1; 64 << 10]).collect();
        let above = vec![1u8; 64 << 10];
        drop(blocks);
        let before = own();
        assert!(before > KEPT_MAX, "{before} bytes");
        give_back();
        assert!(own() < before / 2, "{} of {before} bytes", own());
        assert_eq!(above.len(), 64 << 10);
    }

    #[test]
    fn the_kernels_count_is_read() {
        assert_eq!(count("oom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(count("oom 3\n"), None);
        assert!(
            kernel_oom_kills().is_some(),
            "every Linux since 4.13 says it"
        );
    }
}
