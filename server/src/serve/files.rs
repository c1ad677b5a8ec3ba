//! How many files the process may have open, and how many of them clients may take.
//!
//! Rule: the store and the log never want for a file because clients have taken all of them: a member that cannot open its
//! next log segment must stop. So connections beyond the bound wait in the kernel until others end.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files kept for the store (512 tables at most), the log, and the process itself.
const RESERVED: u64 = 768;

/// Raises the soft limit on open files to the hard one, as Go programs do; etcd's users count on it.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, ?maximum, "could not raise the limit on open files");
    }
}

/// How many clients may be connected at once: all files but the reserved ones, but never less than half.
#[must_use]
pub fn connections_max() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = files - RESERVED.min(files / 2);
    usize::try_from(connections).unwrap_or(usize::MAX).min(tokio::sync::Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_for_the_store() {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = connections_max() as u64;
        assert!(connections >= 1 && connections <= files / 2 + files % 2 || connections + RESERVED <= files);
    }
}
