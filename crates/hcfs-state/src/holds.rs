//! Holds: what a plan must not do before a user has said so.

use hcfs_model::{RelPath, UnixNanos};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use crate::edit::Edit;
use crate::{StateError, Store, columns};

/// One hold. Its kind and scope name it; there is one of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held; a stable word of the caller's choice.
    pub kind: String,
    /// The top-level directory it concerns; `None` for the whole folder.
    pub scope: Option<String>,
    /// How many files are concerned.
    pub count: u64,
    /// Of how many.
    pub total: u64,
    /// Some of the paths.
    pub examples: Vec<RelPath>,
    /// When it was last seen to change.
    pub at: UnixNanos,
    /// When a user accepted it.
    pub accepted: Option<UnixNanos>,
}

const SELECT: &str = "SELECT id, kind, scope, count, total, examples, at, accepted FROM hold";

fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Hold)> {
    let scope: String = row.get(2)?;
    let examples: String = row.get(5)?;
    let examples = examples.split_terminator('\0').map(RelPath::new).collect::<Result<_, _>>();
    let accepted: Option<i64> = row.get(7)?;
    let hold = Hold {
        kind: row.get(1)?,
        scope: (!scope.is_empty()).then_some(scope),
        count: columns::unsigned(row, 3)?,
        total: columns::unsigned(row, 4)?,
        examples: examples.map_err(|error| columns::wrong(5, Type::Text, error))?,
        at: columns::time(row, 6)?,
        accepted: accepted.map(UnixNanos),
    };
    Ok((columns::unsigned(row, 0)?, hold))
}

impl Store {
    /// Records a hold and gives its id. Where there is one of this kind and scope it is brought up to date, and written
    /// only if it differs in more than its time. An acceptance stands as long as the count does not grow: a user
    /// accepted what was shown. The hold's own `accepted` is not looked at.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put_hold(&mut self, hold: &Hold) -> Result<u64, StateError> {
        let Hold { kind, scope, count, total, examples, at, accepted: _ } = hold;
        let scope_text = scope.as_deref().unwrap_or("");
        let known = self
            .connection
            .prepare_cached(&format!("{SELECT} WHERE kind = ?1 AND scope = ?2"))?
            .query_row(params![kind, scope_text], read)
            .optional()?;
        let accepted = match &known {
            Some((_, known)) if *count <= known.count => known.accepted,
            _ => None,
        };
        if let Some((id, known)) = known
            && known == (Hold { at: known.at, accepted, ..hold.clone() })
        {
            return Ok(id);
        }
        // Counts of files: beyond 2^63 they are not counts.
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let examples = examples.iter().map(RelPath::as_str).collect::<Vec<_>>().join("\0");
        let edit = Edit::begin(&mut self.connection)?;
        let id = edit
            .connection()
            .prepare_cached(
                "INSERT INTO hold (kind, scope, count, total, examples, at, accepted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (kind, scope) DO UPDATE SET count = excluded.count, total = excluded.total,
                 examples = excluded.examples, at = excluded.at, accepted = excluded.accepted RETURNING id",
            )?
            .query_row(
                params![
                    kind,
                    scope_text,
                    number(*count),
                    number(*total),
                    examples,
                    at.0,
                    accepted.map(|time| time.0)
                ],
                |row| columns::unsigned(row, 0),
            )?;
        edit.commit()?;
        Ok(id)
    }

    /// All holds with their ids, in the order of the ids.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn holds(&self) -> Result<Vec<(u64, Hold)>, StateError> {
        let mut statement = self.connection.prepare_cached(&format!("{SELECT} ORDER BY id"))?;
        let holds = statement.query_map([], read)?;
        Ok(holds.collect::<rusqlite::Result<_>>()?)
    }

    /// Records that a user accepted a hold; whether there is one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn accept_hold(&mut self, id: u64, at: UnixNanos) -> Result<bool, StateError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let edit = Edit::begin(&mut self.connection)?;
        let found = edit
            .connection()
            .prepare_cached("UPDATE hold SET accepted = coalesce(accepted, ?2) WHERE id = ?1")?
            .execute(params![id, at.0])?;
        edit.commit()?;
        Ok(found > 0)
    }

    /// Removes a hold; whether there was one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_hold(&mut self, id: u64) -> Result<bool, StateError> {
        let Ok(id) = i64::try_from(id) else { return Ok(false) };
        let edit = Edit::begin(&mut self.connection)?;
        let removed = edit.connection().prepare_cached("DELETE FROM hold WHERE id = ?1")?.execute([id])?;
        edit.commit()?;
        Ok(removed > 0)
    }
}
