//! Files: the current revision of each, its commit by compare-and-swap, the listing, and removal.

use std::collections::HashSet;

use async_trait::async_trait;
use hcfs_model::{CiphertextHash, FileId, Revision, RevisionId, SaltedHash};
use hcfs_wire::StateTag;
use rusqlite::{Connection, OptionalExtension, Row};

use super::folder::{find_folder, folder_id, touch};
use super::object::place;
use super::session::settle_session;
use super::{Sqlite, rename, unsigned};
use crate::blobs::BlobPlace;
use crate::metadata::file::{PAGE_BYTES, refuse, tag};
use crate::metadata::name::NameIndex;
use crate::metadata::{
    Committed, FileKey, FileRow, Files, FolderKey, ListedFile, Listing, MetadataError, NewRevision, Outcome, Removal,
    Rename, RenameFailure, RenameOutcome, StoredRevision,
};

/// A row of `files` as the writes below need it.
pub(super) struct Current {
    pub(super) row_id: i64,
    pub(super) revision: Revision,
    created_at: i64,
}

pub(super) fn current(db: &Connection, folder_id: i64, file: FileId) -> Outcome<Option<Current>> {
    Ok(db
        .prepare_cached(
            "SELECT id, revision_seq, revision_id, created_at FROM files
             WHERE folder_id = ?1 AND path_hash = ?2",
        )?
        .query_row((folder_id, file.0), |row| {
            Ok(Current { row_id: row.get(0)?, revision: revision(row, 1)?, created_at: row.get(3)? })
        })
        .optional()?)
}

/// Remembers the last number of a path whose file has just gone away, and has the feed tell of it.
pub(super) fn bury(db: &Connection, folder_id: i64, file: FileId, seq: u64, now: i64) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO tombstones (folder_id, path_hash, last_seq, change_seq, removed_at)
         SELECT id, ?2, ?3, changes, ?4 FROM folders WHERE id = ?1
         ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq), change_seq = excluded.change_seq,
             removed_at = excluded.removed_at",
    )?
    .execute((folder_id, file.0, signed(seq)?, now))?;
    Ok(())
}

fn commit(db: &Connection, new: &NewRevision, place: &BlobPlace) -> Outcome<Committed> {
    let folder_id = folder_id(db, &new.key.folder, new.now)?;
    let current = current(db, folder_id, new.key.file)?;
    if let Some(refused) = refuse(current.as_ref().map(|current| current.revision), new.base, new.revision.seq) {
        return Ok(refused);
    }
    let index = NameIndex::of(new.file_name.as_deref(), new.relative_path.as_deref());
    let created_at = current.as_ref().map_or(new.now, |current| current.created_at);
    db.prepare_cached(
        "INSERT INTO files (folder_id, path_hash, salted_hash, size_bytes, revision_seq, revision_id, ciphertext_hash,
                            encrypted_path, file_name, relative_path, source, created_at, updated_at,
                            object, object_at, blob_bytes, directory, extension, search_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
         ON CONFLICT (folder_id, path_hash) DO UPDATE SET
             salted_hash = excluded.salted_hash, size_bytes = excluded.size_bytes,
             revision_seq = excluded.revision_seq, revision_id = excluded.revision_id,
             ciphertext_hash = excluded.ciphertext_hash, encrypted_path = excluded.encrypted_path,
             file_name = excluded.file_name, relative_path = excluded.relative_path, source = excluded.source,
             updated_at = excluded.updated_at, object = excluded.object, object_at = excluded.object_at,
             blob_bytes = excluded.blob_bytes, directory = excluded.directory, extension = excluded.extension,
             search_name = excluded.search_name",
    )?
    .execute(rusqlite::params![
        folder_id,
        new.key.file.0,
        new.salted_hash.0,
        signed(new.size)?,
        signed(new.revision.seq)?,
        new.revision.id.0,
        new.ciphertext.0,
        new.encrypted_path,
        new.file_name,
        new.relative_path,
        new.source,
        created_at,
        new.now,
        place.object.bytes(),
        signed(place.at)?,
        signed(place.length)?,
        index.directory,
        index.extension,
        index.search_name,
    ])?;
    let stored = StoredRevision { id: new.revision.id, created_at, updated_at: new.now };
    if let Some(session) = new.session {
        settle_session(db, session, stored)?;
    }
    Ok(Committed::Stored(stored))
}

