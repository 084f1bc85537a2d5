//! The log of what happened, for people and for `/v1/events`.

use hcfs_model::{RelPath, UnixNanos};
use rusqlite::{Connection, params};

use crate::edit::Edit;
use crate::{StateError, Store, columns};

/// How many events are kept; older ones go.
pub const MAX_EVENTS: u64 = 100_000;
/// How many events one call reads at most.
pub const MAX_PAGE: u32 = 10_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixNanos,
    /// What kind of thing; a stable word of the caller's choice.
    pub kind: String,
    /// The file it concerns.
    pub path: Option<RelPath>,
    /// A sentence.
    pub text: String,
}

/// Adds events and drops the oldest above [`MAX_EVENTS`]; the id of the last one added.
pub(crate) fn append(connection: &Connection, events: &[Event]) -> Result<Option<u64>, StateError> {
    let mut last = None;
    let mut statement =
        connection.prepare_cached("INSERT INTO log (at, kind, path, text) VALUES (?1, ?2, ?3, ?4) RETURNING id")?;
    for event in events {
        let path = event.path.as_ref().map(RelPath::as_str);
        let id =
            statement.query_row(params![event.at.0, event.kind, path, event.text], |row| columns::unsigned(row, 0))?;
        last = Some(id);
    }
    if let Some(last) = last {
        connection
            .prepare_cached("DELETE FROM log WHERE id <= ?1")?
            .execute([last.saturating_sub(MAX_EVENTS).cast_signed()])?;
    }
    Ok(last)
}

impl Store {
    /// Adds one event and gives its id. Ids count up by one and are never given twice.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn append_event(&mut self, event: &Event) -> Result<u64, StateError> {
        let edit = Edit::begin(&mut self.connection)?;
        let id = append(edit.connection(), std::slice::from_ref(event))?;
        edit.commit()?;
        id.ok_or_else(|| StateError::corrupt("an event was not added to the log"))
    }

    /// Up to `limit` events with ids above `since`, the oldest first; never more than [`MAX_PAGE`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn events(&self, since: u64, limit: u32) -> Result<Vec<(u64, Event)>, StateError> {
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, at, kind, path, text FROM log WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let events = statement.query_map(params![since, limit.min(MAX_PAGE)], |row| {
            let event = Event {
                at: columns::time(row, 1)?,
                kind: row.get(2)?,
                path: columns::optional_path(row, 3)?,
                text: row.get(4)?,
            };
            Ok((columns::unsigned(row, 0)?, event))
        })?;
        Ok(events.collect::<rusqlite::Result<_>>()?)
    }

    /// The id of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_event(&self) -> Result<u64, StateError> {
        let mut statement = self.connection.prepare_cached("SELECT coalesce(max(id), 0) FROM log")?;
        Ok(statement.query_row([], |row| columns::unsigned(row, 0))?)
    }
}
