//! Hints being gathered: merged, bounded, and ready when it has been quiet.
//!
//! Pure but for the moments handed in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hcfs_model::RelPath;

use super::{Hint, RescanReason};

/// How long it must be quiet before hints are handed on: an editor's save is several events.
pub(super) const QUIET: Duration = Duration::from_millis(300);
/// How long hints wait at most while it is never quiet.
pub(super) const LONGEST: Duration = Duration::from_secs(2);
/// How many paths are held before they become one full scan.
pub(super) const MOST: usize = 4096;

/// Hints of one batch.
#[derive(Debug, Default)]
pub(super) struct Pending {
    touched: BTreeSet<RelPath>,
    subtrees: BTreeSet<RelPath>,
    moved: Vec<(RelPath, RelPath)>,
    rescan: Option<RescanReason>,
    /// When the first and the last hint came; `None` where there is none.
    since: Option<(Instant, Instant)>,
    /// Directories that are new and not watched yet.
    unwatched: Vec<PathBuf>,
}

impl Pending {
    pub(super) fn touch(&mut self, path: RelPath, now: Instant) {
        self.touched.insert(path);
        self.noted(now);
    }

    pub(super) fn subtree(&mut self, path: RelPath, now: Instant) {
        self.subtrees.insert(path);
        self.noted(now);
    }

    /// A rename; one that goes on from an earlier one becomes one rename with it.
    pub(super) fn moved(&mut self, from: RelPath, to: RelPath, now: Instant) {
        match self.moved.iter().position(|(_, earlier)| *earlier == from) {
            Some(at) if self.moved[at].0 == to => {
                self.moved.remove(at);
            }
            Some(at) => self.moved[at].1 = to,
            None => self.moved.push((from, to)),
        }
        self.noted(now);
    }

    pub(super) fn rescan(&mut self, reason: RescanReason, now: Instant) {
        // The limit says more than an overflow: it asks the user for something.
        if !matches!(self.rescan, Some(RescanReason::WatchLimit { .. })) {
            self.rescan = Some(reason);
        }
        self.noted(now);
    }

    /// Asks for watches in `dir` and below; too many at once become one look at the whole `root`.
    pub(super) fn watch(&mut self, dir: &Path, root: &Path) {
        if self.unwatched.len() >= MOST {
            self.unwatched = vec![root.to_path_buf()];
        } else {
            self.unwatched.push(dir.to_path_buf());
        }
    }

    pub(super) fn take_unwatched(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.unwatched)
    }

    pub(super) fn has_unwatched(&self) -> bool {
        !self.unwatched.is_empty()
    }

    /// When the hints may be handed on; `None` where there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|(first, last)| (last + QUIET).min(first + LONGEST))
    }

    /// Adds the hints of a later batch.
    pub(super) fn absorb(&mut self, later: Self) {
        let Some((first, last)) = later.since else { return };
        self.touched.extend(later.touched);
        self.subtrees.extend(later.subtrees);
        for (from, to) in later.moved {
            self.moved(from, to, last);
        }
        if let Some(reason) = later.rescan {
            self.rescan(reason, last);
        }
        self.noted(first);
        self.noted(last);
    }

    /// The hints, each said once: a rescan says all but the renames, a subtree all below it.
    pub(super) fn into_hints(self) -> Vec<Hint> {
        let mut hints: Vec<Hint> = self.moved.into_iter().map(|(from, to)| Hint::Moved(from, to)).collect();
        if let Some(reason) = self.rescan {
            hints.insert(0, Hint::Rescan(reason));
            return hints;
        }
        let covered = |path: &RelPath| path.ancestors().any(|above| self.subtrees.contains(&above));
        hints.extend(self.subtrees.iter().filter(|path| !covered(path)).cloned().map(Hint::Subtree));
        let single = |path: &&RelPath| !self.subtrees.contains(*path) && !covered(path);
        hints.extend(self.touched.iter().filter(single).cloned().map(Hint::Touched));
        hints
    }

    fn noted(&mut self, now: Instant) {
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, now.max(first)));
        if self.touched.len() + self.subtrees.len() + self.moved.len() > MOST {
            self.touched.clear();
            self.subtrees.clear();
            self.moved.clear();
            self.rescan.get_or_insert(RescanReason::Overflow);
        }
    }
}
