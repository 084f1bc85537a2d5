//! How values become columns and come back.
//!
//! What comes back is checked like anything from outside: a column that does not hold its type is damage.

use hcfs_model::{FileId, Fingerprint, Inode, RelPath, Revision, RevisionId, SaltedHash, UnixNanos};
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};

use crate::StateError;

/// `value` as SQLite keeps it.
pub(crate) fn signed(path: &RelPath, what: &'static str, value: u64) -> std::result::Result<i64, StateError> {
    i64::try_from(value).map_err(|_| StateError::OutOfRange { path: path.clone(), what, value })
}

/// A path. It must be stored as [`RelPath`] writes it, or a cursor that goes on from it could turn back.
pub(crate) fn path(row: &Row<'_>, at: usize) -> Result<RelPath> {
    let text = row.get_ref(at)?.as_str().map_err(|error| wrong(at, Type::Text, error))?;
    let path = RelPath::new(text).map_err(|error| wrong(at, Type::Text, error))?;
    if path.as_str() == text { Ok(path) } else { Err(wrong(at, Type::Text, "the path is not in its normal form")) }
}

pub(crate) fn optional_path(row: &Row<'_>, at: usize) -> Result<Option<RelPath>> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => path(row, at).map(Some),
    }
}

pub(crate) fn unsigned(row: &Row<'_>, at: usize) -> Result<u64> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(at, value))
}

pub(crate) fn optional_unsigned(row: &Row<'_>, at: usize) -> Result<Option<u64>> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => unsigned(row, at).map(Some),
    }
}

pub(crate) fn time(row: &Row<'_>, at: usize) -> Result<UnixNanos> {
    row.get(at).map(UnixNanos)
}

pub(crate) fn salted_hash(row: &Row<'_>, at: usize) -> Result<SaltedHash> {
    row.get(at).map(SaltedHash)
}

pub(crate) fn file_id(row: &Row<'_>, at: usize) -> Result<FileId> {
    row.get(at).map(FileId)
}

/// The columns `seq, revision`.
pub(crate) fn revision(row: &Row<'_>, at: usize) -> Result<Revision> {
    Ok(Revision { seq: unsigned(row, at)?, id: row.get(at + 1).map(RevisionId)? })
}

/// The columns `device, inode`.
pub(crate) fn inode(row: &Row<'_>, at: usize) -> Result<Inode> {
    let (device, number): (i64, i64) = (row.get(at)?, row.get(at + 1)?);
    Ok(Inode { device: device.cast_unsigned(), number: number.cast_unsigned() })
}

/// The columns `device, inode`, both or neither.
pub(crate) fn optional_inode(row: &Row<'_>, at: usize) -> Result<Option<Inode>> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => inode(row, at).map(Some),
    }
}

/// The columns `size, mtime, ctime, device, inode`.
pub(crate) fn fingerprint(row: &Row<'_>, at: usize) -> Result<Fingerprint> {
    Ok(Fingerprint {
        size: unsigned(row, at)?,
        mtime: time(row, at + 1)?,
        ctime: time(row, at + 2)?,
        inode: inode(row, at + 3)?,
    })
}

/// A column that does not hold what it must.
pub(crate) fn wrong(at: usize, kind: Type, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(at, kind, error.into())
}
