//! How runs ended, and what went wrong with items.

use hcfs_model::UnixNanos;
use rusqlite::{OptionalExtension as _, Row, params};

use super::Ledger;
use crate::{StateError, columns};

/// The last run of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it began.
    pub began: UnixNanos,
    /// When it ended; `None` for one that runs, or was interrupted.
    pub ended: Option<UnixNanos>,
    /// Items it brought.
    pub brought: u64,
    /// Items that had not changed.
    pub unchanged: u64,
    /// How often in a row the whole run failed.
    pub failures: u32,
    /// Why the whole run failed.
    pub failure: Option<RunFailure>,
    /// When the source runs again by itself.
    pub again: Option<UnixNanos>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// The kind, in snake case.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What keeps an item from being brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemProblem {
    /// Why.
    pub failure: RunFailure,
    /// Since when it is told so.
    pub at: UnixNanos,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again; `None` for every run.
    pub again: Option<UnixNanos>,
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u32> {
    let value: i64 = row.get(at)?;
    u32::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, value))
}

fn optional_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<UnixNanos>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(UnixNanos))
}

impl Ledger {
    /// The last run of a source.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn run(&self, source: &str) -> Result<Option<Run>, StateError> {
        let sql = "SELECT began, ended, brought, unchanged, failures, code, message, hint, again
                   FROM run WHERE source = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let run = statement.query_row(params![source], |row| {
            let code: Option<String> = row.get(5)?;
            let failure = match code {
                Some(code) => Some(RunFailure {
                    code,
                    message: row.get::<_, Option<_>>(6)?.unwrap_or_default(),
                    hint: row.get::<_, Option<_>>(7)?.unwrap_or_default(),
                }),
                None => None,
            };
            Ok(Run {
                began: columns::time(row, 0)?,
                ended: optional_time(row, 1)?,
                brought: columns::unsigned(row, 2)?,
                unchanged: columns::unsigned(row, 3)?,
                failures: count(row, 4)?,
                failure,
                again: optional_time(row, 8)?,
            })
        });
        Ok(run.optional()?)
    }

    /// Keeps the last run of a source.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn keep_run(&mut self, source: &str, run: &Run) -> Result<(), StateError> {
        let failure = run.failure.as_ref();
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO run (source, began, ended, brought, unchanged, failures, code, message, hint,
                 again) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                source,
                run.began.0,
                run.ended.map(|at| at.0),
                run.brought.cast_signed(),
                run.unchanged.cast_signed(),
                run.failures,
                failure.map(|failure| &failure.code),
                failure.map(|failure| &failure.message),
                failure.map(|failure| &failure.hint),
                run.again.map(|at| at.0)
            ])?;
        Ok(())
    }

    /// What keeps items of a source from being brought, by item.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn problems(&self, source: &str) -> Result<Vec<(String, ItemProblem)>, StateError> {
        let sql = "SELECT item, code, message, hint, at, tries, again FROM problem WHERE source = ?1 ORDER BY item";
        let mut statement = self.connection.prepare_cached(sql)?;
        let problems = statement.query_map(params![source], |row| {
            let failure = RunFailure { code: row.get(1)?, message: row.get(2)?, hint: row.get(3)? };
            let problem = ItemProblem {
                failure,
                at: columns::time(row, 4)?,
                tries: count(row, 5)?,
                again: optional_time(row, 6)?,
            };
            Ok((row.get(0)?, problem))
        })?;
        Ok(problems.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps what went wrong with an item.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn keep_problem(&mut self, source: &str, item: &str, problem: &ItemProblem) -> Result<(), StateError> {
        let ItemProblem { failure, at, tries, again } = problem;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO problem (source, item, code, message, hint, at, tries, again)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                source,
                item,
                failure.code,
                failure.message,
                failure.hint,
                at.0,
                tries,
                again.map(|at| at.0)
            ])?;
        Ok(())
    }

    /// Takes the problem of an item away.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn drop_problem(&mut self, source: &str, item: &str) -> Result<(), StateError> {
        self.connection.execute("DELETE FROM problem WHERE source = ?1 AND item = ?2", params![source, item])?;
        Ok(())
    }
}
