//! Conflicts that wait for a user, and the answers.

use hcfs_model::{RelPath, Revision, SaltedHash, UnixNanos};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Params, Row, ToSql, params};

use crate::edit::Edit;
use crate::{StateError, Store, columns};

macro_rules! named {
    ($type:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $type {
            /// The stable text, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok(Self::$variant),)+
                    other => Err(FromSqlError::Other(format!("unknown word {other:?}").into())),
                }
            }
        }
    };
}

/// How the two sides differ from what was agreed (protocol §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Both sides have another content.
    BothModified,
    /// Another content here, deleted there.
    ModifiedHereDeletedThere,
    /// Deleted here, another content there.
    DeletedHereModifiedThere,
    /// Both sides have a new file, with different contents.
    BothCreated,
    /// A file stands where the other side has a directory.
    FileAndDirectory,
}

named!(ConflictKind {
    BothModified => "both_modified",
    ModifiedHereDeletedThere => "modified_here_deleted_there",
    DeletedHereModifiedThere => "deleted_here_modified_there",
    BothCreated => "both_created",
    FileAndDirectory => "file_and_directory",
});

/// A user's answer to a conflict (protocol §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// What is on disk counts.
    KeepLocal,
    /// What is on the server counts.
    AcceptRemote,
    /// The local content is kept beside the remote one.
    KeepBoth,
    /// Nothing is done for now.
    Skip,
}

named!(Decision {
    KeepLocal => "keep_local",
    AcceptRemote => "accept_remote",
    KeepBoth => "keep_both",
    Skip => "skip",
});

/// The server's side of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteVersion {
    /// Salted hash of the content.
    pub hash: SaltedHash,
    /// Plaintext length in bytes.
    pub size: u64,
    /// The version.
    pub revision: Revision,
}

/// One conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: RelPath,
    /// How the sides differ.
    pub kind: ConflictKind,
    /// Where the local content was put aside, if it was.
    pub copy: Option<RelPath>,
    /// When it was found.
    pub at: UnixNanos,
    /// Salted hash and length in bytes of what was on disk.
    pub local: Option<(SaltedHash, u64)>,
    /// What was on the server.
    pub remote: Option<RemoteVersion>,
    /// When the server stored that, by its own clock, where it said so.
    pub remote_at: Option<UnixNanos>,
    /// The name of the device that found it.
    pub device: String,
    /// The user's answer, once there is one.
    pub decision: Option<Decision>,
}

macro_rules! select {
    ($which:literal) => {
        concat!(
            "SELECT id, path, kind, copy, at, local_hash, local_size, remote_hash, remote_size, seq, revision, device, ",
            "decision, remote_at FROM conflict ",
            $which
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Conflict)> {
    let local_hash: Option<[u8; 32]> = row.get(5)?;
    let local = match local_hash {
        Some(hash) => Some((SaltedHash(hash), columns::unsigned(row, 6)?)),
        None => None,
    };
    let remote_hash: Option<[u8; 32]> = row.get(7)?;
    let remote = match remote_hash {
        Some(hash) => Some(RemoteVersion {
            hash: SaltedHash(hash),
            size: columns::unsigned(row, 8)?,
            revision: columns::revision(row, 9)?,
        }),
        None => None,
    };
    let remote_at: Option<i64> = row.get(13)?;
    let conflict = Conflict {
        path: columns::path(row, 1)?,
        kind: row.get(2)?,
        copy: columns::optional_path(row, 3)?,
        at: columns::time(row, 4)?,
        local,
        remote,
        remote_at: remote_at.map(UnixNanos),
        device: row.get(11)?,
        decision: row.get(12)?,
    };
    Ok((columns::unsigned(row, 0)?, conflict))
}

impl Conflict {
    /// Whether this is another sight of a conflict of its path: the same sides, whenever it was found.
    fn is_again(&self, other: &Self) -> bool {
        self.kind == other.kind && self.copy == other.copy && self.local == other.local && self.remote == other.remote
    }
}

impl Store {
    /// Records a conflict and gives its id. One that is recorded already, with the same sides and copy, keeps its id,
    /// its time and its answer, and nothing is written.
    ///
    /// # Errors
    /// The database cannot be written, or a number does not fit.
    pub fn put_conflict(&mut self, conflict: &Conflict) -> Result<u64, StateError> {
        let known = self.conflicts_where(select!("WHERE path = ?1 ORDER BY id"), [conflict.path.as_str()])?;
        if let Some((id, _)) = known.into_iter().find(|(_, known)| known.is_again(conflict)) {
            return Ok(id);
        }
        let Conflict { path, kind, copy, at, local, remote, remote_at, device, decision } = conflict;
        let sized = |size| columns::signed(path, "size", size);
        let local_size = local.map(|(_, size)| sized(size)).transpose()?;
        let remote_size = remote.map(|version| sized(version.size)).transpose()?;
        let seq = remote.map(|version| columns::signed(path, "revision", version.revision.seq)).transpose()?;
        let edit = Edit::begin(&mut self.connection)?;
        let id = edit
            .connection()
            .prepare_cached(
                "INSERT INTO conflict (path, kind, copy, at, local_hash, local_size, remote_hash, remote_size, seq, \
                 revision, device, decision, remote_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
                 ?13) RETURNING id",
            )?
            .query_row(
                params![
                    path.as_str(),
                    kind,
                    copy.as_ref().map(RelPath::as_str),
                    at.0,
                    local.map(|(hash, _)| hash.0),
                    local_size,
                    remote.map(|version| version.hash.0),
                    remote_size,
                    seq,
                    remote.map(|version| version.revision.id.0),
                    device,
                    decision,
                    remote_at.map(|at| at.0),
                ],
                |row| columns::unsigned(row, 0),
            )?;
        edit.commit()?;
        Ok(id)
    }

    /// All conflicts with their ids, in path order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn conflicts(&self) -> Result<Vec<(u64, Conflict)>, StateError> {
        self.conflicts_where(select!("ORDER BY path, id"), [])
    }

    /// One conflict.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn conflict(&self, id: u64) -> Result<Option<Conflict>, StateError> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        let found = self.conflicts_where(select!("WHERE id = ?1"), [id])?;
        Ok(found.into_iter().next().map(|(_, conflict)| conflict))
    }

    /// Records a user's answer, or takes it back; whether there is such a conflict.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn decide_conflict(&mut self, id: u64, decision: Option<Decision>) -> Result<bool, StateError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let edit = Edit::begin(&mut self.connection)?;
        let found = edit
            .connection()
            .prepare_cached("UPDATE conflict SET decision = ?2 WHERE id = ?1")?
            .execute(params![id, decision])?;
        edit.commit()?;
        Ok(found > 0)
    }

    /// Removes a conflict; whether there was one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_conflict(&mut self, id: u64) -> Result<bool, StateError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let edit = Edit::begin(&mut self.connection)?;
        let removed = edit.connection().prepare_cached("DELETE FROM conflict WHERE id = ?1")?.execute([id])?;
        edit.commit()?;
        Ok(removed > 0)
    }

    fn conflicts_where(&self, sql: &str, values: impl Params) -> Result<Vec<(u64, Conflict)>, StateError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(values, read)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}
