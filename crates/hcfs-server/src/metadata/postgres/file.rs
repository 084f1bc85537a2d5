//! Files: the current revision of each, its commit by compare-and-swap, the listing, and removal.

use std::collections::BTreeMap;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use hcfs_model::{CiphertextHash, FileId, Revision, RevisionId, SaltedHash};
use hcfs_wire::StateTag;
use tokio_postgres::{IsolationLevel, Row};

use super::folder::{lock_folder, lock_or_make_folder, touch};
use super::object::place;
use super::session::settle_session;
use super::{Postgres, bytes, rename, signed, transaction, unsigned};
use crate::blobs::BlobPlace;
use crate::metadata::file::{PAGE_BYTES, refuse, tag};
use crate::metadata::folder::folder_bytes;
use crate::metadata::name::NameIndex;
use crate::metadata::{
    Committed, FileKey, FileRow, Files, FolderKey, ListedFile, Listing, NewRevision, Outcome, Removal, Rename,
    RenameFailure, RenameOutcome, StoredRevision,
};

/// The columns of a listed file, as [`listed`] reads them.
pub(super) const LISTED: &str = "path_hash, salted_hash, size_bytes, revision_seq, revision_id, ciphertext_hash,
    encrypted_path, file_name, relative_path, created_at, updated_at";

/// A row of `files` as the writes below need it.
pub(super) struct Current {
    pub(super) row_id: i64,
    pub(super) revision: Revision,
    created_at: i64,
}

/// The current rows of paths in a folder that the transaction has locked.
pub(super) async fn current(
    tx: &Transaction<'_>,
    folder_id: i64,
    files: &[FileId],
) -> Outcome<BTreeMap<FileId, Current>> {
    let statement = tx
        .prepare_cached(
            "SELECT path_hash, id, revision_seq, revision_id, created_at FROM files
             WHERE folder_id = $1 AND path_hash = ANY ($2)",
        )
        .await?;
    let paths: Vec<&[u8]> = files.iter().map(|file| &file.0[..]).collect();
    let mut found = BTreeMap::new();
    for row in tx.query(&statement, &[&folder_id, &paths]).await? {
        let current = Current { row_id: row.try_get(1)?, revision: revision(&row, 2)?, created_at: row.try_get(4)? };
        found.insert(FileId(bytes(&row, 0)?), current);
    }
    Ok(found)
}

/// Remembers the last numbers of paths whose files have just gone away, and has the feed tell of them: the last changes of
/// the folder are theirs.
pub(super) async fn bury(tx: &Transaction<'_>, folder_id: i64, files: &[(FileId, u64)], now: i64) -> Outcome<()> {
    let statement = tx
        .prepare_cached(
            "INSERT INTO tombstones (folder_id, path_hash, last_seq, change_seq, removed_at)
             SELECT f.id, gone.path_hash, gone.last_seq, f.changes - $4 + gone.number, $5
             FROM folders f, unnest($2::bytea[], $3::bigint[]) WITH ORDINALITY AS gone (path_hash, last_seq, number)
             WHERE f.id = $1
             ON CONFLICT (folder_id, path_hash)
             DO UPDATE SET last_seq = greatest(tombstones.last_seq, excluded.last_seq),
                 change_seq = excluded.change_seq, removed_at = excluded.removed_at",
        )
        .await?;
    let paths: Vec<&[u8]> = files.iter().map(|(file, _)| &file.0[..]).collect();
    let seqs = files.iter().map(|(_, seq)| signed(*seq)).collect::<Outcome<Vec<i64>>>()?;
    tx.execute(&statement, &[&folder_id, &paths, &seqs, &signed(files.len() as u64)?, &now]).await?;
    Ok(())
}

async fn commit(tx: &Transaction<'_>, new: &NewRevision, place: &BlobPlace) -> Outcome<Committed> {
    let folder_id = lock_or_make_folder(tx, &new.key.folder, new.now).await?;
    let current = current(tx, folder_id, &[new.key.file]).await?.remove(&new.key.file);
    if let Some(refused) = refuse(current.as_ref().map(|current| current.revision), new.base, new.revision.seq) {
        return Ok(refused);
    }
    let index = NameIndex::of(new.file_name.as_deref(), new.relative_path.as_deref());
    let created_at = current.as_ref().map_or(new.now, |current| current.created_at);
    // Not one INSERT with ON CONFLICT: the triggers would count it twice. The folder is locked, so the row stays as it is.
    let query = match current {
        None => {
            "INSERT INTO files (folder_id, path_hash, salted_hash, size_bytes, revision_seq, revision_id,
                                ciphertext_hash, encrypted_path, file_name, relative_path, source, created_at,
                                updated_at, object, object_at, blob_bytes, directory, extension, search_name)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
        }
        Some(_) => {
            "UPDATE files SET salted_hash = $3, size_bytes = $4, revision_seq = $5, revision_id = $6,
                    ciphertext_hash = $7, encrypted_path = $8, file_name = $9, relative_path = $10, source = $11,
                    created_at = $12, updated_at = $13, object = $14, object_at = $15, blob_bytes = $16,
                    directory = $17, extension = $18, search_name = $19
             WHERE folder_id = $1 AND path_hash = $2"
        }
    };
    tx.execute(
        &tx.prepare_cached(query).await?,
        &[
            &folder_id,
            &&new.key.file.0[..],
            &&new.salted_hash.0[..],
            &signed(new.size)?,
            &signed(new.revision.seq)?,
            &&new.revision.id.0[..],
            &&new.ciphertext.0[..],
            &new.encrypted_path,
            &new.file_name,
            &new.relative_path,
            &new.source,
            &created_at,
            &new.now,
            &place.object.bytes(),
            &signed(place.at)?,
            &signed(place.length)?,
            &index.directory,
            &index.extension,
            &index.search_name,
        ],
    )
    .await?;
    let stored = StoredRevision { id: new.revision.id, created_at, updated_at: new.now };
    if let Some(session) = new.session {
        settle_session(tx, session, stored).await?;
    }
    Ok(Committed::Stored(stored))
}

