//! What the kernel says of a process's memory.

use nix::unistd::{SysconfVar, sysconf};

/// Resident bytes of a process; `None` once it is gone.
pub fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4_096);
    Some(pages * u64::try_from(page).unwrap_or(4_096))
}

/// How many processes of this control group the kernel has ended for memory; `None` where it does not say.
pub fn kernel_oom_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = format!("/sys/fs/cgroup{}/memory.events", path.trim_end_matches('/'));
    let text = std::fs::read_to_string(events).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}
