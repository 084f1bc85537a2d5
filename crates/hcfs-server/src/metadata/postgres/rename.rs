//! Renames in one transaction, and in a fixed number of statements.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use hcfs_model::{FileId, Revision};

use super::file::{bury, current};
use super::{bytes, signed, unsigned};
use crate::metadata::name::NameIndex;
use crate::metadata::rename::decide;
use crate::metadata::{MetadataError, Outcome, Rename, RenameOutcome};

/// Renames files of a folder that the transaction has locked.
pub(super) async fn rename(
    tx: &Transaction<'_>,
    folder_id: i64,
    batch: &[Rename],
    now: i64,
) -> Outcome<Vec<RenameOutcome>> {
    let paths: Vec<FileId> = batch.iter().flat_map(|entry| [entry.old, entry.new]).collect();
    let rows = current(tx, folder_id, &paths).await?;
    let revisions = rows.iter().map(|(path, found)| (*path, found.revision)).collect();
    let failures = decide(batch, &revisions);
    let mut going = Vec::new();
    for (entry, failure) in batch.iter().zip(&failures) {
        if failure.is_none() {
            going.push((entry, rows.get(&entry.old).ok_or(MetadataError::Impossible("a rename of nothing"))?));
        }
    }
    // All rows leave their paths before any takes its new one, or a swap would break the uniqueness of paths.
    let ids: Vec<i64> = going.iter().map(|(_, found)| found.row_id).collect();
    tx.execute("UPDATE files SET path_hash = sha256(uuid_send(gen_random_uuid())) WHERE id = ANY ($1)", &[&ids])
        .await?;
    let left: Vec<_> = going.iter().map(|(entry, found)| (entry.old, found.revision.seq)).collect();
    bury(tx, folder_id, &left, now).await?;
    let last = last_seqs(tx, folder_id, going.iter().map(|(entry, _)| entry.new)).await?;
    let seqs = going
        .iter()
        .map(|(entry, found)| found.revision.seq.max(last.get(&entry.new).copied().unwrap_or(0)) + 1)
        .collect::<Vec<u64>>();
    settle(tx, &going.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), &ids, &seqs, now).await?;
    let mut seqs = seqs.into_iter();
    let outcomes = batch.iter().zip(failures).map(|(entry, failure)| match failure {
        Some(failure) => Err(failure),
        None => Ok(Revision { seq: seqs.next().unwrap_or(0), id: entry.revision_id }),
    });
    Ok(outcomes.collect())
}

async fn settle(tx: &Transaction<'_>, going: &[&Rename], ids: &[i64], seqs: &[u64], now: i64) -> Outcome<()> {
    let paths: Vec<&[u8]> = going.iter().map(|entry| &entry.new.0[..]).collect();
    let encrypted: Vec<&[u8]> = going.iter().map(|entry| &entry.encrypted_path[..]).collect();
    let names: Vec<Option<&str>> = going.iter().map(|entry| entry.file_name.as_deref()).collect();
    let relative: Vec<Option<&str>> = going.iter().map(|entry| entry.relative_path.as_deref()).collect();
    let indices: Vec<NameIndex> = names.iter().zip(&relative).map(|(name, path)| NameIndex::of(*name, *path)).collect();
    let directories: Vec<Option<&str>> = indices.iter().map(|index| index.directory.as_deref()).collect();
    let extensions: Vec<Option<&str>> = indices.iter().map(|index| index.extension.as_deref()).collect();
    let searched: Vec<Option<&str>> = indices.iter().map(|index| index.search_name.as_deref()).collect();
    let revisions: Vec<&[u8]> = going.iter().map(|entry| &entry.revision_id.0[..]).collect();
    let seqs = seqs.iter().map(|seq| signed(*seq)).collect::<Outcome<Vec<i64>>>()?;
    tx.execute(
        "UPDATE files f SET path_hash = n.path_hash, encrypted_path = n.encrypted_path, file_name = n.file_name,
                relative_path = n.relative_path, revision_seq = n.revision_seq, revision_id = n.revision_id,
                updated_at = $8, directory = n.directory, extension = n.extension, search_name = n.search_name
         FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bigint[], $7::bytea[],
                     $9::text[], $10::text[], $11::text[])
              AS n (id, path_hash, encrypted_path, file_name, relative_path, revision_seq, revision_id, directory,
                    extension, search_name)
         WHERE f.id = n.id",
        &[&ids, &paths, &encrypted, &names, &relative, &seqs, &revisions, &now, &directories, &extensions, &searched],
    )
    .await?;
    Ok(())
}

async fn last_seqs(
    tx: &Transaction<'_>,
    folder_id: i64,
    files: impl Iterator<Item = FileId>,
) -> Outcome<BTreeMap<FileId, u64>> {
    let files: Vec<FileId> = files.collect();
    let paths: Vec<&[u8]> = files.iter().map(|file| &file.0[..]).collect();
    let query = "SELECT path_hash, last_seq FROM tombstones WHERE folder_id = $1 AND path_hash = ANY ($2)";
    let mut found = BTreeMap::new();
    for row in tx.query(query, &[&folder_id, &paths]).await? {
        found.insert(FileId(bytes(&row, 0)?), unsigned(&row, 1)?);
    }
    Ok(found)
}