async fn commit_all(tx: &Transaction<'_>, news: &[(NewRevision, BlobPlace)]) -> Outcome<Vec<Committed>> {
    // In one order everywhere: two batches that share folders wait for each other instead of both.
    let mut folders: Vec<_> = news.iter().map(|(new, _)| (&new.key.folder, new.now)).collect();
    folders.sort_unstable_by_key(|(folder, _)| (folder.account.as_str(), folder_bytes(folder.folder)));
    folders.dedup_by_key(|(folder, _)| *folder);
    for (folder, now) in folders {
        lock_or_make_folder(tx, folder, now).await?;
    }
    let mut done = Vec::with_capacity(news.len());
    for (new, place) in news {
        done.push(commit(tx, new, place).await?);
    }
    Ok(done)
}

async fn remove(tx: &Transaction<'_>, key: &FileKey, only: Option<RevisionId>, now: i64) -> Outcome<Removal> {
    let Some(folder_id) = lock_folder(tx, &key.folder).await? else { return Ok(Removal::NotFound) };
    let Some(current) = current(tx, folder_id, &[key.file]).await?.remove(&key.file) else {
        return Ok(Removal::NotFound);
    };
    if only.is_some_and(|only| only != current.revision.id) {
        return Ok(Removal::Changed(current.revision));
    }
    tx.execute("DELETE FROM files WHERE id = $1", &[&current.row_id]).await?;
    bury(tx, folder_id, &[(key.file, current.revision.seq)], now).await?;
    touch(tx, folder_id, now).await?;
    Ok(Removal::Removed)
}

async fn remove_all(tx: &Transaction<'_>, folder: &FolderKey, files: &[FileId], now: i64) -> Outcome<Vec<Removal>> {
    let Some(folder_id) = lock_folder(tx, folder).await? else { return Ok(vec![Removal::NotFound; files.len()]) };
    let mut found = current(tx, folder_id, files).await?;
    let rows: Vec<i64> = found.values().map(|current| current.row_id).collect();
    tx.execute("DELETE FROM files WHERE id = ANY ($1)", &[&rows]).await?;
    let gone: Vec<_> = found.iter().map(|(file, current)| (*file, current.revision.seq)).collect();
    bury(tx, folder_id, &gone, now).await?;
    touch(tx, folder_id, now).await?;
    // A path that is named twice is there once.
    Ok(files.iter().map(|file| found.remove(file).map_or(Removal::NotFound, |_| Removal::Removed)).collect())
}

async fn rename_all(
    tx: &Transaction<'_>,
    folder: &FolderKey,
    batch: &[Rename],
    now: i64,
) -> Outcome<Vec<RenameOutcome>> {
    match lock_folder(tx, folder).await? {
        Some(folder_id) => rename::rename(tx, folder_id, batch, now).await,
        None => Ok(vec![Err(RenameFailure::NotFound); batch.len()]),
    }
}

#[async_trait]
impl Files for Postgres {
    async fn commit(&self, new: NewRevision, place: BlobPlace) -> Outcome<Committed> {
        let done = transaction!(self, |tx| commit(&tx, &new, &place));
        self.rung(&new.key.folder, done)
    }

    async fn commit_all(&self, news: Vec<(NewRevision, BlobPlace)>) -> Outcome<Vec<Committed>> {
        let done = transaction!(self, |tx| commit_all(&tx, &news));
        for (new, _) in &news {
            self.ring(&new.key.folder);
        }
        done
    }

    async fn file(&self, key: FileKey) -> Outcome<Option<FileRow>> {
        Ok(self.files(key.folder, vec![key.file]).await?.pop().flatten())
    }

