//! Renames in one transaction.

use std::collections::BTreeMap;

use hcfs_model::{FileId, Revision};
use rusqlite::{Connection, OptionalExtension};

use super::file::{Current, bury, current, signed};
use super::unsigned;
use crate::metadata::name::NameIndex;
use crate::metadata::rename::decide;
use crate::metadata::{Outcome, Rename, RenameOutcome};

pub(super) fn rename(db: &Connection, folder_id: i64, batch: &[Rename], now: i64) -> Outcome<Vec<RenameOutcome>> {
    let mut rows = BTreeMap::new();
    for path in batch.iter().flat_map(|entry| [entry.old, entry.new]) {
        if let Some(found) = current(db, folder_id, path)? {
            rows.insert(path, found);
        }
    }
    let revisions = rows.iter().map(|(path, found)| (*path, found.revision)).collect();
    let decided: Vec<_> = batch.iter().zip(decide(batch, &revisions)).collect();
    // All rows leave their paths before any takes its new one, or a swap would break the uniqueness of paths.
    let mut step_aside = db.prepare_cached("UPDATE files SET path_hash = randomblob(32) WHERE id = ?1")?;
    for (entry, _) in decided.iter().filter(|(_, failure)| failure.is_none()) {
        if let Some(found) = rows.get(&entry.old) {
            step_aside.execute([found.row_id])?;
            bury(db, folder_id, entry.old, found.revision.seq, now)?;
        }
    }
    decided
        .into_iter()
        .map(|(entry, failure)| match failure {
            Some(failure) => Ok(Err(failure)),
            None => settle(db, folder_id, entry, &rows, now).map(Ok),
        })
        .collect()
}

fn settle(
    db: &Connection,
    folder_id: i64,
    entry: &Rename,
    rows: &BTreeMap<FileId, Current>,
    now: i64,
) -> Outcome<Revision> {
    let found = &rows[&entry.old];
    let seq = found.revision.seq.max(last_seq(db, folder_id, entry.new)?) + 1;
    let index = NameIndex::of(entry.file_name.as_deref(), entry.relative_path.as_deref());
    db.prepare_cached(
        "UPDATE files SET path_hash = ?2, encrypted_path = ?3, file_name = ?4, relative_path = ?5, revision_seq = ?6,
                revision_id = ?7, updated_at = ?8, directory = ?9, extension = ?10, search_name = ?11 WHERE id = ?1",
    )?
    .execute((
        found.row_id,
        entry.new.0,
        &entry.encrypted_path,
        &entry.file_name,
        &entry.relative_path,
        signed(seq)?,
        entry.revision_id.0,
        now,
        index.directory,
        index.extension,
        index.search_name,
    ))?;
    Ok(Revision { seq, id: entry.revision_id })
}

fn last_seq(db: &Connection, folder_id: i64, file: FileId) -> Outcome<u64> {
    let found = db
        .prepare_cached("SELECT last_seq FROM tombstones WHERE folder_id = ?1 AND path_hash = ?2")?
        .query_row((folder_id, file.0), |row| unsigned(row, 0))
        .optional()?;
    Ok(found.unwrap_or(0))
}
