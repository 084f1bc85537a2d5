//! Renames: a batch is one permutation.
//!
//! Every source is looked up before anything moves, so chains, swaps and cycles inside a batch work in any order. An
//! entry fails alone, together with those whose target it would have made free. The new number is above both the
//! file's own and the last one of the path it moves to: to a client that remembers the target's highest number, the
//! file there only ever goes forward.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{FileId, Revision, RevisionId};
use rusqlite::{Connection, OptionalExtension};

use super::file::{Current, bury, current, signed};
use super::folder::find_folder;
use super::{FolderKey, Metadata, Outcome, unsigned};

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

impl Metadata {
    /// Renames files of one folder in one commit.
    pub(crate) async fn rename(&self, folder: FolderKey, batch: Vec<Rename>, now: i64) -> Outcome<Vec<RenameOutcome>> {
        self.write(move |db| {
            let Some(folder_id) = find_folder(db, &folder)? else {
                return Ok(vec![Err(RenameFailure::NotFound); batch.len()]);
            };
            rename(db, folder_id, &batch, now)
        })
        .await
    }
}

fn rename(db: &Connection, folder_id: i64, batch: &[Rename], now: i64) -> Outcome<Vec<RenameOutcome>> {
    let mut outcomes: Vec<Option<RenameOutcome>> = vec![None; batch.len()];
    let mut moving: BTreeMap<usize, Current> = BTreeMap::new();
    let mut sources = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for (index, entry) in batch.iter().enumerate() {
        match current(db, folder_id, entry.old)? {
            Some(found) if found.revision.id != entry.base => {
                outcomes[index] = Some(Err(RenameFailure::RevisionMismatch));
            }
            Some(found) if !sources.contains(&entry.old) => {
                if targets.insert(entry.new) {
                    sources.insert(entry.old);
                    moving.insert(index, found);
                } else {
                    outcomes[index] = Some(Err(RenameFailure::TargetExists));
                }
            }
            // Gone, or moved by an earlier entry of this batch.
            _ => outcomes[index] = Some(Err(RenameFailure::NotFound)),
        }
    }
    let mut occupied = BTreeSet::new();
    for index in moving.keys() {
        let target = batch[*index].new;
        if !sources.contains(&target) && current(db, folder_id, target)?.is_some() {
            occupied.insert(target);
        }
    }
    for index in blocked(batch, &moving, &occupied) {
        moving.remove(&index);
        outcomes[index] = Some(Err(RenameFailure::TargetExists));
    }
    for (index, revision) in apply(db, folder_id, batch, &moving, now)? {
        outcomes[index] = Some(Ok(revision));
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(RenameFailure::NotFound))).collect())
}

/// The entries whose target is taken by a file that does not move away, found by following each failure to the entry
/// that wanted its place.
fn blocked(batch: &[Rename], moving: &BTreeMap<usize, Current>, occupied: &BTreeSet<FileId>) -> Vec<usize> {
    let wants: BTreeMap<FileId, usize> = moving.keys().map(|index| (batch[*index].new, *index)).collect();
    let mut open: Vec<usize> = moving.keys().copied().filter(|index| occupied.contains(&batch[*index].new)).collect();
    let mut blocked = Vec::new();
    while let Some(index) = open.pop() {
        blocked.push(index);
        if let Some(&dependent) = wants.get(&batch[index].old) {
            open.push(dependent);
        }
    }
    blocked
}

fn apply(
    db: &Connection,
    folder_id: i64,
    batch: &[Rename],
    moving: &BTreeMap<usize, Current>,
    now: i64,
) -> Outcome<Vec<(usize, Revision)>> {
    // All rows leave their paths before any takes its new one, or a swap would break the uniqueness of paths.
    let mut step_aside = db.prepare_cached("UPDATE files SET path_hash = randomblob(32) WHERE id = ?1")?;
    for (index, found) in moving {
        step_aside.execute([found.row_id])?;
        bury(db, folder_id, batch[*index].old, found.revision.seq)?;
    }
    let mut settle = db.prepare_cached(
        "UPDATE files SET path_hash = ?2, encrypted_path = ?3, file_name = ?4, relative_path = ?5, revision_seq = ?6,
                revision_id = ?7, updated_at = ?8 WHERE id = ?1",
    )?;
    let mut renamed = Vec::with_capacity(moving.len());
    for (index, found) in moving {
        let entry = &batch[*index];
        let seq = found.revision.seq.max(last_seq(db, folder_id, entry.new)?) + 1;
        settle.execute((
            found.row_id,
            entry.new.0,
            &entry.encrypted_path,
            &entry.file_name,
            &entry.relative_path,
            signed(seq)?,
            entry.revision_id.0,
            now,
        ))?;
        renamed.push((*index, Revision { seq, id: entry.revision_id }));
    }
    Ok(renamed)
}

fn last_seq(db: &Connection, folder_id: i64, file: FileId) -> Outcome<u64> {
    let found = db
        .prepare_cached("SELECT last_seq FROM tombstones WHERE folder_id = ?1 AND path_hash = ?2")?
        .query_row((folder_id, file.0), |row| unsigned(row, 0))
        .optional()?;
    Ok(found.unwrap_or(0))
}
