//! What a plan is made under: the user's policy, and what is known beyond the rows.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::RelPath;

use crate::HoldKind;

/// Which sides of a folder may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Both sides follow each other.
    #[default]
    Sync,
    /// Nothing on disk is ever changed. Changes made here are sent; what changed only on the server is reported as
    /// [`crate::Reason::DiffersThere`] and never overwritten; where both changed, the conflict stays open unless it is
    /// decided [`Resolution::KeepLocal`].
    SendOnly,
    /// Nothing on the server is ever changed. Changes made there are received; what changed only here is reported as
    /// [`crate::Reason::DiffersHere`] and never overwritten; where both changed, the conflict stays open unless it is
    /// decided [`Resolution::AcceptRemote`].
    ReceiveOnly,
}

/// How a conflict ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Resolution {
    /// The local state wins, be it a content or a deletion.
    KeepLocal,
    /// The remote state wins; a replaced or removed local content goes to the trash.
    AcceptRemote,
    /// The remote content takes the name, the local one is kept beside it and sent. Where one side deleted, there is
    /// one content to keep: the edited one.
    #[default]
    KeepBoth,
    /// Nothing is done; the conflict stays open.
    Skip,
}

/// How many deletions on one side pass without a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxDelete {
    /// Files.
    pub files: u64,
    /// Percent of the folder's synced files.
    pub percent: u64,
}

impl Default for MaxDelete {
    fn default() -> Self {
        Self { files: 25, percent: 25 }
    }
}

impl MaxDelete {
    /// The largest number of deletions that passes in a folder of `files` synced files: the larger of the two limits.
    #[must_use]
    pub fn of(self, files: u64) -> u64 {
        self.files.max(files.saturating_mul(self.percent) / 100)
    }
}

/// What the user configured for the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Which sides may be changed.
    pub mode: Mode,
    /// How a conflict between two contents ends. Between a content and a deletion the content wins, whatever stands
    /// here: losing it can be undone by no one.
    pub conflicts: Resolution,
    /// When deletions wait for the user.
    pub max_delete: MaxDelete,
}

/// How many synced files the whole folder has; the rows of a plan may be only those that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// In the folder.
    pub files: u64,
    /// Below each directory at the folder's root, by its name.
    pub top: BTreeMap<String, u64>,
}

/// Everything but the rows that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// What the user configured.
    pub policy: Policy,
    /// The folder's size, for the limits on deletions.
    pub totals: Totals,
    /// How many more files the folder had at the most in the last minutes, by no answer of the user: they count with the
    /// deletions of the plan, since what goes in portions, each below the limits, is one deletion to the user.
    pub shrunk: u64,
    /// Whether a full scan and a full listing were taken. Until then nothing is deleted or forgotten: such rows are
    /// reported as [`crate::Reason::AwaitsBaseline`].
    pub baseline: bool,
    /// Paths, files or directories, that could not be read: at or below them nothing is decided from local absence.
    pub unknown_local: BTreeSet<RelPath>,
    /// Paths with a problem (quarantined, rolled back, behind a symbolic link): they, and all below them, are reported
    /// and not acted on.
    pub blocked: BTreeSet<RelPath>,
    /// Paths the ignore rules exclude, with all below them: their synced row is forgotten, and nothing else happens.
    pub ignored: BTreeSet<RelPath>,
    /// What the watcher saw move, in the order it happened; files or directories.
    pub moved: Vec<(RelPath, RelPath)>,
    /// The user's answers for conflicting paths.
    pub decided: BTreeMap<RelPath, Resolution>,
    /// Holds that wait for the user's answer: what they concern goes on waiting, however few are left of it.
    pub asked: BTreeSet<HoldKind>,
    /// Holds the user let through.
    pub accepted: BTreeSet<HoldKind>,
    /// Holds the user turned down: what is missing on one side is brought back from the other.
    pub restored: BTreeSet<HoldKind>,
    /// Every known path for which [`crate::is_reserved`] holds, whether or not it is among the rows, so that no new
    /// name is one that exists.
    pub reserved: BTreeSet<RelPath>,
    /// This device's name, for conflict copies.
    pub device: String,
    /// Today, for conflict copies, as `2025-01-31`.
    pub date: String,
}
