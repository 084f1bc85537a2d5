//! The ledger of the sources: what each brought, where interrupted fetches stopped, what went wrong, how runs ended.
//!
//! Invariants:
//! - A file in a folder belongs to one item: a path is never given to a second one.
//! - What was fetched whole is written down ([`Ledger::arrive`]) before its file gets a name, and settled
//!   ([`Ledger::settle`]) after: whenever the process ends, a file under its name is known for what it is.
//! - Each writing call is one transaction, durable when it returns.
//! - A damaged ledger is moved aside and a fresh one started: files that are there already are then known again by
//!   their content, and what a person deleted may come once more.
//!
//! Deliberately absent: credentials and addresses, schedules, and every decision.

mod item;
mod run;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::params;

use crate::StateError;
use crate::database::{self, Attached};
use crate::place::{Held, OnDisk, Place as _};
use crate::schema::Schema;

pub use item::{Arrival, Brought, PartRecord, Version};
pub use run::{ItemProblem, Run, RunFailure};

static LEDGER: Schema = Schema {
    migrations: &[include_str!("../../../../migrations/sources/0001_ledger.sql")],
    // `HCSR`
    application_id: 0x4843_5352,
    newest: OnceLock::new(),
};

/// The ledger; one process has it at a time. Calls are synchronous.
pub struct Ledger {
    // Before the place: the database is closed while that is still held.
    pub(crate) connection: Held,
    _place: OnDisk,
}

/// An opened ledger.
pub struct OpenedLedger {
    /// The ledger.
    pub ledger: Ledger,
    /// Where a damaged one was moved to, with the reason; this is then a fresh one.
    pub rebuilt: Option<(PathBuf, String)>,
}

impl Ledger {
    /// Opens or makes the ledger at `path`; its directory must exist.
    ///
    /// # Errors
    /// As [`crate::Store::open`]. Damage is not an error here.
    pub fn open(path: &Path) -> Result<OpenedLedger, StateError> {
        database::check_library()?;
        let place = OnDisk::take(path)?;
        let (connection, rebuilt) = match attach(&place) {
            Err(error) if error.is_damage() => {
                let moved_to = place.move_aside()?;
                (attach(&place)?, Some((moved_to, error.to_string())))
            }
            attached => (attached?, None),
        };
        Ok(OpenedLedger { ledger: Self { connection, _place: place }, rebuilt })
    }

    /// Forgets everything about a source but the files it brought, which stay where they are.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn forget(&mut self, source: &str) -> Result<(), StateError> {
        let transaction = self.connection.transaction()?;
        for table in ["arrival", "part", "item", "problem", "run"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE source = ?1"), params![source])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn attach(place: &OnDisk) -> Result<Held, StateError> {
    let Attached { connection, .. } = database::attach(place, &LEDGER, |_| Ok(()), |_| Ok(()))?;
    place.keep_log(&connection, false)?;
    Ok(connection)
}