fn remove(db: &Connection, folder_id: i64, file: FileId, only: Option<RevisionId>, now: i64) -> Outcome<Removal> {
    let Some(current) = current(db, folder_id, file)? else { return Ok(Removal::NotFound) };
    if only.is_some_and(|only| only != current.revision.id) {
        return Ok(Removal::Changed(current.revision));
    }
    db.prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([current.row_id])?;
    bury(db, folder_id, file, current.revision.seq, now)?;
    Ok(Removal::Removed)
}

#[async_trait]
impl Files for Sqlite {
    async fn commit(&self, new: NewRevision, place: BlobPlace) -> Outcome<Committed> {
        let folder = new.key.folder.clone();
        self.write_in(&folder, move |db| commit(db, &new, &place)).await
    }

    async fn commit_all(&self, news: Vec<(NewRevision, BlobPlace)>) -> Outcome<Vec<Committed>> {
        let folders: HashSet<FolderKey> = news.iter().map(|(new, _)| new.key.folder.clone()).collect();
        let ropes: Vec<_> = folders.iter().map(|folder| self.bells.rope(folder)).collect();
        let all = move |db: &Connection| {
            let done: Outcome<Vec<_>> = news.iter().map(|(new, place)| commit(db, new, place)).collect();
            Ok((done?, ropes))
        };
        let (done, _ropes) = self.write(all).await?;
        Ok(done)
    }

    async fn file(&self, key: FileKey) -> Outcome<Option<FileRow>> {
        self.read(move |db| match find_folder(db, &key.folder)? {
            Some(folder_id) => file_row(db, folder_id, key.file),
            None => Ok(None),
        })
        .await
    }

    async fn files(&self, folder: FolderKey, files: Vec<FileId>) -> Outcome<Vec<Option<FileRow>>> {
        self.read(move |db| match find_folder(db, &folder)? {
            Some(folder_id) => files.into_iter().map(|file| file_row(db, folder_id, file)).collect(),
            None => Ok(vec![None; files.len()]),
        })
        .await
    }

    async fn remove(&self, key: FileKey, only: Option<RevisionId>, now: i64) -> Outcome<Removal> {
        let folder = key.folder.clone();
        self.write_in(&folder, move |db| {
            let Some(folder_id) = find_folder(db, &key.folder)? else { return Ok(Removal::NotFound) };
            let removal = remove(db, folder_id, key.file, only, now)?;
            touch(db, folder_id, now)?;
            Ok(removal)
        })
        .await
    }

    async fn remove_all(&self, folder: FolderKey, files: Vec<FileId>, now: i64) -> Outcome<Vec<Removal>> {
        self.write_in(&folder.clone(), move |db| {
            let Some(folder_id) = find_folder(db, &folder)? else {
                return Ok(vec![Removal::NotFound; files.len()]);
            };
            let removals = files.into_iter().map(|file| remove(db, folder_id, file, None, now)).collect();
            touch(db, folder_id, now)?;
            removals
        })
        .await
    }

    async fn state_tag(&self, folder: FolderKey) -> Outcome<StateTag> {
        self.read(move |db| folder_state(db, &folder)?.map_or_else(|| tag(0, [0; 8]), |(_, _, tag)| Ok(tag))).await
    }

