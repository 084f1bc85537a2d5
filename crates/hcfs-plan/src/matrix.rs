//! What becomes of one row by itself: the matrix of protocol §6, under the folder's mode and what is known of the path.
//!
//! Contents are compared by salted hash. A remote content also counts as changed when only its revision is newer, but
//! in one place alone: before a deletion, which is sent for the very version that was agreed and for no other. Bytes
//! move for no reason but a different content.

use std::collections::BTreeSet;
use std::ops::Bound;

use hcfs_model::{RelPath, RemoteEntry, Row, Rows, SyncedEntry};

use crate::{ConflictKind, Context, Mode, Resolution};

/// What becomes of a row. The phases of the planner refine it; the assembly turns it into actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing to do: agreed, or ignored and forgotten.
    Quiet,
    Adopt,
    Forget,
    Upload,
    Download,
    DeleteRemote,
    DeleteLocal,
    KeepBoth,
    /// A conflict that stays open.
    Open,
    /// A file that leaves its name to a directory.
    GiveWay,
    /// The remote row moves away, and none arrives.
    MovedRemote,
    /// Another remote row arrives here; this one, if there is one, moves away.
    ArrivesRemote,
    /// The local file moves away, and none arrives.
    MovedLocal,
    /// Another local file arrives here; this one, if there is one, moves away.
    ArrivesLocal,
    /// A deletion that waits for the user.
    Held,
    Report(Cause),
}

/// Why a row is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Blocked,
    Unreadable,
    AwaitsBaseline,
    /// The slot that has the place.
    InTheWay(usize),
    DiffersThere,
    DiffersHere,
}

/// A row with what was decided about it so far.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) path: &'a RelPath,
    pub(crate) row: &'a Row,
    pub(crate) fate: Fate,
    pub(crate) conflict: Option<(ConflictKind, Resolution)>,
}

impl Slot<'_> {
    /// Whether a file is to be at this path when the plan is done.
    pub(crate) fn stays(&self) -> bool {
        match self.fate {
            // A quiet row that has a synced entry is agreed; an ignored one has lost it.
            Fate::Quiet => self.row.synced.is_some(),
            Fate::Adopt | Fate::GiveWay | Fate::KeepBoth => true,
            Fate::Upload | Fate::Download | Fate::ArrivesRemote | Fate::ArrivesLocal => true,
            _ => false,
        }
    }

    /// Whether the plan makes a file appear at this path on either side.
    pub(crate) fn writes(&self) -> bool {
        self.stays() && !matches!(self.fate, Fate::Quiet | Fate::Adopt | Fate::GiveWay)
    }

    /// Whether something is at this path that the plan does not move.
    pub(crate) fn is_stuck(&self) -> bool {
        let stands = match self.fate {
            Fate::Report(_) | Fate::Open | Fate::Held => true,
            // Where a file stands these are the fates of ignored rows.
            Fate::Forget => true,
            Fate::Quiet => self.row.synced.is_none(),
            _ => false,
        };
        stands && (self.row.local.is_some() || self.row.remote.is_some())
    }

    /// Whether the local content is the agreed one.
    pub(crate) fn is_local_unchanged(&self) -> bool {
        matches!((&self.row.local, &self.row.synced), (Some(local), Some(synced)) if local.hash == synced.hash)
    }

    /// Whether the remote version is the agreed one.
    pub(crate) fn is_remote_unchanged(&self) -> bool {
        matches!((&self.row.remote, &self.row.synced), (Some(remote), Some(synced)) if is_agreed_version(remote, synced))
    }
}

fn is_agreed_version(remote: &RemoteEntry, synced: &SyncedEntry) -> bool {
    remote.hash == synced.hash && remote.revision == synced.revision
}

/// Decides every row by itself.
pub(crate) fn decide_all<'a>(rows: &'a Rows, context: &Context) -> Vec<Slot<'a>> {
    let mut slots = Vec::with_capacity(rows.len());
    for (path, row) in rows {
        let (fate, conflict) = if is_covered(&context.ignored, path) {
            (if row.synced.is_some() { Fate::Forget } else { Fate::Quiet }, None)
        } else if row.is_agreed() {
            (Fate::Quiet, None)
        } else if is_covered(&context.blocked, path) {
            (Fate::Report(Cause::Blocked), None)
        } else if row.local.is_none() && is_unreadable(&context.unknown_local, path) {
            (Fate::Report(Cause::Unreadable), None)
        } else {
            decide(path, row, context)
        };
        slots.push(Slot { path, row, fate, conflict });
    }
    slots
}

