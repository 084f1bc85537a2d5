//! Revision marks: the highest revision ever seen of each file id, so that a server cannot go back unnoticed.

use hcfs_model::{FileId, RelPath, RemoteEntry, Revision, SaltedHash};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use crate::edit::Edit;
use crate::{StateError, Store, columns, trees};

/// How many content hashes a mark remembers.
pub const RECENT_HASHES: usize = 8;

/// The mark of one file id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The highest revision seen in the file's present life.
    pub revision: Revision,
    /// The content hashes of the last revisions, the newest first; at most [`RECENT_HASHES`], at least one.
    pub hashes: Vec<SaltedHash>,
    /// The file's deletion was agreed by both sides: its next version, which starts counting again, is a new life.
    pub ended: bool,
}

/// How a listed revision contradicts its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// A lower sequence number than one already seen.
    Rollback {
        /// The mark's revision.
        seen: Revision,
    },
    /// The sequence number already seen, with another revision id or another content.
    Equivocation {
        /// The mark's revision.
        seen: Revision,
    },
}

impl Seen {
    fn first(revision: Revision, hash: SaltedHash) -> Self {
        Self { revision, hashes: vec![hash], ended: false }
    }

    /// Takes note of a version. Never lowers the mark of a living file.
    fn observe(&mut self, revision: Revision, hash: SaltedHash) {
        if self.ended || revision.seq > self.revision.seq {
            self.revision = revision;
            self.ended = false;
            if self.hashes.first() != Some(&hash) {
                self.hashes.insert(0, hash);
                self.hashes.truncate(RECENT_HASHES);
            }
        }
    }

    /// Whether a listed version contradicts this mark.
    #[must_use]
    pub fn suspicion(&self, listed: &RemoteEntry) -> Option<Suspicion> {
        let seen = self.revision;
        if self.ended || listed.revision.seq > seen.seq {
            None
        } else if listed.revision.seq < seen.seq {
            Some(Suspicion::Rollback { seen })
        } else if listed.revision.id != seen.id || self.hashes.first() != Some(&listed.hash) {
            Some(Suspicion::Equivocation { seen })
        } else {
            None
        }
    }
}

pub(crate) fn get(connection: &Connection, id: &FileId) -> Result<Option<Seen>, StateError> {
    let mut statement =
        connection.prepare_cached("SELECT seq, revision, ended, hashes FROM seen WHERE file_id = ?1")?;
    let seen = statement.query_row([id.0], |row| {
        let bytes = row.get_ref(3)?.as_blob().map_err(|error| columns::wrong(3, Type::Blob, error))?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.is_empty() || hashes.len() > RECENT_HASHES || !rest.is_empty() {
            return Err(columns::wrong(3, Type::Blob, "the hashes of a mark have a wrong length"));
        }
        Ok(Seen {
            revision: columns::revision(row, 0)?,
            ended: row.get(2)?,
            hashes: hashes.iter().copied().map(SaltedHash).collect(),
        })
    });
    Ok(seen.optional()?)
}

/// What is suspect about a listed version; `None` also where nothing is listed.
pub(crate) fn suspicion(
    connection: &Connection,
    listed: Option<&RemoteEntry>,
) -> Result<Option<Suspicion>, StateError> {
    let Some(listed) = listed else { return Ok(None) };
    Ok(get(connection, &listed.file_id)?.and_then(|seen| seen.suspicion(listed)))
}

impl Edit<'_> {
    /// Takes note of a version of the file at `path`.
    pub(crate) fn observe(
        &mut self,
        path: &RelPath,
        id: &FileId,
        revision: Revision,
        hash: SaltedHash,
    ) -> Result<(), StateError> {
        let old = get(self.connection(), id)?;
        let new = match &old {
            Some(old) => {
                let mut new = old.clone();
                new.observe(revision, hash);
                new
            }
            None => Seen::first(revision, hash),
        };
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        put(self.connection(), path, id, &new)
    }

    /// Ends the present life of a file.
    pub(crate) fn end(&mut self, id: &FileId) -> Result<(), StateError> {
        let mut statement =
            self.connection().prepare_cached("UPDATE seen SET ended = 1 WHERE file_id = ?1 AND ended = 0")?;
        statement.execute([id.0])?;
        Ok(())
    }
}

fn put(connection: &Connection, path: &RelPath, id: &FileId, seen: &Seen) -> Result<(), StateError> {
    let hashes = seen.hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>();
    let seq = columns::signed(path, "revision", seen.revision.seq)?;
    connection
        .prepare_cached("REPLACE INTO seen (file_id, seq, revision, hashes, ended) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![id.0, seq, seen.revision.id.0, hashes, seen.ended])?;
    Ok(())
}

impl Store {
    /// The revision mark of a file; `None` if no version was ever seen.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn seen(&self, id: &FileId) -> Result<Option<Seen>, StateError> {
        get(&self.connection, id)
    }

    /// The listed files whose revision contradicts their mark, in path order. Costs what changed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn suspects(&self) -> Result<Vec<(RelPath, Suspicion)>, StateError> {
        let mut suspects = Vec::new();
        for path in self.changed_paths()? {
            let listed = trees::get::<RemoteEntry>(&self.connection, &path)?;
            if let Some(suspicion) = suspicion(&self.connection, listed.as_ref())? {
                suspects.push((path, suspicion));
            }
        }
        Ok(suspects)
    }

    /// Makes the listed version of a path its mark, though it contradicts the present one: a user accepted it.
    /// Whether that changed anything.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn accept_listed(&mut self, path: &RelPath) -> Result<bool, StateError> {
        let edit = Edit::begin(&mut self.connection)?;
        let Some(listed) = trees::get::<RemoteEntry>(edit.connection(), path)? else { return Ok(false) };
        let Some(mut seen) = get(edit.connection(), &listed.file_id)? else { return Ok(false) };
        if seen.suspicion(&listed).is_none() {
            return Ok(false);
        }
        seen.ended = true;
        seen.observe(listed.revision, listed.hash);
        put(edit.connection(), path, &listed.file_id, &seen)?;
        edit.mark(path)?;
        edit.commit()?;
        Ok(true)
    }
}