    async fn listing(&self, folder: FolderKey, offset: u64, limit: u64) -> Outcome<Listing> {
        self.read(move |db| {
            let Some((folder_id, total, tag)) = folder_state(db, &folder)? else {
                return Ok(Listing { files: Vec::new(), total: 0, tag: tag(0, [0; 8])? });
            };
            // The inner query skips through the index alone; rows are read for the page only.
            let mut statement = db.prepare_cached(&format!(
                "SELECT {LISTED} FROM files WHERE id IN (
                     SELECT id FROM files INDEXED BY files_in_order WHERE folder_id = ?1 ORDER BY id LIMIT ?2 OFFSET ?3
                 ) ORDER BY id",
            ))?;
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            let mut rows = statement.query((folder_id, signed(limit)?, offset))?;
            let mut files = Vec::new();
            let mut room = PAGE_BYTES;
            while let Some(row) = rows.next()? {
                let file = listed(row)?;
                room = room.saturating_sub(file.json_bytes());
                if room == 0 && !files.is_empty() {
                    break;
                }
                files.push(file);
            }
            Ok(Listing { files, total, tag })
        })
        .await
    }

    async fn rename(&self, folder: FolderKey, batch: Vec<Rename>, now: i64) -> Outcome<Vec<RenameOutcome>> {
        self.write_in(&folder.clone(), move |db| {
            let Some(folder_id) = find_folder(db, &folder)? else {
                return Ok(vec![Err(RenameFailure::NotFound); batch.len()]);
            };
            rename::rename(db, folder_id, &batch, now)
        })
        .await
    }
}

fn file_row(db: &Connection, folder_id: i64, file: FileId) -> Outcome<Option<FileRow>> {
    Ok(db
        .prepare_cached(
            "SELECT revision_seq, revision_id, size_bytes, ciphertext_hash, object, object_at, blob_bytes FROM files
             WHERE folder_id = ?1 AND path_hash = ?2",
        )?
        .query_row((folder_id, file.0), |row| {
            Ok(FileRow {
                revision: revision(row, 0)?,
                size: unsigned(row, 2)?,
                ciphertext: CiphertextHash(hash32(row, 3)?),
                place: place(row, 4)?,
            })
        })
        .optional()?)
}

fn folder_state(db: &Connection, folder: &FolderKey) -> Outcome<Option<(i64, u64, StateTag)>> {
    let Some(folder_id) = find_folder(db, folder)? else { return Ok(None) };
    let (total, changes, random) = db
        .prepare_cached("SELECT file_count, changes, state_tag FROM folders WHERE id = ?1")?
        .query_row([folder_id], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?, row.get(2)?)))?;
    Ok(Some((folder_id, total, tag(changes, random)?)))
}

/// The columns of a listed file, in the order in which [`listed`] reads them.
pub(super) const LISTED: &str = "path_hash, salted_hash, size_bytes, revision_seq, revision_id, ciphertext_hash,
    encrypted_path, file_name, relative_path, created_at, updated_at";

pub(super) fn listed(row: &Row<'_>) -> rusqlite::Result<ListedFile> {
    Ok(ListedFile {
        file: FileId(hash32(row, 0)?),
        salted_hash: SaltedHash(hash32(row, 1)?),
        size: unsigned(row, 2)?,
        revision: revision(row, 3)?,
        ciphertext: CiphertextHash(hash32(row, 5)?),
        encrypted_path: row.get(6)?,
        file_name: row.get(7)?,
        relative_path: row.get(8)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}

/// A revision from its number in `column` and its id in the next.
pub(super) fn revision(row: &Row<'_>, column: usize) -> rusqlite::Result<Revision> {
    Ok(Revision { seq: unsigned(row, column)?, id: RevisionId(hash32(row, column + 1)?) })
}

pub(super) fn hash32(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 32]> {
    row.get(column)
}

/// A count or size as SQLite holds it.
pub(super) fn signed(value: u64) -> Outcome<i64> {
    i64::try_from(value).map_err(|_| MetadataError::Impossible("a number above 2^63"))
}
