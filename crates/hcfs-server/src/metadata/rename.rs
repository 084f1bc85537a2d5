//! Renames: a batch is one permutation.
//!
//! Every source is looked up before anything moves, so chains, swaps and cycles inside a batch work in any order. An
//! entry fails alone, together with those whose target it would have made free. The new number is above both the
//! file's own and the last one of the path it moves to: to a client that remembers the target's highest number, the
//! file there only ever goes forward.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{FileId, Revision, RevisionId};

/// One entry of a batch.
#[derive(Debug)]
pub(crate) struct Rename {
    pub(crate) old: FileId,
    pub(crate) new: FileId,
    pub(crate) encrypted_path: Vec<u8>,
    pub(crate) file_name: Option<String>,
    pub(crate) relative_path: Option<String>,
    /// The revision the client saw at the old path.
    pub(crate) base: RevisionId,
    /// The name of the revision at the new path.
    pub(crate) revision_id: RevisionId,
}

/// Why an entry did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenameFailure {
    NotFound,
    TargetExists,
    RevisionMismatch,
}

/// What became of an entry, in the order of the batch.
pub(crate) type RenameOutcome = Result<Revision, RenameFailure>;

/// Decides which entries of a batch move, given the current revision of every path it names: an entry's failure, or
/// `None` for one that moves.
pub(super) fn decide(batch: &[Rename], files: &BTreeMap<FileId, Revision>) -> Vec<Option<RenameFailure>> {
    let mut failures = vec![None; batch.len()];
    let mut moving = BTreeSet::new();
    let mut sources = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for (index, entry) in batch.iter().enumerate() {
        match files.get(&entry.old) {
            Some(found) if found.id != entry.base => failures[index] = Some(RenameFailure::RevisionMismatch),
            Some(_) if !sources.contains(&entry.old) => {
                if targets.insert(entry.new) {
                    sources.insert(entry.old);
                    moving.insert(index);
                } else {
                    failures[index] = Some(RenameFailure::TargetExists);
                }
            }
            // Gone, or moved by an earlier entry of this batch.
            _ => failures[index] = Some(RenameFailure::NotFound),
        }
    }
    // A target that is taken by a file which does not move away fails its entry, and so whoever wanted that one's place.
    let wants: BTreeMap<FileId, usize> = moving.iter().map(|index| (batch[*index].new, *index)).collect();
    let taken = |index: &usize| !sources.contains(&batch[*index].new) && files.contains_key(&batch[*index].new);
    let mut blocked: Vec<usize> = moving.iter().copied().filter(taken).collect();
    while let Some(index) = blocked.pop() {
        failures[index] = Some(RenameFailure::TargetExists);
        blocked.extend(wants.get(&batch[index].old));
    }
    failures
}
