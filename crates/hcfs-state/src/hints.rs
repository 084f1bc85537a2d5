//! Resume hints: what makes a transfer that was interrupted cheaper to go on with. Never needed to be right.

use std::collections::BTreeMap;

use hcfs_model::{CiphertextHash, FileId, Fingerprint, RelPath, Revision, SaltedHash, UnixNanos};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::edit::Edit;
use crate::{StateError, Store, columns};

/// An upload session that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadHint {
    /// The file the session sends; one with another fingerprint must not go on with it.
    pub fingerprint: Fingerprint,
    /// The blob's base nonce.
    pub nonce: [u8; 24],
    /// Hash of the whole blob.
    pub blob_hash: CiphertextHash,
    /// Salted hash of the plaintext.
    pub salted_hash: SaltedHash,
    /// The server's name for the session.
    pub session: String,
    /// Bytes of every part but the last.
    pub part_size: u64,
    /// When the server forgets the session.
    pub expires: UnixNanos,
}

/// A download that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadHint {
    /// The file on the server.
    pub file_id: FileId,
    /// The version that is fetched.
    pub revision: Revision,
    /// The blob's base nonce; a blob with another one must not go on with it.
    pub base_nonce: [u8; 24],
    /// Frames that are verified and durable in the staged file.
    pub frames_done: u64,
    /// Name of the staged file.
    pub staged: String,
}

/// All resume hints of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Uploads by path.
    pub uploads: BTreeMap<RelPath, UploadHint>,
    /// Downloads by path.
    pub downloads: BTreeMap<RelPath, DownloadHint>,
}

macro_rules! uploads {
    ($which:literal) => {
        concat!(
            "SELECT path, size, mtime, ctime, device, inode, nonce, blob_hash, salted_hash, session, part_size, expires ",
            "FROM upload_hint ",
            $which
        )
    };
}

macro_rules! downloads {
    ($which:literal) => {
        concat!("SELECT path, file_id, seq, revision, base_nonce, frames_done, staged FROM download_hint ", $which)
    };
}

fn read_upload(row: &Row<'_>) -> rusqlite::Result<(RelPath, UploadHint)> {
    let hint = UploadHint {
        fingerprint: columns::fingerprint(row, 1)?,
        nonce: row.get(6)?,
        blob_hash: row.get(7).map(CiphertextHash)?,
        salted_hash: columns::salted_hash(row, 8)?,
        session: row.get(9)?,
        part_size: columns::unsigned(row, 10)?,
        expires: columns::time(row, 11)?,
    };
    Ok((columns::path(row, 0)?, hint))
}

fn read_download(row: &Row<'_>) -> rusqlite::Result<(RelPath, DownloadHint)> {
    let hint = DownloadHint {
        file_id: columns::file_id(row, 1)?,
        revision: columns::revision(row, 2)?,
        base_nonce: row.get(4)?,
        frames_done: columns::unsigned(row, 5)?,
        staged: row.get(6)?,
    };
    Ok((columns::path(row, 0)?, hint))
}

/// Removes the hints of a path.
pub(crate) fn remove(connection: &Connection, path: &RelPath) -> Result<(), StateError> {
    connection.prepare_cached("DELETE FROM upload_hint WHERE path = ?1")?.execute([path.as_str()])?;
    connection.prepare_cached("DELETE FROM download_hint WHERE path = ?1")?.execute([path.as_str()])?;
    Ok(())
}

impl Store {
    /// The hint for the upload of a file.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn upload_hint(&self, path: &RelPath) -> Result<Option<UploadHint>, StateError> {
        let found = self
            .connection
            .prepare_cached(uploads!("WHERE path = ?1"))?
            .query_row([path.as_str()], read_upload)
            .optional()?;
        Ok(found.map(|(_, hint)| hint))
    }

    /// The hint for the download of a file.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn download_hint(&self, path: &RelPath) -> Result<Option<DownloadHint>, StateError> {
        let found = self
            .connection
            .prepare_cached(downloads!("WHERE path = ?1"))?
            .query_row([path.as_str()], read_download)
            .optional()?;
        Ok(found.map(|(_, hint)| hint))
    }

    /// All hints, for sweeping what no hint names.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn all_hints(&self) -> Result<Hints, StateError> {
        let mut statement = self.connection.prepare_cached(uploads!(""))?;
        let uploads = statement.query_map([], read_upload)?.collect::<rusqlite::Result<_>>()?;
        let mut statement = self.connection.prepare_cached(downloads!(""))?;
        let downloads = statement.query_map([], read_download)?.collect::<rusqlite::Result<_>>()?;
        Ok(Hints { uploads, downloads })
    }

    /// Records a hint for the upload of a file. The same one again is not written.
    ///
    /// # Errors
    /// The database cannot be written, or a number does not fit.
    pub fn put_upload_hint(&mut self, path: &RelPath, hint: &UploadHint) -> Result<(), StateError> {
        if self.upload_hint(path)?.as_ref() == Some(hint) {
            return Ok(());
        }
        let edit = Edit::begin(&mut self.connection)?;
        edit.connection()
            .prepare_cached("REPLACE INTO upload_hint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
            .execute(params![
                path.as_str(),
                columns::signed(path, "size", hint.fingerprint.size)?,
                hint.fingerprint.mtime.0,
                hint.fingerprint.ctime.0,
                hint.fingerprint.inode.device.cast_signed(),
                hint.fingerprint.inode.number.cast_signed(),
                hint.nonce,
                hint.blob_hash.0,
                hint.salted_hash.0,
                hint.session,
                columns::signed(path, "part size", hint.part_size)?,
                hint.expires.0,
            ])?;
        edit.commit()?;
        Ok(())
    }

    /// Records a hint for the download of a file. The same one again is not written.
    ///
    /// # Errors
    /// The database cannot be written, or a number does not fit.
    pub fn put_download_hint(&mut self, path: &RelPath, hint: &DownloadHint) -> Result<(), StateError> {
        if self.download_hint(path)?.as_ref() == Some(hint) {
            return Ok(());
        }
        let edit = Edit::begin(&mut self.connection)?;
        edit.connection().prepare_cached("REPLACE INTO download_hint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![
                path.as_str(),
                hint.file_id.0,
                columns::signed(path, "revision", hint.revision.seq)?,
                hint.revision.id.0,
                hint.base_nonce,
                columns::signed(path, "number of frames", hint.frames_done)?,
                hint.staged,
            ],
        )?;
        edit.commit()?;
        Ok(())
    }

    /// Removes the hints of a path, both ways.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_hints(&mut self, path: &RelPath) -> Result<(), StateError> {
        let edit = Edit::begin(&mut self.connection)?;
        remove(edit.connection(), path)?;
        edit.commit()?;
        Ok(())
    }
}
