//! What goes wrong on purpose.

use std::ops::AddAssign;

macro_rules! faults {
    ($($name:ident: $words:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault { $($name,)* }

        impl Fault {
            pub(crate) const ALL: &[(Self, &str)] = &[$((Self::$name, $words),)*];
        }
    };
}

faults! {
    ReadError: "EIO from a read",
    WriteError: "EIO from a write",
    SyncError: "EIO from an fsync",
    NoSpace: "ENOSPC",
    Denied: "EACCES",
    ReadOnly: "EROFS",
    NoExchange: "a file system that cannot exchange",
    NoNoReplace: "a file system without RENAME_NOREPLACE",
    NoAllocate: "a file system without fallocate",
    CaseFolding: "a file system that folds case",
    CoarseTimes: "times in steps of a second or two",
    ReusedInodes: "inode numbers given again",
    SlowDisk: "work on disk that takes its time",
    Race: "a person between two system calls",
    KillAtCall: "killed at a system call",
    KillAtAwait: "killed at an await",
    PowerLoss: "power lost",
    LostName: "an unsynced rename, creation or removal lost",
    LostWrite: "unsynced content lost",
    TornWrite: "unsynced content torn",
    Unmounted: "root unmounted",
    Unplugged: "drive unplugged",
    Replaced: "root replaced",
    EventDropped: "event dropped",
    EventDoubled: "event doubled",
    EventsReordered: "events reordered",
    EventsOverflowed: "events overflowed",
    NoWatcher: "no watcher to be had",
    WatchLimit: "too few watches",
    ClockBack: "clock goes back",
    ClockForward: "clock jumps forward",
    Suspended: "machine suspended",
    Stopped: "stopped in the middle",
    Paused: "paused in the middle",
    SecondInstance: "second instance",
    DatabaseLost: "database lost",
    DatabaseOld: "old database restored",
    DatabaseCorrupt: "database corrupt",
    Unreachable: "no connection",
    AnswerLost: "answer lost after the change was made",
    Late: "request carried out after its answer was given up",
    Slow: "slow request",
    Unauthorised: "401",
    Forbidden: "403",
    OverQuota: "402",
    Conflict: "409 conflict",
    Stale: "409 stale sequence",
    TooLarge: "413",
    RateLimited: "429",
    Unavailable: "5xx",
    Html: "HTML answer",
    Inconsistent: "answer that contradicts itself",
    Truncated: "truncated body",
    Flipped: "flipped bit",
    RangeIgnored: "range ignored",
    SmallPages: "listing in skewed pages",
    StaleListing: "stale listing",
    Rollback: "server restored from a backup",
    FullAccount: "account over its quota",
}

/// How often each fault took effect.
#[derive(Debug, Clone)]
pub(crate) struct Tally(Vec<u64>);

impl Default for Tally {
    fn default() -> Self {
        Self(vec![0; Fault::ALL.len()])
    }
}

impl Tally {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// The kinds with their numbers.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Fault::ALL.iter().zip(&self.0).map(|((_, words), count)| (*words, *count))
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }
}