/// Whether `set` has the path or a directory above it.
pub(crate) fn is_covered(set: &BTreeSet<RelPath>, path: &RelPath) -> bool {
    if set.is_empty() {
        return false;
    }
    let mut text = path.as_str();
    loop {
        if set.contains(text) {
            return true;
        }
        match text.rsplit_once('/') {
            Some((parent, _)) => text = parent,
            None => return false,
        }
    }
}

/// Whether nobody could look if a file is at the path: it lies in what could not be read, or that lies below it, so
/// that a directory has the name.
fn is_unreadable(unknown: &BTreeSet<RelPath>, path: &RelPath) -> bool {
    if unknown.is_empty() {
        return false;
    }
    is_covered(unknown, path) || has_below(unknown, path)
}

/// Whether `set` has a path below `directory`.
pub(crate) fn has_below(set: &BTreeSet<RelPath>, directory: &RelPath) -> bool {
    if set.is_empty() {
        return false;
    }
    let start = format!("{directory}/");
    set.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded))
        .next()
        .is_some_and(|path| path.as_str().starts_with(&start))
}

type Decided = (Fate, Option<(ConflictKind, Resolution)>);

/// The matrix.
fn decide(path: &RelPath, row: &Row, context: &Context) -> Decided {
    let conflict = |kind| settle_conflict(path, kind, context);
    let (fate, conflict) = match (&row.local, &row.remote, &row.synced) {
        (None, None, None) => (Fate::Quiet, None),
        (None, None, Some(_)) => (Fate::Forget, None),
        (Some(_), None, None) => (Fate::Upload, None),
        (None, Some(_), None) => (Fate::Download, None),
        (Some(local), Some(remote), _) if local.hash == remote.hash => (Fate::Adopt, None),
        (Some(_), Some(_), None) => conflict(ConflictKind::BothCreated),
        (Some(local), Some(remote), Some(synced)) => {
            if remote.hash == synced.hash {
                (Fate::Upload, None)
            } else if local.hash == synced.hash {
                (Fate::Download, None)
            } else {
                conflict(ConflictKind::BothModified)
            }
        }
        (Some(local), None, Some(synced)) if local.hash == synced.hash => (Fate::DeleteLocal, None),
        (Some(_), None, Some(_)) => conflict(ConflictKind::ModifiedHereDeletedThere),
        (None, Some(remote), Some(synced)) if is_agreed_version(remote, synced) => (Fate::DeleteRemote, None),
        (None, Some(_), Some(_)) => conflict(ConflictKind::DeletedHereModifiedThere),
    };
    let removes = matches!(fate, Fate::DeleteLocal | Fate::DeleteRemote | Fate::Forget);
    match (context.policy.mode, fate) {
        (Mode::SendOnly, Fate::Download | Fate::DeleteLocal) => (Fate::Report(Cause::DiffersThere), None),
        (Mode::ReceiveOnly, Fate::Upload | Fate::DeleteRemote) => (Fate::Report(Cause::DiffersHere), None),
        _ if removes && !context.baseline => (Fate::Report(Cause::AwaitsBaseline), None),
        _ => (fate, conflict),
    }
}

/// How a conflict ends: as the user decided, else by policy; and in no way that the mode forbids.
fn settle_conflict(path: &RelPath, kind: ConflictKind, context: &Context) -> Decided {
    let edit_wins = match kind {
        ConflictKind::ModifiedHereDeletedThere => Some(Resolution::KeepLocal),
        ConflictKind::DeletedHereModifiedThere => Some(Resolution::AcceptRemote),
        _ => None,
    };
    let decided = context.decided.get(path).copied();
    let resolution = match (decided, edit_wins) {
        (Some(Resolution::KeepBoth) | None, Some(edit)) => edit,
        (Some(decided), _) => decided,
        (None, None) => context.policy.conflicts,
    };
    let fate = match (resolution, kind) {
        (Resolution::Skip, _) => Fate::Open,
        (Resolution::KeepBoth, _) => Fate::KeepBoth,
        (Resolution::KeepLocal, ConflictKind::DeletedHereModifiedThere) => Fate::DeleteRemote,
        (Resolution::KeepLocal, _) => Fate::Upload,
        (Resolution::AcceptRemote, ConflictKind::ModifiedHereDeletedThere) => Fate::DeleteLocal,
        (Resolution::AcceptRemote, _) => Fate::Download,
    };
    let allowed = match context.policy.mode {
        Mode::Sync => true,
        Mode::SendOnly => matches!(fate, Fate::Upload | Fate::DeleteRemote),
        Mode::ReceiveOnly => matches!(fate, Fate::Download | Fate::DeleteLocal),
    };
    if allowed { (fate, Some((kind, resolution))) } else { (Fate::Open, Some((kind, Resolution::Skip))) }
}