    async fn files(&self, folder: FolderKey, files: Vec<FileId>) -> Outcome<Vec<Option<FileRow>>> {
        let paths: Vec<&[u8]> = files.iter().map(|file| &file.0[..]).collect();
        let rows = self
            .rows(
                "SELECT r.path_hash, r.revision_seq, r.revision_id, r.size_bytes, r.ciphertext_hash, r.object,
                        r.object_at, r.blob_bytes
                 FROM files r JOIN folders f ON f.id = r.folder_id JOIN accounts a ON a.id = f.account_id
                 WHERE a.ss58 = $1 AND f.hash = $2 AND r.path_hash = ANY ($3)",
                &[&folder.account.as_str(), &&folder_bytes(folder.folder)[..], &paths],
            )
            .await?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let file = FileRow {
                revision: revision(row, 1)?,
                size: unsigned(row, 3)?,
                ciphertext: CiphertextHash(bytes(row, 4)?),
                place: place(row, 5)?,
            };
            found.insert(FileId(bytes(row, 0)?), file);
        }
        Ok(files.iter().map(|file| found.get(file).copied()).collect())
    }

    async fn remove(&self, key: FileKey, only: Option<RevisionId>, now: i64) -> Outcome<Removal> {
        let done = transaction!(self, |tx| remove(&tx, &key, only, now));
        self.rung(&key.folder, done)
    }

    async fn remove_all(&self, folder: FolderKey, files: Vec<FileId>, now: i64) -> Outcome<Vec<Removal>> {
        let done = transaction!(self, |tx| remove_all(&tx, &folder, &files, now));
        self.rung(&folder, done)
    }

    async fn state_tag(&self, folder: FolderKey) -> Outcome<StateTag> {
        let client = self.client().await?;
        folder_state(&client, &folder).await?.map_or_else(|| tag(0, [0; 8]), |(_, _, tag)| Ok(tag))
    }

    async fn listing(&self, folder: FolderKey, offset: u64, limit: u64) -> Outcome<Listing> {
        let mut client = self.client().await?;
        // One snapshot for the count, the tag and the rows.
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let tx = tx.start().await?;
        let Some((folder_id, total, tag)) = folder_state(&tx, &folder).await? else {
            return Ok(Listing { files: Vec::new(), total: 0, tag: tag(0, [0; 8])? });
        };
        // The inner query skips through the index alone; rows are read for the page only. The running sum ends the page
        // here and not at the other end of the connection.
        let statement = tx
            .prepare_cached(&format!(
                "SELECT {LISTED}
                 FROM (SELECT f.*, sum(length(encrypted_path)) OVER (ORDER BY f.id) AS so_far FROM files f
                       JOIN (SELECT id FROM files WHERE folder_id = $1 ORDER BY id LIMIT $2 OFFSET $3) page USING (id)
                      ) rows WHERE so_far - length(encrypted_path) <= $4 ORDER BY id"
            ))
            .await?;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let most = signed(PAGE_BYTES as u64)?;
        let mut files = Vec::new();
        let mut room = PAGE_BYTES;
        for row in tx.query(&statement, &[&folder_id, &signed(limit)?, &offset, &most]).await? {
            let file = listed(&row)?;
            room = room.saturating_sub(file.json_bytes());
            if room == 0 && !files.is_empty() {
                break;
            }
            files.push(file);
        }
        tx.commit().await?;
        Ok(Listing { files, total, tag })
    }

    async fn rename(&self, folder: FolderKey, batch: Vec<Rename>, now: i64) -> Outcome<Vec<RenameOutcome>> {
        let done = transaction!(self, |tx| rename_all(&tx, &folder, &batch, now));
        self.rung(&folder, done)
    }
}

async fn folder_state(client: &impl GenericClient, folder: &FolderKey) -> Outcome<Option<(i64, u64, StateTag)>> {
    let statement = client
        .prepare_cached(
            "SELECT f.id, f.file_count, f.changes, f.state_tag
             FROM folders f JOIN accounts a ON a.id = f.account_id WHERE a.ss58 = $1 AND f.hash = $2",
        )
        .await?;
    let row = client.query_opt(&statement, &[&folder.account.as_str(), &&folder_bytes(folder.folder)[..]]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.try_get(0)?, unsigned(&row, 1)?, tag(unsigned(&row, 2)?, bytes(&row, 3)?)?)))
}

pub(super) fn listed(row: &Row) -> Outcome<ListedFile> {
    Ok(ListedFile {
        file: FileId(bytes(row, 0)?),
        salted_hash: SaltedHash(bytes(row, 1)?),
        size: unsigned(row, 2)?,
        revision: revision(row, 3)?,
        ciphertext: CiphertextHash(bytes(row, 5)?),
        encrypted_path: row.try_get(6)?,
        file_name: row.try_get(7)?,
        relative_path: row.try_get(8)?,
        created_at: row.try_get(9)?,
        updated_at: row.try_get(10)?,
    })
}

/// A revision from its number in `column` and its id in the next.
fn revision(row: &Row, column: usize) -> Outcome<Revision> {
    Ok(Revision { seq: unsigned(row, column)?, id: RevisionId(bytes(row, column + 1)?) })
}
