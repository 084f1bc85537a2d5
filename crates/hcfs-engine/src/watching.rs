//! The watcher of a folder: its hints, and doing without it where it cannot be had.

use std::time::Duration;

use hcfs_fs::{Hint, IGNORE_FILE, RescanReason, Watch};
use hcfs_model::{Problem, ProblemCode, RelPath};
use tokio::time::Instant;

use crate::session::{POLLED_SCAN, Session};

/// How long after a watcher could not be had it is tried again: that costs a look at every directory.
const WATCH_AGAIN: Duration = Duration::from_secs(10 * 60);

impl Session {
    /// Notes what the watcher says. Hints only say where to look.
    pub(crate) fn heed(&mut self) {
        self.heed_touched();
        let hints = self.watcher.as_ref().map(|watcher| watcher.take()).unwrap_or_default();
        for hint in hints {
            match hint {
                Hint::Touched(path) | Hint::Subtree(path) if path.name() == IGNORE_FILE => {
                    self.wants.below(path);
                    self.wants.everything_here();
                }
                Hint::Touched(path) | Hint::Subtree(path) => self.look_at(path),
                Hint::Moved(from, to) => {
                    if self.folder.is_case_insensitive() {
                        self.look_at(from.clone());
                        self.look_at(to.clone());
                    }
                    self.wants.moved(from, to);
                }
                Hint::Rescan(RescanReason::Overflow) => self.timers.rescan_soon(),
                Hint::Rescan(RescanReason::WatchLimit { needed, sysctl }) => {
                    let hint = RescanReason::WatchLimit { needed, sysctl }.hint().unwrap_or_default();
                    self.wants.everything_here();
                    self.without_watcher(format!("{needed} directories cannot be watched: {sysctl} is too low"), hint);
                }
            }
        }
        // A command that takes its time may be carried out first.
        self.rouse();
    }

    /// Has a path looked at. Where case is folded, it may have had another name until now, which nothing tells of: so all
    /// that stands beside it is looked at.
    fn look_at(&mut self, path: RelPath) {
        if !self.folder.is_case_insensitive() {
            self.wants.below(path);
        } else if let Some(parent) = path.parent() {
            self.wants.below(parent);
        } else {
            self.wants.everything_here();
        }
    }

    /// Goes on with a watcher that has just been started.
    pub(crate) fn watched_by(&mut self, watcher: Box<dyn Watch>) {
        if !watcher.is_limited() {
            self.blocked.set_folder_problem(None);
        }
        // One that met the limit says with its first hint how many watches it needs.
        self.watcher = Some(watcher);
        self.timers.next_watch = None;
    }

    /// Goes on by looking at the folder from time to time, and tries again later.
    pub(crate) fn without_watcher(&mut self, message: String, hint: String) {
        self.watcher = None;
        let problem = Problem { path: None, code: ProblemCode::WatchLimit, message, hint };
        self.blocked.set_folder_problem(Some(problem));
        self.timers.next_watch = Some(Instant::now() + WATCH_AGAIN);
        self.timers.next_full_scan = self.timers.next_full_scan.min(Instant::now() + POLLED_SCAN);
    }

    /// Tries to have the folder watched, where it is not.
    pub(crate) fn watch_again(&mut self) {
        if self.timers.next_watch.take().is_some() {
            self.settle_in();
            if self.watcher.is_some() {
                // What happened until now was seen by nobody.
                self.wants.everything_here();
            }
        }
    }
}
