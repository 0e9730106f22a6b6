//! What the kernel says of a process: its processor time and its memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;

/// The processor time of a process up to now, thread by thread.
///
/// By thread, because `/proc/<pid>/stat` counts in ticks of 10 ms and the sum over the threads loses what ended
/// threads used: a difference between two of these counts neither wrongly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes(BTreeMap<u32, u64>);

impl CpuTimes {
    /// The times of a process.
    ///
    /// # Errors
    /// [`Error::Proc`] when it is gone.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        let entries = fs::read_dir(&tasks).map_err(|error| proc_error(&tasks, error))?;
        let mut times = BTreeMap::new();
        for entry in entries.flatten() {
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread may end between the listing and here.
            let text = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            if let Some(nanos) = parse_schedstat(&text) {
                times.insert(thread, nanos);
            }
        }
        if times.is_empty() {
            return Err(proc_error(
                &tasks,
                "no thread has a schedstat: the kernel keeps no CONFIG_SCHED_INFO",
            ));
        }
        Ok(Self(times))
    }

    /// What was used since an earlier time.
    pub fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, nanos)| {
            let before = earlier.0.get(thread).copied().unwrap_or(0);
            nanos.saturating_sub(before)
        });
        Duration::from_nanos(used.sum())
    }
}

/// What the calling thread has used.
///
/// # Errors
/// [`Error::Proc`] when the kernel does not tell.
pub fn own_thread_time() -> Result<Duration, Error> {
    let path = Path::new("/proc/thread-self/schedstat");
    let text = fs::read_to_string(path).map_err(|error| proc_error(path, error))?;
    parse_schedstat(&text).map(Duration::from_nanos).ok_or_else(|| proc_error(path, "not a number"))
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that is resident, the program's own code too.
    pub resident: u64,
    /// The part that belongs to no file: stacks and heap.
    pub anonymous: u64,
}

impl Memory {
    /// The memory of a process now.
    ///
    /// # Errors
    /// [`Error::Proc`] when it is gone.
    pub fn of(pid: u32) -> Result<Self, Error> {
        // Not `status`: its figures lag behind by some pages for each processor.
        let path = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
        let text = fs::read_to_string(&path).map_err(|error| proc_error(&path, error))?;
        parse_smaps_rollup(&text).ok_or_else(|| proc_error(&path, "no Rss or Anonymous in it"))
    }
}

/// The first number: nanoseconds on a processor.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn parse_smaps_rollup(text: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    Some(Memory { resident: bytes("Rss")?, anonymous: bytes("Anonymous")? })
}

fn proc_error(path: &Path, why: impl ToString) -> Error {
    Error::Proc { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_counts_new_threads_and_does_not_lose_ended_ones() {
        let times = |pairs: &[(u32, u64)]| CpuTimes(pairs.iter().copied().collect());
        let before = times(&[(1, 100), (2, 5000)]);
        let after = times(&[(1, 150), (3, 7)]);
        assert_eq!(after.since(&before), Duration::from_nanos(57));
        assert_eq!(before.since(&before), Duration::ZERO);
    }

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(parse_schedstat("954130 12 2\n"), Some(954_130));
        assert_eq!(parse_schedstat(""), None);
        let text = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    6120 kB\nPss:    5000 kB\n\
                    Anonymous:            1244 kB\n";
        let expected = Memory { resident: 6120 * 1024, anonymous: 1244 * 1024 };
        assert_eq!(parse_smaps_rollup(text), Some(expected));
        assert_eq!(parse_smaps_rollup("Rss: 12 kB"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let pid = std::process::id();
        let before = CpuTimes::of(pid).unwrap();
        let memory = Memory::of(pid).unwrap();
        assert!(memory.resident > memory.anonymous && memory.anonymous > 0);
        assert!(CpuTimes::of(pid).unwrap().since(&before) < Duration::from_secs(60));
        // The kernel counts when a thread has to leave its processor.
        std::thread::sleep(Duration::from_millis(1));
        assert!(own_thread_time().unwrap() > Duration::ZERO);
    }
}
